/*
 * SPDX-License-Identifier: ISC
 *
 * The table of models; see models.h.  One at a time is opened, by another thread; when there is no room for it,
 * those that nobody uses go, the one that was used least lately first.
 */
#include "bin/daemon/models.h"

#include "bin/daemon/engine.h"
#include "bin/daemon/request.h"
#include "bin/daemon/room.h"
#include "bin/daemon/stats.h"
#include "bin/tool.h"
#include "bin/tool_cache.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { PROGRESS_MS = 250 };

struct models {
	struct daemon *daemon;
	struct model *first;
	struct model *opening; /* the one that is */
	struct loop_timer *timer;
	uint64_t n_used; /* a clock that ticks at each use */
	int n_closing;
	bool lock_told;
};

static char *
quote(char buf[static 120], const struct model *x)
{
	size_t n = strlen(x->path), keep = 90;
	return llm_err_quote(
	    buf, 120, n > keep ? x->path + n - keep : x->path, n > keep ? keep : n);
}

static void
unlink_model(struct model *x)
{
	for (struct model **at = &x->all->first; *at != NULL; at = &(*at)->next)
		if (*at == x) {
			*at = x->next;
			return;
		}
}

uint64_t
models_bytes(const struct models *m)
{
	return room_used(m->first);
}

/* What weights leave is for keys and values. */
static void
limit(struct models *m)
{
	struct daemon *d = m->daemon;
	uint64_t bytes = models_bytes(m);
	engine_limit(d->engine, d->memory_bytes > bytes ? d->memory_bytes - bytes : 1);
}

/* Leaving. */

static void
on_closed(void *context)
{
	struct model *x = context;
	struct models *m = x->all;
	m->n_closing--;
	free(x->path);
	free(x);
	daemon_ended(m->daemon);
}

