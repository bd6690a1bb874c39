/*
 * SPDX-License-Identifier: ISC
 *
 * The kernels: one const table an instruction set, chosen once at start.  generic/ is plain loops,
 * always built: it is the numeric contract in C, and every other set equals it bit for bit.
 * A kernel sees pointers, sizes and strides, never a model.
 */
#ifndef LLM_KERNELS_H
#define LLM_KERNELS_H

#include "libcore/err.h"
#include "libcore/kernels/attention.h"
#include "libcore/kernels/product.h"
#include "libcore/kernels/vector.h"

struct llm_kernels {
	/* "generic"; x86: "avx2", "avxvnni", "avx512", "amx"; ARM: "neon", "dotprod" */
	const char *name;
	const struct llm_product_kernels *product;
	const struct llm_vector_kernels *vector;
	const struct llm_attention_kernels *attention;
};

/*
 * llm_kernels_get - the set of this name, or with NULL or "" the best that this processor has.
 * LLM_ENOCPU, naming those there are, when this build or processor lacks it.
 */
int llm_kernels_get(const struct llm_kernels **out, const char *name, struct llm_err *err);

/*
 * llm_kernels_at - the sets usable on this processor, i = 0 ("generic"), 1, ...; NULL past the end.
 */
const struct llm_kernels *llm_kernels_at(int i);

#endif
