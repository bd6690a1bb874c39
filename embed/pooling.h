/*
 * SPDX-License-Identifier: ISC
 *
 * The vectors of a text's tokens become one.  Sums go from the first token to the last, so that they are the
 * same whether all tokens come at once or piece by piece.
 */
#ifndef LLM_POOLING_H
#define LLM_POOLING_H

#include "libcore/encoder.h"

/*
 * llm_pooling_add - rows [n_row][n_embd] that follow those added before, of n_tok in all, into y [n_embd],
 * which begins as zeros:
 *	MEAN	y += row, for each in order
 *	FIRST	y = row, of the first of all;  LAST  of the last of all
 * seen: how many were added before.
 */
struct llm_pooling_rows {
	const float *x;
	int n_row, n_embd;
	int seen, n_tok;
};
void llm_pooling_add(float *y, enum llm_pooling pooling, const struct llm_pooling_rows *rows,
    const struct llm_vector_kernels *vec);

/*
 * llm_pooling_end - MEAN: y *= 1 / n_tok.  Then, where normalize is set, y *= 1 / sqrt(y . y).
 * LLM_ENOTFINITE, with no message, where a value is not finite, or there is no direction to scale.
 */
int llm_pooling_end(float *y, enum llm_pooling pooling, int n_embd, int n_tok, bool normalize,
    const struct llm_vector_kernels *vec);

#endif
