/*
 * SPDX-License-Identifier: ISC
 *
 * Where a pass keeps what it computes: every buffer, sized once from the hyper-parameters.  The
 * same walk that places the buffers counts their bytes, so a plan made from it cannot lie.
 */
#ifndef LLM_FOOTPRINT_H
#define LLM_FOOTPRINT_H

#include "libcore/config.h"
#include "libcore/kernels/product.h"

#include <stdbool.h>

/* Fewest rows' worth of partial attention results: what threads need to share one long context. */
enum { LLM_FOOTPRINT_PARTIAL = 64 };

/*
 * rows = the most rows of one call.  Where two roles are never alive together they share a buffer.
 * Memory that a small call does not reach is never touched.
 */
struct llm_scratch {
	float *x;      /* [rows][n_embd]            residual stream */
	float *norm;   /* [rows][n_embd]            normalised, what a product takes */
	float *delta;  /* [rows][n_embd]            what a block adds to x */
	float *q;      /* [rows][n_head * d_head]   queries; then what attention gives */
	float *k, *v;  /* [rows][n_head_kv * d_head] */
	float *gate;   /* [rows][n_ff]              then the activated product */
	float *up;     /* [rows][n_ff] */
	float *cosine; /* [rows][d_head / 2] */
	float *sine;   /* [rows][d_head / 2] */
	void *act[3];  /* by enum llm_act_kind: activations prepared for products */

	/* Attention; a query is (KV head, row, head of its group), in that order of weight. */
	float *query;          /* [rows * n_head][d_head] rotated and scaled */
	float *m, *l, *acc;    /* [rows * n_head], acc by d_head: the fold so far */
	float *pm, *pl, *pacc; /* [partial * n_head], likewise: segments not yet folded */
	struct llm_tile *tile; /* [rows * tiles_per_row] */
	int n_partial;         /* rows' worth of partial results */

	char *thread; /* [n_thread][thread_bytes] each thread's own */
	size_t thread_bytes;
};

/* Queries that one call of the attention kernel takes together: one sequence, one KV head. */
struct llm_tile {
	int row0; /* first row of its run of rows of one sequence */
	int first,
	    end; /* queries [first, end) of that run, counted (row - row0) * group + head */
};

/*
 * llm_scratch_layout - place every buffer from base on (64-byte aligned), and return their bytes in
 * *bytes.  With base NULL nothing is placed.  False when the bytes cannot be counted.
 */
bool llm_scratch_layout(struct llm_scratch *s, size_t *bytes, void *base,
    const struct llm_config *c, int rows, int n_thread);

#endif
