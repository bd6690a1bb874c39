/*
 * SPDX-License-Identifier: ISC
 *
 * A sentence encoder: BERT as published (Devlin et al. 2018, arXiv:1810.04805), from a GGUF file of the
 * architecture bert, beside the decoder's config.h, weights.h and forward.h.  Tokens in, one vector a
 * token out; each token sees all of its own text, and nothing of others.
 * Same input, same bytes: at any batch, order, number of threads and kernels (the numeric contract).
 */
#ifndef LLM_ENCODER_H
#define LLM_ENCODER_H

#include "libcore/gguf.h"
#include "libcore/kernels/kernels.h"
#include "libcore/token.h"
#include "libcore/weights.h"

/* How the vectors of a text's tokens become one; numbers as bert.pooling_type has them. */
enum llm_pooling {
	LLM_POOLING_FILE = 0, /* of a request: as the file says; of a file: it does not say */
	LLM_POOLING_MEAN = 1,
	LLM_POOLING_FIRST = 2, /* the [CLS] token's */
	LLM_POOLING_LAST = 3
};

/* Hyper-parameters.  Plain data, read-only once read. */
struct llm_encoder_config {
	int n_layer, n_embd, n_head, d_head, n_ff, n_vocab;
	int n_type;     /* token types; texts are of type 0 */
	int n_position; /* rows of the position embedding */
	int n_ctx; /* most tokens of a text, [CLS] and [SEP] included: bert.max_seq_length */
	float norm_eps; /* of LayerNorm */
	enum llm_pooling pooling;
};

/* y = W x + b */
struct llm_encoder_linear {
	struct llm_matrix w;
	const float *b; /* [w.n_row] */
};

/* y = (x - mean) / sqrt(var + eps) * g + b */
struct llm_encoder_norm {
	const float *g, *b; /* [n_embd] */
};

struct llm_encoder_layer {
	struct llm_encoder_linear q, k, v, o; /* [n_embd][n_embd] */
	struct llm_encoder_linear up;         /* [n_ff][n_embd] */
	struct llm_encoder_linear down;       /* [n_embd][n_ff] */
	struct llm_encoder_norm attn_norm, ffn_norm;
};

/* Vectors and matrices point into the mapping; layer is owned. */
struct llm_encoder_weights {
	struct llm_matrix embd;          /* [n_vocab][n_embd] */
	struct llm_matrix position;      /* [>= n_ctx][n_embd] */
	struct llm_matrix type;          /* [n_type][n_embd] */
	struct llm_encoder_norm norm;    /* of the three's sum */
	struct llm_encoder_layer *layer; /* [n_layer] */
};

/* Read-only after opening: one serves any number of passes and threads. */
struct llm_encoder {
	struct llm_gguf *gguf;
	struct llm_encoder_config config;
	struct llm_encoder_weights weights;
};

/* Whether the file's architecture is an encoder's (then llm_encoder_open takes it over, or refuses). */
bool llm_encoder_is(const struct llm_gguf *g);

/*
 * llm_encoder_open - check that the pass can compute all of an open file.  On success g belongs to *out,
 * until llm_encoder_close; on failure it stays the caller's.
 * LLM_EDATA: a key or tensor missing, out of range or misshapen; LLM_EUNSUPPORTED: a feature that is
 * not computed, or a tensor that would not be used, by its name.
 */
int llm_encoder_open(struct llm_encoder **out, struct llm_gguf *g, struct llm_err *err);
void llm_encoder_close(struct llm_encoder *e);

struct
    llm_encoding; /* opaque: scratch and threads of one encoder; used by one thread at a time */

struct llm_encoding_params {
	const struct llm_kernels *kernels; /* NULL: the best */
	int n_thread;                      /* 0: as many as this process may use */
	int max_tok;  /* tokens of one call, at least n_ctx; 0: a good number */
	bool precise; /* f32 activations, weights dequantised on the fly */
};

/* llm_encoding_new - scratch, sized once, and threads.  e must outlive it. */
int llm_encoding_new(struct llm_encoding **out, const struct llm_encoder *e,
    const struct llm_encoding_params *params, struct llm_err *err);
void llm_encoding_free(struct llm_encoding *p);
int llm_encoding_max_tok(const struct llm_encoding *p);
int llm_encoding_n_thread(const struct llm_encoding *p);

/* One text: n tokens, 1 <= n <= n_ctx. */
struct llm_encode_text {
	const llm_token *id;
	int n;
};

/*
 * llm_encode - compute n_text texts of at most max_tok tokens in all.
 * *x: f32 [tokens in all][n_embd], text after text, the encoding's own until the next call.
 * Errors: LLM_ENOTFINITE, naming the model; LLM_EDATA: a token out of range; LLM_EUSAGE: texts that
 * cannot be.
 */
int llm_encode(const float **x, struct llm_encoding *p, const struct llm_encode_text *text,
    int n_text, struct llm_err *err);

#endif
