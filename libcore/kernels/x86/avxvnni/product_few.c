/*
 * SPDX-License-Identifier: ISC
 *
 * Products of one token or some from the packed layout by AVX-VNNI.
 */
#include "libcore/kernels/x86/product_few_set.h"

void
llm_product_few_avxvnni(const struct llm_product *p, int row0, int row1, void *scratch)
{
	few[p->type](p, row0, row1, scratch);
}
