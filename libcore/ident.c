/*
 * SPDX-License-Identifier: ISC
 *
 * The identity of a model, and where it is kept; see ident.h.
 */
#include "libcore/ident.h"

#include "libcore/map.h"
#include "libcore/newfile.h"
#include "libcore/packed.h"
#include "libcore/pool.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER = 1 << 18 };

/* One thread's own. */
struct worker {
	struct llm_hasher *hasher;
	unsigned char *buffer; /* where packed tensors are unpacked */
};

struct job {
	const struct llm_gguf *g;
	struct worker *worker;
	size_t n_buffer;
	struct llm_hash *data; /* of each tensor */
};

/* Bytes of eight rows. */
static size_t
unit_bytes(const struct llm_gguf_tensor *t)
{
	return LLM_PACKED_ROWS * llm_dtype_row_bytes(t->type, t->ne[0]);
}

/* The hash of a tensor's data in GGUF's order. */
static struct llm_hash
tensor_hash(const struct job *j, const struct llm_gguf_tensor *t, const struct worker *w)
{
	const unsigned char *data = t->data;
	if (!llm_packed_is(t->type))
		return llm_hash_of(data, t->n_bytes);
	size_t unit = unit_bytes(t), most = j->n_buffer / unit * unit, n;
	for (size_t at = 0; at < t->n_bytes; at += n) {
		n = t->n_bytes - at < most ? t->n_bytes - at : most;
		for (size_t i = 0; i < n; i += unit)
			llm_packed_unpack(w->buffer + i, data + at + i, t->type, (int)t->ne[0]);
		llm_hasher_add(w->hasher, w->buffer, n);
	}
	return llm_hasher_end(w->hasher);
}

static void
tensors_work(void *arg, int begin, int end, int thread)
{
	struct job *j = arg;
	for (int i = begin; i < end; i++)
		j->data[i] =
		    tensor_hash(j, llm_gguf_tensor_at(j->g, (size_t)i), &j->worker[thread]);
}

static int
tensors_hash(struct job *j, struct llm_pool *pool, struct llm_err *err)
{
	int n_thread = llm_pool_n_thread(pool), status = 0;
	size_t n = llm_gguf_n_tensor(j->g);
	j->n_buffer = BUFFER;
	for (size_t i = 0; i < n; i++) {
		const struct llm_gguf_tensor *t = llm_gguf_tensor_at(j->g, i);
		if (!llm_packed_is(t->type))
			continue;
		if (t->ne[0] > INT32_MAX)
			return llm_err_set(err, LLM_EUNSUPPORTED,
			    "%s: rows of %lld elements, expected at most %d",
			    llm_gguf_path(j->g), (long long)t->ne[0], INT32_MAX);
		if (unit_bytes(t) > j->n_buffer)
			j->n_buffer = unit_bytes(t);
	}
	j->worker = calloc((size_t)n_thread, sizeof *j->worker);
	if (j->worker == NULL)
		return llm_err_nomem(err, (size_t)n_thread * sizeof *j->worker);
	for (int i = 0; status == 0 && i < n_thread; i++) {
		status = llm_hasher_new(&j->worker[i].hasher, err);
		if (status == 0 && (j->worker[i].buffer = malloc(j->n_buffer)) == NULL)
			status = llm_err_nomem(err, j->n_buffer);
	}
	if (status == 0)
		llm_pool_run(pool, tensors_work, j, (int)n, 1);
	for (int i = 0; i < n_thread; i++) {
		llm_hasher_free(j->worker[i].hasher);
		free(j->worker[i].buffer);
	}
	free(j->worker);
	return status;
}

static void
add_u32(struct llm_hasher *h, uint32_t x)
{
	unsigned char b[4];
	for (int i = 0; i < 4; i++)
		b[i] = (unsigned char)(x >> 8 * i);
	llm_hasher_add(h, b, sizeof b);
}

static void
add_u64(struct llm_hasher *h, uint64_t x)
{
	add_u32(h, (uint32_t)x);
	add_u32(h, (uint32_t)(x >> 32));
}

static void
add_str(struct llm_hasher *h, const void *s, size_t n)
{
	add_u64(h, n);
	llm_hasher_add(h, s, n);
}

static int
key_order(const void *a, const void *b)
{
	const struct llm_gguf_key *const *x = a, *const *y = b;
	if ((*x)->name.n != (*y)->name.n)
		return (*x)->name.n < (*y)->name.n ? -1 : 1;
	return memcmp((*x)->name.s, (*y)->name.s, (*x)->name.n);
}

/* The keys ARCH.*, in their order. */
static int
keys_add(struct llm_hasher *h, const struct llm_gguf *g, struct llm_err *err)
{
	struct llm_gguf_str arch;
	size_t n = 0, n_key = llm_gguf_n_key(g);
	int status = llm_gguf_str(&arch, g, "general.architecture", err);
	if (status == 0)
		status = llm_err_set(err, LLM_EDATA, "%s: key general.architecture is missing",
		    llm_gguf_path(g));
	if (status < 0)
		return status;
	const struct llm_gguf_key **key = calloc(n_key + 1, sizeof *key);
	if (key == NULL)
		return llm_err_nomem(err, n_key * sizeof *key);
	for (size_t i = 0; i < n_key; i++) {
		const struct llm_gguf_key *k = llm_gguf_key_at(g, i);
		if (k->name.n > arch.n && memcmp(k->name.s, arch.s, arch.n) == 0 &&
		    k->name.s[arch.n] == '.')
			key[n++] = k;
	}
	if (n > 1)
		qsort(key, n, sizeof *key, key_order);
	add_str(h, arch.s, arch.n);
	for (size_t i = 0; i < n; i++) {
		add_str(h, key[i]->name.s, key[i]->name.n);
		add_u32(h, (uint32_t)key[i]->type);
		add_u32(h, (uint32_t)key[i]->item_type);
		add_u64(h, key[i]->n_item);
		add_str(h, key[i]->data, key[i]->n_bytes);
	}
	free(key);
	return 0;
}

