/*
 * SPDX-License-Identifier: ISC
 *
 * Which kernel a product takes, by its activations and the number of tokens: tiles for many, vectors of
 * AVX-512 for the rest.
 */
#include "libcore/kernels/x86/product_x86.h"
#include "libcore/packed.h"

/* Tokens from which tiles pay, measured from memory. */
enum { MANY_PACKED = 24, MANY = 8 };

static void
run(const struct llm_product *p, int row0, int row1, void *scratch)
{
	int many = llm_packed_is(p->type) ? MANY_PACKED : MANY;
	if (p->x->kind != LLM_ACT_F32 && p->x->n_tok >= many)
		llm_product_panel_amx(p, row0, row1, scratch);
	else
		llm_product_avx512.run(p, row0, row1, scratch);
}

const struct llm_product_kernels llm_product_amx = {llm_product_quantize_avx2, run};
