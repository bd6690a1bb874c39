/*
 * SPDX-License-Identifier: ISC
 *
 * generate/batch.h by the daemon where it serves, else here: prompts that begin alike, weighed against one set of
 * labels.  The functions are those of the same names there.
 */
#ifndef LLM_TOOL_BATCH_H
#define LLM_TOOL_BATCH_H

#include "bin/tool_run.h"
#include "generate/batch.h"

struct tool_batch; /* opaque */

/*
 * tool_batch_open - e and params->labels must outlive it; params->vector is not read.  LLM_ETOOLONG where the
 * prefix alone fills the context.  Dies as tool_daemon_open does.
 */
int tool_batch_open(struct tool_batch **out, struct tool_engine *e,
    const struct llm_batch_params *params, struct llm_err *err);
void tool_batch_close(struct tool_batch *b);

int tool_batch_max_tokens(const struct tool_batch *b);
/* Rows that a pass has, at most. */
int tool_batch_max_rows(const struct tool_batch *b);
int tool_batch_add(
    struct tool_batch *b, const llm_token *ids, size_t n, int max_rows, struct llm_err *err);
int tool_batch_n(const struct tool_batch *b);
int tool_batch_run(struct tool_batch *b, struct llm_err *err);
void tool_batch_nats(double *nats, const struct tool_batch *b, int i);
void tool_batch_clear(struct tool_batch *b);

#endif
