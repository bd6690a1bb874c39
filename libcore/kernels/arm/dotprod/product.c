/*
 * SPDX-License-Identifier: ISC
 *
 * Products by SDOT, of processors with FEAT_DotProd.
 */
#include "libcore/kernels/arm/product_set.h"

const struct llm_product_kernels llm_product_dotprod = {
    llm_product_quantize_neon, llm_product_run};
