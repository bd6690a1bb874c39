/*
 * SPDX-License-Identifier: ISC
 *
 * Products of one token or some from the packed layout, by one width of vectors: of one token or two the
 * weights go from memory to the multiplier; of more, they are kept while the tokens pass by.
 * Included once for each instruction set; the table `few` at the end is what it calls.
 */
#ifndef LLM_KERNELS_X86_PRODUCT_FEW_SET_H
#define LLM_KERNELS_X86_PRODUCT_FEW_SET_H

#include "libcore/kernels/x86/product_few.h"
#include "libcore/kernels/x86/product_stream.h"

#define FEW(name, type)                                                                        \
	static void few_##name(const struct llm_product *p, int row0, int row1, void *scratch) \
	{                                                                                      \
		if (p->x->n_tok == 1)                                                          \
			llm_stream_run(p, row0, row1, scratch, LLM_FORMAT_##name, 1);          \
		else if (p->x->n_tok == 2)                                                     \
			llm_stream_run(p, row0, row1, scratch, LLM_FORMAT_##name, 2);          \
		else                                                                           \
			llm_few_run(p, row0, row1, scratch, LLM_FORMAT_##name);                \
	}
LLM_FORMATS_PACKED(FEW)

#define ENTRY(name, type) [LLM_DTYPE_##type##_R8] = few_##name,
static const llm_product_part few[LLM_DTYPE_MAX] = {LLM_FORMATS_PACKED(ENTRY)};

#endif
