/*
 * SPDX-License-Identifier: ISC
 *
 * Where the time of a forward pass goes, by phase, as its calling thread sees it: what that thread
 * computes, and what it then waits for the others of the pool.  Off unless asked for; on, it costs two
 * looks at the clock for each region (some 50 ns).
 */
#ifndef LLM_PHASE_H
#define LLM_PHASE_H

#include <stdbool.h>
#include <stdint.h>

enum llm_phase {
	LLM_PHASE_BETWEEN, /* from the end of one pass to the next: sampling, printing */
	LLM_PHASE_OTHER,   /* bookkeeping */
	LLM_PHASE_EMBED,   /* embedding rows, the angles of positions */
	LLM_PHASE_PREPARE, /* norms, activations, and quantising them for products */
	LLM_PHASE_QKV,     /* products */
	LLM_PHASE_ROTATE,  /* RoPE, keys and values to their pages */
	LLM_PHASE_ATTEND,
	LLM_PHASE_OUT,     /* product of what attention gave */
	LLM_PHASE_GATE_UP, /* products */
	LLM_PHASE_DOWN,    /* product */
	LLM_PHASE_HEAD,    /* product: the logits */
	LLM_PHASE_FINITE,  /* the look for logits that are not finite */
	LLM_PHASE_N
};

/* Plain data; times in nanoseconds since llm_phase_start.  Used by one thread at a time. */
struct llm_phases {
	uint64_t work_ns[LLM_PHASE_N]; /* read-only: the calling thread at work */
	uint64_t wait_ns[LLM_PHASE_N]; /* read-only: done, while others of the pool were not */
	uint64_t n_region;             /* read-only: regions shared with others */
	bool on;                       /* private */
	enum llm_phase now;            /* private */
	uint64_t at;                   /* private: the clock when last looked at */
};

/* "between", "other", "embed", "prepare", ... */
const char *llm_phase_name(enum llm_phase phase);

/* All zero, and the clock runs (or stops). */
void llm_phase_start(struct llm_phases *p, bool on);

/* For the pass and the pool: time since the last look belongs to the phase under way. */
void llm_phase_look(struct llm_phases *p, bool waited);

/* The phase from here on. */
static inline void
llm_phase_enter(struct llm_phases *p, enum llm_phase next)
{
	if (p->on)
		llm_phase_look(p, false);
	p->now = next;
}

#endif
