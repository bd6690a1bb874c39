/*
 * SPDX-License-Identifier: ISC
 *
 * Records that wait for what a model makes of them: equal texts are computed once (as long as memory for
 * them lasts), several at a time, and come out in the order in which they came in.
 */
#ifndef LLM_TOOL_QUEUE_H
#define LLM_TOOL_QUEUE_H

#include "bin/tool_records.h"

/* Who computes.  A text becomes n_value numbers. */
struct tool_queue_maker {
	int n_value;
	/* A text for the next run, which has n of them so far: 0; LLM_EBUSY where it is full (never the
	 * first); or another error, which makes this record a bad one.  rec is for messages. */
	int (*add)(void *context, const struct tool_record *rec, int n, struct llm_err *err);
	/* Computes them; dies where it cannot. */
	void (*run)(void *context);
	/* The numbers of the text that was added as i-th before the run: 0; or an error, which makes the
	 * records with this text bad ones. */
	int (*value)(void *context, int i, double *value, struct llm_err *err);
	/* A record comes out; value is NULL where rec->bad says why there is none. */
	void (*emit)(void *context, const struct tool_record *rec, const double *value);
	void *context;
};

struct tool_queue; /* opaque */

struct tool_queue *tool_queue_new(const struct tool_queue_maker *maker);
void tool_queue_free(struct tool_queue *q);

/* A record goes in, and is copied; some may come out. */
void tool_queue_add(struct tool_queue *q, const struct tool_record *rec);
/* All come out, and what they print is flushed. */
void tool_queue_run(struct tool_queue *q);

/*
 * tool_queue_pump - all records of r through q, none waiting longer than it takes to compute it.  more is
 * asked before each record (may be NULL): false ends it there.
 */
void tool_queue_pump(struct tool_queue *q, struct tool_records *r, bool (*more)(void *context));

#endif
