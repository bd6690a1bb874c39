/*
 * SPDX-License-Identifier: ISC
 *
 * Pages in files; see page.h.
 */
#include "kvstore/page.h"
#include "libcore/forward.h"
#include "libcore/newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FORMAT = 1, HEAD = 512 };

/* The head, as it stands in the file: integers little-endian, as every machine that this runs on. */
struct head {
	char magic[8]; /* "LLMKVPG" and a NUL */
	uint32_t format, numeric_version, kv_type, n_layer, n_head_kv, d_head, n_tok, zero;
	unsigned char model[16], before[16];
	int32_t token[LLM_KV_PAGE];
	uint64_t n_bytes;
	unsigned char rest[HEAD - 8 - 8 * 4 - 2 * 16 - 4 * LLM_KV_PAGE - 8 - 16];
	unsigned char sum[16]; /* of all before it, then of the data */
};
_Static_assert(sizeof(struct head) == HEAD, "the head has no padding");

struct llm_kvpage_key
llm_kvpage_key_of(
    const struct llm_hash *model, const struct llm_config *c, enum llm_kv_type type)
{
	return (struct llm_kvpage_key){.model = *model,
	    .numeric_version = LLM_NUMERIC_VERSION,
	    .kv_type = (uint32_t)type,
	    .n_layer = (uint32_t)c->n_layer,
	    .n_head_kv = (uint32_t)c->n_head_kv,
	    .d_head = (uint32_t)c->d_head};
}

uint64_t
llm_kvpage_file_bytes(size_t n_bytes)
{
	return (uint64_t)HEAD + n_bytes;
}

static void
head_fill(struct head *h, const struct llm_kvpage *p, size_t n_bytes)
{
	const struct llm_kvpage_key *k = &p->key;
	memset(h, 0, sizeof *h);
	memcpy(h->magic, "LLMKVPG", 8);
	h->format = FORMAT;
	h->numeric_version = k->numeric_version;
	h->kv_type = k->kv_type;
	h->n_layer = k->n_layer;
	h->n_head_kv = k->n_head_kv;
	h->d_head = k->d_head;
	h->n_tok = (uint32_t)p->n_tok;
	memcpy(h->model, k->model.b, sizeof h->model);
	memcpy(h->before, k->before.b, sizeof h->before);
	for (int i = 0; i < p->n_tok; i++)
		h->token[i] = p->token[i];
	h->n_bytes = n_bytes;
}

/* False where the head is none of ours. */
static bool
head_read(struct llm_kvpage *p, const struct head *h)
{
	struct head again;
	if (h->n_tok < 1 || h->n_tok > LLM_KV_PAGE)
		return false;
	memset(p, 0, sizeof *p);
	p->key = (struct llm_kvpage_key){.numeric_version = h->numeric_version,
	    .kv_type = h->kv_type,
	    .n_layer = h->n_layer,
	    .n_head_kv = h->n_head_kv,
	    .d_head = h->d_head};
	memcpy(p->key.model.b, h->model, sizeof h->model);
	memcpy(p->key.before.b, h->before, sizeof h->before);
	p->n_tok = (int)h->n_tok;
	for (int i = 0; i < p->n_tok; i++)
		p->token[i] = h->token[i];
	/* Whatever does not come back as it was is no head of this format. */
	head_fill(&again, p, (size_t)h->n_bytes);
	return memcmp(&again, h, offsetof(struct head, sum)) == 0;
}

struct llm_hash
llm_kvpage_hash(const struct llm_kvpage *p)
{
	struct head h;
	head_fill(&h, p, 0);
	return llm_hash_of(&h, offsetof(struct head, sum));
}

char *
llm_kvpage_name(char buf[LLM_KVPAGE_NAME], const struct llm_kvpage *p)
{
	struct llm_kvpage none = {.key = p->key};
	struct llm_hash before = llm_kvpage_hash(&none), own = llm_kvpage_hash(p);
	char a[LLM_HASH_HEX], b[LLM_HASH_HEX];
	llm_hash_hex(a, &before);
	snprintf(buf, LLM_KVPAGE_NAME, "%.2s/%s-%s", a, a, llm_hash_hex(b, &own));
	return buf;
}

/* Of the head's hash and the data's. */
static struct llm_hash
sum_of(const struct head *h, const void *data, size_t n_bytes)
{
	struct llm_hash both[2] = {
	    llm_hash_of(h, offsetof(struct head, sum)), llm_hash_of(data, n_bytes)};
	return llm_hash_of(both, sizeof both);
}

static bool
read_whole(int fd, void *data, size_t n)
{
	for (char *at = data; n > 0;) {
		ssize_t got = read(fd, at, n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		at += got;
		n -= (size_t)got;
	}
	return true;
}

/* A file of ours and nobody else's to write; its head is read.  -1 where it is not. */
static int
page_open(struct head *h, int dir_fd, const char *name)
{
	struct stat st;
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	    (st.st_mode & 022) == 0 && read_whole(fd, h, sizeof *h) &&
	    (uint64_t)st.st_size == llm_kvpage_file_bytes((size_t)h->n_bytes))
		return fd;
	close(fd);
	return -1;
}

bool
llm_kvpage_read_head(struct llm_kvpage *out, int dir_fd, const char *name)
{
	struct head h;
	int fd = page_open(&h, dir_fd, name);
	if (fd >= 0)
		close(fd);
	return fd >= 0 && head_read(out, &h);
}

bool
llm_kvpage_read(
    struct llm_kvpage *out, void *data, size_t n_bytes, int dir_fd, const char *name)
{
	struct head h;
	int fd = page_open(&h, dir_fd, name);
	if (fd < 0)
		return false;
	bool good = h.n_bytes == n_bytes && head_read(out, &h) && read_whole(fd, data, n_bytes);
	close(fd);
	if (!good)
		return false;
	struct llm_hash sum = sum_of(&h, data, n_bytes);
	return memcmp(sum.b, h.sum, sizeof h.sum) == 0;
}

int
llm_kvpage_write(const char *path, const struct llm_kvpage *p, const void *data, size_t n_bytes,
    struct llm_err *err)
{
	struct llm_newfile f;
	struct head h;
	head_fill(&h, p, n_bytes);
	struct llm_hash sum = sum_of(&h, data, n_bytes);
	memcpy(h.sum, sum.b, sizeof h.sum);
	int rc = llm_newfile_open(&f, path, 0600, err);
	if (rc < 0)
		return rc;
	if ((rc = llm_newfile_put(&f, &h, sizeof h, err)) < 0 ||
	    (rc = llm_newfile_put(&f, data, n_bytes, err)) < 0) {
		llm_newfile_drop(&f);
		return rc;
	}
	return llm_newfile_keep(&f, true, err);
}
