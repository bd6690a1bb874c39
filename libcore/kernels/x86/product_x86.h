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
/* Quantized weights in GGUF's order, at most 8 tokens. */
void llm_product_rows_avx2(const struct llm_product *p, int row0, int row1, void *scratch);
void llm_product_rows_avxvnni(const struct llm_product *p, int row0, int row1, void *scratch);
void llm_product_rows_avx512(const struct llm_product *p, int row0, int row1, void *scratch);
/* Packed weights, any number of tokens for which llm_product_few_fits. */
void llm_product_few_avx2(const struct llm_product *p, int row0, int row1, void *scratch);
void llm_product_few_avxvnni(const struct llm_product *p, int row0, int row1, void *scratch);
void llm_product_few_avx512(const struct llm_product *p, int row0, int row1, void *scratch);
/* For many tokens, either. */
void llm_product_panel_avx2(const struct llm_product *p, int row0, int row1, void *scratch);
void llm_product_panel_avxvnni(const struct llm_product *p, int row0, int row1, void *scratch);
void llm_product_panel_avx512(const struct llm_product *p, int row0, int row1, void *scratch);
void llm_product_panel_amx(const struct llm_product *p, int row0, int row1, void *scratch);
/* Activations in f32, any weights. */
void llm_product_float_avx2(const struct llm_product *p, int row0, int row1, void *scratch);
void llm_product_float_avx512(const struct llm_product *p, int row0, int row1, void *scratch);

enum {
	LLM_FEW_TOKENS = 64,     /* of llm_product_few that share one unpacking */
	LLM_FEW_SUMS = 32 << 10, /* bytes of scratch that their sums take, at most */
};

/* Does what llm_product_few prepares for its tokens, an int32 a sub, fit the scratch? */
static inline bool
llm_product_few_fits(const struct llm_act *x)
{
	size_t n_tok = (size_t)(x->n_tok < LLM_FEW_TOKENS ? x->n_tok : LLM_FEW_TOKENS);
	return n_tok * x->b_stride * sizeof(int32_t) + LLM_FEW_SUMS <= LLM_PRODUCT_SCRATCH;
}

#endif
