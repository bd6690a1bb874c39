/*
 * SPDX-License-Identifier: ISC
 *
 * Messages of the socket by msgpack-c; see wire.h.  Nothing is given to its reader but what wire_walk.c has found
 * sound.
 */
#include "libcore/wire.h"
#include "libcore/wire_walk.h"

#include <assert.h>
#include <inttypes.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Writing */

enum { SHRINK = 1 << 16 }; /* what an emptied buffer may keep */

struct llm_wire_out {
	char *buf;
	size_t size;
	size_t head;  /* before it all is taken */
	size_t ended; /* up to it messages are whole */
	size_t n;
	int rc;        /* what failed since the begin */
	size_t n_item; /* values of the message, its keys among them */
	int depth;     /* containers that are open; 0: no message is */
	struct {
		size_t at; /* where its 32-bit count stands */
		uint32_t count;
		bool map;
	} open[LLM_WIRE_DEPTH];
	msgpack_packer packer;
};

static bool
reserve(struct llm_wire_out *o, size_t n)
{
	if (n <= o->size - o->n)
		return true;
	size_t size = o->size == 0 ? 1024 : o->size;
	while (size - o->n < n)
		size *= 2; /* n is LLM_WIRE_MAX at most, and so is what is open */
	char *buf = realloc(o->buf, size);
	if (buf == NULL)
		return false;
	o->buf = buf;
	o->size = size;
	return true;
}

/* The packer's callback.  After a failure nothing is written till the end. */
static int
append(void *context, const char *bytes, size_t n)
{
	struct llm_wire_out *o = context;
	if (o->rc < 0 || n == 0)
		return o->rc;
	if (n > LLM_WIRE_MAX + LLM_WIRE_HEAD - (o->n - o->ended))
		return o->rc = LLM_EUSAGE;
	if (!reserve(o, n))
		return o->rc = LLM_ENOMEM;
	memcpy(o->buf + o->n, bytes, n);
	o->n += n;
	return 0;
}

int
llm_wire_out_new(struct llm_wire_out **out, struct llm_err *err)
{
	struct llm_wire_out *o = calloc(1, sizeof *o);
	if (o == NULL)
		return llm_err_nomem(err, sizeof *o);
	msgpack_packer_init(&o->packer, o, append);
	*out = o;
	return 0;
}

void
llm_wire_out_free(struct llm_wire_out *o)
{
	if (o == NULL)
		return;
	free(o->buf);
	free(o);
}

/* A container whose count is written when it is closed: five bytes, whatever the count. */
static void
push(struct llm_wire_out *o, bool map)
{
	if (o->depth == LLM_WIRE_DEPTH) {
		o->rc = o->rc < 0 ? o->rc : LLM_EUSAGE;
		return;
	}
	if (map)
		msgpack_pack_map(&o->packer, UINT32_MAX);
	else
		msgpack_pack_array(&o->packer, UINT32_MAX);
	o->open[o->depth].at = o->n - 4;
	o->open[o->depth].count = 0;
	o->open[o->depth++].map = map;
}

static void
put_be32(char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (char)(v >> (24 - 8 * i));
}

void
llm_wire_begin(struct llm_wire_out *o)
{
	assert(o->depth == 0);
	if (o->head > 0) {
		memmove(o->buf, o->buf + o->head, o->ended - o->head);
		o->ended -= o->head;
		o->n = o->ended;
		o->head = 0;
	}
	o->rc = 0;
	o->n_item = 0;
	append(o, "\0\0\0", LLM_WIRE_HEAD);
	push(o, true);
}

void
llm_wire_close(struct llm_wire_out *o)
{
	if (o->rc < 0)
		return;
	assert(o->depth > 1);
	o->depth--;
	put_be32(o->buf + o->open[o->depth].at, o->open[o->depth].count);
}

