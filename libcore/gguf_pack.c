/*
 * SPDX-License-Identifier: ISC
 *
 * Packing a GGUF file; see gguf_pack.h.  The header is parsed in the mapping; data is read, not mapped,
 * so that a file which shrinks meanwhile is an error and no signal.
 */
#include "libcore/gguf_pack.h"

#include "libcore/gguf_part.h"
#include "libcore/packed.h"
#include "libcore/size.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER = 1 << 20 };

/* One file on its way. */
struct job {
	struct llm_gguf_part part;
	int in, out;
	bool back;
	unsigned char *from, *to; /* BUFFER bytes each, or those of one unit */
	size_t n_buffer, done;
	const struct llm_gguf_pack_watch *watch; /* or NULL */
	struct llm_err *err;
};

static int
read_at(struct job *j, unsigned char *buf, size_t n, size_t at)
{
	while (n > 0) {
		ssize_t got = pread(j->in, buf, n, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return llm_err_set(
			    j->err, LLM_EIO, "%s: %s", j->part.map.name, strerror(errno));
		if (got == 0)
			return llm_err_set(j->err, LLM_EIO,
			    "%s: the file shrank while it was read: it ends before byte %zu",
			    j->part.map.name, at + n);
		buf += got;
		at += (size_t)got;
		n -= (size_t)got;
	}
	return 0;
}

static int
put(struct job *j, const unsigned char *buf, size_t n)
{
	while (n > 0) {
		ssize_t put = write(j->out, buf, n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return llm_err_set(
			    j->err, LLM_EIO, "cannot write: %s", strerror(errno));
		buf += put;
		n -= (size_t)put;
		j->done += (size_t)put;
	}
	if (j->watch != NULL)
		j->watch->progress(j->watch->context, j->done, j->part.map.n_bytes);
	return 0;
}

/* Bytes [at, end) as they are. */
static int
copy(struct job *j, size_t at, size_t end)
{
	int status = 0;
	while (status == 0 && at < end) {
		size_t n = end - at < j->n_buffer ? end - at : j->n_buffer;
		if ((status = read_at(j, j->from, n, at)) == 0)
			status = put(j, j->from, n);
		at += n;
	}
	return status;
}

/* The packed type that a tensor has or will have; its own where it is left alone. */
static enum llm_dtype
moved_type(const struct job *j, const struct llm_gguf_tensor *t)
{
	if (j->back)
		return llm_packed_plain(t->type);
	return t->n_dim == 2 ? llm_packed_type(t->type, t->ne[1]) : t->type;
}

/* A tensor's data at byte `at`, unit by unit. */
static int
move(struct job *j, const struct llm_gguf_tensor *t, size_t at)
{
	enum llm_dtype type = j->back ? t->type : moved_type(j, t);
	int n_col = (int)t->ne[0], status = 0;
	size_t unit = LLM_PACKED_ROWS * llm_dtype_row_bytes(type, n_col), n;
	size_t most = j->n_buffer / unit * unit, end = at + t->n_bytes;
	for (; status == 0 && at < end; at += n) {
		n = end - at < most ? end - at : most;
		if ((status = read_at(j, j->from, n, at)) < 0)
			return status;
		for (size_t i = 0; i < n; i += unit) {
			if (j->back)
				llm_packed_unpack(j->to + i, j->from + i, type, n_col);
			else
				llm_packed_pack(j->to + i, j->from + i, type, n_col);
		}
		status = put(j, j->to, n);
	}
	return status;
}

/* The header, with the numbers of the types that will be. */
static int
put_header(struct job *j)
{
	size_t n =
	    j->part.data_start < j->part.map.n_bytes ? j->part.data_start : j->part.map.n_bytes;
	unsigned char *header = malloc(n);
	if (header == NULL)
		return llm_err_nomem(j->err, n);
	int status = read_at(j, header, n, 0);
	for (size_t i = 0; i < j->part.n_tensor; i++) {
		const struct llm_gguf_tensor *t = &j->part.tensor[i];
		/* After the name: the count of dimensions, 8 bytes for each, the type. */
		size_t at = (size_t)((const unsigned char *)t->name.s - j->part.map.data) +
			    t->name.n + 4 + 8 * (size_t)t->n_dim;
		uint32_t number = llm_dtype_to_file(moved_type(j, t));
		for (int b = 0; b < 4; b++)
			header[at + (size_t)b] = (unsigned char)(number >> 8 * b);
	}
	if (status == 0)
		status = put(j, header, n);
	free(header);
	return status;
}

static int
data_order(const void *a, const void *b)
{
	const struct llm_gguf_tensor *const *x = a, *const *y = b;
	return ((*x)->data > (*y)->data) - ((*x)->data < (*y)->data);
}

/* All after the header: tensors in the order of their data, and what stands between them. */
static int
put_data(struct job *j, const struct llm_gguf_tensor **order)
{
	const struct llm_gguf_part *p = &j->part;
	size_t at = p->data_start;
	int status = 0;
	for (size_t i = 0; i < p->n_tensor; i++)
		order[i] = &p->tensor[i];
	if (p->n_tensor > 1)
		qsort(order, p->n_tensor, sizeof(*order), data_order);
	for (size_t i = 0; status == 0 && i < p->n_tensor; i++) {
		const struct llm_gguf_tensor *t = order[i];
		size_t start = (size_t)((const unsigned char *)t->data - p->map.data);
		if (moved_type(j, t) == t->type)
			continue;
		if ((status = copy(j, at, start)) == 0)
			status = move(j, t, start);
		at = start + t->n_bytes;
	}
	return status < 0 ? status : copy(j, at, p->map.n_bytes);
}

/* Buffers that hold a unit of every tensor. */
static int
buffers_new(struct job *j)
{
	j->n_buffer = BUFFER;
	for (size_t i = 0; i < j->part.n_tensor; i++) {
		const struct llm_gguf_tensor *t = &j->part.tensor[i];
		if (moved_type(j, t) == t->type)
			continue;
		size_t unit = LLM_PACKED_ROWS * llm_dtype_row_bytes(t->type, t->ne[0]);
		if (t->ne[0] > INT32_MAX)
			return llm_err_set(j->err, LLM_EUNSUPPORTED,
			    "%s: tensor %s has rows of %lld elements, expected at most %d",
			    j->part.map.name, LLM_GGUF_QUOTE(t->name), (long long)t->ne[0],
			    INT32_MAX);
		j->n_buffer = unit > j->n_buffer ? unit : j->n_buffer;
	}
	j->from = malloc(j->n_buffer);
	j->to = malloc(j->n_buffer);
	return j->from != NULL && j->to != NULL ? 0 : llm_err_nomem(j->err, 2 * j->n_buffer);
}

int
llm_gguf_pack_watched(int fd, const char *path, bool back,
    const struct llm_gguf_pack_watch *watch, struct llm_err *err)
{
	struct job j = {.in = -1, .out = fd, .back = back, .watch = watch, .err = err};
	struct llm_gguf_budget left = {LLM_GGUF_MAX_TENSORS, LLM_GGUF_MAX_HEADER};
	const struct llm_gguf_tensor **order = NULL;
	int status = llm_gguf_part_open(&j.part, path, &left, err);
	if (status < 0)
		return status;
	j.in = open(path, O_RDONLY | O_CLOEXEC);
	if (j.in < 0) {
		status =
		    llm_err_set(err, LLM_ENOINPUT, "%s: %s", j.part.map.name, strerror(errno));
		goto out;
	}
	order = calloc(j.part.n_tensor + 1, sizeof(*order));
	if (order == NULL) {
		status = llm_err_nomem(err, j.part.n_tensor * sizeof(*order));
		goto out;
	}
	if ((status = buffers_new(&j)) == 0 && (status = put_header(&j)) == 0)
		status = put_data(&j, order);
out:
	free(order);
	free(j.from);
	free(j.to);
	if (j.in >= 0)
		close(j.in);
	llm_gguf_part_close(&j.part);
	return status;
}

int
llm_gguf_pack(int fd, const char *path, bool back, struct llm_err *err)
{
	return llm_gguf_pack_watched(fd, path, back, NULL, err);
}
