/*
 * SPDX-License-Identifier: ISC
 *
 * Reading safetensors; see safetensors.h.
 */
#include "libcore/safetensors.h"

#include "libcore/json.h"
#include "libcore/map.h"
#include "libcore/size.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* One file. */
struct shard {
	struct llm_map map;
	struct llm_json *header; /* names live there */
	const unsigned char *data;
	size_t n_data;
};

struct llm_safetensors {
	struct shard *shard;
	size_t n_shard;
	struct llm_safetensors_tensor *tensor; /* [n_tensor] by name */
	size_t n_tensor;
};

static const struct {
	const char *name;
	size_t bytes;
	enum llm_dtype type;
} dtypes[] = {
    {"F32", 4, LLM_DTYPE_F32},
    {"F16", 2, LLM_DTYPE_F16},
    {"BF16", 2, LLM_DTYPE_BF16},
    /* Of the format, but of no weight that is multiplied here. */
    {"BOOL", 1, LLM_DTYPE_MAX},
    {"U8", 1, LLM_DTYPE_MAX},
    {"I8", 1, LLM_DTYPE_MAX},
    {"F8_E5M2", 1, LLM_DTYPE_MAX},
    {"F8_E4M3", 1, LLM_DTYPE_MAX},
    {"I16", 2, LLM_DTYPE_MAX},
    {"U16", 2, LLM_DTYPE_MAX},
    {"I32", 4, LLM_DTYPE_MAX},
    {"U32", 4, LLM_DTYPE_MAX},
    {"I64", 8, LLM_DTYPE_MAX},
    {"U64", 8, LLM_DTYPE_MAX},
    {"F64", 8, LLM_DTYPE_MAX},
};

/* A name of the file in a message. */
#define QUOTE(s) llm_err_quote((char[72]){0}, 72, (s), strlen(s))

/* One tensor of a header. */

static int
dtype_read(struct llm_safetensors_tensor *t, size_t *bytes, const struct llm_json *entry,
    const char *file, struct llm_err *err)
{
	size_t n;
	if (!llm_json_str(&t->dtype, &n, llm_json_member(entry, "dtype")))
		return llm_err_set(err, LLM_EDATA,
		    "%s: tensor %s has no dtype that is a string", file, QUOTE(t->name));
	for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++)
		if (strcmp(t->dtype, dtypes[i].name) == 0) {
			t->type = dtypes[i].type;
			*bytes = dtypes[i].bytes;
			return 0;
		}
	return llm_err_set(err, LLM_EUNSUPPORTED,
	    "%s: tensor %s has dtype %s, which is not known", file, QUOTE(t->name),
	    QUOTE(t->dtype));
}

static int
shape_read(struct llm_safetensors_tensor *t, size_t *bytes, const struct llm_json *entry,
    const char *file, struct llm_err *err)
{
	const struct llm_json *shape = llm_json_member(entry, "shape");
	size_t n_dim = llm_json_n(shape);
	if (!llm_json_is_array(shape) || n_dim > LLM_SAFETENSORS_DIM)
		return llm_err_set(err, LLM_EDATA,
		    "%s: tensor %s has no shape that is an array of at most %d numbers", file,
		    QUOTE(t->name), LLM_SAFETENSORS_DIM);
	t->n_dim = (int)n_dim;
	t->n = 1;
	for (size_t i = 0; i < LLM_SAFETENSORS_DIM; i++) {
		t->shape[i] = 1;
		if (i >= n_dim)
			continue;
		size_t d;
		if (!llm_json_int(&t->shape[i], llm_json_at(shape, i)) || t->shape[i] < 0 ||
		    !llm_size_from_u64(&d, (uint64_t)t->shape[i]) ||
		    !llm_size_mul(&t->n, t->n, d))
			return llm_err_set(err, LLM_EDATA,
			    "%s: tensor %s has a shape that is no product of whole numbers",
			    file, QUOTE(t->name));
	}
	if (!llm_size_mul(bytes, *bytes, t->n))
		return llm_err_set(err, LLM_EDATA,
		    "%s: tensor %s has %zu elements, more bytes than can be counted", file,
		    QUOTE(t->name), t->n);
	return 0;
}