int
llm_wire_end(struct llm_wire_out *o, struct llm_err *err)
{
	if (o->rc < 0) {
		o->n = o->ended;
		o->depth = 0;
		if (o->rc == LLM_ENOMEM)
			return llm_err_nomem(err, o->size * 2);
		return llm_err_set(err, LLM_EUSAGE,
		    "the message is too large: at most %d bytes, %d values, %d deep may be "
		    "sent",
		    LLM_WIRE_MAX, LLM_WIRE_ITEMS, LLM_WIRE_DEPTH);
	}
	assert(o->depth == 1);
	o->depth = 0;
	put_be32(o->buf + o->open[0].at, o->open[0].count);
	put_be32(o->buf + o->ended, (uint32_t)(o->n - o->ended - LLM_WIRE_HEAD));
	o->ended = o->n;
	return 0;
}

const void *
llm_wire_bytes(size_t *n, const struct llm_wire_out *o)
{
	*n = o->ended - o->head;
	return *n > 0 ? o->buf + o->head : NULL;
}

void
llm_wire_take(struct llm_wire_out *o, size_t n)
{
	assert(n <= o->ended - o->head);
	o->head += n;
	if (o->head < o->n)
		return;
	o->head = o->ended = o->n = 0;
	if (o->size > SHRINK) {
		free(o->buf);
		o->buf = NULL;
		o->size = 0;
	}
}

/* One more value in what is open, n_item with those inside it; of a map its key first. */
static void
field(struct llm_wire_out *o, const char *key, size_t n_item)
{
	if (o->rc < 0)
		return;
	assert(o->depth > 0);
	bool map = o->open[o->depth - 1].map;
	assert(map == (key != NULL));
	n_item += map;
	if (n_item > LLM_WIRE_ITEMS - o->n_item) {
		o->rc = LLM_EUSAGE;
		return;
	}
	o->n_item += n_item;
	o->open[o->depth - 1].count++;
	if (map)
		msgpack_pack_str_with_body(&o->packer, key, strlen(key));
}

void
llm_wire_put_nil(struct llm_wire_out *o, const char *key)
{
	field(o, key, 1);
	msgpack_pack_nil(&o->packer);
}

void
llm_wire_put_bool(struct llm_wire_out *o, const char *key, bool v)
{
	field(o, key, 1);
	if (v)
		msgpack_pack_true(&o->packer);
	else
		msgpack_pack_false(&o->packer);
}

void
llm_wire_put_int(struct llm_wire_out *o, const char *key, int64_t v)
{
	field(o, key, 1);
	msgpack_pack_int64(&o->packer, v);
}

void
llm_wire_put_uint(struct llm_wire_out *o, const char *key, uint64_t v)
{
	field(o, key, 1);
	msgpack_pack_uint64(&o->packer, v);
}

void
llm_wire_put_float(struct llm_wire_out *o, const char *key, double v)
{
	field(o, key, 1);
	msgpack_pack_double(&o->packer, v);
}

/* Well-formed UTF-8 (RFC 3629)? */
static bool
is_utf8(const char *text, size_t n)
{
	const unsigned char *s = (const unsigned char *)text;
	for (size_t i = 0; i < n;) {
		unsigned c = s[i++], first = 0x80, last = 0xBF; /* of the byte after c */
		if (c < 0x80)
			continue;
		if (c < 0xC2 || c > 0xF4)
			return false;
		first = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : first;
		last = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : last;
		for (int left = c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3; left > 0; left--, i++) {
			if (i == n || s[i] < first || s[i] > last)
				return false;
			first = 0x80;
			last = 0xBF;
		}
	}
	return true;
}

void
llm_wire_put_str(struct llm_wire_out *o, const char *key, const char *s)
{
	size_t n = strlen(s);
	if (!is_utf8(s, n)) {
		llm_wire_put_bin(o, key, s, n);
		return;
	}
	field(o, key, 1);
	msgpack_pack_str_with_body(&o->packer, s, n);
}

void
llm_wire_put_bin(struct llm_wire_out *o, const char *key, const void *bytes, size_t n)
{
	field(o, key, 1);
	if (n > LLM_WIRE_MAX && o->rc == 0)
		o->rc = LLM_EUSAGE; /* the packer would cut the length to 32 bits */
	msgpack_pack_bin_with_body(&o->packer, bytes, n);
}

