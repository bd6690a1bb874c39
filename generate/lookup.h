/*
 * SPDX-License-Identifier: ISC
 *
 * Prompt lookup: what followed the last few tokens when they stood earlier in the text is a guess at
 * what follows now.  Rewriting and summarising copy from their input, so it is often right; a pass
 * checks several guesses for little more than the price of one token.  Saxena 2023.
 *
 * How many tokens are guessed is what pays: with a probability p that the next one is right, n guesses
 * are worth 1 + p + .. + p^n tokens and cost a pass of 1 + n rows.  p is what was seen of late for
 * guesses of that kind, the cost what passes took.
 */
#ifndef LLM_LOOKUP_H
#define LLM_LOOKUP_H

#include "libcore/token.h"

#include <stddef.h>

enum {
	LLM_LOOKUP_MAX = 15, /* guesses; with the token before them sixteen rows */
	LLM_LOOKUP_KINDS = 5,
};

/* How guessing went so far.  Zero-initialised is ready; fields are private but for beside. */
struct llm_lookup {
	size_t
	    source; /* where in the text the answer was last copied from: what comes next there */
	int astray;  /* tokens since that was so; 0: it is so */
	int kind;    /* of the guess under way */
	size_t from; /* where it was taken */
	struct llm_lookup_seen {
		float right, tried;
	} seen[LLM_LOOKUP_KINDS]; /* tokens, older ones counting less */
	int failed;               /* guesses in a row that were tried though they did not pay */
	int wait;                 /* passes until the next such trial */
	int beside; /* the caller's: rows that the pass has besides; they share its price */
	float s[2 + LLM_LOOKUP_MAX]; /* seconds of a pass, by rows; 0: never seen */
};

/*
 * llm_lookup_guess - up to max (<= LLM_LOOKUP_MAX) tokens that may follow ids[0..n): those after the
 * longest earlier run that agrees with their end, or after the place that was copied from a moment
 * ago.  Returns how many; 0 where nothing repeats or guessing does not pay.  Call it once a pass.
 */
int llm_lookup_guess(
    struct llm_lookup *l, llm_token *guess, int max, const llm_token *ids, size_t n);

/* llm_lookup_result - n_right of n_guess (> 0) tokens were right. */
void llm_lookup_result(struct llm_lookup *l, int n_guess, int n_right);

/*
 * llm_lookup_cost - a pass of n_row rows, whosever, took so many seconds.  Optional: until told otherwise, costs
 * are taken to be those of a processor without dot-product instructions.
 */
void llm_lookup_cost(struct llm_lookup *l, int n_row, double seconds);

#endif
