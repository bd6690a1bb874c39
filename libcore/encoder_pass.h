/*
 * SPDX-License-Identifier: ISC
 *
 * Inside of an encoder's pass, shared by encoder_pass.c (the layers) and encoder_attend.c (attention)
 * alone.
 */
#ifndef LLM_ENCODER_PASS_H
#define LLM_ENCODER_PASS_H

#include "libcore/encoder.h"
#include "libcore/pool.h"

#include <stdatomic.h>

/* Where a text's rows begin among those of the call. */
struct llm_encoder_run {
	const llm_token *id;
	int row0, n;
};

/* Buffers of max_tok rows; what each thread has for itself is encoder_attend.c's to lay out. */
struct llm_encoding {
	const struct llm_encoder *encoder;
	const struct llm_kernels *kernels;
	struct llm_pool *pool;
	struct llm_encoding_params params;
	void *memory;
	float *x;     /* [row][n_embd]  what a layer takes and gives */
	float *delta; /* [row][n_embd]  what a block adds to x */
	float *q;     /* [row][n_embd]  queries; then what attention gives */
	float *k, *v; /* [row][n_embd] */
	float *ff;    /* [row][n_ff] */
	void *act[3]; /* by enum llm_act_kind: activations prepared for products */
	char
	    *thread; /* [n_thread][thread_bytes] each thread's own, products' and attention's */
	size_t thread_bytes;
	struct llm_encoder_run *run; /* [max_tok] of this call */
	int n_run;
	int *row_run;           /* [row] its run */
	atomic_bool not_finite; /* set by a region that met such a value */
};

/* The input of products: vectors, and those vectors prepared in each kind that the weights want. */
struct llm_encoder_input {
	bool want[3];          /* by enum llm_act_kind */
	struct llm_act act[3]; /* likewise */
};

/* This thread's own scratch: LLM_PRODUCT_SCRATCH bytes, and attention's after it. */
static inline void *
llm_encoding_scratch(struct llm_encoding *p, int thread)
{
	return p->thread + (size_t)thread * p->thread_bytes;
}

/* Bytes a thread that attention takes, for texts of n_ctx tokens; 0 where they cannot be counted. */
size_t llm_encoder_attend_bytes(const struct llm_encoder_config *c);

/*
 * llm_encoder_attend - of each text of the call, all its tokens see each other: p->q, k and v, to which the
 * biases are still to be added, to p->q.  Keys and values stay f32.
 */
void llm_encoder_attend(struct llm_encoding *p, const struct llm_encoder_layer *w);

#endif
