/*
 * SPDX-License-Identifier: ISC
 *
 * Threads that share a range of work: spinning within a token, asleep between requests.
 * The caller is thread 0; work is claimed in chunks from one counter, so that a preempted thread
 * holds up one chunk and not a share.
 */
#ifndef LLM_POOL_H
#define LLM_POOL_H

#include "libcore/err.h"
#include "libcore/phase.h"

struct llm_pool; /* opaque; used by one thread at a time */

/* Units [begin, end) of the region, on behalf of thread 0..n_thread-1. */
typedef void (*llm_pool_work)(void *arg, int begin, int end, int thread);

/* n_thread 0: as many as this process may use (affinity, cgroup quota). */
int llm_pool_new(struct llm_pool **out, int n_thread, struct llm_err *err);
void llm_pool_free(struct llm_pool *p);
int llm_pool_n_thread(const struct llm_pool *p);

/* The clock that is told what a region's end is waited for: NULL (at first) for none.  Not owned. */
void llm_pool_clock(struct llm_pool *p, struct llm_phases *phases);

/*
 * llm_pool_run - have all units [0, n) done by work, claimed in chunks of a multiple of grain that
 * shrink toward the end; returns when all are done.  Each thread, the caller's too, is set to round to
 * nearest and to keep denormals, and is left so.
 */
void llm_pool_run(struct llm_pool *p, llm_pool_work work, void *arg, int n, int grain);

#endif
