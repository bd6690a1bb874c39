/*
 * SPDX-License-Identifier: ISC
 *
 * Messages go out and come in as they were, and a field of another type than is asked for is said in a line.
 */
#include "libcore/wire.h"
#include "tests/tap.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

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
	getters();
	errors();
	llm_wire_msg_free(msg);
	llm_wire_out_free(out);
	llm_wire_msg_free(NULL);
	llm_wire_out_free(NULL);
	return tap_done();
}
