/*
 * SPDX-License-Identifier: ISC
 *
 * Squeezes the text of a Jinja template for the recogniser in template.c: a scanner of tags, string
 * literals and comments, without an interpreter.  The result is never longer than the text.
 */
#include "tokenize/jinja.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 1 << 20 };

struct squeeze {
	const char *s;
	size_t n, i; /* text, and where the scan stands */
	char *out;
	size_t n_out;
};

static bool
at(const struct squeeze *q, const char *word)
{
	size_t n = strlen(word);
	return n <= q->n - q->i && memcmp(q->s + q->i, word, n) == 0;
}

static void
put(struct squeeze *q, char c)
{
	if (c != '\0' && c != LLM_JINJA_OPEN[0] && c != LLM_JINJA_CLOSE[0])
		q->out[q->n_out++] = c;
}

static int
hex(const char *s, size_t n)
{
	int value = 0;
	for (size_t i = 0; i < n; i++) {
		const char *digits = "0123456789abcdef", *d;
		char c = s[i] >= 'A' && s[i] <= 'F' ? (char)(s[i] - 'A' + 'a') : s[i];
		if (c == '\0' || (d = strchr(digits, c)) == NULL)
			return -1;
		value = value * 16 + (int)(d - digits);
	}
	return value;
}

/* A code point below 0x10000 as UTF-8: at most three bytes, where \uHHHH took six. */
static void
put_code(struct squeeze *q, int c)
{
	if (c < 0x80) {
		put(q, (char)c);
	} else if (c < 0x800) {
		put(q, (char)(0xc0 | c >> 6));
		put(q, (char)(0x80 | (c & 0x3f)));
	} else {
		put(q, (char)(0xe0 | c >> 12));
		put(q, (char)(0x80 | (c >> 6 & 0x3f)));
		put(q, (char)(0x80 | (c & 0x3f)));
	}
}

/* \xHH and \uHHHH; false where it is neither. */
static bool
put_numeric_escape(struct squeeze *q)
{
	size_t width = q->s[q->i + 1] == 'x' ? 2 : q->s[q->i + 1] == 'u' ? 4 : 0;
	int code;
	if (width == 0 || q->n - q->i < 2 + width || (code = hex(q->s + q->i + 2, width)) < 0 ||
	    (code >= 0xd800 && code < 0xe000))
		return false;
	put_code(q, code);
	q->i += 2 + width;
	return true;
}

static void
put_escape(struct squeeze *q)
{
	static const char names[] = "ntr\\'\"", values[] = "\n\t\r\\'\"";
	const char *name = q->s[q->i + 1] != '\0' ? strchr(names, q->s[q->i + 1]) : NULL;
	if (name != NULL) {
		put(q, values[name - names]);
		q->i += 2;
	} else if (!put_numeric_escape(q)) {
		put(q, q->s[q->i++]);
	}
}

/* From a quote to past the same quote. */
static void
literal(struct squeeze *q)
{
	char quote = q->s[q->i++];
	size_t n = q->n_out;
	if (n >= 2 && q->out[n - 2] == LLM_JINJA_CLOSE[0] &&
	    (q->out[n - 1] == '+' || q->out[n - 1] == '~'))
		q->n_out -= 2;
	else
		q->out[q->n_out++] = LLM_JINJA_OPEN[0];
	while (q->i < q->n && q->s[q->i] != quote) {
		if (q->s[q->i] == '\\' && q->i + 1 < q->n)
			put_escape(q);
		else
			put(q, q->s[q->i++]);
	}
	q->i++;
	q->out[q->n_out++] = LLM_JINJA_CLOSE[0];
}

/* From "{{" or "{%" to past "}}" or "%}". */
static void
tag(struct squeeze *q)
{
	put(q, q->s[q->i++]);
	put(q, q->s[q->i++]);
	if (at(q, "-") || at(q, "+"))
		q->i++;
	while (q->i < q->n && !at(q, "}}") && !at(q, "%}")) {
		char c = q->s[q->i];
		if (c == '\'' || c == '"')
			literal(q);
		else if (strchr(" \t\r\n", c) != NULL || at(q, "-}}") || at(q, "-%}") ||
			 at(q, "+%}"))
			q->i++;
		else
			put(q, q->s[q->i++]);
	}
	for (int k = 0; k < 2 && q->i < q->n; k++)
		put(q, q->s[q->i++]);
}

int
llm_jinja_squeeze(char **out, size_t *n_out, const char *text, size_t n, struct llm_err *err)
{
	struct squeeze q = {.s = text, .n = n};
	*out = NULL;
	if (n > MAX_BYTES)
		return llm_err_set(err, LLM_EDATA, "chat template of %zu bytes; at most %d", n,
		    (int)MAX_BYTES);
	/* A literal adds at most as many bytes as its quotes take, but for one that is not closed. */
	if ((q.out = malloc(n + 2)) == NULL)
		return llm_err_nomem(err, n + 2);
	while (q.i < n) {
		if (at(&q, "{#")) {
			size_t end = llm_jinja_find(text, n, q.i + 2, "#}");
			q.i = end == (size_t)-1 ? n : end + 2;
		} else if (at(&q, "{{") || at(&q, "{%")) {
			tag(&q);
		} else {
			put(&q, text[q.i++]);
		}
	}
	q.out[q.n_out] = '\0';
	*out = q.out;
	*n_out = q.n_out;
	return 0;
}

size_t
llm_jinja_find(const char *hay, size_t n_hay, size_t from, const char *needle)
{
	size_t n = strlen(needle);
	while (n <= n_hay && from <= n_hay - n) {
		const char *p = memchr(hay + from, needle[0], n_hay - n - from + 1);
		if (p == NULL)
			break;
		from = (size_t)(p - hay);
		if (memcmp(p, needle, n) == 0)
			return from;
		from++;
	}
	return (size_t)-1;
}
