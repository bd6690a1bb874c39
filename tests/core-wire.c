/*
 * SPDX-License-Identifier: ISC
 *
 * Messages go out and come in as they were, and what is no message is refused in a line, at no cost that its bytes do
 * not have.
 */
#include "libcore/wire.h"
#include "tests/tap.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/resource.h>

static struct llm_err err;
static struct llm_wire_out *out;
static struct llm_wire_msg *msg;

static const struct llm_wire_value *
parse(const void *bytes, size_t n)
{
	llm_wire_msg_free(msg);
	msg = NULL;
	err.msg[0] = '\0';
	return llm_wire_parse(&msg, bytes, n, &err) < 0 ? NULL : llm_wire_root(msg);
}

/* The message that is open ends; its payload. */
static const unsigned char *
payload(size_t *n)
{
	if (llm_wire_end(out, &err) < 0)
		return NULL;
	const unsigned char *p = llm_wire_bytes(n, out);
	size_t len = 0;
	if (p == NULL || llm_wire_length(&len, p, &err) < 0 || len + LLM_WIRE_HEAD != *n)
		return NULL;
	*n = len;
	return p + LLM_WIRE_HEAD;
}

static void
drop(void)
{
	size_t n;
	llm_wire_bytes(&n, out);
	llm_wire_take(out, n);
}

/* What was written since the begin, read again. */
static const struct llm_wire_value *
again(void)
{
	size_t n;
	const unsigned char *p = payload(&n);
	static unsigned char copy[LLM_WIRE_MAX];
	if (p == NULL)
		return NULL;
	memcpy(copy, p, n);
	drop();
	return parse(copy, n);
}

static void
numbers(void)
{
	bool same = true;
	for (int shift = 0; shift < 64; shift++)
		for (int add = -1; add <= 1; add++) {
			uint64_t u = ((uint64_t)1 << shift) + (uint64_t)(int64_t)add, got_u = 1;
			int64_t down = -(int64_t)(u & INT64_MAX), got = 1;
			llm_wire_begin(out);
			llm_wire_put_uint(out, "u", u);
			llm_wire_put_int(out, "down", down);
			const struct llm_wire_value *m = again();
			same = same && m != NULL &&
			       llm_wire_get_uint(&got_u, m, "u", &err) == 1 && got_u == u &&
			       llm_wire_get_int(&got, m, "down", INT64_MIN, INT64_MAX, &err) ==
				   1 &&
			       got == down;
		}
	tap_ok(same, "integers of every width come back");
	llm_wire_begin(out);
	llm_wire_put_int(out, "min", INT64_MIN);
	llm_wire_put_int(out, "max", INT64_MAX);
	llm_wire_put_uint(out, "all", UINT64_MAX);
	const struct llm_wire_value *m = again();
	int64_t min = 0, max = 0;
	uint64_t all = 0;
	tap_ok(llm_wire_get_int(&min, m, "min", INT64_MIN, 0, &err) == 1 && min == INT64_MIN &&
		   llm_wire_get_int(&max, m, "max", 0, INT64_MAX, &err) == 1 &&
		   max == INT64_MAX && llm_wire_get_uint(&all, m, "all", &err) == 1 &&
		   all == UINT64_MAX,
	    "and the least and the greatest of them");
	static const double x[] = {
	    0, -0.0, 0.1, -1e300, DBL_MAX, DBL_MIN / 4, INFINITY, -INFINITY};
	same = true;
	for (size_t i = 0; i < sizeof x / sizeof x[0]; i++) {
		double got = 7;
		llm_wire_begin(out);
		llm_wire_put_float(out, "x", x[i]);
		same = llm_wire_get_float(&got, again(), "x", &err) == 1 &&
		       memcmp(&got, &x[i], sizeof got) == 0 && same;
	}
	tap_ok(same, "floating-point numbers come back to the bit");
	double got = 0;
	llm_wire_begin(out);
	llm_wire_put_int(out, "x", -3);
	tap_ok(llm_wire_get_float(&got, again(), "x", &err) == 1 && got == -3,
	    "an integer serves as a number");
	m = parse("\x81\xa1x\xca\x3f\x80\0\0", 8);
	tap_ok(m != NULL && llm_wire_get_float(&got, m, "x", &err) == 1 && got == 1,
	    "so does a short float");
}

