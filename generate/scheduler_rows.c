/*
 * SPDX-License-Identifier: ISC
 *
 * A step's rows: of every answer under way the token chosen last, and its guesses where few are; then stretches of
 * prompts in the order of turns until the step is full.  And what becomes of their logits.
 */
#include "generate/scheduler_private.h"

#include <string.h>

enum {
	GUESSING = 4,                  /* answers in one step that may guess, */
	TOGETHER = 1 + LLM_LOOKUP_MAX, /* and all their rows */
};

/* The job has these rows of the step. */
static void
pick(struct llm_scheduler *s, struct llm_job *j, int n_row)
{
	const struct llm_row *rows = s->rows + s->n_rows;
	j->n_row = n_row;
	j->n_logits = 0;
	for (int i = 0; i < n_row; i++)
		j->n_logits += rows[i].logits;
	s->n_rows += n_row;
	s->n_logits += j->n_logits;
	s->pick[s->n_pick++] = j;
	if (!j->started) {
		j->started = s->moved = true;
		j->started_us = llm_clock_us();
	}
}

/* Answers. */

static void
answers_gather(struct llm_scheduler *s)
{
	/* An eighth of the rows is left to prompts. */
	int n = llm_order_answers(s), most = s->max_logits - (s->max_logits + 7) / 8;
	most = llm_rate_tokens(&s->rate, most > 1 ? most : 1, s->step_s);
	n = n < most ? n : most;
	for (int i = 0; i < n; i++) {
		struct llm_job *j = s->order[i];
		struct llm_decode *d = &j->decode;
		struct llm_err err;
		int max = n <= GUESSING ? TOGETHER / n : 1;
		int room = j->n_page * LLM_KV_PAGE - d->seq->n_pos;
		/* Rows of those before it, and one of each after it. */
		int beside = s->n_rows + n - i - 1;
		if (max > room)
			max = room;
		if (max > s->max_logits - beside)
			max = s->max_logits - beside;
		memcpy(d->lookup.s, s->price.s, sizeof d->lookup.s);
		int n_row = llm_decode_next(s->rows + s->n_rows, d, max, beside, &err);
		if (n_row < 0) {
			llm_job_end(s, j, n_row, LLM_GENERATE_LIMIT, &err);
			continue;
		}
		j->decoded = s->n_step;
		j->has_stretch = false;
		pick(s, j, n_row);
	}
	s->n_decode = s->n_rows;
}

/* Prompts. */

/* Asks the store for what it has of the job's next positions. */
static void
warm(struct llm_job *j)
{
	struct llm_seq *seq = j->decode.seq;
	int before = seq->n_pos, most = llm_job_warm_most(j);
	if (j->hooks.warm == NULL || before >= most)
		return;
	j->hooks.warm(j->context, seq, j->ids.v, most);
	if (!j->prompted)
		j->n_kept += seq->n_pos - before;
}

/*
 * Whether one that has rows already is about to compute the job's next page: then it is there to be taken from the
 * store after this step.  Only the page under way is waited for, so that a store that does not keep it costs the
 * job one step.
 */
static bool
follows(const struct llm_scheduler *s, const struct llm_job *j)
{
	int from = j->decode.seq->n_pos / LLM_KV_PAGE * LLM_KV_PAGE, to = from + LLM_KV_PAGE;
	if (j->hooks.warm == NULL || to > llm_job_warm_most(j))
		return false;
	for (int i = 0; i < s->n_pick; i++) {
		const struct llm_job *a = s->pick[i];
		if (a->has_stretch && a->hooks.keep != NULL && (int)a->ids.n >= to &&
		    a->decode.seq->n_pos < to && a->decode.seq->n_pos >= from &&
		    memcmp(a->ids.v, j->ids.v, (size_t)to * sizeof *j->ids.v) == 0)
			return true;
	}
	return false;
}

/* How much of a prompt goes along: until the units are used up, or the room for logits. */
static int
stretch(const struct llm_scheduler *s, const struct llm_job *j, int from_logits, double *units)
{
	int pos = j->decode.seq->n_pos, n = 0, n_logits = s->n_logits;
	for (; pos + n < llm_job_goal(j) && s->n_rows + n < s->max_rows; n++) {
		bool logits = pos + n >= from_logits;
		double cost = llm_rate_row(&s->rate, pos + n, logits);
		if ((*units < cost && n > 0) || (logits && n_logits == s->max_logits))
			break;
		n_logits += logits;
		*units -= cost;
	}
	return n;
}

/* Of an answer the last row's logits, of a score those from a position on. */
static int
logits_from(const struct llm_job *j)
{
	int last = j->decode.n_max == 0 ? llm_job_goal(j) : llm_job_goal(j) - 1;
	return !j->prompted && j->from_logits < last ? j->from_logits : last;
}

