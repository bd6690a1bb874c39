/*
 * SPDX-License-Identifier: ISC
 *
 * Products for any 64-bit ARM processor.
 */
#include "libcore/kernels/arm/product_set.h"

const struct llm_product_kernels llm_product_neon = {
    llm_product_quantize_neon, llm_product_run};
