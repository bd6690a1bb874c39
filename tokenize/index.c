/*
 * SPDX-License-Identifier: ISC
 *
 * The tables of a vocabulary in a file; see index.h.  A head, then sections, each at a multiple of 64
 * bytes; how long they are follows from the head, so that there is one size that is right.
 */
#define _GNU_SOURCE /* madvise, where there is one */
#include "tokenize/index.h"

#include "libcore/newfile.h"
#include "libcore/size.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { VERSION = 1, ORDER = 0x01020304, ALIGN = 64, N_SOURCE = 3, MIN_BITS = 4, MAX_BITS = 26 };

/* The sections, in the order of the file; those before BYTES are the arrays of the GGUF file. */
enum section { TOKENS, TYPES, RANKS, BYTES, OFF, TYPE, TEXT, SPECIAL, FIRST, LINE, N_SECTION };

struct head {
	char magic[8];
	uint32_t version, order; /* of bytes in a number */
	uint32_t head_bytes, slot_bytes;
	uint32_t n_vocab, spelling, words;
	uint32_t n_rank;                 /* merges or scores */
	uint64_t source_bytes[N_SOURCE]; /* of tokens, types, and merges or scores */
	uint64_t n_bytes;                /* of what all tokens stand for, together */
	uint32_t bits[2], max_len[2];    /* of the maps of text and of special tokens */
	llm_token byte[256];
	llm_token bos, eos, eot, eom;
	struct llm_hash sum; /* of the sections from BYTES on, then of this head with sum 0 */
};

static const char magic[8] = "llmvocb";

/* The keys of the arrays that tables are made of, by the kind that the file names. */
static bool
sources(const struct llm_gguf_key *key[N_SOURCE], const struct llm_gguf *g)
{
	struct llm_gguf_str model;
	if (llm_gguf_str(&model, g, "tokenizer.ggml.model", NULL) <= 0)
		return false;
	bool bpe = model.n == 4 && memcmp(model.s, "gpt2", 4) == 0;
	return llm_gguf_array(&key[TOKENS], g, "tokenizer.ggml.tokens", LLM_GGUF_STRING, NULL) >
		   0 &&
	       llm_gguf_array(&key[TYPES], g, "tokenizer.ggml.token_type", LLM_GGUF_I32, NULL) >
		   0 &&
	       llm_gguf_array(&key[RANKS], g,
		   bpe ? "tokenizer.ggml.merges" : "tokenizer.ggml.scores",
		   bpe ? LLM_GGUF_STRING : LLM_GGUF_F32, NULL) > 0;
}

/* Where each section begins, and where the file ends; false where it would be beyond any. */
static bool
layout(size_t at[N_SECTION + 1], const struct head *h)
{
	size_t n = h->n_vocab, size[N_SECTION] = {0};
	bool bpe = h->spelling == LLM_VOCAB_GPT2;
	if (n == 0 || n > LLM_VOCAB_MAX || h->n_rank > LLM_VOCAB_MAX ||
	    h->n_bytes > UINT32_MAX || h->head_bytes != sizeof *h)
		return false;
	for (int i = 0; i < N_SOURCE; i++)
		if (!llm_size_from_u64(&size[i], h->source_bytes[i]))
			return false;
	for (int i = 0; i < 2; i++) {
		if (h->bits[i] < MIN_BITS || h->bits[i] > MAX_BITS)
			return false;
		size[TEXT + i] = sizeof(struct llm_strmap_slot) << h->bits[i];
	}
	size[BYTES] = (size_t)h->n_bytes + LLM_STRMAP_SLACK;
	size[OFF] = (n + 1) * sizeof(uint32_t);
	size[TYPE] = n;
	size[FIRST] = n * sizeof(uint32_t);
	size[LINE] = bpe ? ((size_t)h->n_rank + 1) * sizeof(struct llm_bpe_line) : 0;
	at[0] = (sizeof *h + ALIGN - 1) / ALIGN * ALIGN;
	for (int i = 0; i < N_SECTION; i++) {
		size_t end;
		if (!llm_size_add(&end, at[i], size[i]) ||
		    !llm_size_align(&at[i + 1], end, ALIGN))
			return false;
	}
	return true;
}

