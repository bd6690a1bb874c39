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

#include <stddef.h>
#include <stdint.h>

enum {
	LLM_ATTENTION_ROWS = 6,
	LLM_ATTENTION_TILES = 4,
	LLM_ATTENTION_GROUP =
	    32, /* dims, or steps of a chain of scores, that share a scale in Q8_0 */
};

enum llm_attention_chain_kind {
	LLM_CHAIN_SUM,   /* from out * c[r] on */
	LLM_CHAIN_FRESH, /* from +0 on */
	LLM_CHAIN_SCALED, /* each GROUP of steps from +0 on; out = fma(scale, chain, .) over the groups */
};

/*
 * out[r][16 t + lane] = chain over i of fma(a[r][i], b[t][i][lane], .).  b[t][i] stands at element
 * t * tile + i * step of b; the multipliers of tiles 2k and 2k + 1 at a[r] + k * pair.
 */
struct llm_attention_chain {
	enum llm_attention_chain_kind kind;
	enum llm_kv_type type; /* of b's elements: f16, f32, or int8 by their integer value */
	int n_row, n_tile, n;
	int last; /* lanes of the last tile, 1..16: no more of out is touched */
	size_t step, tile;
	size_t pair;           /* 0: all tiles have the same multipliers */
	const uint16_t *scale; /* SCALED: f16 [n / GROUP][64], from the first tile's lanes on */
	uintptr_t fetch; /* where memory lies that will be read soon, as much as this: or 0 */
	const void *b;
	const float *a[LLM_ATTENTION_ROWS];
	float *out[LLM_ATTENTION_ROWS];
	float c[LLM_ATTENTION_ROWS];
};

/* b [n_row][width] as f32: number j of row r goes to x[r * row + j / 16 * tile + j % 16].  Tiles are
 * filled up with anything. */
struct llm_attention_widening {
	enum llm_kv_type type;
	int n_row, width;
	size_t row, tile;
	const void *b;
	float *x;
};

/*
 * Scores of one page become weights: with m' = max(m, p), c = exp(m - m'), p = exp(p - m'),
 * l = fma(l, c, sum of p in sixteen lanes), m = m'.
 */
struct llm_attention_softmax {
	int n_row;
	const int *n;            /* [n_row] positions seen, 1..64; NULL: all see all */
	float (*p)[LLM_KV_PAGE]; /* [n_row]; zeros from n on */
	float *m, *l, *c;        /* [n_row] */
};

struct llm_attention_steps {
	/* Tiles of a chain with so many rows, a power of two; 0 past the most rows of the set. */
	int n_tile[LLM_ATTENTION_ROWS + 1];
	void (*chain)(const struct llm_attention_chain *c);
	void (*widen)(const struct llm_attention_widening *w);
	void (*soften)(const struct llm_attention_softmax *s);
	/* y[j] = p[j] * f16 d[j], j < 64 */
	void (*weigh)(float *y, const float *p, const uint16_t *d);
};

/*
 * llm_attention_pages - the segment function of a set that has these steps.
 */
void llm_attention_pages(
    const struct llm_attention *a, void *scratch, const struct llm_attention_steps *steps);

#endif
