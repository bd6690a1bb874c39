/*
 * SPDX-License-Identifier: ISC
 *
 * The thread that computes; see engine.h.  In turn: what has come is taken, every scheduler that has work makes
 * one step, and one of the jobs that are no scheduler's gets a slice of time.
 */
#include "bin/daemon/engine.h"

#include "bin/daemon/lane.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* Prefixes in memory may have a part in so many of what keys and values may. */
enum { PREFIX_SHARE = 4 };

struct engine {
	struct engine_params params;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t come;
	/* Under the lock: */
	struct job *jobs, **jobs_end; /* that have come */
	struct resident *drops;
	struct kept *spent;
	bool ending;
	struct notice *notices, **notices_end;

	atomic_int n_cancel; /* since they were last looked for */
	_Atomic uint64_t kv_limit;

	/* The thread's alone: */
	struct llm_wire_out *out;
	struct lane *lanes;
	struct job *live;                 /* all jobs */
	struct job *slices, **slices_end; /* those that take turns */
	struct job *slice;                /* whose turn it is */
	uint64_t n_job;
};

/* Telling. */

void
engine_tell(struct engine *e, struct notice *n)
{
	n->next = NULL;
	pthread_mutex_lock(&e->lock);
	bool first = e->notices == NULL;
	*e->notices_end = n;
	e->notices_end = &n->next;
	pthread_mutex_unlock(&e->lock);
	if (first)
		e->params.wake(e->params.context);
}

struct llm_wire_out *
engine_out(struct job *j)
{
	return j->out != NULL ? j->out : j->engine->out;
}

struct llm_wire_out *
engine_reply(struct job *j)
{
	struct llm_wire_out *o = engine_out(j);
	llm_wire_begin(o);
	llm_wire_put_uint(o, "id", j->id);
	return o;
}

void
engine_send(struct job *j, int n_token)
{
	struct engine *e = j->engine;
	struct llm_wire_out *o = engine_out(j);
	size_t n;
	int rc = llm_wire_end(o, NULL);
	const void *bytes = llm_wire_bytes(&n, o);
	struct notice *told = rc >= 0 ? malloc(sizeof *told + n) : NULL;
	if (told != NULL) {
		*told = (struct notice){.kind = NOTICE_FRAMES,
		    .job = j,
		    .n_token = n_token,
		    .n_bytes = n,
		    .bytes = (char *)(told + 1)};
		memcpy(told->bytes, bytes, n);
		engine_tell(e, told);
	} else if (j->failed == 0) {
		/* Part of an answer is lost: the rest is not to follow. */
		j->failed = rc < 0 ? rc : LLM_ENOMEM;
		engine_cancel(e, j);
	}
	llm_wire_take(o, n);
}

const struct engine_params *
engine_params(const struct engine *e)
{
	return &e->params;
}

void
engine_end(struct job *j, int rc, const struct llm_err *err)
{
	struct engine *e = j->engine;
	if (j->prev_live != NULL)
		j->prev_live->next_live = j->next_live;
	else
		e->live = j->next_live;
	if (j->next_live != NULL)
		j->next_live->prev_live = j->prev_live;
	slice_free(j);
	prefix_forget(j);
	free(j->top);
	j->top = NULL;
	llm_wire_out_free(j->out);
	j->out = NULL;
	if (j->lane != NULL)
		j->lane->n_job--;
	j->rc = rc < 0 ? rc : j->failed;
	if (rc < 0)
		j->err = *err;
	else if (j->failed < 0)
		llm_err_set(&j->err, j->failed, "the answer could not be told: %s",
		    llm_err_sentence(j->failed));
	j->done = (struct notice){.kind = NOTICE_DONE, .job = j};
	engine_tell(e, &j->done);
}

/* Taking. */

/* What is left of the memory for keys and values is a lane's, but for what the others have reserved. */
static void
lane_limit(struct lane *l, uint64_t limit, uint64_t reserved)
{
	uint64_t others = reserved - llm_scheduler_kv_bytes(l->scheduler);
	uint64_t left = limit > reserved ? limit - reserved : 0;
	llm_scheduler_limit(l->scheduler, limit > others ? limit - others : 1);
	prefix_limit(l, left < limit / PREFIX_SHARE ? left : limit / PREFIX_SHARE);
}

static void
lanes_limit(struct engine *e)
{
	uint64_t limit = atomic_load(&e->kv_limit), reserved = 0;
	for (struct lane *l = e->lanes; l != NULL; l = l->next)
		reserved += llm_scheduler_kv_bytes(l->scheduler);
	for (struct lane *l = e->lanes; l != NULL; l = l->next)
		lane_limit(l, limit, reserved);
}

