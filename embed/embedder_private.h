/*
 * SPDX-License-Identifier: ISC
 *
 * What an embedder holds, for the files that are one: texts (embedder.c) and passes (embedder_pass.c).
 */
#ifndef LLM_EMBEDDER_PRIVATE_H
#define LLM_EMBEDDER_PRIVATE_H

#include "embed/embedder.h"
#include "libcore/forward.h"
#include "tokenize/tokenizer.h"
#include "tokenize/wordpiece.h"

struct llm_embedder {
	struct llm_embedder_params params;
	enum llm_pooling pooling;
	int n_embd, n_ctx;
	const struct llm_gguf *gguf;
	/* An encoder: these; */
	struct llm_encoder *encoder;
	struct llm_encoding *encoding;
	struct llm_wordpiece *wordpiece;
	/* or a Llama file: those. */
	struct llm_model *model;
	struct llm_pass *pass;
	struct llm_tokenizer *tokenizer;
	float *hidden; /* [max rows][n_embd] */
};

/* A text that has its tokens; y: its vector, zeros, to be. */
struct llm_embed_item {
	struct llm_embed_text *text;
	float *y;
	const llm_token *id;
	int n;
};

/*
 * llm_embedder_pass - the first of n items (n > 0) that one pass takes together, computed, pooled and
 * normalised: how many they were.  An item that fails by itself has its status set.  LLM_ENOMEM.
 */
int llm_embedder_pass(
    struct llm_embedder *e, struct llm_embed_item *item, int n, struct llm_err *err);

#endif
