/*
 * SPDX-License-Identifier: ISC
 *
 * Fields of a message by their keys, and errors as both sides send them; see wire.h.
 */
#include "libcore/wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FOUND = 60 };

/* A value in words, for messages. */
static const char *
found(char buf[FOUND], const struct llm_wire_value *v)
{
	bool yes;
	int64_t i;
	uint64_t u;
	double x;
	struct llm_wire_bytes bytes;
	if (llm_wire_is_nil(v))
		return "nil";
	if (llm_wire_is_map(v))
		return "a map";
	if (llm_wire_is_array(v))
		return "an array";
	if (llm_wire_as_bool(&yes, v))
		return yes ? "true" : "false";
	if (llm_wire_as_bytes(&bytes, v))
		return "a string";
	if (llm_wire_as_int(&i, v))
		snprintf(buf, FOUND, "%" PRId64, i);
	else if (llm_wire_as_uint(&u, v))
		snprintf(buf, FOUND, "%" PRIu64, u);
	else if (llm_wire_as_float(&x, v))
		snprintf(buf, FOUND, "%.9g", x);
	else
		return "not-a-number";
	return buf;
}

static int
unexpected(
    const struct llm_wire_value *v, const char *key, const char *expected, struct llm_err *err)
{
	char buf[FOUND];
	return llm_err_set(err, LLM_EPROTOCOL, "field '%s': found %s, expected %s", key,
	    found(buf, v), expected);
}

const struct llm_wire_value *
llm_wire_field(const struct llm_wire_value *map, const char *key)
{
	size_t len = strlen(key), n = map != NULL && llm_wire_is_map(map) ? llm_wire_n(map) : 0;
	for (size_t i = 0; i < n; i++) {
		struct llm_wire_bytes k;
		const struct llm_wire_value *v = llm_wire_pair(&k, map, i);
		if (k.n == len && memcmp(k.s, key, len) == 0)
			return llm_wire_is_nil(v) ? NULL : v;
	}
	return NULL;
}

/* The value at key: 1, or 0 where it is absent or nil. */
static int
find(const struct llm_wire_value **out, const struct llm_wire_value *map, const char *key,
    struct llm_err *err)
{
	*out = llm_wire_field(map, key);
	if (map != NULL && !llm_wire_is_map(map))
		return unexpected(map, key, "a map to hold it", err);
	return *out != NULL;
}

int
llm_wire_get_bool(
    bool *out, const struct llm_wire_value *map, const char *key, struct llm_err *err)
{
	const struct llm_wire_value *v;
	int rc = find(&v, map, key, err);
	if (rc == 1 && !llm_wire_as_bool(out, v))
		return unexpected(v, key, "true or false", err);
	return rc;
}

int
llm_wire_get_int(int64_t *out, const struct llm_wire_value *map, const char *key, int64_t min,
    int64_t max, struct llm_err *err)
{
	const struct llm_wire_value *v;
	char expected[80];
	int64_t i;
	int rc = find(&v, map, key, err);
	if (rc != 1)
		return rc;
	if (!llm_wire_as_int(&i, v) || i < min || i > max) {
		snprintf(expected, sizeof expected, "an integer of %" PRId64 " to %" PRId64,
		    min, max);
		return unexpected(v, key, expected, err);
	}
	*out = i;
	return 1;
}

int
llm_wire_get_uint(
    uint64_t *out, const struct llm_wire_value *map, const char *key, struct llm_err *err)
{
	const struct llm_wire_value *v;
	int rc = find(&v, map, key, err);
	if (rc == 1 && !llm_wire_as_uint(out, v))
		return unexpected(v, key, "an integer that is not negative", err);
	return rc;
}

int
llm_wire_get_float(
    double *out, const struct llm_wire_value *map, const char *key, struct llm_err *err)
{
	const struct llm_wire_value *v;
	double x;
	int rc = find(&v, map, key, err);
	if (rc != 1)
		return rc;
	if (!llm_wire_as_float(&x, v))
		return unexpected(v, key, "a number", err);
	*out = x;
	return 1;
}

int
llm_wire_get_bytes(struct llm_wire_bytes *out, const struct llm_wire_value *map,
    const char *key, struct llm_err *err)
{
	const struct llm_wire_value *v;
	int rc = find(&v, map, key, err);
	if (rc == 1 && !llm_wire_as_bytes(out, v))
		return unexpected(v, key, "a string", err);
	return rc;
}

int
llm_wire_get_map(const struct llm_wire_value **out, const struct llm_wire_value *map,
    const char *key, struct llm_err *err)
{
	const struct llm_wire_value *v;
	int rc = find(&v, map, key, err);
	if (rc != 1)
		return rc;
	if (!llm_wire_is_map(v))
		return unexpected(v, key, "a map", err);
	*out = v;
	return 1;
}

