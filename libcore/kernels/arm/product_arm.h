/*
 * SPDX-License-Identifier: ISC
 *
 * The parts of the ARM products that do not depend on SDOT, and stand in files of their own.
 */
#ifndef LLM_KERNELS_ARM_PRODUCT_ARM_H
#define LLM_KERNELS_ARM_PRODUCT_ARM_H

#include "libcore/kernels/product.h"

bool llm_product_quantize_neon(struct llm_act *a, int t0, int t1);
/* Activations in f32, any weights. */
void llm_product_float_neon(const struct llm_product *p, int row0, int row1, void *scratch);

#endif
