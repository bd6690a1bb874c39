/*
 * SPDX-License-Identifier: ISC
 *
 * The parser of one GGUF file.  Layout, all little-endian: magic, u32 version, u64 n_tensor, u64
 * n_key; keys: string name, u32 type, value; tensors: string name, u32 n_dim, u64 ne[n_dim], u32
 * type, u64 offset; padding to the alignment; tensor data.  A string is u64 length and bytes.
 */
#include "libcore/gguf_part.h"
#include "libcore/gguf_value.h"
#include "libcore/packed.h"
#include "libcore/size.h"

#include <stdlib.h>
#include <string.h>

enum {
	HEAD_BYTES = 24,
	MIN_KEY_BYTES = 8 + 1 + 4 + 1,            /* a name of one byte, a value of one */
	MIN_TENSOR_BYTES = 8 + 1 + 4 + 8 + 4 + 8, /* a name of one byte, one dimension */
	DEFAULT_ALIGNMENT = 32,
};

/* Where the parser stands; end is that of the file, or of what a header may take. */
struct reader {
	const struct llm_map *map;
	size_t at, end;
	const char *what; /* "key" or "tensor" */
	size_t i, n;      /* which of how many */
	size_t n_string;  /* in arrays so far */
	struct llm_err *err;
};

static int
reader_short(const struct reader *r)
{
	if (r->end < r->map->n_bytes)
		return llm_err_set(r->err, LLM_EDATA,
		    "%s: keys and tensor names take more than %d MiB", r->map->name,
		    LLM_GGUF_MAX_HEADER >> 20);
	return llm_err_set(r->err, LLM_EDATA,
	    "%s: the file is cut: it ends at byte %zu, inside %s %zu of %zu", r->map->name,
	    r->map->n_bytes, r->what, r->i + 1, r->n);
}

static int
take_u32(uint32_t *out, struct reader *r)
{
	if (!llm_size_within(r->at, 4, r->end))
		return reader_short(r);
	*out = llm_gguf_load_u32(r->map->data + r->at);
	r->at += 4;
	return 0;
}

static int
take_u64(uint64_t *out, struct reader *r)
{
	if (!llm_size_within(r->at, 8, r->end))
		return reader_short(r);
	*out = llm_gguf_load_u64(r->map->data + r->at);
	r->at += 8;
	return 0;
}

static int
take_str(struct llm_gguf_str *out, struct reader *r)
{
	uint64_t n;
	int status = take_u64(&n, r);
	if (status < 0)
		return status;
	if (n > r->end - r->at)
		return reader_short(r);
	out->s = (const char *)r->map->data + r->at;
	out->n = (size_t)n;
	r->at += out->n;
	return 0;
}

/* A name is UTF-8 text without control bytes: it goes into messages and listings. */
static int
take_name(struct llm_gguf_str *out, struct reader *r, size_t max)
{
	uint64_t n;
	int status = take_u64(&n, r);
	if (status < 0)
		return status;
	if (n == 0 || n > max)
		return llm_err_set(r->err, LLM_EDATA,
		    "%s: %s %zu of %zu: its name has %llu bytes, expected 1 to %zu",
		    r->map->name, r->what, r->i + 1, r->n, (unsigned long long)n, max);
	r->at -= 8;
	status = take_str(out, r);
	if (status < 0)
		return status;
	if (!llm_gguf_is_text(*out))
		return llm_err_set(r->err, LLM_EDATA,
		    "%s: the name of %s %zu of %zu is no text: \"%s\"", r->map->name, r->what,
		    r->i + 1, r->n, LLM_GGUF_QUOTE(*out));
	return 0;
}

/* Walks n strings, which may be hundreds of thousands: the loop has nothing in it but the check. */
static int
skip_strings(struct reader *r, uint64_t n)
{
	const unsigned char *p = r->map->data;
	size_t at = r->at, end = r->end;
	for (uint64_t i = 0; i < n; i++) {
		if (end - at < 8)
			return reader_short(r);
		uint64_t len = llm_gguf_load_u64(p + at);
		at += 8;
		if (len > end - at)
			return reader_short(r);
		at += (size_t)len;
	}
	r->at = at;
	return 0;
}

