/*
 * SPDX-License-Identifier: ISC
 *
 * Messages of the socket: a length and one msgpack map, see llm-protocol(5).  Written field by field into a
 * growing buffer; read from bytes that a stranger sent: depth, counts and lengths are checked before
 * anything is allocated for them.
 */
#ifndef LLM_WIRE_H
#define LLM_WIRE_H

#include "libcore/err.h"
#include "libcore/token.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	LLM_WIRE_VERSION = 1,
	LLM_WIRE_HEAD = 4,       /* bytes of a frame's length, big-endian */
	LLM_WIRE_MAX = 16 << 20, /* bytes after it */
	LLM_WIRE_DEPTH = 32,
	LLM_WIRE_ITEMS = 1 << 20, /* values in a message: keys, items, those of maps within */
};

/*
 * Writing.  A message is begun, its fields are written in any order, it is ended; several may follow one another in
 * one buffer.  What fails (memory, more than LLM_WIRE_MAX or _ITEMS or _DEPTH) is remembered, and told by the end.
 */
struct llm_wire_out; /* opaque; used by one thread at a time */

int llm_wire_out_new(struct llm_wire_out **out, struct llm_err *err);
void llm_wire_out_free(struct llm_wire_out *o);

void llm_wire_begin(struct llm_wire_out *o);
/* LLM_EUSAGE, and the message is taken back, where it is too large; LLM_ENOMEM. */
int llm_wire_end(struct llm_wire_out *o, struct llm_err *err);

/* A field of the map that is open; key NULL: an item of the array that is open. */
void llm_wire_put_nil(struct llm_wire_out *o, const char *key);
void llm_wire_put_bool(struct llm_wire_out *o, const char *key, bool v);
void llm_wire_put_int(struct llm_wire_out *o, const char *key, int64_t v);
void llm_wire_put_uint(struct llm_wire_out *o, const char *key, uint64_t v);
void llm_wire_put_float(struct llm_wire_out *o, const char *key, double v);
/* As str; as bin where it is no UTF-8, which a str must be. */
void llm_wire_put_str(struct llm_wire_out *o, const char *key, const char *s);
void llm_wire_put_bin(struct llm_wire_out *o, const char *key, const void *bytes, size_t n);
void llm_wire_put_ids(struct llm_wire_out *o, const char *key, const llm_token *ids, size_t n);
/* A map or an array within, until its own close; nested LLM_WIRE_DEPTH deep at most, the message itself counted. */
void llm_wire_open_map(struct llm_wire_out *o, const char *key);
void llm_wire_open_array(struct llm_wire_out *o, const char *key);
void llm_wire_close(struct llm_wire_out *o);

/* What is ended and not yet taken (valid until the next begin, put or take), and: n bytes of it are. */
const void *llm_wire_bytes(size_t *n, const struct llm_wire_out *o);
void llm_wire_take(struct llm_wire_out *o, size_t n);

/*
 * Reading.
 * llm_wire_length - the bytes after the head of a frame; LLM_EPROTOCOL, with both numbers, where that is 0 or more
 * than may be.
 */
int llm_wire_length(size_t *n, const unsigned char head[LLM_WIRE_HEAD], struct llm_err *err);

/* A message, or a value in it.  The tree lives until the message is freed; its strings point into the bytes. */
struct llm_wire_msg;
struct llm_wire_value; /* opaque */

/*
 * llm_wire_parse - the message that these bytes are, which must outlive it.  LLM_EPROTOCOL: no map, malformed, too
 * deep, too many values, a key that is no string or there twice, an extension type, bytes after it; what that was
 * is said.  LLM_ENOMEM.  What is allocated is in proportion to the values that are there.
 */
int llm_wire_parse(struct llm_wire_msg **out, const void *bytes, size_t n, struct llm_err *err);
void llm_wire_msg_free(struct llm_wire_msg *m);
/* The map itself. */
const struct llm_wire_value *llm_wire_root(const struct llm_wire_msg *m);

/* The value at a key of a map; NULL where it is absent or nil, or where map is NULL or no map. */
const struct llm_wire_value *llm_wire_field(const struct llm_wire_value *map, const char *key);

/*
 * Getters of a field of a map by its key: 1 and *out set where it is there, 0 and *out untouched where it is absent
 * or nil, LLM_EPROTOCOL, naming key, what was found and what was expected, where it has another type or lies
 * outside min..max, or where `map' is no map.  map NULL: absent.
 */
int llm_wire_get_bool(
    bool *out, const struct llm_wire_value *map, const char *key, struct llm_err *err);
int llm_wire_get_int(int64_t *out, const struct llm_wire_value *map, const char *key,
    int64_t min, int64_t max, struct llm_err *err);
int llm_wire_get_uint(
    uint64_t *out, const struct llm_wire_value *map, const char *key, struct llm_err *err);
/* Any number; not-a-number is refused. */
int llm_wire_get_float(
    double *out, const struct llm_wire_value *map, const char *key, struct llm_err *err);
/* Bytes of a str or bin, in place; s is never NULL. */
struct llm_wire_bytes {
	const char *s;
	size_t n;
};
int llm_wire_get_bytes(struct llm_wire_bytes *out, const struct llm_wire_value *map,
    const char *key, struct llm_err *err);
int llm_wire_get_map(const struct llm_wire_value **out, const struct llm_wire_value *map,
    const char *key, struct llm_err *err);
int llm_wire_get_array(const struct llm_wire_value **out, const struct llm_wire_value *map,
    const char *key, struct llm_err *err);
/* An array of token ids, each >= 0; *ids is the caller's to free, NULL where n is 0. */
int llm_wire_get_ids(llm_token **ids, size_t *n, const struct llm_wire_value *map,
    const char *key, struct llm_err *err);

/* Items of an array (n of them), or of a map: keys and values. */
size_t llm_wire_n(const struct llm_wire_value *v);
const struct llm_wire_value *llm_wire_item(const struct llm_wire_value *array, size_t i);
const struct llm_wire_value *llm_wire_pair(
    struct llm_wire_bytes *key, const struct llm_wire_value *map, size_t i);

/* The value itself, false where it is of another type. */
bool llm_wire_is_nil(const struct llm_wire_value *v);
bool llm_wire_as_bool(bool *out, const struct llm_wire_value *v);
bool llm_wire_as_int(int64_t *out, const struct llm_wire_value *v);
bool llm_wire_as_uint(uint64_t *out, const struct llm_wire_value *v);
bool llm_wire_as_float(double *out, const struct llm_wire_value *v);
bool llm_wire_as_bytes(struct llm_wire_bytes *out, const struct llm_wire_value *v);
bool llm_wire_is_map(const struct llm_wire_value *v);
bool llm_wire_is_array(const struct llm_wire_value *v);

/*
 * Errors as both sides send them, the map {code, name, text} under `key'.
 */
void llm_wire_put_err(struct llm_wire_out *o, const char *key, const struct llm_err *e);
/*
 * 1 and *out filled where there is one (its code by the name, else by the status, else LLM_EPROTOCOL), 0 where none;
 * LLM_EPROTOCOL where it is no such map.
 */
int llm_wire_get_err(struct llm_err *out, const struct llm_wire_value *map, const char *key,
    struct llm_err *err);

#endif
