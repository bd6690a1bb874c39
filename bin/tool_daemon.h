/*
 * SPDX-License-Identifier: ISC
 *
 * The daemon as programs use it: asked where it is there, and where it is not, or refuses before anything
 * of an answer is there, the program computes by itself: the same bytes.
 *
 *	d = tool_daemon_open(gguf, false);
 *	if (tool_daemon_ask(d, &request, &err) == 0)
 *		...	(compute it here)
 */
#ifndef LLM_TOOL_DAEMON_H
#define LLM_TOOL_DAEMON_H

#include "bin/tool.h"
#include "libcore/wire.h"

struct llm_gguf;
struct tool_daemon; /* opaque: a connection, for requests about one model */

/* For tool.more: -s --daemon --local --interactive --nice. */
extern const struct tool_option tool_daemon_options[];

/*
 * tool_daemon_open - the daemon, for requests about the model g, which must outlive it; NULL where there is
 * none, it computes by another numeric version, or the program is to compute by itself (--local,
 * LLM_KERNELS).  verbose: which it is, is said.  Dies: 64 options that exclude each other; with --daemon 69 instead of NULL.
 */
struct tool_daemon *tool_daemon_open(const struct llm_gguf *g, bool verbose);
void tool_daemon_close(struct tool_daemon *d);

/* A request and what becomes of its answer.  Hooks but put and take may be NULL. */
struct tool_daemon_request {
	const char *op;
	/* Writes the fields; id, op, model, ident and class are there. */
	void (*put)(void *context, struct llm_wire_out *o);
	/* A message of the answer, the last one ("done") too; LLM_EPROTOCOL where it is not as it should be. */
	int (*take)(void *context, const struct llm_wire_value *m, struct llm_err *err);
	/* Whether something of the answer is out and cannot be taken back; NULL: only at its end. */
	bool (*begun)(void *context);
	/* Asked ten times a second; true cancels the request, whose answer then comes to its end. */
	bool (*cancel)(void *context);
	/* Prompt tokens computed. */
	void (*progress)(void *context, int done);
	void *context;
};

/*
 * tool_daemon_ask - 1: it was answered.  0: it was not (d is NULL, it refused, it died), nothing is out, and
 * the program computes by itself from here on: d is never asked again.
 * Errors: where something was out already, what ended the answer, LLM_EUNAVAILABLE a daemon that died;
 * with --daemon those too for which there would be 0.
 */
int tool_daemon_ask(
    struct tool_daemon *d, const struct tool_daemon_request *r, struct llm_err *err);

/* The fields "kv" and "precise", as the options of tool_run.h say. */
void tool_daemon_put_run(struct llm_wire_out *o);

/* Whether the next request will be asked of it. */
bool tool_daemon_serves(const struct tool_daemon *d);

#endif