/* On another thread: to unmap takes its time. */
static void
close_work(void *context)
{
	struct model *x = context;
	for (struct model_embedder *e = x->embedders, *next; e != NULL; e = next) {
		next = e->next;
		llm_embedder_close(e->embedder);
		free(e);
	}
	resident_close(x->resident);
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

static void
model_close(struct model *x)
{
	const struct llm_map *index;
	unlink_model(x);
	x->all->n_closing++;
	for (struct model_embedder *e = x->embedders; e != NULL; e = e->next)
		tool_unguard(llm_embedder_gguf(e->embedder));
	if (x->resident != NULL) {
		tool_unguard(x->resident->gguf);
		index = x->resident->tokenizer != NULL
			    ? llm_tokenizer_indexed(x->resident->tokenizer)
			    : NULL;
		if (index != NULL)
			tool_unguard_map(index);
	}
	if (loop_work(x->all->daemon->loop, close_work, on_closed, x, NULL) < 0) {
		close_work(x);
		on_closed(x);
	}
}

/* To be gone once nobody uses it. */
static void
leave(struct model *x)
{
	char name[120];
	x->stale = true;
	if (x->n_use > 0 || x->state != MODEL_READY || x->working)
		return;
	x->state = MODEL_LEAVING;
	stats_count(x->all->daemon->stats, STATS_UNLOADS);
	event("unload %s", quote(name, x));
	engine_drop(x->all->daemon->engine, x->resident);
	limit(x->all);
}

void
models_dropped(struct models *m, struct resident *r)
{
	for (struct model *x = m->first; x != NULL; x = x->next)
		/* Of one that is being opened the other thread has the field. */
		if (x->state == MODEL_LEAVING && x->resident == r) {
			model_close(x);
			return;
		}
}

/* Lets go of models that nobody uses until there is room for so many bytes; returns the room there is. */
static uint64_t
make_room(struct models *m, uint64_t bytes)
{
	uint64_t budget = m->daemon->memory_bytes;
	for (;;) {
		uint64_t used = models_bytes(m), room = budget > used ? budget - used : 0;
		struct model *oldest = room_oldest(m->first);
		if (room >= bytes || oldest == NULL)
			return room;
		leave(oldest);
		if (oldest->state == MODEL_READY)
			return room;
	}
}

/* Coming. */

static void open_next(struct models *m);

/* Those that wait get their answer; of a model that is there, in as far as it is all they wait for. */
static void
waiting_tell(struct model *x)
{
	struct request *r = x->waiting, *next;
	struct request **end = &x->waiting;
	x->waiting = NULL;
	x->n_use++; /* it is not to go while they are told */
	for (; r != NULL; r = next) {
		next = r->next_waiting;
		r->next_waiting = NULL;
		if (x->rc < 0) {
			request_failed(r, &x->err);
		} else if (r->wants_ident && !x->has_ident && !x->failed) {
			*end = r;
			end = &r->next_waiting;
		} else {
			request_ready(r);
		}
	}
	x->n_use--;
}

static void
ident_work(void *context)
{
	struct model *x = context;
	struct llm_err err;
	x->lock_errno = resident_lock(x->resident);
	if (!x->resident->known)
		x->failed = resident_ident(&x->resident->ident, x->resident, &err) < 0;
}

static void
lock_tell(struct model *x)
{
	struct rlimit r = {0};
	x->locked = x->lock_errno == 0;
	if (x->locked || x->all->lock_told)
		return;
	x->all->lock_told = true;
	getrlimit(RLIMIT_MEMLOCK, &r);
	event("weights are not locked in memory: %s; RLIMIT_MEMLOCK is %llu bytes",
	    strerror(x->lock_errno), (unsigned long long)r.rlim_cur);
}

static void
on_ident(void *context)
{
	struct model *x = context;
	x->working = false;
	x->has_ident = !x->failed;
	x->ident = x->resident->ident;
	lock_tell(x);
	waiting_tell(x);
	if (x->stale)
		leave(x);
	open_next(x->all);
	daemon_ended(x->all->daemon);
}

static void
open_work(void *context)
{
	struct model *x = context;
	x->rc = resident_open(&x->resident, x->path, &x->watch, &x->err);
	if (x->rc >= 0 && (x->rc = engine_expect(x->resident, &x->err)) < 0) {
		resident_close(x->resident);
		x->resident = NULL;
	}
}

static void
ready(struct model *x)
{
	struct resident *r = x->resident;
	char name[120];
	x->state = MODEL_READY;
	x->has_ident = r->known;
	x->ident = r->ident;
	tool_guard(r->gguf);
	if (r->tokenizer != NULL && llm_tokenizer_indexed(r->tokenizer) != NULL)
		tool_guard_map(llm_tokenizer_indexed(r->tokenizer));
	stats_count(x->all->daemon->stats, STATS_LOADS);
	event("load %s: %.1f MiB, %s", quote(name, x), (double)r->bytes / 1048576,
	    r->encoder != NULL ? "an encoder, mapped"
	    : r->memory < 0    ? "mapped"
	    : r->huge          ? "packed into sealed memory, in huge pages"
			       : "packed into sealed memory");
	make_room(x->all, 0);
	limit(x->all);
	x->working = true;
	if (loop_work(x->all->daemon->loop, ident_work, on_ident, x, NULL) < 0) {
		x->working = false;
		x->failed = !x->has_ident;
	}
}

static void
on_opened(void *context)
{
	struct model *x = context;
	struct models *m = x->all;
	char name[120];
	m->opening = NULL;
	tool_opening(NULL);
	if (x->rc >= 0) {
		ready(x);
	} else {
		event("load %s: failed: %s", quote(name, x), x->err.msg);
		unlink_model(x);
	}
	waiting_tell(x);
	if (x->rc < 0) {
		free(x->path);
		free(x);
	} else if (x->stale) {
		leave(x);
	}
	open_next(m);
	daemon_ended(m->daemon);
}

/* Those that asked for the model alone hear how far it is. */
static void
on_timer(void *context)
{
	struct models *m = context;
	struct model *x = m->opening;
	if (x == NULL)
		return;
	for (struct request *r = x->waiting; r != NULL; r = r->next_waiting)
		request_progress(
		    r, atomic_load(&x->watch.done_bytes), atomic_load(&x->watch.of_bytes));
	loop_timer_set(m->timer, PROGRESS_MS, false);
}

/* Opens the one that has waited for longest. */
static void
open_next(struct models *m)
{
	struct model *x = NULL;
	struct stat st;
	for (struct model *y = m->first; y != NULL; y = y->next)
		if (y->state == MODEL_QUEUED)
			x = y;
	if (x == NULL || m->opening != NULL)
		return;
	uint64_t room = room_possible(m->first, m->daemon->memory_bytes), size = 0;
	if (stat(x->path, &st) == 0 && (uint64_t)st.st_size <= room) {
		size = (uint64_t)st.st_size;
		room = make_room(m, size);
	}
	if (room < size && room_coming(m->first))
		return; /* tried again when that has gone */
	x->watch.room_bytes = room;
	x->state = MODEL_OPENING;
	m->opening = x;
	tool_opening(x->path);
	loop_timer_set(m->timer, PROGRESS_MS, false);
	/* What stands in x is the other thread's from here on. */
	struct llm_err err;
	int rc = loop_work(m->daemon->loop, open_work, on_opened, x, &err);
	if (rc < 0) {
		x->rc = rc;
		x->err = err;
		on_opened(x);
	}
}

/* The entry of a path, a new one where there is none; NULL: no memory.  Takes the path. */
static struct model *
entry(struct models *m, char *path)
{
	for (struct model *x = m->first; x != NULL; x = x->next) {
		if (x->stale || strcmp(x->path, path) != 0)
			continue;
		if (x->state == MODEL_READY && !resident_fresh(x->resident)) {
			leave(x);
			continue;
		}
		free(path);
		return x;
	}
	struct model *x = calloc(1, sizeof *x);
	if (x == NULL) {
		free(path);
		return NULL;
	}
	x->path = path;
	x->all = m;
	x->next = m->first;
	m->first = x;
	return x;
}

/* The path that a name means; one that is relative would be relative to the daemon. */
static int
path_of(char **path, const char *name, struct llm_err *err)
{
	char quoted[100];
	if (name[0] != '/' && strchr(name, '/') != NULL)
		return llm_err_set(err, LLM_ENOINPUT,
		    "%s: a path to the daemon begins with a '/'",
		    llm_err_quote(quoted, sizeof quoted, name, strlen(name)));
	return tool_model_find(path, name, err);
}

void
models_want(struct models *m, struct request *r, const char *name)
{
	struct llm_err err;
	struct stat st;
	char *path;
	if (path_of(&path, name, &err) < 0) {
		request_failed(r, &err);
		return;
	}
	/* What is not there needs no entry: a client may ask for anything. */
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode)) {
		struct llm_map none;
		int rc = llm_map_open(&none, path, &err);
		free(path);
		if (rc >= 0) {
			llm_map_close(&none);
			llm_err_set(&err, LLM_EBUSY, "the model's file has just changed");
		}
		request_failed(r, &err);
		return;
	}
	struct model *x = entry(m, path);
	if (x == NULL) {
		llm_err_nomem(&err, sizeof *x);
		request_failed(r, &err);
		return;
	}
	r->model = x;
	x->n_use++;
	x->used = ++m->n_used;
	if (x->state == MODEL_READY && (!r->wants_ident || x->has_ident || x->failed)) {
		request_ready(r);
		return;
	}
	struct request **end = &x->waiting;
	while (*end != NULL)
		end = &(*end)->next_waiting;
	*end = r;
	open_next(m);
}

