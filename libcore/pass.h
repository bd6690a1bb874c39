/*
 * SPDX-License-Identifier: ISC
 *
 * Inside of a forward pass, shared by forward.c (the layers) and attend.c (attention) alone.
 */
#ifndef LLM_PASS_H
#define LLM_PASS_H

#include "libcore/footprint.h"
#include "libcore/forward.h"
#include "libcore/phase.h"
#include "libcore/pool.h"

#include <stdatomic.h>

struct llm_pass {
	const struct llm_model *model;
	const struct llm_kernels *kernels;
	struct llm_pool *pool;
	struct llm_pass_params params;
	struct llm_scratch scratch;
	void *memory; /* of scratch */
	double *freq; /* [d_head / 2] RoPE frequencies, divided already */
	struct llm_row
	    *row;  /* [max_rows] rows still alive: the last layer drops those without logits */
	int *live; /* [max_rows] index of a row among those that stay alive, or -1 */
	struct llm_phases phases;
	float *hidden; /* where the output's input goes instead of the output; or NULL */
	atomic_bool not_finite; /* set by a region that met such a value */
};

/*
 * The input of one or more products: vectors, and those vectors prepared in each kind that the
 * weights want.
 */
struct llm_input {
	bool want[3];          /* by enum llm_act_kind */
	struct llm_act act[3]; /* likewise */
};

/* Prepares tokens [t0, t1), once their vectors stand. */
void llm_input_fill(struct llm_pass *p, struct llm_input *in, int t0, int t1);

/* This thread's own scratch. */
static inline void *
llm_pass_scratch(struct llm_pass *p, int thread)
{
	return p->scratch.thread + (size_t)thread * p->scratch.thread_bytes;
}

/*
 * llm_attend - attention of n_row rows of one layer: scratch.query against the pages of each row's
 * sequence, into scratch.q [n_row][n_head * d_head], each row prepared as out (for the output product).
 */
void llm_attend(
    struct llm_pass *p, int layer, const struct llm_row *row, int n_row, struct llm_input *out);

#endif
