/*
 * SPDX-License-Identifier: ISC
 *
 * Shared read-only mappings; see map.h.
 */
#include "libcore/map.h"
#include "libcore/size.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A message has 256 bytes, and the end of a path is what tells files apart. */
void
llm_map_call(struct llm_map *m, const char *path)
{
	size_t n = strlen(path), keep = sizeof m->name - 24, cut = n > keep ? 3 : 0;
	memcpy(m->name, "...", 3);
	llm_err_quote(m->name + cut, sizeof m->name - cut, n > keep ? path + n - keep : path,
	    n > keep ? keep : n);
}

static int
map_fd(struct llm_map *m, int fd, struct llm_err *err)
{
	const char *name = m->name;
	struct stat st;
	size_t n;
	if (fstat(fd, &st) < 0)
		return llm_err_set(err, LLM_EIO, "%s: %s", name, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return llm_err_set(
		    err, LLM_ENOINPUT, "%s: is a directory, not a model file", name);
	if (!S_ISREG(st.st_mode))
		return llm_err_set(
		    err, LLM_ENOINPUT, "%s: no regular file: it cannot be mapped", name);
	if (st.st_size <= 0)
		return llm_err_set(err, LLM_EDATA, "%s: the file is empty", name);
	if (!llm_size_from_u64(&n, (uint64_t)st.st_size))
		return llm_err_set(err, LLM_EDATA, "%s: too large to map", name);
	void *p = mmap(NULL, n, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return llm_err_set(err, errno == ENOMEM ? LLM_ENOMEM : LLM_EIO,
		    "%s: %zu bytes cannot be mapped: %s", name, n, strerror(errno));
	m->data = p;
	m->n_bytes = n;
	m->stamp = (struct llm_map_stamp){
	    .device = (uint64_t)st.st_dev,
	    .inode = (uint64_t)st.st_ino,
	    .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
	    .owner = (uint32_t)st.st_uid,
	    .mode = (uint32_t)st.st_mode,
	};
	return 0;
}

int
llm_map_open(struct llm_map *m, const char *path, struct llm_err *err)
{
	*m = (struct llm_map){.data = NULL};
	llm_map_call(m, path);
	/* Not blocking, so that a FIFO in place of a model is refused and not waited for. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		int code = errno == EMFILE || errno == ENFILE ? LLM_ESYSTEM : LLM_ENOINPUT;
		return llm_err_set(err, code, "%s: %s", m->name, strerror(errno));
	}
	int status = map_fd(m, fd, err);
	close(fd);
	return status;
}

void
llm_map_close(struct llm_map *m)
{
	if (m->data != NULL)
		munmap((void *)(uintptr_t)m->data, m->n_bytes);
	m->data = NULL;
	m->n_bytes = 0;
}
