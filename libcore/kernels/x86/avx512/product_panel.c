/*
 * SPDX-License-Identifier: ISC
 *
 * Quantized products of many tokens by AVX-512 VNNI: tiles of 32 rows and up to six tokens.
 */
#define LLM_WIDE
#include "libcore/kernels/x86/product_vnni.h"

void
llm_product_panel_avx512(const struct llm_product *p, int row0, int row1, void *scratch)
{
	panels[p->type](p, row0, row1, scratch);
}
