/*
 * SPDX-License-Identifier: ISC
 *
 * Stop strings and held-back bytes: the result must not depend on where tokens end.
 */
#include "generate/stop.h"
#include "tests/tap.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_TEXT = 256, MAX_PIECE = 64 };

static struct llm_err err;

struct outcome {
	char text[MAX_TEXT];
	size_t n;
	bool stopped;
	bool torn; /* a part before the last ended inside a character */
};

static bool
ends_inside(const char *s, size_t n)
{
	/* Enough for the well-formed texts here: a lead byte without all that it asks for. */
	for (size_t k = 1; k <= 3 && k <= n; k++) {
		unsigned c = (unsigned char)s[n - k];
		if (c >= 0xC0)
			return k < (c >= 0xF0 ? 4u : c >= 0xE0 ? 3u : 2u);
	}
	return false;
}

/* Feeds text in pieces of the given sizes, over and over. */
static void
feed(struct outcome *o, struct llm_stop *s, const char *text, size_t n, const int *sizes,
    int n_size)
{
	const char *bytes;
	size_t ready;
	memset(o, 0, sizeof *o);
	llm_stop_reset(s);
	for (size_t at = 0, i = 0; at < n && !o->stopped; i++) {
		size_t len = (size_t)sizes[i % (size_t)n_size];
		len = len < n - at ? len : n - at;
		o->stopped = llm_stop_add(s, text + at, len);
		at += len;
		ready = llm_stop_ready(&bytes, s);
		memcpy(o->text + o->n, bytes, ready);
		o->n += ready;
		o->torn |= !o->stopped && ends_inside(o->text, o->n);
	}
	llm_stop_end(s);
	ready = llm_stop_ready(&bytes, s);
	memcpy(o->text + o->n, bytes, ready);
	o->n += ready;
}

/* The text up to the stop string that is complete first, by trying every end. */
static size_t
expected(const char *text, size_t n, const char *const *strings, int n_string)
{
	for (size_t end = 1; end <= n; end++) {
		size_t longest = 0;
		for (int k = 0; k < n_string; k++) {
			size_t len = strlen(strings[k]);
			if (len <= end && len > longest &&
			    memcmp(text + end - len, strings[k], len) == 0)
				longest = len;
		}
		if (longest > 0)
			return end - longest;
	}
	return n;
}

static void
named_cases(void)
{
	static const struct {
		const char *name, *text, *stop[3], *wanted;
	} cases[] = {
	    {"no stop string: all of the text", "plain text", {NULL}, "plain text"},
	    {"it and what follows are gone", "one END two", {"END"}, "one "},
	    {"an almost-match is printed", "one EN two E", {"END"}, "one EN two E"},
	    {"overlapping beginnings are followed", "aaab!", {"aab"}, "a"},
	    {"the one complete first counts", "xabcdefy", {"bcdef", "cd"}, "xab"},
	    {"of two that end together the longer counts", "xabcy", {"bc", "abc"}, "x"},
	    {"one may stand at the very start", "###", {"#"}, ""},
	    {"it may be part of a character", "a\xC3\xA9z", {"\xA9"}, "a\xC3"},
	    {"characters of four bytes", "\xF0\x9F\x98\x80 ok", {"ok"}, "\xF0\x9F\x98\x80 "},
	};
	static const int sizes[][3] = {{1, 1, 1}, {2, 1, 3}, {64, 64, 64}};
	for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
		int n = 0;
		bool good = true;
		while (n < 3 && cases[c].stop[n] != NULL)
			n++;
		struct llm_stop *s;
		if (llm_stop_new(&s, cases[c].stop, n, MAX_PIECE, &err) < 0)
			continue;
		for (int z = 0; z < 3; z++) {
			struct outcome o;
			feed(&o, s, cases[c].text, strlen(cases[c].text), sizes[z], 3);
			good &= o.n == strlen(cases[c].wanted) &&
				memcmp(o.text, cases[c].wanted, o.n) == 0;
		}
		llm_stop_free(s);
		tap_ok(good, "%s", cases[c].name);
	}
}

/* Short texts over few letters, so that matches and near-matches abound. */
static void
random_cases(void)
{
	static const char *const units[] = {
	    "a", "b", "ab", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
	int wrong = 0, torn = 0, stopped = 0;
	srand(7);
	for (int round = 0; round < 4000; round++) {
		char text[MAX_TEXT] = "", word[3][16] = {"", "", ""};
		const char *strings[3];
		int n_string = rand() % 4, sizes[5];
		for (int i = rand() % 30; i > 0; i--)
			strcat(text, units[rand() % 6]);
		for (int k = 0; k < n_string; k++) {
			for (int i = 1 + rand() % 3; i > 0; i--)
				strcat(word[k], units[rand() % 6]);
			strings[k] = word[k];
		}
		for (int i = 0; i < 5; i++)
			sizes[i] = 1 + rand() % 6;
		struct llm_stop *s;
		struct outcome o;
		if (llm_stop_new(&s, strings, n_string, MAX_PIECE, &err) < 0)
			continue;
		feed(&o, s, text, strlen(text), sizes, 5);
		llm_stop_free(s);
		size_t wanted = expected(text, strlen(text), strings, n_string);
		wrong += o.n != wanted || memcmp(o.text, text, wanted) != 0;
		torn += o.torn;
		stopped += o.stopped;
	}
	tap_ok(wrong == 0 && stopped > 1000,
	    "4000 random texts end where they should, in pieces of any size (%d stopped, %d "
	    "wrong)",
	    stopped, wrong);
	tap_ok(
	    torn == 0, "no part of a well-formed text ends inside a character (%d did)", torn);
}

static void
holding(void)
{
	const char *bytes, *strings[] = {"\n\nUser:"};
	struct llm_stop *s;
	if (llm_stop_new(&s, strings, 1, MAX_PIECE, &err) < 0)
		return;
	llm_stop_add(s, "hi\n\nUs", 6);
	tap_ok(llm_stop_ready(&bytes, s) == 2, "what may begin a stop string waits");
	llm_stop_add(s, "e it", 4);
	tap_ok(llm_stop_ready(&bytes, s) == 8 && memcmp(bytes, "\n\nUse it", 8) == 0,
	    "and goes out when it turns out to be none");
	llm_stop_add(s, "\xE2\x82", 2);
	tap_ok(llm_stop_ready(&bytes, s) == 0, "an unfinished character waits");
	llm_stop_add(s, "x", 1);
	tap_ok(llm_stop_ready(&bytes, s) == 3,
	    "a character that cannot be finished goes out as it is");
	llm_stop_add(s, "\xED\xA0\xFF\x80", 4);
	tap_ok(llm_stop_ready(&bytes, s) == 4, "bytes that begin no character do not wait");
	llm_stop_add(s, "\xF0\x9F", 2);
	llm_stop_ready(&bytes, s);
	llm_stop_end(s);
	tap_ok(llm_stop_ready(&bytes, s) == 2 && llm_stop_printed(s) == 19,
	    "at the end all that waits goes out");
	llm_stop_free(s);
	tap_ok(llm_stop_new(&s, (const char *[]){""}, 1, MAX_PIECE, &err) == LLM_EUSAGE,
	    "an empty stop string is refused");
}

int
main(void)
{
	named_cases();
	random_cases();
	holding();
	return tap_done();
}
