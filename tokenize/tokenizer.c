/*
 * SPDX-License-Identifier: ISC
 *
 * A tokenizer is opened from a file, and says what it knows of its tokens; see tokenizer.h.
 */
#include "tokenize/tokenizer.h"

#include "tokenize/index.h"
#include "tokenize/tokenizer_private.h"

#include <stdlib.h>
#include <string.h>

/* Ids that the publisher gives these tokens whatever a file names them. */
enum { LLAMA3_BOS = 128000, LLAMA3_EOS = 128001, LLAMA3_EOM = 128008, LLAMA3_EOT = 128009 };

/* The Llama 3 vocabulary, by its size and the name of its first control token. */
static bool
is_llama3(const struct llm_tokenizer *t)
{
	static const char name[] = "<|begin_of_text|>";
	const struct llm_vocab *v = &t->vocab;
	return t->kind == LLM_TOKENIZER_BPE && t->rule == LLM_SPLIT_LLAMA3 &&
	       v->n > LLAMA3_EOT && v->type[LLAMA3_BOS] == LLM_VOCAB_CONTROL &&
	       v->off[LLAMA3_BOS + 1] - v->off[LLAMA3_BOS] == sizeof name - 1 &&
	       memcmp(v->bytes + v->off[LLAMA3_BOS], name, sizeof name - 1) == 0;
}

/* "PATH: KEY is VALUE, not one that is known (WHAT)". */
static int
unknown_value(const struct llm_gguf *g, const char *key, struct llm_gguf_str value,
    const char *known, struct llm_err *err)
{
	char quoted[64];
	return llm_err_set(err, LLM_EUNSUPPORTED,
	    "%s: %s is %s, which is not known; known are %s", llm_gguf_path(g), key,
	    llm_err_quote(quoted, sizeof quoted, value.s, value.n), known);
}

static struct llm_index_tables
tables_of(struct llm_tokenizer *t)
{
	bool spm = t->kind == LLM_TOKENIZER_SPM;
	return (struct llm_index_tables){&t->vocab, spm ? NULL : &t->bpe, spm ? &t->spm : NULL};
}

/* The vocabulary and its ranks, from g or from an index of it; LLM_ENOINPUT where that is not good. */
static int
tables_open(
    struct llm_tokenizer *t, const struct llm_gguf *g, const char *index, struct llm_err *err)
{
	bool spm = t->kind == LLM_TOKENIZER_SPM;
	enum llm_vocab_spelling spelling = spm ? LLM_VOCAB_SPM : LLM_VOCAB_GPT2;
	struct llm_index_tables tables = tables_of(t);
	if (index != NULL)
		return llm_index_open(&t->index, &tables, g, spelling, index) ? 0
									      : LLM_ENOINPUT;
	int rc = llm_vocab_read(&t->vocab, g, spelling, err);
	if (rc < 0)
		return rc;
	return spm ? llm_spm_read(&t->spm, &t->vocab, g, err)
		   : llm_bpe_read(&t->bpe, &t->vocab, g, err);
}

static int
bpe_open(
    struct llm_tokenizer *t, const struct llm_gguf *g, const char *index, struct llm_err *err)
{
	static const char key[] = "tokenizer.ggml.pre";
	struct llm_gguf_str pre;
	bool prefix = false;
	int rc = llm_gguf_str(&pre, g, key, err);
	if (rc == 0)
		return llm_err_set(err, LLM_EUNSUPPORTED,
		    "%s: key %s is missing, so the pre-token rule is not known",
		    llm_gguf_path(g), key);
	if (rc < 0 ||
	    (rc = llm_gguf_bool(&prefix, g, "tokenizer.ggml.add_space_prefix", err)) < 0)
		return rc;
	if (!llm_split_named(&t->rule, pre))
		return unknown_value(
		    g, key, pre, "llama-bpe, llama3, llama-v3, gpt-2 and smollm", err);
	if (prefix)
		return llm_err_set(err, LLM_EUNSUPPORTED,
		    "%s: byte-level BPE with tokenizer.ggml.add_space_prefix is not supported",
		    llm_gguf_path(g));
	return tables_open(t, g, index, err);
}

static int
spm_open(
    struct llm_tokenizer *t, const struct llm_gguf *g, const char *index, struct llm_err *err)
{
	bool squeeze = false;
	t->kind = LLM_TOKENIZER_SPM;
	t->space_prefix = true;
	int rc = llm_gguf_bool(&t->space_prefix, g, "tokenizer.ggml.add_space_prefix", err);
	if (rc >= 0)
		rc = llm_gguf_bool(&squeeze, g, "tokenizer.ggml.remove_extra_whitespaces", err);
	if (rc < 0)
		return rc;
	if (squeeze || llm_gguf_key(g, "tokenizer.ggml.precompiled_charsmap") != NULL)
		return llm_err_set(err, LLM_EUNSUPPORTED,
		    "%s: a SentencePiece model that normalises its text is not supported",
		    llm_gguf_path(g));
	return tables_open(t, g, index, err);
}

/* The kind that the file names, and all that belongs to it. */
static int
kind_open(
    struct llm_tokenizer *t, const struct llm_gguf *g, const char *index, struct llm_err *err)
{
	static const char key[] = "tokenizer.ggml.model";
	struct llm_gguf_str model;
	int rc = llm_gguf_str(&model, g, key, err);
	if (rc == 0)
		return llm_err_set(err, LLM_EDATA, "%s: key %s is missing: no vocabulary",
		    llm_gguf_path(g), key);
	if (rc < 0)
		return rc;
	if (model.n == 4 && memcmp(model.s, "gpt2", 4) == 0)
		return bpe_open(t, g, index, err);
	if (model.n == 5 && memcmp(model.s, "llama", 5) == 0)
		return spm_open(t, g, index, err);
	return unknown_value(g, key, model, "gpt2 and llama", err);
}

