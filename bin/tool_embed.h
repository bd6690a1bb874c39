/*
 * SPDX-License-Identifier: ISC
 *
 * The vectors of texts: the daemon's where it serves, else computed here.
 */
#ifndef LLM_TOOL_EMBED_H
#define LLM_TOOL_EMBED_H

#include "embed/embedder.h"
#include "libcore/hash.h"

struct tool_embed; /* opaque */

struct tool_embed_params {
	int n_thread; /* 0: as many as the process may use */
	bool precise, plain, cut, verbose;
	enum llm_pooling pooling;
};

/*
 * tool_embed_open - the model at path, which is watched; its kernels as LLM_KERNELS says.  Dies, as
 * tool_daemon_open does too.
 */
struct tool_embed *tool_embed_open(const char *path, const struct tool_embed_params *params);
void tool_embed_close(struct tool_embed *e);

/* What is known of the model, to be read only; the kernels; its identity, which the first time takes a while. */
const struct llm_embedder *tool_embed_embedder(const struct tool_embed *e);
const struct llm_kernels *tool_embed_kernels(const struct tool_embed *e);
struct llm_hash tool_embed_id(const struct tool_embed *e);

/* tool_embed_run - llm_embedder_run; dies of what concerns all texts. */
void tool_embed_run(float *y, struct tool_embed *e, struct llm_embed_text *text, int n_text);

#endif