static struct llm_hash
checksum(const struct head *h, const void *tables, size_t n)
{
	struct {
		struct llm_hash tables;
		struct head head;
	} both;
	memset(&both, 0, sizeof both);
	both.tables = llm_hash_of(tables, n);
	both.head = *h;
	both.head.sum = (struct llm_hash){{0}};
	return llm_hash_of(&both, sizeof both);
}

/* Whether the arrays of g stand in the file. */
static bool
same_sources(
    const struct head *h, const unsigned char *data, const size_t *at, const struct llm_gguf *g)
{
	const struct llm_gguf_key *key[N_SOURCE];
	if (!sources(key, g))
		return false;
	for (int i = 0; i < N_SOURCE; i++)
		if (key[i]->n_bytes != h->source_bytes[i] ||
		    memcmp(data + at[i], key[i]->data, key[i]->n_bytes) != 0)
			return false;
	return key[TOKENS]->n_item == h->n_vocab && key[TYPES]->n_item == h->n_vocab &&
	       key[RANKS]->n_item == h->n_rank;
}

/* Whether every number of v that leads somewhere leads within its tables. */
static bool
vocab_sound(const struct llm_vocab *v, uint64_t n_bytes)
{
	uint32_t n = (uint32_t)v->n;
	bool good = v->off[0] == 0 && v->off[n] == n_bytes;
	for (uint32_t i = 0; i < n; i++)
		good &= v->off[i] <= v->off[i + 1] &&
			v->off[i + 1] - v->off[i] <= LLM_VOCAB_MAX_TOKEN;
	for (uint32_t i = 0; i < n; i++)
		good &= v->type[i] >= LLM_VOCAB_NORMAL && v->type[i] <= LLM_VOCAB_BYTE;
	for (int b = 0; b < 256; b++)
		good &=
		    v->byte[b] >= (v->spelling == LLM_VOCAB_SPM ? 0 : -1) && v->byte[b] < v->n;
	return good && llm_strmap_sound(&v->text, n) && llm_strmap_sound(&v->special, n);
}

/* Each chain of lines goes on to higher ones, so that it ends. */
static bool
bpe_sound(const struct llm_bpe *b, uint32_t n_vocab, uint32_t n_line)
{
	bool good = true;
	for (uint32_t i = 0; i < n_vocab; i++)
		good &= b->first[i] < n_line || b->first[i] == LLM_MERGE_NONE;
	for (uint32_t i = 0; i < n_line; i++)
		good &= (b->line[i].next > i && b->line[i].next < n_line) ||
			b->line[i].next == LLM_MERGE_NONE;
	return good;
}

/* The tables as the file has them. */
static void
tables_point(struct llm_vocab *v, struct llm_bpe *b, struct llm_spm *s, const struct head *h,
    const unsigned char *data, const size_t *at)
{
	/* The maps are read-only; none of what points into them is written to once read. */
	unsigned char *base = (unsigned char *)(uintptr_t)data;
	*v = (struct llm_vocab){.n = (int)h->n_vocab,
	    .spelling = (enum llm_vocab_spelling)h->spelling,
	    .bytes = (char *)base + at[BYTES],
	    .off = (uint32_t *)(void *)(base + at[OFF]),
	    .type = base + at[TYPE],
	    .bos = h->bos,
	    .eos = h->eos,
	    .eot = h->eot,
	    .eom = h->eom};
	memcpy(v->byte, h->byte, sizeof v->byte);
	struct llm_strmap *map[2] = {&v->text, &v->special};
	for (int i = 0; i < 2; i++)
		*map[i] = (struct llm_strmap){.bytes = v->bytes,
		    .off = v->off,
		    .slot = (struct llm_strmap_slot *)(void *)(base + at[TEXT + i]),
		    .shift = 64 - h->bits[i],
		    .max_len = h->max_len[i]};
	b->first = s->rank = (uint32_t *)(void *)(base + at[FIRST]);
	b->line = (struct llm_bpe_line *)(void *)(base + at[LINE]);
	s->words = h->words != 0;
}

