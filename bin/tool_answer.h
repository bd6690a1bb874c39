/*
 * SPDX-License-Identifier: ISC
 *
 * Answers to the prompts of one sequence: the daemon's where it serves, else computed here, and with the
 * prefix store.  Who asks sees no difference but the time.
 */
#ifndef LLM_TOOL_ANSWER_H
#define LLM_TOOL_ANSWER_H

#include "bin/tool_prefix.h"
#include "bin/tool_run.h"
#include "generate/generate.h"

struct tool_daemon;

/* All fields private. */
struct tool_answer {
	struct tool_engine *engine;
	struct tool_daemon *daemon;
	struct llm_generate *generate; /* NULL: nothing was computed here so far */
	struct tool_prefix prefix;
};

/* e must outlive *a.  Dies as tool_daemon_open does. */
void tool_answer_open(struct tool_answer *a, struct tool_engine *e);
void tool_answer_close(struct tool_answer *a);

/* Positions that prompt and answer may fill together. */
int tool_answer_n_ctx(const struct tool_answer *a);

/*
 * tool_answer_run - llm_generate_run.  n_keep: of the prompt's first tokens the daemon may keep what it
 * computes for others; here tool_answer_keep does that.  LLM_EUNAVAILABLE, too: the daemon went in
 * mid-answer, or refused where it was demanded.
 */
int tool_answer_run(struct llm_generate_result *out, struct tool_answer *a,
    const struct llm_generate_request *r, size_t n_keep, struct llm_err *err);

/*
 * tool_answer_keep - close standard output; then keep the first n tokens of what was computed here, which are
 * ids; with ids NULL all that was computed here, answers too.
 */
void tool_answer_keep(struct tool_answer *a, const llm_token *ids, size_t n);

#endif
