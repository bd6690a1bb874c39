/*
 * SPDX-License-Identifier: ISC
 *
 * Quantized products of few tokens in GGUF's order by AVX-VNNI.
 */
#include "libcore/kernels/x86/product_rows256.h"

void
llm_product_rows_avxvnni(const struct llm_product *p, int row0, int row1, void *scratch)
{
	rows[p->type](p, row0, row1, scratch);
}