static void
job_start(struct engine *e, struct job *j)
{
	struct llm_err err = {0};
	int rc;
	j->engine = e;
	j->next_live = e->live;
	if (e->live != NULL)
		e->live->prev_live = j;
	e->live = j;
	/* It may have been cancelled on its way here, and looked for before it was there. */
	if (atomic_load(&j->cancel))
		atomic_fetch_add(&e->n_cancel, 1);
	if (j->kind != JOB_EMBED) {
		if ((rc = lane_get(&j->lane, &e->lanes, j, &err)) < 0) {
			engine_end(j, rc, &err);
			return;
		}
		j->lane->n_job++;
		j->lane->used = ++e->n_job;
		lanes_limit(e);
	}
	if (j->kind == JOB_GENERATE || j->kind == JOB_SCORE) {
		if ((rc = tokens_start(j, &err)) < 0)
			engine_end(j, rc, &err);
		return;
	}
	if ((rc = slice_start(j, &err)) < 0) {
		engine_end(j, rc, &err);
		return;
	}
	j->next = NULL;
	*e->slices_end = j;
	e->slices_end = &j->next;
}

/* A model's lanes go. */
static void
lanes_drop(struct engine *e, const struct resident *r)
{
	for (struct lane **at = &e->lanes; *at != NULL;) {
		struct lane *l = *at;
		if (l->resident != r) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		lane_free(l);
	}
}

int
engine_expect(struct resident *r, struct llm_err *err)
{
	r->farewell = calloc(1, sizeof(struct notice));
	return r->farewell == NULL ? llm_err_nomem(err, sizeof(struct notice)) : 0;
}

static void
model_drop(struct engine *e, struct resident *r)
{
	lanes_drop(e, r);
	struct notice *n = r->farewell;
	r->farewell = NULL;
	*n = (struct notice){.kind = NOTICE_DROPPED, .resident = r};
	engine_tell(e, n);
}

void
kept_free(struct kept *k)
{
	llm_seq_free(k->seq);
	free(k->ids);
	free(k);
}

/* What has come; waits for it where there is nothing else to do.  False: the end. */
static bool
come_take(struct engine *e, bool wait)
{
	pthread_mutex_lock(&e->lock);
	while (wait && !e->ending && e->jobs == NULL && e->drops == NULL && e->spent == NULL &&
	       atomic_load(&e->n_cancel) == 0)
		pthread_cond_wait(&e->come, &e->lock);
	struct job *jobs = e->jobs;
	struct resident *drops = e->drops;
	struct kept *spent = e->spent;
	bool ending = e->ending;
	e->jobs = NULL;
	e->jobs_end = &e->jobs;
	e->drops = NULL;
	e->spent = NULL;
	pthread_mutex_unlock(&e->lock);
	for (struct kept *next; spent != NULL; spent = next) {
		next = spent->next;
		kept_free(spent);
	}
	for (struct resident *next; drops != NULL; drops = next) {
		next = drops->next_drop;
		model_drop(e, drops);
	}
	for (struct job *next; jobs != NULL; jobs = next) {
		next = jobs->next;
		job_start(e, jobs);
	}
	return !ending;
}

/* Takes a waiting job out of the turns. */
static void
slice_remove(struct engine *e, struct job *j)
{
	for (struct job **at = &e->slices; *at != NULL; at = &(*at)->next)
		if (*at == j) {
			*at = j->next;
			if (e->slices_end == &j->next)
				e->slices_end = at;
			return;
		}
}

static void
cancelled_end(struct engine *e)
{
	if (atomic_exchange(&e->n_cancel, 0) == 0)
		return;
	for (struct job *j = e->live, *next; j != NULL; j = next) {
		next = j->next_live;
		if (!atomic_load(&j->cancel))
			continue;
		if (j->running != NULL) {
			llm_scheduler_cancel(j->lane->scheduler, j->running);
		} else if (j != e->slice) {
			slice_remove(e, j);
			j->result.answer.stop = LLM_GENERATE_CANCEL;
			engine_end(j, 0, NULL);
		}
	}
}

/* Computing. */

/* The numbers of a model are those of all its lanes. */
static void
numbers_publish(struct engine *e, struct resident *r)
{
	uint64_t kv = 0;
	int running = 0, waiting = 0;
	for (struct lane *l = e->lanes; l != NULL; l = l->next) {
		if (l->resident != r)
			continue;
		kv += llm_scheduler_kv_bytes(l->scheduler) + prefix_bytes(l);
		running += llm_scheduler_n_running(l->scheduler);
		waiting += llm_scheduler_n_waiting(l->scheduler);
	}
	atomic_store(&r->kv_bytes, kv);
	atomic_store(&r->n_running, running);
	atomic_store(&r->n_waiting, waiting);
}

static bool
lanes_step(struct engine *e)
{
	bool more = false;
	lanes_limit(e);
	for (struct lane *l = e->lanes; l != NULL; l = l->next) {
		if (l->n_job > 0 && llm_scheduler_step(l->scheduler) > 0)
			more = true;
		numbers_publish(e, l->resident);
	}
	return more;
}

