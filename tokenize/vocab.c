/*
 * SPDX-License-Identifier: ISC
 *
 * The vocabulary of a GGUF file; see vocab.h.
 */
#include "tokenize/vocab.h"

#include "libcore/size.h"

#include <stdio.h>
#include <stdlib.h>

int
llm_vocab_array(const struct llm_gguf_key **out, const struct llm_gguf *g, const char *name,
    enum llm_gguf_type item_type, struct llm_err *err)
{
	int rc = llm_gguf_array(out, g, name, item_type, err);
	if (rc == 0)
		return llm_err_set(
		    err, LLM_EDATA, "%s: key %s is missing", llm_gguf_path(g), name);
	return rc;
}

/*
 * GPT-2 writes the bytes that print (! to ~, U+00A1 to U+00AC, U+00AE to U+00FF) as the characters
 * of that number, and the 68 others in order as U+0100 and on.  The byte of a character, or -1.
 */
static int
unspell_char(unsigned cp)
{
	if ((cp >= 0x21 && cp <= 0x7E) || (cp >= 0xA1 && cp <= 0xFF && cp != 0xAD))
		return (int)cp;
	if (cp < 0x100 || cp > 0x143)
		return -1;
	cp -= 0x100;
	return cp <= 0x20 ? (int)cp : cp <= 0x42 ? (int)cp - 0x21 + 0x7F : 0xAD;
}

int
llm_vocab_unspell(char *out, const char *s, size_t n)
{
	char *p = out;
	for (const char *end = s + n; s < end;) {
		unsigned c = (unsigned char)*s++;
		if (c > 0x20 && c < 0x7F) {
			*p++ = (char)c;
			continue;
		}
		if (c < 0xC2 || c > 0xC5 || s == end || (*s & 0xC0) != 0x80)
			return -1;
		int byte = unspell_char((c & 0x1F) << 6 | (*s++ & 0x3F));
		if (byte < 0)
			return -1;
		*p++ = (char)byte;
	}
	return (int)(p - out);
}

/* SentencePiece writes a space as U+2581. */
static int
unspell_spm(char *out, const char *s, size_t n)
{
	char *p = out;
	for (const char *end = s + n; s < end; p++) {
		bool space = end - s >= 3 && memcmp(s, "\xE2\x96\x81", 3) == 0;
		*p = space ? ' ' : *s;
		s += space ? 3 : 1;
	}
	return (int)(p - out);
}

/* The byte that "<0xHH>" names, or -1. */
static int
byte_named(struct llm_gguf_str s)
{
	static const char digits[] = "0123456789ABCDEF";
	if (s.n != 6 || memcmp(s.s, "<0x", 3) != 0 || s.s[5] != '>')
		return -1;
	const char *high = memchr(digits, s.s[3], 16), *low = memchr(digits, s.s[4], 16);
	return high == NULL || low == NULL ? -1 : (int)((high - digits) * 16 + (low - digits));
}

/* An id that the file may name: -1 where it does not, LLM_EDATA where it is out of range. */
static int
special_id(llm_token *out, const struct llm_gguf *g, const char *name, int n_vocab,
    struct llm_err *err)
{
	uint32_t id;
	*out = -1;
	int rc = llm_gguf_u32(&id, g, name, err);
	if (rc <= 0)
		return rc;
	if (id >= (uint32_t)n_vocab)
		return llm_err_set(err, LLM_EDATA,
		    "%s: %s is %u, not within the vocabulary of %d", llm_gguf_path(g), name,
		    (unsigned)id, n_vocab);
	*out = (llm_token)id;
	return 0;
}

int
llm_vocab_ids(struct llm_vocab *v, const struct llm_gguf *g, struct llm_err *err)
{
	int rc = special_id(&v->bos, g, "tokenizer.ggml.bos_token_id", v->n, err);
	if (rc == 0)
		rc = special_id(&v->eos, g, "tokenizer.ggml.eos_token_id", v->n, err);
	if (rc == 0)
		rc = special_id(&v->eot, g, "tokenizer.ggml.eot_token_id", v->n, err);
	if (rc == 0)
		rc = special_id(&v->eom, g, "tokenizer.ggml.eom_token_id", v->n, err);
	return rc;
}