static void
strings(void)
{
	static const size_t len[] = {0, 1, 31, 32, 255, 256, 65535, 65536, 1 << 20};
	char *s = malloc((1 << 20) + 1);
	bool same = true;
	for (size_t i = 0; s != NULL && i < sizeof len / sizeof len[0]; i++) {
		struct llm_wire_bytes a = {0}, b = {0};
		memset(s, 'a' + (int)i, len[i]);
		s[len[i]] = '\0';
		llm_wire_begin(out);
		llm_wire_put_str(out, "str", s);
		llm_wire_put_bin(out, "bin", s, len[i]);
		const struct llm_wire_value *m = again();
		same = same && m != NULL && llm_wire_get_bytes(&a, m, "str", &err) == 1 &&
		       llm_wire_get_bytes(&b, m, "bin", &err) == 1 && a.n == len[i] &&
		       a.s != NULL && b.s != NULL && b.n == len[i] &&
		       memcmp(a.s, s, a.n) == 0 && memcmp(b.s, s, b.n) == 0;
	}
	free(s);
	tap_ok(same, "strings and bytes of every length come back");

	/* Which of them are str, by the first byte of the value. */
	static const struct {
		const char *s;
		bool utf8;
	} text[] = {
	    {"", true},
	    {"caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x90\xA7", true},
	    {"\xF4\x8F\xBF\xBF", true},
	    {"\xED\x9F\xBF", true},
	    {"\xFF", false},
	    {"a\xC3", false},
	    {"\xC0\xAF", false},
	    {"\xE0\x80\x80", false},
	    {"\xED\xA0\x80", false},
	    {"\xF4\x90\x80\x80", false},
	    {"\xF8\x88\x80\x80\x80", false},
	    {"\xE2\x82", false},
	    {"\xE2(\xA1", false},
	    {"\x80", false},
	};
	for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
		size_t n = 0, n_text = strlen(text[i].s);
		llm_wire_begin(out);
		llm_wire_put_str(out, "k", text[i].s);
		const unsigned char *p = payload(&n);
		const unsigned char *v = p + n - n_text - (text[i].utf8 ? 1 : 2);
		same = same && v[0] == (text[i].utf8 ? 0xA0 | n_text : 0xC4);
		drop();
	}
	tap_ok(same, "text that is no UTF-8 goes as bytes");
}

static void
ids(void)
{
	static const size_t len[] = {0, 1, 15, 16, 65535, 65536, 131072};
	llm_token *v = malloc(131072 * sizeof *v), *got = NULL;
	bool same = true;
	for (size_t i = 0; v != NULL && i < 131072; i++)
		v[i] = (llm_token)(i * 2654435761u & INT32_MAX) >> (i % 31);
	for (size_t i = 0; i < sizeof len / sizeof len[0]; i++) {
		size_t n = 99;
		llm_wire_begin(out);
		llm_wire_put_ids(out, "ids", v, len[i]);
		same = llm_wire_get_ids(&got, &n, again(), "ids", &err) == 1 && n == len[i] &&
		       (n == 0 ? got == NULL : memcmp(got, v, n * sizeof *v) == 0) && same;
		free(got);
		got = NULL;
	}
	tap_ok(same, "lists of ids come back, of 131,072 too");
	llm_wire_begin(out);
	llm_wire_open_array(out, "ids");
	llm_wire_put_int(out, NULL, 5);
	llm_wire_put_int(out, NULL, -1);
	llm_wire_close(out);
	size_t n = 0;
	tap_ok(llm_wire_get_ids(&got, &n, again(), "ids", &err) == LLM_EPROTOCOL &&
		   strcmp(err.msg, "field 'ids': item 1: found -1, expected a token's id") == 0,
	    "a negative id is refused, with its place");
	llm_wire_begin(out);
	llm_wire_open_array(out, "ids");
	llm_wire_put_uint(out, NULL, (uint64_t)INT32_MAX + 1);
	llm_wire_close(out);
	tap_ok(llm_wire_get_ids(&got, &n, again(), "ids", &err) == LLM_EPROTOCOL,
	    "so is one beyond 31 bits");
	free(v);
}

