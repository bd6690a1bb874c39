/*
 * SPDX-License-Identifier: ISC
 *
 * One sequence: prefill in chunks, then a pass for each token and the guesses that follow it; see
 * generate.h.  A guess is kept where it is what would have been chosen anyway, so guessing changes no
 * byte: each row's logits depend on the tokens before it alone, and the sampler sees them in order.
 */
#include "generate/generate.h"

#include "generate/lookup.h"
#include "libcore/size.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct llm_generate {
	struct llm_pass *pass;
	const struct llm_model *model;
	struct llm_seq *seq;
	struct llm_ids done;  /* the tokens of positions [0, seq->n_pos) */
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
	*n = g->done.n;
	return g->done.v;
}

int
llm_generate_warm(struct llm_generate *g, const llm_token *ids, struct llm_err *err)
{
	size_t n = (size_t)g->seq->n_pos;
	g->done.n = 0;
	if (llm_ids_reserve(&g->done, n, err) < 0) {
		llm_seq_truncate(g->seq, 0);
		return LLM_ENOMEM;
	}
	if (n > 0)
		memcpy(g->done.v, ids, n * sizeof *ids);
	g->done.n = n;
	return 0;
}

int
llm_generate_admits(const struct llm_model *m, int n_ctx, size_t n_prompt, struct llm_err *err)
{
	if (n_prompt == 0)
		return llm_err_set(
		    err, LLM_EDATA, "an empty prompt: there is nothing to go on from");
	if (n_prompt >= (size_t)n_ctx)
		return llm_err_set(err, LLM_ETOOLONG,
		    "the prompt has %zu tokens, and the context of %s holds %d, the answer "
		    "included; "
		    "--fit head, tail or middle keeps a part",
		    n_prompt, llm_gguf_path(m->gguf), n_ctx);
	return 0;
}

int
llm_generate_check(const struct llm_generate *g, size_t n_prompt, struct llm_err *err)
{
	return llm_generate_admits(g->model, llm_generate_n_ctx(g), n_prompt, err);
}

/* Positions of the prompt that are computed already; the last one's logits are always wanted anew. */
static int
agreeing(const struct llm_generate *g, const llm_token *prompt, size_t n_prompt)
{
	size_t n = 0;
	while (n < g->done.n && n < n_prompt - 1 && g->done.v[n] == prompt[n])
		n++;
	return (int)n;
}

/* Computes ids[0..n) from where the sequence ends, with the logits of the last n_logits. */
static int
advance(struct llm_generate *g, const llm_token *ids, int n, int n_logits, struct llm_err *err)
{
	int rc, pos = g->seq->n_pos;
	if ((rc = llm_seq_reserve(g->seq, pos + n, err)) < 0 ||
	    (rc = llm_ids_reserve(&g->done, (size_t)n, err)) < 0)
		return rc;
	for (int i = 0; i < n; i++)
		g->rows[i] = (struct llm_row){.seq = g->seq,
		    .token = ids[i],
		    .pos = pos + i,
		    .logits = i >= n - n_logits};
	if ((rc = llm_forward(g->pass, g->rows, n, n_logits > 0 ? g->logits : NULL, err)) < 0)
		return rc;
	memcpy(g->done.v + g->done.n, ids, (size_t)n * sizeof *ids);
	g->done.n += (size_t)n;
	return 0;
}

/* The prompt from where it is new.  1 when it is all there, 0 when cancelled. */
static int
prefill(struct llm_generate *g, const struct llm_generate_request *r, struct llm_err *err)
{
	int n = (int)r->n_prompt;
	for (int done = g->seq->n_pos; done < n;) {
		int chunk = n - done < g->max_rows ? n - done : g->max_rows;
		if (r->cancel != NULL && r->cancel(r->context))
			return 0;
		int rc = advance(g, r->prompt + done, chunk, done + chunk == n ? 1 : 0, err);
		if (rc < 0)
			return rc;
		done += chunk;
		if (r->progress != NULL)
			r->progress(r->context, done);
	}
	return 1;
}

static double
seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Guesses that are computed but not yet chosen. */
struct draft {
	struct llm_lookup lookup;
	llm_token ids[1 + LLM_LOOKUP_MAX]; /* the token chosen last, then n guesses */
	int n, right;
	int n_all, right_all; /* of the whole answer */
};

/* Forgets the guesses that were not right. */
static void
draft_drop(struct llm_generate *g, struct draft *d)
{
	int wrong = d->n - d->right;
	if (d->n > 0)
		llm_lookup_result(&d->lookup, d->n, d->right);
	llm_seq_truncate(g->seq, g->seq->n_pos - wrong);
	g->done.n -= (size_t)wrong;
	d->n = d->right = 0;
}

