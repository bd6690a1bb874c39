/*
 * SPDX-License-Identifier: ISC
 *
 * Merging against the textbook: random vocabularies and texts, short pieces and long ones, each merged
 * also by a loop that looks at every pair every time.
 */
#include "tests/tap.h"
#include "tests/vocab.h"
#include "tokenize/utf8.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_PIECES = 120, MAX_TEXT = 400 };

/* Letters, of which random pieces are made; a piece is at most 8 of them. */
struct lexicon {
	const char *letters[6];
	int n_letter;
	char piece[MAX_PIECES][40];
	char merge[MAX_PIECES][44];
	const char *list[MAX_PIECES];
	float score[MAX_PIECES];
	size_t n;
};

static bool
known(const struct lexicon *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->piece[i], s) == 0)
			return true;
	for (int i = 0; i < l->n_letter; i++)
		if (strcmp(l->letters[i], s) == 0)
			return true;
	return false;
}

static const char *
some(const struct lexicon *l)
{
	size_t i = (size_t)rand() % (l->n + (size_t)l->n_letter);
	return i < l->n ? l->piece[i] : l->letters[i - l->n];
}

/* Grows by pieces made of two that are there; scores repeat, so that there are ties. */
static void
lexicon_make(struct lexicon *l, size_t n)
{
	l->n = 0;
	while (l->n < n) {
		const char *left = some(l), *right = some(l);
		char both[80];
		snprintf(both, sizeof both, "%s%s", left, right);
		if (strlen(both) > 24 || known(l, both))
			continue;
		snprintf(l->merge[l->n], sizeof l->merge[0], "%s %s", left, right);
		strcpy(l->piece[l->n], both);
		l->list[l->n] = l->merge[l->n];
		l->score[l->n] = -(float)(rand() % 20);
		l->n++;
	}
}

/* A symbol of the textbook's: bytes [at, at + n). */
struct symbol {
	size_t at, n;
};

/* The number of the merge of two symbols, lowest first, or -1. */
typedef int rank_of(
    const struct lexicon *l, const char *text, const struct symbol *a, const struct symbol *b);

static int
rank_bpe(
    const struct lexicon *l, const char *text, const struct symbol *a, const struct symbol *b)
{
	char line[88];
	snprintf(
	    line, sizeof line, "%.*s %.*s", (int)a->n, text + a->at, (int)b->n, text + b->at);
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->merge[i], line) == 0)
			return (int)i;
	return -1;
}

static int
rank_spm(
    const struct lexicon *l, const char *text, const struct symbol *a, const struct symbol *b)
{
	char both[88];
	snprintf(both, sizeof both, "%.*s", (int)(a->n + b->n), text + a->at);
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->piece[i], both) == 0)
			return -(int)l->score[i];
	return -1;
}

/* Merges as the textbook does; the symbols' ends, in order. */
static size_t
merge(struct symbol *sym, size_t n, const struct lexicon *l, const char *text, rank_of *rank)
{
	for (;;) {
		int best = -1;
		size_t at = 0;
		for (size_t i = 0; i + 1 < n; i++) {
			int r = rank(l, text, &sym[i], &sym[i + 1]);
			if (r >= 0 && (best < 0 || r < best)) {
				best = r;
				at = i;
			}
		}
		if (best < 0)
			return n;
		sym[at].n += sym[at + 1].n;
		memmove(&sym[at + 1], &sym[at + 2], (n - at - 2) * sizeof *sym);
		n--;
	}
}

/* Whether the tokenizer's tokens are these symbols, by their bytes. */
static bool
agree(const struct llm_tokenizer *t, const char *text, size_t n, const struct symbol *sym,
    size_t n_sym, unsigned flags)
{
	struct llm_ids ids = {0};
	bool good = llm_tokenizer_encode(&ids, t, text, n, flags, NULL) == 0 && ids.n == n_sym;
	for (size_t i = 0; good && i < n_sym; i++) {
		struct llm_gguf_str piece;
		good = llm_tokenizer_piece(&piece, t, ids.v[i]) && piece.n == sym[i].n &&
		       memcmp(piece.s, text + sym[i].at, piece.n) == 0;
	}
	llm_ids_free(&ids);
	return good;
}

