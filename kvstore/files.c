/*
 * SPDX-License-Identifier: ISC
 *
 * The files of a store; see files.h.
 */
#include "kvstore/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A writer's file that is as old as this has no writer. */
enum { ABANDONED_SECONDS = 3600 };

int
llm_kvfiles_open(int *dir_fd, const char *dir, struct llm_err *err)
{
	struct stat st;
	size_t n = strlen(dir), cut = n > 100 ? n - 100 : 0;
	char name[120];
	llm_err_quote(name, sizeof name, dir + cut, n - cut);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return llm_err_set(err, errno == ENOENT ? LLM_ENOINPUT : LLM_EIO, "%s: %s",
		    name, strerror(errno));
	if (fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 077) != 0) {
		close(fd);
		return llm_err_set(err, LLM_EDATA,
		    "%s: not used: expected a directory of one's own, closed to others (0700)",
		    name);
	}
	*dir_fd = fd;
	return 0;
}

static bool
is_hex(const char *s, size_t n)
{
	return strspn(s, "0123456789abcdef") >= n;
}

/* "BEFORE-NAME"; a writer's has more after it. */
static bool
is_page(const char *name, bool *whole)
{
	*whole = strlen(name) == LLM_KVPAGE_NAME - 4;
	return strlen(name) >= LLM_KVPAGE_NAME - 4 && is_hex(name, 32) && name[32] == '-' &&
	       is_hex(name + 33, 32);
}

static int
add(struct llm_kvfiles *f, const char *folder, const char *name, const struct stat *st,
    struct llm_err *err)
{
	if (f->n == f->cap) {
		size_t cap = f->cap == 0 ? 256 : 2 * f->cap;
		struct llm_kvfile *more = realloc(f->v, cap * sizeof *more);
		if (more == NULL)
			return llm_err_nomem(err, cap * sizeof *more);
		f->v = more;
		f->cap = cap;
	}
	struct llm_kvfile *one = &f->v[f->n++];
	snprintf(one->name, sizeof one->name, "%.2s/%.65s", folder, name);
	one->n_bytes = (uint64_t)st->st_size;
	one->used = st->st_mtim;
	f->n_bytes += one->n_bytes;
	return 0;
}

static DIR *
folder_open(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (d == NULL && fd >= 0)
		close(fd);
	return d;
}

static int
list_folder(struct llm_kvfiles *f, int dir_fd, const char *folder, struct llm_err *err)
{
	DIR *d = folder_open(dir_fd, folder);
	int rc = 0;
	if (d == NULL)
		return 0;
	for (const struct dirent *e; rc >= 0 && (e = readdir(d)) != NULL;) {
		struct stat st;
		bool whole;
		if (!is_page(e->d_name, &whole) ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		if (whole)
			rc = add(f, folder, e->d_name, &st, err);
		else if (time(NULL) - st.st_mtime > ABANDONED_SECONDS)
			(void)unlinkat(dirfd(d), e->d_name, 0);
	}
	closedir(d);
	return rc;
}

static int
order(const void *a, const void *b)
{
	const struct llm_kvfile *x = a, *y = b;
	if (x->used.tv_sec != y->used.tv_sec)
		return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
	if (x->used.tv_nsec != y->used.tv_nsec)
		return x->used.tv_nsec < y->used.tv_nsec ? -1 : 1;
	return strcmp(x->name, y->name);
}

int
llm_kvfiles_list(struct llm_kvfiles *out, int dir_fd, struct llm_err *err)
{
	DIR *d = folder_open(dir_fd, ".");
	int rc = 0;
	*out = (struct llm_kvfiles){.v = NULL};
	if (d == NULL)
		return 0;
	for (const struct dirent *e; rc >= 0 && (e = readdir(d)) != NULL;)
		if (strlen(e->d_name) == 2 && is_hex(e->d_name, 2))
			rc = list_folder(out, dir_fd, e->d_name, err);
	closedir(d);
	if (out->n > 0)
		qsort(out->v, out->n, sizeof *out->v, order);
	if (rc < 0) {
		free(out->v);
		*out = (struct llm_kvfiles){.v = NULL};
	}
	return rc;
}

int
llm_kvfiles_trim(
    struct llm_kvfiles_removed *removed, int dir_fd, uint64_t budget, struct llm_err *err)
{
	struct llm_kvfiles_removed sum = {0};
	struct llm_kvfiles f;
	int rc = llm_kvfiles_list(&f, dir_fd, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < f.n && f.n_bytes > budget; i++) {
		if (unlinkat(dir_fd, f.v[i].name, 0) < 0 && errno != ENOENT)
			continue;
		f.n_bytes -= f.v[i].n_bytes;
		sum.n_bytes += f.v[i].n_bytes;
		sum.n++;
	}
	free(f.v);
	if (removed != NULL)
		*removed = sum;
	return 0;
}
