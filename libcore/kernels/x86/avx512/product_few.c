/*
 * SPDX-License-Identifier: ISC
 *
 * Products of one token or some from the packed layout: two units of eight rows to a register.  Of one token
 * two registers stand beside each other, as memory gives more to four streams than to one; of more tokens
 * than eight too, so that each load of an activation serves both.
 */
#define LLM_WIDE
#include "libcore/kernels/x86/product_few.h"
#include "libcore/kernels/x86/product_x86.h"

#define ROWS(name, type)                                                                  \
	static void rows_##name(                                                          \
	    const struct llm_product *p, int row0, int row1, void *scratch)               \
	{                                                                                 \
		if (p->x->n_tok == 1)                                                     \
			llm_few_run(p, row0, row1, scratch, LLM_FORMAT_##name, 2, true);  \
		else if (p->x->n_tok <= 8)                                                \
			llm_few_run(p, row0, row1, scratch, LLM_FORMAT_##name, 1, false); \
		else                                                                      \
			llm_few_run(p, row0, row1, scratch, LLM_FORMAT_##name, 2, false); \
	}
LLM_FORMATS_PACKED(ROWS)

void
llm_product_few_avx512(const struct llm_product *p, int row0, int row1, void *scratch)
{
#define ENTRY(name, type) [LLM_DTYPE_##type##_R8] = rows_##name,
	static const llm_product_part part[LLM_DTYPE_MAX] = {LLM_FORMATS_PACKED(ENTRY)};
	part[p->type](p, row0, row1, scratch);
}
