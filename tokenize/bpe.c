/*
 * SPDX-License-Identifier: ISC
 *
 * Byte-level BPE; see bpe.h.
 */
#include "tokenize/bpe.h"

#include "libcore/size.h"

#include <stdlib.h>

/* Lines that are read together, so that the memory that one waits for others wait for too. */
enum { BATCH = 64 };

/* One line of the merges. */
struct line {
	struct llm_gguf_str text;
	llm_token made;
	size_t n[2];     /* bytes of each side */
	uint64_t key[2]; /* of each side in the map, and where to look for it */
	size_t home[2];
};

/* A walk through the tokens as the file spells them. */
struct walk {
	const struct llm_gguf_key *tokens;
	size_t cursor;
	llm_token id; /* of the first of the two; -1 before the start */
	struct llm_gguf_str at[2];
};

/* The list as far as it was read. */
struct reader {
	struct llm_bpe *bpe;
	const struct llm_gguf *g;
	struct llm_err *err;
	struct walk walk;
	uint32_t n; /* lines before the batch */
	int n_line; /* in the batch */
	struct line line[BATCH];
	char bytes[2 * LLM_VOCAB_MAX_TOKEN];
};

static int
line_bad(const struct reader *r, uint32_t i, struct llm_gguf_str s, const char *what)
{
	char quoted[80];
	return llm_err_set(r->err, LLM_EDATA, "%s: merge %u (%s) %s", llm_gguf_path(r->g),
	    (unsigned)i, llm_err_quote(quoted, sizeof quoted, s.s, s.n), what);
}

static void
walk_on(struct walk *w)
{
	w->at[0] = w->at[1];
	w->id++;
	if (!llm_gguf_next_str(&w->at[1], w->tokens, &w->cursor))
		w->at[1] = (struct llm_gguf_str){"", 0};
}

/*
 * Whether a token is spelt as both sides of a line are; then *n_left is the bytes that the left one
 * stands for: each is spelt as one character.
 */
static inline bool
spells(size_t *n_left, struct llm_gguf_str token, struct llm_gguf_str line)
{
	size_t i = 0, n = 0;
	if (token.n + 1 != line.n)
		return false;
	for (; i < token.n && line.s[i] != ' '; i++) {
		if (line.s[i] != token.s[i])
			return false;
		n += (line.s[i] & 0xC0) != 0x80;
	}
	*n_left = n;
	return i > 0 && i < token.n && memcmp(token.s + i, line.s + i + 1, token.n - i) == 0;
}

/* The token that a line makes, of any id, or -1; walks on to it. */
static llm_token
made_find(size_t *n_left, struct reader *r, struct llm_gguf_str s)
{
	const struct llm_vocab *v = r->bpe->vocab;
	const char *space = memchr(s.s, ' ', s.n);
	size_t at = space == NULL ? s.n : (size_t)(space - s.s);
	if (at == 0 || at + 1 >= s.n || at > LLM_VOCAB_MAX_TOKEN ||
	    s.n - at > LLM_VOCAB_MAX_TOKEN)
		return -1;
	int left = llm_vocab_unspell(r->bytes, s.s, at);
	int right =
	    left < 0 ? -1 : llm_vocab_unspell(r->bytes + left, s.s + at + 1, s.n - at - 1);
	if (right < 0)
		return -1;
	*n_left = (size_t)left;
	llm_token made = llm_strmap_find(&v->text, r->bytes, *n_left + (size_t)right);
	while (r->walk.id < made)
		walk_on(&r->walk);
	return made;
}

/*
 * Reads "LEFT RIGHT" into the batch; false where it is no such line, or makes no token.  Lists are in
 * the order of what they make as a rule, so that the same token again or the next one is tried
 * before the map, as it is spelt in the file.
 */
static bool
line_read(struct reader *r, struct llm_gguf_str s)
{
	const struct llm_vocab *v = r->bpe->vocab;
	struct line *line = &r->line[r->n_line];
	size_t n_left = 0;
	line->text = s;
	line->made = -1;
	if (spells(&n_left, r->walk.at[0], s)) {
		line->made = r->walk.id;
	} else if (spells(&n_left, r->walk.at[1], s)) {
		walk_on(&r->walk);
		line->made = r->walk.id;
	}
	if (line->made < 0 || v->type[line->made] != LLM_VOCAB_NORMAL)
		line->made = made_find(&n_left, r, s);
	if (line->made < 0)
		return false;
	const char *bytes = v->bytes + v->off[line->made];
	line->n[0] = n_left;
	line->n[1] = v->off[line->made + 1] - v->off[line->made] - n_left;
	for (int i = 0; i < 2; bytes += line->n[i++]) {
		line->key[i] = llm_strmap_key_slack(bytes, line->n[i]);
		line->home[i] = llm_strmap_home(&v->text, line->key[i], line->n[i]);
		__builtin_prefetch(&v->text.slot[line->home[i]]);
	}
	r->n_line++;
	return true;
}

