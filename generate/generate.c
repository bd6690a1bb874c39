/*
 * SPDX-License-Identifier: ISC
 *
 * One sequence: prefill in chunks, then a pass for each token and the guesses that follow it; see
 * generate.h.
 */
#include "generate/generate.h"

#include "generate/decode.h"
#include "libcore/clock.h"

#include <stdlib.h>
#include <string.h>

struct llm_generate {
	struct llm_pass *pass;
	const struct llm_model *model;
	struct llm_seq *seq;
	struct llm_ids ids; /* the tokens of positions [0, seq->n_pos), and what is to follow */
	struct llm_row *rows; /* [max_rows] */
	float *logits;        /* [1 + LLM_LOOKUP_MAX][n_vocab] */
	int max_rows;
};

static const char *const stop_names[] = {[LLM_GENERATE_END] = "end",
    [LLM_GENERATE_STRING] = "string",
    [LLM_GENERATE_LIMIT] = "limit",
    [LLM_GENERATE_CONTEXT] = "context",
    [LLM_GENERATE_CANCEL] = "cancel"};

const char *
llm_generate_stop_name(enum llm_generate_stop stop)
{
	return stop_names[stop];
}

int
llm_generate_n_ctx(const struct llm_generate *g)
{
	return g->seq->n_ctx;
}

struct llm_seq *
llm_generate_seq(struct llm_generate *g)
{
	return g->seq;
}

const llm_token *
llm_generate_done(size_t *n, const struct llm_generate *g)
{
	*n = (size_t)g->seq->n_pos;
	return g->ids.v;
}

/* The tokens known are those of ids. */
static int
ids_set(struct llm_generate *g, const llm_token *ids, size_t n, struct llm_err *err)
{
	g->ids.n = 0;
	if (llm_ids_reserve(&g->ids, n, err) < 0) {
		llm_seq_truncate(g->seq, 0);
		return LLM_ENOMEM;
	}
	if (n > 0)
		memcpy(g->ids.v, ids, n * sizeof *ids);
	g->ids.n = n;
	return 0;
}

int
llm_generate_warm(struct llm_generate *g, const llm_token *ids, struct llm_err *err)
{
	return ids_set(g, ids, (size_t)g->seq->n_pos, err);
}

int
llm_generate_check(const struct llm_generate *g, size_t n_prompt, struct llm_err *err)
{
	return llm_decode_check(
	    n_prompt, llm_generate_n_ctx(g), llm_gguf_path(g->model->gguf), err);
}

/* Positions of the prompt that are computed already; the last one's logits are always wanted anew. */
static int
agreeing(const struct llm_generate *g, const llm_token *prompt, size_t n_prompt)
{
	size_t n = 0, n_done = (size_t)g->seq->n_pos;
	while (n < n_done && n < n_prompt - 1 && g->ids.v[n] == prompt[n])
		n++;
	return (int)n;
}

/* The prompt from where it is new.  1 when it is all there, 0 when cancelled. */
static int
prefill(struct llm_generate *g, struct llm_decode *d, const struct llm_generate_request *r,
    struct llm_err *err)
{
	int n = d->n_prompt;
	for (int done = g->seq->n_pos; done < n; done = g->seq->n_pos) {
		int chunk = n - done < g->max_rows ? n - done : g->max_rows;
		if (r->cancel != NULL && r->cancel(r->context))
			return 0;
		int rc = llm_decode_stretch(g->rows, d, chunk, n - 1, err);
		if (rc >= 0)
			rc = llm_forward(
			    g->pass, g->rows, chunk, done + chunk == n ? g->logits : NULL, err);
		if (rc < 0)
			return rc;
		if (r->progress != NULL)
			r->progress(r->context, done + chunk);
	}
	return 1;
}

