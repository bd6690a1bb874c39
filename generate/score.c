/*
 * SPDX-License-Identifier: ISC
 *
 * Log-probabilities of given tokens, in chunks of rows, so that memory does not grow with the text; see
 * score.h.
 */
#include "generate/score.h"
#include "libcore/fmath.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TOP = 1000, LEAST_ROWS = 8, MOST_ROWS = 256, LOGITS_BYTES = 64 << 20 };

struct llm_score {
	struct llm_score_params params;
	struct llm_pass *pass;
	const struct llm_model *model;
	struct llm_seq *seq;
	struct llm_row *rows; /* [max_rows] */
	int max_rows;
	float *logits; /* [max_logits][n_vocab] */
	int max_logits;
	struct llm_score_choice *top; /* [n_top + 1] */
};

int
llm_score_rows(int n_vocab)
{
	int rows = (int)(LOGITS_BYTES / sizeof(float) / (size_t)n_vocab);
	return rows < LEAST_ROWS ? LEAST_ROWS : rows > MOST_ROWS ? MOST_ROWS : rows;
}

/* The k largest logits, in order: kept sorted while the row is walked. */
static int
top_find(struct llm_score_choice *top, int k, const float *logits, int n_vocab)
{
	int n = 0;
	for (int id = 0; k > 0 && id < n_vocab; id++) {
		double l = (double)logits[id];
		if (n == k && l <= top[n - 1].nats)
			continue;
		int at = n < k ? n++ : n - 1;
		for (; at > 0 && top[at - 1].nats < l; at--)
			top[at] = top[at - 1];
		top[at] = (struct llm_score_choice){.id = id, .nats = l};
	}
	return n;
}

int
llm_score_row(struct llm_score_item *item, struct llm_score_choice *top, const float *logits,
    const struct llm_score_of *of, struct llm_err *err)
{
	int n_vocab = of->model->config.n_vocab;
	float max = of->vector->max(logits, n_vocab);
	float sum = isfinite(max) ? of->vector->sumexp(logits, max, n_vocab) : NAN;
	if (!isfinite(sum) || !isfinite(logits[item->id]))
		return llm_err_set(err, LLM_ENOTFINITE,
		    "%s: a logit is not finite: the file is broken",
		    llm_gguf_path(of->model->gguf));
	double lse = (double)max + llm_log((double)sum);
	item->scored = true;
	item->nats = (double)logits[item->id] - lse;
	item->top = top;
	item->n_top = top_find(top, of->n_top, logits, n_vocab);
	for (int i = 0; i < item->n_top; i++)
		top[i].nats -= lse;
	return 0;
}

/* One scored token, whose row of logits this is. */
static int
emit_scored(struct llm_score *s, llm_token id, const float *logits, struct llm_err *err)
{
	const struct llm_score_of of = {s->model, s->params.vector, s->params.n_top};
	struct llm_score_item item = {.id = id};
	int rc = llm_score_row(&item, s->top, logits, &of, err);
	if (rc >= 0)
		s->params.emit(s->params.context, &item);
	return rc;
}

static void
emit_unscored(struct llm_score *s, llm_token id)
{
	s->params.emit(s->params.context, &(struct llm_score_item){.id = id});
}

/* Row i predicts token i + 1: the rows of one pass from done on, of n; returns how many. */
static int
chunk_fill(struct llm_score *s, const llm_token *ids, size_t done, size_t n, size_t from)
{
	int rows = 0, wanted = 0;
	for (; rows < s->max_rows && done + (size_t)rows < n; rows++) {
		size_t i = done + (size_t)rows;
		bool logits = i + 1 >= from;
		if (logits && wanted == s->max_logits)
			break;
		wanted += logits;
		s->rows[rows] = (struct llm_row){
		    .seq = s->seq, .token = ids[i], .pos = (int)i, .logits = logits};
	}
	return rows;
}

int
llm_score_check(const struct llm_model *m, size_t n, struct llm_err *err)
{
	int n_ctx = m->config.n_ctx;
	if (n <= (size_t)n_ctx)
		return 0;
	return llm_err_set(err, LLM_ETOOLONG,
	    "the text has %zu tokens, and the context of %s holds %d; -w scores it in "
	    "windows, "
	    "--fit head, tail or middle keeps a part",
	    n, llm_gguf_path(m->gguf), n_ctx);
}

int
llm_score_window(
    struct llm_score *s, const llm_token *ids, size_t n, size_t from, struct llm_err *err)
{
	size_t n_vocab = (size_t)s->model->config.n_vocab;
	int rc, rows;
	if ((rc = llm_score_check(s->model, n, err)) < 0)
		return rc;
	from = from > 0 ? from : 1;
	llm_seq_truncate(s->seq, 0);
	if (n == 1)
		emit_unscored(s, ids[0]);
	if (n < 2)
		return 0;
	if ((rc = llm_seq_reserve(s->seq, (int)n - 1, err)) < 0)
		return rc;
	for (size_t done = 0; done < n - 1; done += (size_t)rows) {
		const float *logits = s->logits;
		rows = chunk_fill(s, ids, done, n - 1, from);
		if ((rc = llm_forward(s->pass, s->rows, rows, s->logits, err)) < 0)
			return rc;
		if (done == 0) /* not sooner: a pass that fails leaves nothing printed */
			emit_unscored(s, ids[0]);
		for (int r = 0; r < rows; r++) {
			llm_token id = ids[done + (size_t)r + 1];
			if (!s->rows[r].logits) {
				emit_unscored(s, id);
				continue;
			}
			if ((rc = emit_scored(s, id, logits, err)) < 0)
				return rc;
			logits += n_vocab;
		}
	}
	return 0;
}

int
llm_score_new(struct llm_score **out, struct llm_pass *pass,
    const struct llm_score_params *params, struct llm_err *err)
{
	const struct llm_model *m = llm_pass_model(pass);
	int n_vocab = m->config.n_vocab;
	if (params->n_top < 0 || params->n_top > MAX_TOP || params->n_top > n_vocab)
		return llm_err_set(err, LLM_EUSAGE, "%d likeliest tokens: expected at most %d",
		    params->n_top, n_vocab < MAX_TOP ? n_vocab : MAX_TOP);
	struct llm_score *s = calloc(1, sizeof *s);
	if (s == NULL)
		return llm_err_nomem(err, sizeof *s);
	s->params = *params;
	if (s->params.vector == NULL)
		s->params.vector = &llm_vector_generic;
	s->pass = pass;
	s->model = m;
	s->max_rows = llm_pass_max_rows(pass);
	s->max_logits = llm_score_rows(n_vocab);
	if (s->max_logits > s->max_rows)
		s->max_logits = s->max_rows;
	size_t bytes = (size_t)s->max_logits * (size_t)n_vocab * sizeof *s->logits;
	s->logits = malloc(bytes);
	s->rows = calloc((size_t)s->max_rows, sizeof *s->rows);
	s->top = calloc((size_t)params->n_top + 1, sizeof *s->top);
	int rc = s->logits == NULL || s->rows == NULL || s->top == NULL
		     ? llm_err_nomem(err, bytes)
		     : llm_seq_new(
			   &s->seq, &m->config, llm_pass_kv_type(pass), m->config.n_ctx, err);
	if (rc < 0) {
		llm_score_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void
llm_score_free(struct llm_score *s)
{
	if (s == NULL)
		return;
	llm_seq_free(s->seq);
	free(s->logits);
	free(s->rows);
	free(s->top);
	free(s);
}
