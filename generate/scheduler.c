/*
 * SPDX-License-Identifier: ISC
 *
 * Jobs come, go along in passes and leave; see scheduler.h.
 */
#include "generate/scheduler.h"

#include "generate/scheduler_private.h"
#include "generate/score.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_JOBS = 1024, STEP_MS = 100 };

static int
allocate(struct llm_scheduler *s, struct llm_err *err)
{
	size_t n_job = (size_t)s->max_job, n_rows = (size_t)s->max_rows;
	size_t bytes = (size_t)s->max_logits * (size_t)s->model->config.n_vocab * sizeof(float);
	s->job = calloc(n_job, sizeof(struct llm_job *));
	s->order = calloc(n_job, sizeof(struct llm_job *));
	s->pick = calloc(n_job, sizeof(struct llm_job *));
	s->client = calloc(n_job, sizeof(struct llm_turn *));
	s->rows = calloc(n_rows, sizeof *s->rows);
	/* Touched as far as a step wants logits, no further. */
	s->logits = malloc(bytes);
	if (s->job == NULL || s->order == NULL || s->pick == NULL || s->client == NULL ||
	    s->rows == NULL || s->logits == NULL)
		return llm_err_nomem(err, bytes);
	return 0;
}

void
llm_scheduler_limit(struct llm_scheduler *s, uint64_t kv_bytes)
{
	const struct llm_config *c = &s->model->config;
	size_t page_bytes = llm_seq_bytes(c, llm_pass_kv_type(s->pass), LLM_KV_PAGE);
	s->max_page = kv_bytes > 0 ? (int64_t)(kv_bytes / page_bytes) : INT64_MAX / 2;
}

int
llm_scheduler_new(struct llm_scheduler **out, struct llm_pass *pass,
    const struct llm_scheduler_params *params, struct llm_err *err)
{
	struct llm_scheduler *s = calloc(1, sizeof *s);
	if (s == NULL)
		return llm_err_nomem(err, sizeof *s);
	const struct llm_config *c = &llm_pass_model(pass)->config;
	s->pass = pass;
	s->model = llm_pass_model(pass);
	s->max_job = params->max_jobs > 0 ? params->max_jobs : MAX_JOBS;
	s->step_s = 1e-3 * (params->step_ms > 0 ? params->step_ms : STEP_MS);
	llm_scheduler_limit(s, params->kv_bytes);
	s->max_rows = llm_pass_max_rows(pass);
	s->max_logits = llm_score_rows(c->n_vocab);
	if (s->max_logits > s->max_rows)
		s->max_logits = s->max_rows;
	llm_rate_init(&s->rate, c);
	int rc = allocate(s, err);
	if (rc < 0) {
		llm_scheduler_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void
llm_scheduler_free(struct llm_scheduler *s)
{
	struct llm_err err;
	if (s == NULL)
		return;
	while (s->n_job > 0) {
		llm_err_set(&err, LLM_EBUSY, "the model is being given up");
		llm_job_end(s, s->job[s->n_job - 1], LLM_EBUSY, LLM_GENERATE_CANCEL, &err);
	}
	free(s->job);
	free(s->order);
	free(s->pick);
	free(s->client);
	free(s->rows);
	free(s->logits);
	free(s);
}

int
llm_scheduler_add(struct llm_job **out, struct llm_scheduler *s,
    const struct llm_job_params *params, struct llm_err *err)
{
	struct llm_job *j = NULL;
	if (s->n_job == s->max_job)
		return llm_err_set(err, LLM_EBUSY,
		    "%d jobs are under way, and %d is the most: try again later", s->n_job,
		    s->max_job);
	int rc = llm_job_new(&j, s, params, err);
	if (rc < 0)
		return rc;
	if ((rc = llm_room_reserve(s, j, err)) < 0) {
		llm_job_free(j);
		return rc;
	}
	if ((j->client = llm_turn_join(s, params->client, params->class)) == NULL) {
		llm_room_release(s, j);
		llm_job_free(j);
		return llm_err_nomem(err, sizeof *j->client);
	}
	j->number = ++s->n_come;
	s->job[s->n_job++] = j;
	s->moved = true;
	*out = j;
	llm_order_tell(s);
	return 0;
}

void
llm_scheduler_cancel(struct llm_scheduler *s, struct llm_job *job)
{
	llm_job_end(s, job, 0, LLM_GENERATE_CANCEL, NULL);
	llm_order_tell(s);
}

int
llm_scheduler_step(struct llm_scheduler *s)
{
	int64_t begin = llm_clock_us();
	struct llm_err err;
	s->n_step++;
	s->n_rows = 0;
	while (s->n_job > 0) {
		llm_room_grant(s);
		if (llm_rows_gather(s) > 0)
			break;
		if (s->n_wanted > 0)
			llm_room_make(s);
	}
	s->last = (struct llm_scheduler_step){.n_decode = s->n_rows > 0 ? s->n_decode : 0,
	    .n_prefill = s->n_rows > 0 ? s->n_rows - s->n_decode : 0};
	if (s->n_rows > 0) {
		int64_t start = llm_clock_us();
		int rc = llm_forward(s->pass, s->rows, s->n_rows, s->logits, &err);
		double seconds = 1e-6 * (double)(llm_clock_us() - start);
		if (rc >= 0)
			llm_rate_learn(&s->rate, s->n_decode, s->units, seconds);
		if (rc >= 0 && s->n_rows == s->n_decode)
			llm_lookup_cost(&s->price, s->n_rows, seconds);
		llm_rows_take(s, rc, &err);
	}
	llm_order_tell(s);
	s->last.seconds = 1e-6 * (double)(llm_clock_us() - begin);
	return s->n_job > 0;
}

int
llm_scheduler_n_running(const struct llm_scheduler *s)
{
	int n = 0;
	for (int i = 0; i < s->n_job; i++)
		n += s->job[i]->started;
	return n;
}

int
llm_scheduler_n_waiting(const struct llm_scheduler *s)
{
	return s->n_job - llm_scheduler_n_running(s);
}

uint64_t
llm_scheduler_kv_bytes(const struct llm_scheduler *s)
{
	return (uint64_t)s->n_page *
	       llm_seq_bytes(&s->model->config, llm_pass_kv_type(s->pass), LLM_KV_PAGE);
}

struct llm_scheduler_step
llm_scheduler_last(const struct llm_scheduler *s)
{
	return s->last;
}
