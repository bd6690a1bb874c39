/*
 * SPDX-License-Identifier: ISC
 *
 * Threads that share a range of work: spinning within a token, asleep between requests.
 * The caller is thread 0; work is claimed in chunks from one counter, so that a preempted thread
 * holds up one chunk and not a share.  Where other processes keep processors busy the pool works
 * with fewer threads for a while (crew.h).
 */
#ifndef LLM_POOL_H
#define LLM_POOL_H

#include "libcore/err.h"
#include "libcore/phase.h"

struct llm_pool; /* opaque; used by one thread at a time */

/* Units [begin, end) of the region, on behalf of thread 0..n_thread-1. */
typedef void (*llm_pool_work)(void *arg, int begin, int end, int thread);

/* A region: all units [0, n) done by work. */
struct llm_pool_region {
	llm_pool_work work;
	void *arg;
	int n;
	int grain; /* chunks are multiples of it, and shrink to it toward the end; 0: 1 */
	int most;  /* units of a chunk at most, or the grain where that is more; 0: no limit */
	/* Optional: units [begin, end) will be this thread's next.  A chunk is then claimed before the
	 * one before it is done, so that its memory is on the way when it comes. */
	void (*ahead)(void *arg, int begin, int end);
};

/*
 * llm_pool_new - n_thread 0: as many as this process may use (affinity, cgroup quota).
 * Threads start each on a processor of its own where there are enough, and are left to the scheduler
 * from there: one that is pinned cannot leave a processor that another process keeps busy, and two
 * processes would pin theirs to the same ones.
 */
int llm_pool_new(struct llm_pool **out, int n_thread, struct llm_err *err);
void llm_pool_free(struct llm_pool *p);
int llm_pool_n_thread(const struct llm_pool *p);

/* Threads at work now: n_thread, or fewer where processors are busy. */
int llm_pool_n_active(const struct llm_pool *p);

/*
 * llm_pool_watch - regions come thick and fast from here (a pass begins): the pool looks, every few
 * milliseconds at their ends, at how its threads fare, and goes on with fewer or more of them.
 */
void llm_pool_watch(struct llm_pool *p);

/* The clock that is told what a region's end is waited for: NULL (at first) for none.  Not owned. */
void llm_pool_clock(struct llm_pool *p, struct llm_phases *phases);

/*
 * llm_pool_run - have a region's units done; returns when all are.  Each thread, the caller's too, is
 * set to round to nearest and to keep denormals, and is left so.
 */
void llm_pool_run_region(struct llm_pool *p, const struct llm_pool_region *region);
void llm_pool_run(struct llm_pool *p, llm_pool_work work, void *arg, int n, int grain);

#endif
