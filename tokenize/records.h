/*
 * SPDX-License-Identifier: ISC
 *
 * Text into records of at most so many tokens, each counted as it is tokenised alone: whole
 * paragraphs where they fit, whole lines, and pieces of a line that is too long, cut between
 * characters.  Nothing is added or lost.
 */
#ifndef LLM_RECORDS_H
#define LLM_RECORDS_H

#include "tokenize/tokenizer.h"

enum llm_records_at { LLM_RECORDS_LINE, LLM_RECORDS_PARAGRAPH };

struct llm_records {
	const struct llm_tokenizer *tokenizer; /* public */
	int n_tok;                             /* public: most tokens of a record, >= 1 */
	enum llm_records_at at;                /* public: cut here where it can be done */
	struct llm_ids ids;                    /* private; llm_records_free */
};

/*
 * llm_records_next - the length of the first record of text[0..n) in *len, or 0 where it may depend
 * on what follows and not all of the input is here (end).  Bytes that have no token count as U+FFFD
 * (LLM_TOKENIZE_REPLACE).  A record takes as many lines or paragraphs as fit; blank lines belong to
 * the paragraph before them.  Time: linear in the record.
 * LLM_EDATA: one character alone takes more tokens, both numbers in the message; LLM_ENOMEM.
 */
int llm_records_next(size_t *len, struct llm_records *r, const char *text, size_t n, bool end,
    struct llm_err *err);

void llm_records_free(struct llm_records *r);

#endif
