/*
 * SPDX-License-Identifier: ISC
 *
 * Quantized products of one to four tokens straight from the packed layout: each unit of eight rows
 * is one stream of memory.  Included once for each instruction set; see dot.h.
 */
#ifndef LLM_KERNELS_ARM_PRODUCT_PACKED_H
#define LLM_KERNELS_ARM_PRODUCT_PACKED_H

#include "libcore/kernels/arm/product_eight.h"

/* Blocks of a span that begins at block b of n_block. */
LLM_INLINE int
llm_packed_span(struct llm_format f, int b, int n_block)
{
	const int most = f.block == 32 ? 4 : 1;
	return n_block - b < most ? n_block - b : most;
}

/* Rows [row0, row1) of a product of n_tok tokens; format and count are constants. */
LLM_INLINE void
llm_packed_run(const struct llm_product *p, int row0, int row1, const struct llm_format f,
    const int n_tok)
{
	const struct llm_way way = {f, false};
	const struct llm_act x = *p->x;
	size_t row_bytes = (size_t)x.n_block * (size_t)f.bytes;
	const uint8_t *w = (const uint8_t *)p->w + (size_t)row0 * row_bytes;
	for (int r = row0; r < row1; r += 8) {
		float32x4_t acc[2][LLM_EIGHT_TOKENS];
		for (int t = 0; t < n_tok; t++)
			acc[0][t] = acc[1][t] = vdupq_n_f32(0);
		for (int b = 0, n; b < x.n_block; b += n, w += n * 8 * f.bytes) {
			n = llm_packed_span(f, b, x.n_block);
			for (int i = 0; i < n; i++) {
				struct llm_eight e = llm_packed_at(f, w, i, n);
				llm_eight_block(acc, &x, way, &e, 0, b + i, n_tok);
			}
		}
		for (int t = 0; t < n_tok; t++)
			for (int h = 0; h < 2; h++)
				vst1q_f32(p->y + (size_t)t * p->y_stride + r + 4 * h, acc[h][t]);
	}
}

#define LLM_PACKED(name, type)                                                        \
	static void packed_##name(const struct llm_product *p, int row0, int row1)    \
	{                                                                             \
		if (p->x->n_tok == 1)                                                 \
			llm_packed_run(p, row0, row1, LLM_FORMAT_##name, 1);          \
		else if (p->x->n_tok == 2)                                            \
			llm_packed_run(p, row0, row1, LLM_FORMAT_##name, 2);          \
		else if (p->x->n_tok == 3)                                            \
			llm_packed_run(p, row0, row1, LLM_FORMAT_##name, 3);          \
		else                                                                  \
			llm_packed_run(p, row0, row1, LLM_FORMAT_##name, 4);          \
	}
LLM_FORMATS_PACKED(LLM_PACKED)

/* At most LLM_EIGHT_TOKENS tokens, packed weights. */
static void
llm_product_packed(const struct llm_product *p, int row0, int row1)
{
#define LLM_ENTRY(name, type) [LLM_DTYPE_##type##_R8] = packed_##name,
	static void (*const packed[LLM_DTYPE_MAX])(const struct llm_product *, int, int) = {
	    LLM_FORMATS_PACKED(LLM_ENTRY)};
#undef LLM_ENTRY
	packed[p->type](p, row0, row1);
}

#endif
