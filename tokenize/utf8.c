/*
 * SPDX-License-Identifier: ISC
 *
 * Characters and their classes; see utf8.h.  The one file that knows utf8proc.
 */
#include "tokenize/utf8.h"

#include <utf8proc.h>

size_t
llm_utf8_decode(uint32_t *cp, const char *text, size_t n)
{
	const unsigned char *s = (const unsigned char *)text;
	unsigned c = s[0];
	*cp = UINT32_MAX;
	if (c < 0x80) {
		*cp = c;
		return 1;
	}
	if (c < 0xC2 || c > 0xF4 || n < 2)
		return 1;
	/* The second byte alone tells overlong forms, surrogates and too large values. */
	unsigned low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
	unsigned high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
	if (s[1] < low || s[1] > high)
		return 1;
	if (c < 0xE0) {
		*cp = (c & 0x1F) << 6 | (s[1] & 0x3F);
		return 2;
	}
	if (n < 3 || (s[2] & 0xC0) != 0x80)
		return 1;
	if (c < 0xF0) {
		*cp = (c & 0x0F) << 12 | (unsigned)(s[1] & 0x3F) << 6 | (s[2] & 0x3F);
		return 3;
	}
	if (n < 4 || (s[3] & 0xC0) != 0x80)
		return 1;
	*cp = (c & 0x07) << 18 | (unsigned)(s[1] & 0x3F) << 12 | (unsigned)(s[2] & 0x3F) << 6 |
	      (s[3] & 0x3F);
	return 4;
}

/* White_Space beyond ASCII; general categories alone miss U+0085. */
static unsigned
space_class(uint32_t cp)
{
	switch (cp) {
	case 0x0A:
	case 0x0D:
		return LLM_UTF8_SPACE | LLM_UTF8_NEWLINE;
	case 0x09:
	case 0x0B:
	case 0x0C:
	case 0x20:
	case 0x85:
		return LLM_UTF8_SPACE;
	default:
		return 0;
	}
}

unsigned
llm_utf8_class(uint32_t cp)
{
	unsigned space = space_class(cp);
	if (space != 0)
		return space;
	if (cp > 0x10FFFF)
		return LLM_UTF8_OTHER;
	switch (utf8proc_category((utf8proc_int32_t)cp)) {
	case UTF8PROC_CATEGORY_LU:
	case UTF8PROC_CATEGORY_LL:
	case UTF8PROC_CATEGORY_LT:
	case UTF8PROC_CATEGORY_LM:
	case UTF8PROC_CATEGORY_LO:
		return LLM_UTF8_LETTER;
	case UTF8PROC_CATEGORY_ND:
	case UTF8PROC_CATEGORY_NL:
	case UTF8PROC_CATEGORY_NO:
		return LLM_UTF8_NUMBER;
	case UTF8PROC_CATEGORY_ZS:
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
		return LLM_UTF8_SPACE;
	default:
		return LLM_UTF8_OTHER;
	}
}

enum llm_utf8_kind
llm_utf8_kind(uint32_t cp)
{
	switch (utf8proc_category((utf8proc_int32_t)cp)) {
	case UTF8PROC_CATEGORY_ZS:
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
		return LLM_UTF8_KIND_SPACE;
	case UTF8PROC_CATEGORY_CC:
	case UTF8PROC_CATEGORY_CF:
	case UTF8PROC_CATEGORY_CO:
	case UTF8PROC_CATEGORY_CS:
		return LLM_UTF8_KIND_HIDDEN;
	case UTF8PROC_CATEGORY_MN:
		return LLM_UTF8_KIND_MARK;
	case UTF8PROC_CATEGORY_PC:
	case UTF8PROC_CATEGORY_PD:
	case UTF8PROC_CATEGORY_PS:
	case UTF8PROC_CATEGORY_PE:
	case UTF8PROC_CATEGORY_PI:
	case UTF8PROC_CATEGORY_PF:
	case UTF8PROC_CATEGORY_PO:
		return LLM_UTF8_KIND_PUNCT;
	default:
		return LLM_UTF8_KIND_PLAIN;
	}
}

int
llm_utf8_combining(uint32_t cp)
{
	return utf8proc_get_property((utf8proc_int32_t)cp)->combining_class;
}

int
llm_utf8_decompose(uint32_t out[4], uint32_t cp)
{
	utf8proc_int32_t to[4];
	int last = 0;
	utf8proc_ssize_t n =
	    utf8proc_decompose_char((utf8proc_int32_t)cp, to, 4, UTF8PROC_DECOMPOSE, &last);
	if (n < 1 || n > 4) {
		out[0] = cp;
		return 1;
	}
	for (int i = 0; i < n; i++)
		out[i] = (uint32_t)to[i];
	return (int)n;
}

uint32_t
llm_utf8_lower(uint32_t cp)
{
	return (uint32_t)utf8proc_tolower((utf8proc_int32_t)cp);
}

size_t
llm_utf8_encode(char s[4], uint32_t cp)
{
	return (size_t)utf8proc_encode_char(
	    (utf8proc_int32_t)cp, (utf8proc_uint8_t *)(void *)s);
}

size_t
llm_utf8_floor(const char *s, size_t n, size_t at)
{
	if (at >= n)
		return at;
	for (size_t back = 1; back <= 3 && back <= at; back++) {
		unsigned char c = (unsigned char)s[at - back];
		if ((c & 0xC0) == 0x80)
			continue;
		uint32_t cp;
		return llm_utf8_decode(&cp, s + at - back, n - at + back) > back ? at - back
										 : at;
	}
	return at;
}
