/*
 * SPDX-License-Identifier: ISC
 *
 * Log lines to templates.  In a line, what varies by its form (times, numbers, addresses, paths,
 * ids) is masked; what heads it (time, host, program, level) does not count; what then is left is
 * its shape.  Shapes that differ in one word meet in a common parent, a level up a tree of fixed
 * depth: a parent with many children, or that was itself seen, is a template, and its children are
 * one.  llm-fold calls this.
 */
#ifndef LLM_FOLD_H
#define LLM_FOLD_H

#include "libcore/err.h"

#include <stddef.h>
#include <stdint.h>

struct llm_fold;

/* Bounds on what is kept; a 0 means the default. */
struct llm_fold_limits {
	uint32_t n_shape; /* 32768 shapes are kept one by one; later ones are folded coarsely */
	size_t n_text_bytes; /* 48 MiB of their tokens and examples */
};

enum {
	LLM_FOLD_LINE = 16384,  /* bytes of a line that are looked at; the rest is one mask */
	LLM_FOLD_EXAMPLE = 4096 /* bytes of an example that are kept */
};

/* A template, once the counts are settled; the strings are valid until the next call. */
struct llm_fold_template {
	uint32_t n; /* templates are numbered from 1 as they were first seen */
	uint64_t count;
	const char
	    *text; /* n_text bytes: words, <num> <time> <ip> ..., <*> for what is unlike */
	size_t n_text;
	const char *example; /* the first line; a longer one than LLM_FOLD_EXAMPLE is cut */
	size_t n_example;
};

/*
 * llm_fold_new - an empty fold; NULL when there is no memory.  limits may be NULL.  Memory is
 * bounded by the limits, about 40 MiB beyond n_text_bytes at the defaults.  One thread at a time.
 */
struct llm_fold *llm_fold_new(const struct llm_fold_limits *limits);
void llm_fold_free(struct llm_fold *f);

/*
 * llm_fold_add - take a line, without its end.  Any bytes are taken.  *shape is a key for
 * llm_fold_number.  Returns 1 when no line before was of this line's template, 0 when one was, or
 * LLM_ENOMEM.
 */
int llm_fold_add(
    struct llm_fold *f, uint32_t *shape, const char *line, size_t n, struct llm_err *err);

/*
 * llm_fold_settle - number the templates; returns how many there are.  Lines may be added later,
 * and the fold settled again.  LLM_ENOMEM is possible.
 */
int llm_fold_settle(struct llm_fold *f, struct llm_err *err);

/* The number of the template of a line's shape, and its count, as last settled. */
uint32_t llm_fold_number(const struct llm_fold *f, uint32_t shape);
uint64_t llm_fold_count(const struct llm_fold *f, uint32_t shape);

/*
 * llm_fold_nth - the template that comes at place i, 0 <= i < llm_fold_settle(): the most frequent
 * first, then the first seen.  LLM_ENOMEM is possible.
 */
int llm_fold_nth(struct llm_fold_template *out, struct llm_fold *f, int i, struct llm_err *err);

#endif