/* A token that the file cannot have: "PATH: token ID (NAME) WHAT". */
static int
token_bad(const struct llm_gguf *g, llm_token id, struct llm_gguf_str s, const char *what,
    struct llm_err *err)
{
	char name[80];
	return llm_err_set(err, LLM_EDATA, "%s: token %d (%s) %s", llm_gguf_path(g), (int)id,
	    llm_err_quote(name, sizeof name, s.s, s.n), what);
}

/* The type that token id has for us, or LLM_EDATA. */
static int
type_read(const struct llm_vocab *v, const struct llm_gguf_key *types, llm_token id,
    struct llm_gguf_str s)
{
	int32_t type = llm_gguf_item_i32(types, (uint64_t)id);
	if (type < LLM_VOCAB_NORMAL || type > LLM_VOCAB_BYTE)
		return LLM_EDATA;
	if (id == v->bos || id == v->eos || id == v->eot || id == v->eom)
		return LLM_VOCAB_CONTROL;
	if (type == LLM_VOCAB_USER && s.n > 4 && memcmp(s.s, "<|", 2) == 0 &&
	    memcmp(s.s + s.n - 2, "|>", 2) == 0)
		return LLM_VOCAB_CONTROL;
	return type;
}

/* The bytes of token id, at out; sets its type.  At most s.n of them: a spelling never shrinks. */
static int
token_read(struct llm_vocab *v, const struct llm_gguf *g, llm_token id, struct llm_gguf_str s,
    char *out, struct llm_err *err)
{
	if (s.n > LLM_VOCAB_MAX_TOKEN)
		return token_bad(g, id, s, "is longer than 65535 bytes", err);
	switch (v->type[id]) {
	case LLM_VOCAB_BYTE: {
		int byte = byte_named(s);
		if (v->spelling != LLM_VOCAB_SPM || byte < 0)
			return token_bad(
			    g, id, s, "is of type byte but does not name one", err);
		if (v->byte[byte] >= 0)
			return token_bad(
			    g, id, s, "names a byte that has a token already", err);
		v->byte[byte] = id;
		*out = (char)byte;
		return 1;
	}
	case LLM_VOCAB_NORMAL: {
		int n = v->spelling == LLM_VOCAB_GPT2 ? llm_vocab_unspell(out, s.s, s.n)
						      : unspell_spm(out, s.s, s.n);
		if (n < 0)
			return token_bad(g, id, s,
			    "has characters that spell no byte in byte-level BPE", err);
		if (n == 0)
			return token_bad(g, id, s, "is empty", err);
		return n;
	}
	case LLM_VOCAB_USER:
		if (v->spelling == LLM_VOCAB_SPM)
			return unspell_spm(out, s.s, s.n);
		/* fall through */
	default:
		memcpy(out, s.s, s.n);
		return (int)s.n;
	}
}

/* Fills bytes, off and type; *n_special counts the tokens that have a name to be found by. */
static int
tokens_read(struct llm_vocab *v, const struct llm_gguf *g, const struct llm_gguf_key *tokens,
    const struct llm_gguf_key *types, struct llm_err *err)
{
	struct llm_gguf_str s;
	size_t cursor = 0, at = 0;
	for (llm_token id = 0; id < v->n && llm_gguf_next_str(&s, tokens, &cursor); id++) {
		int type = type_read(v, types, id, s);
		if (type < 0)
			return token_bad(g, id, s, "has a type that is not 1 to 6", err);
		v->type[id] = (unsigned char)type;
		v->off[id] = (uint32_t)at;
		int n = token_read(v, g, id, s, v->bytes + at, err);
		if (n < 0)
			return n;
		at += (size_t)n;
	}
	v->off[v->n] = (uint32_t)at;
	return 0;
}

