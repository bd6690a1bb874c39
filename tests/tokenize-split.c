/*
 * SPDX-License-Identifier: ISC
 *
 * Characters and pre-token rules: pieces written out by hand from the published expressions.
 */
#include "tests/tap.h"
#include "tokenize/split.h"
#include "tokenize/utf8.h"

#include <stdlib.h>
#include <string.h>

/* Pieces are divided by | in the expected text; the input is the same without them. */
struct example {
	enum llm_split_rule rule;
	const char *pieces;
};

static const struct example examples[] = {
    {LLM_SPLIT_LLAMA3, "Hello|,| world|!"},
    {LLM_SPLIT_LLAMA3, "I|'ll| say| '|RE| you|'VE|'M| it|'s|'D"},
    {LLM_SPLIT_LLAMA3, "x|'\xC5\xBF|t"},    /* long s folds to s */
    {LLM_SPLIT_LLAMA3, "x|'\xE2\x84\xAA|"}, /* the Kelvin sign folds to k: no contraction */
    {LLM_SPLIT_LLAMA3, "x|\xE2\x80\x99s"},  /* a typographic apostrophe is no apostrophe */
    {LLM_SPLIT_LLAMA3, "'t|is| '|twas|'re|gular"},
    {LLM_SPLIT_LLAMA3, "123|456|7|.|5| |12"},
    {LLM_SPLIT_LLAMA3, "\xD9\xA3\xD9\xA4\xD9\xA5|\xD9\xA6|x"},       /* Arabic digits */
    {LLM_SPLIT_LLAMA3, "\xC2\xBD\xE2\x85\xA7\xC2\xB2|\xE2\x91\xA3"}, /* other numbers */
    {LLM_SPLIT_LLAMA3, "a|  | b| \n\n|   |"},
    {LLM_SPLIT_LLAMA3, "a|  \n \r\n|  | b"},
    {LLM_SPLIT_LLAMA3, "f|();\r\n\n|  | }\n|\t|\t|}\n"},
    {LLM_SPLIT_LLAMA3, "\tx|\xC2\xA0y|\xE3\x80\x80z|\n|w"},
    {LLM_SPLIT_LLAMA3, "a|\xE2\x80\x8B\xE2\x80\x8B|"
		       "b"}, /* zero width space is no space */
    {LLM_SPLIT_LLAMA3, "e|\xCC\x81\xCC\x81|"
		       "e"},
    {LLM_SPLIT_LLAMA3, "a| \xFF\xC3(|b"},
    {LLM_SPLIT_LLAMA3, "a|\x1C\x1D|"
		       "b"}, /* file separators are no White_Space */
    {LLM_SPLIT_LLAMA3, "a|\xC2\x85"
		       "b|\xE2\x80\xA8"
		       "c"},
    {LLM_SPLIT_LLAMA3, "!|\xC2\x85|"},
    {LLM_SPLIT_LLAMA3, "  |"},
    {LLM_SPLIT_GPT2, "Hello|,| world|!"},
    {LLM_SPLIT_GPT2, "I|'ll|'|RE|'s"},
    {LLM_SPLIT_GPT2, "x|'|\xC5\xBFt"},
    {LLM_SPLIT_GPT2, "a| | 5| 12345|a|  | 7"},
    {LLM_SPLIT_GPT2, "a|\n|b|\n\n|\n|c|\t|d|  \n|"},
    {LLM_SPLIT_GPT2, "!!|\n|x| ...|\t|..."},
    {LLM_SPLIT_DIGITS, "a|  |5"},
    {LLM_SPLIT_DIGITS, "a| |5|6|b|  | c"},
    {LLM_SPLIT_DIGITS, "a|\n\n|\xD9\xA3|\xD9\xA4| |\xC2\xBD|'|1|'s"},
    {LLM_SPLIT_DIGITS, "v|1|.|2|.|3"},
    {LLM_SPLIT_DIGITS, "x| =|  |7|;"},
};

