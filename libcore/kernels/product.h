/*
 * SPDX-License-Identifier: ISC
 *
 * Products of a weight matrix with activation vectors, y = W x, for one token or many, the same
 * bits whichever way they are batched, tiled or shared among threads.
 */
#ifndef LLM_KERNELS_PRODUCT_H
#define LLM_KERNELS_PRODUCT_H

#include "libcore/dtype.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Activations of n_tok vectors of n_col f32, prepared for products.  Built by the caller in its own
 * memory with llm_act_init; filled by quantize.  All fields are private to kernels but the first three.
 * A "sub" is the span of columns that has a sum of its own: 32 of kind Q32, 16 of kind Q256.
 */
struct llm_act {
	enum llm_act_kind kind; /* public, read-only */
	int n_col, n_tok;       /* public, read-only */
	const float *x;         /* the caller's vectors, x_stride floats apart */
	size_t x_stride;
	int8_t *q; /* [n_tok][q_stride] */
	size_t
	    q_stride; /* bytes from token to token: n_col, and padding against cache aliasing */
	float *d;     /* [n_tok][d_stride] scale of each block; 0 where q is */
	float *s;     /* [n_tok][d_stride] d * (float)bsum, of kind Q32 (NUMERICS: s_x) */
	int16_t *bsum; /* [n_tok][b_stride] exact sum of q over each sub */
	int16_t *
	    nsum; /* [n_tok][b_stride][2] minus the sums over columns 0, 1 and 2, 3 mod 4 of it */
	int16_t *pair; /* [n_tok][b_stride / 2] of kind Q256: sums over 32, two of bsum */
	int n_block;   /* n_col / 32 or / 256 */
	int n_sub;     /* n_col / 32 or / 16 */
	size_t d_stride, b_stride; /* n_block, n_sub rounded up: vectors may read the padding */
};

/* Bytes, 64-aligned, that llm_act_init wants for these shapes (0 for kind F32). */
size_t llm_act_bytes(enum llm_act_kind kind, int n_col, int n_tok);
/* Lays a out in mem (64-byte aligned, llm_act_bytes long).  x [n_tok] vectors x_stride floats apart. */
void llm_act_init(struct llm_act *a, void *mem, enum llm_act_kind kind, int n_col, int n_tok,
    const float *x, size_t x_stride);
/* Tokens [t0, t1) of a, where they are. */
struct llm_act llm_act_part(const struct llm_act *a, int t0, int t1);

/*
 * One product.  y[t * y_stride + r] = dot(w row r, activation t) for rows [row0, row1).
 * x->kind F32 with a quantized w is --precise: sixteen-lane dots with the exact weights.
 */
struct llm_product {
	const void *w; /* [n_row][n_col] of type, GGUF order; or a packed type's own */
	enum llm_dtype type;
	int n_row, n_col;
	const struct llm_act *x;
	float *y;
	size_t y_stride;
};

struct llm_product_kernels {
	/* Fills tokens [t0, t1) of a (kind Q32 or Q256) from a->x.  False when a value is not finite. */
	bool (*quantize)(struct llm_act *a, int t0, int t1);
	/* Rows [row0, row1), bounds multiples of 8 (row1 may be n_row); ranges of a multiple of 32 waste
	 * nothing where there are more than two tokens.  scratch: 64-byte aligned, LLM_PRODUCT_SCRATCH
	 * bytes, this thread's own. */
	void (*run)(const struct llm_product *p, int row0, int row1, void *scratch);
};

enum { LLM_PRODUCT_SCRATCH = 768 * 1024 };

extern const struct llm_product_kernels llm_product_generic;
extern const struct llm_product_kernels llm_product_avx2;
extern const struct llm_product_kernels llm_product_avxvnni;
extern const struct llm_product_kernels llm_product_avx512;
extern const struct llm_product_kernels llm_product_amx;
extern const struct llm_product_kernels llm_product_neon;
extern const struct llm_product_kernels llm_product_dotprod;

#endif
