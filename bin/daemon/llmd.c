/*
 * SPDX-License-Identifier: ISC
 *
 * llmd: the resident daemon.  Options, signals, and its beginning and end.
 */
#include "bin/daemon/daemon.h"
#include "bin/daemon/engine.h"
#include "bin/daemon/models.h"
#include "bin/daemon/notify.h"
#include "bin/daemon/peer.h"
#include "bin/daemon/request.h"
#include "bin/daemon/server.h"
#include "bin/daemon/stats.h"
#include "bin/tool.h"
#include "bin/tool_prefix.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	MAX_THREADS = 1024,
	MAPPED_BYTES = 64 << 10,
	LINGER_MS = 5000, /* for who has an answer still to read, when all is done */
};

static struct daemon daemon;

static int
memory_take(const char *arg, void *context)
{
	uint64_t *bytes = context;
	return tool_prefix_bytes(bytes, arg) && *bytes > 0 ? 0 : -1;
}

static const struct tool_option options[] = {
    {.letter = 's',
	.name = "socket",
	.metavar = "PATH",
	.help = "listen there; else $LLM_SOCKET, else llm/llmd.sock in $XDG_RUNTIME_DIR",
	.kind = TOOL_STRING,
	.dest = &daemon.socket},
    {.letter = 'm',
	.name = "model",
	.metavar = "MODEL",
	.help = "have this model, of the store by name or a file, ready from the start",
	.kind = TOOL_STRING,
	.dest = &daemon.model},
    {.name = "memory",
	.metavar = "BYTES",
	.help =
	    "of weights, keys and values at most (as 6G); else three quarters of what there is",
	.kind = TOOL_EACH,
	.each = memory_take,
	.dest = &daemon.memory_bytes},
    {.letter = 't',
	.name = "threads",
	.metavar = "N",
	.help = "threads; as many as the processors at hand unless told",
	.kind = TOOL_INT,
	.min = 1,
	.max = MAX_THREADS,
	.dest = &daemon.n_thread},
    {.letter = 'v',
	.name = "verbose",
	.help = "say on standard error what becomes of each request",
	.kind = TOOL_FLAG,
	.dest = &daemon.verbose},
    {0},
};

static const struct tool tool = {.name = "llmd",
    .operands = "",
    .purpose = "Keep models in memory, and compute for the programs that ask.",
    .options = options};

static void
check(int rc, const struct llm_err *err)
{
	if (rc < 0)
		tool_die(err);
}

static bool
unread(const struct daemon *d)
{
	for (const struct peer *p = d->peers; p != NULL; p = p->next)
		if (!p->dead && p->n_out > p->at_out)
			return true;
	return false;
}

void
daemon_ended(struct daemon *d)
{
	if (!d->stopping || d->n_under_way > 0 || d->n_keeping > 0 || models_busy(d->models))
		return;
	/* Who reads slowly gets the end of his answer; who does not read holds nothing up for long. */
	if (unread(d) && !d->impatient) {
		if (!d->lingers)
			loop_timer_set(d->linger, LINGER_MS, false);
		d->lingers = true;
		return;
	}
	loop_stop(d->loop);
}

static void
on_linger_over(void *context)
{
	struct daemon *d = context;
	d->impatient = true;
	daemon_ended(d);
}

void
daemon_stop(struct daemon *d, bool now)
{
	if (!d->stopping) {
		notify("STOPPING=1");
		event("stopping: %d requests under way", d->n_under_way);
		server_close(d->server);
		d->server = NULL;
	}
	d->stopping = true;
	d->impatient = now;
	for (struct peer *p = d->peers; now && p != NULL; p = p->next)
		for (struct request *r = p->requests, *next; r != NULL; r = next) {
			next = r->next;
			request_cancel(r);
		}
	daemon_ended(d);
}

static void
on_terminate(void *context)
{
	struct daemon *d = context;
	daemon_stop(d, d->stopping);
}

