/*
 * SPDX-License-Identifier: ISC
 *
 * Random quantized weights, and a second reading of the formats and of the numeric contract, one
 * element at a time: what tests and benches of the products start from and compare with.
 */
#ifndef LLM_TESTS_BLOCKS_H
#define LLM_TESTS_BLOCKS_H

#include "libcore/dtype.h"

#include <stdint.h>

/* Reproducible random bits; the state is the caller's and never 0. */
uint64_t test_random(uint64_t *state);
/* Uniform in [-1, 1). */
float test_uniform(uint64_t *state);

/* How extreme random weights and activations are. */
enum test_data {
	TEST_PLAIN,   /* scales as in a model */
	TEST_EXTREME, /* all bits set or clear; scales negative, subnormal, huge, zero */
	TEST_N_DATA,
};

/* Fills n elements of a type (a multiple of its block) at w. */
void test_weights(void *w, enum llm_dtype type, size_t n, enum test_data data, uint64_t *state);

/* Fills n activations; extreme ones are large, tiny, equal in magnitude or zero, by runs of 32. */
void test_activations(float *x, int n, enum test_data data, uint64_t *state);

/* What one element of a row says. */
struct test_element {
	int q;       /* less the zero point */
	int sc, min; /* of its sixteen; 1 and 0 in blocks of 32 */
	float d, m;  /* of its block; m the added minimum, or dmin */
};

/* Element k of a row of a quantized type. */
struct test_element test_element(enum llm_dtype type, const void *row, int k);

/*
 * The contract, read once more: the dot of a row with x, by quantized activations or (precise) by
 * sixteen lanes.  values: the exact weights of the row, for precise and for float types.
 */
float test_dot(enum llm_dtype type, const void *row, const float *x, int n_col);
float test_dot_lanes(const float *values, const float *x, int n_col);

/* x as its int8 and scale say, in doubles: block 32 or 256. */
void test_rounded(double *y, const float *x, int n_col, int block);

#endif
