/*
 * SPDX-License-Identifier: ISC
 *
 * Jobs that no scheduler runs, by slices of about a step's time: prompts weighed against labels, and vectors.
 * Between two passes of a slice the schedulers have a step of theirs.
 */
#include "bin/daemon/lane.h"
#include "libcore/clock.h"

#include "generate/batch.h"

#include <stdlib.h>

enum {
	LEAST_ROWS = 16,
	MAX_PROMPTS = 64,
	TEXTS = 64,        /* at most in a slice */
	TEXT_ROWS = 512,   /* tokens of a slice of texts */
	BYTES_A_TOKEN = 4, /* about */
};

/* A pass of so many seconds is long, or short. */
static const double slow = 0.1, fast = 0.04;

/* What the pass before this one took says how many rows the next job's may have. */
static int
labels_between(void *context)
{
	struct job *j = context;
	struct lane *l = j->lane;
	double took = j->pass_s > 0 ? llm_clock_s() - j->pass_s : 0;
	int most = llm_pass_max_rows(l->pass);
	if (took > slow)
		l->slice_rows /= 2;
	else if (took > 0 && took < fast)
		l->slice_rows *= 2;
	l->slice_rows = l->slice_rows > most         ? most
			: l->slice_rows < LEAST_ROWS ? LEAST_ROWS
						     : l->slice_rows;
	engine_between(j->engine);
	j->pass_s = llm_clock_s();
	return atomic_load(&j->cancel) ? LLM_EBUSY : 0;
}

static int
labels_start(struct job *j, struct llm_err *err)
{
	struct llm_batch_params params = {.labels = &j->labels,
	    .vector = engine_params(j->engine)->kernels->vector,
	    .prefix = j->prefix.v,
	    .n_prefix = j->prefix.n,
	    .max_prompts = j->prompts.n < MAX_PROMPTS ? j->prompts.n + 1 : MAX_PROMPTS,
	    .max_rows = j->lane->slice_rows,
	    .between = labels_between,
	    .context = j};
	return llm_batch_new(&j->batch, j->lane->pass, &params, err);
}

/* Prompt i of the batch, which is one of the job's; nats: room. */
static void
nats_send(struct job *j, int i, int at, double *nats)
{
	struct llm_err err;
	struct llm_wire_out *o = engine_reply(j);
	llm_wire_put_int(o, "at", at);
	if (llm_batch_failure(j->batch, i, &err) < 0) {
		llm_wire_put_err(o, "error", &err);
	} else {
		llm_batch_nats(nats, j->batch, i);
		llm_wire_open_array(o, "nats");
		for (int k = 0; k < j->labels.n_label; k++)
			llm_wire_put_float(o, NULL, nats[k]);
		llm_wire_close(o);
	}
	engine_send(j, 0);
}

static int
labels_turn(struct job *j, struct llm_err *err)
{
	const struct job_prompts *p = &j->prompts;
	size_t room = (size_t)j->labels.n_label * sizeof(double);
	int from = j->at, n = 0, rc = 0;
	for (; from + n < p->n && rc >= 0; n += rc >= 0) {
		size_t begin = from + n > 0 ? p->end[from + n - 1] : 0;
		rc = llm_batch_add(j->batch, p->ids.v + begin, p->end[from + n] - begin,
		    j->lane->slice_rows, err);
	}
	if (rc < 0 && rc != LLM_EBUSY)
		return rc;
	double *nats = malloc(room);
	if (nats == NULL)
		return llm_err_nomem(err, room);
	j->pass_s = 0;
	rc = llm_batch_run(j->batch, err);
	for (int i = 0; rc >= 0 && i < n; i++)
		nats_send(j, i, from + i, nats);
	free(nats);
	llm_batch_clear(j->batch);
	j->at += n;
	return rc < 0 ? rc : j->at < p->n;
}

/* Texts from the next one on that are a slice: about as many tokens as there is time for. */
static int
texts_next(const struct job *j)
{
	size_t bytes = 0;
	int n = 0;
	while (j->at + n < j->n_text && n < TEXTS &&
	       (n == 0 || bytes + j->text[j->at + n].n <= TEXT_ROWS * BYTES_A_TOKEN))
		bytes += j->text[j->at + n++].n;
	return n;
}

static void
vector_send(struct job *j, int i, const float *y)
{
	const struct llm_embed_text *t = &j->text[i];
	struct llm_wire_out *o = engine_reply(j);
	struct llm_err err = {.code = t->status};
	llm_wire_put_int(o, "at", i);
	llm_wire_put_int(o, "n_tok", t->n_tok);
	if (t->status < 0)
		llm_wire_put_err(o, "error", &err);
	else
		llm_wire_put_bin(
		    o, "vector", y, (size_t)llm_embedder_n_embd(j->embedder) * sizeof *y);
	engine_send(j, 0);
}

static int
embed_turn(struct job *j, struct llm_err *err)
{
	size_t n_embd = (size_t)llm_embedder_n_embd(j->embedder);
	int n = texts_next(j);
	float *y = malloc(((size_t)n * n_embd + 1) * sizeof *y);
	if (y == NULL)
		return llm_err_nomem(err, (size_t)n * n_embd * sizeof *y);
	int rc = llm_embedder_run(y, j->embedder, j->text + j->at, n, err);
	for (int i = 0; rc >= 0 && i < n; i++)
		vector_send(j, j->at + i, y + (size_t)i * n_embd);
	free(y);
	j->at += n;
	return rc < 0 ? rc : j->at < j->n_text;
}

int
slice_start(struct job *j, struct llm_err *err)
{
	return j->kind == JOB_LABELS ? labels_start(j, err) : 0;
}

int
slice_turn(struct job *j, struct llm_err *err)
{
	return j->kind == JOB_LABELS ? labels_turn(j, err) : embed_turn(j, err);
}

void
slice_free(struct job *j)
{
	llm_batch_free(j->batch);
	j->batch = NULL;
}
