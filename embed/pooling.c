/*
 * SPDX-License-Identifier: ISC
 *
 * Pooling; see pooling.h.
 */
#include "embed/pooling.h"

#include <math.h>
#include <string.h>

void
llm_pooling_add(float *y, enum llm_pooling pooling, const struct llm_pooling_rows *rows,
    const struct llm_vector_kernels *vec)
{
	size_t n = (size_t)rows->n_embd;
	if (rows->n_row == 0)
		return;
	if (pooling == LLM_POOLING_FIRST && rows->seen == 0)
		memcpy(y, rows->x, n * sizeof *y);
	if (pooling == LLM_POOLING_LAST && rows->seen + rows->n_row == rows->n_tok)
		memcpy(y, rows->x + (size_t)(rows->n_row - 1) * n, n * sizeof *y);
	for (int i = 0; i < rows->n_row && pooling == LLM_POOLING_MEAN; i++)
		vec->add(y, rows->x + (size_t)i * n, rows->n_embd);
}

int
llm_pooling_end(float *y, enum llm_pooling pooling, int n_embd, int n_tok, bool normalize,
    const struct llm_vector_kernels *vec)
{
	if (pooling == LLM_POOLING_MEAN)
		vec->scale(y, 1.0f / (float)n_tok, n_embd);
	float square = vec->dot(y, y, n_embd);
	if (!isfinite(square) || (normalize && square == 0))
		return LLM_ENOTFINITE;
	if (normalize)
		vec->scale(y, 1.0f / sqrtf(square), n_embd);
	return 0;
}