/* bytes: what dtype and shape make; the offsets must say the same, inside the data. */
static int
place_read(struct llm_safetensors_tensor *t, size_t bytes, const struct llm_json *entry,
    const struct shard *s, struct llm_err *err)
{
	const struct llm_json *offsets = llm_json_member(entry, "data_offsets");
	int64_t begin, end;
	if (llm_json_n(offsets) != 2 || !llm_json_is_array(offsets) ||
	    !llm_json_int(&begin, llm_json_at(offsets, 0)) ||
	    !llm_json_int(&end, llm_json_at(offsets, 1)) || begin < 0 || end < begin)
		return llm_err_set(err, LLM_EDATA,
		    "%s: tensor %s has no data_offsets that are two whole numbers in order",
		    s->map.name, QUOTE(t->name));
	if ((uint64_t)(end - begin) != bytes)
		return llm_err_set(err, LLM_EDATA,
		    "%s: tensor %s has %lld bytes, but its shape and dtype %s make %zu",
		    s->map.name, QUOTE(t->name), (long long)(end - begin), t->dtype, bytes);
	if ((uint64_t)end > s->n_data)
		return llm_err_set(err, LLM_EDATA,
		    "%s: tensor %s ends at byte %lld of %zu: the file is cut short",
		    s->map.name, QUOTE(t->name), (long long)end, s->n_data);
	t->n_bytes = bytes;
	t->data = s->data + begin;
	return 0;
}

static int
tensor_read(struct llm_safetensors_tensor *t, const struct llm_json *entry,
    const struct shard *s, struct llm_err *err)
{
	size_t bytes = 0, n_name = strlen(t->name);
	int rc;
	if (n_name == 0 || n_name > LLM_SAFETENSORS_MAX_NAME)
		return llm_err_set(err, LLM_EDATA,
		    "%s: a tensor's name has %zu bytes, expected 1 to %d", s->map.name, n_name,
		    LLM_SAFETENSORS_MAX_NAME);
	for (size_t i = 0; i < n_name; i++)
		if ((unsigned char)t->name[i] < 0x20 || t->name[i] == 0x7F)
			return llm_err_set(err, LLM_EDATA,
			    "%s: tensor %s has a control character in its name", s->map.name,
			    QUOTE(t->name));
	if (!llm_json_is_object(entry) || llm_json_n(entry) != 3)
		return llm_err_set(err, LLM_EDATA,
		    "%s: tensor %s is not an object of dtype, shape and data_offsets",
		    s->map.name, QUOTE(t->name));
	if ((rc = dtype_read(t, &bytes, entry, s->map.name, err)) < 0 ||
	    (rc = shape_read(t, &bytes, entry, s->map.name, err)) < 0)
		return rc;
	return place_read(t, bytes, entry, s, err);
}

/* One file. */

static int
shard_open(struct shard *s, const char *path, struct llm_err *err)
{
	struct llm_err inner;
	int rc = llm_map_open(&s->map, path, err);
	if (rc < 0)
		return rc;
	uint64_t n_header = 0;
	if (s->map.n_bytes < 8)
		return llm_err_set(err, LLM_EDATA,
		    "%s: %zu bytes are no safetensors file: it begins with eight bytes of "
		    "length",
		    s->map.name, s->map.n_bytes);
	for (int i = 0; i < 8; i++)
		n_header |= (uint64_t)s->map.data[i] << 8 * i;
	if (n_header > LLM_SAFETENSORS_MAX_HEADER)
		return llm_err_set(err, LLM_EDATA,
		    "%s: a header of %llu bytes, expected at most %d: no safetensors file",
		    s->map.name, (unsigned long long)n_header, LLM_SAFETENSORS_MAX_HEADER);
	if (n_header < 2 || n_header > s->map.n_bytes - 8)
		return llm_err_set(err, LLM_EDATA,
		    "%s: a header of %llu bytes in a file of %zu", s->map.name,
		    (unsigned long long)n_header, s->map.n_bytes);
	rc =
	    llm_json_parse(&s->header, (const char *)s->map.data + 8, (size_t)n_header, &inner);
	if (rc < 0)
		return llm_err_set(err, rc, "%s: the header: %.150s", s->map.name, inner.msg);
	if (!llm_json_is_object(s->header))
		return llm_err_set(
		    err, LLM_EDATA, "%s: the header is no JSON object", s->map.name);
	s->data = s->map.data + 8 + n_header;
	s->n_data = s->map.n_bytes - 8 - (size_t)n_header;
	return 0;
}

