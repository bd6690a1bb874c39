/*
 * SPDX-License-Identifier: ISC
 *
 * A forward pass in double precision, written from the papers and from nothing in libcore but the
 * file reader and the exact values of weights: plain loops, libm, no cache, no blocks.  What every
 * faster path is measured against.
 */
#ifndef LLM_TESTS_REFERENCE_H
#define LLM_TESTS_REFERENCE_H

#include "libcore/gguf.h"

/*
 * Called with the residual stream x [n_tok][n_embd] after the embedding (layer -1) and each layer.
 */
typedef void (*reference_tap)(void *context, int layer, const double *x);

/*
 * reference_run - logits [n_tok][n_vocab] of n_tok tokens from position 0, of a Llama model.
 * Returns 0, or -1 when a key or tensor is missing or memory is short.
 */
int reference_run(double *logits, const struct llm_gguf *g, const int32_t *token, int n_tok,
    reference_tap tap, void *context);

/* KL(P || Q) in nats of two rows of logits; P in double. */
double reference_kl(const double *p, const float *q, int n);
/* -log softmax(logits)[id] in nats. */
double reference_nll(const double *logits, int n, int id);
double reference_nll_f32(const float *logits, int n, int id);

#endif
