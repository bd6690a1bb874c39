/*
 * SPDX-License-Identifier: ISC
 *
 * The writer of GGUF files for tests; see mkmodel_file.h.
 */
#include "tests/mkmodel_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK_BYTES = 1 << 20 };

/* A growing run of bytes. */
struct buffer {
	unsigned char *p;
	size_t n, cap;
};

static void *
must(void *p)
{
	if (p == NULL) {
		perror("mkmodel");
		exit(71);
	}
	return p;
}

/* Room for one more item in an array of n: it doubles at powers of two. */
static void *
grow(void *array, size_t n, size_t item_bytes)
{
	return (n & (n - 1)) == 0 ? must(realloc(array, (n > 0 ? 2 * n : 1) * item_bytes))
				  : array;
}

static void
put(struct buffer *b, const void *bytes, size_t n)
{
	if (b->n + n > b->cap) {
		b->cap = 2 * (b->n + n) + 64;
		b->p = must(realloc(b->p, b->cap));
	}
	if (n > 0)
		memcpy(b->p + b->n, bytes, n);
	b->n += n;
}

/* The low n bytes of v, little-endian. */
static void
put_int(struct buffer *b, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)(v >> (8 * i));
		put(b, &c, 1);
	}
}

static void
put_float(struct buffer *b, float v)
{
	uint32_t bits;
	memcpy(&bits, &v, sizeof bits);
	put_int(b, bits, 4);
}

static void
put_double(struct buffer *b, double v)
{
	uint64_t bits;
	memcpy(&bits, &v, sizeof bits);
	put_int(b, bits, 8);
}

static void
put_str(struct buffer *b, const char *s, size_t n)
{
	put_int(b, n, 8);
	put(b, s, n);
}

struct mkfile *
mkfile_new(void)
{
	struct mkfile *f = must(calloc(1, sizeof *f));
	f->version = 3;
	f->alignment = 32;
	return f;
}

static void
key_free(struct mkfile_key *k)
{
	free(k->name);
	free(k->value);
}

void
mkfile_free(struct mkfile *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < f->n_key; i++)
		key_free(&f->key[i]);
	for (size_t i = 0; i < f->n_tensor; i++)
		free(f->tensor[i].values);
	free(f->key);
	free(f->tensor);
	free(f);
}

void
mkfile_raw(struct mkfile *f, const char *name, uint32_t type, const void *value, size_t n)
{
	size_t i = 0;
	while (i < f->n_key && strcmp(f->key[i].name, name) != 0)
		i++;
	if (i == f->n_key) {
		f->key = grow(f->key, f->n_key, sizeof *f->key);
		f->n_key++;
	} else {
		key_free(&f->key[i]);
	}
	f->key[i] = (struct mkfile_key){must(strdup(name)), type, must(malloc(n + 1)), n};
	memcpy(f->key[i].value, value, n);
}

/* Hands a value over to a key. */
static void
key_put(struct mkfile *f, const char *name, enum llm_gguf_type type, struct buffer *b)
{
	mkfile_raw(f, name, (uint32_t)type, b->n > 0 ? b->p : (unsigned char *)"", b->n);
	free(b->p);
}

void
mkfile_int(struct mkfile *f, const char *name, enum llm_gguf_type type, int64_t value)
{
	struct buffer b = {0};
	put_int(&b, (uint64_t)value, llm_gguf_type_bytes(type));
	key_put(f, name, type, &b);
}

void
mkfile_u32(struct mkfile *f, const char *name, uint32_t value)
{
	mkfile_int(f, name, LLM_GGUF_U32, value);
}

void
mkfile_f32(struct mkfile *f, const char *name, float value)
{
	struct buffer b = {0};
	put_float(&b, value);
	key_put(f, name, LLM_GGUF_F32, &b);
}

void
mkfile_f64(struct mkfile *f, const char *name, double value)
{
	struct buffer b = {0};
	put_double(&b, value);
	key_put(f, name, LLM_GGUF_F64, &b);
}

void
mkfile_bool(struct mkfile *f, const char *name, bool value)
{
	mkfile_int(f, name, LLM_GGUF_BOOL, value);
}

void
mkfile_str(struct mkfile *f, const char *name, const char *value)
{
	struct buffer b = {0};
	put_str(&b, value, strlen(value));
	key_put(f, name, LLM_GGUF_STRING, &b);
}

static struct buffer
array_begin(enum llm_gguf_type type, size_t n)
{
	struct buffer b = {0};
	put_int(&b, (uint64_t)type, 4);
	put_int(&b, n, 8);
	return b;
}

