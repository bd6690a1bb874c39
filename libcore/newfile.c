/*
 * SPDX-License-Identifier: ISC
 *
 * Files that appear whole or not at all; see newfile.h.
 */
#define _XOPEN_SOURCE 700 /* mkstemp */
#include "libcore/newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
failed(const char *path, struct llm_err *err)
{
	int number = errno;
	size_t n = strlen(path), keep = n > 100 ? 100 : n;
	return llm_err_set(err, LLM_EIO, "%s: %s",
	    llm_err_quote((char[120]){0}, 120, path + n - keep, keep), strerror(number));
}

int
llm_newfile_open(struct llm_newfile *f, const char *path, unsigned mode, struct llm_err *err)
{
	static const char suffix[] = ".XXXXXX";
	size_t n = strlen(path);
	*f = (struct llm_newfile){.fd = -1, .path = strdup(path)};
	f->temporary = malloc(n + sizeof suffix);
	if (f->path == NULL || f->temporary == NULL) {
		llm_newfile_drop(f);
		return llm_err_nomem(err, n + sizeof suffix);
	}
	snprintf(f->temporary, n + sizeof suffix, "%s%s", path, suffix);
	f->fd = mkstemp(f->temporary);
	if (f->fd >= 0 && fcntl(f->fd, F_SETFD, FD_CLOEXEC) == 0 && fchmod(f->fd, mode) == 0)
		return 0;
	int status = failed(path, err);
	llm_newfile_drop(f);
	return status;
}

int
llm_newfile_put(struct llm_newfile *f, const void *bytes, size_t n, struct llm_err *err)
{
	const char *from = bytes;
	while (n > 0) {
		ssize_t put = write(f->fd, from, n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return failed(f->path, err);
		from += put;
		n -= (size_t)put;
	}
	return 0;
}

/* The directory of path, so that a new name in it outlives a crash; some systems cannot, and none need to. */
static void
directory_sync(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = strdup(slash == NULL ? "." : path);
	if (dir == NULL)
		return;
	if (slash != NULL)
		dir[slash == path ? 1 : slash - path] = '\0';
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(dir);
	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

int
llm_newfile_keep(struct llm_newfile *f, bool sync, struct llm_err *err)
{
	int status = sync && fsync(f->fd) < 0 ? failed(f->path, err) : 0;
	if (close(f->fd) < 0 && status == 0)
		status = failed(f->path, err);
	f->fd = -1;
	if (status == 0 && rename(f->temporary, f->path) < 0)
		status = failed(f->path, err);
	if (status == 0) {
		free(f->temporary);
		f->temporary = NULL;
		if (sync)
			directory_sync(f->path);
	}
	llm_newfile_drop(f);
	return status;
}

void
llm_newfile_drop(struct llm_newfile *f)
{
	if (f->path == NULL && f->temporary == NULL)
		return;
	if (f->fd >= 0)
		close(f->fd);
	if (f->temporary != NULL)
		unlink(f->temporary);
	free(f->temporary);
	free(f->path);
	*f = (struct llm_newfile){.fd = -1};
}
