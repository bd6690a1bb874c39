/*
 * SPDX-License-Identifier: ISC
 *
 * Text as characters: UTF-8 decoded strictly and totally, and the four classes that pre-token rules
 * tell apart.  A byte that belongs to no well-formed sequence is a character of its own, which is
 * neither letter nor number nor space.
 */
#ifndef LLM_UTF8_H
#define LLM_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Classes of characters, as bits. */
enum {
	LLM_UTF8_OTHER = 1,   /* none of the below, and every invalid byte */
	LLM_UTF8_LETTER = 2,  /* \p{L} */
	LLM_UTF8_NUMBER = 4,  /* \p{N} */
	LLM_UTF8_SPACE = 8,   /* \s: White_Space, tab to return and U+0085 included */
	LLM_UTF8_NEWLINE = 16 /* carriage return or line feed; these are spaces too */
};

/*
 * llm_utf8_decode - the character at s[0..n), n >= 1: its length 1..4, and the code point in *cp;
 * for an invalid byte length 1 and *cp = UINT32_MAX.  Overlong forms, surrogates and what lies
 * beyond U+10FFFF are invalid (Unicode 15, table 3-7).
 */
size_t llm_utf8_decode(uint32_t *cp, const char *s, size_t n);

/* The class bits of a code point; UINT32_MAX, an invalid byte, is LLM_UTF8_OTHER. */
unsigned llm_utf8_class(uint32_t cp);

/* What normalising a text asks of a character (Unicode, general categories). */
enum llm_utf8_kind {
	LLM_UTF8_KIND_PLAIN,  /* none of the below */
	LLM_UTF8_KIND_SPACE,  /* Zs, Zl, Zp */
	LLM_UTF8_KIND_HIDDEN, /* Cc, Cf, Co, Cs */
	LLM_UTF8_KIND_MARK,   /* Mn: drawn over the letter before it */
	LLM_UTF8_KIND_PUNCT   /* P* */
};

/* The kind of a code point <= U+10FFFF; its canonical combining class. */
enum llm_utf8_kind llm_utf8_kind(uint32_t cp);
int llm_utf8_combining(uint32_t cp);

/* The canonical decomposition of a code point <= U+10FFFF, out[1..4]: its length. */
int llm_utf8_decompose(uint32_t out[4], uint32_t cp);

/* The lower-case form of a code point <= U+10FFFF, one code point. */
uint32_t llm_utf8_lower(uint32_t cp);

/* A code point <= U+10FFFF that is no surrogate, in UTF-8 at s[4]: its length. */
size_t llm_utf8_encode(char s[4], uint32_t cp);

/* The largest cut <= at that splits no well-formed character of s[0..n); at <= n. */
size_t llm_utf8_floor(const char *s, size_t n, size_t at);

#endif