/* Adds line i to those that make a token; false where it is there already. */
static bool
line_link(struct llm_bpe *b, llm_token made, uint32_t i, size_t n_left)
{
	uint32_t *at = &b->first[made];
	for (; *at != LLM_MERGE_NONE; at = &b->line[*at].next)
		if (b->line[*at].left == n_left)
			return false;
	*at = i;
	b->line[i] = (struct llm_bpe_line){(uint32_t)n_left, LLM_MERGE_NONE};
	return true;
}

static int
batch_put(struct reader *r)
{
	const struct llm_strmap *text = &r->bpe->vocab->text;
	for (int k = 0; k < r->n_line; k++, r->n++) {
		const struct line *line = &r->line[k];
		/* A side that is no token could never be seen while merging: checked by key alone. */
		if (!llm_strmap_has(text, line->key[0], line->n[0], line->home[0]) ||
		    !llm_strmap_has(text, line->key[1], line->n[1], line->home[1]))
			return line_bad(
			    r, r->n, line->text, "is not of two tokens into a token");
		if (!line_link(r->bpe, line->made, r->n, line->n[0]))
			return line_bad(r, r->n, line->text, "stands there twice");
	}
	r->n_line = 0;
	return 0;
}

static int
lines_read(struct reader *r, const struct llm_gguf_key *merges)
{
	struct llm_gguf_str s;
	size_t cursor = 0;
	int rc = llm_vocab_array(
	    &r->walk.tokens, r->g, "tokenizer.ggml.tokens", LLM_GGUF_STRING, r->err);
	if (rc < 0)
		return rc;
	walk_on(&r->walk);
	r->walk.id = -1;
	while (rc >= 0 && llm_gguf_next_str(&s, merges, &cursor)) {
		if (!line_read(r, s)) {
			rc = batch_put(r);
			return rc < 0
				   ? rc
				   : line_bad(r, r->n, s, "is not of two tokens into a token");
		}
		if (r->n_line == BATCH)
			rc = batch_put(r);
	}
	return rc < 0 ? rc : batch_put(r);
}

int
llm_bpe_read(
    struct llm_bpe *b, const struct llm_vocab *v, const struct llm_gguf *g, struct llm_err *err)
{
	const struct llm_gguf_key *merges;
	*b = (struct llm_bpe){.vocab = v};
	int rc = llm_vocab_array(&merges, g, "tokenizer.ggml.merges", LLM_GGUF_STRING, err), n;
	if (rc < 0)
		return rc;
	if (!llm_size_to_int(&n, merges->n_item, 0, LLM_VOCAB_MAX))
		return llm_err_set(err, LLM_EDATA, "%s: %llu merges, expected at most %d",
		    llm_gguf_path(g), (unsigned long long)merges->n_item, LLM_VOCAB_MAX);
	struct reader *r = malloc(sizeof *r);
	b->first = malloc((size_t)v->n * sizeof *b->first);
	b->line = malloc(((size_t)n + 1) * sizeof *b->line);
	if (r == NULL || b->first == NULL || b->line == NULL) {
		rc = llm_err_nomem(err,
		    (size_t)v->n * sizeof *b->first + (size_t)n * sizeof *b->line + sizeof *r);
	} else {
		memset(b->first, 0xFF, (size_t)v->n * sizeof *b->first);
		r->bpe = b;
		r->g = g;
		r->err = err;
		r->walk = (struct walk){.id = -1};
		r->n = 0;
		r->n_line = 0;
		rc = lines_read(r, merges);
	}
	free(r);
	return rc;
}

void
llm_bpe_free(struct llm_bpe *b)
{
	free(b->first);
	free(b->line);
	*b = (struct llm_bpe){0};
}

struct context {
	const struct llm_bpe *bpe;
	const char *text;
};

static uint32_t
pair_rank(llm_token *id, const void *context, const struct llm_merge_sym *left,
    const struct llm_merge_sym *right)
{
	const struct context *c = context;
	const struct llm_bpe *b = c->bpe;
	llm_token made =
	    llm_strmap_find(&b->vocab->text, c->text + left->start, right->end - left->start);
	if (made < 0)
		return LLM_MERGE_NONE;
	*id = made;
	uint32_t i = b->first[made];
	while (i != LLM_MERGE_NONE && b->line[i].left != left->end - left->start)
		i = b->line[i].next;
	return i;
}

void
llm_bpe_merge(struct llm_merge *m, const struct llm_bpe *b, struct llm_gguf_str piece)
{
	const struct context c = {b, piece.s};
	for (size_t i = 0; i < piece.n; i++) {
		uint32_t at = (uint32_t)i;
		llm_token id = b->vocab->byte[(unsigned char)piece.s[i]];
		m->sym[i] = (struct llm_merge_sym){id, at, at + 1};
	}
	m->n = piece.n;
	llm_merge_run(m, pair_rank, &c);
}
