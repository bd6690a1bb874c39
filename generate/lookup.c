/*
 * SPDX-License-Identifier: ISC
 *
 * Guesses from the text itself; see lookup.h.
 */
#include "generate/lookup.h"

#include <string.h>

enum {
	LONGEST = 4,       /* tokens that must agree: as many as do, from four */
	SHORTEST = 2,      /* to two; one alone is right too seldom */
	FIRST_LENGTH = 3,  /* of the first guess: four tokens cost little more than one */
	LONGEST_WAIT = 64, /* tokens: a vain guess then costs a hundredth at most */
};

/* Tokens that agree before ids[at] and before ids[n], LONGEST at most. */
static int
agreeing(const llm_token *ids, size_t at, size_t n)
{
	int k = 0;
	while (
	    k < LONGEST && (size_t)k < at && ids[at - 1 - (size_t)k] == ids[n - 1 - (size_t)k])
		k++;
	return k;
}

int
llm_lookup_guess(
    struct llm_lookup *l, llm_token *guess, int max, const llm_token *ids, size_t n)
{
	if (l->wait > 0) {
		l->wait--;
		return 0;
	}
	if (l->length == 0)
		l->length = FIRST_LENGTH;
	int want = l->length < max ? l->length : max, best = SHORTEST - 1;
	size_t from = 0;
	for (size_t at = n; want > 0 && at-- > SHORTEST && best < LONGEST;) {
		int k = agreeing(ids, at, n);
		if (k > best) {
			best = k;
			from = at;
		}
	}
	if (best < SHORTEST || want <= 0)
		return 0;
	int found = n - from < (size_t)want ? (int)(n - from) : want;
	memcpy(guess, ids + from, (size_t)found * sizeof *guess);
	return found;
}

void
llm_lookup_result(struct llm_lookup *l, int n_guess, int n_right)
{
	if (n_right == n_guess) {
		l->length = l->length * 2 < LLM_LOOKUP_MAX ? l->length * 2 : LLM_LOOKUP_MAX;
		l->failed = 0;
		return;
	}
	l->length = n_right + 1;
	if (n_right > 0) {
		l->failed = 0;
		return;
	}
	l->wait = l->failed < 6 ? 1 << l->failed : LONGEST_WAIT;
	l->failed++;
}
