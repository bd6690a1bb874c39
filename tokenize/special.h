/*
 * SPDX-License-Identifier: ISC
 *
 * Where the names of control tokens, or of tokens that a user of the vocabulary added, stand in text.
 */
#ifndef LLM_SPECIAL_H
#define LLM_SPECIAL_H

#include "tokenize/vocab.h"

/* A set of names; read-only once made. */
struct llm_special {
	const struct llm_vocab *vocab;
	bool control;    /* control tokens too, not only added ones */
	bool first[256]; /* bytes that names begin with */
	bool spaced;     /* a name has white space in it */
	uint32_t *len;   /* their distinct lengths, longest first */
	size_t n_len;    /* 0: no names */
};

/* The added tokens of v, and with control its control tokens.  LLM_ENOMEM. */
int llm_special_new(
    struct llm_special *s, const struct llm_vocab *v, bool control, struct llm_err *err);
void llm_special_free(struct llm_special *s);

/*
 * llm_special_find - the first name in text[from..n), the longest where several start there: its
 * place, and its token in *id; n where there is none.
 */
size_t llm_special_find(
    llm_token *id, const struct llm_special *s, const char *text, size_t n, size_t from);

#endif