void
llm_wire_put_ids(struct llm_wire_out *o, const char *key, const llm_token *ids, size_t n)
{
	field(o, key, n < LLM_WIRE_ITEMS ? n + 1 : LLM_WIRE_ITEMS + 1);
	msgpack_pack_array(&o->packer, n);
	for (size_t i = 0; i < n && o->rc == 0; i++)
		msgpack_pack_int32(&o->packer, ids[i]);
}

void
llm_wire_open_map(struct llm_wire_out *o, const char *key)
{
	field(o, key, 1);
	push(o, true);
}

void
llm_wire_open_array(struct llm_wire_out *o, const char *key)
{
	field(o, key, 1);
	push(o, false);
}

/* Reading */

struct llm_wire_value {
	msgpack_object o; /* nothing else: items of msgpack's arrays are handed out as values */
};

struct llm_wire_msg {
	msgpack_unpacked tree;
};

static const struct llm_wire_value *
of(const msgpack_object *o)
{
	return (const struct llm_wire_value *)o;
}

int
llm_wire_length(size_t *n, const unsigned char head[LLM_WIRE_HEAD], struct llm_err *err)
{
	uint32_t v = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 |
		     (uint32_t)head[2] << 8 | head[3];
	if (v == 0 || v > LLM_WIRE_MAX)
		return llm_err_set(err, LLM_EPROTOCOL,
		    "a message of %" PRIu32 " bytes: 1 to %d were expected", v, LLM_WIRE_MAX);
	*n = v;
	return 0;
}

static int
key_order(const void *a, const void *b)
{
	const msgpack_object_str *x = a, *y = b;
	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	return x->size == 0 ? 0 : memcmp(x->ptr, y->ptr, x->size);
}

static int
twice(const msgpack_object_str *key, struct llm_err *err)
{
	char quoted[60];
	return llm_err_set(err, LLM_EPROTOCOL,
	    "the message is malformed: the key '%s' is there twice",
	    llm_err_quote(quoted, sizeof quoted, key->ptr, key->size));
}

/* Of a few keys each is compared with each; many are sorted. */
static int
keys_check(const msgpack_object_map *m, struct llm_err *err)
{
	enum { FEW = 16 };
	int rc = 0;
	if (m->size <= FEW) {
		for (uint32_t i = 1; i < m->size; i++)
			for (uint32_t k = 0; k < i; k++)
				if (key_order(&m->ptr[i].key.via.str, &m->ptr[k].key.via.str) ==
				    0)
					return twice(&m->ptr[i].key.via.str, err);
		return 0;
	}
	msgpack_object_str *keys = calloc(m->size, sizeof *keys);
	if (keys == NULL)
		return llm_err_nomem(err, m->size * sizeof *keys);
	for (uint32_t i = 0; i < m->size; i++)
		keys[i] = m->ptr[i].key.via.str;
	qsort(keys, m->size, sizeof *keys, key_order);
	for (uint32_t i = 1; rc == 0 && i < m->size; i++)
		if (key_order(&keys[i - 1], &keys[i]) == 0)
			rc = twice(&keys[i], err);
	free(keys);
	return rc;
}

/* Recursive: the walk has bounded the depth. */
static int
tree_check(const msgpack_object *o, struct llm_err *err)
{
	int rc = 0;
	if (o->type == MSGPACK_OBJECT_ARRAY)
		for (uint32_t i = 0; rc == 0 && i < o->via.array.size; i++)
			rc = tree_check(&o->via.array.ptr[i], err);
	if (o->type != MSGPACK_OBJECT_MAP)
		return rc;
	rc = keys_check(&o->via.map, err);
	for (uint32_t i = 0; rc == 0 && i < o->via.map.size; i++)
		rc = tree_check(&o->via.map.ptr[i].val, err);
	return rc;
}

int
llm_wire_parse(struct llm_wire_msg **out, const void *bytes, size_t n, struct llm_err *err)
{
	struct llm_wire_msg *m = NULL;
	size_t at = 0;
	int rc = llm_wire_walk(bytes, n, err);
	if (rc < 0)
		return rc;
	m = malloc(sizeof *m);
	if (m == NULL)
		return llm_err_nomem(err, sizeof *m);
	msgpack_unpacked_init(&m->tree);
	switch (msgpack_unpack_next(&m->tree, bytes, n, &at)) {
	case MSGPACK_UNPACK_SUCCESS:
		rc = tree_check(&m->tree.data, err);
		break;
	case MSGPACK_UNPACK_NOMEM_ERROR:
		rc = llm_err_nomem(err, n);
		break;
	default:
		rc = llm_err_set(
		    err, LLM_EPROTOCOL, "the message is malformed at byte %zu of %zu", at, n);
	}
	if (rc < 0) {
		llm_wire_msg_free(m);
		return rc;
	}
	*out = m;
	return 0;
}

