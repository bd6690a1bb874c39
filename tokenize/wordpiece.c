/*
 * SPDX-License-Identifier: ISC
 *
 * Words out of a text, and pieces out of words; see wordpiece.h.  Characters come one at a time: cleaned,
 * decomposed, put in canonical order, cut into words, made small.  What a word holds is bounded, since one
 * of more than MAX_CHARS characters is unknown whatever it is.
 */
#include "tokenize/wordpiece.h"

#include "tokenize/strmap.h"
#include "tokenize/utf8.h"
#include "tokenize/vocab.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_CHARS = 100, MAX_WORD = 4 * (MAX_CHARS + 1) };

struct llm_wordpiece {
	int n;
	char *bytes;              /* token i is bytes[off[i] .. off[i + 1]), without U+2581 */
	uint32_t *off;            /* [n + 1] */
	struct llm_strmap begin;  /* what begins a word */
	struct llm_strmap inside; /* what goes on */
	llm_token cls, sep, unk;
};

/* Opening. */

static const char space[] = "\xE2\x96\x81"; /* U+2581 */

static bool
is_name(struct llm_gguf_str s)
{
	return s.n >= 3 && s.s[0] == '[' && s.s[s.n - 1] == ']';
}

/* The bytes of all tokens; strings of the file were checked when it was opened. */
static int
arena_read(struct llm_wordpiece *w, const struct llm_gguf_key *tokens, const struct llm_gguf *g,
    struct llm_err *err)
{
	struct llm_gguf_str s;
	size_t cursor = 0, used = 0;
	w->n = (int)tokens->n_item;
	if (tokens->n_bytes >= UINT32_MAX)
		return llm_err_set(err, LLM_EDATA,
		    "%s: tokenizer.ggml.tokens has %zu bytes, expected less than 4 GiB",
		    llm_gguf_path(g), tokens->n_bytes);
	w->bytes = calloc(tokens->n_bytes + LLM_STRMAP_SLACK, 1);
	w->off = calloc((size_t)w->n + 1, sizeof *w->off);
	if (w->bytes == NULL || w->off == NULL)
		return llm_err_nomem(err, tokens->n_bytes);
	for (int i = 0; i < w->n && llm_gguf_next_str(&s, tokens, &cursor); i++) {
		size_t skip = s.n > 3 && memcmp(s.s, space, 3) == 0 ? 3 : 0;
		memcpy(w->bytes + used, s.s + skip, s.n - skip);
		used += s.n - skip;
		w->off[i + 1] = (uint32_t)used;
	}
	return 0;
}

static int
maps_fill(struct llm_wordpiece *w, const struct llm_gguf_key *tokens, const struct llm_gguf *g,
    struct llm_err *err)
{
	struct llm_gguf_str s;
	size_t cursor = 0;
	int rc;
	if ((rc = llm_strmap_new(&w->begin, (size_t)w->n, w->bytes, w->off, err)) < 0 ||
	    (rc = llm_strmap_new(&w->inside, (size_t)w->n, w->bytes, w->off, err)) < 0)
		return rc;
	for (int i = 0; i < w->n && llm_gguf_next_str(&s, tokens, &cursor); i++) {
		bool begins = s.n > 3 && memcmp(s.s, space, 3) == 0;
		if (s.n == 0 || (!begins && is_name(s)))
			continue;
		llm_token got = llm_strmap_add(begins ? &w->begin : &w->inside, i);
		if (got < 0)
			return llm_err_set(err, LLM_EDATA,
			    "%s: tokenizer.ggml.tokens has strings made to collide",
			    llm_gguf_path(g));
	}
	return 0;
}

/* The id of a token that the file names by a key, or that has this name. */
static int
named_read(llm_token *out, const struct llm_wordpiece *w, const struct llm_gguf *g,
    const char *const key[2], const char *name, struct llm_err *err)
{
	uint32_t v;
	for (int i = 0; i < 2; i++) {
		int rc = key[i] != NULL ? llm_gguf_u32(&v, g, key[i], err) : 0;
		if (rc < 0)
			return rc;
		if (rc > 0 && v >= (uint32_t)w->n)
			return llm_err_set(err, LLM_EDATA,
			    "%s: key %s is %u, but the vocabulary has %d tokens",
			    llm_gguf_path(g), key[i], (unsigned)v, w->n);
		if (rc > 0) {
			*out = (llm_token)v;
			return 0;
		}
	}
	size_t n = strlen(name);
	for (int i = 0; i < w->n; i++)
		if (w->off[i + 1] - w->off[i] == n &&
		    memcmp(w->bytes + w->off[i], name, n) == 0) {
			*out = i;
			return 0;
		}
	return llm_err_set(
	    err, LLM_EDATA, "%s: the vocabulary has no token %s", llm_gguf_path(g), name);
}

