/*
 * SPDX-License-Identifier: ISC
 *
 * Opening an embedder, and texts on their way through it; see embedder.h.
 */
#include "embed/embedder.h"

#include "embed/embedder_private.h"
#include "libcore/ident.h"
#include "libcore/size.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Opening. */

static int
encoder_open(struct llm_embedder *e, struct llm_gguf *g, struct llm_err *err)
{
	int rc = llm_encoder_open(&e->encoder, g, err);
	if (rc < 0) {
		llm_gguf_close(g);
		return rc;
	}
	e->gguf = g;
	e->n_embd = e->encoder->config.n_embd;
	e->n_ctx = e->encoder->config.n_ctx;
	e->pooling = e->encoder->config.pooling;
	return 0;
}

static int
encoder_start(struct llm_embedder *e, struct llm_err *err)
{
	const struct llm_encoding_params params = {.kernels = e->params.kernels,
	    .n_thread = e->params.n_thread,
	    .precise = e->params.precise};
	int rc = 0;
	if (e->wordpiece == NULL && (rc = llm_wordpiece_open(&e->wordpiece, e->gguf, err)) < 0)
		return rc;
	if (llm_wordpiece_n_vocab(e->wordpiece) > e->encoder->config.n_vocab || e->n_ctx < 3)
		return llm_err_set(err, LLM_EDATA,
		    "%s: %d tokens of vocabulary, %d embeddings, texts of %d: no encoder",
		    llm_gguf_path(e->gguf), llm_wordpiece_n_vocab(e->wordpiece),
		    e->encoder->config.n_vocab, e->n_ctx);
	return llm_encoding_new(&e->encoding, e->encoder, &params, err);
}

/* How a Llama file wants its tokens pooled, where it says so. */
static int
pooling_read(struct llm_embedder *e, struct llm_err *err)
{
	uint32_t v = LLM_POOLING_FILE;
	int rc = llm_gguf_u32(&v, e->gguf, "llama.pooling_type", err);
	if (rc < 0)
		return rc;
	if (v > LLM_POOLING_LAST)
		return llm_err_set(err, LLM_EUNSUPPORTED,
		    "%s: key llama.pooling_type is %u; known are 1 mean, 2 first and 3 last",
		    llm_gguf_path(e->gguf), (unsigned)v);
	e->pooling = (enum llm_pooling)v;
	return 0;
}

static int
llama_open(struct llm_embedder *e, const char *path, struct llm_err *err)
{
	int rc = llm_model_open(&e->model, path, err);
	if (rc < 0)
		return rc;
	e->gguf = e->model->gguf;
	e->n_embd = e->model->config.n_embd;
	e->n_ctx = e->model->config.n_ctx;
	return pooling_read(e, err);
}

static int
llama_start(struct llm_embedder *e, struct llm_err *err)
{
	const struct llm_pass_params params = {.kernels = e->params.kernels,
	    .n_thread = e->params.n_thread,
	    .max_rows = e->params.max_rows,
	    .precise = e->params.precise};
	int rc = 0;
	if ((e->tokenizer == NULL &&
		(rc = llm_tokenizer_open(&e->tokenizer, e->gguf, err)) < 0) ||
	    (e->pass == NULL && (rc = llm_pass_new(&e->pass, e->model, &params, err)) < 0))
		return rc;
	size_t n = (size_t)llm_pass_max_rows(e->pass) * (size_t)e->n_embd;
	e->hidden = calloc(n, sizeof *e->hidden);
	return e->hidden != NULL ? 0 : llm_err_nomem(err, n * sizeof *e->hidden);
}

int
llm_embedder_start(struct llm_embedder *e, struct llm_err *err)
{
	if (e->encoding != NULL || e->hidden != NULL)
		return 0;
	return e->encoder != NULL ? encoder_start(e, err) : llama_start(e, err);
}

int
llm_embedder_open(struct llm_embedder **out, const char *path,
    const struct llm_embedder_params *params, struct llm_err *err)
{
	struct llm_gguf *g;
	struct llm_embedder *e = calloc(1, sizeof *e);
	if (e == NULL)
		return llm_err_nomem(err, sizeof *e);
	e->params = *params;
	int rc = 0;
	if (e->params.kernels == NULL)
		rc = llm_kernels_get(&e->params.kernels, NULL, err);
	if (rc == 0)
		rc = llm_gguf_open(&g, path, err);
	if (rc < 0) {
		free(e);
		return rc;
	}
	if (llm_encoder_is(g)) {
		rc = encoder_open(e, g, err);
	} else {
		llm_gguf_close(g);
		rc = llama_open(e, path, err);
	}
	if (rc < 0) {
		llm_embedder_close(e);
		return rc;
	}
	if (params->pooling != LLM_POOLING_FILE)
		e->pooling = params->pooling;
	if (e->pooling == LLM_POOLING_FILE)
		e->pooling = LLM_POOLING_MEAN;
	*out = e;
	return 0;
}

