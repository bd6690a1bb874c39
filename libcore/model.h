/*
 * SPDX-License-Identifier: ISC
 *
 * A model: its mapped file, its hyper-parameters and its weights, located and checked.  Read-only
 * after opening, so one model serves any number of passes and threads.
 */
#ifndef LLM_MODEL_H
#define LLM_MODEL_H

#include "libcore/config.h"
#include "libcore/gguf.h"
#include "libcore/weights.h"

/* All fields read-only. */
struct llm_model {
	struct llm_gguf *gguf;
	struct llm_config config;
	struct llm_weights weights;
};

/*
 * llm_model_open - map path and check that the pass can compute all of it; nothing is read but the
 * header.  On success *out is the caller's until llm_model_close.
 * Errors: those of llm_gguf_open and llm_config_read; LLM_EDATA: a tensor that is missing or of a
 * wrong shape; LLM_EUNSUPPORTED: a tensor that the pass would not use.
 */
int llm_model_open(struct llm_model **out, const char *path, struct llm_err *err);
void llm_model_close(struct llm_model *m);

#endif
