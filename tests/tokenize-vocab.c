/*
 * SPDX-License-Identifier: ISC
 *
 * Vocabularies as an adversary would write them, one thing wrong in each: refused in one line that
 * names it.  And what SentencePiece and control tokens do in small vocabularies.
 */
#include "tests/tap.h"
#include "tests/vocab.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const merges[] = {"a b", "ab c", "\xC4\xA0 a"};
static const char *const pieces[] = {"\xE2\x96\x81", "a", "b", "\342\226\201a", "ab", "  "};
static const float scores[] = {-9, -8, -7, -1, -2, -3};

static bool
refused(const struct mkfile *f, int code, const char *what)
{
	struct vocab_open v;
	struct llm_err err = {0};
	int rc = vocab_open(&v, f, &err);
	bool good = rc == code && strstr(err.msg, what) != NULL &&
		    strchr(err.msg, '\n') == NULL && strstr(err.msg, "vocab-") != NULL;
	if (!good)
		printf("# %d %s\n", rc, err.msg);
	vocab_close(&v);
	return good;
}

/* Both refusals of one change. */
#define REFUSED(spm, code, what, name, ...)                                                   \
	do {                                                                                  \
		struct mkfile *f =                                                            \
		    (spm) ? vocab_spm(pieces, scores, 6) : vocab_bpe("llama-bpe", merges, 3); \
		__VA_ARGS__;                                                                  \
		tap_ok(refused(f, code, what), "%s", name);                                   \
		mkfile_free(f);                                                               \
	} while (0)

enum { BPE, SPM };

static void
strs(struct mkfile *f, const char *key, const char *one)
{
	mkfile_strs(f, key, (char *[]){(char *)(uintptr_t)one}, 1);
}

/* The key's items with item i changed. */
static void
item(struct mkfile *f, const char *key, size_t i, const char *with)
{
	char *all[300] = {NULL};
	size_t n = 0;
	for (size_t k = 0; k < f->n_key; k++) {
		if (strcmp(f->key[k].name, key) != 0)
			continue;
		/* Item type, count, then a length and bytes each. */
		const unsigned char *p = f->key[k].value;
		uint64_t count, len;
		memcpy(&count, p + 4, 8);
		p += 12;
		for (n = 0; n < count && n < 300; n++) {
			memcpy(&len, p, 8);
			all[n] = strndup((const char *)p + 8, len);
			p += 8 + len;
		}
	}
	free(all[i]);
	all[i] = strdup(with);
	mkfile_strs(f, key, all, n);
	while (n > 0)
		free(all[--n]);
}

static void
types(struct mkfile *f, size_t n, size_t i, int32_t type)
{
	int32_t all[300];
	for (size_t k = 0; k < n; k++)
		all[k] = 1;
	all[i] = type;
	mkfile_i32s(f, "tokenizer.ggml.token_type", all, n);
}

#define KEY "tokenizer.ggml."

