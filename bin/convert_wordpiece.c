/*
 * SPDX-License-Identifier: ISC
 *
 * tokenizer.json of an uncased BERT, as keys: its rules must be the ones that tokenize/wordpiece.c has; its
 * vocabulary is spelt as llama.cpp spells it, U+2581 before what begins a word, no ## before what goes on.
 */
#include "bin/convert.h"
#include "bin/tool.h"

#include <stdlib.h>
#include <string.h>

static const char file_name[] = "tokenizer.json";

/* Whether a member is this boolean, or is not there. */
static bool
bool_is(const struct llm_json *object, const char *name, bool value)
{
	bool v = value;
	llm_json_bool(&v, llm_json_member(object, name));
	return v == value;
}

static void
rules_check(const struct convert *c, const struct llm_json *tokenizer)
{
	const struct llm_json *norm = llm_json_member(tokenizer, "normalizer");
	const struct llm_json *pre = llm_json_member(tokenizer, "pre_tokenizer");
	const struct llm_json *model = llm_json_member(tokenizer, "model");
	int64_t most = 100;
	llm_json_int(&most, llm_json_member(model, "max_input_chars_per_word"));
	if (llm_json_member(model, "type") != NULL && !convert_is(model, "type", "WordPiece"))
		convert_refuse(c, file_name, "the model is not WordPiece");
	if (!convert_is(norm, "type", "BertNormalizer") || !bool_is(norm, "lowercase", true) ||
	    !bool_is(norm, "clean_text", true) || !bool_is(norm, "strip_accents", true) ||
	    !bool_is(norm, "handle_chinese_chars", true))
		convert_refuse(c, file_name,
		    "the normalizer is not an uncased BertNormalizer, which alone is computed");
	if (!convert_is(pre, "type", "BertPreTokenizer"))
		convert_refuse(c, file_name, "the pre_tokenizer is not BertPreTokenizer");
	if (!convert_is(model, "continuing_subword_prefix", "##") || most != 100)
		convert_refuse(c, file_name,
		    "pieces are not marked by ## in words of at most 100 characters");
}

/* A token as llama.cpp spells it, in out, which has room for three bytes more. */
static size_t
spell(char *out, const char *s, size_t n)
{
	if (n >= 2 && s[0] == '[' && s[n - 1] == ']') {
		memcpy(out, s, n);
		return n;
	}
	if (n >= 2 && s[0] == '#' && s[1] == '#') {
		memcpy(out, s + 2, n - 2);
		return n - 2;
	}
	memcpy(out, "\xE2\x96\x81", 3);
	memcpy(out + 3, s, n);
	return n + 3;
}

/* The vocabulary by id, each spelt in its own memory; every id from 0 to n - 1 stands there once. */
static struct llm_gguf_str *
tokens_read(const struct convert *c, const struct llm_json *vocab, int n)
{
	struct llm_gguf_str *token = calloc((size_t)n, sizeof *token);
	const char *name;
	const struct llm_json *v;
	void *cursor = NULL;
	if (token == NULL)
		tool_fail(LLM_ENOMEM, "out of memory");
	if (!llm_json_is_object(vocab) || llm_json_n(vocab) != (size_t)n)
		convert_refuse(c, file_name,
		    "the vocabulary has %zu tokens, but vocab_size of config.json is %d",
		    llm_json_n(vocab), n);
	while (llm_json_next(&name, &v, vocab, &cursor)) {
		int64_t id;
		size_t n_name = strlen(name);
		if (!llm_json_int(&id, v) || id < 0 || id >= n || token[id].s != NULL)
			convert_refuse(c, file_name,
			    "a token's id is no number of its own from 0 to %d", n - 1);
		char *s = malloc(n_name + 3);
		if (s == NULL)
			tool_fail(LLM_ENOMEM, "out of memory");
		token[id].n = spell(s, name, n_name);
		token[id].s = s;
	}
	return token;
}

/* Control tokens are those that the file adds as special. */
static void
types_add(struct convert *c, const struct llm_json *tokenizer, int n)
{
	const struct llm_json *added = llm_json_member(tokenizer, "added_tokens");
	int32_t *type = malloc((size_t)n * sizeof *type);
	if (type == NULL)
		tool_fail(LLM_ENOMEM, "out of memory");
	for (int i = 0; i < n; i++)
		type[i] = 1; /* normal */
	for (size_t i = 0; i < llm_json_n(added); i++) {
		const struct llm_json *a = llm_json_at(added, i);
		bool special = false;
		int64_t id;
		llm_json_bool(&special, llm_json_member(a, "special"));
		if (!llm_json_int(&id, llm_json_member(a, "id")) || id < 0 || id >= n)
			convert_refuse(c, file_name,
			    "an added token's id is no number from 0 to %d", n - 1);
		type[id] = special ? 3 : 4; /* control, user-defined */
	}
	llm_gguf_writer_i32s(&c->writer, "tokenizer.ggml.token_type", type, (size_t)n);
	free(type);
}

/* The keys of the tokens with a part of their own. */
static void
named_add(struct convert *c, const struct llm_json *vocab)
{
	static const struct {
		const char *token, *key;
		bool need;
	} named[] = {
	    {"[CLS]", "tokenizer.ggml.bos_token_id", true},
	    {"[SEP]", "tokenizer.ggml.eos_token_id", true},
	    {"[UNK]", "tokenizer.ggml.unknown_token_id", true},
	    {"[SEP]", "tokenizer.ggml.seperator_token_id", true}, /* as the format spells it */
	    {"[PAD]", "tokenizer.ggml.padding_token_id", false},
	    {"[CLS]", "tokenizer.ggml.cls_token_id", true},
	    {"[MASK]", "tokenizer.ggml.mask_token_id", false},
	};
	for (size_t i = 0; i < sizeof named / sizeof named[0]; i++) {
		int64_t id;
		if (llm_json_int(&id, llm_json_member(vocab, named[i].token)))
			llm_gguf_writer_u32(&c->writer, named[i].key, (uint32_t)id);
		else if (named[i].need)
			convert_refuse(
			    c, file_name, "the vocabulary has no token %s", named[i].token);
	}
}

void
convert_wordpiece(struct convert *c, int n_vocab)
{
	struct llm_json *tokenizer = convert_json(c, file_name, true);
	rules_check(c, tokenizer);
	const struct llm_json *vocab =
	    llm_json_member(llm_json_member(tokenizer, "model"), "vocab");
	struct llm_gguf_str *token = tokens_read(c, vocab, n_vocab);
	llm_gguf_writer_str(&c->writer, "tokenizer.ggml.model", "bert", 4);
	llm_gguf_writer_str(&c->writer, "tokenizer.ggml.pre", "default", 7);
	llm_gguf_writer_strs(&c->writer, "tokenizer.ggml.tokens", token, (size_t)n_vocab);
	types_add(c, tokenizer, n_vocab);
	named_add(c, vocab);
	for (int i = 0; i < n_vocab; i++)
		free((char *)(uintptr_t)token[i].s);
	free(token);
	llm_json_free(tokenizer);
}