static int
bad_type(const struct reader *r, const struct llm_gguf_key *k, uint32_t type)
{
	return llm_err_set(r->err, LLM_EDATA,
	    "%s: key %s: values of type %u are unknown, expected 0 to %d", r->map->name,
	    LLM_GGUF_QUOTE(k->name), (unsigned)type, LLM_GGUF_F64);
}

static int
take_array(struct llm_gguf_key *k, struct reader *r)
{
	uint32_t type;
	int status = take_u32(&type, r);
	if (status < 0 || (status = take_u64(&k->n_item, r)) < 0)
		return status;
	if (type > LLM_GGUF_F64)
		return bad_type(r, k, type);
	if (type == LLM_GGUF_ARRAY)
		return llm_err_set(r->err, LLM_EUNSUPPORTED,
		    "%s: key %s is an array of arrays, which is not read", r->map->name,
		    LLM_GGUF_QUOTE(k->name));
	k->item_type = (enum llm_gguf_type)type;
	k->data = r->map->data + r->at;
	size_t start = r->at, n_item, n_bytes;
	size_t item_bytes = type == LLM_GGUF_STRING ? 8 : llm_gguf_type_bytes(k->item_type);
	if (!llm_size_from_u64(&n_item, k->n_item) ||
	    !llm_size_mul(&n_bytes, n_item, item_bytes) || n_bytes > r->end - r->at)
		return llm_err_set(r->err, LLM_EDATA,
		    "%s: key %s has %llu items, more than the %zu bytes left can hold",
		    r->map->name, LLM_GGUF_QUOTE(k->name), (unsigned long long)k->n_item,
		    r->end - r->at);
	if (type == LLM_GGUF_STRING && n_item > LLM_GGUF_MAX_STRINGS - r->n_string)
		return llm_err_set(r->err, LLM_EDATA,
		    "%s: key %s has %zu strings; with those before it more than the %d that "
		    "are read",
		    r->map->name, LLM_GGUF_QUOTE(k->name), n_item, LLM_GGUF_MAX_STRINGS);
	if (type == LLM_GGUF_STRING) {
		r->n_string += n_item;
		status = skip_strings(r, k->n_item);
	} else {
		r->at += n_bytes;
	}
	k->n_bytes = r->at - start;
	return status;
}

static int
take_value(struct llm_gguf_key *k, struct reader *r)
{
	struct llm_gguf_str s;
	int status;
	k->n_item = 1;
	k->item_type = k->type;
	switch (k->type) {
	case LLM_GGUF_ARRAY:
		return take_array(k, r);
	case LLM_GGUF_STRING:
		if ((status = take_str(&s, r)) < 0)
			return status;
		k->data = (const unsigned char *)s.s;
		k->n_bytes = s.n;
		return 0;
	default:
		k->n_bytes = llm_gguf_type_bytes(k->type);
		if (!llm_size_within(r->at, k->n_bytes, r->end))
			return reader_short(r);
		k->data = r->map->data + r->at;
		r->at += k->n_bytes;
	}
	if (k->type == LLM_GGUF_BOOL && k->data[0] > 1)
		return llm_err_set(r->err, LLM_EDATA, "%s: key %s is a bool of %d",
		    r->map->name, LLM_GGUF_QUOTE(k->name), k->data[0]);
	return 0;
}

static int
take_key(struct llm_gguf_key *k, struct reader *r)
{
	uint32_t type;
	int status = take_name(&k->name, r, LLM_GGUF_MAX_KEY_NAME);
	if (status < 0 || (status = take_u32(&type, r)) < 0)
		return status;
	if (type > LLM_GGUF_F64)
		return bad_type(r, k, type);
	k->type = (enum llm_gguf_type)type;
	return take_value(k, r);
}