static void
test_bpe(void)
{
	REFUSED(BPE, LLM_EDATA, KEY "model is missing", "no vocabulary is refused",
	    mkfile_unset(f, KEY "model"));
	REFUSED(BPE, LLM_EUNSUPPORTED, "wordpiece",
	    "an unknown kind of vocabulary is refused by name",
	    mkfile_str(f, KEY "model", "wordpiece"));
	REFUSED(BPE, LLM_EDATA, KEY "model", "a kind that is no string is refused",
	    mkfile_u32(f, KEY "model", 1));
	REFUSED(BPE, LLM_EUNSUPPORTED, "qwen2", "an unknown pre-token rule is refused by name",
	    mkfile_str(f, KEY "pre", "qwen2"));
	REFUSED(BPE, LLM_EUNSUPPORTED, KEY "pre",
	    "a missing pre-token rule is refused, not guessed", mkfile_unset(f, KEY "pre"));
	REFUSED(BPE, LLM_EUNSUPPORTED, "default",
	    "the rule named default is not guessed either",
	    mkfile_str(f, KEY "pre", "default"));
	REFUSED(BPE, LLM_EUNSUPPORTED, "llama-bp\\x1B",
	    "control bytes in a rule's name are escaped",
	    mkfile_str(f, KEY "pre", "llama-bp\033"));
	REFUSED(BPE, LLM_EUNSUPPORTED, "add_space_prefix",
	    "a space prefix, which byte-level BPE has not, is refused",
	    mkfile_bool(f, KEY "add_space_prefix", true));
	REFUSED(BPE, LLM_EDATA, KEY "tokens", "missing tokens are refused",
	    mkfile_unset(f, KEY "tokens"));
	REFUSED(BPE, LLM_EDATA, KEY "tokens", "tokens that are no strings are refused",
	    mkfile_i32s(f, KEY "tokens", (int32_t[]){1, 2}, 2));
	REFUSED(BPE, LLM_EDATA, "0 tokens", "an empty vocabulary is refused",
		mkfile_strs(f, KEY "tokens", NULL, 0);
		mkfile_i32s(f, KEY "token_type", NULL, 0));
	REFUSED(BPE, LLM_EDATA, KEY "token_type", "missing types are refused",
	    mkfile_unset(f, KEY "token_type"));
	REFUSED(
	    BPE, LLM_EDATA, "258", "fewer types than tokens are refused", types(f, 258, 0, 1));
	REFUSED(
	    BPE, LLM_EDATA, "260", "more types than tokens are refused", types(f, 260, 0, 1));
	REFUSED(BPE, LLM_EDATA, "type", "type 0 is refused", types(f, 259, 7, 0));
	REFUSED(BPE, LLM_EDATA, "type", "type 7 is refused", types(f, 259, 7, 7));
	REFUSED(BPE, LLM_EDATA, "type", "type -1 is refused", types(f, 259, 7, -1));
	REFUSED(BPE, LLM_EDATA, "byte", "type byte in byte-level BPE is refused",
	    types(f, 259, 7, 6));
	REFUSED(BPE, LLM_EDATA, "token 256", "two equal tokens are refused",
	    item(f, KEY "tokens", 257, "ab"));
	REFUSED(BPE, LLM_EDATA, "token 65", "a token that spells no bytes is refused",
	    item(f, KEY "tokens", 65, "\xE2\x82\xAC"));
	REFUSED(BPE, LLM_EDATA, "token 65", "a token that is no UTF-8 is refused",
	    item(f, KEY "tokens", 65, "\xC4"));
	REFUSED(BPE, LLM_EDATA, "token 65", "an empty token is refused",
	    item(f, KEY "tokens", 65, ""));
	REFUSED(BPE, LLM_EDATA, KEY "bos_token_id is 259",
	    "a begin token out of range is refused", mkfile_u32(f, KEY "bos_token_id", 259));
	REFUSED(BPE, LLM_EDATA, KEY "eos_token_id", "an end token of -1 is refused",
	    mkfile_int(f, KEY "eos_token_id", LLM_GGUF_I32, -1));
	REFUSED(BPE, LLM_EDATA, KEY "eot_token_id", "an end of turn out of range is refused",
	    mkfile_u32(f, KEY "eot_token_id", 1000000));
	REFUSED(BPE, LLM_EDATA, KEY "eom_token_id",
	    "an end of message that is a string is refused",
	    mkfile_str(f, KEY "eom_token_id", "1"));
	REFUSED(BPE, LLM_EDATA, KEY "add_bos_token",
	    "an add_bos_token of another type is refused",
	    mkfile_str(f, KEY "add_bos_token", "yes"));
}