static void
on_hangup(void *context)
{
	struct daemon *d = context;
	models_reopen(d->models);
	if (d->model != NULL)
		models_preload(d->models, d->model);
}

static void
on_before(void *context)
{
	peers_tidy(context);
}

static void
on_notice(void *context)
{
	requests_notice(context);
}

/* From any thread. */
static void
wake(void *context)
{
	loop_wake(context);
}

static uint64_t
memory_default(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
	return pages > 0 && bytes > 0 ? (uint64_t)pages * (uint64_t)bytes / 4 * 3
				      : UINT64_C(4) << 30;
}

/* What the options leave to the environment. */
static void
settle(struct daemon *d)
{
	struct llm_err err;
	check(llm_client_socket(
		  d->path, d->socket, getenv("LLM_SOCKET"), getenv("XDG_RUNTIME_DIR"), &err),
	    &err);
	check(llm_kernels_get(&d->kernels, getenv("LLM_KERNELS"), &err), &err);
	if (d->memory_bytes == 0)
		d->memory_bytes = memory_default();
	d->kv_budget = tool_prefix_budget();
	d->kv_dir = d->kv_budget > 0 ? tool_prefix_dir() : NULL;
}

/* What is given back goes back to the system: a daemon lives long, and its large blocks come and go. */
static void
memory_tune(void)
{
#ifdef __GLIBC__
	mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
	mallopt(M_TRIM_THRESHOLD, MAPPED_BYTES);
	mallopt(M_ARENA_MAX, 2);
#endif
}

int
main(int argc, char **argv)
{
	static const int quiet[] = {SIGPIPE, SIGXFSZ};
	struct daemon *d = &daemon;
	struct loop_signal *signals[3];
	struct loop_wake *waker;
	struct llm_err err = {0};
	int first = tool_start(&tool, argc, argv);
	tool_operands(argc, first, 0);
	for (int i = 0; i < 2; i++)
		signal(quiet[i], SIG_IGN);
	memory_tune();
	settle(d);
	check(loop_new(&d->loop, on_before, d, &err), &err);
	d->start_ms = loop_now_ms(d->loop);
	check(loop_signal_new(&signals[0], d->loop, SIGTERM, on_terminate, d, &err), &err);
	check(loop_signal_new(&signals[1], d->loop, SIGINT, on_terminate, d, &err), &err);
	check(loop_signal_new(&signals[2], d->loop, SIGHUP, on_hangup, d, &err), &err);
	check(stats_new(&d->stats, &err), &err);
	check(llm_wire_out_new(&d->out, &err), &err);
	check(server_open(&d->server, d, &err), &err);
	check(loop_wake_new(&waker, d->loop, on_notice, d, &err), &err);
	const struct engine_params ep = {.kernels = d->kernels,
	    .n_thread = d->n_thread,
	    .kv_dir = d->kv_dir,
	    .kv_budget = d->kv_budget,
	    .wake = wake,
	    .context = waker};
	check(engine_new(&d->engine, &ep, &err), &err);
	check(models_new(&d->models, d, &err), &err);
	check(loop_timer_new(&d->linger, d->loop, on_linger_over, d, &err), &err);
	engine_limit(d->engine, d->memory_bytes);
	event("ready: %s", d->path);
	notify("READY=1");
	if (d->model != NULL)
		models_preload(d->models, d->model);
	loop_run(d->loop);
	peers_tidy(d); /* the last words */
	for (struct peer *p = d->peers; p != NULL; p = p->next)
		peer_close(p);
	peers_tidy(d);
	engine_free(d->engine);
	models_free(d->models);
	loop_wake_free(waker);
	loop_timer_free(d->linger);
	for (int i = 0; i < 3; i++)
		loop_signal_free(signals[i]);
	loop_free(d->loop);
	llm_wire_out_free(d->out);
	stats_free(d->stats);
	free(d->kv_dir);
	event("stopped");
	return 0;
}
