/*
 * SPDX-License-Identifier: ISC
 *
 * What llm-classify is told: the labels, what they mean, examples.  The program's parts are
 * bin/classify_*.c.
 */
#ifndef LLM_CLASSIFY_H
#define LLM_CLASSIFY_H

#include "bin/tool_queue.h"

enum {
	CLASSIFY_MAX_LABELS = 10000,
	CLASSIFY_NEAREST = 5, /* examples that vote */
};

/* A text of which the label is known. */
struct classify_example {
	int label;
	const char *text;
};

/* All fields read-only once read; strings point into memory that classify_free frees. */
struct classify {
	int n_label;
	const char **label, **description; /* description: NULL where there is none */
	int n_example;
	struct classify_example *example;
	char *bytes[3]; /* of the strings */
};

/*
 * classify_read - the labels of a list (a,b,c) or a file (label TAB description a line), one of which is
 * not NULL, and the examples of a file (label TAB text a line), which may be NULL.  Dies: 64 where there
 * are fewer than two labels, or one twice; 65 where a line is not as it should be.
 */
void classify_read(
    struct classify *c, const char *list, const char *label_file, const char *example_file);
void classify_free(struct classify *c);

/* How the model is asked. */
struct classify_run_params {
	const char *prompt;   /* of a chat model, the instruction; NULL: ours */
	const char *template; /* NULL: the file's own */
	int max_prompts;      /* 0: as many as serve */
	bool calibrate;       /* of a chat model: see tool_ask.h */
	void (*emit)(void *context, const struct tool_record *rec, const double *value);
};

/*
 * classify_chat - all records of r through the chat model that -m means.  emit gets as value the labels'
 * probabilities, and after them the logarithm of how probable all of them together were.
 */
void classify_chat(
    const struct classify *c, struct tool_records *r, const struct classify_run_params *params);

/*
 * classify_near - the same through the encoder that -m means: p of a label is its share of exp(20 cos) of
 * the record with the CLASSIFY_NEAREST nearest examples; the description, or else the name, of a label
 * without examples is one.  The last number is the greatest cosine.
 */
void classify_near(
    const struct classify *c, struct tool_records *r, const struct classify_run_params *params);

#endif
