/*
 * SPDX-License-Identifier: ISC
 *
 * Which kernel a product takes, by its activations and the number of tokens.
 */
#include "libcore/kernels/x86/product_x86.h"
#include "libcore/packed.h"

#include <assert.h>

/* Tokens up to which rows in their own order beat unpacking, measured from memory; at most 8. */
static const unsigned char few[LLM_DTYPE_MAX] = {
    [LLM_DTYPE_Q4_0] = 2,
    [LLM_DTYPE_Q4_1] = 2,
    [LLM_DTYPE_Q5_0] = 2,
    [LLM_DTYPE_Q5_1] = 2,
    [LLM_DTYPE_Q8_0] = 3,
    [LLM_DTYPE_Q2_K] = 3,
    [LLM_DTYPE_Q3_K] = 3,
    [LLM_DTYPE_Q4_K] = 3,
    [LLM_DTYPE_Q5_K] = 3,
    [LLM_DTYPE_Q6_K] = 6,
};

/* The same of packed weights. */
enum { FEW_PACKED = 48 };

static void
run(const struct llm_product *p, int row0, int row1, void *scratch)
{
	assert(p->x->n_col == p->n_col && row0 % 8 == 0 && row1 <= p->n_row);
	if (p->x->kind == LLM_ACT_F32)
		llm_product_float_avx512(p, row0, row1, scratch);
	else if (llm_packed_is(p->type) && p->x->n_tok <= FEW_PACKED &&
		 llm_product_few_fits(p->x))
		llm_product_few_avx512(p, row0, row1, scratch);
	else if (!llm_packed_is(p->type) && p->x->n_tok <= few[p->type])
		llm_product_rows_avx512(p, row0, row1, scratch);
	else
		llm_product_panel_avx512(p, row0, row1, scratch);
}

const struct llm_product_kernels llm_product_avx512 = {llm_product_quantize_avx2, run};