/* Merges; and tokens and merges that are too long. */
static void
test_merges(void)
{
	char *big = calloc(1, 70001);
	memset(big, 'x', 70000);
	REFUSED(BPE, LLM_EDATA, "65535", "a token of 70,000 bytes is refused",
	    item(f, KEY "tokens", 65, big));
	REFUSED(BPE, LLM_EDATA, "merge 1", "a merge of 70,000 bytes is refused", big[1] = ' ';
		item(f, KEY "merges", 1, big));
	free(big);
	REFUSED(BPE, LLM_EDATA, KEY "merges", "missing merges are refused",
	    mkfile_unset(f, KEY "merges"));
	REFUSED(BPE, LLM_EDATA, "merge 1 (ab", "a merge of an unknown left side is refused",
	    item(f, KEY "merges", 1, "abab c"));
	REFUSED(BPE, LLM_EDATA, "merge 0", "a merge of an unknown right side is refused",
		item(f, KEY "tokens", 258, "axy");
		item(f, KEY "merges", 0, "a xy"));
	REFUSED(BPE, LLM_EDATA, "merge 0", "a merge into an unknown token is refused",
	    item(f, KEY "merges", 0, "a c"));
	REFUSED(BPE, LLM_EDATA, "merge 2", "a merge without a space is refused",
	    item(f, KEY "merges", 2, "ab"));
	REFUSED(BPE, LLM_EDATA, "merge 2", "a merge with nothing after the space is refused",
	    item(f, KEY "merges", 2, "ab "));
	REFUSED(BPE, LLM_EDATA, "merge 2", "an empty merge is refused",
	    item(f, KEY "merges", 2, ""));
	REFUSED(BPE, LLM_EDATA, "merge 2", "a merge that stands there twice is refused",
	    item(f, KEY "merges", 2, "a b"));
	REFUSED(BPE, LLM_EDATA, KEY "merges", "merges that are no strings are refused",
		strs(f, KEY "x", "y");
		mkfile_f32s(f, KEY "merges", (float[]){1}, 1));
}

static void
test_spm(void)
{
	float score[265] = {0};
	REFUSED(SPM, LLM_EDATA, KEY "scores", "missing scores are refused",
	    mkfile_unset(f, KEY "scores"));
	REFUSED(SPM, LLM_EDATA, "264", "fewer scores than tokens are refused",
	    mkfile_f32s(f, KEY "scores", score, 264));
	score[264] = NAN;
	REFUSED(SPM, LLM_EDATA, "token 264", "a score that is no number is refused",
	    mkfile_f32s(f, KEY "scores", score, 265));
	score[264] = INFINITY;
	REFUSED(SPM, LLM_EDATA, "token 264", "an infinite score is refused",
	    mkfile_f32s(f, KEY "scores", score, 265));
	int32_t type[265];
	for (int i = 0; i < 265; i++)
		type[i] = i < 3 ? 3 : i == 3 + 0x41 ? 5 : i < 259 ? 6 : 1;
	REFUSED(SPM, LLM_EDATA, "<0x41>", "a missing byte token is refused",
	    mkfile_i32s(f, KEY "token_type", type, 265));
	REFUSED(SPM, LLM_EDATA, "token 69", "two tokens for a byte are refused",
	    item(f, KEY "tokens", 3 + 0x42, "<0x41>"));
	REFUSED(SPM, LLM_EDATA, "token 70", "a byte token of another spelling is refused",
	    item(f, KEY "tokens", 70, "<0xg1>"));
	REFUSED(SPM, LLM_EUNSUPPORTED, "normalises", "a model that normalises is refused",
	    mkfile_bool(f, KEY "remove_extra_whitespaces", true));
	REFUSED(SPM, LLM_EUNSUPPORTED, "normalises", "a map of characters is refused",
	    mkfile_str(f, KEY "precompiled_charsmap", "x"));
}

#define ENCODES(v, flags, text, ...)                                \
	vocab_encodes((v).tokenizer, text, sizeof(text) - 1, flags, \
	    (const llm_token[]){__VA_ARGS__, -1})

