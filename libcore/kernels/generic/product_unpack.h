/*
 * SPDX-License-Identifier: ISC
 *
 * Quantized blocks taken apart into plain integers and floats, one form for the blocks of 32 and one
 * for those of 256: what the plain C products multiply.
 */
#ifndef LLM_KERNELS_GENERIC_PRODUCT_UNPACK_H
#define LLM_KERNELS_GENERIC_PRODUCT_UNPACK_H

#include "libcore/dtype.h"

#include <stdbool.h>

/* One block.  Weight k = d * sc[k / 16] * q[k] + (m or, of 256, -dmin * min[k / 16]). */
struct llm_unpacked {
	float d;        /* scale */
	float m;        /* Q4_1, Q5_1: minimum, added; K-quants: dmin */
	int8_t q[256];  /* less the zero point */
	int8_t sc[16];  /* K-quants: of each 16; a scale of 32 stands twice */
	int8_t min[16]; /* Q2_K, Q4_K, Q5_K: of each 16 */
};

struct llm_unpack {
	int block; /* 32 or 256; 0: not a quantized type */
	int block_bytes;
	bool has_min; /* m is used */
	void (*unpack)(struct llm_unpacked *u, const void *block);
};

/* The row of a type. */
const struct llm_unpack *llm_unpack_get(enum llm_dtype type);

#endif
