/*
 * SPDX-License-Identifier: ISC
 *
 * Prompt lookup: what followed the last few tokens when they stood earlier in the text is a guess at
 * what follows now.  Rewriting and summarising copy from their input, so it is often right; a pass
 * checks several guesses for little more than the price of one token.  Saxena 2023.
 */
#ifndef LLM_LOOKUP_H
#define LLM_LOOKUP_H

#include "libcore/token.h"

#include <stddef.h>

enum { LLM_LOOKUP_MAX = 7 }; /* with the token before them eight: what few-token kernels take */

/* How far to guess, by how guessing went so far.  Zero-initialised is ready; fields are private. */
struct llm_lookup {
	int length; /* of the next guess, at most */
	int failed; /* guesses in a row of which nothing was right */
	int wait;   /* tokens to go before the next guess */
};

/*
 * llm_lookup_guess - up to max (<= LLM_LOOKUP_MAX) tokens that may follow ids[0..n): those after the
 * latest earlier place of the longest of its last four to two tokens.  Returns how many; 0 where
 * nothing repeats, or where guessing has lately been in vain.  Call it once a pass.
 */
int llm_lookup_guess(
    struct llm_lookup *l, llm_token *guess, int max, const llm_token *ids, size_t n);

/* llm_lookup_result - n_right of n_guess tokens were right. */
void llm_lookup_result(struct llm_lookup *l, int n_guess, int n_right);

#endif