/* A pass for the token chosen last, and what is guessed after it. */
static int
advance(struct llm_generate *g, struct llm_decode *d, struct llm_err *err)
{
	int rc, n;
	do {
		if ((n = llm_decode_next(g->rows, d, g->max_rows, 0, err)) < 0)
			return n;
		double start = d->priced ? llm_clock_s() : 0;
		rc = llm_forward(g->pass, g->rows, n, g->logits, err);
		if (d->priced)
			llm_lookup_cost(&d->lookup, n, llm_clock_s() - start);
	} while (rc == LLM_ENOTFINITE && llm_decode_failed(d));
	return rc;
}

/* All of an answer.  1: it has ended; 0: it was cancelled. */
static int
answer(enum llm_generate_stop *stop, struct llm_generate *g, struct llm_decode *d,
    const struct llm_generate_request *r, struct llm_err *err)
{
	int rc = prefill(g, d, r, err);
	while (rc > 0) {
		if ((rc = llm_decode_take(stop, d, g->logits, err)) <= 0)
			return rc < 0 ? rc : 1;
		if (r->cancel != NULL && r->cancel(r->context))
			return 0;
		if ((rc = advance(g, d, err)) >= 0)
			rc = 1;
	}
	return rc;
}

int
llm_generate_run(struct llm_generate_result *out, struct llm_generate *g,
    const struct llm_generate_request *request, struct llm_err *err)
{
	struct llm_answer_params params = *request->answer;
	struct llm_decode d = {.seq = g->seq,
	    .ids = &g->ids,
	    .model_name = llm_gguf_path(g->model->gguf),
	    .n_vocab = g->model->config.n_vocab,
	    .n_prompt = (int)request->n_prompt,
	    .n_max = request->n_max,
	    .n_draft = request->n_draft};
	params.n_vocab = d.n_vocab;
	int rc = llm_generate_check(g, request->n_prompt, err);
	if (rc >= 0)
		rc = llm_answer_new(&d.answer, &params, err);
	if (rc < 0)
		return rc;
	int n_kept = agreeing(g, request->prompt, request->n_prompt);
	*out = (struct llm_generate_result){
	    .stop = LLM_GENERATE_LIMIT, .n_prompt = d.n_prompt, .n_kept = n_kept};
	if (request->n_max != 0) {
		llm_seq_truncate(g->seq, n_kept);
		rc = ids_set(g, request->prompt, request->n_prompt, err);
		if (rc >= 0 && (rc = answer(&out->stop, g, &d, request, err)) == 0)
			out->stop = LLM_GENERATE_CANCEL;
	}
	out->n_draft = d.n_all;
	out->n_right = d.n_right;
	llm_answer_cut(d.answer); /* what still waits goes out, after an error too */
	out->n_out = llm_answer_n_out(d.answer);
	llm_answer_free(d.answer);
	return rc < 0 ? rc : 0;
}

int
llm_generate_new(
    struct llm_generate **out, struct llm_pass *pass, int n_ctx, struct llm_err *err)
{
	struct llm_generate *g = calloc(1, sizeof *g);
	if (g == NULL)
		return llm_err_nomem(err, sizeof *g);
	g->pass = pass;
	g->model = llm_pass_model(pass);
	g->max_rows = llm_pass_max_rows(pass);
	const struct llm_config *c = &g->model->config;
	if (n_ctx <= 0 || n_ctx > c->n_ctx)
		n_ctx = c->n_ctx;
	g->rows = calloc((size_t)g->max_rows, sizeof *g->rows);
	g->logits = calloc((size_t)c->n_vocab * (1 + LLM_LOOKUP_MAX), sizeof *g->logits);
	int rc = g->rows == NULL || g->logits == NULL
		     ? llm_err_nomem(err, (size_t)c->n_vocab * sizeof *g->logits)
		     : llm_seq_new(&g->seq, c, llm_pass_kv_type(pass), n_ctx, err);
	if (rc < 0) {
		llm_generate_free(g);
		return rc;
	}
	*out = g;
	return 0;
}

void
llm_generate_free(struct llm_generate *g)
{
	if (g == NULL)
		return;
	llm_seq_free(g->seq);
	llm_ids_free(&g->ids);
	free(g->rows);
	free(g->logits);
	free(g);
}
