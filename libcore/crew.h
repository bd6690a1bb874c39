/*
 * SPDX-License-Identifier: ISC
 *
 * How many threads of a pool are at work.  A region ends with its slowest thread, so where another
 * process keeps a processor busy, a thread less is faster: who shares that processor holds up all.
 * Decided here from times that the pool measures; there is no clock in here.
 */
#ifndef LLM_CREW_H
#define LLM_CREW_H

#include <stdint.h>

/* Fields are private but n_active. */
struct llm_crew {
	int n_thread;              /* at most, the caller included */
	int n_active;              /* read-only: at work now, 1..n_thread */
	int n_bad;                 /* windows in a row that were bad though one alone worked */
	uint64_t wall_ns, lost_ns; /* of the window under way */
	uint64_t good_ns;          /* without trouble, all at work */
	uint64_t rest_ns;          /* how long the next thread that leaves stays away */
	uint64_t back_ns;          /* when one comes back; 0: none is away */
	uint64_t hold_ns;          /* until when none leaves */
};

void llm_crew_init(struct llm_crew *c, int n_thread);

/*
 * llm_crew_look - at time now_ns: in the last wall_ns the thread that fared worst was lost_ns off
 * the processor though it had work.  Returns n_active: one less where a window of some 12 ms was
 * bad, one more when its rest is over.  A rest is 0.1 s, and doubles each time that coming back
 * proves vain, up to 3.2 s; then trying costs less than a hundredth.  Where one thread alone still
 * fares badly (a host that takes its time from all processors alike), fewer are no help: all come
 * back, and stay as long.
 */
int llm_crew_look(struct llm_crew *c, uint64_t now_ns, uint64_t wall_ns, uint64_t lost_ns);

#endif
