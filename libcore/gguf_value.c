/*
 * SPDX-License-Identifier: ISC
 *
 * Values and names of GGUF keys, once the parser has checked that they lie in the file: items of
 * arrays, conversions that may fail, and the sorted index of names.
 */
#include "libcore/gguf_value.h"
#include "libcore/gguf_part.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	size_t n_bytes;
} types[] = {
    [LLM_GGUF_U8] = {"u8", 1},
    [LLM_GGUF_I8] = {"i8", 1},
    [LLM_GGUF_U16] = {"u16", 2},
    [LLM_GGUF_I16] = {"i16", 2},
    [LLM_GGUF_U32] = {"u32", 4},
    [LLM_GGUF_I32] = {"i32", 4},
    [LLM_GGUF_F32] = {"f32", 4},
    [LLM_GGUF_BOOL] = {"bool", 1},
    [LLM_GGUF_STRING] = {"string", 0},
    [LLM_GGUF_ARRAY] = {"array", 0},
    [LLM_GGUF_U64] = {"u64", 8},
    [LLM_GGUF_I64] = {"i64", 8},
    [LLM_GGUF_F64] = {"f64", 8},
};

const char *
llm_gguf_type_name(enum llm_gguf_type type)
{
	return types[type].name;
}

size_t
llm_gguf_type_bytes(enum llm_gguf_type type)
{
	return types[type].n_bytes;
}

/* Bytes of the well-formed sequence at p, 0 where there is none (Unicode, table 3-7). */
static size_t
utf8_len(const unsigned char *p, size_t n)
{
	unsigned c = p[0], min = 0x80, max = 0xbf;
	size_t len = c < 0x80   ? 1
		     : c < 0xc2 ? 0
		     : c < 0xe0 ? 2
		     : c < 0xf0 ? 3
		     : c < 0xf5 ? 4
				: 0;
	if (len == 0 || len > n)
		return 0;
	if (c == 0xe0)
		min = 0xa0;
	else if (c == 0xed)
		max = 0x9f;
	else if (c == 0xf0)
		min = 0x90;
	else if (c == 0xf4)
		max = 0x8f;
	for (size_t i = 1; i < len; i++, min = 0x80, max = 0xbf)
		if (p[i] < min || p[i] > max)
			return 0;
	return len;
}

bool
llm_gguf_is_text(struct llm_gguf_str s)
{
	const unsigned char *p = (const unsigned char *)s.s;
	for (size_t i = 0; i < s.n;) {
		size_t len = utf8_len(p + i, s.n - i);
		if (len == 0 || p[i] < 0x20 || p[i] == 0x7f ||
		    (p[i] == 0xc2 && p[i + 1] < 0xa0))
			return false;
		i += len;
	}
	return true;
}

/* By length first: most comparisons end there. */
static int
name_order(const void *a, const void *b)
{
	const struct llm_gguf_name *x = a, *y = b;
	if (x->name.n != y->name.n)
		return x->name.n < y->name.n ? -1 : 1;
	return memcmp(x->name.s, y->name.s, x->name.n);
}

const struct llm_gguf_name *
llm_gguf_names_sort(struct llm_gguf_name *names, size_t n)
{
	qsort(names, n, sizeof(*names), name_order);
	for (size_t i = 1; i < n; i++)
		if (name_order(&names[i - 1], &names[i]) == 0)
			return &names[i];
	return NULL;
}

const struct llm_gguf_name *
llm_gguf_names_find(const struct llm_gguf_name *names, size_t n, const char *name)
{
	struct llm_gguf_name wanted = {{name, strlen(name)}, 0};
	return n > 0 ? bsearch(&wanted, names, n, sizeof(*names), name_order) : NULL;
}

bool
llm_gguf_item_int(int64_t *out, const struct llm_gguf_key *k, uint64_t i)
{
	assert(i < k->n_item);
	const unsigned char *p = k->data + i * llm_gguf_type_bytes(k->item_type);
	switch (k->item_type) {
	case LLM_GGUF_U8:
	case LLM_GGUF_BOOL:
		*out = p[0];
		return true;
	case LLM_GGUF_I8:
		*out = (int8_t)p[0];
		return true;
	case LLM_GGUF_U16:
		*out = (uint16_t)(p[0] | p[1] << 8);
		return true;
	case LLM_GGUF_I16:
		*out = (int16_t)(uint16_t)(p[0] | p[1] << 8);
		return true;
	case LLM_GGUF_U32:
		*out = llm_gguf_load_u32(p);
		return true;
	case LLM_GGUF_I32:
		*out = (int32_t)llm_gguf_load_u32(p);
		return true;
	case LLM_GGUF_U64:
		*out = (int64_t)llm_gguf_load_u64(p);
		return *out >= 0;
	case LLM_GGUF_I64:
		*out = (int64_t)llm_gguf_load_u64(p);
		return true;
	default:
		return false;
	}
}

int32_t
llm_gguf_item_i32(const struct llm_gguf_key *k, uint64_t i)
{
	assert(i < k->n_item && llm_gguf_type_bytes(k->item_type) == 4);
	return (int32_t)llm_gguf_load_u32(k->data + 4 * i);
}

