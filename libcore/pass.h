/*
 * SPDX-License-Identifier: ISC
 *
 * Inside of a forward pass, shared by forward.c (the layers), products.c (what they multiply) and
 * attend.c (attention) alone.
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
	float *hidden;    /* where the output's input goes instead of the output; or NULL */
	atomic_bool *bad; /* [max_rows] a region met such a value in this row, */
	atomic_bool not_finite; /* or in any */
	int n_good;             /* sequences that have met none */
};

/*
 * The input of one or more products: vectors, and those vectors prepared in each kind that the
 * weights want.
 */
struct llm_input {
	bool want[3];          /* by enum llm_act_kind */
	struct llm_act act[3]; /* likewise */
};

/* This weight will take the input. */
void llm_input_want(struct llm_pass *p, struct llm_input *in, const struct llm_matrix *w);

/* Lays out n_tok vectors x [n_tok][n_col] in each kind wanted. */
void llm_input_init(
    struct llm_pass *p, struct llm_input *in, const float *x, int n_col, int n_tok);

/* Prepares tokens [t0, t1), once their vectors stand; token t is row t of the pass. */
void llm_input_fill(struct llm_pass *p, struct llm_input *in, int t0, int t1);

/* Marks a row where x [n] holds a value that is not finite. */
void llm_row_check(struct llm_pass *p, const float *x, int n, int row);

/* Products of one input with one to three matrices, as one region. */
struct llm_products {
	struct llm_pass *p;
	struct llm_product product[3];
	int unit0[4]; /* units of 8 rows before each, and in all */
	int n;
	int block_tok; /* of many tokens, so many at once */
};

/* y [n_tok][w->n_row] */
void llm_products_add(
    struct llm_products *a, const struct llm_input *in, const struct llm_matrix *w, float *y);
void llm_products_run(struct llm_products *a, int n_tok);

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
