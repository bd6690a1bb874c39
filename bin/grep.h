/*
 * SPDX-License-Identifier: ISC
 *
 * What llm-grep is told, and what it prints of records that were judged.  The program's parts are
 * bin/grep_*.c.
 */
#ifndef LLM_GREP_H
#define LLM_GREP_H

#include "bin/tool_queue.h"

/* What the program's own options say. */
struct grep_options {
	bool invert, count, number, quiet, list, calibrate;
	bool grouped; /* -A, -B or -C was given, of 0 too: a line stands between groups */
	int before, after, max_count; /* max_count: 0: no limit */
	double margin;                /* < 0: not given */
	const char *template;
	int max_prompts;
};

struct grep_output; /* opaque */

/* r is read for file names; paths as tool_records_open has them; options must outlive it. */
struct grep_output *grep_output_new(
    const struct grep_options *options, struct tool_records *r, char *const *paths);
void grep_output_free(struct grep_output *o);

/* The next record, which is a match or not; or is bad, and then neither. */
void grep_output_record(struct grep_output *o, const struct tool_record *rec, bool match);
/* What is printed at the end of the last file. */
void grep_output_end(struct grep_output *o);

/* Whether anything was selected. */
bool grep_output_any(const struct grep_output *o);
/* Whether more records could change what is printed; a file of which none could is not read on. */
bool grep_output_go_on(struct grep_output *o);

/*
 * grep_chat - all records of r to o: those about which the chat model that -m means says yes.
 */
void grep_chat(const char *question, struct tool_records *r, struct grep_output *o,
    const struct grep_options *options);

/*
 * grep_near - those whose cosine with the phrase, by the encoder that -m means, is at least the margin.
 */
void grep_near(const char *phrase, struct tool_records *r, struct grep_output *o,
    const struct grep_options *options);

#endif