static void
test_prefix(void)
{
	struct vocab_open v;
	struct mkfile *f = vocab_spm(pieces, scores, 5);
	tap_ok(vocab_open(&v, f, NULL) == 0 && llm_tokenizer_space_prefix(v.tokenizer) &&
		   llm_tokenizer_adds_bos(v.tokenizer),
	    "a SentencePiece file that says nothing has a space prefix and a begin token");
	tap_ok(ENCODES(v, 0, "ab", 262, 261) && ENCODES(v, 0, " ab", 259, 262, 261) &&
		   ENCODES(v, LLM_TOKENIZE_INNER, "ab", 263),
	    "a space stands before a text, and not before what goes on");
	tap_ok(vocab_encodes(v.tokenizer, "", 0, 0, (llm_token[]){-1}),
	    "no space stands before nothing");
	tap_ok(ENCODES(v, LLM_TOKENIZE_INNER, "\xE2\x96\x81", 3 + 0xE2, 3 + 0x96, 3 + 0x81) &&
		   ENCODES(v, LLM_TOKENIZE_INNER,
		       "\xFF\xC3"
		       "a",
		       3 + 0xFF, 3 + 0xC3, 260),
	    "what is no piece falls back to bytes, the mark of a space among them");
	tap_ok(ENCODES(v, LLM_TOKENIZE_INNER, "<0x41>", 3 + '<', 3 + '0', 3 + 'x', 3 + '4',
		   3 + '1', 3 + '>') &&
		   ENCODES(v, LLM_TOKENIZE_INNER, "</s>", 3 + '<', 3 + '/', 3 + 's', 3 + '>'),
	    "the names of byte and control tokens are text");
	tap_ok(ENCODES(v, LLM_TOKENIZE_SPECIAL, "<s>a</s>a", 1, 262, 2, 262),
	    "after a control token a text begins");
	tap_ok(ENCODES(v, LLM_TOKENIZE_SPECIAL, "<unk>", 259, 3 + '<', 3 + 'u', 3 + 'n',
		   3 + 'k', 3 + '>'),
	    "the unknown token has no name");
	vocab_close(&v);
	mkfile_bool(f, KEY "add_space_prefix", false);
	mkfile_bool(f, KEY "add_bos_token", false);
	tap_ok(vocab_open(&v, f, NULL) == 0 && ENCODES(v, 0, "ab", 263) &&
		   !llm_tokenizer_adds_bos(v.tokenizer),
	    "a file that says so has neither");
	vocab_close(&v);
	mkfile_free(f);
}

static void
test_types(void)
{
	struct vocab_open v;
	struct mkfile *f = vocab_bpe("gpt-2", merges, 3);
	item(f, KEY "tokens", 257, "<x y>");
	item(f, KEY "tokens", 256, "<x");
	types(f, 259, 257, 4);
	mkfile_strs(f, KEY "merges", NULL, 0);
	tap_ok(vocab_open(&v, f, NULL) == 0 &&
		   ENCODES(v, 0, "a<x y>b<x y", 'a', 257, 'b', '<', 'x', ' ', 'y'),
	    "a token that was added to the vocabulary is found in text, whole");
	tap_ok(llm_tokenizer_cut(v.tokenizer, "ab cd", 5, 0) == 0,
	    "where such a token has a space in it, no text is cut");
	vocab_close(&v);
	int32_t added[259];
	for (int i = 0; i < 259; i++)
		added[i] = i == 256 || i == 257 ? 4 : 1;
	mkfile_i32s(f, KEY "token_type", added, 259);
	tap_ok(vocab_open(&v, f, NULL) == 0 && ENCODES(v, 0, "<x y><x", 257, 256),
	    "of two that start at one place the longer is found");
	vocab_close(&v);
	types(f, 259, 257, 4);
	item(f, KEY "tokens", 257, "<|x|>");
	tap_ok(vocab_open(&v, f, NULL) == 0 && llm_tokenizer_is_control(v.tokenizer, 257) &&
		   ENCODES(v, 0, "<|x|>", '<', '|', 'x', '|', '>') &&
		   ENCODES(v, LLM_TOKENIZE_SPECIAL, "<|x|>", 257),
	    "one that looks like a control token is one");
	vocab_close(&v);
	types(f, 259, 257, 1);
	mkfile_u32(f, KEY "eos_token_id", 257);
	tap_ok(vocab_open(&v, f, NULL) == 0 && llm_tokenizer_is_control(v.tokenizer, 257) &&
		   llm_tokenizer_is_end(v.tokenizer, 257) &&
		   ENCODES(v, 0, "<|x|>", '<', '|', 'x', '|', '>'),
	    "the end token is a control token whatever its type");
	vocab_close(&v);
	mkfile_free(f);

	f = vocab_bpe("gpt-2", merges, 3);
	types(f, 259, 7, 5); /* the byte 7 has no token */
	struct llm_ids ids = {0};
	struct llm_err err = {0};
	tap_ok(vocab_open(&v, f, &err) == 0 &&
		   llm_tokenizer_encode(&ids, v.tokenizer, "ab\x07", 3, 0, &err) == LLM_EDATA &&
		   strstr(err.msg, "0x07") != NULL && strstr(err.msg, "offset 2") != NULL,
	    "a byte that has no token is refused by its place");
	tap_ok(ENCODES(v, LLM_TOKENIZE_REPLACE,
		   "ab\x07"
		   "c",
		   256, 0xEF, 0xBF, 0xBD, 'c'),
	    "or becomes U+FFFD where that is asked for");
	llm_ids_free(&ids);
	vocab_close(&v);
	mkfile_free(f);
}