/* The type of a tensor whose shape is known, and the bytes of a row of it. */
static int
check_type(struct llm_gguf_tensor *t, uint32_t number, struct reader *r)
{
	const char *file = r->map->name, *name = LLM_GGUF_QUOTE(t->name);
	const struct llm_dtype_info *info = llm_dtype_info(llm_dtype_from_file(number));
	if (info == NULL && llm_dtype_name(number) != NULL)
		return llm_err_set(r->err, LLM_EUNSUPPORTED,
		    "%s: tensor %s has type %s, which is not computed here", file, name,
		    llm_dtype_name(number));
	if (info == NULL)
		return llm_err_set(r->err, LLM_EUNSUPPORTED,
		    "%s: tensor %s has the unknown type %u", file, name, (unsigned)number);
	t->type = llm_dtype_from_file(number);
	t->n_bytes = llm_dtype_row_bytes(t->type, t->ne[0]);
	if (t->n_bytes == 0)
		return llm_err_set(r->err, LLM_EDATA,
		    "%s: tensor %s: rows of %lld elements, expected a multiple of %d for %s",
		    file, name, (long long)t->ne[0], info->block, info->name);
	if (llm_packed_is(t->type) && t->ne[1] % LLM_PACKED_ROWS != 0)
		return llm_err_set(r->err, LLM_EDATA,
		    "%s: tensor %s: %lld rows, expected a multiple of %d for %s", file, name,
		    (long long)t->ne[1], LLM_PACKED_ROWS, info->name);
	return 0;
}

/* Shape and type of one tensor; *offset is where the file says its data is, not yet checked. */
static int
take_tensor(struct llm_gguf_tensor *t, uint64_t *offset, struct reader *r)
{
	uint32_t n_dim, type;
	int status = take_name(&t->name, r, LLM_GGUF_MAX_TENSOR_NAME);
	if (status < 0 || (status = take_u32(&n_dim, r)) < 0)
		return status;
	const char *file = r->map->name, *name = LLM_GGUF_QUOTE(t->name);
	if (n_dim < 1 || n_dim > 4)
		return llm_err_set(r->err, LLM_EDATA,
		    "%s: tensor %s has %u dimensions, expected 1 to 4", file, name,
		    (unsigned)n_dim);
	t->n_dim = (int)n_dim;
	for (int i = 0; i < 4; i++) {
		uint64_t ne = 1;
		if (i < t->n_dim && (status = take_u64(&ne, r)) < 0)
			return status;
		if (ne < 1 || ne > INT64_MAX)
			return llm_err_set(r->err, LLM_EDATA,
			    "%s: tensor %s: dimension %d is %llu", file, name, i,
			    (unsigned long long)ne);
		t->ne[i] = (int64_t)ne;
	}
	if ((status = take_u32(&type, r)) < 0 || (status = take_u64(offset, r)) < 0)
		return status;
	if ((status = check_type(t, type, r)) < 0)
		return status;
	for (int i = 1; i < t->n_dim; i++)
		if (!llm_size_mul(&t->n_bytes, t->n_bytes, (size_t)t->ne[i]))
			return llm_err_set(r->err, LLM_EDATA,
			    "%s: tensor %s is larger than any file", file, name);
	return 0;
}

/* Finds the tensor's bytes in the file; the offset counts from the start of the data. */
static int
place_tensor(struct llm_gguf_tensor *t, uint64_t offset, const struct llm_gguf_part *p,
    struct llm_err *err)
{
	size_t at, end;
	const char *file = p->map.name, *name = LLM_GGUF_QUOTE(t->name);
	if (offset % p->alignment != 0)
		return llm_err_set(err, LLM_EDATA,
		    "%s: tensor %s stands at offset %llu, expected a multiple of %zu", file,
		    name, (unsigned long long)offset, p->alignment);
	if (!llm_size_from_u64(&at, offset) || !llm_size_add(&at, p->data_start, at) ||
	    !llm_size_add(&end, at, t->n_bytes))
		return llm_err_set(err, LLM_EDATA,
		    "%s: tensor %s: %zu bytes at offset %llu are beyond any file", file, name,
		    t->n_bytes, (unsigned long long)offset);
	if (end > p->map.n_bytes)
		return llm_err_set(err, LLM_EDATA,
		    "%s: the file is cut: it ends at byte %zu, tensor %s needs %zu", file,
		    p->map.n_bytes, name, end);
	t->data = p->map.data + at;
	return 0;
}

static int
tensor_order(const void *a, const void *b)
{
	const struct llm_gguf_tensor *const *x = a, *const *y = b;
	return ((*x)->data > (*y)->data) - ((*x)->data < (*y)->data);
}

