/*
 * SPDX-License-Identifier: ISC
 *
 * Pre-token rules: where byte-level BPE may never merge across.  Written out by hand instead of as
 * regular expressions: linear time whatever the text, one look ahead at most.
 */
#ifndef LLM_SPLIT_H
#define LLM_SPLIT_H

#include "libcore/gguf.h"

#include <stdbool.h>
#include <stddef.h>

enum llm_split_rule {
	/*
	 * (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
	 *  ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
	 */
	LLM_SPLIT_LLAMA3,
	/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
	LLM_SPLIT_GPT2,
	/* Each character of \p{N} by itself, and LLM_SPLIT_GPT2 in what lies between. */
	LLM_SPLIT_DIGITS
};

/* The rule that a file's tokenizer.ggml.pre names; false where the name is not known. */
bool llm_split_named(enum llm_split_rule *out, struct llm_gguf_str name);

/*
 * llm_split_next - the end of the pre-token that starts at text[from], from < n.  Some pre-token
 * starts there: at 0, or at an earlier call's result.
 */
size_t llm_split_next(enum llm_split_rule rule, const char *text, size_t n, size_t from);

#endif