/* Whether the ids of both sides of each cut are those of the whole. */
static bool
cuts_well(const struct vocab_open *v)
{
	static const char *const parts[] = {
	    "a", "ab", " ", "  ", "\n", "1", "'s", ".", "\xC3\xA9"};
	struct llm_ids whole = {0}, sides = {0};
	bool good = true;
	int n_cut = 0;
	for (int round = 0; round < 3000 && good; round++) {
		char text[100];
		size_t n = 0;
		for (int i = 0; i < 20; i++)
			n += (size_t)sprintf(text + n, "%s", parts[(size_t)rand() % 9]);
		size_t seen = 1 + (size_t)rand() % n, at;
		at = llm_tokenizer_cut(v->tokenizer, text, seen, 0);
		n_cut += at > 0;
		whole.n = sides.n = 0;
		good = at <= seen &&
		       llm_tokenizer_encode(&whole, v->tokenizer, text, n, 0, NULL) == 0 &&
		       llm_tokenizer_encode(&sides, v->tokenizer, text, at, 0, NULL) == 0 &&
		       llm_tokenizer_encode(&sides, v->tokenizer, text + at, n - at,
			   at > 0 ? LLM_TOKENIZE_INNER : 0, NULL) == 0 &&
		       whole.n == sides.n &&
		       memcmp(whole.v, sides.v, whole.n * sizeof *whole.v) == 0;
	}
	llm_ids_free(&whole);
	llm_ids_free(&sides);
	return good && n_cut > 1000;
}

static void
test_cut(void)
{
	static const char *const rules[] = {"llama-bpe", "gpt-2", "smollm"};
	static const char *const blanks[] = {"a b", "\xC4\xA0 a", "\xC4\xA0 \xC4\xA0",
	    "\xC4\x8A \xC4\x8A", ". \xC4\x8A", "\xC4\xA0 \xC4\x8A", "1 1", "1 \xC4\xA0"};
	struct vocab_open v;
	srand(3);
	for (int i = 0; i < 3; i++) {
		struct mkfile *f = vocab_bpe(rules[i], blanks, 8);
		tap_ok(vocab_open(&v, f, NULL) == 0 && cuts_well(&v),
		    "a text that is cut has the ids of the whole, by the rule %s", rules[i]);
		tap_ok(llm_tokenizer_cut(v.tokenizer, "12 345\n67", 9, 0) == 6,
		    "a text of numbers alone is cut, by the rule %s", rules[i]);
		vocab_close(&v);
		mkfile_free(f);
	}
	struct mkfile *f = vocab_spm(pieces, scores, 5);
	tap_ok(vocab_open(&v, f, NULL) == 0 && cuts_well(&v), "and with SentencePiece");
	vocab_close(&v);
	mkfile_free(f);
	static const char *const crossing[] = {"a\xE2\x96\x81", "a", "\xE2\x96\x81"};
	f = vocab_spm(crossing, scores, 3);
	tap_ok(vocab_open(&v, f, NULL) == 0 &&
		   llm_tokenizer_cut(v.tokenizer, "aa aa", 5, 0) == 0 &&
		   ENCODES(v, LLM_TOKENIZE_INNER, "aa a", 260, 259, 260),
	    "where a piece has a space after a letter, no text is cut there");
	vocab_close(&v);
	mkfile_free(f);
}

int
main(void)
{
	test_bpe();
	test_merges();
	test_spm();
	test_prefix();
	test_types();
	test_cut();
	return tap_done();
}