static int
check_overlap(const struct llm_gguf_part *p, struct llm_err *err)
{
	const struct llm_gguf_tensor **order = calloc(p->n_tensor + 1, sizeof(*order));
	if (order == NULL)
		return llm_err_nomem(err, p->n_tensor * sizeof(*order));
	bool sorted = true; /* as files are usually written */
	for (size_t i = 0; i < p->n_tensor; i++) {
		order[i] = &p->tensor[i];
		sorted &= i == 0 || tensor_order(&order[i - 1], &order[i]) <= 0;
	}
	if (!sorted)
		qsort(order, p->n_tensor, sizeof(*order), tensor_order);
	int status = 0;
	for (size_t i = 1; status == 0 && i < p->n_tensor; i++) {
		const struct llm_gguf_tensor *a = order[i - 1], *b = order[i];
		if ((const char *)a->data + a->n_bytes > (const char *)b->data)
			status = llm_err_set(err, LLM_EDATA, "%s: tensors %s and %s overlap",
			    p->map.name, LLM_GGUF_QUOTE(a->name), LLM_GGUF_QUOTE(b->name));
	}
	free(order);
	return status;
}

static int
read_head(uint64_t *n_key, uint64_t *n_tensor, struct llm_gguf_part *p, struct llm_err *err)
{
	const unsigned char *d = p->map.data;
	const char *file = p->map.name;
	size_t n = p->map.n_bytes;
	if (n < 4 || memcmp(d, "GGUF", 4) != 0)
		return llm_err_set(err, LLM_EDATA,
		    "%s: no GGUF file: it starts with \"%s\", expected \"GGUF\"", file,
		    llm_err_quote((char[24]){0}, 24, (const char *)d, n < 4 ? n : 4));
	if (n < HEAD_BYTES)
		return llm_err_set(err, LLM_EDATA,
		    "%s: the file is cut: it ends at byte %zu, inside the header of %d", file,
		    n, HEAD_BYTES);
	uint32_t version = llm_gguf_load_u32(d + 4);
	if ((version & 0xffff) == 0 && version != 0)
		return llm_err_set(err, LLM_EUNSUPPORTED,
		    "%s: a big-endian GGUF file; only little-endian ones are read", file);
	if (version < 2 || version > 3)
		return llm_err_set(err, LLM_EUNSUPPORTED,
		    "%s: GGUF version %u, expected 2 or 3", file, (unsigned)version);
	p->version = (int)version;
	*n_tensor = llm_gguf_load_u64(d + 8);
	*n_key = llm_gguf_load_u64(d + 16);
	return 0;
}

/* A count may not exceed the limit, nor what the rest of the file can hold. */
static int
check_count(const struct reader *r, uint64_t n, size_t entry_bytes, size_t max)
{
	size_t can = (r->end - r->at) / entry_bytes;
	if (n <= max && n <= can)
		return 0;
	if (n > max)
		return llm_err_set(r->err, LLM_EDATA,
		    "%s: the header says %llu %ss, more than the %zu that are read",
		    r->map->name, (unsigned long long)n, r->what, max);
	return llm_err_set(r->err, LLM_EDATA,
	    "%s: the header says %llu %ss, more than the %zu bytes that follow can hold",
	    r->map->name, (unsigned long long)n, r->what, r->end - r->at);
}

static int
read_keys(struct llm_gguf_part *p, uint64_t n_key, struct reader *r)
{
	r->what = "key";
	r->n = (size_t)n_key;
	int status = check_count(r, n_key, MIN_KEY_BYTES, LLM_GGUF_MAX_KEYS);
	if (status < 0)
		return status;
	p->n_key = (size_t)n_key;
	p->key = calloc(p->n_key + 1, sizeof(*p->key));
	p->name = calloc(p->n_key + 1, sizeof(*p->name));
	if (p->key == NULL || p->name == NULL)
		return llm_err_nomem(r->err, p->n_key * (sizeof(*p->key) + sizeof(*p->name)));
	for (size_t i = 0; i < p->n_key; i++) {
		r->i = i;
		if ((status = take_key(&p->key[i], r)) < 0)
			return status;
		p->name[i] = (struct llm_gguf_name){p->key[i].name, i};
	}
	const struct llm_gguf_name *twice = llm_gguf_names_sort(p->name, p->n_key);
	if (twice != NULL)
		return llm_err_set(r->err, LLM_EDATA, "%s: key %s stands twice", p->map.name,
		    LLM_GGUF_QUOTE(twice->name));
	return 0;
}

