/*
 * SPDX-License-Identifier: ISC
 *
 * Text to ids; see tokenizer.h.  Special names divide the text, a rule divides what lies between into
 * pieces, a piece that is a token is looked up, any other is merged.
 */
#include "tokenize/tokenizer.h"

#include "libcore/size.h"
#include "tokenize/tokenizer_private.h"

#include <stdlib.h>
#include <string.h>

/* One call of encode. */
struct run {
	struct llm_ids *ids;
	const struct llm_tokenizer *t;
	const char *text; /* whole, for offsets in messages */
	unsigned flags;
	struct llm_merge merge;
	struct llm_err *err;
};

static int
missing_byte(const struct run *r, const char *at)
{
	return llm_err_set(r->err, LLM_EDATA,
	    "%s: the vocabulary has no token for the byte 0x%02X, at offset %zu of the text",
	    llm_gguf_path(r->t->gguf), (unsigned char)*at, (size_t)(at - r->text));
}

/* Merges a piece into r->merge. */
static int
piece_merge(struct run *r, struct llm_gguf_str piece)
{
	int rc = llm_merge_reserve(&r->merge, piece.n, r->err);
	if (rc < 0)
		return rc;
	if (r->t->kind == LLM_TOKENIZER_SPM)
		llm_spm_merge(&r->merge, &r->t->spm, piece);
	else
		llm_bpe_merge(&r->merge, &r->t->bpe, piece);
	return 0;
}

/* 1 where token id, which is this piece, is what its bytes merge into; 0 where not; or an error. */
static int
is_whole(struct run *r, llm_token id, struct llm_gguf_str piece)
{
	const struct llm_tokenizer *t = r->t;
	if (t->whole == NULL)
		return 1;
	unsigned char state = atomic_load_explicit(&t->whole[id], memory_order_relaxed);
	if (state == WHOLE_UNKNOWN) {
		int rc = piece_merge(r, piece);
		if (rc < 0)
			return rc;
		state = r->merge.n == 1 && r->merge.sym[0].id == id ? WHOLE_YES : WHOLE_NO;
		atomic_store_explicit(&t->whole[id], state, memory_order_relaxed);
	}
	return state == WHOLE_YES;
}

/* Appends the symbols that a piece was merged into. */
static void
piece_push(struct run *r, struct llm_gguf_str piece)
{
	llm_token *out = r->ids->v + r->ids->n;
	for (size_t i = 0; i < r->merge.n; i++) {
		const struct llm_merge_sym *sym = &r->merge.sym[i];
		if (sym->id >= 0)
			*out++ = sym->id;
		for (uint32_t k = sym->start; sym->id < 0 && k < sym->end; k++)
			*out++ = r->t->vocab.byte[(unsigned char)piece.s[k]];
	}
	r->ids->n = (size_t)(out - r->ids->v);
}

/* The first byte of a piece that has no token; its n where all have one. */
static size_t
byte_missing(const struct llm_tokenizer *t, struct llm_gguf_str piece)
{
	size_t i = 0;
	while (i < piece.n && t->vocab.byte[(unsigned char)piece.s[i]] >= 0)
		i++;
	return i;
}

/* Merges a piece that is no token, and appends what comes of it. */
static int
piece_pieces(struct run *r, struct llm_gguf_str piece)
{
	int rc = piece_merge(r, piece);
	if (rc >= 0)
		rc = llm_ids_reserve(r->ids, piece.n, r->err);
	if (rc >= 0)
		piece_push(r, piece);
	return rc;
}

/* The same with U+FFFD for each byte that has no token. */
static int
piece_replaced(struct run *r, struct llm_gguf_str piece)
{
	static const char replacement[] = "\xEF\xBF\xBD";
	struct llm_gguf_str whole = {replacement, 3};
	size_t size = SIZE_MAX, n = 0;
	if (byte_missing(r->t, whole) < 3)
		return missing_byte(r, piece.s + byte_missing(r->t, piece));
	char *text = llm_size_mul(&size, piece.n, 3) ? malloc(size) : NULL;
	if (text == NULL)
		return llm_err_nomem(r->err, size);
	for (size_t i = 0; i < piece.n; i++) {
		bool have = r->t->vocab.byte[(unsigned char)piece.s[i]] >= 0;
		memcpy(text + n, have ? piece.s + i : replacement, have ? 1 : 3);
		n += have ? 1 : 3;
	}
	int rc = piece_pieces(r, (struct llm_gguf_str){text, n});
	free(text);
	return rc;
}