/* One vocabulary, many texts: how many differ. */
static int
differ(const struct lexicon *l, const struct llm_tokenizer *t, bool spm)
{
	int bad = 0;
	for (int round = 0; round < 60; round++) {
		char text[MAX_TEXT + 8];
		struct symbol sym[MAX_TEXT + 8];
		size_t n = 0, n_sym = 0,
		       want = 1 + (size_t)rand() % (round % 3 == 0 ? 380 : 30);
		while (n < want) {
			const char *s = l->letters[rand() % l->n_letter];
			memcpy(text + n, s, strlen(s));
			n += strlen(s);
		}
		for (size_t at = 0; at < n; at += sym[n_sym++].n) {
			uint32_t cp;
			size_t len = spm ? llm_utf8_decode(&cp, text + at, n - at) : 1;
			sym[n_sym] = (struct symbol){at, len};
		}
		n_sym = merge(sym, n_sym, l, text, spm ? rank_spm : rank_bpe);
		/* A character that is no piece stands for its bytes. */
		struct symbol out[MAX_TEXT + 8];
		size_t n_out = 0;
		for (size_t i = 0; i < n_sym; i++) {
			char piece[88];
			snprintf(piece, sizeof piece, "%.*s", (int)sym[i].n, text + sym[i].at);
			bool whole =
			    !spm || rank_spm(l, text, &sym[i], &(struct symbol){0}) >= 0;
			for (size_t k = 0; k < sym[i].n; k += whole ? sym[i].n : 1)
				out[n_out++] =
				    (struct symbol){sym[i].at + k, whole ? sym[i].n : 1};
		}
		bad += !agree(t, text, n, out, n_out, spm ? LLM_TOKENIZE_INNER : 0);
	}
	return bad;
}

static void
test_bpe(const char *pre)
{
	struct lexicon *l = calloc(1, sizeof *l);
	static const char *const letters[] = {"a", "b", "c"};
	memcpy(l->letters, letters, sizeof letters);
	l->n_letter = 3;
	int bad = 0;
	for (int round = 0; round < 12; round++) {
		struct vocab_open v;
		struct llm_err err = {0};
		lexicon_make(l, (size_t)(5 + rand() % 90));
		struct mkfile *f = vocab_bpe(pre, l->list, l->n);
		if (vocab_open(&v, f, &err) < 0) {
			printf("# %s\n", err.msg);
			bad++;
		} else {
			bad += differ(l, v.tokenizer, false);
		}
		vocab_close(&v);
		mkfile_free(f);
	}
	tap_ok(bad == 0,
	    "random merges give what the textbook gives, by the rule %s (%d differ)", pre, bad);
	free(l);
}

static void
test_spm(void)
{
	struct lexicon *l = calloc(1, sizeof *l);
	/* é is a piece at times only, and then falls back to its bytes or not. */
	static const char *const letters[] = {"a", "b", " ", "\xC3\xA9"};
	memcpy(l->letters, letters, sizeof letters);
	l->n_letter = 4;
	int bad = 0;
	for (int round = 0; round < 12; round++) {
		struct vocab_open v;
		struct llm_err err = {0};
		const char *list[MAX_PIECES];
		char spelt[MAX_PIECES][80];
		lexicon_make(l, (size_t)(5 + rand() % 90));
		/* The letters are pieces too, é in every other vocabulary. */
		for (int i = 0; i < 3 + round % 2; i++) {
			strcpy(l->piece[l->n], letters[i]);
			l->score[l->n++] = -(float)(rand() % 20);
		}
		for (size_t i = 0; i < l->n; i++) {
			char *p = spelt[i];
			for (const char *s = l->piece[i]; *s != '\0'; s++)
				p += sprintf(
				    p, "%s", *s == ' ' ? "\xE2\x96\x81" : (char[]){*s, 0});
			list[i] = spelt[i];
		}
		struct mkfile *f = vocab_spm(list, l->score, l->n);
		if (vocab_open(&v, f, &err) < 0) {
			printf("# %s\n", err.msg);
			bad++;
		} else {
			bad += differ(l, v.tokenizer, true);
		}
		vocab_close(&v);
		mkfile_free(f);
	}
	tap_ok(bad == 0,
	    "random pieces and scores, ties among them, give what the textbook gives (%d "
	    "differ)",
	    bad);
	free(l);
}

/* A piece that is a token by its bytes, which merging does not reach. */
static void
test_unreached(void)
{
	static const char *const merges[] = {"b c", "a b", "ab c"};
	struct vocab_open v;
	struct mkfile *f = vocab_bpe("gpt-2", merges, 3);
	tap_ok(vocab_open(&v, f, NULL) == 0 &&
		   vocab_encodes(v.tokenizer, "abc", 3, 0, (llm_token[]){'a', 256, -1}) &&
		   vocab_encodes(v.tokenizer, "abc", 3, 0, (llm_token[]){'a', 256, -1}),
	    "by the GPT-2 rule a piece is merged even where it is a token, each time");
	vocab_close(&v);
	mkfile_str(f, "tokenizer.ggml.pre", "llama-bpe");
	tap_ok(vocab_open(&v, f, NULL) == 0 &&
		   vocab_encodes(v.tokenizer, "abc", 3, 0, (llm_token[]){258, -1}) &&
		   vocab_encodes(v.tokenizer, "abcc", 4, 0, (llm_token[]){'a', 256, 'c', -1}),
	    "by the Llama 3 rule it is looked up first");
	vocab_close(&v);
	mkfile_free(f);
}

int
main(void)
{
	srand(7);
	test_bpe("gpt-2");
	test_bpe("smollm");
	test_bpe("llama-bpe");
	test_spm();
	test_unreached();
	return tap_done();
}