/* Whether the ids that g names, which are control tokens for that, are those of the index. */
static bool
same_ids(const struct head *h, const struct llm_gguf *g)
{
	struct llm_vocab v = {.n = (int)h->n_vocab};
	return llm_vocab_ids(&v, g, NULL) >= 0 && v.bos == h->bos && v.eos == h->eos &&
	       v.eot == h->eot && v.eom == h->eom;
}

static bool
map_sound(const struct llm_map *map, struct llm_vocab *v, struct llm_bpe *b, struct llm_spm *s,
    const struct llm_gguf *g, enum llm_vocab_spelling spelling)
{
	struct head h;
	size_t at[N_SECTION + 1];
	const struct llm_map_stamp *stamp = &map->stamp;
	if ((stamp->owner != geteuid() && stamp->owner != 0) || (stamp->mode & 022) != 0 ||
	    map->n_bytes < sizeof h)
		return false;
	memcpy(&h, map->data, sizeof h);
	if (memcmp(h.magic, magic, sizeof magic) != 0 || h.version != VERSION ||
	    h.order != ORDER || h.slot_bytes != sizeof(struct llm_strmap_slot) ||
	    h.spelling != (uint32_t)spelling || !layout(at, &h) ||
	    at[N_SECTION] != map->n_bytes || !same_sources(&h, map->data, at, g))
		return false;
	struct llm_hash sum = checksum(&h, map->data + at[BYTES], at[N_SECTION] - at[BYTES]);
	if (!llm_hash_equal(&sum, &h.sum) || !same_ids(&h, g))
		return false;
	tables_point(v, b, s, &h, map->data, at);
	return vocab_sound(v, h.n_bytes) &&
	       (spelling == LLM_VOCAB_SPM || bpe_sound(b, h.n_vocab, h.n_rank));
}

bool
llm_index_open(struct llm_map *map, const struct llm_index_tables *t, const struct llm_gguf *g,
    enum llm_vocab_spelling spelling, const char *path)
{
	struct llm_vocab v;
	struct llm_bpe b = {.vocab = t->vocab};
	struct llm_spm s = {.vocab = t->vocab};
	struct llm_map m;
	if (llm_map_open(&m, path, NULL) < 0)
		return false;
#ifdef MADV_POPULATE_READ
	/* All of it will be looked at: its pages come at once, not one fault after another. */
	(void)madvise((void *)(uintptr_t)m.data, m.n_bytes, MADV_POPULATE_READ);
#endif
	if (!map_sound(&m, &v, &b, &s, g, spelling)) {
		llm_map_close(&m);
		return false;
	}
	*map = m;
	*t->vocab = v;
	if (t->bpe != NULL)
		*t->bpe = b;
	if (t->spm != NULL)
		*t->spm = s;
	return true;
}