void
engine_between(struct engine *e)
{
	come_take(e, false);
	cancelled_end(e);
	lanes_step(e);
}

void
engine_turn(void *context)
{
	engine_between(context);
}

/* The first of the most urgent class has its turn, and goes behind the others. */
static void
slices_turn(struct engine *e)
{
	struct llm_err err = {0};
	struct job *best = e->slices;
	for (struct job *j = e->slices; j != NULL; j = j->next)
		if (j->class < best->class)
			best = j;
	if (best == NULL)
		return;
	slice_remove(e, best);
	e->slice = best;
	int rc = slice_turn(best, &err);
	e->slice = NULL;
	if (rc > 0 && !atomic_load(&best->cancel)) {
		best->next = NULL;
		*e->slices_end = best;
		e->slices_end = &best->next;
		return;
	}
	if (atomic_load(&best->cancel)) {
		best->result.answer.stop = LLM_GENERATE_CANCEL;
		rc = 0;
	}
	engine_end(best, rc, &err);
}

static void *
engine_main(void *context)
{
	struct engine *e = context;
	bool more = false;
	while (come_take(e, !more)) {
		cancelled_end(e);
		more = lanes_step(e);
		slices_turn(e);
		more |= e->slices != NULL;
	}
	for (struct job *j = e->live; j != NULL; j = j->next_live)
		engine_cancel(e, j);
	cancelled_end(e);
	for (struct lane *l = e->lanes, *next; l != NULL; l = next) {
		next = l->next;
		lane_free(l);
	}
	return NULL;
}

/* From other threads. */

void
engine_submit(struct engine *e, struct job *j)
{
	j->next = NULL;
	pthread_mutex_lock(&e->lock);
	*e->jobs_end = j;
	e->jobs_end = &j->next;
	pthread_cond_signal(&e->come);
	pthread_mutex_unlock(&e->lock);
}

void
engine_cancel(struct engine *e, struct job *j)
{
	atomic_store(&j->cancel, true);
	atomic_fetch_add(&e->n_cancel, 1);
	pthread_mutex_lock(&e->lock);
	pthread_cond_signal(&e->come);
	pthread_mutex_unlock(&e->lock);
}

void
engine_drop(struct engine *e, struct resident *r)
{
	pthread_mutex_lock(&e->lock);
	r->next_drop = e->drops;
	e->drops = r;
	pthread_cond_signal(&e->come);
	pthread_mutex_unlock(&e->lock);
}

void
engine_spent(struct engine *e, struct kept *k)
{
	pthread_mutex_lock(&e->lock);
	k->next = e->spent;
	e->spent = k;
	pthread_cond_signal(&e->come);
	pthread_mutex_unlock(&e->lock);
}

void
engine_limit(struct engine *e, uint64_t kv_bytes)
{
	atomic_store(&e->kv_limit, kv_bytes);
}

struct notice *
engine_notices(struct engine *e)
{
	pthread_mutex_lock(&e->lock);
	struct notice *all = e->notices;
	e->notices = NULL;
	e->notices_end = &e->notices;
	pthread_mutex_unlock(&e->lock);
	return all;
}

int
engine_new(struct engine **out, const struct engine_params *params, struct llm_err *err)
{
	sigset_t all, was;
	struct engine *e = calloc(1, sizeof *e);
	if (e == NULL)
		return llm_err_nomem(err, sizeof *e);
	e->params = *params;
	e->jobs_end = &e->jobs;
	e->notices_end = &e->notices;
	e->slices_end = &e->slices;
	atomic_init(&e->kv_limit, UINT64_MAX);
	int rc = llm_wire_out_new(&e->out, err);
	if (rc < 0) {
		free(e);
		return rc;
	}
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->come, NULL);
	/* Signals are the loop's. */
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &was);
	rc = pthread_create(&e->thread, NULL, engine_main, e);
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	if (rc != 0) {
		llm_wire_out_free(e->out);
		free(e);
		return llm_err_set(
		    err, LLM_ESYSTEM, "the thread that computes: %s", strerror(rc));
	}
	*out = e;
	return 0;
}

void
engine_free(struct engine *e)
{
	if (e == NULL)
		return;
	pthread_mutex_lock(&e->lock);
	e->ending = true;
	pthread_cond_signal(&e->come);
	pthread_mutex_unlock(&e->lock);
	pthread_join(e->thread, NULL);
	for (struct notice *n = engine_notices(e), *next; n != NULL; n = next) {
		next = n->next;
		if (n->kind == NOTICE_KEPT)
			kept_free(n->kept);
		if (n->kind != NOTICE_DONE)
			free(n);
	}
	for (struct kept *k = e->spent, *next; k != NULL; k = next) {
		next = k->next;
		kept_free(k);
	}
	llm_wire_out_free(e->out);
	pthread_cond_destroy(&e->come);
	pthread_mutex_destroy(&e->lock);
	free(e);
}
