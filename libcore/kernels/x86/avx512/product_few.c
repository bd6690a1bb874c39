/*
 * SPDX-License-Identifier: ISC
 *
 * Products of one token or some from the packed layout by AVX-512 VNNI, two units to a vector.
 */
#define LLM_WIDE
#include "libcore/kernels/x86/product_few_set.h"

void
llm_product_few_avx512(const struct llm_product *p, int row0, int row1, void *scratch)
{
	few[p->type](p, row0, row1, scratch);
}
