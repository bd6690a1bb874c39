/*
 * SPDX-License-Identifier: ISC
 *
 * The thread pool; see pool.h.  A region is opened and closed by one word, the gate: workers enter
 * an open gate, claim chunks until none is left, and leave; the caller closes the gate when the
 * work has run out and waits only for those inside.  So a worker that is preempted or asleep when a
 * region comes is not waited for: the others do its share.
 */
#define _GNU_SOURCE
#include "libcore/pool.h"

#include "libcore/cpu.h"

#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The gate: the region's number above, a bit "closed", the count of workers inside below. */
enum { GATE_CLOSED = 1 << 16, GATE_INSIDE = GATE_CLOSED - 1, GATE_REGION = 1 << 17 };

/* Turns of the waiting loop: first with a pause, then giving way to others, then to sleep.  A turn
 * takes some 15-40 ns, so a worker stays awake for about a millisecond, longer than what a token
 * computes between regions and shorter than what a request waits for the next. */
enum { SPIN_PAUSE = 4096, SPIN_YIELD = 2048 };

enum { MAX_THREADS = 1024 };

struct worker {
	struct llm_pool *pool;
	pthread_t id;
	int index; /* 1.. */
};

struct llm_pool {
	int n_thread;
	bool crowded; /* more threads than processors: give way at once */
	struct worker *worker;
	int n_worker;              /* running */
	struct llm_phases *phases; /* NULL or off: nobody asks */

	/* Written by the caller while the gate is closed and empty. */
	llm_pool_work work;
	void *arg;
	int n, grain;

	_Alignas(64) atomic_uint_least64_t gate;
	_Alignas(64) atomic_int next;
	_Alignas(64) atomic_int sleepers;
	atomic_bool quit;
	pthread_mutex_t lock;
	pthread_cond_t wake;
};

static void
relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Claims chunks until the region has none left: half of an even share of what remains. */
static void
region_work(struct llm_pool *p, int thread)
{
	/* The contract: nearest even, denormals kept, whatever a library did to this thread. */
	fesetenv(FE_DFL_ENV);
	int begin = atomic_load_explicit(&p->next, memory_order_relaxed);
	while (begin < p->n) {
		int chunk = (p->n - begin) / (2 * p->n_thread);
		chunk -= chunk % p->grain;
		if (chunk < p->grain)
			chunk = p->grain;
		int end = chunk < p->n - begin ? begin + chunk : p->n;
		if (!atomic_compare_exchange_weak_explicit(
			&p->next, &begin, end, memory_order_relaxed, memory_order_relaxed))
			continue;
		p->work(p->arg, begin, end, thread);
		begin = atomic_load_explicit(&p->next, memory_order_relaxed);
	}
}

/* Waits for an open gate other than the one last seen; false when the pool ends. */
static bool
gate_wait(struct llm_pool *p, uint_least64_t *seen)
{
	for (int turn = 0;; turn++) {
		uint_least64_t gate = atomic_load_explicit(&p->gate, memory_order_acquire);
		if (!(gate & GATE_CLOSED) && gate / GATE_REGION != *seen) {
			*seen = gate / GATE_REGION;
			return true;
		}
		if (atomic_load_explicit(&p->quit, memory_order_relaxed))
			return false;
		if (turn < SPIN_PAUSE && !p->crowded) {
			relax();
		} else if (turn < SPIN_PAUSE + SPIN_YIELD) {
			sched_yield();
		} else {
			/* The caller looks at sleepers after it opened the gate, we at the gate after
			 * counting ourselves: one of the two sees the other (sequential consistency). */
			pthread_mutex_lock(&p->lock);
			atomic_fetch_add(&p->sleepers, 1);
			while ((atomic_load(&p->gate) & GATE_CLOSED) && !atomic_load(&p->quit))
				pthread_cond_wait(&p->wake, &p->lock);
			atomic_fetch_sub(&p->sleepers, 1);
			pthread_mutex_unlock(&p->lock);
			turn = 0;
		}
	}
}

