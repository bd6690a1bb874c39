/*
 * SPDX-License-Identifier: ISC
 *
 * Passes of an embedder: as many texts together as one takes, and each text's vectors pooled.
 */
#include "embed/embedder_private.h"

#include "embed/pooling.h"

#include <stdlib.h>
#include <string.h>

/* A text's vector is done; without one it is zeros. */
static void
item_end(const struct llm_embedder *e, struct llm_embed_item *item, int status)
{
	if (status >= 0)
		status = llm_pooling_end(item->y, e->pooling, e->n_embd, item->n,
		    !e->params.plain, e->params.kernels->vector);
	if (status < 0)
		memset(item->y, 0, (size_t)e->n_embd * sizeof *item->y);
	item->text->status = status;
}

/* Items whose tokens fit one pass of max rows: at least the first. */
static int
together(const struct llm_embed_item *item, int n, int max)
{
	int rows = item[0].n, count = 1;
	while (count < n && item[count].n <= max - rows)
		rows += item[count++].n;
	return count;
}

/* The encoder. */

static int
encode_pass(struct llm_embedder *e, struct llm_embed_item *item, int n, struct llm_err *err)
{
	const float *x;
	struct llm_encode_text *text = calloc((size_t)n, sizeof *text);
	if (text == NULL)
		return llm_err_nomem(err, (size_t)n * sizeof *text);
	for (int i = 0; i < n; i++)
		text[i] = (struct llm_encode_text){item[i].id, item[i].n};
	int rc = llm_encode(&x, e->encoding, text, n, err);
	for (int i = 0; i < n && rc >= 0; i++) {
		struct llm_pooling_rows rows = {x, item[i].n, e->n_embd, 0, item[i].n};
		llm_pooling_add(item[i].y, e->pooling, &rows, e->params.kernels->vector);
		item_end(e, &item[i], 0);
		x += (size_t)item[i].n * (size_t)e->n_embd;
	}
	free(text);
	return rc;
}

/* The Llama pass. */

/* Rows of one text from token at on: at most max; which of them the pooling looks at. */
static int
rows_put(struct llm_row *row, const struct llm_embedder *e, const struct llm_embed_item *item,
    struct llm_seq *seq, int at, int max)
{
	int n = item->n - at < max ? item->n - at : max;
	for (int i = 0; i < n; i++)
		row[i] = (struct llm_row){.seq = seq,
		    .token = item->id[at + i],
		    .pos = at + i,
		    .logits = e->pooling == LLM_POOLING_MEAN ||
			      (e->pooling == LLM_POOLING_FIRST && at + i == 0) ||
			      (e->pooling == LLM_POOLING_LAST && at + i == item->n - 1)};
	return n;
}

/* Pools what the wanted ones of n rows gave; returns how many those were. */
static int
rows_pool(const struct llm_embedder *e, const struct llm_embed_item *item,
    const struct llm_row *row, int n, const float *x)
{
	int wanted = 0;
	for (int i = 0; i < n; i++)
		wanted += row[i].logits;
	/* All of them, or the one that the pooling takes. */
	bool mean = e->pooling == LLM_POOLING_MEAN;
	struct llm_pooling_rows rows = {.x = x,
	    .n_row = wanted,
	    .n_embd = e->n_embd,
	    .seen = mean ? row[0].pos : 0,
	    .n_tok = mean ? item->n : 1};
	llm_pooling_add(item->y, e->pooling, &rows, e->params.kernels->vector);
	return wanted;
}

/* n texts of max rows in all, or one of more, in pieces. */
static int
forward_pass(struct llm_embedder *e, struct llm_embed_item *item, int n, struct llm_err *err)
{
	int max = llm_pass_max_rows(e->pass), rc = 0;
	struct llm_row *row = calloc((size_t)max, sizeof *row);
	struct llm_seq **seq = calloc((size_t)n, sizeof *seq);
	if (row == NULL || seq == NULL)
		rc = llm_err_nomem(err, (size_t)max * sizeof *row);
	for (int i = 0; i < n && rc >= 0; i++) {
		memset(item[i].y, 0, (size_t)e->n_embd * sizeof *item[i].y);
		rc = llm_seq_new(
		    &seq[i], &e->model->config, llm_pass_kv_type(e->pass), item[i].n, err);
		if (rc >= 0)
			rc = llm_seq_reserve(seq[i], item[i].n, err);
	}
	for (int at = 0; rc >= 0 && at < item[0].n; at += max) {
		int n_row = 0, from = 0;
		for (int i = 0; i < n; i++)
			n_row += rows_put(row + n_row, e, &item[i], seq[i], at, max - n_row);
		if (e->params.between != NULL)
			e->params.between(e->params.context);
		rc = llm_forward_hidden(e->pass, row, n_row, e->hidden, err);
		const float *x = e->hidden;
		for (int i = 0; i < n && rc >= 0; i++) {
			int m = item[i].n - at < max ? item[i].n - at : max;
			x += (size_t)rows_pool(e, &item[i], row + from, m, x) *
			     (size_t)e->n_embd;
			from += m;
		}
		if (n > 1)
			break;
	}
	for (int i = 0; i < n && seq != NULL; i++) {
		if (rc >= 0)
			item_end(e, &item[i], 0);
		llm_seq_free(seq[i]);
	}
	free(seq);
	free(row);
	return rc;
}

int
llm_embedder_pass(
    struct llm_embedder *e, struct llm_embed_item *item, int n, struct llm_err *err)
{
	int (*pass)(struct llm_embedder *, struct llm_embed_item *, int, struct llm_err *) =
	    e->encoding != NULL ? encode_pass : forward_pass;
	n = together(item, n,
	    e->encoding != NULL ? llm_encoding_max_tok(e->encoding)
				: llm_pass_max_rows(e->pass));
	int rc = pass(e, item, n, err);
	/* One text is to blame, and the others are not to suffer. */
	for (int i = 0; rc == LLM_ENOTFINITE && i < n && n > 1; i++) {
		int alone = pass(e, &item[i], 1, err);
		if (alone < 0 && alone != LLM_ENOTFINITE)
			return alone;
		if (alone < 0)
			item_end(e, &item[i], alone);
	}
	if (rc == LLM_ENOTFINITE && n == 1)
		item_end(e, item, rc);
	return rc < 0 && rc != LLM_ENOTFINITE ? rc : n;
}
