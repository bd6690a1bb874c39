/*
 * SPDX-License-Identifier: ISC
 *
 * WordPiece on a small vocabulary: what is dropped, spaced out, stripped, made small and cut, and which
 * pieces words become.
 */
#include "tests/encoder.h"
#include "tests/tap.h"
#include "tokenize/wordpiece.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct llm_wordpiece *wordpiece;

/* The pieces of a text between [CLS] and [SEP], "##" before those that go on, separated by a space. */
static char *
pieces(const char *text, size_t n)
{
	static char out[4096];
	struct llm_ids ids = {0};
	struct llm_err err;
	size_t used = 0;
	out[0] = '\0';
	if (llm_wordpiece_encode(&ids, wordpiece, text, n, &err) < 0)
		return strcpy(out, err.msg);
	if (ids.n < 2 || ids.v[0] != ENCODER_CLS || ids.v[ids.n - 1] != ENCODER_SEP)
		strcpy(out, "not between [CLS] and [SEP]");
	for (size_t i = 1; i + 1 < ids.n && used < 4000; i++) {
		const char *s = encoder_tokens[ids.v[i]];
		bool begins = strncmp(s, "\xE2\x96\x81", 3) == 0,
		     name = s[0] == '[' && s[1] != '\0';
		used += (size_t)snprintf(out + used, sizeof out - used, "%s%s%s",
		    used > 0 ? " " : "", begins || name ? "" : "##", begins ? s + 3 : s);
	}
	llm_ids_free(&ids);
	return out;
}

static void
check(const char *text, const char *want, const char *name)
{
	const char *got = pieces(text, strlen(text));
	tap_ok(strcmp(got, want) == 0, "%s (%s)", name, got);
}

static void
test_words(void)
{
	check("", "", "an empty text is [CLS] [SEP]");
	check(" \t\r\n ", "", "and so is one of spaces");
	check("the disk is full", "the disk is full", "words of the vocabulary are one piece");
	check("unaffable", "un ##aff ##able", "others the longest pieces from the left");
	check("abx", "ab ##x", "even where a shorter beginning would do");
	check("The DISK", "the disk", "letters are made small");
	check("full.", "full .", "punctuation is a word");
	check("a,,b", "a , , b", "each of it");
	check("[CLS]", "[ c ##l ##s ]", "the name of a token is text");
	check("the\xC3\xA9", "the ##e", "accents are stripped");
	check("e\xCC\x81x", "e ##x", "those that stand alone too");
	check("\xC3\x84\xC3\x96", "a ##o", "of capitals too");
	check("ab\xE6\x97\xA5x", "ab \xE6\x97\xA5 x", "a Chinese character is a word");
	check("a\xE2\x80\x8B"
	      "b",
	    "ab", "what has no width is dropped");
	check("a\xC2\xA0"
	      "b",
	    "a b", "a space that does not break is a space");
	check("a\x01"
	      "b\x7F",
	    "ab", "control characters are dropped");
	check("a\xFF\xFE"
	      "b",
	    "ab", "bytes that are no UTF-8 too");
	check("a\xEF\xBF\xBD"
	      "b",
	    "ab", "as is U+FFFD itself");
	check("\xCE\xB1", "[UNK]", "a word that has no pieces is unknown");
	check("ab\xCE\xB1"
	      "c the",
	    "[UNK] the", "as a whole");
	check("?", "[UNK]", "punctuation that the vocabulary lacks too");
}

static void
test_lengths(void)
{
	char text[260];
	memset(text, 'x', sizeof text);
	tap_ok(
	    strncmp(pieces(text, 100), "x ##x", 5) == 0, "a word of 100 characters has pieces");
	tap_ok(strcmp(pieces(text, 101), "[UNK]") == 0, "one of 101 is unknown");
	text[100] = ' ';
	tap_ok(strlen(pieces(text, 202)) > 300, "a space makes two of it");
	memset(text, 'X', sizeof text);
	tap_ok(strcmp(pieces(text, 101), "[UNK]") == 0, "capitals count the same");
	for (int i = 0; i < 200; i += 2)
		memcpy(text + i, "\xC3\xA9", 2);
	tap_ok(
	    strncmp(pieces(text, 200), "e ##e", 5) == 0, "characters are counted, not bytes");
	text[200] = '\xC3', text[201] = '\xA9';
	tap_ok(strcmp(pieces(text, 202), "[UNK]") == 0, "without the accents that go");
	tap_ok(strcmp(pieces("a\0b", 3), "ab") == 0, "a NUL is dropped");
}

/* Many marks that are kept, of classes that would have to be sorted: time is linear. */
static void
test_marks(void)
{
	enum { N = 300000 };
	char *text = malloc(3 * N);
	if (text == NULL)
		exit(1);
	for (int i = 0; i < N; i++)
		memcpy(text + 3 * i, i % 2 ? "\xEA\xA7\x80" : "\xE3\x80\xAE", 3);
	tap_ok(strcmp(pieces(text, 3 * N), "[UNK]") == 0,
	    "marks without end are one unknown word, soon");
	free(text);
}

static struct llm_gguf *
file_open(void (*change)(struct mkfile *f))
{
	struct encoder_shape shape = {1, 32, 1, 32, 16, LLM_DTYPE_F32};
	struct llm_gguf *g = NULL;
	struct llm_err err = {0};
	char path[] = "/tmp/llm-wordpiece-XXXXXX";
	int fd = mkstemp(path);
	struct mkfile *f = encoder_file(&shape);
	if (change != NULL)
		change(f);
	if (fd < 0 || mkfile_write(f, path, 1) < 0 || llm_gguf_open(&g, path, &err) < 0) {
		printf("# no file: %s\n", err.msg);
		exit(1);
	}
	mkfile_free(f);
	close(fd);
	unlink(path);
	return g;
}

static void
no_tokens(struct mkfile *f)
{
	mkfile_unset(f, "tokenizer.ggml.tokens");
}
static void
far_unk(struct mkfile *f)
{
	mkfile_u32(f, "tokenizer.ggml.unknown_token_id", 100000);
}
static void
no_sep(struct mkfile *f)
{
	static char *const tokens[] = {"[CLS]", "[UNK]", "a"};
	mkfile_unset(f, "tokenizer.ggml.seperator_token_id");
	mkfile_strs(f, "tokenizer.ggml.tokens", tokens, 3);
}
static void
other_kind(struct mkfile *f)
{
	mkfile_str(f, "tokenizer.ggml.model", "t5");
}

static void
test_refusals(void)
{
	static const struct {
		void (*change)(struct mkfile *f);
		int code;
	} rows[] = {{no_tokens, LLM_EDATA}, {far_unk, LLM_EDATA}, {no_sep, LLM_EDATA},
	    {other_kind, LLM_EUNSUPPORTED}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct llm_wordpiece *w;
		struct llm_err err = {0};
		struct llm_gguf *g = file_open(rows[i].change);
		int rc = llm_wordpiece_open(&w, g, &err);
		tap_ok(rc == rows[i].code, "refused: %s", err.msg);
		if (rc == 0)
			llm_wordpiece_close(w);
		llm_gguf_close(g);
	}
}

int
main(void)
{
	struct llm_err err;
	struct llm_gguf *g = file_open(NULL);
	if (llm_wordpiece_open(&wordpiece, g, &err) < 0) {
		printf("# %s\n", err.msg);
		return 1;
	}
	test_words();
	test_lengths();
	test_marks();
	llm_wordpiece_close(wordpiece);
	llm_gguf_close(g);
	test_refusals();
	return tap_done();
}
