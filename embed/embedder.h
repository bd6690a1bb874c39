/*
 * SPDX-License-Identifier: ISC
 *
 * Texts to vectors: one interface to a sentence encoder and to a chat model of the Llama architecture.
 * It tokenises, sorts texts of like length into full passes, pools, normalises.  What a text gets
 * depends on the model, the text and the parameters alone, not on the other texts of a call.
 *
 *	struct llm_embedder_params params = {.kernels = kernels, .n_thread = n};
 *	llm_embedder_open(&e, path, &params, &err);
 *	struct llm_embed_text t[2] = {{.s = "one", .n = 3}, {.s = "two", .n = 3}};
 *	float *y = calloc(2 * llm_embedder_n_embd(e), sizeof *y);
 *	llm_embedder_run(y, e, t, 2, &err);	(t[i].status < 0: this one has no vector)
 */
#ifndef LLM_EMBEDDER_H
#define LLM_EMBEDDER_H

#include "libcore/encoder.h"

#include <stdbool.h>
#include <stddef.h>

struct llm_embedder; /* opaque; used by one thread at a time */

struct llm_embedder_params {
	const struct llm_kernels *kernels; /* NULL: the best */
	int n_thread;                      /* 0: as many as this process may use */
	bool precise;                      /* as the passes have it */
	enum llm_pooling pooling;          /* FILE: as the file says, else the mean */
	bool plain;                        /* vectors as pooled, not scaled to length 1 */
	bool cut;                          /* of a text too long keep the head (--fit head) */
	int max_rows; /* of one pass of a Llama file; 0: the pass's own choice */
	/* Called before each such pass, for who has other things to do meanwhile; may be NULL. */
	void (*between)(void *context);
	void *context;
};

/*
 * llm_embedder_open - map the model at path, encoder or Llama; nothing is read but the header.  On success
 * *out is the caller's until llm_embedder_close.  Errors: those of llm_gguf_open, llm_encoder_open and
 * llm_model_open.
 * llm_embedder_start - make what a run needs, tokenizer, threads and scratch, where it is not there; the first run
 * does so itself.  Errors: those of the tokenizers, LLM_EDATA where vocabulary and embeddings do not agree.
 */
int llm_embedder_open(struct llm_embedder **out, const char *path,
    const struct llm_embedder_params *params, struct llm_err *err);
int llm_embedder_start(struct llm_embedder *e, struct llm_err *err);
void llm_embedder_close(struct llm_embedder *e);

/* The mapping, to be guarded; what was opened. */
const struct llm_gguf *llm_embedder_gguf(const struct llm_embedder *e);
bool llm_embedder_is_encoder(const struct llm_embedder *e);
int llm_embedder_n_embd(const struct llm_embedder *e);
/* Most tokens of a text, those that the model puts around it included. */
int llm_embedder_n_ctx(const struct llm_embedder *e);
/* MEAN, FIRST or LAST; whether vectors have length 1; threads at work (until it has started: as the
 * parameters have it). */
enum llm_pooling llm_embedder_pooling(const struct llm_embedder *e);
bool llm_embedder_normalized(const struct llm_embedder *e);
int llm_embedder_n_thread(const struct llm_embedder *e);

/*
 * llm_embedder_id - which model made a vector: 16 bytes, a hash of the file's hyper-parameters and
 * tensors, packed and plain alike.  Reads the whole file once.  LLM_ENOMEM.
 */
int llm_embedder_id(unsigned char id[16], const struct llm_embedder *e, struct llm_err *err);

/* One text.  s and n are the caller's to set; the rest is set by a run. */
struct llm_embed_text {
	const char *s; /* n bytes, any */
	size_t n;
	int n_tok; /* tokens, before a cut */
	int status; /* 0; or why it has no vector: LLM_ETOOLONG, LLM_EDATA (no tokens), LLM_ENOTFINITE */
};

/*
 * llm_embedder_run - y: f32 [n_text][n_embd], in the order of the texts; of one that has no vector, zeros.
 * Memory: some bytes a token of all texts.  Errors that concern all: LLM_ENOMEM, those of a start.
 */
int llm_embedder_run(float *y, struct llm_embedder *e, struct llm_embed_text *text, int n_text,
    struct llm_err *err);

#endif
