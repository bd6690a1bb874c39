/*
 * SPDX-License-Identifier: ISC
 *
 * What llm-score prints from: the items of windows of a text, by the daemon where it serves, else computed here.
 */
#ifndef LLM_TOOL_SCORE_H
#define LLM_TOOL_SCORE_H

#include "bin/tool_run.h"
#include "generate/score.h"

struct tool_daemon;

/* All fields private. */
struct score {
	struct tool_engine *engine;
	struct tool_daemon *daemon;
	struct llm_score *score; /* NULL: nothing was computed here so far */
	struct llm_score_params params;
};

/* e must outlive *s.  Dies as tool_daemon_open does. */
void score_open(struct score *s, struct tool_engine *e, const struct llm_score_params *params);
void score_close(struct score *s);

/* score_window - llm_score_window.  LLM_EUNAVAILABLE, too: the daemon went in the midst of it. */
int score_window(
    struct score *s, const llm_token *ids, size_t n, size_t from, struct llm_err *err);

#endif