int
llm_wire_get_array(const struct llm_wire_value **out, const struct llm_wire_value *map,
    const char *key, struct llm_err *err)
{
	const struct llm_wire_value *v;
	int rc = find(&v, map, key, err);
	if (rc != 1)
		return rc;
	if (!llm_wire_is_array(v))
		return unexpected(v, key, "an array", err);
	*out = v;
	return 1;
}

int
llm_wire_get_ids(llm_token **ids, size_t *n, const struct llm_wire_value *map, const char *key,
    struct llm_err *err)
{
	const struct llm_wire_value *array;
	int rc = llm_wire_get_array(&array, map, key, err);
	if (rc != 1)
		return rc;
	size_t n_id = llm_wire_n(array);
	llm_token *v = n_id > 0 ? malloc(n_id * sizeof *v) : NULL;
	if (v == NULL && n_id > 0)
		return llm_err_nomem(err, n_id * sizeof *v);
	for (size_t i = 0; i < n_id; i++) {
		const struct llm_wire_value *item = llm_wire_item(array, i);
		int64_t id = -1;
		if (!llm_wire_as_int(&id, item) || id < 0 || id > INT32_MAX) {
			char buf[FOUND];
			free(v);
			return llm_err_set(err, LLM_EPROTOCOL,
			    "field '%s': item %zu: found %s, expected a token's id", key, i,
			    found(buf, item));
		}
		v[i] = (llm_token)id;
	}
	*ids = v;
	*n = n_id;
	return 1;
}

/* The rows of LLM_ERRORS by the names that are sent. */
static const struct {
	const char *name;
	int code;
} rows[] = {
#define LLM_ERR_NAME(name, code, status, sentence) {#name, (code)},
    LLM_ERRORS(LLM_ERR_NAME)
#undef LLM_ERR_NAME
};
enum { N_ROW = sizeof rows / sizeof rows[0] };

/* The length of s without a character at its end that was cut. */
static size_t
whole(const char *s)
{
	size_t n = strlen(s), i = n;
	while (i > 0 && n - i < 3 && ((unsigned char)s[i - 1] & 0xC0) == 0x80)
		i--;
	if (i == 0)
		return n;
	unsigned c = (unsigned char)s[i - 1];
	size_t len = c < 0xC0 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
	return len > n - (i - 1) ? i - 1 : n;
}

void
llm_wire_put_err(struct llm_wire_out *o, const char *key, const struct llm_err *e)
{
	struct llm_err cut = *e;
	const char *name = "UNKNOWN";
	for (size_t i = 0; i < N_ROW; i++)
		if (rows[i].code == e->code)
			name = rows[i].name;
	if (cut.msg[0] == '\0')
		llm_err_set(&cut, e->code, "%s", llm_err_sentence(e->code));
	cut.msg[whole(cut.msg)] = '\0';
	llm_wire_open_map(o, key);
	llm_wire_put_int(o, "code", llm_err_status(e->code));
	llm_wire_put_str(o, "name", name);
	llm_wire_put_str(o, "text", cut.msg);
	llm_wire_close(o);
}

int
llm_wire_get_err(
    struct llm_err *out, const struct llm_wire_value *map, const char *key, struct llm_err *err)
{
	const struct llm_wire_value *e;
	struct llm_wire_bytes name = {0}, text = {0};
	int64_t status = 0;
	int code = LLM_EPROTOCOL, rc = llm_wire_get_map(&e, map, key, err);
	if (rc != 1)
		return rc;
	if (llm_wire_get_int(&status, e, "code", 0, INT32_MAX, err) < 0 ||
	    llm_wire_get_bytes(&name, e, "name", err) < 0 ||
	    llm_wire_get_bytes(&text, e, "text", err) < 0)
		return LLM_EPROTOCOL;
	for (size_t i = N_ROW; i-- > 0;) /* of rows with one status the first */
		if (llm_err_status(rows[i].code) == status)
			code = rows[i].code;
	for (size_t i = 0; i < N_ROW; i++)
		if (name.n == strlen(rows[i].name) && memcmp(name.s, rows[i].name, name.n) == 0)
			code = rows[i].code;
	llm_err_set(out, code, "%.*s",
	    (int)(text.n < sizeof out->msg ? text.n : sizeof out->msg),
	    text.n > 0 ? text.s : "");
	out->msg[whole(out->msg)] = '\0';
	for (char *c = out->msg; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7F)
			*c = '?';
	return 1;
}
