/*
 * SPDX-License-Identifier: ISC
 *
 * Products with activations in f32, made from product_float.h: one way to floats for each type.
 */
#include "libcore/kernels/x86/product_float.h"
#include "libcore/kernels/x86/product_x86.h"

#define FILL(name, type)                                                                \
	static void fill_##name(                                                        \
	    float *y, size_t stride, const struct llm_product *p, int r, int k0, int n) \
	{                                                                               \
		(void)stride;                                                           \
		llm_float_blocks(y, p, r, k0, n, LLM_FORMAT_##name);                    \
	}
#define FILL_PACKED(name, type)                                                         \
	static void packed_##name(                                                      \
	    float *y, size_t stride, const struct llm_product *p, int r, int k0, int n) \
	{                                                                               \
		llm_float_unit(y, stride, p, r, k0, n, LLM_FORMAT_##name);              \
	}
LLM_FORMATS_32(FILL)
LLM_FORMATS_256(FILL)
LLM_FORMATS_PACKED(FILL_PACKED)

static void
fill_f16(float *y, size_t stride, const struct llm_product *p, int r, int k0, int n)
{
	(void)stride;
	llm_float_f16(y, p, r, k0, n);
}

static void
fill_bf16(float *y, size_t stride, const struct llm_product *p, int r, int k0, int n)
{
	(void)stride;
	llm_float_bf16(y, p, r, k0, n);
}

void
llm_product_float_avx512(const struct llm_product *p, int row0, int row1, void *scratch)
{
#define ENTRY(name, type) [LLM_DTYPE_##type] = fill_##name,
#define ENTRY_PACKED(name, type) [LLM_DTYPE_##type##_R8] = packed_##name,
	static const llm_float_fill fill[LLM_DTYPE_MAX] = {[LLM_DTYPE_F32] = NULL,
	    [LLM_DTYPE_F16] = fill_f16,
	    [LLM_DTYPE_BF16] = fill_bf16,
	    LLM_FORMATS_32(ENTRY) LLM_FORMATS_256(ENTRY) LLM_FORMATS_PACKED(ENTRY_PACKED)};
	llm_float_run(p, row0, row1, scratch, fill[p->type]);
}