static void
nested(void)
{
	llm_wire_begin(out);
	llm_wire_put_nil(out, "nothing");
	llm_wire_put_bool(out, "yes", true);
	llm_wire_put_bool(out, "no", false);
	llm_wire_open_array(out, "list");
	for (int i = 0; i < 3; i++) {
		llm_wire_open_map(out, NULL);
		llm_wire_put_int(out, "i", i);
		llm_wire_close(out);
	}
	llm_wire_put_nil(out, NULL);
	llm_wire_close(out);
	llm_wire_open_map(out, "empty");
	llm_wire_close(out);
	const struct llm_wire_value *m = again(), *list = NULL, *empty = NULL;
	bool yes = false, no = true, untouched = true, same = true;
	tap_ok(m != NULL && llm_wire_is_map(m) && llm_wire_n(m) == 5, "maps hold their fields");
	tap_ok(llm_wire_get_bool(&yes, m, "yes", &err) == 1 && yes &&
		   llm_wire_get_bool(&no, m, "no", &err) == 1 && !no,
	    "true and false come back");
	tap_ok(llm_wire_get_bool(&untouched, m, "nothing", &err) == 0 &&
		   llm_wire_get_bool(&untouched, m, "absent", &err) == 0 &&
		   llm_wire_get_bool(&untouched, NULL, "yes", &err) == 0 && untouched,
	    "what is nil or absent is not there, and the default stays");
	tap_ok(llm_wire_field(m, "yes") != NULL && llm_wire_field(m, "ye") == NULL &&
		   llm_wire_field(m, "nothing") == NULL &&
		   llm_wire_field(NULL, "yes") == NULL &&
		   llm_wire_field(llm_wire_field(m, "yes"), "yes") == NULL,
	    "a field is found by its whole key, in a map alone");
	tap_ok(llm_wire_get_array(&list, m, "list", &err) == 1 && llm_wire_n(list) == 4 &&
		   llm_wire_is_nil(llm_wire_item(list, 3)),
	    "lists hold their items");
	for (int i = 0; list != NULL && i < 3; i++) {
		int64_t v = -1;
		struct llm_wire_bytes key;
		const struct llm_wire_value *item = llm_wire_item(list, (size_t)i);
		same = same && llm_wire_get_int(&v, item, "i", i, i, &err) == 1 &&
		       llm_wire_as_int(&v, llm_wire_pair(&key, item, 0)) && v == i &&
		       key.n == 1 && key.s[0] == 'i';
	}
	tap_ok(same, "and maps within, key by key");
	tap_ok(llm_wire_get_map(&empty, m, "empty", &err) == 1 && llm_wire_n(empty) == 0,
	    "a map may be empty");
	tap_ok(llm_wire_get_int(&(int64_t){0}, list, "i", 0, 1, &err) == LLM_EPROTOCOL,
	    "a list has no keys");
}

