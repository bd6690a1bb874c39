/*
 * SPDX-License-Identifier: ISC
 *
 * Opening a model so that it stays; see resident.h.
 */
#define _GNU_SOURCE
#include "bin/daemon/resident.h"

#include "bin/tool_cache.h"
#include "libcore/encoder.h"
#include "libcore/gguf_pack.h"
#include "libcore/ident.h"
#include "libcore/packed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t
bytes_of(const struct llm_gguf *g)
{
	uint64_t sum = 0;
	for (int i = 0; i < llm_gguf_n_part(g); i++)
		sum += llm_gguf_part_bytes(g, i);
	return sum;
}

/* Whether packing would move any of it: one file, with a matrix that has another layout. */
static bool
to_be_packed(const struct llm_gguf *g)
{
	if (llm_gguf_n_part(g) > 1)
		return false;
	for (size_t i = 0; i < llm_gguf_n_tensor(g); i++) {
		const struct llm_gguf_tensor *t = llm_gguf_tensor_at(g, i);
		if (t->n_dim == 2 && !llm_packed_is(t->type) &&
		    llm_packed_type(t->type, t->ne[1]) != t->type)
			return true;
	}
	return false;
}

static void
on_packed(void *context, size_t done, size_t total)
{
	struct resident_watch *w = context;
	atomic_store(&w->of_bytes, total);
	atomic_store(&w->done_bytes, done);
}

/* Memory of n bytes in huge pages, where the system gives any to who asks; else what there is is left. */
static bool
huge_populate(int fd, size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return false;
	bool huge = madvise(p, n, MADV_HUGEPAGE) == 0;
#ifdef MADV_POPULATE_WRITE
	if (huge)
		(void)madvise(p, n, MADV_POPULATE_WRITE);
#endif
	munmap(p, n);
	return huge;
}