/* Computes the chosen token and what lookup guesses after it, max tokens at most. */
static int
draft_advance(
    struct llm_generate *g, struct draft *d, llm_token token, int max, struct llm_err *err)
{
	int rc = llm_ids_reserve(&g->done, 1, err);
	if (rc < 0)
		return rc;
	d->ids[0] = g->done.v[g->done.n] = token;
	d->n = max > 0 ? llm_lookup_guess(&d->lookup, d->ids + 1, max, g->done.v, g->done.n + 1)
		       : 0;
	double start = max > 0 ? seconds() : 0;
	rc = advance(g, d->ids, 1 + d->n, 1 + d->n, err);
	if (max > 0)
		llm_lookup_cost(&d->lookup, 1 + d->n, seconds() - start);
	if (rc == LLM_ENOTFINITE && d->n > 0) {
		/* Perhaps only for a guess that would never have been chosen. */
		d->n = 0;
		rc = advance(g, d->ids, 1, 1, err);
	}
	d->n_all += d->n;
	return rc;
}

/* How many guesses a pass may carry, with so many tokens of the answer there. */
static int
draft_room(const struct llm_generate *g, const struct llm_generate_request *r, int n)
{
	int room = r->n_draft < LLM_LOOKUP_MAX ? r->n_draft : LLM_LOOKUP_MAX;
	if (room > g->max_rows - 1)
		room = g->max_rows - 1;
	if (room > g->seq->n_ctx - g->seq->n_pos - 2)
		room = g->seq->n_ctx - g->seq->n_pos - 2;
	if (r->n_max >= 0 && room > r->n_max - n - 1)
		room = r->n_max - n - 1;
	return room;
}

/* Token after token; the logits of the first are there.  Returns why it ended. */
static int
decode(struct llm_generate *g, struct llm_answer *a, const struct llm_generate_request *r,
    struct draft *d, struct llm_err *err)
{
	for (;;) {
		llm_token token;
		float *logits = g->logits + (size_t)d->right * (size_t)g->model->config.n_vocab;
		int pos = g->seq->n_pos - (d->n - d->right);
		int rc = llm_answer_choose(&token, a, logits, pos, err);
		if (rc >= 0)
			rc = llm_answer_accept(a, token, err);
		if (rc < 0)
			return rc;
		if (llm_answer_state(a) == LLM_ANSWER_END)
			return LLM_GENERATE_END;
		if (llm_answer_state(a) == LLM_ANSWER_STRING)
			return LLM_GENERATE_STRING;
		if (r->n_max >= 0 && llm_answer_n(a) >= r->n_max)
			return LLM_GENERATE_LIMIT;
		if (r->n_prompt + (size_t)llm_answer_n(a) >= (size_t)g->seq->n_ctx)
			return LLM_GENERATE_CONTEXT;
		if (r->cancel != NULL && r->cancel(r->context))
			return LLM_GENERATE_CANCEL;
		if (d->right < d->n && d->ids[1 + d->right] == token) {
			d->right++;
			d->right_all++;
			continue;
		}
		draft_drop(g, d);
		rc = draft_advance(g, d, token, draft_room(g, r, llm_answer_n(a)), err);
		if (rc < 0)
			return rc;
	}
}

/* A message that does not say which model it was about is made to. */
static int
name_model(const struct llm_generate *g, struct llm_err *err)
{
	const char *name = llm_gguf_path(g->model->gguf);
	char found[sizeof err->msg];
	if (err == NULL || strstr(err->msg, name) != NULL)
		return LLM_ENOTFINITE;
	memcpy(found, err->msg, sizeof found);
	return llm_err_set(err, LLM_ENOTFINITE, "%s: %.150s", name, found);
}

int
llm_generate_run(struct llm_generate_result *out, struct llm_generate *g,
    const struct llm_generate_request *request, struct llm_err *err)
{
	struct llm_answer_params params = *request->answer;
	struct llm_answer *a = NULL;
	struct draft draft = {0};
	params.n_vocab = g->model->config.n_vocab;
	int rc = llm_generate_check(g, request->n_prompt, err);
	if (rc >= 0)
		rc = llm_answer_new(&a, &params, err);
	if (rc < 0)
		return rc;
	int n_kept = agreeing(g, request->prompt, request->n_prompt);
	*out = (struct llm_generate_result){
	    .stop = LLM_GENERATE_LIMIT, .n_prompt = (int)request->n_prompt, .n_kept = n_kept};
	if (request->n_max != 0) {
		llm_seq_truncate(g->seq, n_kept);
		g->done.n = (size_t)n_kept;
		rc = prefill(g, request, err);
		if (rc > 0)
			rc = decode(g, a, request, &draft, err);
		else if (rc == 0)
			rc = LLM_GENERATE_CANCEL;
	} else {
		rc = LLM_GENERATE_LIMIT;
	}
	draft_drop(g, &draft);
	out->n_draft = draft.n_all;
	out->n_right = draft.right_all;
	llm_answer_cut(a); /* what still waits goes out, after an error too */
	out->n_out = llm_answer_n_out(a);
	llm_answer_free(a);
	if (rc < 0)
		return rc == LLM_ENOTFINITE ? name_model(g, err) : rc;
	out->stop = (enum llm_generate_stop)rc;
	return 0;
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
	llm_ids_free(&g->done);
	free(g->rows);
	free(g->logits);
	free(g);
}
