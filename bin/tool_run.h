/*
 * SPDX-License-Identifier: ISC
 *
 * Options that every program with a model has, and the model, tokenizer and pass that they ask for.
 */
#ifndef LLM_TOOL_RUN_H
#define LLM_TOOL_RUN_H

#include "bin/tool.h"
#include "generate/fit.h"
#include "libcore/forward.h"
#include "tokenize/tokenizer.h"

/* What the options set; a program may read it after tool_start. */
struct tool_run {
	const char *model; /* -m */
	int n_thread;      /* -t; 0: as many as the process may use */
	bool precise;      /* --precise */
	bool verbose;      /* -v */
	const char *kv;    /* --kv: a name of llm_kv_named; NULL: f16 */
	enum llm_fit fit;  /* --fit */
};
extern struct tool_run tool_run;

/* For tool.more: -m -t -v --precise --kv --fit. */
extern const struct tool_option tool_run_options[];

/* All fields read-only. */
struct tool_engine {
	struct llm_model *model;
	struct llm_tokenizer *tokenizer;
	const struct llm_kernels *kernels; /* $LLM_KERNELS, or the best */
	struct llm_pass *pass;             /* NULL until tool_engine_pass */
	const char *name;                  /* of the model, for messages */
};

/* Opens all but the pass as the options say, watches the mapping, or dies. */
void tool_engine_open(struct tool_engine *e);
/* The pass, which is made when it is first asked for: its threads and memory are for who computes. */
struct llm_pass *tool_engine_pass(struct tool_engine *e);
void tool_engine_close(struct tool_engine *e);

/*
 * tool_fit - where ids are more than a context of n_ctx leaves room for and --fit was given, keeps the part
 * that it names (and the first n_head ids, such as a begin token), says so on stderr.
 */
void tool_fit(struct llm_ids *ids, size_t n_head, int n_ctx, int n_max);

#endif