/* The file at path, packed, in memory that nobody can write to any more: its descriptor. */
static int
pack(struct resident *r, struct resident_watch *w, struct llm_err *err)
{
	const struct llm_gguf_pack_watch told = {on_packed, w};
	int fd = memfd_create("llm-model", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return llm_err_set(
		    err, LLM_ESYSTEM, "memory for the packed model: %s", strerror(errno));
	int rc = 0;
	if (ftruncate(fd, (off_t)r->bytes) < 0)
		rc = llm_err_nomem(err, r->bytes);
	if (rc == 0) {
		r->huge = huge_populate(fd, r->bytes);
		rc = llm_gguf_pack_watched(fd, r->path, false, &told, err);
	}
	if (rc == 0 && fcntl(fd, F_ADD_SEALS,
			   F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		rc = llm_err_set(
		    err, LLM_ESYSTEM, "sealing the packed model: %s", strerror(errno));
	if (rc < 0) {
		close(fd);
		return rc;
	}
	return fd;
}

const char *
resident_place(char buf[RESIDENT_PLACE], const struct resident *r)
{
	if (r->memory < 0)
		return r->path;
	snprintf(buf, RESIDENT_PLACE, "/proc/self/fd/%d", r->memory);
	return buf;
}

static int
memory_open(struct resident *r, struct resident_watch *w, struct llm_err *err)
{
	char place[RESIDENT_PLACE];
	int rc = r->memory = pack(r, w, err);
	if (rc < 0)
		return rc;
	rc = llm_model_open(&r->model, resident_place(place, r), err);
	if (rc >= 0)
		llm_gguf_call(r->model->gguf, r->path);
	return rc;
}

/* The mapping goes into huge pages as its memory does. */
static void
huge_map(const struct resident *r)
{
	size_t n;
	const void *at = llm_gguf_part_data(&n, r->gguf, 0);
	(void)madvise((void *)(uintptr_t)at, n, MADV_HUGEPAGE);
}

static int
too_large(const struct resident *r, uint64_t room, struct llm_err *err)
{
	char quoted[100];
	const char *name = resident_name(r);
	return llm_err_set(err, LLM_EBUSY,
	    "%s needs %.1f MiB, and of the memory for models %.1f MiB are free",
	    llm_err_quote(quoted, sizeof quoted, name, strlen(name)),
	    (double)r->bytes / 1048576, (double)room / 1048576);
}

static int
weights_open(
    struct resident *r, struct llm_gguf *g, struct resident_watch *w, struct llm_err *err)
{
	int rc;
	if (llm_encoder_is(g)) {
		r->encoder = g;
		r->gguf = g;
		return 0;
	}
	bool packs = to_be_packed(g);
	llm_gguf_close(g);
	if ((rc = packs ? memory_open(r, w, err) : llm_model_open(&r->model, r->path, err)) < 0)
		return rc;
	r->gguf = r->model->gguf;
	if (r->huge)
		huge_map(r);
	return tool_tokenizer_open(&r->tokenizer, r->gguf, err);
}

int
resident_open(
    struct resident **out, const char *path, struct resident_watch *watch, struct llm_err *err)
{
	struct llm_gguf *g = NULL;
	struct resident *r = calloc(1, sizeof *r);
	if (r == NULL || (r->path = strdup(path)) == NULL) {
		free(r);
		return llm_err_nomem(err, sizeof *r);
	}
	r->memory = -1;
	int rc = llm_gguf_open(&g, path, err);
	if (rc < 0)
		goto failed;
	r->bytes = bytes_of(g);
	r->stamp = llm_ident_stamp(g, true);
	r->file = *llm_gguf_part_stamp(g, 0);
	r->known = tool_ident_known(&r->ident, g);
	atomic_store(&watch->of_bytes, r->bytes);
	if (r->bytes > watch->room_bytes) {
		rc = too_large(r, watch->room_bytes, err);
		llm_gguf_close(g);
		goto failed;
	}
	if ((rc = weights_open(r, g, watch, err)) < 0)
		goto failed;
	atomic_store(&watch->done_bytes, r->bytes);
	*out = r;
	return 0;
failed:
	resident_close(r);
	return rc;
}

void
resident_close(struct resident *r)
{
	if (r == NULL)
		return;
	llm_tokenizer_close(r->tokenizer);
	llm_model_close(r->model);
	llm_gguf_close(r->encoder);
	if (r->memory >= 0)
		close(r->memory);
	free(r->farewell);
	free(r->path);
	free(r);
}

int
resident_ident(struct llm_hash *id, const struct resident *r, struct llm_err *err)
{
	char *record = tool_cache("models");
	int rc = llm_ident(id, r->gguf, 1, err);
	if (rc >= 0 && record != NULL)
		(void)llm_ident_keep(record, &r->stamp, id, 0600, NULL);
	free(record);
	return rc;
}

int
resident_lock(const struct resident *r)
{
	int error = 0;
	for (int i = 0; error == 0 && i < llm_gguf_n_part(r->gguf); i++) {
		size_t n;
		const void *at = llm_gguf_part_data(&n, r->gguf, i);
		error = mlock(at, n) == 0 ? 0 : errno;
	}
	return error;
}

bool
resident_fresh(const struct resident *r)
{
	struct stat st;
	return stat(r->path, &st) == 0 && (uint64_t)st.st_dev == r->file.device &&
	       (uint64_t)st.st_ino == r->file.inode &&
	       (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec == r->file.mtime_ns;
}

int
resident_fd(const struct resident *r)
{
	char place[RESIDENT_PLACE];
	if (llm_gguf_n_part(r->gguf) > 1)
		return -1;
	if (r->memory < 0 && !resident_fresh(r))
		return -1;
	return open(resident_place(place, r), O_RDONLY | O_CLOEXEC);
}

const char *
resident_name(const struct resident *r)
{
	const char *slash = strrchr(r->path, '/');
	return slash != NULL && slash[1] != '\0' ? slash + 1 : r->path;
}
