/*
 * SPDX-License-Identifier: ISC
 *
 * JSON read as a tree, strictly (RFC 8259): no name twice in an object, no text after the value, no half
 * of a character, no U+0000 in a string, at most 2048 levels.  The one place that knows jansson.
 * Members stand in the order of the text.
 */
#ifndef LLM_JSON_H
#define LLM_JSON_H

#include "libcore/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A value; all but the root belong to the root, and live as long. */
struct llm_json; /* opaque */

/*
 * llm_json_parse - the value that text[0..n) is.  The root is the caller's until llm_json_free.
 * LLM_EDATA: what is wrong, and in which line; LLM_ENOMEM is told so too.
 */
int llm_json_parse(struct llm_json **out, const char *text, size_t n, struct llm_err *err);
void llm_json_free(struct llm_json *j);

/* NULL is a value of no type: a member that is not there may be asked what it holds. */
bool llm_json_is_object(const struct llm_json *j);
bool llm_json_is_array(const struct llm_json *j);
/* Set *out and return true where the value is such; a string is n bytes and a NUL. */
bool llm_json_str(const char **s, size_t *n, const struct llm_json *j);
bool llm_json_int(int64_t *out, const struct llm_json *j);
bool llm_json_number(double *out, const struct llm_json *j); /* an integer too */
bool llm_json_bool(bool *out, const struct llm_json *j);

/* Members of an object, items of an array; 0 of anything else. */
size_t llm_json_n(const struct llm_json *j);
/* NULL where there is none. */
const struct llm_json *llm_json_member(const struct llm_json *object, const char *name);
const struct llm_json *llm_json_at(const struct llm_json *array, size_t i);

/*
 * llm_json_next - walk an object: *cursor starts as NULL; false at the end.  name lives as the value.
 */
bool llm_json_next(const char **name, const struct llm_json **value,
    const struct llm_json *object, void **cursor);

#endif