static void *
worker_main(void *arg)
{
	struct worker *w = arg;
	struct llm_pool *p = w->pool;
	uint_least64_t seen = 0;
	while (gate_wait(p, &seen)) {
		uint_least64_t gate = atomic_load_explicit(&p->gate, memory_order_relaxed);
		bool in = false;
		while (!in && !(gate & GATE_CLOSED) && gate / GATE_REGION == seen)
			in = atomic_compare_exchange_weak_explicit(&p->gate, &gate, gate + 1,
			    memory_order_acquire, memory_order_relaxed);
		if (!in)
			continue;
		region_work(p, w->index);
		atomic_fetch_sub_explicit(&p->gate, 1, memory_order_release);
	}
	return NULL;
}

static void
sleepers_wake(struct llm_pool *p)
{
	pthread_mutex_lock(&p->lock);
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

void
llm_pool_run(struct llm_pool *p, llm_pool_work work, void *arg, int n, int grain)
{
	if (n <= 0)
		return;
	p->work = work;
	p->arg = arg;
	p->n = n;
	p->grain = grain > 0 ? grain : 1;
	atomic_store_explicit(&p->next, 0, memory_order_relaxed);
	/* One chunk is the caller's own: no need to call anyone. */
	if (p->n_worker == 0 || n <= p->grain) {
		region_work(p, 0);
		return;
	}
	uint_least64_t region =
	    atomic_load_explicit(&p->gate, memory_order_relaxed) / GATE_REGION;
	atomic_store(&p->gate, (region + 1) * GATE_REGION);
	if (atomic_load(&p->sleepers) > 0)
		sleepers_wake(p);
	region_work(p, 0);
	bool clock = p->phases != NULL && p->phases->on;
	if (clock)
		llm_phase_look(p->phases, false);
	atomic_fetch_or_explicit(&p->gate, GATE_CLOSED, memory_order_acq_rel);
	for (int turn = 0; atomic_load_explicit(&p->gate, memory_order_acquire) & GATE_INSIDE;
	     turn++)
		if (turn < SPIN_PAUSE && !p->crowded)
			relax();
		else
			sched_yield();
	if (clock) {
		llm_phase_look(p->phases, true);
		p->phases->n_region++;
	}
}

static int
workers_start(struct llm_pool *p, struct llm_err *err)
{
	for (int i = 1; i < p->n_thread; i++) {
		struct worker *w = &p->worker[p->n_worker];
		*w = (struct worker){.pool = p, .index = i};
		int rc = pthread_create(&w->id, NULL, worker_main, w);
		if (rc != 0)
			return llm_err_set(err, LLM_ESYSTEM, "cannot start thread %d of %d: %s",
			    i + 1, p->n_thread, strerror(rc));
		p->n_worker++;
	}
	return 0;
}

int
llm_pool_new(struct llm_pool **out, int n_thread, struct llm_err *err)
{
	if (n_thread < 0 || n_thread > MAX_THREADS)
		return llm_err_set(err, LLM_EUSAGE,
		    "%d threads: expected 1 to %d, or 0 for all", n_thread, MAX_THREADS);
	int usable = llm_cpu_count();
	if (n_thread == 0)
		n_thread = usable;
	struct llm_pool *p = aligned_alloc(64, (sizeof *p + 63) / 64 * 64);
	if (p == NULL)
		return llm_err_nomem(err, sizeof *p);
	memset(p, 0, sizeof *p);
	p->n_thread = n_thread;
	p->crowded = n_thread > usable;
	atomic_init(&p->gate, GATE_CLOSED);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	p->worker = calloc((size_t)n_thread, sizeof *p->worker);
	int rc =
	    p->worker == NULL ? llm_err_nomem(err, sizeof *p->worker) : workers_start(p, err);
	if (rc < 0) {
		llm_pool_free(p);
		return rc;
	}
	*out = p;
	return 0;
}

void
llm_pool_free(struct llm_pool *p)
{
	if (p == NULL)
		return;
	atomic_store(&p->quit, true);
	sleepers_wake(p);
	for (int i = 0; i < p->n_worker; i++)
		pthread_join(p->worker[i].id, NULL);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p->worker);
	free(p);
}

void
llm_pool_clock(struct llm_pool *p, struct llm_phases *phases)
{
	p->phases = phases;
}

int
llm_pool_n_thread(const struct llm_pool *p)
{
	return p->n_thread;
}