float
llm_gguf_item_f32(const struct llm_gguf_key *k, uint64_t i)
{
	assert(i < k->n_item && k->item_type == LLM_GGUF_F32);
	uint32_t bits = llm_gguf_load_u32(k->data + 4 * i);
	float f;
	memcpy(&f, &bits, sizeof f);
	return f;
}

double
llm_gguf_item_f64(const struct llm_gguf_key *k, uint64_t i)
{
	assert(i < k->n_item);
	if (k->item_type == LLM_GGUF_F32)
		return llm_gguf_item_f32(k, i);
	assert(k->item_type == LLM_GGUF_F64);
	uint64_t bits = llm_gguf_load_u64(k->data + 8 * i);
	double f;
	memcpy(&f, &bits, sizeof f);
	return f;
}

bool
llm_gguf_next_str(struct llm_gguf_str *out, const struct llm_gguf_key *k, size_t *cursor)
{
	assert(k->item_type == LLM_GGUF_STRING);
	if (*cursor >= k->n_bytes)
		return false;
	out->n = (size_t)llm_gguf_load_u64(k->data + *cursor);
	out->s = (const char *)k->data + *cursor + 8;
	*cursor += 8 + out->n;
	return true;
}

const struct llm_gguf_key *
llm_gguf_part_key(const struct llm_gguf_part *p, const char *name)
{
	const struct llm_gguf_name *found = llm_gguf_names_find(p->name, p->n_key, name);
	return found != NULL ? &p->key[found->i] : NULL;
}

/* Sets the detail of a key that has another type than was asked for. */
static int
wrong_type(const struct llm_gguf_part *p, const struct llm_gguf_key *k, const char *wanted,
    struct llm_err *err)
{
	bool array = k->type == LLM_GGUF_ARRAY;
	return llm_err_set(err, LLM_EDATA, "%s: key %s is %s%s, expected %s", p->map.name,
	    LLM_GGUF_QUOTE(k->name), array ? "an array of " : "of type ",
	    llm_gguf_type_name(array ? k->item_type : k->type), wanted);
}

int
llm_gguf_part_u32(
    uint32_t *out, const struct llm_gguf_part *p, const char *name, struct llm_err *err)
{
	const struct llm_gguf_key *k = llm_gguf_part_key(p, name);
	int64_t v;
	if (k == NULL)
		return 0;
	if (k->type == LLM_GGUF_U64 && llm_gguf_load_u64(k->data) > UINT32_MAX)
		return llm_err_set(err, LLM_EDATA, "%s: key %s is %llu, expected at most %u",
		    p->map.name, name, (unsigned long long)llm_gguf_load_u64(k->data),
		    UINT32_MAX);
	if (k->type == LLM_GGUF_ARRAY || k->type == LLM_GGUF_BOOL ||
	    !llm_gguf_item_int(&v, k, 0))
		return wrong_type(p, k, "an integer", err);
	if (v < 0 || v > UINT32_MAX)
		return llm_err_set(err, LLM_EDATA, "%s: key %s is %lld, expected 0 to %u",
		    p->map.name, name, (long long)v, UINT32_MAX);
	*out = (uint32_t)v;
	return 1;
}

int
llm_gguf_part_f32(
    float *out, const struct llm_gguf_part *p, const char *name, struct llm_err *err)
{
	const struct llm_gguf_key *k = llm_gguf_part_key(p, name);
	if (k == NULL)
		return 0;
	if (k->type != LLM_GGUF_F32 && k->type != LLM_GGUF_F64)
		return wrong_type(p, k, "a float", err);
	*out = (float)llm_gguf_item_f64(k, 0);
	return 1;
}

int
llm_gguf_part_bool(
    bool *out, const struct llm_gguf_part *p, const char *name, struct llm_err *err)
{
	const struct llm_gguf_key *k = llm_gguf_part_key(p, name);
	if (k == NULL)
		return 0;
	if (k->type != LLM_GGUF_BOOL)
		return wrong_type(p, k, "a bool", err);
	*out = k->data[0] != 0;
	return 1;
}

int
llm_gguf_part_str(struct llm_gguf_str *out, const struct llm_gguf_part *p, const char *name,
    struct llm_err *err)
{
	const struct llm_gguf_key *k = llm_gguf_part_key(p, name);
	if (k == NULL)
		return 0;
	if (k->type != LLM_GGUF_STRING)
		return wrong_type(p, k, "a string", err);
	*out = (struct llm_gguf_str){(const char *)k->data, k->n_bytes};
	return 1;
}

int
llm_gguf_part_array(const struct llm_gguf_key **out, const struct llm_gguf_part *p,
    const char *name, enum llm_gguf_type item_type, struct llm_err *err)
{
	const struct llm_gguf_key *k = llm_gguf_part_key(p, name);
	if (k == NULL)
		return 0;
	if (k->type != LLM_GGUF_ARRAY || k->item_type != item_type) {
		char wanted[32] = "an array of ";
		strcat(wanted, llm_gguf_type_name(item_type));
		return wrong_type(p, k, wanted, err);
	}
	*out = k;
	return 1;
}