void
models_forget(struct model *model, struct request *r)
{
	for (struct request **at = &model->waiting; *at != NULL; at = &(*at)->next_waiting)
		if (*at == r) {
			*at = r->next_waiting;
			r->next_waiting = NULL;
			return;
		}
}

void
models_release(struct model *model)
{
	model->n_use--;
	if (model->stale && model->n_use == 0)
		leave(model);
}

void
models_preload(struct models *m, const char *name)
{
	struct llm_err err;
	char *path;
	if (path_of(&path, name, &err) < 0) {
		event("%s", err.msg);
		return;
	}
	if (entry(m, path) != NULL)
		open_next(m);
}

char *
model_name(char buf[MODEL_NAME], const struct model *x)
{
	static const char stored[] = "/model.gguf", suffix[] = ".gguf";
	size_t n = strlen(x->path), cut = 0;
	if (n > sizeof stored && strcmp(x->path + n - sizeof stored + 1, stored) == 0)
		cut = sizeof stored - 1;
	else if (n > sizeof suffix && strcmp(x->path + n - sizeof suffix + 1, suffix) == 0)
		cut = sizeof suffix - 1;
	size_t from = n -= cut;
	while (from > 0 && x->path[from - 1] != '/')
		from--;
	n = n - from < MODEL_NAME - 1 ? n - from : MODEL_NAME - 1;
	memcpy(buf, x->path + from, n);
	buf[n] = '\0';
	return buf;
}

