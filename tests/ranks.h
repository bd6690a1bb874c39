/*
 * SPDX-License-Identifier: ISC
 *
 * The published Llama 3 rank file (`base64 rank` a line) as the keys of a GGUF file, so that tests
 * have the true vocabulary without the weights.
 */
#ifndef LLM_TESTS_RANKS_H
#define LLM_TESTS_RANKS_H

#include "tests/mkmodel_file.h"

/*
 * ranks_read - a new file with the vocabulary of the ranks at path, the 256 control tokens after them,
 * and all merges: every pair of tokens that makes a token, in the order of what they make.  NULL, with a
 * line on stderr, where the file is missing or no rank file.
 */
struct mkfile *ranks_read(const char *path);

#endif
