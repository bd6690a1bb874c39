/*
 * SPDX-License-Identifier: ISC
 *
 * The tensors of a model by their role, with shapes checked against the hyper-parameters.
 */
#ifndef LLM_WEIGHTS_H
#define LLM_WEIGHTS_H

#include "libcore/config.h"
#include "libcore/dtype.h"
#include "libcore/gguf.h"

/* A matrix [n_row][n_col] in the mapping; y = W x takes n_col and gives n_row. */
struct llm_matrix {
	const void *data;
	enum llm_dtype type;
	int n_row, n_col;
};

struct llm_layer {
	const float *attn_norm, *ffn_norm; /* [n_embd] */
	struct llm_matrix q;               /* [n_head * d_head][n_embd] */
	struct llm_matrix k, v;            /* [n_head_kv * d_head][n_embd] */
	struct llm_matrix o;               /* [n_embd][n_head * d_head] */
	struct llm_matrix gate, up;        /* [n_ff][n_embd] */
	struct llm_matrix down;            /* [n_embd][n_ff] */
};

/* Norms and divisors point into the mapping (F32, aligned); layer is owned. */
struct llm_weights {
	struct llm_matrix embd;   /* [n_vocab][n_embd] */
	struct llm_matrix output; /* the same, or embd where tied */
	const float *output_norm; /* [n_embd] */
	const float *rope_freqs;  /* [d_head / 2] divisors, or NULL */
	struct llm_layer *layer;  /* [n_layer] */
};

/*
 * llm_weights_bind - find and check every tensor of g; c->tied is set here.
 * LLM_EDATA: missing, duplicate or misshapen; LLM_EUNSUPPORTED: a type that this role does not take, or
 * a tensor that the pass would not use, by its name.
 */
int llm_weights_bind(
    struct llm_weights *w, struct llm_config *c, const struct llm_gguf *g, struct llm_err *err);
void llm_weights_free(struct llm_weights *w);

#endif
