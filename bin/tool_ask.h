/*
 * SPDX-License-Identifier: ISC
 *
 * One question about each of many texts, put to a chat model through its template, and how probable each of
 * a closed set of answers is.  All that the prompts have in common is computed once.
 */
#ifndef LLM_TOOL_ASK_H
#define LLM_TOOL_ASK_H

#include "bin/tool_batch.h"
#include "bin/tool_queue.h"
#include "tokenize/template.h"

struct tool_ask_params {
	const struct llm_message
	    *message; /* before the text's: system, examples and their answers */
	size_t n_message;
	const char *before, *after; /* the text, in the user's last message */
	const char *const *label;   /* the answers */
	int n_label;
	const char *template; /* NULL: the file's own */
	int max_prompts;      /* at once; 0: as many as serve */
	/* Divide each label's probability by what it has for an empty text, and those by their sum: what
	 * the model says whatever it is asked falls away.  Zhao et al. 2021 (arXiv:2102.09690). */
	bool calibrate;
};

struct tool_ask; /* opaque */

/*
 * tool_ask_open - e must outlive it; params and what it points to, too.  Beside each label as it is given,
 * the same with another first letter (upper or lower case), in capitals and after a space are counted
 * where that costs nothing: where the vocabulary has one token for it, mostly.
 * Dies: 64 where two labels are the same tokens, 65 where the question alone is too long.
 */
struct tool_ask *tool_ask_open(struct tool_engine *e, const struct tool_ask_params *params);
void tool_ask_close(struct tool_ask *a);

/*
 * For struct tool_queue_maker: numbers of a text are the labels' probabilities, which add up to 1, and
 * after them the logarithm of how probable all together were.
 */
int tool_ask_add(struct tool_ask *a, const struct tool_record *rec, struct llm_err *err);
void tool_ask_run(struct tool_ask *a);
void tool_ask_value(struct tool_ask *a, int i, double *value);

#endif