static int
read_all(struct llm_wordpiece *w, const struct llm_gguf *g, struct llm_err *err)
{
	const struct llm_gguf_key *tokens;
	int rc = llm_vocab_array(&tokens, g, "tokenizer.ggml.tokens", LLM_GGUF_STRING, err);
	if (rc < 0)
		return rc;
	if (tokens->n_item < 1 || tokens->n_item > LLM_VOCAB_MAX)
		return llm_err_set(err, LLM_EDATA,
		    "%s: tokenizer.ggml.tokens has %llu tokens, expected 1 to %d",
		    llm_gguf_path(g), (unsigned long long)tokens->n_item, LLM_VOCAB_MAX);
	const char *const cls[2] = {
	    "tokenizer.ggml.cls_token_id", "tokenizer.ggml.bos_token_id"};
	const char *const sep[2] = {
	    "tokenizer.ggml.seperator_token_id", "tokenizer.ggml.eos_token_id"};
	const char *const unk[2] = {"tokenizer.ggml.unknown_token_id", NULL};
	if ((rc = arena_read(w, tokens, g, err)) < 0 ||
	    (rc = maps_fill(w, tokens, g, err)) < 0 ||
	    (rc = named_read(&w->cls, w, g, cls, "[CLS]", err)) < 0 ||
	    (rc = named_read(&w->sep, w, g, sep, "[SEP]", err)) < 0)
		return rc;
	return named_read(&w->unk, w, g, unk, "[UNK]", err);
}

bool
llm_wordpiece_is(const struct llm_gguf *g)
{
	struct llm_gguf_str model;
	return llm_gguf_str(&model, g, "tokenizer.ggml.model", NULL) > 0 && model.n == 4 &&
	       memcmp(model.s, "bert", 4) == 0;
}

int
llm_wordpiece_open(struct llm_wordpiece **out, const struct llm_gguf *g, struct llm_err *err)
{
	if (!llm_wordpiece_is(g))
		return llm_err_set(err, LLM_EUNSUPPORTED,
		    "%s: an encoder with another tokenizer than WordPiece (bert) is not "
		    "supported",
		    llm_gguf_path(g));
	struct llm_wordpiece *w = calloc(1, sizeof *w);
	if (w == NULL)
		return llm_err_nomem(err, sizeof *w);
	int rc = read_all(w, g, err);
	if (rc < 0) {
		llm_wordpiece_close(w);
		return rc;
	}
	*out = w;
	return 0;
}

void
llm_wordpiece_close(struct llm_wordpiece *w)
{
	if (w == NULL)
		return;
	llm_strmap_free(&w->begin);
	llm_strmap_free(&w->inside);
	free(w->bytes);
	free(w->off);
	free(w);
}

int
llm_wordpiece_n_vocab(const struct llm_wordpiece *w)
{
	return w->n;
}

/* Encoding. */

/* A text on its way; a negative rc ends it. */
struct encode {
	const struct llm_wordpiece *w;
	struct llm_ids *ids;
	struct llm_err *err;
	int rc;
	char word[MAX_WORD]; /* small letters */
	size_t n_word;
	int n_char; /* of the word, those that had no room too */
	uint32_t
	    pending[MAX_CHARS + 2]; /* characters whose order is still open: combining ones */
	int n_pending;
};

static void
push(struct encode *e, llm_token id)
{
	if (e->rc >= 0)
		e->rc = llm_ids_push(e->ids, id, e->err);
}

/* The longest piece that begins at s[0..n), n > 0: its length, or 0; characters are never cut. */
static size_t
longest(llm_token *id, const struct llm_strmap *map, const char *s, size_t n)
{
	for (n = n < map->max_len ? n : map->max_len; n > 0; n--)
		if (((unsigned char)s[n] & 0xC0) != 0x80 &&
		    (*id = llm_strmap_find(map, s, n)) >= 0)
			return n;
	return 0;
}

