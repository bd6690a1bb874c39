/*
 * SPDX-License-Identifier: ISC
 *
 * What there is to multiply: the one list that the tests of the products and their bench walk, with every
 * kernel set of the processor (llm_kernels_at).
 */
#ifndef LLM_TESTS_PRODUCTS_H
#define LLM_TESTS_PRODUCTS_H

#include "libcore/dtype.h"

/* Types in GGUF's order, floats first; then those of the packed layout. */
static const enum llm_dtype test_plain_types[] = {LLM_DTYPE_F32, LLM_DTYPE_F16, LLM_DTYPE_BF16,
    LLM_DTYPE_Q4_0, LLM_DTYPE_Q4_1, LLM_DTYPE_Q5_0, LLM_DTYPE_Q5_1, LLM_DTYPE_Q8_0,
    LLM_DTYPE_Q2_K, LLM_DTYPE_Q3_K, LLM_DTYPE_Q4_K, LLM_DTYPE_Q5_K, LLM_DTYPE_Q6_K};
static const enum llm_dtype test_packed_types[] = {LLM_DTYPE_Q4_0_R8, LLM_DTYPE_Q4_1_R8,
    LLM_DTYPE_Q5_0_R8, LLM_DTYPE_Q5_1_R8, LLM_DTYPE_Q8_0_R8, LLM_DTYPE_Q4_K_R8,
    LLM_DTYPE_Q5_K_R8, LLM_DTYPE_Q6_K_R8};

enum {
	TEST_N_PLAIN = sizeof test_plain_types / sizeof test_plain_types[0],
	TEST_N_PACKED = sizeof test_packed_types / sizeof test_packed_types[0],
	TEST_N_PRODUCT = TEST_N_PLAIN + TEST_N_PACKED,
};

/* Type i of both lists. */
__attribute__((unused)) static enum llm_dtype
test_product_type(int i)
{
	return i < TEST_N_PLAIN ? test_plain_types[i] : test_packed_types[i - TEST_N_PLAIN];
}

#endif
