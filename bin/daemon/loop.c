/*
 * SPDX-License-Identifier: ISC
 *
 * The event loop over libuv; see loop.h.  Handles are freed once libuv has let go of them.
 */
#include "bin/daemon/loop.h"

#include <stdlib.h>
#include <uv.h>

struct loop {
	uv_loop_t uv;
	uv_prepare_t prepare;
	loop_call before;
	void *context;
	int n_work; /* pieces of work under way */
};

struct loop_watch {
	uv_poll_t uv; /* first, so that a handle is its owner; likewise below */
	loop_ready call;
	void *context;
};

struct loop_timer {
	uv_timer_t uv;
	loop_call call;
	void *context;
};

struct loop_signal {
	uv_signal_t uv;
	loop_call call;
	void *context;
};

struct loop_wake {
	uv_async_t uv;
	loop_call call;
	void *context;
};

static int
failed(struct llm_err *err, int rc)
{
	return llm_err_set(
	    err, rc == UV_ENOMEM ? LLM_ENOMEM : LLM_ESYSTEM, "event loop: %s", uv_strerror(rc));
}

static void
on_closed(uv_handle_t *h)
{
	free(h);
}

static void
on_prepare(uv_prepare_t *h)
{
	struct loop *l = h->data;
	l->before(l->context);
}

int
loop_new(struct loop **out, loop_call before, void *context, struct llm_err *err)
{
	struct loop *l = calloc(1, sizeof *l);
	if (l == NULL)
		return llm_err_nomem(err, sizeof *l);
	int rc = uv_loop_init(&l->uv);
	if (rc < 0) {
		free(l);
		return failed(err, rc);
	}
	l->before = before;
	l->context = context;
	l->prepare.data = l;
	uv_prepare_init(&l->uv, &l->prepare);
	if (before != NULL)
		uv_prepare_start(&l->prepare, on_prepare);
	*out = l;
	return 0;
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	uv_close((uv_handle_t *)&l->prepare, NULL);
	/* What was closed is still to be let go of; a stop that came late ends a first run before it begins. */
	uv_run(&l->uv, UV_RUN_NOWAIT);
	uv_run(&l->uv, UV_RUN_DEFAULT);
	uv_loop_close(&l->uv);
	free(l);
}

void
loop_run(struct loop *l)
{
	uv_run(&l->uv, UV_RUN_DEFAULT);
	while (l->n_work > 0)
		uv_run(&l->uv, UV_RUN_ONCE);
}

void
loop_stop(struct loop *l)
{
	uv_stop(&l->uv);
}

uint64_t
loop_now_ms(const struct loop *l)
{
	return uv_now(&l->uv);
}

/* Descriptors. */

static void
on_poll(uv_poll_t *h, int status, int events)
{
	struct loop_watch *w = (struct loop_watch *)h;
	/* What is wrong with the descriptor, reading it will tell. */
	int ready = status < 0 ? LOOP_READ
			       : (events & UV_READABLE ? LOOP_READ : 0) |
				     (events & UV_WRITABLE ? LOOP_WRITE : 0);
	w->call(w->context, ready);
}

int
loop_watch_new(struct loop_watch **out, struct loop *l, int fd, loop_ready call, void *context,
    struct llm_err *err)
{
	struct loop_watch *w = calloc(1, sizeof *w);
	if (w == NULL)
		return llm_err_nomem(err, sizeof *w);
	int rc = uv_poll_init(&l->uv, &w->uv, fd);
	if (rc < 0) {
		free(w);
		return failed(err, rc);
	}
	w->call = call;
	w->context = context;
	*out = w;
	return 0;
}

void
loop_watch_set(struct loop_watch *w, int events)
{
	int wanted =
	    (events & LOOP_READ ? UV_READABLE : 0) | (events & LOOP_WRITE ? UV_WRITABLE : 0);
	if (wanted != 0)
		uv_poll_start(&w->uv, wanted, on_poll);
	else
		uv_poll_stop(&w->uv);
}

