/*
 * SPDX-License-Identifier: ISC
 *
 * Records: nothing lost, never more tokens than allowed, whole lines and paragraphs where they fit, no
 * character divided; in small vocabularies of both kinds.
 */
#include "tests/tap.h"
#include "tests/vocab.h"
#include "tokenize/records.h"
#include "tokenize/utf8.h"

#include <stdlib.h>
#include <string.h>

enum { MAX = 600 };

/* Ends of the records of text, or -1 where one could not be made. */
static int
split(size_t *end, struct llm_records *r, const char *text, size_t n, struct llm_err *err)
{
	int count = 0;
	for (size_t at = 0, len; at < n; at += len) {
		if (llm_records_next(&len, r, text + at, n - at, true, err) < 0)
			return -1;
		if (len == 0 || len > n - at)
			return -2;
		end[count++] = at + len;
	}
	return count;
}

/* Every record alone has at most n_tok tokens, and no end divides a character. */
static bool
fits(struct llm_records *r, const char *text, size_t n, const size_t *end, int count)
{
	struct llm_ids ids = {0};
	bool good = true;
	for (int i = 0; i < count; i++) {
		size_t from = i == 0 ? 0 : end[i - 1];
		ids.n = 0;
		good &= llm_tokenizer_encode(&ids, r->tokenizer, text + from, end[i] - from,
			    LLM_TOKENIZE_REPLACE, NULL) == 0 &&
			ids.n <= (size_t)r->n_tok && llm_utf8_floor(text, n, end[i]) == end[i];
	}
	llm_ids_free(&ids);
	return good && (count == 0 ? n == 0 : end[count - 1] == n);
}

static void
test_random(const struct llm_tokenizer *t, const char *name)
{
	static const char *const parts[] = {"a", "ab", "abc", " ", "  ", "\n", "\n\n", "\r\n",
	    "\t", "1", ".", "!\n", "\xC3\xA9", "\xF0\x9F\x98\x80", "\xFF", "\xE2\x82"};
	bool good = true;
	int made = 0;
	srand(11);
	for (int round = 0; round < 2000 && good; round++) {
		char text[MAX + 8];
		size_t n = 0, want = (size_t)rand() % MAX, end[MAX + 8];
		struct llm_err err;
		while (n < want)
			n += (size_t)sprintf(text + n, "%s", parts[(size_t)rand() % 16]);
		struct llm_records r = {
		    .tokenizer = t, .n_tok = 6 + rand() % 60, .at = (unsigned)rand() % 2};
		int count = split(end, &r, text, n, &err);
		good = count >= 0 && fits(&r, text, n, end, count);
		made += count;
		llm_records_free(&r);
	}
	tap_ok(good && made > 2000, "random text makes %d records that fit, %s", made, name);
}

/* Divided as written, | at each end. */
static bool
divides(struct llm_records *r, const char *want)
{
	char text[256], got[300];
	size_t n = 0, out = 0, end[256];
	struct llm_err err = {0};
	for (const char *p = want; *p != '\0'; p++)
		if (*p != '|')
			text[n++] = *p;
	int count = split(end, r, text, n, &err);
	for (int i = 0; i < count; i++) {
		size_t from = i == 0 ? 0 : end[i - 1];
		out += (size_t)sprintf(got + out, "%.*s|", (int)(end[i] - from), text + from);
	}
	bool good = count >= 0 && out == strlen(want) && memcmp(got, want, out) == 0;
	if (!good)
		printf("# got %d %.*s %s\n", count, (int)out, got, err.msg);
	llm_records_free(r);
	return good;
}

static void
test_places(const struct llm_tokenizer *t)
{
#define DIVIDES(n, where, want) \
	divides(&(struct llm_records){.tokenizer = t, .n_tok = n, .at = where}, want)
	tap_ok(DIVIDES(4, LLM_RECORDS_LINE, "x\ny\n|z\nw\n|v|"),
	    "a record takes as many lines as fit");
	tap_ok(DIVIDES(5, LLM_RECORDS_LINE, "x\ny\n|zzzz\n|w\n|"),
	    "a line that does not fit in the rest begins a record");
	tap_ok(DIVIDES(4, LLM_RECORDS_LINE, "x\n|yyyy|yy\nz|"),
	    "a line that is too long is cut between characters");
	tap_ok(
	    DIVIDES(4, LLM_RECORDS_LINE, "\xC3\xA9\xC3\xA9|\xC3\xA9|"), "and never inside one");
	tap_ok(DIVIDES(6, LLM_RECORDS_PARAGRAPH, "x\n\n|y\nz\n\n|w\n|"),
	    "a record takes whole paragraphs");
	tap_ok(DIVIDES(8, LLM_RECORDS_PARAGRAPH, "x\n\n \ny\n\n|z\nw\nv\n|"),
	    "blank lines belong to the paragraph before");
	tap_ok(DIVIDES(4, LLM_RECORDS_PARAGRAPH, "x\ny\n|z\n\n|yab|"),
	    "a paragraph that is too long is divided at its lines");
	struct llm_records r = {.tokenizer = t, .n_tok = 3};
	struct llm_err err = {0};
	size_t end[8];
	tap_ok(split(end, &r, "\xF0\x9F\x98\x80", 4, &err) == -1 && err.code == LLM_EDATA &&
		   strstr(err.msg, "takes 4 tokens, a record at most 3") != NULL,
	    "a character that takes more tokens than a record may have is refused with both "
	    "numbers");
	size_t len = 1;
	r.n_tok = 100;
	tap_ok(llm_records_next(&len, &r, "abc", 3, false, &err) == 0 && len == 0,
	    "what fits waits for more while there is more");
	llm_records_free(&r);
}

int
main(void)
{
	static const char *const merges[] = {"a b", "ab c", "\xC4\xA0 a"};
	static const char *const pieces[] = {"\xE2\x96\x81", "a", "b", "\342\226\201a", "ab"};
	static const float scores[] = {-9, -8, -7, -1, -2};
	static const char *const rules[] = {"llama-bpe", "gpt-2", "smollm"};
	struct vocab_open v;
	for (int i = 0; i < 3; i++) {
		struct mkfile *f = vocab_bpe(rules[i], merges, 3);
		if (tap_ok(vocab_open(&v, f, NULL) == 0, "a vocabulary opens, %s", rules[i])) {
			test_random(v.tokenizer, rules[i]);
			if (i == 1)
				test_places(v.tokenizer);
		}
		vocab_close(&v);
		mkfile_free(f);
	}
	struct mkfile *f = vocab_spm(pieces, scores, 5);
	if (tap_ok(vocab_open(&v, f, NULL) == 0, "a SentencePiece vocabulary opens"))
		test_random(v.tokenizer, "SentencePiece");
	vocab_close(&v);
	mkfile_free(f);
	return tap_done();
}
