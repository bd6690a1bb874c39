/*
 * SPDX-License-Identifier: ISC
 *
 * Stop strings and unfinished characters; see stop.h.  Each stop string is followed byte by byte by the
 * automaton of Knuth, Morris and Pratt, whose state is the number of bytes that must wait for it.
 */
#include "generate/stop.h"
#include "libcore/size.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct pattern {
	char *s;
	size_t n;
	size_t *border; /* [n] longest proper prefix of s[0..i] that is also its suffix */
	size_t at;      /* longest prefix of s that the text ends with */
};

struct llm_stop {
	struct pattern *pattern;
	int n;
	char *buf; /* bytes [printed before, ...) of the answer */
	size_t n_buf, cap;
	size_t n_taken; /* of buf, given out by llm_stop_ready: dropped by the next add */
	size_t n_printed;
	size_t n_piece;
	bool ended;
};

static void
pattern_borders(struct pattern *p)
{
	size_t k = 0;
	p->border[0] = 0;
	for (size_t i = 1; i < p->n; i++) {
		while (k > 0 && p->s[i] != p->s[k])
			k = p->border[k - 1];
		k += p->s[i] == p->s[k];
		p->border[i] = k;
	}
}

/* One byte of text; true when the string is complete: no further byte may follow then. */
static bool
pattern_step(struct pattern *p, char byte)
{
	while (p->at > 0 && byte != p->s[p->at])
		p->at = p->border[p->at - 1];
	p->at += byte == p->s[p->at];
	return p->at == p->n;
}

/*
 * How many bytes at the end of s[0..n) are the beginning of a character that further bytes could still
 * complete (Unicode, table 3-7: well-formed UTF-8).
 */
static size_t
unfinished(const char *text, size_t n)
{
	const unsigned char *s = (const unsigned char *)text;
	for (size_t k = 1; k <= 3 && k <= n; k++) {
		unsigned c = s[n - k];
		if ((c & 0xC0) == 0x80)
			continue;
		size_t len = c >= 0xC2 && c < 0xE0   ? 2
			     : c >= 0xE0 && c < 0xF0 ? 3
			     : c >= 0xF0 && c < 0xF5 ? 4
						     : 1;
		if (k >= len)
			return 0;
		unsigned second = k > 1 ? s[n - k + 1] : 0x90;
		bool ill = (c == 0xE0 && k > 1 && second < 0xA0) ||
			   (c == 0xED && k > 1 && second > 0x9F) ||
			   (c == 0xF0 && second < 0x90) ||
			   (c == 0xF4 && k > 1 && second > 0x8F);
		return ill ? 0 : k;
	}
	return 0;
}

bool
llm_stop_add(struct llm_stop *s, const char *bytes, size_t n)
{
	assert(n <= s->n_piece);
	memmove(s->buf, s->buf + s->n_taken, s->n_buf - s->n_taken);
	s->n_buf -= s->n_taken;
	s->n_taken = 0;
	for (size_t i = 0; i < n && !s->ended; i++) {
		size_t longest = 0;
		assert(s->n_buf < s->cap);
		s->buf[s->n_buf++] = bytes[i];
		for (int k = 0; k < s->n; k++)
			if (pattern_step(&s->pattern[k], bytes[i]) && s->pattern[k].n > longest)
				longest = s->pattern[k].n;
		if (longest > 0) {
			s->n_buf -= longest;
			s->ended = true;
		}
	}
	return s->ended;
}

void
llm_stop_end(struct llm_stop *s)
{
	s->ended = true;
}

size_t
llm_stop_ready(const char **bytes, struct llm_stop *s)
{
	size_t wait = 0;
	if (!s->ended) {
		for (int k = 0; k < s->n; k++)
			if (s->pattern[k].at > wait)
				wait = s->pattern[k].at;
		wait += unfinished(s->buf, s->n_buf - wait);
	}
	size_t ready = s->n_buf - wait - s->n_taken;
	*bytes = s->buf + s->n_taken;
	s->n_taken += ready;
	s->n_printed += ready;
	return ready;
}

size_t
llm_stop_printed(const struct llm_stop *s)
{
	return s->n_printed;
}

void
llm_stop_reset(struct llm_stop *s)
{
	s->n_buf = s->n_taken = s->n_printed = 0;
	s->ended = false;
	for (int k = 0; k < s->n; k++)
		s->pattern[k].at = 0;
}

static int
pattern_set(struct pattern *p, const char *string, struct llm_err *err)
{
	size_t bytes;
	p->n = strlen(string);
	if (p->n == 0)
		return llm_err_set(err, LLM_EUSAGE, "an empty stop string");
	if (!llm_size_mul(&bytes, p->n, sizeof *p->border))
		return llm_err_nomem(err, SIZE_MAX);
	p->s = malloc(p->n);
	p->border = malloc(bytes);
	if (p->s == NULL || p->border == NULL)
		return llm_err_nomem(err, bytes);
	memcpy(p->s, string, p->n);
	pattern_borders(p);
	return 0;
}

int
llm_stop_new(struct llm_stop **out, const char *const *strings, int n, size_t n_piece,
    struct llm_err *err)
{
	struct llm_stop *s = calloc(1, sizeof *s);
	int rc = 0;
	size_t longest = 0;
	if (s == NULL)
		return llm_err_nomem(err, sizeof *s);
	s->pattern = calloc((size_t)(n > 0 ? n : 1), sizeof *s->pattern);
	if (s->pattern == NULL) {
		rc = llm_err_nomem(err, (size_t)n * sizeof *s->pattern);
		goto out;
	}
	for (int k = 0; k < n; k++) {
		s->n = k + 1;
		if ((rc = pattern_set(&s->pattern[k], strings[k], err)) < 0)
			goto out;
		if (s->pattern[k].n > longest)
			longest = s->pattern[k].n;
	}
	s->n_piece = n_piece;
	/* What waits is shorter than the longest string, and then an unfinished character. */
	s->cap = longest + n_piece + 4;
	s->buf = malloc(s->cap);
	if (s->buf == NULL)
		rc = llm_err_nomem(err, s->cap);
out:
	if (rc < 0) {
		llm_stop_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void
llm_stop_free(struct llm_stop *s)
{
	if (s == NULL)
		return;
	for (int k = 0; k < s->n; k++) {
		free(s->pattern[k].s);
		free(s->pattern[k].border);
	}
	free(s->pattern);
	free(s->buf);
	free(s);
}