static int
by_place(const void *a, const void *b)
{
	const struct llm_safetensors_tensor *x = a, *y = b;
	if (x->data != y->data)
		return x->data < y->data ? -1 : 1;
	return (x->n_bytes > y->n_bytes) - (x->n_bytes < y->n_bytes);
}

/* All bytes of a shard belong to just one of its tensors. */
static int
layout_check(
    struct llm_safetensors_tensor *t, size_t n, const struct shard *s, struct llm_err *err)
{
	const unsigned char *at = s->data;
	if (n > 1)
		qsort(t, n, sizeof *t, by_place);
	for (size_t i = 0; i < n; at = t[i].data + t[i].n_bytes, i++)
		if (t[i].data != at)
			return llm_err_set(err, LLM_EDATA,
			    "%s: tensor %s begins at byte %zu, where %s ends at %zu: they %s",
			    s->map.name, QUOTE(t[i].name), (size_t)(t[i].data - s->data),
			    i > 0 ? QUOTE(t[i - 1].name) : "the header", (size_t)(at - s->data),
			    t[i].data < at ? "overlap" : "leave a hole");
	if (at != s->data + s->n_data)
		return llm_err_set(err, LLM_EDATA,
		    "%s: the tensors end at byte %zu of %zu: the rest belongs to none",
		    s->map.name, (size_t)(at - s->data), s->n_data);
	return 0;
}

/* "__metadata__" is an object of strings, which say nothing that we need. */
static int
metadata_check(const struct llm_json *value, const struct shard *s, struct llm_err *err)
{
	const char *name, *text;
	const struct llm_json *v;
	void *cursor = NULL;
	size_t n;
	bool good = llm_json_is_object(value);
	while (good && llm_json_next(&name, &v, value, &cursor))
		good = llm_json_str(&text, &n, v);
	if (good)
		return 0;
	return llm_err_set(
	    err, LLM_EDATA, "%s: __metadata__ is not an object of strings", s->map.name);
}

/* Adds the tensors of a shard to those that there are. */
static int
shard_read(struct llm_safetensors *st, const struct shard *s, struct llm_err *err)
{
	size_t first = st->n_tensor, n = llm_json_n(s->header);
	if (n > LLM_SAFETENSORS_MAX_TENSORS - st->n_tensor)
		return llm_err_set(err, LLM_EDATA, "%s: more than %d tensors", s->map.name,
		    LLM_SAFETENSORS_MAX_TENSORS);
	struct llm_safetensors_tensor *more =
	    realloc(st->tensor, (st->n_tensor + n + 1) * sizeof *more);
	if (more == NULL)
		return llm_err_nomem(err, (st->n_tensor + n) * sizeof *more);
	st->tensor = more;
	const char *name;
	const struct llm_json *entry;
	void *cursor = NULL;
	int rc = 0;
	while (rc == 0 && llm_json_next(&name, &entry, s->header, &cursor)) {
		struct llm_safetensors_tensor t = {.name = name};
		if (strcmp(name, "__metadata__") == 0) {
			rc = metadata_check(entry, s, err);
			continue;
		}
		if ((rc = tensor_read(&t, entry, s, err)) == 0)
			st->tensor[st->n_tensor++] = t;
	}
	if (rc < 0)
		return rc;
	return layout_check(st->tensor + first, st->n_tensor - first, s, err);
}

/* A directory of shards. */

/* DIR/NAME; the caller's to free. */
static int
join(char **out, const char *dir, const char *name, struct llm_err *err)
{
	size_t n = strlen(dir), m = strlen(name);
	*out = malloc(n + m + 2);
	if (*out == NULL)
		return llm_err_nomem(err, n + m + 2);
	memcpy(*out, dir, n);
	(*out)[n] = '/';
	memcpy(*out + n + 1, name, m + 1);
	return 0;
}

/* The place of a shard's file among those seen so far, or n. */
static size_t
file_find(const char *const *file, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(file[i], name) == 0)
			return i;
	return n;
}

