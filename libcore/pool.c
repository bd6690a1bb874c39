/*
 * SPDX-License-Identifier: ISC
 *
 * The thread pool; see pool.h.  A region is opened and closed by one word, the gate: workers enter
 * an open gate, claim chunks until none is left, and leave; the caller closes the gate when the
 * work has run out and waits only for those inside.  So a worker that is preempted or asleep when a
 * region comes is not waited for: the others do its share.
 */
#define _GNU_SOURCE /* affinity */
#include "libcore/pool.h"

#include "libcore/cpu.h"
#include "libcore/crew.h"

#include <fenv.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The gate: the region's number above, a bit "closed", the count of workers inside below. */
enum { GATE_CLOSED = 1 << 16, GATE_INSIDE = GATE_CLOSED - 1, GATE_REGION = 1 << 17 };

/* Turns of the waiting loop: first with a pause, then giving way to others, then to sleep.  A turn
 * takes some 15-40 ns, so a worker stays awake for about a millisecond, longer than what a token
 * computes between regions and shorter than what a request waits for the next. */
enum { SPIN_PAUSE = 4096, SPIN_YIELD = 2048 };

enum { MAX_THREADS = 1024 };

/* Between two looks at how the threads fare: a slice of a scheduler, and what a look costs is nothing. */
static const uint64_t LOOK_NS = 4000000;

struct worker {
	_Alignas(64) struct llm_pool *pool;
	pthread_t id;
	clockid_t clock;                    /* of its processor time */
	int index;                          /* 1.. */
	atomic_uint_least64_t slept, since; /* ns asleep; and since when, 0: awake */
	uint64_t slept_seen, cpu_seen;      /* at the last look; the caller's alone */
};

struct llm_pool {
	int n_thread;
	bool crowded; /* more threads than processors: give way at once */
	bool placed;  /* workers start on processors of their own, of this mask */
	cpu_set_t mask;
	struct worker *worker;
	int n_worker;              /* running */
	struct llm_phases *phases; /* NULL or off: nobody asks */

	/* How the threads fare; the caller's alone. */
	struct llm_crew crew;
	bool watched;
	uint64_t look_ns, cpu_seen; /* the last look, and the caller's processor time then */
	uint64_t end_ns, gap_ns; /* of the last region; between passes, since the last look */

	/* Written by the caller while the gate is closed and empty. */
	struct llm_pool_region region;