static void
tensors_add(struct llm_hasher *h, const struct job *j)
{
	size_t n = llm_gguf_n_tensor(j->g);
	add_u64(h, n);
	for (size_t i = 0; i < n; i++) {
		const struct llm_gguf_tensor *t = llm_gguf_tensor_at(j->g, i);
		add_str(h, t->name.s, t->name.n);
		add_u32(h, llm_dtype_to_file(llm_packed_plain(t->type)));
		add_u32(h, (uint32_t)t->n_dim);
		for (int d = 0; d < 4; d++)
			add_u64(h, (uint64_t)t->ne[d]);
		llm_hasher_add(h, j->data[i].b, sizeof j->data[i].b);
	}
}

int
llm_ident(struct llm_hash *out, const struct llm_gguf *g, int n_thread, struct llm_err *err)
{
	static const char head[] = "llm-ident 1\n";
	struct llm_pool *pool = NULL;
	struct llm_hasher *h = NULL;
	struct job j = {.g = g};
	int status = llm_hasher_new(&h, err);
	if (status < 0)
		return status;
	llm_hasher_add(h, head, sizeof head - 1);
	if ((status = keys_add(h, g, err)) < 0 ||
	    (status = llm_pool_new(&pool, n_thread, err)) < 0)
		goto out;
	j.data = calloc(llm_gguf_n_tensor(g) + 1, sizeof *j.data);
	if (j.data == NULL)
		status = llm_err_nomem(err, llm_gguf_n_tensor(g) * sizeof *j.data);
	else
		status = tensors_hash(&j, pool, err);
	if (status == 0) {
		tensors_add(h, &j);
		*out = llm_hasher_end(h);
	}
out:
	free(j.data);
	llm_pool_free(pool);
	llm_hasher_free(h);
	return status;
}

struct llm_hash
llm_ident_stamp(const struct llm_gguf *g, bool place)
{
	struct llm_hash h = {{0}};
	for (int i = 0; i < llm_gguf_n_part(g); i++) {
		const struct llm_map_stamp *s = llm_gguf_part_stamp(g, i);
		char line[200 + LLM_HASH_HEX], so_far[LLM_HASH_HEX];
		int n = snprintf(line, sizeof line, "%s %llu %llu %zu %lld",
		    llm_hash_hex(so_far, &h), place ? (unsigned long long)s->device : 0,
		    place ? (unsigned long long)s->inode : 0, llm_gguf_part_bytes(g, i),
		    (long long)s->mtime_ns);
		h = llm_hash_of(line, (size_t)n);
	}
	return h;
}

enum { HEX = LLM_HASH_HEX - 1, LINE = 2 * HEX + 2 };

/* What of a record is whole lines, at most room for all there may be; 0 where there is none to trust. */
static size_t
record_read(char *text, const char *path)
{
	struct stat st;
	size_t n = 0, size = (size_t)LLM_IDENT_RECORDS * LINE;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 022) == 0 &&
	    (st.st_uid == geteuid() || st.st_uid == 0)) {
		ssize_t got = 0;
		while (n < size && (got = read(fd, text + n, size - n)) > 0)
			n += (size_t)got;
		n = got < 0 ? 0 : n;
	}
	close(fd);
	return n / LINE * LINE;
}

bool
llm_ident_recall(struct llm_hash *out, const char *record, const struct llm_hash *stamp)
{
	char wanted[LLM_HASH_HEX], *text = malloc((size_t)LLM_IDENT_RECORDS * LINE);
	size_t n = text == NULL ? 0 : record_read(text, record);
	bool found = false;
	llm_hash_hex(wanted, stamp);
	for (size_t i = 0; i < n && !found; i += LINE)
		found = memcmp(text + i, wanted, HEX) == 0 && text[i + HEX] == ' ' &&
			text[i + LINE - 1] == '\n' &&
			llm_hash_from_hex(out, text + i + HEX + 1);
	free(text);
	return found;
}

int
llm_ident_keep(const char *record, const struct llm_hash *stamp, const struct llm_hash *id,
    unsigned mode, struct llm_err *err)
{
	struct llm_newfile f;
	char first[LINE + 1], of_stamp[LLM_HASH_HEX], of_id[LLM_HASH_HEX];
	size_t size = (size_t)LLM_IDENT_RECORDS * LINE;
	char *text = malloc(size);
	if (text == NULL)
		return llm_err_nomem(err, size);
	size_t n = record_read(text, record);
	snprintf(first, sizeof first, "%s %s\n", llm_hash_hex(of_stamp, stamp),
	    llm_hash_hex(of_id, id));
	int status = llm_newfile_open(&f, record, mode, err);
	if (status < 0)
		goto out;
	status = llm_newfile_put(&f, first, LINE, err);
	int left = LLM_IDENT_RECORDS - 1;
	for (size_t i = 0; status == 0 && i < n && left > 0; i += LINE) {
		if (memcmp(text + i, first, HEX) == 0)
			continue;
		status = llm_newfile_put(&f, text + i, LINE, err);
		left--;
	}
	if (status == 0)
		status = llm_newfile_keep(&f, false, err);
	else
		llm_newfile_drop(&f);
out:
	free(text);
	return status;
}