/* What the index says of each tensor is what the shards hold, no more and no less. */
static int
index_agree(const struct llm_safetensors *st, const struct llm_json *map,
    const char *const *file, const char *path, struct llm_err *err)
{
	const char *name, *in;
	const struct llm_json *v;
	void *cursor = NULL;
	size_t n;
	if (llm_json_n(map) != st->n_tensor)
		return llm_err_set(err, LLM_EDATA,
		    "%s: the index names %zu tensors, its shards hold %zu", path,
		    llm_json_n(map), st->n_tensor);
	while (llm_json_next(&name, &v, map, &cursor)) {
		llm_json_str(&in, &n, v);
		const struct llm_safetensors_tensor *t = llm_safetensors_find(st, name);
		size_t i = file_find(file, st->n_shard, in);
		const struct llm_map *m = i < st->n_shard ? &st->shard[i].map : NULL;
		if (t == NULL || m == NULL || t->data < m->data ||
		    t->data > m->data + m->n_bytes)
			return llm_err_set(err, LLM_EDATA,
			    "%s: the index has tensor %s in %s, which does not hold it", path,
			    QUOTE(name), QUOTE(in));
	}
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	const struct llm_safetensors_tensor *x = a, *y = b;
	return strcmp(x->name, y->name);
}

/* Sorts by name; two of one name are of two shards. */
static int
names_sort(struct llm_safetensors *st, const char *path, struct llm_err *err)
{
	if (st->n_tensor == 0)
		return llm_err_set(err, LLM_EDATA, "%s: no tensors", path);
	qsort(st->tensor, st->n_tensor, sizeof *st->tensor, by_name);
	for (size_t i = 1; i < st->n_tensor; i++)
		if (strcmp(st->tensor[i - 1].name, st->tensor[i].name) == 0)
			return llm_err_set(err, LLM_EDATA, "%s: tensor %s stands in two shards",
			    path, QUOTE(st->tensor[i].name));
	return 0;
}

/* The files that the weight map names, once each; they are plain names in the same directory. */
static int
files_list(const char **file, size_t *n_file, const struct llm_json *map, const char *path,
    struct llm_err *err)
{
	const char *name, *in;
	const struct llm_json *v;
	void *cursor = NULL;
	size_t n;
	while (llm_json_next(&name, &v, map, &cursor)) {
		if (!llm_json_str(&in, &n, v) || n == 0 || n > 200 || in[0] == '.' ||
		    strchr(in, '/') != NULL)
			return llm_err_set(err, LLM_EDATA,
			    "%s: tensor %s is in no file that is a plain name", path,
			    QUOTE(name));
		if (file_find(file, *n_file, in) < *n_file)
			continue;
		if (*n_file == LLM_SAFETENSORS_MAX_SHARDS)
			return llm_err_set(err, LLM_EDATA, "%s: more than %d shards", path,
			    LLM_SAFETENSORS_MAX_SHARDS);
		file[(*n_file)++] = in;
	}
	if (*n_file == 0)
		return llm_err_set(err, LLM_EDATA, "%s: an index of no tensors", path);
	return 0;
}

static int
shards_open(struct llm_safetensors *st, const char *dir, const char *const *file, size_t n,
    struct llm_err *err)
{
	int rc = 0;
	st->shard = calloc(n, sizeof *st->shard);
	if (st->shard == NULL)
		return llm_err_nomem(err, n * sizeof *st->shard);
	for (size_t i = 0; i < n && rc == 0; i++) {
		char *path;
		if ((rc = join(&path, dir, file[i], err)) < 0)
			break;
		st->n_shard++;
		rc = shard_open(&st->shard[i], path, err);
		free(path);
		if (rc == 0)
			rc = shard_read(st, &st->shard[i], err);
	}
	return rc;
}

static int
index_open(struct llm_safetensors *st, const char *dir, const char *path, struct llm_err *err)
{
	struct llm_map m = {0};
	struct llm_json *index = NULL;
	struct llm_err inner;
	const char **file = calloc(LLM_SAFETENSORS_MAX_SHARDS, sizeof *file);
	size_t n_file = 0;
	if (file == NULL)
		return llm_err_nomem(err, LLM_SAFETENSORS_MAX_SHARDS * sizeof *file);
	int rc = llm_map_open(&m, path, err);
	if (rc < 0)
		goto out;
	if (m.n_bytes > LLM_SAFETENSORS_MAX_HEADER)
		rc = llm_err_set(err, LLM_EDATA,
		    "%s: an index of %zu bytes, expected at most %d", m.name, m.n_bytes,
		    LLM_SAFETENSORS_MAX_HEADER);
	if (rc == 0 &&
	    (rc = llm_json_parse(&index, (const char *)m.data, m.n_bytes, &inner)) < 0)
		llm_err_set(err, rc, "%s: %.150s", m.name, inner.msg);
	if (rc < 0)
		goto out;
	const struct llm_json *map = llm_json_member(index, "weight_map");
	if (!llm_json_is_object(map)) {
		rc = llm_err_set(err, LLM_EDATA, "%s: no weight_map that is an object", m.name);
		goto out;
	}
	if ((rc = files_list(file, &n_file, map, m.name, err)) == 0 &&
	    (rc = shards_open(st, dir, file, n_file, err)) == 0 &&
	    (rc = names_sort(st, m.name, err)) == 0)
		rc = index_agree(st, map, file, m.name, err);
out:
	llm_json_free(index);
	llm_map_close(&m);
	free(file);
	return rc;
}