static void
prompts_gather(struct llm_scheduler *s)
{
	double units = llm_rate_units(&s->rate, s->n_decode, s->step_s), all = units;
	int n = llm_order_prompts(s);
	for (int i = 0; i < n && units >= 1 && s->n_rows < s->max_rows; i++) {
		struct llm_job *j = s->order[i];
		struct llm_err err;
		warm(j);
		if (j->decode.seq->n_pos == llm_job_goal(j)) {
			llm_job_end(s, j, 0, LLM_GENERATE_LIMIT, NULL);
			continue;
		}
		if (follows(s, j))
			continue;
		int from = logits_from(j), n_row = stretch(s, j, from, &units);
		if (n_row == 0)
			continue;
		int rc = llm_decode_stretch(s->rows + s->n_rows, &j->decode, n_row, from, &err);
		if (rc < 0) {
			llm_job_end(s, j, rc, LLM_GENERATE_LIMIT, &err);
			continue;
		}
		j->has_stretch = true;
		pick(s, j, n_row);
	}
	s->units = all - units;
}

int
llm_rows_gather(struct llm_scheduler *s)
{
	s->n_rows = s->n_logits = s->n_pick = 0;
	answers_gather(s);
	prompts_gather(s);
	return s->n_rows;
}

/* Logits. */

/* A job's answer goes on by a token, or ends. */
static void
token_take(struct llm_scheduler *s, struct llm_job *j, float *logits)
{
	struct llm_err err;
	enum llm_generate_stop stop = LLM_GENERATE_LIMIT;
	int rc = llm_decode_take(&stop, &j->decode, logits, &err);
	if (rc <= 0)
		llm_job_end(s, j, rc, stop, &err);
	else
		llm_room_grow(s, j);
}

/* Rows of a prompt are computed. */
static void
stretch_take(struct llm_scheduler *s, struct llm_job *j, float *logits)
{
	struct llm_decode *d = &j->decode;
	struct llm_err err;
	int pos = d->seq->n_pos, n_score = j->n_logits, rc = 0;
	bool all = pos == llm_job_goal(j), answers = all && d->n_max != 0;
	size_t n_vocab = (size_t)d->n_vocab;
	llm_turn_spend(s, j->client, j->n_row, all);
	if (j->hooks.keep != NULL && pos >= LLM_KV_PAGE)
		j->hooks.keep(j->context, d->seq, j->ids.v, pos / LLM_KV_PAGE * LLM_KV_PAGE);
	if (!j->prompted && j->hooks.progress != NULL)
		j->hooks.progress(j->context, pos);
	if (answers)
		n_score--;
	for (int i = 0; rc >= 0 && i < n_score; i++) {
		rc = j->hooks.logits(j->context, pos - j->n_logits + i, logits, &err);
		logits += n_vocab;
	}
	if (all && !j->prompted) {
		j->prompted = true;
		j->prompted_us = llm_clock_us();
	}
	if (rc < 0 || (all && !answers))
		llm_job_end(s, j, rc, LLM_GENERATE_LIMIT, &err);
	else if (answers)
		token_take(s, j, logits);
}

/* Where a job's rows of logits are, and whether the pass failed it. */
static void
logits_find(struct llm_scheduler *s, int rc, const struct llm_err *why)
{
	float *logits = s->logits;
	for (int i = 0; i < s->n_pick; i++) {
		struct llm_job *j = s->pick[i];
		j->logits = logits;
		logits += (size_t)j->n_logits * (size_t)j->decode.n_vocab;
		j->failure = rc < 0 && rc != LLM_ENOTFINITE ? rc : 0;
		if (j->failure < 0)
			j->why = *why;
		else
			j->failure = llm_pass_failure(s->pass, j->decode.seq, &j->why);
	}
}

/* The row that a token of the job's answer is chosen from; NULL: none is. */
static float *
row_to_choose(const struct llm_job *j)
{
	if (j->failure < 0 || j->decode.n_max == 0 || j->n_logits == 0)
		return NULL;
	if (!j->has_stretch)
		return j->logits;
	return j->decode.seq->n_pos < llm_job_goal(j)
		   ? NULL
		   : j->logits + (size_t)(j->n_logits - 1) * (size_t)j->decode.n_vocab;
}

static void
choose_work(void *arg, int begin, int end, int thread)
{
	struct llm_scheduler *s = arg;
	(void)thread;
	for (int i = begin; i < end; i++) {
		float *row = row_to_choose(s->pick[i]);
		if (row != NULL)
			llm_decode_choose(&s->pick[i]->decode, row);
	}
}

void
llm_rows_take(struct llm_scheduler *s, int rc, const struct llm_err *why)
{
	logits_find(s, rc, why);
	if (s->n_pick > 1)
		llm_pass_share(s->pass, choose_work, s, s->n_pick);
	for (int i = 0; i < s->n_pick; i++) {
		struct llm_job *j = s->pick[i];
		if (j->failure == LLM_ENOTFINITE && llm_decode_failed(&j->decode))
			continue;
		if (j->failure < 0)
			llm_job_end(s, j, j->failure, LLM_GENERATE_LIMIT, &j->why);
		else if (j->has_stretch)
			stretch_take(s, j, j->logits);
		else
			token_take(s, j, j->logits);
	}
}
