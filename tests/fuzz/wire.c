/*
 * SPDX-License-Identifier: ISC
 *
 * Fuzz target: any bytes are a message or refused in a line; a message that was read, written again and read again
 * is the same.
 */
#include "libcore/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct llm_err err;

#define MUST(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

/* A value put again, key NULL within a list. */
static void
put(struct llm_wire_out *o, const char *key, const struct llm_wire_value *v)
{
	struct llm_wire_bytes s;
	int64_t i;
	uint64_t u;
	double x;
	bool b;
	if (llm_wire_is_map(v)) {
		llm_wire_open_map(o, key);
		for (size_t k = 0; k < llm_wire_n(v); k++) {
			const struct llm_wire_value *item = llm_wire_pair(&s, v, k);
			char *name = malloc(s.n + 1);
			MUST(name != NULL);
			memcpy(name, s.s, s.n);
			name[s.n] = '\0';
			put(o, name, item);
			free(name);
		}
		llm_wire_close(o);
	} else if (llm_wire_is_array(v)) {
		llm_wire_open_array(o, key);
		for (size_t k = 0; k < llm_wire_n(v); k++)
			put(o, NULL, llm_wire_item(v, k));
		llm_wire_close(o);
	} else if (llm_wire_as_bool(&b, v)) {
		llm_wire_put_bool(o, key, b);
	} else if (llm_wire_as_int(&i, v)) {
		llm_wire_put_int(o, key, i);
	} else if (llm_wire_as_uint(&u, v)) {
		llm_wire_put_uint(o, key, u);
	} else if (llm_wire_as_float(&x, v)) {
		llm_wire_put_float(o, key, x);
	} else if (llm_wire_as_bytes(&s, v)) {
		llm_wire_put_bin(o, key, s.s, s.n);
	} else {
		/* Nil; not-a-number is no value of ours. */
		llm_wire_put_nil(o, key);
	}
}

static void
equal(const struct llm_wire_value *a, const struct llm_wire_value *b)
{
	struct llm_wire_bytes s, t;
	int64_t i, j;
	uint64_t u, v;
	double x, y;
	bool p, q;
	MUST(llm_wire_is_map(a) == llm_wire_is_map(b));
	MUST(llm_wire_is_array(a) == llm_wire_is_array(b));
	MUST(llm_wire_n(a) == llm_wire_n(b));
	for (size_t k = 0; k < llm_wire_n(a); k++) {
		if (llm_wire_is_array(a)) {
			equal(llm_wire_item(a, k), llm_wire_item(b, k));
			continue;
		}
		const struct llm_wire_value *c = llm_wire_pair(&s, a, k);
		const struct llm_wire_value *d = llm_wire_pair(&t, b, k);
		MUST(s.n == t.n && memcmp(s.s, t.s, s.n) == 0);
		equal(c, d);
	}
	if (llm_wire_as_bool(&p, a))
		MUST(llm_wire_as_bool(&q, b) && p == q);
	else if (llm_wire_as_int(&i, a))
		MUST(llm_wire_as_int(&j, b) && i == j);
	else if (llm_wire_as_uint(&u, a))
		MUST(llm_wire_as_uint(&v, b) && u == v);
	else if (llm_wire_as_float(&x, a))
		MUST(llm_wire_as_float(&y, b) && memcmp(&x, &y, sizeof x) == 0);
	else if (llm_wire_as_bytes(&s, a))
		MUST(llm_wire_as_bytes(&t, b) && s.n == t.n && memcmp(s.s, t.s, s.n) == 0);
}

/* All that may be asked of a field, whatever it is. */
static void
ask(const struct llm_wire_value *m, const char *key)
{
	const struct llm_wire_value *v;
	struct llm_wire_bytes s;
	struct llm_err said;
	llm_token *ids = NULL;
	int64_t i;
	uint64_t u;
	double x;
	size_t n = 0;
	bool b;
	err.msg[0] = '\0';
	if (llm_wire_get_ids(&ids, &n, m, key, &err) == 1)
		MUST((ids != NULL) == (n > 0) && (n == 0 || ids[n - 1] >= 0));
	free(ids);
	if (llm_wire_get_err(&said, m, key, &err) == 1)
		MUST(llm_err_status(said.code) >= 64 && strchr(said.msg, '\n') == NULL);
	if (llm_wire_get_int(&i, m, key, -5, 5, &err) == 1)
		MUST(i >= -5 && i <= 5);
	if (llm_wire_get_float(&x, m, key, &err) == 1)
		MUST(x == x);
	llm_wire_get_uint(&u, m, key, &err);
	llm_wire_get_bool(&b, m, key, &err);
	llm_wire_get_bytes(&s, m, key, &err);
	llm_wire_get_map(&v, m, key, &err);
	llm_wire_get_array(&v, m, key, &err);
	MUST(strchr(err.msg, '\n') == NULL);
}

/* Keys with a NUL in them cannot be written by ours. */
static bool
writable(const struct llm_wire_value *v)
{
	struct llm_wire_bytes key;
	for (size_t k = 0; k < llm_wire_n(v); k++)
		if (llm_wire_is_array(v) ? !writable(llm_wire_item(v, k))
					 : !writable(llm_wire_pair(&key, v, k)) ||
					       memchr(key.s, '\0', key.n) != NULL)
			return false;
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct llm_wire_msg *m = NULL, *same = NULL;
	struct llm_wire_out *o = NULL;
	size_t n_out = 0, len = 0;
	if (llm_wire_parse(&m, data, n, &err) < 0) {
		MUST(err.code == LLM_EPROTOCOL && err.msg[0] != '\0' &&
		     strchr(err.msg, '\n') == NULL);
		return 0;
	}
	const struct llm_wire_value *root = llm_wire_root(m);
	MUST(llm_wire_is_map(root));
	ask(root, "a");
	ask(root, "error");
	if (writable(root)) {
		struct llm_wire_bytes key;
		MUST(llm_wire_out_new(&o, &err) == 0);
		llm_wire_begin(o);
		for (size_t k = 0; k < llm_wire_n(root); k++) {
			const struct llm_wire_value *v = llm_wire_pair(&key, root, k);
			char *name = calloc(1, key.n + 1);
			MUST(name != NULL);
			memcpy(name, key.s, key.n);
			put(o, name, v);
			free(name);
		}
		MUST(llm_wire_end(o, &err) == 0);
		const unsigned char *p = llm_wire_bytes(&n_out, o);
		MUST(llm_wire_length(&len, p, &err) == 0 && len == n_out - LLM_WIRE_HEAD);
		MUST(llm_wire_parse(&same, p + LLM_WIRE_HEAD, len, &err) == 0);
		equal(root, llm_wire_root(same));
	}
	llm_wire_msg_free(m);
	llm_wire_msg_free(same);
	llm_wire_out_free(o);
	return 0;
}