static int
dir_open(struct llm_safetensors *st, const char *dir, struct llm_err *err)
{
	static const char *const one[] = {"model.safetensors"};
	struct stat info;
	char *path;
	int rc = join(&path, dir, "model.safetensors.index.json", err);
	if (rc < 0)
		return rc;
	bool has_index = stat(path, &info) == 0;
	if (has_index)
		rc = index_open(st, dir, path, err);
	free(path);
	if (has_index)
		return rc;
	if ((rc = shards_open(st, dir, one, 1, err)) < 0)
		return rc;
	return names_sort(st, st->shard[0].map.name, err);
}

static int
file_open(struct llm_safetensors *st, const char *path, struct llm_err *err)
{
	int rc;
	st->shard = calloc(1, sizeof *st->shard);
	if (st->shard == NULL)
		return llm_err_nomem(err, sizeof *st->shard);
	st->n_shard = 1;
	if ((rc = shard_open(st->shard, path, err)) < 0 ||
	    (rc = shard_read(st, st->shard, err)) < 0)
		return rc;
	return names_sort(st, st->shard[0].map.name, err);
}

int
llm_safetensors_open(struct llm_safetensors **out, const char *path, struct llm_err *err)
{
	struct stat info;
	struct llm_safetensors *st = calloc(1, sizeof *st);
	if (st == NULL)
		return llm_err_nomem(err, sizeof *st);
	bool is_dir = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
	int rc = is_dir ? dir_open(st, path, err) : file_open(st, path, err);
	if (rc < 0) {
		llm_safetensors_close(st);
		return rc;
	}
	*out = st;
	return 0;
}

void
llm_safetensors_close(struct llm_safetensors *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n_shard; i++) {
		llm_json_free(s->shard[i].header);
		llm_map_close(&s->shard[i].map);
	}
	free(s->shard);
	free(s->tensor);
	free(s);
}

size_t
llm_safetensors_n(const struct llm_safetensors *s)
{
	return s->n_tensor;
}

const struct llm_safetensors_tensor *
llm_safetensors_at(const struct llm_safetensors *s, size_t i)
{
	return &s->tensor[i];
}

const struct llm_safetensors_tensor *
llm_safetensors_find(const struct llm_safetensors *s, const char *name)
{
	const struct llm_safetensors_tensor key = {.name = name};
	return bsearch(&key, s->tensor, s->n_tensor, sizeof key, by_name);
}

int
llm_safetensors_f32(float *y, const struct llm_safetensors_tensor *t, size_t from, size_t n,
    struct llm_err *err)
{
	if (t->type == LLM_DTYPE_MAX)
		return llm_err_set(err, LLM_EUNSUPPORTED,
		    "tensor %s has dtype %s, expected F32, F16 or BF16", QUOTE(t->name),
		    t->dtype);
	const struct llm_dtype_info *info = llm_dtype_info(t->type);
	const unsigned char *at = t->data + from * (size_t)info->block_bytes;
	for (size_t done = 0; done < n;) {
		size_t some = n - done < 1 << 20 ? n - done : 1 << 20;
		info->to_f32(y + done, at + done * (size_t)info->block_bytes, (int)some);
		done += some;
	}
	return 0;
}

const char *
llm_safetensors_covers(const struct llm_safetensors *s, const void *p)
{
	for (size_t i = 0; i < s->n_shard; i++) {
		const struct llm_map *m = &s->shard[i].map;
		if ((const unsigned char *)p >= m->data &&
		    (const unsigned char *)p < m->data + m->n_bytes)
			return m->name;
	}
	return NULL;
}