static bool
pieces_are(const struct example *e)
{
	char text[256], got[512];
	size_t n = 0, out = 0;
	for (const char *p = e->pieces; *p != '\0'; p++)
		if (*p != '|')
			text[n++] = *p;
	for (size_t i = 0, end; i < n; i = end) {
		end = llm_split_next(e->rule, text, n, i);
		if (end <= i || end > n)
			return false;
		memcpy(got + out, text + i, end - i);
		out += end - i;
		got[out++] = '|';
	}
	got[out] = '\0';
	size_t want = strlen(e->pieces);
	/* A last bar is optional in the table. */
	if (want > 0 && e->pieces[want - 1] != '|')
		out--;
	if (out == want && memcmp(got, e->pieces, want) == 0)
		return true;
	printf("# got %.*s\n", (int)out, got);
	return false;
}

static void
test_utf8(void)
{
	static const struct {
		const char *s;
		size_t n, len;
		uint32_t cp;
	} cases[] = {
	    {"a", 1, 1, 'a'},
	    {"\xC3\xA9", 2, 2, 0xE9},
	    {"\xE2\x82\xAC", 3, 3, 0x20AC},
	    {"\xF0\x9F\x98\x80", 4, 4, 0x1F600},
	    {"\xF4\x8F\xBF\xBF", 4, 4, 0x10FFFF},
	    {"\xC3", 1, 1, UINT32_MAX},
	    {"\xC0\x80", 2, 1, UINT32_MAX},         /* overlong */
	    {"\xE0\x9F\xBF", 3, 1, UINT32_MAX},     /* overlong */
	    {"\xED\xA0\x80", 3, 1, UINT32_MAX},     /* surrogate */
	    {"\xF4\x90\x80\x80", 4, 1, UINT32_MAX}, /* beyond the last */
	    {"\xF0\x9F\x98", 3, 1, UINT32_MAX},
	    {"\xE2\x82"
	     "a",
		3, 1, UINT32_MAX},
	    {"\x80", 1, 1, UINT32_MAX},
	    {"\xFF\xFF", 2, 1, UINT32_MAX},
	};
	bool good = true;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint32_t cp;
		size_t len = llm_utf8_decode(&cp, cases[i].s, cases[i].n);
		good &= len == cases[i].len && cp == cases[i].cp;
	}
	tap_ok(
	    good, "UTF-8 is decoded strictly, and each invalid byte is a character of its own");

	static const char text[] = "a\xC3\xA9\xF0\x9F\x98\x80\xE2\x82";
	static const size_t floors[] = {0, 1, 1, 3, 3, 3, 3, 7, 8, 9};
	good = true;
	for (size_t i = 0; i < sizeof floors / sizeof floors[0]; i++)
		good &= llm_utf8_floor(text, sizeof text - 1, i) == floors[i];
	tap_ok(
	    good, "a cut is moved to the start of a character, and stays among invalid bytes");
}

/* Whatever the bytes: pieces follow one another and none is empty. */
static void
test_total(void)
{
	char text[64];
	bool good = true;
	srand(1);
	for (int round = 0; round < 200000; round++) {
		static const char alphabet[] = "a1 '\n\r\t.s\xC3\xA9\xC5\xBF\xE2\x80\xA8\xFF";
		size_t n = (size_t)(rand() % 24) + 1;
		for (size_t i = 0; i < n; i++)
			text[i] = alphabet[(size_t)rand() % (sizeof alphabet - 1)];
		for (int rule = LLM_SPLIT_LLAMA3; rule <= LLM_SPLIT_DIGITS; rule++)
			for (size_t i = 0, end; i < n && good; i = end) {
				end = llm_split_next((enum llm_split_rule)rule, text, n, i);
				good &= end > i && end <= n;
			}
	}
	tap_ok(good,
	    "random bytes are divided from the first to the last, without an empty piece");
}

int
main(void)
{
	test_utf8();
	for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
		static const char *const names[] = {"Llama 3", "GPT-2", "SmolLM"};
		tap_ok(pieces_are(&examples[i]), "the %s rule divides example %zu as published",
		    names[examples[i].rule], i);
	}
	test_total();
	return tap_done();
}
