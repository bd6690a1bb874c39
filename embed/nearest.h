/*
 * SPDX-License-Identifier: ISC
 *
 * The records of an index that are nearest to given vectors, by inner product.
 */
#ifndef LLM_NEAREST_H
#define LLM_NEAREST_H

#include "embed/corpus.h"
#include "libcore/kernels/vector.h"
#include "libcore/pool.h"

struct llm_nearest_hit {
	float score; /* sixteen-lane dot of record and query */
	size_t record;
};

struct llm_nearest_params {
	const struct llm_vector_kernels *vector;
	struct llm_pool *pool;
	int n_best; /* records wanted of each query, >= 1 */
};

/*
 * llm_nearest - for each of n_query vectors, f32 [n_query][n_embd], the n_best records of largest inner
 * product, best first, of equal ones the earlier record; records without a vector are never among them.
 *	hits	[n_query][n_best], the caller's; n_hit [n_query], how many of them there are
 * One or a few queries read the index once by the dot that scores; for many, OpenBLAS proposes records
 * by blocks and the same dot scores those that its rounding could have misplaced: the same answer to the
 * bit, alone or among others.  Errors: LLM_ENOMEM; LLM_ENOTFINITE where a query is not finite.
 */
int llm_nearest(struct llm_nearest_hit *hits, int *n_hit, const struct llm_corpus *ix,
    const float *queries, int n_query, const struct llm_nearest_params *params,
    struct llm_err *err);

#endif