static void
buffers(void)
{
	size_t n = 0, whole = 0, len = 0;
	llm_wire_begin(out);
	llm_wire_put_str(out, "k", "one");
	llm_wire_end(out, &err);
	llm_wire_bytes(&whole, out);
	llm_wire_take(out, 3);
	llm_wire_begin(out);
	llm_wire_put_str(out, "k", "two");
	const unsigned char *p = llm_wire_bytes(&n, out);
	tap_ok(n == whole - 3 && p[0] == whole - LLM_WIRE_HEAD,
	    "a message that is open is not yet there");
	llm_wire_end(out, &err);
	p = llm_wire_bytes(&n, out);
	tap_ok(n == 2 * whole - 3 && memcmp(p + 1 + whole, p + whole + 1, 4) == 0 &&
		   memcmp(p + n - 3, "two", 3) == 0,
	    "messages follow one another, the first taken in parts");
	llm_wire_take(out, whole - 3);
	p = llm_wire_bytes(&n, out);
	tap_ok(n == whole && llm_wire_length(&len, p, &err) == 0 && len == n - LLM_WIRE_HEAD,
	    "and then the other is left");
	llm_wire_take(out, n);
	p = llm_wire_bytes(&n, out);
	tap_ok(n == 0 && p == NULL, "and nothing after it");

	char *big = calloc(1, LLM_WIRE_MAX + 1);
	llm_wire_begin(out);
	llm_wire_put_bin(out, "b", big, LLM_WIRE_MAX - 12);
	tap_ok(again() != NULL, "16 MiB may be sent");
	llm_wire_begin(out);
	llm_wire_put_int(out, "before", 1);
	llm_wire_end(out, &err);
	llm_wire_bytes(&whole, out);
	llm_wire_begin(out);
	llm_wire_put_bin(out, "b", big, LLM_WIRE_MAX);
	llm_wire_put_int(out, "after", 1);
	tap_ok(llm_wire_end(out, &err) == LLM_EUSAGE && strstr(err.msg, "16777216") != NULL &&
		   llm_wire_bytes(&n, out) != NULL && n == whole,
	    "more is refused, and taken back to the message before");
	drop();
	llm_wire_begin(out);
	llm_wire_put_ids(out, "ids", (llm_token *)big, LLM_WIRE_ITEMS);
	tap_ok(llm_wire_end(out, &err) == LLM_EUSAGE, "so are more values than may be read");
	llm_wire_begin(out);
	for (int i = 1; i < LLM_WIRE_DEPTH; i++)
		llm_wire_open_map(out, "m");
	for (int i = 1; i < LLM_WIRE_DEPTH; i++)
		llm_wire_close(out);
	tap_ok(again() != NULL, "32 maps within one another may be sent");
	llm_wire_begin(out);
	for (int i = 0; i < LLM_WIRE_DEPTH; i++)
		llm_wire_open_map(out, "m");
	for (int i = 0; i < LLM_WIRE_DEPTH; i++)
		llm_wire_close(out);
	tap_ok(llm_wire_end(out, &err) == LLM_EUSAGE, "33 are refused");
	llm_wire_begin(out);
	llm_wire_put_int(out, "ok", 1);
	tap_ok(again() != NULL, "and the next message is as good as any");
	free(big);
}

static bool
refused(const void *bytes, size_t n, const char *why)
{
	bool good = parse(bytes, n) == NULL && err.code == LLM_EPROTOCOL &&
		    strstr(err.msg, why) != NULL && strchr(err.msg, '\n') == NULL;
	if (!good)
		printf("# got: %s, wanted: %s\n", err.msg, why);
	return good;
}
#define REFUSED(literal, why) refused(literal, sizeof literal - 1, why)

/* A message with a value of every kind. */
static const char every[] =
    "\x8f"
    "\xa1"
    "a\x7f\xa1"
    "b\xe0\xa1"
    "c\xc0\xa1"
    "d\xc2\xa1"
    "e\xc3\xa1"
    "f\xc4\x02zz\xa1"
    "g\xc5\0\x02zz\xa1"
    "h\xc6\0\0\0\x02zz\xa1"
    "i\xca\0\0\0\0\xa1"
    "j\xcb\0\0\0\0\0\0\0\0\xa1"
    "k\x9a\xcc\xff\xcd\xff\xff\xce\xff\xff\xff\xff\xcf\xff\xff\xff\xff\xff"
    "\xff\xff\xff\xd0\xff\xd1\xff\xff\xd2\xff\xff\xff\xff\xd3\xff\xff\xff"
    "\xff\xff\xff\xff\xff\x01\x02\xd9\x01"
    "l\xd9\x02zz\xda\0\x01"
    "m\xda\0\x02zz\xdb\0\0\0\x01"
    "n\xdb\0\0\0\x02zz\xa1"
    "o\x92\xdc\0\x02\xde\0\x01\xa1q\xdd\0\0\0\x01\x90\xdf\0\0\0\0\x80";