/* The word so far, as pieces. */
static void
word_end(struct encode *e)
{
	size_t at = 0, from = e->ids->n, n;
	llm_token id = -1;
	if (e->n_char > 0 && e->n_char <= MAX_CHARS) {
		e->word[e->n_word] = '\0'; /* no byte of a character goes on there */
		for (; at < e->n_word && e->rc >= 0; at += n) {
			const struct llm_strmap *map = at == 0 ? &e->w->begin : &e->w->inside;
			n = longest(&id, map, e->word + at, e->n_word - at);
			if (n == 0)
				break;
			push(e, id);
		}
	}
	if (e->n_char > 0 && (at < e->n_word || e->n_char > MAX_CHARS) && e->rc >= 0) {
		e->ids->n = from;
		push(e, e->w->unk);
	}
	e->n_char = 0;
	e->n_word = 0;
}

/* A character in its place, not yet made small. */
static void
put(struct encode *e, uint32_t cp)
{
	enum llm_wordpiece_class class = llm_wordpiece_split(cp);
	if (class == LLM_WORDPIECE_DROP)
		return;
	if (class == LLM_WORDPIECE_ALONE)
		word_end(e);
	e->n_char++;
	if (e->n_char <= MAX_CHARS)
		e->n_word += llm_utf8_encode(e->word + e->n_word, llm_utf8_lower(cp));
	if (class == LLM_WORDPIECE_ALONE)
		word_end(e);
}

/* Puts what is pending. */
static void
flush(struct encode *e)
{
	int n = e->n_pending;
	e->n_pending = 0;
	for (int i = 0; i < n; i++)
		put(e, e->pending[i]);
}

/* A decomposed character: combining ones are sorted by their class, stably (Unicode 3.11). */
static void
take(struct encode *e, uint32_t cp)
{
	int class = cp < 0x300 ? 0 : llm_utf8_combining(cp);
	if (class == 0) {
		flush(e);
		put(e, cp);
		return;
	}
	/* Most are accents, which go whatever their place is. */
	if (llm_wordpiece_split(cp) == LLM_WORDPIECE_DROP)
		return;
	if (e->n_pending == MAX_CHARS + 1) { /* a word too long, in any order */
		e->n_char++;
		return;
	}
	int i = e->n_pending++;
	for (; i > 0 && llm_utf8_combining(e->pending[i - 1]) > class; i--)
		e->pending[i] = e->pending[i - 1];
	e->pending[i] = cp;
}

/* Small letters and digits need none of it: how many stand at s[0..n). */
static size_t
plain(const char *s, size_t n)
{
	size_t i = 0;
	while (i < n && ((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9')))
		i++;
	return i;
}

static void
character(struct encode *e, uint32_t cp)
{
	uint32_t parts[4];
	enum llm_wordpiece_class class = llm_wordpiece_clean(cp);
	if (class == LLM_WORDPIECE_DROP)
		return;
	if (class != LLM_WORDPIECE_KEEP) {
		flush(e);
		word_end(e);
	}
	if (class == LLM_WORDPIECE_SPACE)
		return;
	int n = cp < 0x80 ? (parts[0] = cp, 1) : llm_utf8_decompose(parts, cp);
	for (int i = 0; i < n; i++)
		take(e, parts[i]);
	if (class == LLM_WORDPIECE_ALONE) {
		flush(e);
		word_end(e);
	}
}

int
llm_wordpiece_encode(struct llm_ids *ids, const struct llm_wordpiece *w, const char *text,
    size_t n, struct llm_err *err)
{
	struct encode e = {.w = w, .ids = ids, .err = err};
	push(&e, w->cls);
	for (size_t i = 0; i < n && e.rc >= 0;) {
		size_t run = plain(text + i, n - i);
		if (run > 0) {
			flush(&e);
			size_t room = e.n_char < MAX_CHARS ? (size_t)(MAX_CHARS - e.n_char) : 0;
			size_t kept = run < room ? run : room;
			memcpy(e.word + e.n_word, text + i, kept);
			e.n_word += kept;
			/* More than enough is as good as all. */
			e.n_char = run > MAX_CHARS ? MAX_CHARS + 1 : e.n_char + (int)run;
			if (e.n_char > MAX_CHARS)
				e.n_char = MAX_CHARS + 1;
			i += run;
			continue;
		}
		uint32_t cp;
		i += llm_utf8_decode(&cp, text + i, n - i);
		character(&e, cp);
		if (e.n_char > MAX_CHARS)
			e.n_char = MAX_CHARS + 1;
	}
	flush(&e);
	word_end(&e);
	push(&e, w->sep);
	return e.rc;
}
