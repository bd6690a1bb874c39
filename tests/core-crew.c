/*
 * SPDX-License-Identifier: ISC
 *
 * How many threads work beside other processes: by made-up times, so nothing here depends on how
 * busy the machine is.
 */
#include "libcore/crew.h"
#include "tests/tap.h"

#define MS UINT64_C(1000000)

/* A crew, and the time that it is told. */
struct bed {
	struct llm_crew crew;
	uint64_t now;
};

/* So many milliseconds with a share of so many percent lost; returns how many were at work at the end. */
static int
pass_ms(struct bed *b, int ms, int lost)
{
	for (int i = 0; i < ms; i += 4) {
		b->now += 4 * MS;
		llm_crew_look(&b->crew, b->now, 4 * MS, (uint64_t)lost * 4 * MS / 100);
	}
	return b->crew.n_active;
}

/*
 * As beside a process that holds one processor of all: bad while all work, well with one less.
 * Returns the share of the time in which all worked, in thousandths.
 */
static int
beside_one(struct bed *b, int ms)
{
	int all = 0;
	for (int i = 0; i < ms; i += 4) {
		bool full = b->crew.n_active == b->crew.n_thread;
		pass_ms(b, 4, full ? 50 : 0);
		all += full;
	}
	return all * 4000 / ms;
}

static void
shrinks_and_grows(void)
{
	struct bed b = {.now = 1000 * MS};
	llm_crew_init(&b.crew, 2);
	tap_ok(pass_ms(&b, 1000, 3) == 2, "undisturbed, all threads work");
	tap_ok(pass_ms(&b, 8, 50) == 2, "what passes in a few milliseconds changes nothing");
	tap_ok(pass_ms(&b, 12, 50) == 1, "a processor shared with another process sheds one");
	tap_ok(pass_ms(&b, 80, 0) == 1 && pass_ms(&b, 40, 0) == 2,
	    "it is tried again after a tenth of a second, and stays where all is well");
	pass_ms(&b, 2000, 0);
	tap_ok(pass_ms(&b, 24, 50) == 1 && pass_ms(&b, 120, 0) == 2,
	    "trouble after a quiet time is news again, and its rest short");
}

static void
backs_off(void)
{
	struct bed b = {.now = 1000 * MS};
	llm_crew_init(&b.crew, 2);
	beside_one(&b, 10000);
	int share = beside_one(&b, 20000);
	tap_ok(share > 0 && share <= 10,
	    "beside a lasting disturbance trying again takes less than a hundredth (%d/1000)",
	    share);
	pass_ms(&b, 3300, 0);
	tap_ok(b.crew.n_active == 2, "and when it is over, all are back within 3.3 seconds");
}

static void
many(void)
{
	struct bed b = {.now = 1000 * MS};
	llm_crew_init(&b.crew, 16);
	tap_ok(pass_ms(&b, 100, 8) == 16, "of many threads, one that loses a little stays");
	tap_ok(pass_ms(&b, 36, 30) == 13, "of many, one after another leaves while it is bad");
	pass_ms(&b, 60, 0);
	int least = b.crew.n_active;
	tap_ok(least == 13 && pass_ms(&b, 3000, 0) == 16, "and one after another comes back");
}

static void
no_cure(void)
{
	struct bed b = {.now = 1000 * MS};
	int all = 0;
	llm_crew_init(&b.crew, 4);
	for (int i = 0; i < 1000; i++) {
		pass_ms(&b, 12, 40);
		all += b.crew.n_active == 4;
	}
	tap_ok(all > 900,
	    "where all processors suffer alike, fewer threads are no cure (%d/1000)", all);
	llm_crew_init(&b.crew, 1);
	tap_ok(pass_ms(&b, 1000, 90) == 1, "one thread is one thread");
}

int
main(void)
{
	shrinks_and_grows();
	backs_off();
	many();
	no_cure();
	return tap_done();
}