/* The head of the index of tables. */
static struct head
head_of(const struct llm_index_tables *t, const struct llm_gguf *g,
    const struct llm_gguf_key *const key[N_SOURCE])
{
	const struct llm_vocab *v = t->vocab;
	struct llm_vocab ids = {.n = v->n}; /* as the file has them */
	struct head h;
	memset(&h, 0, sizeof h); /* padding too: it goes into a file */
	memcpy(h.magic, magic, sizeof magic);
	h.version = VERSION;
	h.order = ORDER;
	h.head_bytes = sizeof h;
	h.slot_bytes = sizeof(struct llm_strmap_slot);
	h.n_vocab = (uint32_t)v->n;
	h.n_rank = (uint32_t)key[RANKS]->n_item;
	h.spelling = (uint32_t)v->spelling;
	h.words = t->spm != NULL && t->spm->words;
	for (int i = 0; i < N_SOURCE; i++)
		h.source_bytes[i] = key[i]->n_bytes;
	h.n_bytes = v->off[v->n];
	const struct llm_strmap *map[2] = {&v->text, &v->special};
	for (int i = 0; i < 2; i++) {
		h.bits[i] = 64 - map[i]->shift;
		h.max_len[i] = map[i]->max_len;
	}
	memcpy(h.byte, v->byte, sizeof h.byte);
	llm_vocab_ids(&ids, g, NULL);
	h.bos = ids.bos;
	h.eos = ids.eos;
	h.eot = ids.eot;
	h.eom = ids.eom;
	return h;
}

int
llm_index_write(const char *path, const struct llm_index_tables *t, const struct llm_gguf *g,
    unsigned mode, struct llm_err *err)
{
	const struct llm_vocab *v = t->vocab;
	const struct llm_gguf_key *key[N_SOURCE];
	size_t at[N_SECTION + 1];
	struct llm_newfile f;
	struct head h;
	if (!sources(key, g))
		return llm_err_set(err, LLM_EDATA, "%s: no vocabulary", llm_gguf_path(g));
	h = head_of(t, g, key);
	if (!layout(at, &h))
		return llm_err_set(err, LLM_EUNSUPPORTED,
		    "%s: a vocabulary too large for an index", llm_gguf_path(g));
	unsigned char *all = calloc(1, at[N_SECTION]);
	if (all == NULL)
		return llm_err_nomem(err, at[N_SECTION]);
	for (int i = 0; i < N_SOURCE; i++)
		memcpy(all + at[i], key[i]->data, key[i]->n_bytes);
	memcpy(all + at[BYTES], v->bytes, (size_t)h.n_bytes);
	memcpy(all + at[OFF], v->off, ((size_t)v->n + 1) * sizeof *v->off);
	memcpy(all + at[TYPE], v->type, (size_t)v->n);
	memcpy(all + at[TEXT], v->text.slot, sizeof *v->text.slot << h.bits[0]);
	memcpy(all + at[SPECIAL], v->special.slot, sizeof *v->special.slot << h.bits[1]);
	memcpy(all + at[FIRST], t->bpe != NULL ? t->bpe->first : t->spm->rank,
	    (size_t)v->n * sizeof(uint32_t));
	if (t->bpe != NULL)
		memcpy(all + at[LINE], t->bpe->line, h.n_rank * sizeof *t->bpe->line);
	h.sum = checksum(&h, all + at[BYTES], at[N_SECTION] - at[BYTES]);
	memcpy(all, &h, sizeof h);
	int status = llm_newfile_open(&f, path, mode, err);
	if (status == 0 && (status = llm_newfile_put(&f, all, at[N_SECTION], err)) < 0)
		llm_newfile_drop(&f);
	else if (status == 0)
		status = llm_newfile_keep(&f, false, err);
	free(all);
	return status;
}

bool
llm_index_name(struct llm_hash *out, const struct llm_gguf *g)
{
	const struct llm_gguf_key *key[N_SOURCE];
	struct llm_vocab v = {.n = LLM_VOCAB_MAX};
	struct llm_hash of[N_SOURCE + 1];
	if (!sources(key, g) || llm_vocab_ids(&v, g, NULL) < 0)
		return false;
	for (int i = 0; i < N_SOURCE; i++)
		of[i] = llm_hash_of(key[i]->data, key[i]->n_bytes);
	const llm_token ids[] = {v.bos, v.eos, v.eot, v.eom};
	of[N_SOURCE] = llm_hash_of(ids, sizeof ids);
	*out = llm_hash_of(of, sizeof of);
	return true;
}