static int
piece_encode(struct run *r, struct llm_gguf_str piece)
{
	llm_token id = llm_strmap_find(&r->t->vocab.text, piece.s, piece.n);
	int rc = id >= 0 ? is_whole(r, id, piece) : 0;
	if (rc != 0)
		return rc < 0 ? rc : llm_ids_push(r->ids, id, r->err);
	size_t bad = byte_missing(r->t, piece);
	if (bad == piece.n)
		return piece_pieces(r, piece);
	if (r->flags & LLM_TOKENIZE_REPLACE)
		return piece_replaced(r, piece);
	return missing_byte(r, piece.s + bad);
}

/* A text without special names, of which a SentencePiece model sees a space before its start. */
static int
prefixed_encode(struct run *r, const char *text, size_t n)
{
	const struct llm_spm *spm = &r->t->spm;
	/* The prefix joins leading spaces, and the word that follows them. */
	size_t end = llm_spm_next(spm, text, n, 0), bytes;
	if (!llm_size_add(&bytes, end, 1))
		return llm_err_nomem(r->err, SIZE_MAX);
	char *first = malloc(bytes);
	if (first == NULL)
		return llm_err_nomem(r->err, bytes);
	first[0] = ' ';
	memcpy(first + 1, text, end);
	int rc = piece_encode(r, (struct llm_gguf_str){first, bytes});
	free(first);
	for (size_t i = end; rc >= 0 && i < n; i = end) {
		end = llm_spm_next(spm, text, n, i);
		rc = piece_encode(r, (struct llm_gguf_str){text + i, end - i});
	}
	return rc;
}

/* A text without special names. */
static int
plain_encode(struct run *r, const char *text, size_t n, bool start)
{
	const struct llm_tokenizer *t = r->t;
	int rc = 0;
	if (n == 0)
		return 0;
	if (start && t->space_prefix)
		return prefixed_encode(r, text, n);
	for (size_t i = 0, end; rc >= 0 && i < n; i = end) {
		end = t->kind == LLM_TOKENIZER_SPM ? llm_spm_next(&t->spm, text, n, i)
						   : llm_split_next(t->rule, text, n, i);
		rc = piece_encode(r, (struct llm_gguf_str){text + i, end - i});
	}
	return rc;
}

int
llm_tokenizer_encode(struct llm_ids *ids, const struct llm_tokenizer *t, const char *text,
    size_t n, unsigned flags, struct llm_err *err)
{
	struct run r = {.ids = ids, .t = t, .text = text, .flags = flags, .err = err};
	const struct llm_special *names = flags & LLM_TOKENIZE_SPECIAL ? &t->all : &t->added;
	bool start = !(flags & LLM_TOKENIZE_INNER);
	size_t at = 0;
	int rc = 0;
	while (rc >= 0 && at < n) {
		llm_token id = -1;
		size_t name = llm_special_find(&id, names, text, n, at);
		rc = plain_encode(&r, text + at, name - at, start);
		start = start && name == at;
		at = name;
		if (rc < 0 || name == n)
			break;
		rc = llm_ids_push(ids, id, err);
		at += t->vocab.off[id + 1] - t->vocab.off[id];
		/* What follows a control token is the start of a text. */
		start = t->vocab.type[id] == LLM_VOCAB_CONTROL;
	}
	llm_merge_free(&r.merge);
	return rc < 0 ? rc : 0;
}

static bool
is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

size_t
llm_tokenizer_cut(const struct llm_tokenizer *t, const char *text, size_t n, unsigned flags)
{
	const struct llm_special *names = flags & LLM_TOKENIZE_SPECIAL ? &t->all : &t->added;
	bool spm = t->kind == LLM_TOKENIZER_SPM;
	if (names->spaced || (spm && (!t->spm.words || names->n_len > 0)))
		return 0;
	/*
	 * A space after a letter or digit, of which every BPE rule makes two pieces and looks back at neither;
	 * in SentencePiece a space after anything else.
	 */
	for (size_t i = n; i-- > 1;)
		if (spm ? text[i] == ' ' && text[i - 1] != ' '
			: is_space(text[i]) && is_letter_or_digit(text[i - 1]))
			return i;
	return 0;
}