static void
refusals(void)
{
	bool all = true;
	size_t n = sizeof every - 1;
	if (!tap_ok(parse(every, n) != NULL, "every form of every type is read"))
		printf("# %s\n", err.msg);
	for (size_t i = 0; i < n; i++) {
		/* In memory of just that size, so that a reader sees where it ends. */
		char *cut = malloc(i > 0 ? i : 1);
		memcpy(cut, every, i);
		all = parse(cut, i) == NULL && err.code == LLM_EPROTOCOL &&
		      err.msg[0] != '\0' && all;
		free(cut);
	}
	tap_ok(all, "cut off at any byte it is refused");
	/* The literal's own NUL is a byte more. */
	tap_ok(refused(every, n + 1, "followed by bytes"), "with a byte more too");
	all = true;
	char changed[sizeof every];
	for (size_t i = 0; i < n; i++)
		for (int c = 0; c < 256; c++) {
			memcpy(changed, every, sizeof every);
			changed[i] = (char)c;
			all = all && (parse(changed, n) != NULL ||
					 (err.code == LLM_EPROTOCOL && err.msg[0] != '\0'));
		}
	tap_ok(all, "with any byte changed it is read or refused");

	tap_ok(refused("", 0, "cut off"), "nothing is no message");
	tap_ok(REFUSED("\x90", "no map at byte 0 of 1"), "a list is none");
	tap_ok(REFUSED("\xa1x", "no map"), "a string is none");
	tap_ok(REFUSED("\xc1", "no map"), "a byte that msgpack never uses is none");
	tap_ok(REFUSED("\x81\xa1x\xc1", "malformed"), "nor may it be inside");
	tap_ok(REFUSED("\x81\x01\x01", "a key that is no string at byte 1"),
	    "keys are strings: no number");
	tap_ok(REFUSED("\x81\xc4\x01x\x01", "a key that is no string"), "nor bytes");
	tap_ok(REFUSED("\x81\x80\x01", "a key that is no string"), "nor a map");
	tap_ok(REFUSED("\x81\xa1x\xd4\0\0", "no type that may be sent at byte 3"),
	    "extension types are refused");
	tap_ok(REFUSED("\x81\xa1x\xc7\x08\0", "no type"), "of every form");
	tap_ok(REFUSED("\x82\xa1x\x01\xa1x\x01", "the key 'x' is there twice"),
	    "a key twice is refused");
	tap_ok(REFUSED("\x82\xa2x\n\x01\xd9\x02x\n\x01", "the key 'x\\x0A' is there twice"),
	    "in another form too, and escaped");
	tap_ok(REFUSED("\x82\xa0\x01\xa0\x01", "the key ''"), "the empty one too");
	tap_ok(REFUSED("\x81\xa1x\x91\x82\xa1x\x01\xa1x\x01", "twice"), "within a list too");
}

/* A map of n fields "kXXXXXX", the last as the one before it where twice. */
static const struct llm_wire_value *
many_keys(unsigned n, bool twice)
{
	unsigned char *b = malloc(5 + 9 * (size_t)n), *p = b;
	*p++ = 0xDF;
	for (int shift = 24; shift >= 0; shift -= 8)
		*p++ = (unsigned char)(n >> shift);
	for (unsigned i = 0; i < n; i++) {
		char key[9];
		/* Scattered, so that no order of theirs helps. */
		unsigned k = twice && i == n - 1 ? 0 : i;
		snprintf(key, sizeof key, "\xa7k%06x", k * 2654435761u & 0xFFFFFF);
		memcpy(p, key, 8);
		p[8] = 1;
		p += 9;
	}
	const struct llm_wire_value *m = parse(b, (size_t)(p - b));
	llm_wire_msg_free(msg);
	msg = NULL;
	free(b);
	return m;
}

