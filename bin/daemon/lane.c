/*
 * SPDX-License-Identifier: ISC
 *
 * Passes and schedulers, made when a job asks for their kind, and hooks between a scheduler's jobs and their
 * clients; see lane.h.
 */
#include "bin/daemon/lane.h"

#include "kvstore/resident.h"
#include "kvstore/store.h"
#include "libcore/footprint.h"

#include <stdlib.h>

enum {
	MAX_LANES = 8, /* idle ones beyond that go */
	MOST_ROWS = 512,
	LEAST_ROWS = 64,
	SCRATCH_BYTES = 24 << 20, /* of a pass: rows are fewer where they would take more */
	FIRST_SLICE = 64
};

/* Rows of a pass: a stretch of prompt as long as one step has time for, in little memory. */
static int
rows_for(const struct llm_config *c, int n_thread)
{
	struct llm_scratch s;
	size_t bytes;
	int rows = MOST_ROWS;
	while (rows > LEAST_ROWS && (!llm_scratch_layout(&s, &bytes, NULL, c, rows, n_thread) ||
					bytes > SCRATCH_BYTES))
		rows /= 2;
	return rows;
}

static void
idle_free(struct lane **all)
{
	struct lane **oldest = NULL;
	int n = 0;
	for (struct lane **at = all; *at != NULL; at = &(*at)->next) {
		n++;
		if ((*at)->n_job == 0 && (oldest == NULL || (*at)->used < (*oldest)->used))
			oldest = at;
	}
	if (n < MAX_LANES || oldest == NULL)
		return;
	struct lane *l = *oldest;
	*oldest = l->next;
	lane_free(l);
}

int
lane_get(struct lane **out, struct lane **all, const struct job *j, struct llm_err *err)
{
	const struct engine_params *ep = engine_params(j->engine);
	for (struct lane *l = *all; l != NULL; l = l->next)
		if (l->resident == j->resident && l->precise == j->precise &&
		    (l->precise || l->kv == j->kv)) {
			*out = l;
			return 0;
		}
	idle_free(all);
	struct lane *l = calloc(1, sizeof *l);
	if (l == NULL)
		return llm_err_nomem(err, sizeof *l);
	l->resident = j->resident;
	l->precise = j->precise;
	l->kv = j->kv;
	l->slice_rows = FIRST_SLICE;
	const struct llm_pass_params pp = {.kernels = ep->kernels,
	    .n_thread = ep->n_thread,
	    .max_rows = rows_for(&j->resident->model->config, ep->n_thread),
	    .precise = j->precise,
	    .kv = j->kv};
	int rc = llm_pass_new(&l->pass, j->resident->model, &pp, err);
	if (rc >= 0)
		rc = llm_scheduler_new(
		    &l->scheduler, l->pass, &(struct llm_scheduler_params){0}, err);
	if (rc < 0) {
		lane_free(l);
		return rc;
	}
	l->next = *all;
	*all = l;
	*out = l;
	return 0;
}

void
lane_free(struct lane *l)
{
	llm_scheduler_free(l->scheduler);
	prefix_close(l);
	llm_pass_free(l->pass);
	free(l);
}

/* What becomes of a job, to its client. */

static void
on_part(void *context, const struct llm_answer_part *part)
{
	struct job *j = context;
	struct llm_wire_out *o = engine_reply(j);
	llm_wire_open_map(o, "part");
	llm_wire_put_ids(o, "ids", part->ids, part->n_ids);
	llm_wire_put_bin(o, "text", part->bytes, part->n_bytes);
	llm_wire_close(o);
	engine_send(j, (int)part->n_ids);
}

/* Scores that are gathered go out. */
static void
items_send(struct job *j)
{
	if (j->n_item == 0)
		return;
	j->n_item = 0;
	llm_wire_close(engine_out(j));
	engine_send(j, 0);
}

static void
on_progress(void *context, int done)
{
	struct job *j = context;
	items_send(j);
	struct llm_wire_out *o = engine_reply(j);
	llm_wire_open_map(o, "prompt");
	llm_wire_put_int(o, "done", done);
	llm_wire_put_uint(o, "of", j->kind == JOB_SCORE ? j->prompt.n - 1 : j->prompt.n);
	llm_wire_close(o);
	engine_send(j, 0);
}

