/*
 * SPDX-License-Identifier: ISC
 *
 * The prefix store as programs use it: what was computed of a prompt's beginning is taken from it before, and
 * kept after the last byte is out.  It never makes a run fail: in doubt all is computed.
 */
#ifndef LLM_TOOL_PREFIX_H
#define LLM_TOOL_PREFIX_H

#include "bin/tool_run.h"
#include "generate/generate.h"

struct llm_kvstore;

/* Zero-initialised it is none. */
struct tool_prefix {
	const struct tool_engine *engine;
	struct llm_kvstore *store; /* private; NULL: nothing is taken or kept */
};

/* For tool.more: --no-cache. */
extern const struct tool_option tool_prefix_options[];
/* Whether that was given. */
bool tool_prefix_off(void);

/*
 * tool_prefix_load - put what is kept of a prompt into the sequence of g, which is empty; of the last token never,
 * whose logits are wanted.  Returns positions taken.
 */
int tool_prefix_load(struct tool_prefix *p, const struct tool_engine *e, struct llm_generate *g,
    const llm_token *ids, size_t n);

/*
 * tool_prefix_keep - close standard output; then keep the first n tokens of what g has computed, which are ids.
 */
void tool_prefix_keep(
    struct tool_prefix *p, struct llm_generate *g, const llm_token *ids, size_t n);
void tool_prefix_close(struct tool_prefix *p);

/* Bytes as people write them: digits, and K, M, G or T, by 1024; false where they are not. */
bool tool_prefix_bytes(uint64_t *out, const char *s);
/* $LLM_KV_BUDGET, or 4 GiB; dies (64) where it is no number of bytes. */
uint64_t tool_prefix_budget(void);
/* The store's directory, or NULL where neither XDG_CACHE_HOME nor HOME is set; the caller's to free. */
char *tool_prefix_dir(void);

#endif