void
loop_watch_free(struct loop_watch *w)
{
	if (w != NULL)
		uv_close((uv_handle_t *)&w->uv, on_closed);
}

/* Timers. */

static void
on_timer(uv_timer_t *h)
{
	struct loop_timer *t = (struct loop_timer *)h;
	t->call(t->context);
}

int
loop_timer_new(
    struct loop_timer **out, struct loop *l, loop_call call, void *context, struct llm_err *err)
{
	struct loop_timer *t = calloc(1, sizeof *t);
	if (t == NULL)
		return llm_err_nomem(err, sizeof *t);
	uv_timer_init(&l->uv, &t->uv);
	t->call = call;
	t->context = context;
	*out = t;
	return 0;
}

void
loop_timer_set(struct loop_timer *t, uint64_t ms, bool again)
{
	uv_timer_start(&t->uv, on_timer, ms, again ? ms : 0);
}

void
loop_timer_free(struct loop_timer *t)
{
	if (t != NULL)
		uv_close((uv_handle_t *)&t->uv, on_closed);
}

/* Signals. */

static void
on_signal(uv_signal_t *h, int number)
{
	struct loop_signal *s = (struct loop_signal *)h;
	(void)number;
	s->call(s->context);
}

int
loop_signal_new(struct loop_signal **out, struct loop *l, int number, loop_call call,
    void *context, struct llm_err *err)
{
	struct loop_signal *s = calloc(1, sizeof *s);
	if (s == NULL)
		return llm_err_nomem(err, sizeof *s);
	int rc = uv_signal_init(&l->uv, &s->uv);
	if (rc < 0) {
		free(s);
		return failed(err, rc);
	}
	s->call = call;
	s->context = context;
	if ((rc = uv_signal_start(&s->uv, on_signal, number)) < 0) {
		uv_close((uv_handle_t *)&s->uv, on_closed);
		return failed(err, rc);
	}
	*out = s;
	return 0;
}

void
loop_signal_free(struct loop_signal *s)
{
	if (s != NULL)
		uv_close((uv_handle_t *)&s->uv, on_closed);
}

/* Other threads. */

static void
on_async(uv_async_t *h)
{
	struct loop_wake *w = (struct loop_wake *)h;
	w->call(w->context);
}

int
loop_wake_new(
    struct loop_wake **out, struct loop *l, loop_call call, void *context, struct llm_err *err)
{
	struct loop_wake *w = calloc(1, sizeof *w);
	if (w == NULL)
		return llm_err_nomem(err, sizeof *w);
	int rc = uv_async_init(&l->uv, &w->uv, on_async);
	if (rc < 0) {
		free(w);
		return failed(err, rc);
	}
	w->call = call;
	w->context = context;
	*out = w;
	return 0;
}

void
loop_wake(struct loop_wake *w)
{
	uv_async_send(&w->uv);
}

void
loop_wake_free(struct loop_wake *w)
{
	if (w != NULL)
		uv_close((uv_handle_t *)&w->uv, on_closed);
}

struct piece {
	uv_work_t uv;
	struct loop *loop;
	loop_call work, done;
	void *context;
};

static void
on_work(uv_work_t *h)
{
	struct piece *p = (struct piece *)h;
	p->work(p->context);
}

static void
on_work_done(uv_work_t *h, int status)
{
	struct piece p = *(struct piece *)h;
	(void)status;
	free(h);
	p.loop->n_work--;
	p.done(p.context);
}

int
loop_work(struct loop *l, loop_call work, loop_call done, void *context, struct llm_err *err)
{
	struct piece *p = calloc(1, sizeof *p);
	if (p == NULL)
		return llm_err_nomem(err, sizeof *p);
	*p = (struct piece){.loop = l, .work = work, .done = done, .context = context};
	int rc = uv_queue_work(&l->uv, &p->uv, on_work, on_work_done);
	if (rc < 0) {
		free(p);
		return failed(err, rc);
	}
	l->n_work++;
	return 0;
}
