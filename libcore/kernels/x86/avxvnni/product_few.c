/*
 * SPDX-License-Identifier: ISC
 *
 * Products of one token or some from the packed layout by AVX-VNNI: functions of each format, made from
 * product_few.h.
 */
#include "libcore/kernels/x86/product_few.h"
#include "libcore/kernels/x86/product_x86.h"

#define ROWS(name, type)                                                                  \
	static void rows_##name(                                                          \
	    const struct llm_product *p, int row0, int row1, void *scratch)               \
	{                                                                                 \
		if (p->x->n_tok == 1)                                                     \
			llm_few_run(p, row0, row1, scratch, LLM_FORMAT_##name, 1, true);  \
		else                                                                      \
			llm_few_run(p, row0, row1, scratch, LLM_FORMAT_##name, 1, false); \
	}
LLM_FORMATS_PACKED(ROWS)

void
llm_product_few_avxvnni(const struct llm_product *p, int row0, int row1, void *scratch)
{
#define ENTRY(name, type) [LLM_DTYPE_##type##_R8] = rows_##name,
	static const llm_product_part part[LLM_DTYPE_MAX] = {LLM_FORMATS_PACKED(ENTRY)};
	part[p->type](p, row0, row1, scratch);
}