static void
on_queued(void *context, int position)
{
	struct job *j = context;
	items_send(j);
	llm_wire_put_int(engine_reply(j), "queue", position);
	engine_send(j, 0);
}

static void
item_put(struct job *j, const struct llm_score_item *item)
{
	struct llm_wire_out *o = engine_out(j);
	if (j->n_item++ == 0)
		llm_wire_open_array(engine_reply(j), "items");
	llm_wire_open_array(o, NULL);
	llm_wire_put_int(o, NULL, item->id);
	if (item->scored)
		llm_wire_put_float(o, NULL, item->nats);
	else
		llm_wire_put_nil(o, NULL);
	llm_wire_open_array(o, NULL);
	for (int i = 0; i < item->n_top; i++) {
		llm_wire_open_array(o, NULL);
		llm_wire_put_int(o, NULL, item->top[i].id);
		llm_wire_put_float(o, NULL, item->top[i].nats);
		llm_wire_close(o);
	}
	llm_wire_close(o);
	llm_wire_close(o);
}

/* The row at pos predicts the token after it. */
static int
on_logits(void *context, int pos, float *logits, struct llm_err *err)
{
	struct job *j = context;
	const struct llm_score_of of = {
	    j->lane->resident->model, engine_params(j->engine)->kernels->vector, j->n_top};
	struct llm_score_item item = {.id = j->prompt.v[pos + 1], .top = j->top};
	int rc = llm_score_row(&item, j->top, logits, &of, err);
	if (rc < 0)
		return rc;
	if (j->at == 0)
		for (; j->at <= pos; j->at++)
			item_put(j, &(struct llm_score_item){.id = j->prompt.v[j->at]});
	j->at++;
	j->nats += item.nats;
	item_put(j, &item);
	return 0;
}

static void
on_done(void *context, int rc, const struct llm_job_result *result, const struct llm_err *err)
{
	struct job *j = context;
	j->running = NULL;
	if (result != NULL)
		j->result = *result;
	if (j->kind == JOB_SCORE)
		items_send(j);
	if (rc >= 0 && j->kind == JOB_GENERATE)
		prefix_done(j);
	engine_end(j, rc, err);
}

static const struct llm_job_hooks generate_hooks = {.progress = on_progress,
    .queued = on_queued,
    .warm = prefix_warm,
    .keep = prefix_keep,
    .done = on_done};
static const struct llm_job_hooks score_hooks = {
    .progress = on_progress, .queued = on_queued, .logits = on_logits, .done = on_done};

int
tokens_start(struct job *j, struct llm_err *err)
{
	bool score = j->kind == JOB_SCORE;
	struct llm_answer_params answer = {.tokenizer = j->resident->tokenizer,
	    .sampling = &j->sampling,
	    .vector = engine_params(j->engine)->kernels->vector,
	    .stop = j->stop,
	    .n_stop = j->n_stop,
	    .end = j->end.v,
	    .n_end = (int)j->end.n,
	    .drop_space = j->drop_space,
	    .emit = on_part,
	    .context = j};
	struct llm_job_params params = {.prompt = j->prompt.v,
	    .n_prompt = score ? j->prompt.n - 1 : j->prompt.n,
	    .n_max = score ? 0 : j->n_max,
	    .n_draft = j->n_draft,
	    .n_ctx = j->n_ctx,
	    .from_logits = score ? j->from - 1 : 0,
	    .answer = &answer,
	    .class = j->class,
	    .client = j->client,
	    .hooks = score ? &score_hooks : &generate_hooks,
	    .context = j};
	if (score) {
		int rc = llm_wire_out_new(&j->out, err);
		if (rc < 0)
			return rc;
		j->top = calloc((size_t)j->n_top + 1, sizeof *j->top);
		if (j->top == NULL)
			return llm_err_nomem(err, ((size_t)j->n_top + 1) * sizeof *j->top);
	}
	if (score && j->prompt.n == 1) { /* nothing predicts it */
		item_put(j, &(struct llm_score_item){.id = j->prompt.v[0]});
		items_send(j);
		engine_end(j, 0, NULL);
		return 0;
	}
	return llm_scheduler_add(&j->running, j->lane->scheduler, &params, err);
}
