/*
 * SPDX-License-Identifier: ISC
 *
 * The thread pool: every unit is done once, whatever the number of threads, the grain and the rest
 * between regions.
 */
#include "libcore/pool.h"
#include "tests/tap.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { UNITS = 1000 };

struct count {
	atomic_int done[UNITS];
	atomic_int bad;
	int n, grain, n_thread;
};

static void
count_work(void *arg, int begin, int end, int thread)
{
	struct count *c = arg;
	if (begin < 0 || end > c->n || begin >= end || begin % c->grain != 0 || thread < 0 ||
	    thread >= c->n_thread)
		atomic_fetch_add(&c->bad, 1);
	for (int i = begin; i < end; i++)
		atomic_fetch_add(&c->done[i], 1);
}

/* Regions of many sizes in a row; true when every unit was done just once each time. */
static bool
regions(struct llm_pool *p, int n_region)
{
	struct count *c = malloc(sizeof *c);
	bool good = c != NULL;
	for (int r = 0; good && r < n_region; r++) {
		memset(c, 0, sizeof *c);
		c->n = r % 7 == 0 ? r % UNITS : (r * 37) % UNITS;
		c->grain = 1 + r % 5;
		c->n_thread = llm_pool_n_thread(p);
		llm_pool_run(p, count_work, c, c->n, c->grain);
		good = atomic_load(&c->bad) == 0;
		for (int i = 0; i < UNITS; i++)
			good = good && atomic_load(&c->done[i]) == (i < c->n);
	}
	free(c);
	return good;
}

static void
most_work(void *arg, int begin, int end, int thread)
{
	struct count *c = arg;
	if (end - begin > 12)
		atomic_fetch_add(&c->bad, 1);
	count_work(arg, begin, end, thread);
}

/* A chunk that is told of early comes: its first unit and its last are not yet done. */
static void
most_ahead(void *arg, int begin, int end)
{
	struct count *c = arg;
	if (begin % c->grain != 0 || begin >= end || end > c->n ||
	    atomic_load(&c->done[begin]) != 0 || atomic_load(&c->done[end - 1]) != 0)
		atomic_fetch_add(&c->bad, 1);
}

static bool
chunks_bounded(struct llm_pool *p)
{
	struct count *c = calloc(1, sizeof *c);
	bool good = c != NULL;
	for (int r = 0; good && r < 200; r++) {
		memset(c, 0, sizeof *c);
		*c = (struct count){.n = UNITS - r, .grain = 4, .n_thread = 1000};
		struct llm_pool_region region = {.work = most_work,
		    .ahead = most_ahead,
		    .arg = c,
		    .n = c->n,
		    .grain = c->grain,
		    .most = 15};
		llm_pool_watch(p);
		llm_pool_run_region(p, &region);
		good = atomic_load(&c->bad) == 0;
		for (int i = 0; i < UNITS; i++)
			good = good && atomic_load(&c->done[i]) == (i < c->n);
	}
	free(c);
	return good;
}

static void
pause_ms(long ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

int
main(void)
{
	static const int threads[] = {1, 2, 3, 8, 33};
	struct llm_err err;
	for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++) {
		struct llm_pool *p = NULL;
		if (!tap_ok(llm_pool_new(&p, threads[i], &err) == 0,
			"a pool of %d threads starts", threads[i]))
			continue;
		tap_ok(regions(p, 2000), "%d threads do every unit of 2000 regions once",
		    threads[i]);
		tap_ok(chunks_bounded(p), "%d threads claim no chunk larger than was said",
		    threads[i]);
		tap_ok(llm_pool_n_active(p) >= 1 && llm_pool_n_active(p) <= threads[i],
		    "and one to all of them are at work");
		pause_ms(30);
		tap_ok(regions(p, 20), "%d threads that slept do so again", threads[i]);
		for (int k = 0; k < 5; k++) {
			pause_ms(2 + k);
			if (!regions(p, 3))
				tap_ok(false, "rests of a few milliseconds lose no unit");
		}
		llm_pool_free(p);
	}
	struct llm_pool *p = NULL;
	tap_ok(llm_pool_new(&p, 0, &err) == 0 && llm_pool_n_thread(p) >= 1,
	    "0 threads mean as many as the process may use");
	llm_pool_free(p);
	tap_ok(llm_pool_new(&p, -1, &err) == LLM_EUSAGE,
	    "a negative number of threads is refused");
	tap_ok(llm_pool_new(&p, 100000, &err) == LLM_EUSAGE, "too many threads are refused");
	llm_pool_free(NULL);
	return tap_done();
}
