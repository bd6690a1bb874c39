/*
 * SPDX-License-Identifier: ISC
 *
 * Error codes and messages; see err.h.
 */
#include "libcore/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct err_row {
	int code, status;
	const char *name, *sentence;
};

static const struct err_row rows[] = {
#define LLM_ERR_ROW(name, code, status, sentence) {(code), (status), "E" #name, sentence},
    LLM_ERRORS(LLM_ERR_ROW)
#undef LLM_ERR_ROW
};

static const struct err_row *
row_find(int code)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].code == code)
			return &rows[i];
	return NULL;
}

int
llm_err_set(struct llm_err *err, int code, const char *fmt, ...)
{
	if (err == NULL)
		return code;
	va_list ap;
	va_start(ap, fmt);
	err->code = code;
	vsnprintf(err->msg, sizeof err->msg, fmt, ap);
	va_end(ap);
	return code;
}

int
llm_err_nomem(struct llm_err *err, size_t n_bytes)
{
	return llm_err_set(
	    err, LLM_ENOMEM, "out of memory: %zu bytes could not be had", n_bytes);
}

int
llm_err_status(int code)
{
	if (code >= 0)
		return 0;
	const struct err_row *row = row_find(code);
	return row != NULL ? row->status : 70;
}

const char *
llm_err_name(int code)
{
	const struct err_row *row = row_find(code);
	return row != NULL ? row->name : "EUNKNOWN";
}

const char *
llm_err_sentence(int code)
{
	const struct err_row *row = row_find(code);
	return row != NULL ? row->sentence : "unknown error";
}

/* Length of the well-formed UTF-8 sequence at s, or 0; a message must not carry half of one. */
static size_t
utf8_len(const unsigned char *s, size_t n)
{
	unsigned c = s[0];
	size_t len = c < 0x80                ? 1
		     : c >= 0xC2 && c < 0xE0 ? 2
		     : c >= 0xE0 && c < 0xF0 ? 3
		     : c >= 0xF0 && c < 0xF5 ? 4
					     : 0;
	if (len == 0 || len > n)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xC0) != 0x80)
			return 0;
	if ((c == 0xE0 && s[1] < 0xA0) || (c == 0xED && s[1] > 0x9F) ||
	    (c == 0xF0 && s[1] < 0x90) || (c == 0xF4 && s[1] > 0x8F) ||
	    (c == 0xC2 && s[1] < 0xA0))
		return 0;
	return len;
}

char *
llm_err_quote(char *buf, size_t size, const char *bytes, size_t n)
{
	const unsigned char *s = (const unsigned char *)bytes;
	size_t out = 0;
	for (size_t i = 0; i < n;) {
		char piece[5];
		size_t len = utf8_len(s + i, n - i), used = len;
		if (len == 0 || s[i] < 0x20 || s[i] == 0x7F || s[i] == '\\') {
			snprintf(piece, sizeof piece, "\\x%02X", s[i]);
			len = 4;
			used = 1;
		} else {
			memcpy(piece, s + i, len);
		}
		/* Room for this piece, and for "..." unless it is the last. */
		if (out + len + (i + used < n ? 3 : 0) + 1 > size) {
			for (int dot = 0; dot < 3 && out + 1 < size; dot++)
				buf[out++] = '.';
			break;
		}
		memcpy(buf + out, piece, len);
		out += len;
		i += used;
	}
	if (size > 0)
		buf[out] = '\0';
	return buf;
}
