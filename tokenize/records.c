/*
 * SPDX-License-Identifier: ISC
 *
 * Records of at most so many tokens; see records.h.  The tokens of a stretch say where to cut; what is
 * cut off is then counted alone, since a cut may change the tokens before it.
 */
#include "tokenize/records.h"

#include "tokenize/utf8.h"

#include <string.h>

/* Where a record may end, best first. */
enum level { PARAGRAPH, LINE, CHARACTER, NOWHERE };

/* Tokens of text[0..n), left in r->ids; or an error. */
static int
count(struct llm_records *r, const char *text, size_t n, struct llm_err *err)
{
	r->ids.n = 0;
	int rc =
	    llm_tokenizer_encode(&r->ids, r->tokenizer, text, n, LLM_TOKENIZE_REPLACE, err);
	if (rc < 0)
		return rc;
	return r->ids.n > (size_t)r->n_tok;
}

static bool
blank(const char *s, const char *end)
{
	for (; s < end; s++)
		if (*s != ' ' && *s != '\t' && *s != '\r' && *s != '\n')
			return false;
	return true;
}

/* The start of the last line that starts within (0, limit], or 0. */
static size_t
line_floor(const char *text, size_t limit)
{
	while (limit > 0 && text[limit - 1] != '\n')
		limit--;
	return limit;
}

/* The start of the last paragraph that starts within (0, limit]: a line after a blank one; or 0. */
static size_t
paragraph_floor(const char *text, size_t n, size_t limit)
{
	size_t at = line_floor(text, limit), before;
	const char *end = memchr(text + at, '\n', n - at);
	bool blank_at = at < n && blank(text + at, end == NULL ? text + n : end);
	for (; at > 0; at = before) {
		before = line_floor(text, at - 1);
		bool blank_before = blank(text + before, text + at);
		if (blank_before && !blank_at)
			return at;
		blank_at = blank_before;
	}
	return 0;
}

/* The last place within (0, limit] where a level lets text[0..n) be cut, or 0. */
static size_t
level_floor(enum level level, const char *text, size_t n, size_t limit)
{
	if (level == PARAGRAPH)
		return paragraph_floor(text, n, limit);
	return level == LINE ? line_floor(text, limit) : llm_utf8_floor(text, n, limit);
}

/* Bytes of the first n_tok tokens in r->ids, as well as their pieces tell; at most n. */
static size_t
bytes_of(const struct llm_records *r, size_t n)
{
	size_t bytes = 0;
	for (int i = 0; i < r->n_tok && bytes < n; i++) {
		struct llm_gguf_str piece = {"", 0};
		llm_tokenizer_piece(&piece, r->tokenizer, r->ids.v[i]);
		bytes += piece.n;
	}
	return bytes < n ? bytes : n;
}

/*
 * The end of the record in *len at one level, cut no later than limit, or 0 where none fits.  The first
 * try fits as a rule, the next few where a cut changes the tokens before it; otherwise by halves.
 */
static int
level_cut(size_t *len, struct llm_records *r, enum level level, const char *text, size_t n,
    size_t limit, struct llm_err *err)
{
	size_t low = 0, high = level_floor(level, text, n, limit), at = high;
	*len = 0;
	for (int tries = 0; at > low; tries++) {
		int over = count(r, text, at, err);
		if (over < 0)
			return over;
		if (over)
			high = at;
		else
			*len = low = at;
		if (low > 0 && tries < 4)
			break;
		at = level_floor(level, text, n, tries < 3 ? high - 1 : low + (high - low) / 2);
	}
	return 0;
}

/* The first character is more than a record. */
static int
too_long(struct llm_records *r, const char *text, size_t n, struct llm_err *err)
{
	uint32_t cp;
	char quoted[32];
	size_t len = llm_utf8_decode(&cp, text, n);
	int rc = count(r, text, len, err);
	if (rc < 0)
		return rc;
	return llm_err_set(err, LLM_EDATA,
	    "the character '%s' takes %zu tokens, a record at most %d",
	    llm_err_quote(quoted, sizeof quoted, text, len), r->ids.n, r->n_tok);
}

int
llm_records_next(size_t *len, struct llm_records *r, const char *text, size_t n, bool end,
    struct llm_err *err)
{
	/* A stretch that is more than a record, found by doubling. */
	size_t window = (size_t)r->n_tok * 4 + 64, w;
	int rc;
	*len = 0;
	for (;; window *= 2) {
		w = window < n ? llm_utf8_floor(text, n, window) : n;
		if ((rc = count(r, text, w, err)) < 0)
			return rc;
		if (rc > 0 || w == n)
			break;
	}
	if (rc == 0) {
		*len = end ? n : 0;
		return 0;
	}
	size_t limit = bytes_of(r, w);
	for (enum level level = r->at == LLM_RECORDS_PARAGRAPH ? PARAGRAPH : LINE;
	     level < NOWHERE; level++)
		if ((rc = level_cut(len, r, level, text, n, limit, err)) < 0 || *len > 0)
			return rc;
	return too_long(r, text, n, err);
}

void
llm_records_free(struct llm_records *r)
{
	llm_ids_free(&r->ids);
}
