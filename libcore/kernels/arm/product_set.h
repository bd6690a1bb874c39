/*
 * SPDX-License-Identifier: ISC
 *
 * Which kernel a product takes, by its activations and the number of tokens.  Included once for each
 * instruction set, whose table calls llm_product_run.
 */
#ifndef LLM_KERNELS_ARM_PRODUCT_SET_H
#define LLM_KERNELS_ARM_PRODUCT_SET_H

#include "libcore/kernels/arm/product_arm.h"
#include "libcore/kernels/arm/product_panel.h"
#include "libcore/kernels/arm/product_rows.h"

#include <assert.h>

static void
llm_product_run(const struct llm_product *p, int row0, int row1, void *scratch)
{
	assert(p->x->n_col == p->n_col && row0 % 8 == 0 && row1 <= p->n_row);
	if (p->x->kind == LLM_ACT_F32)
		llm_product_float_neon(p, row0, row1, scratch);
	else if (llm_packed_is(p->type) && p->x->n_tok <= LLM_EIGHT_TOKENS)
		llm_product_packed(p, row0, row1);
	else if (!llm_packed_is(p->type) && p->x->n_tok <= LLM_ROWS_TOKENS)
		llm_product_rows(p, row0, row1);
	else
		llm_product_panel(p, row0, row1, scratch);
}

#endif
