/*
 * SPDX-License-Identifier: ISC
 *
 * Threads that leave and come back; see crew.h.
 */
#include "libcore/crew.h"

#include <stdbool.h>

#define MS UINT64_C(1000000)

static const uint64_t WINDOW = 12 * MS; /* several slices of a scheduler, of 1 to 4 ms */
static const uint64_t REST_FIRST = 100 * MS, REST_MOST = 3200 * MS;
static const uint64_t GOOD = 1000 * MS; /* after so long, trouble is news again */
enum { VAIN = 4 };                      /* windows until one thread alone proves no cure */

void
llm_crew_init(struct llm_crew *c, int n_thread)
{
	*c = (struct llm_crew){
	    .n_thread = n_thread, .n_active = n_thread, .rest_ns = REST_FIRST};
}

/*
 * True where the window was worse than with a thread less.  While a thread is held up the others
 * wait, so a share `lost` of the time is lost to all; with one of n less, 1/n of it at most.  Memory
 * is shared, so it is less than that in decoding: 0.7/n.  Below a tenth it is not worth the unrest.
 */
static bool
window_bad(const struct llm_crew *c)
{
	uint64_t n = c->n_active > 2 ? (uint64_t)c->n_active : 2;
	return 10 * c->lost_ns > 7 * c->wall_ns / n && 10 * c->lost_ns > c->wall_ns;
}

/* The rest that is due now; the next one is longer. */
static uint64_t
rest_take(struct llm_crew *c)
{
	uint64_t rest = c->rest_ns;
	c->rest_ns = 2 * rest < REST_MOST ? 2 * rest : REST_MOST;
	return rest;
}

static void
window_end(struct llm_crew *c, uint64_t now_ns)
{
	bool bad = window_bad(c), alone = c->n_active == 1;
	c->n_bad = bad && alone ? c->n_bad + 1 : 0;
	if (c->n_bad == VAIN && c->n_thread > 1) {
		c->n_active = c->n_thread;
		c->back_ns = 0;
		c->hold_ns = now_ns + rest_take(c);
		c->good_ns = 0;
	} else if (bad && !alone && now_ns >= c->hold_ns) {
		c->n_active--;
		c->back_ns = now_ns + rest_take(c);
		c->good_ns = 0;
	} else if (!bad && c->n_active == c->n_thread) {
		c->good_ns += c->wall_ns;
		if (c->good_ns >= GOOD)
			c->rest_ns = REST_FIRST;
	}
}

int
llm_crew_look(struct llm_crew *c, uint64_t now_ns, uint64_t wall_ns, uint64_t lost_ns)
{
	if (c->back_ns != 0 && now_ns >= c->back_ns) {
		c->n_active++;
		c->back_ns = c->n_active < c->n_thread ? now_ns + c->rest_ns : 0;
		c->wall_ns = c->lost_ns = 0; /* what was measured was without it */
		c->n_bad = 0;
		return c->n_active;
	}
	c->wall_ns += wall_ns;
	c->lost_ns += lost_ns;
	if (c->wall_ns >= WINDOW) {
		window_end(c, now_ns);
		c->wall_ns = c->lost_ns = 0;
	}
	return c->n_active;
}
