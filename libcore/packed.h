/*
 * SPDX-License-Identifier: ISC
 *
 * The packed layout of quantized matrices, R8: eight rows stand interleaved, so that a vector of
 * eight lanes holds the same four columns of eight rows, and one stream of memory feeds them all.
 * The bytes are those of GGUF in another order, as many as there, and come back exactly.
 *
 * A unit is eight rows; units follow each other.  Within a unit spans follow each other along the
 * row: a span is one block of 256 columns, or four of 32 (fewer at the row's end).  Within a span
 * the fields follow each other in the order d, m (or dmin), scales, upper bits, quants; within a field its
 * blocks; within a block groups of four bytes (of a half: two), each of row 0 to 7 in turn.  One field is
 * not only moved: of Q5_0 and Q5_1 bit 4 s + b of the upper bits becomes bit s of byte b.
 */
#ifndef LLM_PACKED_H
#define LLM_PACKED_H

#include "libcore/dtype.h"

#include <stdbool.h>

enum { LLM_PACKED_ROWS = 8 };

/* True of the types with this layout. */
static inline bool
llm_packed_is(enum llm_dtype type)
{
	return type >= LLM_DTYPE_PACKED;
}

/* The type in GGUF's order, of a packed type or itself. */
static inline enum llm_dtype
llm_packed_plain(enum llm_dtype type)
{
	return llm_packed_is(type) ? (enum llm_dtype)(type - LLM_DTYPE_PACKED) : type;
}

/* The packed type of a plain matrix, or its own where it stays as it is: n_row no multiple of 8. */
enum llm_dtype llm_packed_type(enum llm_dtype plain, int64_t n_row);

/*
 * llm_packed_pack - eight rows of n_col of the plain type of `type`, one after another at src, to a unit at
 * dst; llm_packed_unpack the other way.  As many bytes each, LLM_PACKED_ROWS * llm_dtype_row_bytes.
 */
void llm_packed_pack(
    void *restrict dst, const void *restrict src, enum llm_dtype type, int n_col);
void llm_packed_unpack(
    void *restrict dst, const void *restrict src, enum llm_dtype type, int n_col);

/* A row of a packed matrix. */
struct llm_packed_row {
	const void *data; /* of the whole matrix */
	enum llm_dtype type;
	int n_col, row;
};

/*
 * llm_packed_blocks - blocks [b0, b0 + n) of a row, in GGUF's order at dst.
 */
void llm_packed_blocks(void *restrict dst, const struct llm_packed_row *row, int b0, int n);

#endif
