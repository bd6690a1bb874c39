/*
 * SPDX-License-Identifier: ISC
 *
 * The parts of the x86 products that stand in files of their own, for both instruction sets.
 */
#ifndef LLM_KERNELS_X86_PRODUCT_X86_H
#define LLM_KERNELS_X86_PRODUCT_X86_H

#include "libcore/kernels/product.h"

/* A product's rows [row0, row1), as in struct llm_product_kernels. */
typedef void (*llm_product_part)(
    const struct llm_product *p, int row0, int row1, void *scratch);

bool llm_product_quantize_avx2(struct llm_act *a, int t0, int t1);
/* Quantized weights and activations, at most 8 tokens. */
void llm_product_rows_avx2(const struct llm_product *p, int row0, int row1, void *scratch);
void llm_product_rows_avx512(const struct llm_product *p, int row0, int row1, void *scratch);
/* The same of packed weights. */
void llm_product_packed_avx2(const struct llm_product *p, int row0, int row1, void *scratch);
void llm_product_packed_avx512(const struct llm_product *p, int row0, int row1, void *scratch);
/* For many tokens, either. */
void llm_product_panel_avx2(const struct llm_product *p, int row0, int row1, void *scratch);
void llm_product_panel_avx512(const struct llm_product *p, int row0, int row1, void *scratch);
/* Activations in f32, any weights. */
void llm_product_float_avx2(const struct llm_product *p, int row0, int row1, void *scratch);
void llm_product_float_avx512(const struct llm_product *p, int row0, int row1, void *scratch);

#endif
