/*
 * SPDX-License-Identifier: ISC
 *
 * The text of a Jinja chat template, made fit for searching.  Nothing is run: a template comes from a
 * model file and is hostile, so it is only recognised by what stands in it.
 */
#ifndef LLM_JINJA_H
#define LLM_JINJA_H

#include "libcore/err.h"

#include <stdbool.h>
#include <stddef.h>

/* What encloses a string literal in a squeezed text; neither byte stands in it otherwise. */
#define LLM_JINJA_OPEN "\001"
#define LLM_JINJA_CLOSE "\002"

/*
 * llm_jinja_squeeze - rewrite text[0..n) so that differences of spelling vanish: inside {{ }} and {% %}
 * no white space and no whitespace-control signs; string literals without their escapes, between
 * LLM_JINJA_OPEN and LLM_JINJA_CLOSE whichever quote they had; literals joined by + or ~ as one;
 * no comments.  Text outside of tags stays.
 * *out is the caller's to free, NUL-terminated (a NUL in text is dropped).  LLM_ENOMEM; LLM_EDATA: more
 * than 1 MiB.
 */
int llm_jinja_squeeze(
    char **out, size_t *n_out, const char *text, size_t n, struct llm_err *err);

/*
 * llm_jinja_find - the first place of needle in hay[0..n_hay) at or after from, or (size_t)-1.
 */
size_t llm_jinja_find(const char *hay, size_t n_hay, size_t from, const char *needle);

#endif