static void
bounds(void)
{
	struct rusage before, after;
	getrusage(RUSAGE_SELF, &before);
	bool all = true;
	for (int i = 0; all && i < 1000; i++)
		all = REFUSED("\xdf\xff\xff\xff\xff", "declares 8589934590 values") &&
		      REFUSED(
			  "\x81\xa1x\xdd\xff\xff\xff\xff\x01", "declares 4294967295 values") &&
		      REFUSED("\x81\xa1x\xdb\xff\xff\xff\xff"
			      "abc",
			  "declares 4294967295 bytes") &&
		      REFUSED("\x81\xa1x\xc6\x7f\xff\xff\xff", "declares 2147483647 bytes") &&
		      REFUSED("\x81\xdb\xff\xff\xff\xff", "declares 4294967295 bytes") &&
		      REFUSED("\x81\xa1x\xda\xff\xff", "declares 65535 bytes") &&
		      REFUSED(
			  "\x82\xa1x\x9f\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\xa1y\x01",
			  "declares 15 values") &&
		      all;
	tap_ok(all, "lengths and counts beyond the bytes are refused");

	/* Sixteen MiB of lists, each of which declares as many items as there are bytes. */
	unsigned char *b = malloc(LLM_WIRE_MAX);
	memcpy(b, "\x81\xa1x", 3);
	for (size_t i = 3; i < LLM_WIRE_MAX; i++)
		b[i] = "\xdd\x00\xff\x00\x00"[(i - 3) % 5];
	tap_ok(refused(b, LLM_WIRE_MAX, "declares more than 1048576 values"),
	    "lists in lists are refused by their sum");
	memcpy(b + 3, "\xdd\x00\xff\xff\x00", 5);
	memset(b + 8, 1, LLM_WIRE_MAX - 8);
	tap_ok(refused(b, LLM_WIRE_MAX, "declares more than"), "so is one list too long");
	getrusage(RUSAGE_SELF, &after);
	tap_ok(after.ru_maxrss - before.ru_maxrss < 24 * 1024,
	    "and none of this took memory but that of the bytes");

	/* "x" and its list are two of the values. */
	size_t n_item = LLM_WIRE_ITEMS - 2;
	for (int i = 0; i < 2; i++, n_item++) {
		b[3] = 0xDD;
		for (int k = 0; k < 4; k++)
			b[4 + k] = (unsigned char)(n_item >> (24 - 8 * k));
		const struct llm_wire_value *m = parse(b, 8 + n_item);
		tap_ok(i == 0 ? m != NULL && llm_wire_n(m) == 1 : m == NULL,
		    i == 0 ? "1,048,576 values are read" : "one more is not");
	}
	for (int depth = 2; depth <= 40; depth += depth == 31 || depth == 32 ? 1 : 29) {
		memcpy(b, "\x81\xa1x", 3);
		memset(b + 3, 0x91, (size_t)depth - 2);
		b[depth + 1] = 0x90;
		const struct llm_wire_value *m = parse(b, (size_t)depth + 2);
		tap_ok(depth <= LLM_WIRE_DEPTH
			   ? m != NULL
			   : m == NULL && strstr(err.msg, "nested more than 32 deep") != NULL,
		    "%d deep is %s", depth, depth <= LLM_WIRE_DEPTH ? "read" : "refused");
	}
	/* Far deeper than a stack: 16 million lists. */
	memset(b + 3, 0x91, LLM_WIRE_MAX - 3);
	tap_ok(refused(b, LLM_WIRE_MAX, "nested more than 32 deep"), "16 million deep too");
	free(b);
	tap_ok(many_keys(17, false) != NULL && many_keys(17, true) == NULL &&
		   many_keys(16, true) == NULL,
	    "a key twice is found in few and in some");
	/* Each compared with each this would be a matter of minutes. */
	tap_ok(many_keys(400000, false) != NULL, "400,000 keys are read");
	tap_ok(many_keys(400000, true) == NULL && strstr(err.msg, "twice") != NULL,
	    "and one of them twice is found");
}