void
llm_embedder_close(struct llm_embedder *e)
{
	if (e == NULL)
		return;
	llm_encoding_free(e->encoding);
	llm_wordpiece_close(e->wordpiece);
	llm_encoder_close(e->encoder);
	llm_pass_free(e->pass);
	llm_tokenizer_close(e->tokenizer);
	llm_model_close(e->model);
	free(e->hidden);
	free(e);
}

const struct llm_gguf *
llm_embedder_gguf(const struct llm_embedder *e)
{
	return e->gguf;
}

bool
llm_embedder_is_encoder(const struct llm_embedder *e)
{
	return e->encoder != NULL;
}

int
llm_embedder_n_embd(const struct llm_embedder *e)
{
	return e->n_embd;
}

int
llm_embedder_n_ctx(const struct llm_embedder *e)
{
	return e->n_ctx;
}

enum llm_pooling
llm_embedder_pooling(const struct llm_embedder *e)
{
	return e->pooling;
}

bool
llm_embedder_normalized(const struct llm_embedder *e)
{
	return !e->params.plain;
}

int
llm_embedder_n_thread(const struct llm_embedder *e)
{
	return e->encoding != NULL ? llm_encoding_n_thread(e->encoding)
	       : e->pass != NULL   ? llm_pass_n_thread(e->pass)
				   : e->params.n_thread;
}

int
llm_embedder_id(unsigned char id[16], const struct llm_embedder *e, struct llm_err *err)
{
	struct llm_hash hash;
	int rc = llm_ident(&hash, e->gguf, e->params.n_thread, err);
	if (rc == 0)
		memcpy(id, hash.b, sizeof hash.b);
	return rc;
}

/* Running. */

/* The ids of one text, put behind those that there are. */
static int
text_encode(struct llm_ids *ids, const struct llm_embedder *e, const struct llm_embed_text *t,
    struct llm_err *err)
{
	if (e->wordpiece != NULL)
		return llm_wordpiece_encode(ids, e->wordpiece, t->s, t->n, err);
	llm_token bos = llm_tokenizer_bos(e->tokenizer);
	if (llm_tokenizer_adds_bos(e->tokenizer)) {
		int rc = llm_ids_push(ids, bos, err);
		if (rc < 0)
			return rc;
	}
	return llm_tokenizer_encode(ids, e->tokenizer, t->s, t->n, LLM_TOKENIZE_REPLACE, err);
}

/* Ids of one text to what a pass takes of them: the whole, the head, or nothing and a status. */
static int
text_fit(
    struct llm_ids *ids, size_t from, const struct llm_embedder *e, struct llm_embed_text *t)
{
	size_t n = ids->n - from, room = (size_t)e->n_ctx;
	t->n_tok = n < INT_MAX ? (int)n : INT_MAX;
	t->status = n == 0 ? LLM_EDATA : n > room && !e->params.cut ? LLM_ETOOLONG : 0;
	if (t->status < 0) {
		ids->n = from;
	} else if (n > room) {
		/* An encoder's text ends by [SEP] wherever it ends. */
		if (e->wordpiece != NULL)
			ids->v[from + room - 1] = ids->v[ids->n - 1];
		ids->n = from + room;
	}
	return (int)(ids->n - from);
}

/* Longest first; then as they came. */
static int
by_length(const void *a, const void *b)
{
	const struct llm_embed_item *x = a, *y = b;
	if (x->n != y->n)
		return x->n > y->n ? -1 : 1;
	return x->text < y->text ? -1 : x->text > y->text;
}

int
llm_embedder_run(float *y, struct llm_embedder *e, struct llm_embed_text *text, int n_text,
    struct llm_err *err)
{
	struct llm_ids ids = {0};
	size_t n_embd = (size_t)e->n_embd, at = 0;
	int rc = 0, n = 0;
	if (n_text <= 0)
		return 0;
	if ((rc = llm_embedder_start(e, err)) < 0)
		return rc;
	struct llm_embed_item *item = calloc((size_t)n_text, sizeof *item);
	if (item == NULL)
		return llm_err_nomem(err, (size_t)n_text * sizeof *item);
	memset(y, 0, (size_t)n_text * n_embd * sizeof *y);
	for (int i = 0; i < n_text && rc >= 0; i++) {
		size_t from = ids.n;
		rc = text_encode(&ids, e, &text[i], err);
		if (rc == LLM_ENOMEM)
			break;
		text[i].status = rc;
		if (rc < 0) {
			ids.n = from;
			rc = 0;
			continue;
		}
		int n_tok = text_fit(&ids, from, e, &text[i]);
		if (n_tok > 0)
			item[n++] = (struct llm_embed_item){
			    &text[i], y + (size_t)i * n_embd, NULL, n_tok};
	}
	/* The list has stopped growing, and moving. */
	for (int i = 0; i < n; at += (size_t)item[i++].n)
		item[i].id = ids.v + at;
	qsort(item, (size_t)n, sizeof *item, by_length);
	for (int i = 0, done; i < n && rc >= 0; i += done)
		rc = done = llm_embedder_pass(e, item + i, n - i, err);
	free(item);
	llm_ids_free(&ids);
	return rc < 0 ? rc : 0;
}
