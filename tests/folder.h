/*
 * SPDX-License-Identifier: ISC
 *
 * A folder of a unit test's own, and what its tests of files have in common.
 */
#ifndef LLM_TESTS_FOLDER_H
#define LLM_TESTS_FOLDER_H

#include "libcore/err.h"

#include <stdbool.h>

/* Makes it; ends the program where it cannot.  Its path is test_folder from then on. */
void test_folder_new(void);
/* Removes it and all in it; false where it cannot. */
bool test_folder_remove(void);
extern char test_folder[];

/* The path of a name in it, good until the fourth call after. */
char *test_folder_path(const char *name);

/* A whole file of n bytes; ends the program where it cannot be written. */
void test_folder_write(const char *path, const void *bytes, size_t n);

/* Whether a refusal is one short line, with a code. */
bool test_message_good(int status, const struct llm_err *err);

#endif