static int
tokenizer_open(struct llm_tokenizer **out, const struct llm_gguf *g, const char *index,
    struct llm_err *err)
{
	struct llm_tokenizer *t = calloc(1, sizeof *t);
	if (t == NULL)
		return llm_err_nomem(err, sizeof *t);
	t->gguf = g;
	int rc = kind_open(t, g, index, err);
	if (rc < 0)
		goto fail;
	if ((rc = llm_special_new(&t->added, &t->vocab, false, err)) < 0 ||
	    (rc = llm_special_new(&t->all, &t->vocab, true, err)) < 0)
		goto fail;
	t->llama3 = is_llama3(t);
	if (t->llama3 && t->vocab.bos < 0)
		t->vocab.bos = LLAMA3_BOS;
	/* The publisher looks a whole piece up first; the others only merge. */
	bool lookup = t->kind == LLM_TOKENIZER_BPE && t->rule == LLM_SPLIT_LLAMA3;
	if (!lookup && (t->whole = calloc((size_t)t->vocab.n, sizeof *t->whole)) == NULL) {
		rc = llm_err_nomem(err, (size_t)t->vocab.n);
		goto fail;
	}
	t->adds_bos = t->kind == LLM_TOKENIZER_SPM || t->llama3;
	if ((rc = llm_gguf_bool(&t->adds_bos, g, "tokenizer.ggml.add_bos_token", err)) < 0)
		goto fail;
	t->adds_bos = t->adds_bos && t->vocab.bos >= 0;
	*out = t;
	return 0;
fail:
	llm_tokenizer_close(t);
	return rc;
}

int
llm_tokenizer_open(struct llm_tokenizer **out, const struct llm_gguf *g, struct llm_err *err)
{
	return tokenizer_open(out, g, NULL, err);
}

int
llm_tokenizer_open_index(struct llm_tokenizer **out, const struct llm_gguf *g,
    const char *index, struct llm_err *err)
{
	int rc = tokenizer_open(out, g, index, err);
	return rc == LLM_ENOINPUT ? 0 : rc < 0 ? rc : 1;
}

const struct llm_map *
llm_tokenizer_indexed(const struct llm_tokenizer *t)
{
	return t->index.data != NULL ? &t->index : NULL;
}

int
llm_tokenizer_index(
    const struct llm_tokenizer *t, const char *path, unsigned mode, struct llm_err *err)
{
	/* Read, though the type says otherwise: it is that of what an index is opened into. */
	struct llm_index_tables tables = tables_of((struct llm_tokenizer *)(uintptr_t)t);
	return llm_index_write(path, &tables, t->gguf, mode, err);
}

bool
llm_tokenizer_index_name(struct llm_hash *out, const struct llm_gguf *g)
{
	return llm_index_name(out, g);
}

void
llm_tokenizer_close(struct llm_tokenizer *t)
{
	if (t == NULL)
		return;
	llm_special_free(&t->added);
	llm_special_free(&t->all);
	if (t->index.data != NULL) {
		llm_map_close(&t->index);
	} else {
		llm_bpe_free(&t->bpe);
		llm_spm_free(&t->spm);
		llm_vocab_free(&t->vocab);
	}
	free(t->whole);
	free(t);
}

bool
llm_tokenizer_piece(struct llm_gguf_str *out, const struct llm_tokenizer *t, llm_token id)
{
	if (id < 0 || id >= t->vocab.n)
		return false;
	out->s = t->vocab.bytes + t->vocab.off[id];
	out->n = t->vocab.off[id + 1] - t->vocab.off[id];
	return true;
}

bool
llm_tokenizer_is_control(const struct llm_tokenizer *t, llm_token id)
{
	if (id < 0 || id >= t->vocab.n)
		return false;
	unsigned char type = t->vocab.type[id];
	return type == LLM_VOCAB_CONTROL || type == LLM_VOCAB_UNKNOWN ||
	       type == LLM_VOCAB_UNUSED;
}

bool
llm_tokenizer_space_prefix(const struct llm_tokenizer *t)
{
	return t->space_prefix;
}

enum llm_tokenizer_kind
llm_tokenizer_kind(const struct llm_tokenizer *t)
{
	return t->kind;
}

int
llm_tokenizer_n_vocab(const struct llm_tokenizer *t)
{
	return t->vocab.n;
}

llm_token
llm_tokenizer_bos(const struct llm_tokenizer *t)
{
	return t->vocab.bos;
}

llm_token
llm_tokenizer_eos(const struct llm_tokenizer *t)
{
	return t->vocab.eos;
}

bool
llm_tokenizer_adds_bos(const struct llm_tokenizer *t)
{
	return t->adds_bos;
}

bool
llm_tokenizer_is_end(const struct llm_tokenizer *t, llm_token id)
{
	const struct llm_vocab *v = &t->vocab;
	if (id < 0)
		return false;
	return id == v->eos || id == v->eot || id == v->eom ||
	       (t->llama3 && (id == LLAMA3_EOS || id == LLAMA3_EOM || id == LLAMA3_EOT));
}

llm_token
llm_tokenizer_control(const struct llm_tokenizer *t, const char *name)
{
	llm_token id = llm_strmap_find(&t->vocab.special, name, strlen(name));
	return id >= 0 && t->vocab.type[id] == LLM_VOCAB_CONTROL ? id : -1;
}