static void
lengths(void)
{
	static const struct {
		unsigned char head[LLM_WIRE_HEAD];
		size_t n;
	} cases[] = {
	    {{0, 0, 0, 1}, 1},
	    {{0, 1, 2, 3}, 0x010203},
	    {{1, 0, 0, 0}, LLM_WIRE_MAX},
	    {{0, 0, 0, 0}, 0},
	    {{1, 0, 0, 1}, 0},
	    {{0xFF, 0xFF, 0xFF, 0xFF}, 0},
	};
	bool all = true;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		size_t n = 7;
		int rc = llm_wire_length(&n, cases[i].head, &err);
		all = all && (cases[i].n > 0 ? rc == 0 && n == cases[i].n
					     : rc == LLM_EPROTOCOL && n == 7);
	}
	tap_ok(
	    all && strstr(err.msg, "4294967295") != NULL && strstr(err.msg, "16777216") != NULL,
	    "a frame has 1 to 16,777,216 bytes, else both numbers are named");
}

static void
getters(void)
{
	llm_wire_begin(out);
	llm_wire_put_str(out, "s", "text");
	llm_wire_put_int(out, "i", 70000);
	llm_wire_put_int(out, "neg", -5);
	llm_wire_put_uint(out, "u", UINT64_MAX);
	llm_wire_put_float(out, "x", 2.5);
	llm_wire_put_float(out, "nan", NAN);
	llm_wire_put_bool(out, "b", true);
	llm_wire_open_map(out, "m");
	llm_wire_close(out);
	llm_wire_open_array(out, "a");
	llm_wire_close(out);
	const struct llm_wire_value *m = again(), *v = NULL;
	struct llm_wire_bytes s = {0};
	int64_t i = 42;
	uint64_t u = 42;
	double x = 42;
	bool b = false;
	llm_token *list = NULL;
	size_t n = 42;
#define WRONG(call, words)                                                          \
	do {                                                                        \
		bool good = (call) == LLM_EPROTOCOL && strcmp(err.msg, words) == 0; \
		if (!tap_ok(good, "%s", words))                                     \
			printf("# got: %s\n", err.msg);                             \
	} while (0)
	WRONG(llm_wire_get_int(&i, m, "s", 0, 9, &err),
	    "field 's': found a string, expected an integer of 0 to 9");
	WRONG(llm_wire_get_int(&i, m, "i", 0, 65535, &err),
	    "field 'i': found 70000, expected an integer of 0 to 65535");
	WRONG(llm_wire_get_int(&i, m, "neg", -1, 3, &err),
	    "field 'neg': found -5, expected an integer of -1 to 3");
	WRONG(llm_wire_get_int(&i, m, "u", 0, 1, &err),
	    "field 'u': found 18446744073709551615, expected an integer of 0 to 1");
	WRONG(llm_wire_get_int(&i, m, "x", 0, 9, &err),
	    "field 'x': found 2.5, expected an integer of 0 to 9");
	WRONG(llm_wire_get_int(&i, m, "b", 0, 9, &err),
	    "field 'b': found true, expected an integer of 0 to 9");
	WRONG(llm_wire_get_uint(&u, m, "neg", &err),
	    "field 'neg': found -5, expected an integer that is not negative");
	WRONG(llm_wire_get_float(&x, m, "nan", &err),
	    "field 'nan': found not-a-number, expected a number");
	WRONG(llm_wire_get_float(&x, m, "s", &err),
	    "field 's': found a string, expected a number");
	WRONG(llm_wire_get_bool(&b, m, "i", &err),
	    "field 'i': found 70000, expected true or false");
	WRONG(
	    llm_wire_get_bytes(&s, m, "m", &err), "field 'm': found a map, expected a string");
	WRONG(llm_wire_get_map(&v, m, "a", &err), "field 'a': found an array, expected a map");
	WRONG(
	    llm_wire_get_array(&v, m, "m", &err), "field 'm': found a map, expected an array");
	WRONG(llm_wire_get_ids(&list, &n, m, "s", &err),
	    "field 's': found a string, expected an array");
	tap_ok(i == 42 && u == 42 && x == 42 && !b && s.s == NULL && v == NULL &&
		   list == NULL && n == 42,
	    "what is refused is not stored");
}

