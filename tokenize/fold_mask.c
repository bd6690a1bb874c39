/*
 * SPDX-License-Identifier: ISC
 *
 * What a word with a digit in it is: a number, a time, an address, a path, or an id.  The forms are
 * read by hand, one pass each, and none looks beyond the word.
 */
#include "tokenize/fold_private.h"

#include <string.h>

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* How many digits s[0..n) begins with, max at most. */
static size_t
digits(const char *s, size_t n, size_t max)
{
	size_t i = 0;
	while (i < n && i < max && is_digit(s[i]))
		i++;
	return i;
}

bool
llm_fold_word_is(const struct llm_fold_token *t, const char *word)
{
	size_t n = strlen(word);
	if (t->kind != FOLD_WORD || t->n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((t->s[i] | (is_letter(t->s[i]) ? 0x20 : 0)) != word[i])
			return false;
	return true;
}

enum llm_fold_kind
llm_fold_unit(const char *s, size_t n)
{
	static const char sizes[][6] = {"B", "KB", "MB", "GB", "TB", "kB", "KiB", "MiB", "GiB",
	    "TiB", "K", "M", "G", "T", "kb", "mb", "gb", "k", "bytes", "byte"};
	static const char times[][8] = {"ns", "us", "ms", "s", "sec", "secs", "second",
	    "seconds", "msec", "usec", "min", "mins", "minute", "minutes", "m", "h", "hour",
	    "hours", "d", "day", "days"};
	if (n == 0 || n > 7)
		return FOLD_WORD;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		if (sizes[i][0] == s[0] && strlen(sizes[i]) == n && memcmp(sizes[i], s, n) == 0)
			return FOLD_SIZE;
	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
		if (times[i][0] == s[0] && strlen(times[i]) == n && memcmp(times[i], s, n) == 0)
			return FOLD_DURATION;
	return FOLD_WORD;
}

/*
 * 12:34 or 12:34:56, with a fraction after '.', ',' or ':'; what may follow: Z, +00:00.  After a date
 * (loose) also 12.34.56 and 1:2:3.
 */
static bool
is_clock(const char *s, size_t n, bool loose)
{
	size_t i = digits(s, n, 2), fields = 1;
	if (i == 0)
		return false;
	char separator = i < n && loose && s[i] == '.' ? '.' : ':';
	while (fields < 3 && i + 1 < n && s[i] == separator) {
		size_t field = digits(s + i + 1, n - i - 1, 3);
		if (field != 2 && !(loose && field == 1))
			break;
		i += 1 + field;
		fields++;
	}
	if (fields < 2 || (fields == 2 && separator == '.'))
		return false;
	if (i < n && (s[i] == '.' || s[i] == ',' || s[i] == ':')) {
		size_t fraction = digits(s + i + 1, n - i - 1, 9);
		if (fraction == 0)
			return false;
		i += 1 + fraction;
	}
	if (i < n && s[i] == 'Z')
		return i + 1 == n;
	if (i < n && (s[i] == '+' || s[i] == '-'))
		return n - i <= 6 && digits(s + i + 1, n - i - 1, 4) >= 2;
	return i == n;
}

/* The length of a date that s[0..n) begins with: 2005-06-03, 2005/6/3, 17/06/09, 20050603, 03-17. */
static size_t
date_length(const char *s, size_t n)
{
	size_t a = digits(s, n, 9);
	if (a == 8 && (s[0] == '1' || s[0] == '2') && (n == 8 || !is_digit(s[8])))
		return memcmp(s, "19", 2) == 0 || memcmp(s, "20", 2) == 0 ? 8 : 0;
	if ((a != 4 && a != 2 && a != 1) || a >= n ||
	    (s[a] != '-' && s[a] != '/' && !(s[a] == '.' && a == 4)))
		return 0;
	char separator = s[a];
	size_t at = a + 1, b = digits(s + at, n - at, 3);
	if (b == 0 && at + 3 < n && is_letter(s[at]) && is_letter(s[at + 1]) &&
	    is_letter(s[at + 2]))
		b = 3; /* 10/Oct/2000 */
	else if (b == 0 || b > 2)
		return 0;
	at += b;
	if (at >= n || s[at] != separator)
		return separator == '-' && a == 2 && b == 2 ? at : 0;
	size_t c = digits(s + at + 1, n - at - 1, 5);
	return c >= 1 && c <= 4 && c != 3 ? at + 1 + c : 0;
}

/* A date, a date with a clock (joined by T, '-', ':', '_' or '.'), or a clock; else FOLD_WORD. */
static enum llm_fold_kind
time_kind(const char *s, size_t n)
{
	if (!is_digit(s[0]))
		return FOLD_WORD;
	if (is_clock(s, n, false))
		return FOLD_CLOCK;
	size_t date = date_length(s, n);
	if (date == 0)
		return FOLD_WORD;
	if (date == n)
		return date == 8 && is_digit(s[2]) && is_digit(s[5]) && is_digit(s[4])
			   ? FOLD_NUM
			   : FOLD_DATE;
	if (strchr("T-:_.@t", s[date]) != NULL && is_clock(s + date + 1, n - date - 1, true))
		return FOLD_TIME;
	return FOLD_WORD;
}

/* 1.2.3.4 at the beginning of s[0..n): its length, else 0. */
static size_t
ipv4_length(const char *s, size_t n)
{
	size_t at = 0;
	for (int i = 0; i < 4; i++) {
		size_t d = digits(s + at, n - at, 4);
		if (d == 0 || d > 3)
			return 0;
		at += d;
		if (i < 3 && (at >= n || s[at++] != '.'))
			return 0;
	}
	return at;
}

static bool
is_ip(const char *s, size_t n)
{
	size_t at = ipv4_length(s, n);
	if (at > 0) {
		if (at < n && (s[at] == ':' || s[at] == '/' || s[at] == '#' || s[at] == '.'))
			at += 1 + digits(s + at + 1, n - at - 1, 5);
		return at == n;
	}
	size_t colons = 0;
	bool doubled = false;
	for (at = 0; at < n && (is_hex(s[at]) || s[at] == ':' || (colons > 1 && s[at] == '.'));
	     at++)
		if (s[at] == ':') {
			colons++;
			doubled |= at > 0 && s[at - 1] == ':';
		}
	if (at < n && s[at] != '%' && s[at] != '/')
		return false;
	return colons == 7 || (doubled && colons >= 2);
}

/* Pairs or fours of hexadecimal digits by the places of their separators. */
static bool
is_mac(const char *s, size_t n)
{
	if (n != 17)
		return false;
	for (size_t i = 0; i < n; i++)
		if (i % 3 == 2 ? s[i] != s[2] || (s[i] != ':' && s[i] != '-') : !is_hex(s[i]))
			return false;
	return true;
}

static bool
is_uuid(const char *s, size_t n)
{
	if (n != 36)
		return false;
	for (size_t i = 0; i < n; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? s[i] != '-' : !is_hex(s[i]))
			return false;
	return true;
}

/* Hexadecimal with a prefix, or without and long enough to be no word. */
static bool
is_hex_number(const char *s, size_t n)
{
	size_t i = n > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') ? 2 : 0;
	bool prefixed = i > 0;
	while (i < n && is_hex(s[i]))
		i++;
	return i == n && (prefixed || n >= 6);
}

/* A number with a sign, a fraction, a percent sign, or a unit; else FOLD_WORD. */
static enum llm_fold_kind
number_kind(const char *s, size_t n)
{
	size_t i = s[0] == '-' || s[0] == '+' || s[0] == '#';
	size_t whole = digits(s + i, n - i, n);
	i += whole;
	if (i < n && s[i] == '.') {
		size_t fraction = digits(s + i + 1, n - i - 1, n);
		whole += fraction;
		i += 1 + fraction;
	}
	if (whole == 0)
		return FOLD_WORD;
	if (i == n || (i + 1 == n && s[i] == '%'))
		return FOLD_NUM;
	return llm_fold_unit(s + i, n - i);
}

static bool
is_path(const char *s, size_t n)
{
	if (s[0] == '/' || s[0] == '\\')
		return n > 1;
	if (n > 2 && is_letter(s[0]) && s[1] == ':' && s[2] == '\\')
		return true;
	return (n > 2 && (s[0] == '.' || s[0] == '~') && s[1] == '/') ||
	       (n > 3 && memcmp(s, "../", 3) == 0);
}

enum llm_fold_kind
llm_fold_mask(uint8_t *flags, const char *s, size_t n)
{
	enum llm_fold_kind kind = number_kind(s, n);
	if (kind != FOLD_WORD)
		return kind;
	kind = time_kind(s, n);
	if (kind != FOLD_WORD)
		return kind;
	if (s[0] == '/' && ipv4_length(s + 1, n - 1) > 0)
		return FOLD_IP;
	if (is_mac(s, n))
		return FOLD_MAC;
	if (is_ip(s, n))
		return FOLD_IP;
	if (is_uuid(s, n))
		return FOLD_UUID;
	if (is_hex_number(s, n))
		return FOLD_HEX;
	if (is_path(s, n))
		return s[0] == '\\' && is_digit(s[1]) ? FOLD_ID : FOLD_PATH;
	size_t n_digit = 0, n_letter = 0;
	for (size_t i = 0; i < n; i++) {
		n_digit += is_digit(s[i]);
		n_letter += is_letter(s[i]) || (unsigned char)s[i] >= 0x80;
		if (s[i] == ':' && n - i > 2 && s[i + 1] == '/' && s[i + 2] == '/')
			return FOLD_URL;
	}
	if (n_letter == 0)
		return FOLD_NUM;
	if (n_digit <= 2 && n_letter > n_digit && n <= 24 && !is_digit(s[0]))
		*flags |= FOLD_SMALL;
	return FOLD_ID;
}