/* The one of that path, or else of that name. */
static struct model *
loaded_find(const struct models *m, const char *path, const char *name)
{
	char own[MODEL_NAME];
	struct model *named = NULL;
	for (struct model *x = m->first; x != NULL; x = x->next) {
		if (x->state != MODEL_READY || x->stale)
			continue;
		if (path != NULL && strcmp(x->path, path) == 0)
			return x;
		if (strcmp(model_name(own, x), name) == 0)
			named = x;
	}
	return named;
}

int
models_unload(uint64_t *bytes, struct models *m, const char *name, struct llm_err *err)
{
	char *path = NULL, quoted[100];
	if (path_of(&path, name, err) < 0)
		path = NULL;
	struct model *x = loaded_find(m, path, name);
	free(path);
	if (x == NULL)
		return llm_err_set(err, LLM_ENOINPUT, "%s: is not loaded",
		    llm_err_quote(quoted, sizeof quoted, name, strlen(name)));
	*bytes = x->resident->bytes;
	leave(x);
	return 0;
}

void
models_reopen(struct models *m)
{
	int n = 0, gone = 0;
	for (struct model *x = m->first, *next; x != NULL; x = next) {
		next = x->next;
		if (x->state != MODEL_READY || x->stale)
			continue;
		n++;
		if (!resident_fresh(x->resident)) {
			gone++;
			leave(x);
		}
	}
	event("models are looked at anew: %d stay, %d go", n - gone, gone);
}

bool
models_busy(const struct models *m)
{
	for (const struct model *x = m->first; x != NULL; x = x->next)
		if (x->state != MODEL_READY || x->working)
			return true;
	return m->n_closing > 0;
}

const struct model *
models_first(const struct models *m)
{
	return m->first;
}

struct llm_embedder *
model_embedder(const struct model *model, const struct llm_embedder_params *p)
{
	for (const struct model_embedder *e = model->embedders; e != NULL; e = e->next)
		if (e->params.precise == p->precise && e->params.pooling == p->pooling &&
		    e->params.plain == p->plain && e->params.cut == p->cut)
			return e->embedder;
	return NULL;
}

int
model_embedder_add(struct model *model, const struct llm_embedder_params *params,
    struct llm_embedder *e, struct llm_err *err)
{
	struct model_embedder *new = calloc(1, sizeof *new);
	if (new == NULL)
		return llm_err_nomem(err, sizeof *new);
	*new = (struct model_embedder){model->embedders, *params, e};
	model->embedders = new;
	tool_guard(llm_embedder_gguf(e));
	return 0;
}

int
models_new(struct models **out, struct daemon *d, struct llm_err *err)
{
	struct models *m = calloc(1, sizeof *m);
	if (m == NULL)
		return llm_err_nomem(err, sizeof *m);
	m->daemon = d;
	int rc = loop_timer_new(&m->timer, d->loop, on_timer, m, err);
	if (rc < 0) {
		free(m);
		return rc;
	}
	*out = m;
	return 0;
}

void
models_free(struct models *m)
{
	if (m == NULL)
		return;
	for (struct model *x = m->first, *next; x != NULL; x = next) {
		next = x->next;
		close_work(x);
		free(x->path);
		free(x);
	}
	loop_timer_free(m->timer);
	free(m);
}
