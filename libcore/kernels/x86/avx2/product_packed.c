/*
 * SPDX-License-Identifier: ISC
 *
 * Products of few tokens from the packed layout: functions of each format, made from product_packed.h.
 * With one token the count is a constant; so are the others', lest the sums wait in memory.
 */
#include "libcore/kernels/x86/product_packed.h"
#include "libcore/kernels/x86/product_x86.h"

#define COUNT(name, n)                                                         \
	case n:                                                                \
		llm_packed_rows(p, row0, row1, scratch, LLM_FORMAT_##name, n); \
		return;
#define ROWS(name, type)                                                             \
	static void rows_##name(                                                     \
	    const struct llm_product *p, int row0, int row1, void *scratch)          \
	{                                                                            \
		switch (p->x->n_tok) {                                               \
			COUNT(name, 1)                                               \
			COUNT(name, 2)                                               \
			COUNT(name, 3)                                               \
			COUNT(name, 4)                                               \
		default:                                                             \
			llm_packed_rows(                                             \
			    p, row0, row1, scratch, LLM_FORMAT_##name, p->x->n_tok); \
		}                                                                    \
	}
LLM_FORMATS_PACKED(ROWS)

void
llm_product_packed_avx2(const struct llm_product *p, int row0, int row1, void *scratch)
{
#define ENTRY(name, type) [LLM_DTYPE_##type##_R8] = rows_##name,
	static const llm_product_part part[LLM_DTYPE_MAX] = {LLM_FORMATS_PACKED(ENTRY)};
	part[p->type](p, row0, row1, scratch);
}
