/*
 * SPDX-License-Identifier: ISC
 *
 * What the vector instruction sets share of attention: the walk over pages, queries and tiles, in
 * attention_pages.c; a set gives the steps.  (generic/ does without: it is the contract, plainly.)
 * Scores and values are the same product: rows of multipliers times tiles of sixteen lanes, one fma
 * chain a lane.  For scores a row is a query and a tile sixteen positions; for values a row is the
 * weights of 64 positions and a tile sixteen dims.
 */
#ifndef LLM_KERNELS_ATTENTION_PAGES_H
#define LLM_KERNELS_ATTENTION_PAGES_H

#include "libcore/kernels/attention.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LLM_ATTENTION_ROWS = 6, LLM_ATTENTION_TILES = 8 };

/*
 * out[r][16 t + lane] = chain over i of fma(a[r][i], b[t][i][lane], .), from +0 where fresh, else
 * from out * c[r].  b[t][i] stands at element t * tile + i * step of b.
 */
struct llm_attention_chain {
	int n_row, n_tile, n;
	int last;              /* lanes of the last tile, 1..16: no more of out is touched */
	enum llm_kv_type type; /* of b's elements: f16, f32, or int8 by their integer value */
	bool fresh;
	size_t step, tile;
	uintptr_t fetch; /* where memory lies that will be read soon, as much as this: or 0 */
	const void *b;
	const float *a[LLM_ATTENTION_ROWS];
	float *out[LLM_ATTENTION_ROWS];
	float c[LLM_ATTENTION_ROWS];
};

struct llm_attention_steps {
	/* Tiles of a chain with so many rows, a power of two; 0 past the most rows of the set. */
	int n_tile[LLM_ATTENTION_ROWS + 1];
	void (*chain)(const struct llm_attention_chain *c);
	/* n elements from b as f32, sixteen by sixteen, to x, x + stride, ... (a multiple of 16). */
	void (*widen)(float *x, size_t stride, const void *b, enum llm_kv_type type, int n);
	/* Of n_row rows, each n[i] scores p to exp(p - m'), m' = max(m[i], p), which goes to m[i];
	 * zeros follow up to a multiple of 16; sum[i] = the sum of p in sixteen lanes.  The arrays are
	 * padded to a multiple of four rows, of n = 0. */
	void (*soften)(float (*p)[LLM_KV_PAGE], const int *n, float *m, float *sum, int n_row);
	/* c = exp(d), l = fma(l, c, sum), n elements */
	void (*decay)(float *c, const float *d, float *l, const float *sum, int n);
	/* s = fma(d, x, s), and y = p * d: n elements, a multiple of 16 */
	void (*add_scaled)(float *s, const float *d, const float *x, int n);
	void (*weigh)(float *y, const float *p, const float *d, int n);
};

/*
 * llm_attention_pages - the segment function of a set that has these steps.
 */
void llm_attention_pages(
    const struct llm_attention *a, void *scratch, const struct llm_attention_steps *steps);

#endif
