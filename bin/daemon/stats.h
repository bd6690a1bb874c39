/*
 * SPDX-License-Identifier: ISC
 *
 * What the daemon counts: events, and how long requests took, by class.
 */
#ifndef LLMD_STATS_H
#define LLMD_STATS_H

#include "generate/scheduler.h"
#include "libcore/wire.h"

/* One row a counter: its name here and on the wire. */
#define STATS_COUNTERS(X)             \
	X(CONNECTS, "connects")       \
	X(REQUESTS, "requests")       \
	X(BUSY, "busy")               \
	X(REFUSED, "refused")         \
	X(CANCELLED, "cancelled")     \
	X(CUT_OFF, "cut_off")         \
	X(LOADS, "loads")             \
	X(UNLOADS, "unloads")         \
	X(TOKENS_IN, "tokens_in")     \
	X(TOKENS_KEPT, "tokens_kept") \
	X(TOKENS_OUT, "tokens_out")

enum stats_counter {
#define STATS_ENUM(name, wire) STATS_##name,
	STATS_COUNTERS(STATS_ENUM)
#undef STATS_ENUM
	    STATS_N
};

struct stats; /* opaque; of one thread */

int stats_new(struct stats **out, struct llm_err *err);
void stats_free(struct stats *s);

void stats_count(struct stats *s, enum stats_counter c);
void stats_add(struct stats *s, enum stats_counter c, uint64_t n);
/* A job that went well. */
void stats_job(struct stats *s, enum llm_job_class class, const struct llm_job_result *r);
/* n tokens were computed just now; tokens a second, over the last seconds.  now_ms: of one clock. */
void stats_tokens(struct stats *s, uint64_t n, uint64_t now_ms);
double stats_rate(const struct stats *s, uint64_t now_ms);

/* Fields of a message: classes and counters. */
void stats_put(struct llm_wire_out *o, const struct stats *s);
/* "interactive", "pipe", "batch". */
const char *stats_class_name(enum llm_job_class class);

#endif
