/*
 * SPDX-License-Identifier: ISC
 *
 * What is no message is refused in a line, at no cost that its bytes do not have.
 */
#include "libcore/wire.h"
#include "tests/tap.h"

#include <string.h>
#include <sys/resource.h>

static struct llm_err err;

/* The fields of the message that these bytes are; -1 where they are refused. */
static int
n_field(const void *bytes, size_t n)
{
	struct llm_wire_msg *msg;
	err.msg[0] = '\0';
	if (llm_wire_parse(&msg, bytes, n, &err) < 0)
		return -1;
	int n_there = (int)llm_wire_n(llm_wire_root(msg));
	llm_wire_msg_free(msg);
	return n_there;
}

static bool
refused(const void *bytes, size_t n, const char *why)
{
	bool good = n_field(bytes, n) < 0 && err.code == LLM_EPROTOCOL &&
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
	if (!tap_ok(n_field(every, n) >= 0, "every form of every type is read"))
		printf("# %s\n", err.msg);
	for (size_t i = 0; i < n; i++) {
		/* In memory of just that size, so that a reader sees where it ends. */
		char *cut = malloc(i > 0 ? i : 1);
		memcpy(cut, every, i);
		all = n_field(cut, i) < 0 && err.code == LLM_EPROTOCOL && err.msg[0] != '\0' &&
		      all;
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
			all = all && (n_field(changed, n) >= 0 ||
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

/* Whether a map is read of n fields "kXXXXXX", the last as the one before it where twice. */
static bool
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
	bool good = n_field(b, (size_t)(p - b)) == (int)n;
	free(b);
	return good;
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
		tap_ok(n_field(b, 8 + n_item) == (i == 0 ? 1 : -1),
		    i == 0 ? "1,048,576 values are read" : "one more is not");
	}
	for (int depth = 2; depth <= 40; depth += depth == 31 || depth == 32 ? 1 : 29) {
		memcpy(b, "\x81\xa1x", 3);
		memset(b + 3, 0x91, (size_t)depth - 2);
		b[depth + 1] = 0x90;
		int n = n_field(b, (size_t)depth + 2);
		tap_ok(depth <= LLM_WIRE_DEPTH
			   ? n >= 0
			   : n < 0 && strstr(err.msg, "nested more than 32 deep") != NULL,
		    "%d deep is %s", depth, depth <= LLM_WIRE_DEPTH ? "read" : "refused");
	}
	/* Far deeper than a stack: 16 million lists. */
	memset(b + 3, 0x91, LLM_WIRE_MAX - 3);
	tap_ok(refused(b, LLM_WIRE_MAX, "nested more than 32 deep"), "16 million deep too");
	free(b);
	tap_ok(many_keys(17, false) && !many_keys(17, true) && !many_keys(16, true),
	    "a key twice is found in few and in some");
	/* Each compared with each this would be a matter of minutes. */
	tap_ok(many_keys(400000, false), "400,000 keys are read");
	tap_ok(!many_keys(400000, true) && strstr(err.msg, "twice") != NULL,
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

int
main(void)
{
	refusals();
	bounds();
	lengths();
	return tap_done();
}
