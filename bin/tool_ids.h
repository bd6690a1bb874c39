/*
 * SPDX-License-Identifier: ISC
 *
 * Input as token ids: read as numbers, or made of text.
 */
#ifndef LLM_TOOL_IDS_H
#define LLM_TOOL_IDS_H

#include "tokenize/tokenizer.h"

/*
 * tool_read_ids - whole numbers separated by white space, from a file or standard input (NULL, "-"), each
 * an id of a vocabulary of n_vocab.  Dies with 65, naming the line, where they are not.
 */
void tool_read_ids(struct llm_ids *ids, const char *path, int n_vocab);

/*
 * tool_text_ids - the ids of a file or standard input, after the begin token where the model wants one.
 * Returns how many ids stand before those of the text.
 */
size_t tool_text_ids(struct llm_ids *ids, const struct llm_tokenizer *t, const char *path);

#endif