/* Puts every token that text can become into its map. */
static int
maps_fill(struct llm_vocab *v, const struct llm_gguf *g, struct llm_err *err)
{
	size_t n_special = 0;
	for (int i = 0; i < v->n; i++)
		n_special += v->type[i] == LLM_VOCAB_CONTROL || v->type[i] == LLM_VOCAB_USER;
	int rc = llm_strmap_new(&v->text, (size_t)v->n, v->bytes, v->off, err);
	if (rc == 0)
		rc = llm_strmap_new(&v->special, n_special, v->bytes, v->off, err);
	if (rc < 0)
		return rc;
	for (llm_token id = 0; id < v->n; id++) {
		struct llm_strmap *map =
		    v->type[id] == LLM_VOCAB_NORMAL ? &v->text : &v->special;
		if (v->type[id] == LLM_VOCAB_UNKNOWN || v->type[id] == LLM_VOCAB_UNUSED ||
		    v->type[id] == LLM_VOCAB_BYTE || v->off[id] == v->off[id + 1])
			continue;
		llm_token other = llm_strmap_add(map, id);
		if (other == id)
			continue;
		struct llm_gguf_str s = {v->bytes + v->off[id], v->off[id + 1] - v->off[id]};
		char why[64] = "collides with too many others";
		if (other >= 0)
			snprintf(why, sizeof why, "is the same as token %d", (int)other);
		return token_bad(g, id, s, why, err);
	}
	return 0;
}

/* The tokens of single bytes.  SentencePiece falls back on them, so that it needs them all. */
static int
bytes_find(struct llm_vocab *v, const struct llm_gguf *g, struct llm_err *err)
{
	for (int b = 0; b < 256; b++) {
		char c = (char)b;
		if (v->spelling == LLM_VOCAB_GPT2)
			v->byte[b] = llm_strmap_find(&v->text, &c, 1);
		else if (v->byte[b] < 0)
			return llm_err_set(err, LLM_EDATA,
			    "%s: the vocabulary has no token <0x%02X> of type byte",
			    llm_gguf_path(g), (unsigned)b);
	}
	return 0;
}

int
llm_vocab_read(struct llm_vocab *v, const struct llm_gguf *g, enum llm_vocab_spelling spelling,
    struct llm_err *err)
{
	const struct llm_gguf_key *tokens, *types;
	*v = (struct llm_vocab){.spelling = spelling};
	memset(v->byte, 0xFF, sizeof v->byte);
	int rc = llm_vocab_array(&tokens, g, "tokenizer.ggml.tokens", LLM_GGUF_STRING, err);
	if (rc >= 0)
		rc = llm_vocab_array(&types, g, "tokenizer.ggml.token_type", LLM_GGUF_I32, err);
	if (rc < 0)
		return rc;
	if (!llm_size_to_int(&v->n, tokens->n_item, 1, LLM_VOCAB_MAX))
		return llm_err_set(err, LLM_EDATA,
		    "%s: the vocabulary has %llu tokens, expected 1 to %d", llm_gguf_path(g),
		    (unsigned long long)tokens->n_item, LLM_VOCAB_MAX);
	if (types->n_item != tokens->n_item)
		return llm_err_set(err, LLM_EDATA,
		    "%s: tokenizer.ggml.token_type has %llu items, the vocabulary %d",
		    llm_gguf_path(g), (unsigned long long)types->n_item, v->n);
	if (tokens->n_bytes > UINT32_MAX)
		return llm_err_set(err, LLM_EDATA,
		    "%s: the vocabulary has %zu bytes, at most %u", llm_gguf_path(g),
		    tokens->n_bytes, (unsigned)UINT32_MAX);
	rc = llm_vocab_ids(v, g, err);
	if (rc < 0)
		return rc;
	size_t n = (size_t)v->n;
	v->bytes = malloc(tokens->n_bytes + 1 + LLM_STRMAP_SLACK);
	v->off = malloc((n + 1) * sizeof *v->off);
	v->type = malloc(n);
	if (v->bytes == NULL || v->off == NULL || v->type == NULL)
		return llm_err_nomem(err, tokens->n_bytes + n * 5);
	rc = tokens_read(v, g, tokens, types, err);
	if (rc == 0)
		rc = maps_fill(v, g, err);
	return rc < 0 ? rc : bytes_find(v, g, err);
}

void
llm_vocab_free(struct llm_vocab *v)
{
	llm_strmap_free(&v->text);
	llm_strmap_free(&v->special);
	free(v->bytes);
	free(v->off);
	free(v->type);
	*v = (struct llm_vocab){0};
}