void
mkfile_i32s(struct mkfile *f, const char *name, const int32_t *items, size_t n)
{
	struct buffer b = array_begin(LLM_GGUF_I32, n);
	for (size_t i = 0; i < n; i++)
		put_int(&b, (uint32_t)items[i], 4);
	key_put(f, name, LLM_GGUF_ARRAY, &b);
}

void
mkfile_f32s(struct mkfile *f, const char *name, const float *items, size_t n)
{
	struct buffer b = array_begin(LLM_GGUF_F32, n);
	for (size_t i = 0; i < n; i++)
		put_float(&b, items[i]);
	key_put(f, name, LLM_GGUF_ARRAY, &b);
}

void
mkfile_strs(struct mkfile *f, const char *name, char *const *items, size_t n)
{
	struct buffer b = array_begin(LLM_GGUF_STRING, n);
	for (size_t i = 0; i < n; i++)
		put_str(&b, items[i], strlen(items[i]));
	key_put(f, name, LLM_GGUF_ARRAY, &b);
}

void
mkfile_copy(struct mkfile *f, const struct llm_gguf_key *k)
{
	struct buffer b = {0};
	char *name = must(calloc(1, k->name.n + 1));
	memcpy(name, k->name.s, k->name.n);
	if (k->type == LLM_GGUF_ARRAY)
		b = array_begin(k->item_type, k->n_item);
	else if (k->type == LLM_GGUF_STRING)
		put_int(&b, k->n_bytes, 8);
	put(&b, k->data, k->n_bytes);
	key_put(f, name, k->type, &b);
	free(name);
}

/* One value of a type, of n bytes of text. */
static bool
put_text(struct buffer *b, enum llm_gguf_type type, const char *text, size_t n)
{
	char *s = must(calloc(1, n + 1)), *end = s;
	memcpy(s, text, n);
	errno = 0;
	if (type == LLM_GGUF_STRING) {
		put_str(b, s, n);
		end = s + n;
	} else if (type == LLM_GGUF_F32) {
		put_float(b, strtof(s, &end));
	} else if (type == LLM_GGUF_F64) {
		put_double(b, strtod(s, &end));
	} else if (type == LLM_GGUF_BOOL) {
		put_int(b, strcmp(s, "true") == 0, 1);
		end += strcmp(s, "true") == 0 || strcmp(s, "false") == 0 ? n : 0;
	} else if (s[0] == '-') {
		put_int(b, (uint64_t)strtoll(s, &end, 0), llm_gguf_type_bytes(type));
	} else {
		put_int(b, strtoull(s, &end, 0), llm_gguf_type_bytes(type));
	}
	bool good = *end == '\0' && (n > 0 || type == LLM_GGUF_STRING);
	free(s);
	return good;
}

bool
mkfile_set_text(struct mkfile *f, const char *name, const char *text)
{
	struct buffer b = {0};
	size_t n_name = strcspn(text, ":"), n_item = 1, n;
	bool array = text[0] == '[' && n_name > 2 && text[n_name - 1] == ']', good = true;
	const char *type_name = text + array, *value = text + n_name + 1;
	int type = 0;
	if (text[n_name] == '\0')
		return false;
	n_name -= array ? 2 : 0;
	while (type <= LLM_GGUF_F64 &&
	       (strlen(llm_gguf_type_name(type)) != n_name ||
		   strncmp(llm_gguf_type_name(type), type_name, n_name) != 0))
		type++;
	if (type > LLM_GGUF_F64 || type == LLM_GGUF_ARRAY)
		return false;
	if (array) {
		for (const char *p = value; *p != '\0'; p++)
			n_item += *p == ',';
		b = array_begin(type, *value == '\0' ? 0 : n_item);
		for (const char *p = value; good && *p != '\0'; p += n + (p[n] == ',')) {
			n = strcspn(p, ",");
			good = put_text(&b, type, p, n);
		}
	} else {
		good = put_text(&b, type, value, strlen(value));
	}
	if (good)
		key_put(f, name, array ? LLM_GGUF_ARRAY : (enum llm_gguf_type)type, &b);
	else
		free(b.p);
	return good;
}

bool
mkfile_unset(struct mkfile *f, const char *name)
{
	for (size_t i = 0; i < f->n_key; i++)
		if (strcmp(f->key[i].name, name) == 0) {
			key_free(&f->key[i]);
			memmove(
			    &f->key[i], &f->key[i + 1], (f->n_key - i - 1) * sizeof *f->key);
			f->n_key--;
			return true;
		}
	return false;
}

