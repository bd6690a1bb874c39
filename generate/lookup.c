/*
 * SPDX-License-Identifier: ISC
 *
 * Guesses from the text itself; see lookup.h.
 */
#include "generate/lookup.h"

#include <stdbool.h>
#include <string.h>

enum {
	LONGEST = 16,    /* tokens that are looked at whether they agree */
	SURE = 8,        /* so many at the place copied from, and no other is looked for */
	SHORTEST = 2,    /* a run of one token is right too seldom, */
	NEAR_BACK = 8,   /* but for one near the place copied from: */
	NEAR_AHEAD = 24, /* a word was put in there, left out or changed */
	ASTRAY = 8,      /* tokens until that place is given up */
	LONGEST_WAIT = 128,
};

/* Kinds of guesses, by what they rest on. */
enum { TWO, THREE, SOME, MANY, NEAR };

/* What is believed of a kind before it was seen: p, as if of so many tokens, so that a few results
 * outweigh it.  Short runs repeat by chance, long ones are copied. */
static const struct {
	float p, weight;
} belief[LLM_LOOKUP_KINDS] = {[TWO] = {0.25f, 2},
    [THREE] = {0.4f, 2},
    [SOME] = {0.6f, 2},
    [MANY] = {0.9f, 2},
    [NEAR] = {0.5f, 2}};

/* Of a pass, against one row: what 4-bit weights cost on AVX2 up to eight rows, then panels. */
static const float costs[2 + LLM_LOOKUP_MAX] = {0, 1, 1.06f, 1.15f, 1.35f, 1.6f, 1.9f, 2.2f,
    2.5f, 3, 3.1f, 3.2f, 3.3f, 3.4f, 3.5f, 3.6f, 3.7f};

/* A guess is tried where it promises as much more than a token for the price of one. */
static const float GAIN = 1.03f;

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

/* Where the longest run that agrees is followed, the latest of several; *k: how long it is. */
static size_t
search(int *k, const llm_token *ids, size_t n)
{
	size_t from = 0;
	*k = SHORTEST - 1;
	for (size_t at = n - 1; at >= SHORTEST && *k < LONGEST; at--) {
		if (ids[at - 1] != ids[n - 1] || ids[at - 2] != ids[n - 2])
			continue;
		int found = agreeing(ids, at, n);
		if (found > *k) {
			*k = found;
			from = at;
		}
	}
	return from;
}

/* The place nearest to where the answer left what it copied, after the same token; 0: none. */
static size_t
near(const struct llm_lookup *l, const llm_token *ids, size_t n)
{
	for (size_t d = 0; d < NEAR_AHEAD; d++) {
		size_t at = l->source + d;
		if (at > 0 && at < n && ids[at - 1] == ids[n - 1])
			return at;
		if (d > 0 && d < NEAR_BACK && d < l->source &&
		    ids[l->source - d - 1] == ids[n - 1])
			return l->source - d;
	}
	/* A token in another's place: it goes on after that. */
	return l->astray == 1 && l->source + 1 < n ? l->source + 1 : 0;
}

/* Where a guess is best taken, and of what kind; false: nowhere. */
static bool
place(struct llm_lookup *l, const llm_token *ids, size_t n)
{
	int k = 0;
	bool following = l->source > 0 && l->source < n;
	l->from = l->source;
	if (following && l->astray == 0)
		k = agreeing(ids, l->source, n);
	if (n > SHORTEST && k < SURE) {
		int other;
		size_t at = search(&other, ids, n);
		if (other > k && other >= SHORTEST) {
			l->from = at;
			k = other;
		}
	}
	if (k < SHORTEST) {
		size_t at = following && l->astray < ASTRAY ? near(l, ids, n) : 0;
		l->from = at;
		l->kind = NEAR;
		return at > 0;
	}
	l->kind = k == 2 ? TWO : k == 3 ? THREE : k < SURE ? SOME : MANY;
	return true;
}

/* Of a pass with n of its rows, in passes with one. */
static float
cost(const struct llm_lookup *l, int n)
{
	int one = l->beside + 1, all = l->beside + n;
	if (!(l->s[one] > 0) || !(l->s[all] > 0))
		return costs[all] / costs[one];
	float measured = l->s[all] / l->s[one];
	float least = 1 + 0.01f * (float)(n - 1) / (float)one;
	return measured > least ? measured : least;
}

/* How many guesses pay best, 0 to max; *gain: tokens for the price of one. */
static int
pays(float *gain, const struct llm_lookup *l, int max)
{
	const struct llm_lookup_seen *seen = &l->seen[l->kind];
	float p = (seen->right + belief[l->kind].p * belief[l->kind].weight) /
		  (seen->tried + belief[l->kind].weight);
	float expected = 1, power = 1;
	int best = 0;
	*gain = 1;
	for (int n = 1; n <= max; n++) {
		power *= p;
		expected += power;
		if (expected > *gain * cost(l, n + 1)) {
			*gain = expected / cost(l, n + 1);
			best = n;
		}
	}
	return best;
}

int
llm_lookup_guess(
    struct llm_lookup *l, llm_token *guess, int max, const llm_token *ids, size_t n)
{
	/* The token that was chosen last is the one expected, or the answer goes astray. */
	if (l->astray > 0)
		l->astray += l->astray < ASTRAY;
	else if (l->source > 0 && l->source + 1 < n && ids[l->source] == ids[n - 1])
		l->source++;
	else
		l->astray = 1;
	if (max > LLM_LOOKUP_MAX - l->beside)
		max = LLM_LOOKUP_MAX - l->beside;
	if (max <= 0 || n < 2 || !place(l, ids, n))
		return 0;
	max = n - l->from < (size_t)max ? (int)(n - l->from) : max;
	float gain;
	int want = pays(&gain, l, max);
	if (gain < GAIN) {
		/* One token, now and then, lest what was believed once is believed for ever. */
		if (l->wait-- > 0)
			return 0;
		want = 1;
	}
	memcpy(guess, ids + l->from, (size_t)want * sizeof *guess);
	return want;
}

void
llm_lookup_result(struct llm_lookup *l, int n_guess, int n_right)
{
	struct llm_lookup_seen *seen = &l->seen[l->kind];
	seen->right = 0.95f * seen->right + (float)n_right;
	seen->tried = 0.95f * seen->tried + (float)(n_right + (n_right < n_guess));
	if (n_right > 0) {
		l->failed = l->wait = 0;
	} else {
		l->wait = l->failed < 7 ? 1 << l->failed : LONGEST_WAIT;
		l->failed++;
	}
	if (n_right > 0 || l->kind == MANY) {
		l->source =
		    l->from + (size_t)n_right; /* what comes there now is looked at next */
		l->astray = 0;
	}
}

void
llm_lookup_cost(struct llm_lookup *l, int n_row, double seconds)
{
	if (n_row < 1 || n_row > 1 + LLM_LOOKUP_MAX || !(seconds > 0))
		return;
	float *s = &l->s[n_row], now = (float)seconds;
	/* What disturbs a pass makes it slower: less is believed at once. */
	*s = *s == 0 ? now : now < *s ? 0.5f * (*s + now) : 0.9f * *s + 0.1f * now;
}
