/*
 * SPDX-License-Identifier: ISC
 *
 * One job: made of what a caller asks for, and ended with what became of it.
 */
#include "generate/scheduler_private.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static bool
scores(const struct llm_job *j)
{
	return j->from_logits < j->decode.n_prompt;
}

int
llm_job_goal(const struct llm_job *j)
{
	return (int)j->ids.n;
}

int
llm_job_warm_most(const struct llm_job *j)
{
	int n = (int)j->ids.n;
	/* Whose logits are wanted is computed. */
	if (scores(j) && !j->prompted)
		return j->from_logits < n ? j->from_logits : n;
	return j->decode.n_max == 0 ? n : n - 1;
}

bool
llm_job_decodes(const struct llm_job *j)
{
	return j->prompted && (int)j->ids.n - j->decode.seq->n_pos == 1;
}

/* What a caller's job must be. */
static int
params_check(const struct llm_scheduler *s, const struct llm_job_params *p, int n_ctx,
    struct llm_err *err)
{
	const char *name = llm_gguf_path(s->model->gguf);
	int n_vocab = s->model->config.n_vocab;
	if ((unsigned)p->class >= LLM_JOB_CLASSES || p->from_logits < 0 || p->hooks == NULL ||
	    (p->answer == NULL && p->n_max != 0))
		return llm_err_set(err, LLM_EUSAGE, "a job of no class, or without an answer");
	/* Of a prompt alone there is no answer that needs room. */
	int rc = llm_decode_check(p->n_prompt, p->n_max == 0 ? n_ctx + 1 : n_ctx, name, err);
	for (size_t i = 0; rc >= 0 && i < p->n_prompt; i++)
		if (p->prompt[i] < 0 || p->prompt[i] >= n_vocab)
			rc = llm_err_set(err, LLM_EDATA, "token id %d: expected 0 to %d",
			    (int)p->prompt[i], n_vocab - 1);
	return rc;
}

/* The answer, and what it points to. */
static int
answer_new(struct llm_job *j, const struct llm_answer_params *params, struct llm_err *err)
{
	struct llm_answer_params own = *params;
	size_t n = (size_t)own.n_end;
	own.n_vocab = j->decode.n_vocab;
	if (n > 0) {
		if ((j->end = malloc(n * sizeof *j->end)) == NULL)
			return llm_err_nomem(err, n * sizeof *j->end);
		memcpy(j->end, own.end, n * sizeof *j->end);
		own.end = j->end;
	}
	return llm_answer_new(&j->decode.answer, &own, err);
}

static int
job_fill(struct llm_job *j, const struct llm_scheduler *s, const struct llm_job_params *p,
    int n_ctx, struct llm_err *err)
{
	int rc = llm_ids_reserve(&j->ids, p->n_prompt, err);
	if (rc >= 0)
		rc = llm_seq_new(
		    &j->decode.seq, &s->model->config, llm_pass_kv_type(s->pass), n_ctx, err);
	if (rc >= 0 && p->n_max != 0)
		rc = answer_new(j, p->answer, err);
	if (rc < 0)
		return rc;
	memcpy(j->ids.v, p->prompt, p->n_prompt * sizeof *p->prompt);
	j->ids.n = p->n_prompt;
	return 0;
}

int
llm_job_new(struct llm_job **out, const struct llm_scheduler *s, const struct llm_job_params *p,
    struct llm_err *err)
{
	int n_ctx = s->model->config.n_ctx;
	if (p->n_ctx > 0 && p->n_ctx < n_ctx)
		n_ctx = p->n_ctx;
	int rc = params_check(s, p, n_ctx, err);
	if (rc < 0)
		return rc;
	struct llm_job *j = calloc(1, sizeof *j);
	if (j == NULL)
		return llm_err_nomem(err, sizeof *j);
	j->decode = (struct llm_decode){.ids = &j->ids,
	    .model_name = llm_gguf_path(s->model->gguf),
	    .n_vocab = s->model->config.n_vocab,
	    .n_prompt = (int)p->n_prompt,
	    .n_max = p->n_max,
	    .n_draft = p->n_draft};
	j->hooks = *p->hooks;
	j->context = p->context;
	j->class = p->class;
	j->from_logits = p->hooks->logits != NULL ? p->from_logits : INT_MAX;
	j->position = -1;
	j->came_us = llm_clock_us();
	if ((rc = job_fill(j, s, p, n_ctx, err)) < 0) {
		llm_job_free(j);
		return rc;
	}
	*out = j;
	return 0;
}

void
llm_job_free(struct llm_job *j)
{
	if (j == NULL)
		return;
	llm_answer_free(j->decode.answer);
	llm_seq_free(j->decode.seq);
	llm_ids_free(&j->ids);
	free(j->end);
	free(j);
}

static struct llm_job_result
result_of(struct llm_job *j, enum llm_generate_stop stop)
{
	const struct llm_decode *d = &j->decode;
	int64_t now = llm_clock_us();
	int64_t started = j->started ? j->started_us : now;
	int64_t prompted = j->prompted ? j->prompted_us : now;
	return (struct llm_job_result){
	    .answer = {.stop = stop,
		.n_prompt = d->n_prompt,
		.n_kept = j->n_kept,
		.n_out = d->answer != NULL ? llm_answer_n_out(d->answer) : 0,
		.n_draft = d->n_all,
		.n_right = d->n_right},
	    .queue_us = started - j->came_us,
	    .prefill_us = prompted - started,
	    .decode_us = now - prompted};
}

void
llm_job_end(struct llm_scheduler *s, struct llm_job *j, int rc, enum llm_generate_stop stop,
    const struct llm_err *err)
{
	struct llm_decode *d = &j->decode;
	int at = 0;
	while (s->job[at] != j)
		at++;
	s->n_job--;
	memmove(
	    s->job + at, s->job + at + 1, (size_t)(s->n_job - at) * sizeof(struct llm_job *));
	if (d->answer != NULL)
		llm_answer_cut(d->answer); /* what still waits goes out, after an error too */
	if (rc >= 0 && j->hooks.keep != NULL && d->seq->n_pos > 0)
		j->hooks.keep(j->context, d->seq, j->ids.v, d->seq->n_pos);
	llm_room_release(s, j);
	llm_turn_leave(s, j->client);
	s->moved = s->moved || !j->started;
	struct llm_job_result result = result_of(j, stop);
	if (j->hooks.done != NULL)
		j->hooks.done(j->context, rc < 0 ? rc : 0, &result, rc < 0 ? err : NULL);
	llm_job_free(j);
}
