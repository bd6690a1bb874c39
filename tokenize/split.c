/*
 * SPDX-License-Identifier: ISC
 *
 * Pre-token rules; see split.h.  Each alternative of a rule is tried in the order in which its
 * regular expression writes it.
 */
#include "tokenize/split.h"

#include "tokenize/utf8.h"

#include <string.h>

#define O LLM_UTF8_OTHER
#define L LLM_UTF8_LETTER
#define N LLM_UTF8_NUMBER
#define S LLM_UTF8_SPACE
#define R (LLM_UTF8_SPACE | LLM_UTF8_NEWLINE)
static const unsigned char ascii[128] = {
    O, O, O, O, O, O, O, O, O, S, R, S, S, R, O, O, /* 00 */
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* 10 */
    S, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* 20 */
    N, N, N, N, N, N, N, N, N, N, O, O, O, O, O, O, /* 30 */
    O, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, /* 40 */
    L, L, L, L, L, L, L, L, L, L, L, O, O, O, O, O, /* 50 */
    O, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, /* 60 */
    L, L, L, L, L, L, L, L, L, L, L, O, O, O, O, O, /* 70 */
};
#undef O
#undef L
#undef N
#undef S
#undef R

/* The text and where it ends. */
struct scan {
	const char *s;
	size_t n;
};

/* Class of the character at i and its length; 0 and 0 at the end. */
static inline unsigned
class_at(const struct scan *t, size_t i, size_t *len)
{
	if (i >= t->n) {
		*len = 0;
		return 0;
	}
	unsigned char c = (unsigned char)t->s[i];
	*len = 1;
	if (c < 0x80)
		return ascii[c];
	uint32_t cp;
	*len = llm_utf8_decode(&cp, t->s + i, t->n - i);
	return llm_utf8_class(cp);
}

/* The end of the run of characters of any of these classes from i on. */
static inline size_t
run(const struct scan *t, size_t i, unsigned classes)
{
	size_t len;
	while (class_at(t, i, &len) & classes)
		i += len;
	return i;
}

/* One ASCII letter in lower case; other bytes as they are. */
static inline unsigned char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : (unsigned char)c;
}

/* Bytes of a contraction ('s 't 're 've 'm 'll 'd) at i, where an apostrophe stands; 0: none. */
static size_t
contraction(const struct scan *t, size_t i, bool fold)
{
	if (i + 1 >= t->n)
		return 0;
	char a = t->s[i + 1], b = i + 2 < t->n ? t->s[i + 2] : '\0';
	/* Of all these letters, s alone folds with one that is not ASCII: U+017F, long s. */
	if (fold && a == '\xC5' && b == '\xBF')
		return 3;
	if (fold) {
		a = (char)lower(a);
		b = (char)lower(b);
	}
	if (a == 's' || a == 't' || a == 'm' || a == 'd')
		return 2;
	if (((a == 'r' || a == 'v') && b == 'e') || (a == 'l' && b == 'l'))
		return 3;
	return 0;
}

/* \s+(?!\S)|\s+ : white space leaves its last character to what follows it, where it can. */
static size_t
spaces(const struct scan *t, size_t i)
{
	size_t len, last = i, end = i;
	while (class_at(t, end, &len) & LLM_UTF8_SPACE) {
		last = end;
		end += len;
	}
	return end == t->n || last == i ? end : last;
}

/* \s*[\r\n]+|\s+(?!\S)|\s+ : up to the last newline of a run of white space, if it has one. */
static size_t
spaces_newline(const struct scan *t, size_t i)
{
	size_t len, last = i, end = i, newline = i;
	unsigned c;
	while ((c = class_at(t, end, &len)) & LLM_UTF8_SPACE) {
		last = end;
		end += len;
		if (c & LLM_UTF8_NEWLINE)
			newline = end;
	}
	if (newline > i)
		return newline;
	return end == t->n || last == i ? end : last;
}

static size_t
next_llama3(const struct scan *t, size_t i)
{
	size_t len, len2;
	unsigned c = class_at(t, i, &len);
	if (c & LLM_UTF8_LETTER)
		return run(t, i + len, LLM_UTF8_LETTER);
	if (c & LLM_UTF8_NUMBER) {
		i += len;
		for (int k = 1; k < 3 && class_at(t, i, &len) & LLM_UTF8_NUMBER; k++)
			i += len;
		return i;
	}
	if (t->s[i] == '\'' && (len2 = contraction(t, i, true)) > 0)
		return i + len2;
	unsigned c2 = class_at(t, i + len, &len2);
	if (!(c & LLM_UTF8_NEWLINE) && c2 & LLM_UTF8_LETTER)
		return run(t, i + len + len2, LLM_UTF8_LETTER);
	if (c & LLM_UTF8_OTHER || (t->s[i] == ' ' && c2 & LLM_UTF8_OTHER)) {
		i = run(t, i + len, LLM_UTF8_OTHER);
		while (i < t->n && (t->s[i] == '\n' || t->s[i] == '\r'))
			i++;
		return i;
	}
	return spaces_newline(t, i);
}

static size_t
next_gpt2(const struct scan *t, size_t i)
{
	size_t len, len2;
	unsigned c = class_at(t, i, &len);
	if (t->s[i] == '\'' && (len2 = contraction(t, i, false)) > 0)
		return i + len2;
	if (t->s[i] == ' ') {
		unsigned c2 = class_at(t, i + 1, &len2);
		if (c2 & (LLM_UTF8_LETTER | LLM_UTF8_NUMBER | LLM_UTF8_OTHER))
			return run(t, i + 1 + len2, c2);
	}
	if (c & LLM_UTF8_SPACE)
		return spaces(t, i);
	return run(t, i + len, c);
}

/*
 * The GPT-2 rule in a piece that ends before the next number.  Only white space looks past its own
 * end, so the piece's end matters only there: for it a number is the end of the text.
 */
static size_t
next_digits(const struct scan *t, size_t i)
{
	size_t len;
	unsigned c = class_at(t, i, &len);
	if (c & LLM_UTF8_NUMBER)
		return i + len;
	if (!(c & LLM_UTF8_SPACE))
		return next_gpt2(t, i);
	size_t end = run(t, i, LLM_UTF8_SPACE);
	if (class_at(t, end, &len) & LLM_UTF8_NUMBER)
		return end;
	return next_gpt2(t, i);
}

size_t
llm_split_next(enum llm_split_rule rule, const char *text, size_t n, size_t from)
{
	const struct scan t = {text, n};
	switch (rule) {
	case LLM_SPLIT_LLAMA3:
		return next_llama3(&t, from);
	case LLM_SPLIT_GPT2:
		return next_gpt2(&t, from);
	case LLM_SPLIT_DIGITS:
	default:
		return next_digits(&t, from);
	}
}

bool
llm_split_named(enum llm_split_rule *out, struct llm_gguf_str name)
{
	/* Names of files whose publisher's own tokenizer has exactly that rule; others are refused. */
	static const struct {
		const char *name;
		enum llm_split_rule rule;
	} known[] = {
	    {"llama-bpe", LLM_SPLIT_LLAMA3},
	    {"llama3", LLM_SPLIT_LLAMA3},
	    {"llama-v3", LLM_SPLIT_LLAMA3},
	    {"gpt-2", LLM_SPLIT_GPT2},
	    {"smollm", LLM_SPLIT_DIGITS},
	};
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (name.n == strlen(known[i].name) &&
		    memcmp(name.s, known[i].name, name.n) == 0) {
			*out = known[i].rule;
			return true;
		}
	return false;
}
