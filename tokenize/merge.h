/*
 * SPDX-License-Identifier: ISC
 *
 * Byte-pair merging: of all neighbouring symbols the pair of lowest rank becomes one, leftmost among
 * equals, until no pair has a rank.  Quadratic on short pieces, where that is fastest, and by a heap
 * on long ones: O(n log n).
 */
#ifndef LLM_MERGE_H
#define LLM_MERGE_H

#include "libcore/err.h"
#include "libcore/token.h"

#include <stddef.h>
#include <stdint.h>

/* One symbol: bytes [start, end) of the piece, and their token, -1 where they are none. */
struct llm_merge_sym {
	llm_token id;
	uint32_t start, end;
};

#define LLM_MERGE_NONE UINT32_MAX

/* The rank of a pair, and in *id what it becomes; LLM_MERGE_NONE where it does not merge. */
typedef uint32_t llm_merge_rank(llm_token *id, const void *context,
    const struct llm_merge_sym *left, const struct llm_merge_sym *right);

/* Scratch of one thread, for any number of pieces; zero-initialised is empty. */
struct llm_merge {
	struct llm_merge_sym *sym; /* the symbols of a piece, before and after */
	size_t n;                  /* how many */
	size_t cap;                /* private, and all below */
	uint32_t *rank;            /* of symbol i and the one after it */
	llm_token *made;           /* what they would become */
	uint32_t *next, *prev;
	uint64_t *heap; /* rank << 32 | position, lowest first */
	size_t n_heap;
};

/* Room for the symbols of a piece of n bytes.  LLM_ENOMEM, or LLM_ETOOLONG from 4 GiB on. */
int llm_merge_reserve(struct llm_merge *m, size_t n, struct llm_err *err);
void llm_merge_free(struct llm_merge *m);

/* llm_merge_run - merge sym[0..n) in place; n becomes the number left.  Cannot fail. */
void llm_merge_run(struct llm_merge *m, llm_merge_rank *rank, const void *context);

#endif
