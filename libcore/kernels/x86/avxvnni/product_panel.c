/*
 * SPDX-License-Identifier: ISC
 *
 * Quantized products of many tokens by AVX-VNNI: tiles of 16 rows and up to three tokens.
 */
#include "libcore/kernels/x86/product_vnni.h"

void
llm_product_panel_avxvnni(const struct llm_product *p, int row0, int row1, void *scratch)
{
	panels[p->type](p, row0, row1, scratch);
}
