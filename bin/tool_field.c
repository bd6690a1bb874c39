/*
 * SPDX-License-Identifier: ISC
 *
 * One field of a JSON object (RFC 8259), read strictly and without building anything; see tool_records.h.
 */
#include "bin/tool_records.h"
#include "tokenize/utf8.h"

#include <string.h>

enum { MAX_DEPTH = 256 };

struct scan {
	const char *s, *end;
	int depth;
};

static void
skip_space(struct scan *j)
{
	while (
	    j->s < j->end && (*j->s == ' ' || *j->s == '\t' || *j->s == '\n' || *j->s == '\r'))
		j->s++;
}

/* The next character that is no space is c: takes it. */
static bool
takes(struct scan *j, char c)
{
	skip_space(j);
	if (j->s == j->end || *j->s != c)
		return false;
	j->s++;
	return true;
}

/* Four hexadecimal digits. */
static bool
hex4(uint32_t *out, struct scan *j)
{
	uint32_t x = 0;
	if (j->end - j->s < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		char c = *j->s++;
		int digit = c >= '0' && c <= '9'   ? c - '0'
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
			    : c >= 'A' && c <= 'F' ? c - 'A' + 10
						   : -1;
		if (digit < 0)
			return false;
		x = x * 16 + (uint32_t)digit;
	}
	*out = x;
	return true;
}

static size_t
utf8_put(char *out, uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
	for (size_t i = n; --i > 0; c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3F));
	out[0] = (char)(lead[n] | c);
	return n;
}

/* What follows a backslash, into out; a surrogate alone is no character. */
static bool
escape(char *out, size_t *n, struct scan *j)
{
	static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
	uint32_t c, low;
	if (j->s == j->end)
		return false;
	char kind = *j->s++;
	const char *at = kind != '\0' ? strchr(names, kind) : NULL;
	if (at != NULL) {
		out[(*n)++] = bytes[at - names];
		return true;
	}
	if (kind != 'u' || !hex4(&c, j))
		return false;
	if (c >= 0xD800 && c < 0xDC00) {
		if (j->end - j->s < 2 || j->s[0] != '\\' || j->s[1] != 'u')
			return false;
		j->s += 2;
		if (!hex4(&low, j) || low < 0xDC00 || low > 0xDFFF)
			return false;
		c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
	} else if (c >= 0xDC00 && c < 0xE000) {
		return false;
	}
	*n += utf8_put(out + *n, c);
	return true;
}

/* A string after its quote, decoded into out, which has room for its source: never longer. */
static bool
string(char *out, size_t *n, struct scan *j)
{
	*n = 0;
	while (j->s < j->end) {
		unsigned char c = (unsigned char)*j->s;
		if (c == '"') {
			j->s++;
			return true;
		}
		if (c < 0x20)
			return false;
		if (c == '\\') {
			j->s++;
			if (!escape(out, n, j))
				return false;
			continue;
		}
		uint32_t point;
		size_t len = llm_utf8_decode(&point, j->s, (size_t)(j->end - j->s));
		if (point == UINT32_MAX)
			return false;
		memmove(out + *n, j->s, len);
		*n += len;
		j->s += len;
	}
	return false;
}

static bool
digits(struct scan *j)
{
	const char *from = j->s;
	while (j->s < j->end && *j->s >= '0' && *j->s <= '9')
		j->s++;
	return j->s > from;
}

static bool
number(struct scan *j)
{
	if (j->s < j->end && *j->s == '-')
		j->s++;
	if (j->s < j->end && *j->s == '0')
		j->s++;
	else if (!digits(j))
		return false;
	if (j->s < j->end && *j->s == '.') {
		j->s++;
		if (!digits(j))
			return false;
	}
	if (j->s < j->end && (*j->s == 'e' || *j->s == 'E')) {
		j->s++;
		if (j->s < j->end && (*j->s == '+' || *j->s == '-'))
			j->s++;
		return digits(j);
	}
	return true;
}

static bool
word(struct scan *j, const char *w)
{
	size_t n = strlen(w);
	if ((size_t)(j->end - j->s) < n || memcmp(j->s, w, n) != 0)
		return false;
	j->s += n;
	return true;
}

static bool value(struct scan *j, char *room);

/* The members of an array or object after its bracket; room is for strings that nobody wants. */
static bool
members(struct scan *j, char close, char *room)
{
	size_t n;
	if (j->depth == MAX_DEPTH)
		return false;
	j->depth++;
	if (!takes(j, close)) {
		do {
			if (close == '}' &&
			    (!takes(j, '"') || !string(room, &n, j) || !takes(j, ':')))
				return false;
			if (!value(j, room))
				return false;
		} while (takes(j, ','));
		if (!takes(j, close))
			return false;
	}
	j->depth--;
	return true;
}

static bool
value(struct scan *j, char *room)
{
	size_t n;
	skip_space(j);
	if (j->s == j->end)
		return false;
	switch (*j->s) {
	case '"':
		j->s++;
		return string(room, &n, j);
	case '{':
		j->s++;
		return members(j, '}', room);
	case '[':
		j->s++;
		return members(j, ']', room);
	case 't':
		return word(j, "true");
	case 'f':
		return word(j, "false");
	case 'n':
		return word(j, "null");
	default:
		return number(j);
	}
}

/*
 * text holds the field once it is found; strings after it are decoded behind it: all of them together are
 * no longer than the source that they come from.
 */
const char *
tool_json_field(char *text, size_t *n_text, const char *name, const char *json, size_t n)
{
	static const char broken[] = "not a JSON object";
	struct scan j = {.s = json, .end = json + n};
	size_t len, n_name = strlen(name);
	bool found = false, is_string = false;
	*n_text = 0;
	if (!takes(&j, '{'))
		return broken;
	if (!takes(&j, '}')) {
		do {
			char *room = text + *n_text;
			if (!takes(&j, '"') || !string(room, &len, &j) || !takes(&j, ':'))
				return broken;
			bool hit = len == n_name && memcmp(room, name, len) == 0;
			skip_space(&j);
			bool quoted = j.s < j.end && *j.s == '"';
			if (hit) {
				found = true;
				is_string = quoted;
				*n_text = 0;
			}
			if (hit && quoted) {
				j.s++;
				if (!string(text, n_text, &j))
					return broken;
			} else if (!value(&j, text + *n_text)) {
				return broken;
			}
		} while (takes(&j, ','));
		if (!takes(&j, '}'))
			return broken;
	}
	skip_space(&j);
	if (j.s != j.end)
		return broken;
	if (!found)
		return "the object has no such field";
	return is_string ? NULL : "the field is not a string";
}
