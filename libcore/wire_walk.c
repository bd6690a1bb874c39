/*
 * SPDX-License-Identifier: ISC
 *
 * The bytes of a message, checked; see wire_walk.h.  Format: https://github.com/msgpack/msgpack/blob/master/spec.md
 */
#include "libcore/wire_walk.h"
#include "libcore/wire.h"

#include <inttypes.h>
#include <stdbool.h>

enum kind { SCALAR, STRING, BINARY, ARRAY, MAP, EXTENSION, UNKNOWN };

/* What the first bytes of a value say. */
struct head {
	enum kind kind;
	size_t n_head;  /* bytes of the type and of the length or the number after it */
	uint64_t count; /* bytes of a string, values of an array, pairs of a map */
};

/* One row for each first byte from 0xC0 to 0xDF: bytes of the number after it. */
static const struct {
	unsigned char kind, n_after;
} fixed[32] = {
    {SCALAR, 0},    /* nil */
    {UNKNOWN, 0},   /* never used */
    {SCALAR, 0},    /* false */
    {SCALAR, 0},    /* true */
    {BINARY, 1},    /* bin 8, 16, 32 */
    {BINARY, 2},    /**/
    {BINARY, 4},    /**/
    {EXTENSION, 1}, /* ext 8, 16, 32 */
    {EXTENSION, 2}, /**/
    {EXTENSION, 4}, /**/
    {SCALAR, 4},    /* float 32, 64 */
    {SCALAR, 8},    /**/
    {SCALAR, 1},    /* uint 8, 16, 32, 64 */
    {SCALAR, 2},    /**/
    {SCALAR, 4},    /**/
    {SCALAR, 8},    /**/
    {SCALAR, 1},    /* int 8, 16, 32, 64 */
    {SCALAR, 2},    /**/
    {SCALAR, 4},    /**/
    {SCALAR, 8},    /**/
    {EXTENSION, 1}, /* fixext 1, 2, 4, 8, 16 */
    {EXTENSION, 1}, /**/
    {EXTENSION, 1}, /**/
    {EXTENSION, 1}, /**/
    {EXTENSION, 1}, /**/
    {STRING, 1},    /* str 8, 16, 32 */
    {STRING, 2},    /**/
    {STRING, 4},    /**/
    {ARRAY, 2},     /* array 16, 32 */
    {ARRAY, 4},     /**/
    {MAP, 2},       /* map 16, 32 */
    {MAP, 4},       /**/
};

/* The head at p, of which n > 0 bytes are there; false where they are too few. */
static bool
head_read(struct head *h, const unsigned char *p, size_t n)
{
	unsigned c = p[0];
	*h = (struct head){.kind = SCALAR, .n_head = 1};
	if (c < 0x80 || c >= 0xE0)
		return true;
	if (c < 0xC0) {
		h->kind = c < 0x90 ? MAP : c < 0xA0 ? ARRAY : STRING;
		h->count = h->kind == STRING ? c & 0x1F : c & 0x0F;
		return true;
	}
	size_t n_after = fixed[c - 0xC0].n_after;
	h->kind = (enum kind)fixed[c - 0xC0].kind;
	h->n_head += n_after;
	if (n_after > n - 1)
		return false;
	for (size_t i = 0; i < n_after && h->kind != SCALAR; i++)
		h->count = h->count << 8 | p[1 + i];
	return true;
}

struct walk {
	const unsigned char *p;
	size_t n, at;
	size_t
	    pending; /* values that are declared and not yet read; each takes a byte at least */
	size_t n_item; /* values declared so far */
	int depth;
	struct {
		size_t left; /* values of it that are not yet read, keys among them */
		bool map;
	} open[LLM_WIRE_DEPTH];
};

static int
bad(const struct walk *w, struct llm_err *err, const char *what)
{
	return llm_err_set(
	    err, LLM_EPROTOCOL, "the message is %s at byte %zu of %zu", what, w->at, w->n);
}

/* Bytes that are left, but for one of each value that is still to come. */
static size_t
room(const struct walk *w)
{
	size_t left = w->n - w->at;
	return left > w->pending ? left - w->pending : 0;
}

/* An array or a map begins, its head has been read. */
static int
container(struct walk *w, const struct head *h, struct llm_err *err)
{
	uint64_t n = h->kind == MAP ? h->count * 2 : h->count; /* of 33 bits at most */
	if (n > room(w))
		return llm_err_set(err, LLM_EPROTOCOL,
		    "the message declares %" PRIu64
		    " values at byte %zu, where %zu bytes are left for them",
		    n, w->at, room(w));
	if (n > LLM_WIRE_ITEMS - w->n_item)
		return llm_err_set(err, LLM_EPROTOCOL,
		    "the message declares more than %d values at byte %zu", LLM_WIRE_ITEMS,
		    w->at);
	if (w->depth == LLM_WIRE_DEPTH)
		return llm_err_set(err, LLM_EPROTOCOL,
		    "the message is nested more than %d deep at byte %zu", LLM_WIRE_DEPTH,
		    w->at);
	w->n_item += (size_t)n;
	w->pending += (size_t)n;
	w->open[w->depth].left = (size_t)n;
	w->open[w->depth++].map = h->kind == MAP;
	return 0;
}

/* One value, or of a container its head. */
static int
value(struct walk *w, bool key, struct llm_err *err)
{
	struct head h;
	if (w->at == w->n)
		return bad(w, err, "cut off");
	if (!head_read(&h, w->p + w->at, w->n - w->at))
		return bad(w, err, "cut off");
	if (w->depth == 0 && h.kind != MAP)
		return bad(w, err, "no map");
	if (key && h.kind != STRING)
		return bad(w, err, "malformed: a key that is no string");
	if (h.kind == UNKNOWN || h.kind == EXTENSION)
		return bad(w, err, "malformed: a value of no type that may be sent");
	w->at += h.n_head;
	if (h.kind == ARRAY || h.kind == MAP)
		return container(w, &h, err);
	if (h.kind == SCALAR)
		return 0;
	if (h.count > room(w))
		return llm_err_set(err, LLM_EPROTOCOL,
		    "the message declares %" PRIu64 " bytes at byte %zu, where %zu are left",
		    h.count, w->at, room(w));
	w->at += (size_t)h.count;
	return 0;
}

int
llm_wire_walk(const void *bytes, size_t n, struct llm_err *err)
{
	struct walk w = {.p = bytes, .n = n};
	int rc = value(&w, false, err);
	while (rc == 0 && w.depth > 0) {
		size_t *left = &w.open[w.depth - 1].left;
		if (*left == 0) {
			w.depth--;
			continue;
		}
		bool key = w.open[w.depth - 1].map && *left % 2 == 0;
		--*left;
		w.pending--;
		rc = value(&w, key, err);
	}
	if (rc == 0 && w.at < n)
		return bad(&w, err, "followed by bytes that are not its own");
	return rc;
}