struct mkfile_tensor *
mkfile_add(struct mkfile *f, const char *name, enum llm_dtype type, uint64_t ne0, uint64_t ne1)
{
	f->tensor = grow(f->tensor, f->n_tensor, sizeof *f->tensor);
	struct mkfile_tensor *t = &f->tensor[f->n_tensor++];
	*t = (struct mkfile_tensor){
	    .n_dim = ne1 > 0 ? 2 : 1, .ne = {ne0, ne1 > 0 ? ne1 : 1, 1, 1}, .type = type};
	snprintf(t->name, sizeof t->name, "%s", name);
	return t;
}

struct mkfile_tensor *
mkfile_find(struct mkfile *f, const char *name)
{
	for (size_t i = 0; i < f->n_tensor; i++)
		if (strcmp(f->tensor[i].name, name) == 0)
			return &f->tensor[i];
	return NULL;
}

bool
mkfile_drop(struct mkfile *f, const char *name)
{
	struct mkfile_tensor *t = mkfile_find(f, name);
	if (t == NULL)
		return false;
	free(t->values);
	memmove(t, t + 1, (size_t)(f->tensor + f->n_tensor - (t + 1)) * sizeof *t);
	f->n_tensor--;
	return true;
}

uint64_t
mkfile_tensor_bytes(const struct mkfile_tensor *t)
{
	return llm_dtype_row_bytes(t->type, (int64_t)t->ne[0]) * t->ne[1] * t->ne[2] * t->ne[3];
}

/* Marks the end of b. */
static void
mark(struct mkfile_image *m, const struct buffer *b, const char *what, const char *name)
{
	m->mark = grow(m->mark, m->n_mark, sizeof *m->mark);
	struct mkfile_mark *k = &m->mark[m->n_mark++];
	snprintf(k->what, sizeof k->what, "%s%s%.80s", what, name[0] != '\0' ? " " : "", name);
	k->at = b->n;
}

static uint64_t
aligned(uint64_t n, uint64_t align)
{
	return (n + align - 1) / align * align;
}

static void
put_tensor(
    struct mkfile_image *m, struct buffer *b, const struct mkfile_tensor *t, uint64_t offset)
{
	mark(m, b, "tensor", t->name);
	put_str(b, t->name, strlen(t->name));
	mark(m, b, "n_dim", t->name);
	put_int(b, (uint64_t)t->n_dim, 4);
	mark(m, b, "ne", t->name);
	for (int i = 0; i < t->n_dim; i++)
		put_int(b, t->ne[i], 8);
	mark(m, b, "dtype", t->name);
	put_int(b, (uint64_t)t->type, 4);
	mark(m, b, "offset", t->name);
	put_int(b, offset, 8);
}

static void
put_header(struct mkfile_image *m, struct buffer *b, const struct mkfile *f)
{
	mark(m, b, "magic", "");
	put(b, "GGUF", 4);
	mark(m, b, "version", "");
	put_int(b, f->version, 4);
	mark(m, b, "n_tensor", "");
	put_int(b, f->n_tensor, 8);
	mark(m, b, "n_key", "");
	put_int(b, f->n_key, 8);
	for (size_t i = 0; i < f->n_key; i++) {
		const struct mkfile_key *k = &f->key[i];
		mark(m, b, "key", k->name);
		put_str(b, k->name, strlen(k->name));
		mark(m, b, "type", k->name);
		put_int(b, k->type, 4);
		mark(m, b, "value", k->name);
		put(b, k->value, k->n);
	}
	uint64_t offset = 0;
	for (size_t i = 0; i < f->n_tensor; i++) {
		put_tensor(m, b, &f->tensor[i], offset);
		offset = aligned(offset + mkfile_tensor_bytes(&f->tensor[i]), f->alignment);
	}
	while (b->n % f->alignment != 0)
		put(b, "", 1);
	mark(m, b, "data", "");
}

/* The data of t, in turn, to sink; whole blocks at a time. */
static int
stream_data(const struct mkfile *f, const struct mkfile_tensor *t,
    int (*sink)(void *to, const void *bytes, size_t n), void *to)
{
	uint64_t n = mkfile_tensor_bytes(t), done = 0;
	if (t->values != NULL)
		return sink(to, t->values, (size_t)n);
	size_t block = (size_t)llm_dtype_info((uint32_t)t->type)->block_bytes;
	size_t chunk = CHUNK_BYTES / block * block;
	unsigned char *bytes = must(malloc(chunk));
	struct mkfile_random r;
	int status = 0;
	mkfile_random_seed(&r, f->seed, t->name);
	while (status == 0 && done < n) {
		size_t now = n - done < chunk ? (size_t)(n - done) : chunk;
		mkfile_fill(bytes, now, t, &r);
		status = sink(to, bytes, now);
		done += now;
	}
	free(bytes);
	return status;
}

