/*
 * SPDX-License-Identifier: ISC
 *
 * Products of one token or some from the packed layout by AVX-512 VNNI.  Of one token or two the weights go
 * from memory to the multiplier; of more, two vectors of two units each are kept while the tokens pass by.
 */
#define LLM_WIDE
#include "libcore/kernels/x86/product_few.h"
#include "libcore/kernels/x86/product_stream.h"
#include "libcore/kernels/x86/product_x86.h"

#define ROWS(name, type)                                                              \
	static void rows_##name(                                                      \
	    const struct llm_product *p, int row0, int row1, void *scratch)           \
	{                                                                             \
		switch (p->x->n_tok) {                                                \
		case 1:                                                               \
			llm_stream_run(p, row0, row1, scratch, LLM_FORMAT_##name, 1); \
			return;                                                       \
		case 2:                                                               \
			llm_stream_run(p, row0, row1, scratch, LLM_FORMAT_##name, 2); \
			return;                                                       \
		default:                                                              \
			llm_few_run(p, row0, row1, scratch, LLM_FORMAT_##name, 2);    \
		}                                                                     \
	}
LLM_FORMATS_PACKED(ROWS)

void
llm_product_few_avx512(const struct llm_product *p, int row0, int row1, void *scratch)
{
#define ENTRY(name, type) [LLM_DTYPE_##type##_R8] = rows_##name,
	static const llm_product_part part[LLM_DTYPE_MAX] = {LLM_FORMATS_PACKED(ENTRY)};
	part[p->type](p, row0, row1, scratch);
}