void
llm_wire_msg_free(struct llm_wire_msg *m)
{
	if (m == NULL)
		return;
	msgpack_unpacked_destroy(&m->tree);
	free(m);
}

const struct llm_wire_value *
llm_wire_root(const struct llm_wire_msg *m)
{
	return of(&m->tree.data);
}

/* Of an empty string msgpack's pointer is NULL. */
static struct llm_wire_bytes
bytes_of(const char *s, size_t n)
{
	return (struct llm_wire_bytes){n > 0 ? s : "", n};
}

size_t
llm_wire_n(const struct llm_wire_value *v)
{
	return v == NULL                           ? 0
	       : v->o.type == MSGPACK_OBJECT_ARRAY ? v->o.via.array.size
	       : v->o.type == MSGPACK_OBJECT_MAP   ? v->o.via.map.size
						   : 0;
}

const struct llm_wire_value *
llm_wire_item(const struct llm_wire_value *array, size_t i)
{
	assert(llm_wire_is_array(array) && i < array->o.via.array.size);
	return of(&array->o.via.array.ptr[i]);
}

const struct llm_wire_value *
llm_wire_pair(struct llm_wire_bytes *key, const struct llm_wire_value *map, size_t i)
{
	assert(llm_wire_is_map(map) && i < map->o.via.map.size);
	const msgpack_object_kv *kv = &map->o.via.map.ptr[i];
	*key = bytes_of(kv->key.via.str.ptr, kv->key.via.str.size);
	return of(&kv->val);
}

bool
llm_wire_is_nil(const struct llm_wire_value *v)
{
	return v->o.type == MSGPACK_OBJECT_NIL;
}

bool
llm_wire_is_map(const struct llm_wire_value *v)
{
	return v->o.type == MSGPACK_OBJECT_MAP;
}

bool
llm_wire_is_array(const struct llm_wire_value *v)
{
	return v->o.type == MSGPACK_OBJECT_ARRAY;
}

bool
llm_wire_as_bool(bool *out, const struct llm_wire_value *v)
{
	if (v->o.type != MSGPACK_OBJECT_BOOLEAN)
		return false;
	*out = v->o.via.boolean;
	return true;
}

bool
llm_wire_as_int(int64_t *out, const struct llm_wire_value *v)
{
	if (v->o.type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
		*out = v->o.via.i64;
	else if (v->o.type == MSGPACK_OBJECT_POSITIVE_INTEGER && v->o.via.u64 <= INT64_MAX)
		*out = (int64_t)v->o.via.u64;
	else
		return false;
	return true;
}

bool
llm_wire_as_uint(uint64_t *out, const struct llm_wire_value *v)
{
	if (v->o.type != MSGPACK_OBJECT_POSITIVE_INTEGER)
		return false;
	*out = v->o.via.u64;
	return true;
}

bool
llm_wire_as_float(double *out, const struct llm_wire_value *v)
{
	switch (v->o.type) {
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
		*out = (double)v->o.via.u64;
		return true;
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		*out = (double)v->o.via.i64;
		return true;
	case MSGPACK_OBJECT_FLOAT32:
	case MSGPACK_OBJECT_FLOAT64:
		*out = v->o.via.f64;
		return *out == *out;
	default:
		return false;
	}
}

bool
llm_wire_as_bytes(struct llm_wire_bytes *out, const struct llm_wire_value *v)
{
	if (v->o.type == MSGPACK_OBJECT_STR)
		*out = bytes_of(v->o.via.str.ptr, v->o.via.str.size);
	else if (v->o.type == MSGPACK_OBJECT_BIN)
		*out = bytes_of(v->o.via.bin.ptr, v->o.via.bin.size);
	else
		return false;
	return true;
}
