/*
 * SPDX-License-Identifier: ISC
 *
 * What the parts of fold share: a line as tokens (fold_scan.c, fold_mask.c), where its head ends
 * (fold_head.c), and its shape (fold_shape.c), which the tree (fold.c) counts.
 */
#ifndef LLM_FOLD_PRIVATE_H
#define LLM_FOLD_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a token is.  From FOLD_NUM on it is a mask; in a shape one mask equals any other. */
enum llm_fold_kind {
	FOLD_WORD,
	FOLD_PUNCT,
	FOLD_NUM,
	FOLD_SIZE,     /* a number with a unit of bytes */
	FOLD_DURATION, /* a number with a unit of time */
	FOLD_DATE,
	FOLD_CLOCK,
	FOLD_TIME, /* both, or more */
	FOLD_IP,   /* v4 or v6, perhaps with a port or a prefix length */
	FOLD_MAC,
	FOLD_HEX,
	FOLD_UUID,
	FOLD_PATH,
	FOLD_URL,
	FOLD_ID,   /* a word with a digit in it */
	FOLD_NAME, /* a user's */
	FOLD_BOOL, /* true, false, null and their like: values by themselves */
	FOLD_DASH, /* a dash that stands alone: a value that is absent, or a rule between two */
	FOLD_EMPTY, /* nothing, where a value would stand */
	FOLD_ANY,   /* several of these, or the rest of a long line */
	FOLD_KINDS
};

enum {
	FOLD_SPACED = 1, /* white space before it */
	FOLD_WEAK = 2,   /* a word that looks like a name: dots, slashes, underscores in it */
	FOLD_MANY = 4,   /* a list of masks, folded into one */
	FOLD_SMALL = 8,  /* an id with few digits: shown as it is while it never changes */
	FOLD_MONTH = 16, /* a time that is spelled with a month */
	FOLD_GAP = 32,   /* two or more blanks before it */
	FOLD_VALUE = 64  /* a word after an equals sign */
};

enum { FOLD_TOKENS = 256 };

struct llm_fold_token {
	const char *s;
	uint32_t n;
	uint8_t kind; /* enum llm_fold_kind */
	uint8_t flags;
};

/* A line: n tokens, of which the first n_head are its head. */
struct llm_fold_line {
	int n, n_head;
	struct llm_fold_token token[2 * FOLD_TOKENS];
};

static inline bool
llm_fold_is_mask(const struct llm_fold_token *t)
{
	return t->kind >= FOLD_NUM;
}

static inline bool
llm_fold_is_punct(const struct llm_fold_token *t, char c)
{
	return t->kind == FOLD_PUNCT && t->s[0] == c;
}

/* True when the token is the lower-case word, in any case. */
bool llm_fold_word_is(const struct llm_fold_token *t, const char *word);

/*
 * llm_fold_mask - the kind of a word s[0..n) that has a digit in it; *flags gets FOLD_SMALL.
 */
enum llm_fold_kind llm_fold_mask(uint8_t *flags, const char *s, size_t n);

/* FOLD_SIZE or FOLD_DURATION when s[0..n) is a unit of bytes or time, else FOLD_WORD. */
enum llm_fold_kind llm_fold_unit(const char *s, size_t n);

/* llm_fold_scan - the tokens of s[0..n); n_head is 0. */
void llm_fold_scan(struct llm_fold_line *l, const char *s, size_t n);

/* llm_fold_head - find where the head of a scanned line ends, and set n_head. */
void llm_fold_head(struct llm_fold_line *l);

/*
 * llm_fold_shape - rewrite the tokens after the head as those that make a shape: names after
 * "user" and empty values become masks, lists of masks one.
 */
void llm_fold_shape(struct llm_fold_line *l);

#endif