	_Alignas(64) atomic_uint_least64_t gate;
	_Alignas(64) atomic_int next;
	_Alignas(64) atomic_int sleepers;
	atomic_int active; /* workers from this index on rest */
	atomic_bool quit;
	pthread_mutex_t lock;
	pthread_cond_t wake, back;
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

static uint64_t
clock_ns(clockid_t clock)
{
	struct timespec t;
	return clock_gettime(clock, &t) == 0
		   ? (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec
		   : 0;
}

/* The contract: nearest even, denormals kept, whatever a library did to this thread. */
static void
rounding_set(void)
{
#if defined(__x86_64__)
	/* Looking is ten times as fast as setting; all masked, nearest, no flag that flushes. */
	if ((__builtin_ia32_stmxcsr() & 0xffc0) == 0x1f80)
		return;
#endif
	fesetenv(FE_DFL_ENV);
}

/* Claims a chunk, half of an even share of what remains within the bounds; false: none is left. */
static bool
chunk_claim(struct llm_pool *p, int *begin, int *end)
{
	const struct llm_pool_region *r = &p->region;
	int threads = atomic_load_explicit(&p->active, memory_order_relaxed);
	int at = atomic_load_explicit(&p->next, memory_order_relaxed);
	while (at < r->n) {
		int chunk = (r->n - at) / (2 * threads);
		if (chunk > r->most)
			chunk = r->most;
		chunk -= chunk % r->grain;
		if (chunk < r->grain)
			chunk = r->grain;
		int to = chunk < r->n - at ? at + chunk : r->n;
		if (atomic_compare_exchange_weak_explicit(
			&p->next, &at, to, memory_order_relaxed, memory_order_relaxed)) {
			*begin = at;
			*end = to;
			return true;
		}
	}
	return false;
}

/* Does chunks until the region has none left. */
static void
region_work(struct llm_pool *p, int thread)
{
	const struct llm_pool_region *r = &p->region;
	int begin, end, then_begin, then_end;
	bool more = chunk_claim(p, &begin, &end);
	while (more) {
		if (r->ahead != NULL && (more = chunk_claim(p, &then_begin, &then_end)))
			r->ahead(r->arg, then_begin, then_end);
		r->work(r->arg, begin, end, thread);
		if (r->ahead == NULL)
			more = chunk_claim(p, &then_begin, &then_end);
		begin = then_begin;
		end = then_end;
	}
}

/* Off the processor until there is something to do: a region, or for one that rests its return. */
static void
worker_sleep(struct worker *w)
{
	struct llm_pool *p = w->pool;
	uint64_t since = clock_ns(CLOCK_MONOTONIC);
	atomic_store_explicit(&w->since, since, memory_order_relaxed);
	pthread_mutex_lock(&p->lock);
	while (atomic_load(&p->active) <= w->index && !atomic_load(&p->quit))
		pthread_cond_wait(&p->back, &p->lock);
	/* The caller looks at sleepers after it opened the gate, we at the gate after counting
	 * ourselves: one of the two sees the other (sequential consistency). */
	atomic_fetch_add(&p->sleepers, 1);
	while ((atomic_load(&p->gate) & GATE_CLOSED) && !atomic_load(&p->quit))
		pthread_cond_wait(&p->wake, &p->lock);
	atomic_fetch_sub(&p->sleepers, 1);
	pthread_mutex_unlock(&p->lock);
	atomic_store_explicit(&w->since, 0, memory_order_relaxed);
	atomic_fetch_add_explicit(
	    &w->slept, clock_ns(CLOCK_MONOTONIC) - since, memory_order_relaxed);
}

/* Waits for an open gate other than the one last seen; false when the pool ends. */
static bool
gate_wait(struct worker *w, uint_least64_t *seen)
{
	struct llm_pool *p = w->pool;
	for (int turn = 0;; turn++) {
		uint_least64_t gate = atomic_load_explicit(&p->gate, memory_order_acquire);
		bool rest = atomic_load_explicit(&p->active, memory_order_relaxed) <= w->index;
		if (!(gate & GATE_CLOSED) && gate / GATE_REGION != *seen && !rest) {
			*seen = gate / GATE_REGION;
			return true;
		}
		if (atomic_load_explicit(&p->quit, memory_order_relaxed))
			return false;
		if (rest || turn >= SPIN_PAUSE + SPIN_YIELD) {
			worker_sleep(w);
			turn = 0;
		} else if (turn < SPIN_PAUSE && !p->crowded) {
			relax();
		} else {
			sched_yield();
		}
	}
}

static void *
worker_main(void *arg)
{
	struct worker *w = arg;
	struct llm_pool *p = w->pool;
	uint_least64_t seen = 0;
	if (p->placed)
		sched_setaffinity(0, sizeof p->mask, &p->mask); /* free to move from here on */
	fesetenv(FE_DFL_ENV);
	while (gate_wait(w, &seen)) {
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
sleepers_wake(struct llm_pool *p, pthread_cond_t *cond)
{
	pthread_mutex_lock(&p->lock);
	pthread_cond_broadcast(cond);
	pthread_mutex_unlock(&p->lock);
}

/* How the threads fare. */

/* What a thread lost since the last look: neither on a processor nor asleep of its own will. */
static uint64_t
lost_of(uint64_t wall, uint64_t cpu, uint64_t slept)
{
	return wall > cpu + slept ? wall - cpu - slept : 0;
}

static uint64_t
worker_lost(struct worker *w, uint64_t now, uint64_t wall)
{
	uint64_t cpu = clock_ns(w->clock);
	uint64_t slept = atomic_load_explicit(&w->slept, memory_order_relaxed);
	uint64_t since = atomic_load_explicit(&w->since, memory_order_relaxed);
	slept += since != 0 && now > since ? now - since : 0;
	uint64_t lost = lost_of(wall, cpu - w->cpu_seen, slept - w->slept_seen);
	w->cpu_seen = cpu;
	w->slept_seen = slept;
	return lost;
}

/* Looks at all threads at work, and has the crew decide how many go on. */
static void
threads_look(struct llm_pool *p, uint64_t now, bool decide)
{
	uint64_t wall = now - p->look_ns - p->gap_ns, cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	uint64_t worst = lost_of(wall, cpu - p->cpu_seen, 0);
	for (int i = 0; i < p->n_worker; i++) {
		uint64_t lost = worker_lost(&p->worker[i], now, wall);
		if (p->worker[i].index < p->crew.n_active && lost > worst)
			worst = lost;
	}
	p->look_ns = now;
	p->cpu_seen = cpu;
	p->gap_ns = 0;
	if (!decide)
		return;
	int before = p->crew.n_active, active = llm_crew_look(&p->crew, now, wall, worst);
	atomic_store(&p->active, active);
	if (active > before)
		sleepers_wake(p, &p->back);
}

void
llm_pool_watch(struct llm_pool *p)
{
	if (p->n_worker == 0)
		return;
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	/* What lies between two passes is no work; after a long while all begins anew. */
	p->gap_ns += now - p->end_ns;
	if (!p->watched || now - p->end_ns > LOOK_NS)
		threads_look(p, now, false);
	p->watched = true;
	p->end_ns = now;
}

/* At a region's end. */
static void
region_ended(struct llm_pool *p)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	p->end_ns = now;
	if (now - p->look_ns > LOOK_NS)
		threads_look(p, now, true);
}

void
llm_pool_run_region(struct llm_pool *p, const struct llm_pool_region *region)
{
	if (region->n <= 0)
		return;
	rounding_set();
	p->region = *region;
	if (region->grain <= 0)
		p->region.grain = 1;
	if (region->most <= 0)
		p->region.most = INT_MAX;
	atomic_store_explicit(&p->next, 0, memory_order_relaxed);
	/* One chunk is the caller's own: no need to call anyone. */
	if (p->n_worker == 0 || region->n <= p->region.grain) {
		region_work(p, 0);
		return;
	}
	uint_least64_t number =
	    atomic_load_explicit(&p->gate, memory_order_relaxed) / GATE_REGION;
	atomic_store(&p->gate, (number + 1) * GATE_REGION);
	if (atomic_load(&p->sleepers) > 0)
		sleepers_wake(p, &p->wake);
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
	if (p->watched)
		region_ended(p);
}

void
llm_pool_run(struct llm_pool *p, llm_pool_work work, void *arg, int n, int grain)
{
	llm_pool_run_region(
	    p, &(struct llm_pool_region){.work = work, .arg = arg, .n = n, .grain = grain});
}

/* Making a pool. */

/* The processor for a worker's start: the index-th of the mask from the caller's on. */
static void
worker_place(pthread_attr_t *attr, const cpu_set_t *mask, int index)
{
	int here = sched_getcpu(), cpu = here < 0 ? 0 : here;
	cpu_set_t one;
	while (index > 0) {
		cpu = (cpu + 1) % CPU_SETSIZE;
		index -= CPU_ISSET(cpu, mask) != 0;
	}
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	pthread_attr_setaffinity_np(attr, sizeof one, &one);
}

static int
worker_start(struct llm_pool *p, int index)
{
	struct worker *w = &p->worker[p->n_worker];
	pthread_attr_t attr;
	w->pool = p;
	w->index = index;
	int rc = pthread_attr_init(&attr);
	if (rc != 0)
		return rc;
	if (p->placed)
		worker_place(&attr, &p->mask, index);
	rc = pthread_create(&w->id, &attr, worker_main, w);
	if (rc != 0 && p->placed) /* the processor may just have been taken from us */
		rc = pthread_create(&w->id, NULL, worker_main, w);
	pthread_attr_destroy(&attr);
	if (rc == 0) {
		p->n_worker++;
		if (pthread_getcpuclockid(w->id, &w->clock) != 0)
			w->clock = CLOCK_MONOTONIC; /* then it never seems to lose anything */
	}
	return rc;
}

static int
workers_start(struct llm_pool *p, struct llm_err *err)
{
	p->placed = sched_getaffinity(0, sizeof p->mask, &p->mask) == 0 &&
		    CPU_COUNT(&p->mask) >= p->n_thread;
	for (int i = 1; i < p->n_thread; i++) {
		int rc = worker_start(p, i);
		if (rc != 0)
			return llm_err_set(err, LLM_ESYSTEM, "cannot start thread %d of %d: %s",
			    i + 1, p->n_thread, strerror(rc));
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
	llm_crew_init(&p->crew, n_thread);
	atomic_init(&p->active, n_thread);
	atomic_init(&p->gate, GATE_CLOSED);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	pthread_cond_init(&p->back, NULL);
	size_t bytes = (size_t)n_thread * sizeof *p->worker;
	p->worker = aligned_alloc(64, bytes);
	if (p->worker != NULL)
		memset(p->worker, 0, bytes);
	int rc = p->worker == NULL ? llm_err_nomem(err, bytes) : workers_start(p, err);
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
	sleepers_wake(p, &p->wake);
	sleepers_wake(p, &p->back);
	for (int i = 0; i < p->n_worker; i++)
		pthread_join(p->worker[i].id, NULL);
	pthread_cond_destroy(&p->wake);
	pthread_cond_destroy(&p->back);
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

int
llm_pool_n_active(const struct llm_pool *p)
{
	return p->crew.n_active;
}