static void
errors(void)
{
	static const int codes[] = {LLM_EUSAGE, LLM_ENOCPU, LLM_EDATA, LLM_EUNSUPPORTED,
	    LLM_ETOOLONG, LLM_ENOTFINITE, LLM_ENOINPUT, LLM_EUNAVAILABLE, LLM_ESYSTEM,
	    LLM_ENOMEM, LLM_EIO, LLM_EBUSY, LLM_EPROTOCOL};
	struct llm_err sent, got;
	bool same = true;
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		llm_err_set(&sent, codes[i], "reason %zu", i);
		llm_wire_begin(out);
		llm_wire_put_err(out, "error", &sent);
		same = llm_wire_get_err(&got, again(), "error", &err) == 1 &&
		       got.code == codes[i] && strcmp(got.msg, sent.msg) == 0 && same;
	}
	tap_ok(same, "errors of every code come back");
	llm_err_set(&sent, LLM_EBUSY, "full");
	llm_wire_begin(out);
	llm_wire_put_err(out, "error", &sent);
	const struct llm_wire_value *m = again(), *e = NULL;
	struct llm_wire_bytes name = {0};
	int64_t status = 0;
	tap_ok(llm_wire_get_map(&e, m, "error", &err) == 1 &&
		   llm_wire_get_int(&status, e, "code", 75, 75, &err) == 1 &&
		   llm_wire_get_bytes(&name, e, "name", &err) == 1 && name.n == 4 &&
		   memcmp(name.s, "BUSY", 4) == 0,
	    "as exit status and name");
	tap_ok(llm_wire_get_err(&got, m, "none", &err) == 0, "where none is, none is found");
	static const char later[] = "\x81\xa1"
				    "e\x82\xa4"
				    "code\x42\xa4"
				    "name\xa5LATER";
	tap_ok(llm_wire_get_err(&got, parse(later, sizeof later - 1), "e", &err) == 1 &&
		   got.code == LLM_ENOINPUT && got.msg[0] == '\0',
	    "a name that is not known goes by its status");
	static const char odd[] = "\x81\xa1"
				  "e\x82\xa4"
				  "code\x63\xa4"
				  "text\xa7"
				  "a\nb\x1b[1m";
	tap_ok(llm_wire_get_err(&got, parse(odd, sizeof odd - 1), "e", &err) == 1 &&
		   got.code == LLM_EPROTOCOL && strcmp(got.msg, "a?b?[1m") == 0,
	    "a status that is not known is a protocol error; its text is one line");
	tap_ok(llm_wire_get_err(&got,
		   parse("\x81\xa1"
			 "e\x03",
		       4),
		   "e", &err) == LLM_EPROTOCOL,
	    "an error that is no map is none");
	/* 256 bytes cut within a character. */
	memset(sent.msg, 'x', sizeof sent.msg);
	memcpy(sent.msg + 253, "\xE2\x82", 3);
	llm_wire_begin(out);
	llm_wire_put_err(out, "error", &sent);
	tap_ok(llm_wire_get_err(&got, again(), "error", &err) == 1 && strlen(got.msg) == 253,
	    "of a text that was cut no half character is left");
}

int
main(void)
{
	if (llm_wire_out_new(&out, &err) < 0)
		return 1;
	numbers();
	strings();
	ids();
	nested();
	buffers();
	refusals();
	bounds();
	lengths();
	getters();
	errors();
	llm_wire_msg_free(msg);
	llm_wire_out_free(out);
	llm_wire_msg_free(NULL);
	llm_wire_out_free(NULL);
	return tap_done();
}