static int
read_alignment(struct llm_gguf_part *p, struct llm_err *err)
{
	uint32_t a = DEFAULT_ALIGNMENT;
	int status = llm_gguf_part_u32(&a, p, "general.alignment", err);
	if (status < 0)
		return status;
	if (a < LLM_GGUF_MIN_ALIGNMENT || a > LLM_GGUF_MAX_ALIGNMENT || (a & (a - 1)) != 0)
		return llm_err_set(err, LLM_EDATA,
		    "%s: general.alignment is %u, expected a power of two from %d to %d",
		    p->map.name, (unsigned)a, LLM_GGUF_MIN_ALIGNMENT, LLM_GGUF_MAX_ALIGNMENT);
	p->alignment = a;
	return 0;
}

static int
read_tensors(
    struct llm_gguf_part *p, uint64_t n_tensor, struct reader *r, struct llm_gguf_budget *left)
{
	uint64_t *offset = NULL;
	r->what = "tensor";
	r->n = (size_t)n_tensor;
	int status = check_count(r, n_tensor, MIN_TENSOR_BYTES, left->n_tensor);
	if (status < 0)
		return status;
	p->n_tensor = (size_t)n_tensor;
	left->n_tensor -= p->n_tensor;
	p->tensor = calloc(p->n_tensor + 1, sizeof(*p->tensor));
	offset = calloc(p->n_tensor + 1, sizeof(*offset));
	if (p->tensor == NULL || offset == NULL) {
		status =
		    llm_err_nomem(r->err, p->n_tensor * (sizeof(*p->tensor) + sizeof(*offset)));
		goto out;
	}
	for (r->i = 0; r->i < p->n_tensor; r->i++)
		if ((status = take_tensor(&p->tensor[r->i], &offset[r->i], r)) < 0)
			goto out;
	if (!llm_size_align(&p->data_start, r->at, p->alignment)) {
		status = reader_short(r);
		goto out;
	}
	for (size_t i = 0; i < p->n_tensor; i++)
		if ((status = place_tensor(&p->tensor[i], offset[i], p, r->err)) < 0)
			goto out;
	status = check_overlap(p, r->err);
out:
	free(offset);
	return status;
}

static int
part_read(struct llm_gguf_part *p, struct llm_gguf_budget *left, struct llm_err *err)
{
	uint64_t n_key = 0, n_tensor = 0;
	int status = read_head(&n_key, &n_tensor, p, err);
	if (status < 0)
		return status;
	size_t end = p->map.n_bytes < left->header_bytes ? p->map.n_bytes : left->header_bytes;
	struct reader r = {.map = &p->map, .at = HEAD_BYTES, .end = end, .err = err};
	if (r.end < r.at)
		return reader_short(&r);
	if ((status = read_keys(p, n_key, &r)) < 0 || (status = read_alignment(p, err)) < 0 ||
	    (status = read_tensors(p, n_tensor, &r, left)) < 0)
		return status;
	left->header_bytes -= r.at;
	return 0;
}

int
llm_gguf_part_open(struct llm_gguf_part *p, const char *path, struct llm_gguf_budget *left,
    struct llm_err *err)
{
	*p = (struct llm_gguf_part){.path = strdup(path)};
	int status = p->path != NULL ? llm_map_open(&p->map, path, err)
				     : llm_err_nomem(err, strlen(path) + 1);
	if (status == 0)
		status = part_read(p, left, err);
	if (status < 0)
		llm_gguf_part_close(p);
	return status;
}

void
llm_gguf_part_close(struct llm_gguf_part *p)
{
	free(p->tensor);
	free(p->name);
	free(p->key);
	llm_map_close(&p->map);
	free(p->path);
	*p = (struct llm_gguf_part){.path = NULL};
}