static int
stream_all(const struct mkfile *f, int (*sink)(void *to, const void *bytes, size_t n), void *to)
{
	static const unsigned char zero[4096];
	for (size_t i = 0; i < f->n_tensor; i++) {
		uint64_t n = mkfile_tensor_bytes(&f->tensor[i]);
		uint64_t pad = aligned(n, f->alignment) - n;
		if (stream_data(f, &f->tensor[i], sink, to) < 0)
			return -1;
		for (; pad > 0; pad -= pad < sizeof zero ? pad : sizeof zero)
			if (sink(to, zero, pad < sizeof zero ? (size_t)pad : sizeof zero) < 0)
				return -1;
	}
	return 0;
}

static int
sink_buffer(void *to, const void *bytes, size_t n)
{
	put(to, bytes, n);
	return 0;
}

static int
sink_fd(void *to, const void *bytes, size_t n)
{
	const int *fd = to;
	for (const char *p = bytes; n > 0;) {
		ssize_t done = write(*fd, p, n);
		if (done < 0 && errno != EINTR)
			return -1;
		if (done > 0) {
			p += done;
			n -= (size_t)done;
		}
	}
	return 0;
}

void
mkfile_image(struct mkfile_image *out, const struct mkfile *f, bool with_data)
{
	struct buffer b = {0};
	*out = (struct mkfile_image){0};
	put_header(out, &b, f);
	if (with_data)
		stream_all(f, sink_buffer, &b);
	out->bytes = b.p;
	out->n = b.n;
}

void
mkfile_image_free(struct mkfile_image *image)
{
	free(image->bytes);
	free(image->mark);
}

size_t
mkfile_at(const struct mkfile_image *image, const char *what)
{
	for (size_t i = 0; i < image->n_mark; i++)
		if (strcmp(image->mark[i].what, what) == 0)
			return image->mark[i].at;
	fprintf(stderr, "mkmodel: no mark \"%s\"\n", what);
	exit(70);
}

static int
write_one(const struct mkfile *f, const char *path)
{
	struct mkfile_image head;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return -1;
	mkfile_image(&head, f, false);
	int status = sink_fd(&fd, head.bytes, head.n);
	mkfile_image_free(&head);
	if (status == 0)
		status = stream_all(f, sink_fd, &fd);
	return close(fd) < 0 ? -1 : status;
}

/* Part i of n: its share of the tensors; keys of the model stand in the first alone. */
static int
write_part(const struct mkfile *f, const char *path, int i, int n)
{
	size_t begin = f->n_tensor * (size_t)i / (size_t)n;
	size_t end = f->n_tensor * (size_t)(i + 1) / (size_t)n;
	size_t stem = strlen(path);
	char *name = must(malloc(stem + 32));
	struct mkfile *part = mkfile_new();
	if (stem > 5 && strcmp(path + stem - 5, ".gguf") == 0)
		stem -= 5;
	snprintf(name, stem + 32, "%.*s-%05d-of-%05d.gguf", (int)stem, path, i + 1, n);
	part->version = f->version;
	part->alignment = i == 0 ? f->alignment : part->alignment;
	part->seed = f->seed;
	for (size_t k = 0; i == 0 && k < f->n_key; k++)
		mkfile_raw(part, f->key[k].name, f->key[k].type, f->key[k].value, f->key[k].n);
	mkfile_int(part, "split.no", LLM_GGUF_U16, i);
	mkfile_int(part, "split.count", LLM_GGUF_U16, n);
	mkfile_int(part, "split.tensors.count", LLM_GGUF_I32, (int64_t)f->n_tensor);
	part->tensor = f->tensor + begin; /* lent */
	part->n_tensor = end - begin;
	int status = write_one(part, name);
	part->tensor = NULL;
	part->n_tensor = 0;
	mkfile_free(part);
	free(name);
	return status;
}

int
mkfile_write(const struct mkfile *f, const char *path, int n_part)
{
	int status = 0;
	if (n_part <= 1)
		return write_one(f, path);
	for (int i = 0; status == 0 && i < n_part; i++)
		status = write_part(f, path, i, n_part);
	return status;
}
