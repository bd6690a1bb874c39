/*
 * SPDX-License-Identifier: ISC
 *
 * The daemon: one loop that owns the socket, the clients and the table of models, and one thread that computes
 * (engine.h).  All that stands here is the loop's thread's.
 */
#ifndef LLMD_DAEMON_H
#define LLMD_DAEMON_H

#include "bin/daemon/loop.h"
#include "generate/scheduler.h"
#include "libcore/client.h"
#include "libcore/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MAX_CLIENTS = 256,
	MAX_REQUESTS = 64,       /* of one client, under way */
	MAX_WAITING = 16 << 20,  /* bytes that a client has not read yet */
	MAX_GREETING = 64 << 10, /* bytes that a connection may hold before its hello */
	SILENT_MS = 10000,       /* for that: then it makes room for another */
};

#define LLMD_NAME "llmd 0.1"
/* Bytes of messages that all clients may have under way together. */
#define MAX_HELD (UINT64_C(512) << 20)

struct engine;
struct keeping;
struct models;
struct peer;
struct server;
struct stats;

struct daemon {
	/* Options. */
	const char *socket;    /* -s */
	const char *model;     /* -m: loaded at the start */
	int n_thread;          /* -t */
	uint64_t memory_bytes; /* --memory: of weights, keys and values; never 0 */
	bool verbose;
	char *kv_dir;       /* of the prefix store; NULL: none */
	uint64_t kv_budget; /* of its files */
	const struct llm_kernels *kernels;

	char path[LLM_CLIENT_PATH]; /* of the socket */
	struct loop *loop;
	struct server *server;
	struct models *models;
	struct engine *engine;
	struct stats *stats;
	struct llm_wire_out *out; /* a message in the making */

	struct peer *peers; /* all of them, newest first */
	struct peer *dirty; /* those with something to send, or to be let go */
	int n_peer;
	uint64_t n_connect;  /* so far; the next one's number */
	uint64_t n_request;  /* so far; the next one's number */
	int n_under_way;     /* requests */
	uint64_t held_bytes; /* of messages that came */
	uint64_t start_ms;
	int n_keeping; /* prompts on their way to the disk */
	int n_keep_worker;
	struct keeping *keep_waiting; /* keep.c's: the first */
	bool kv_failed;               /* which was told */
	bool stopping;
	bool lingers, impatient; /* for answers that are not yet read */
	struct loop_timer *linger;
};

/* What happened, one line on stderr. */
#define event(...) tool_note(__VA_ARGS__) /* bin/tool.h */

/* daemon_stop - take no more, end when what runs has ended; with now: cancel that. */
void daemon_stop(struct daemon *d, bool now);
/* A request, a client or a model has gone: perhaps the last one, and the daemon is to end. */
void daemon_ended(struct daemon *d);

#endif
