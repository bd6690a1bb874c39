/*
 * SPDX-License-Identifier: ISC
 *
 * The sampling options, the same in every program that generates.
 */
#ifndef LLM_TOOL_SAMPLING_H
#define LLM_TOOL_SAMPLING_H

#include "bin/tool.h"
#include "generate/sampler.h"

/* Defaults are greedy; a program with others sets them before tool_start. */
struct tool_sampling {
	double temp, top_p, min_p, repeat_penalty;
	int top_k;
	int draft;         /* tokens guessed ahead of a pass; changes no byte */
	const char **stop; /* --stop, n_stop of them */
	int n_stop;
};
extern struct tool_sampling tool_sampling;

/* For tool.more: --temp --top-k --top-p --min-p --repeat-penalty --logit-bias --seed --stop
 * --draft. */
extern const struct tool_option tool_sampling_options[];

/*
 * tool_sampling_get - the options as the sampler takes them.  --seed random draws a seed here and reports
 * it on stderr.  The biases live to the end of the program.
 */
void tool_sampling_get(struct llm_sampling *out);

#endif
