/*
 * SPDX-License-Identifier: ISC
 *
 * Files that appear whole or not at all; see newfile.h.
 */
#define _GNU_SOURCE /* O_TMPFILE, mkostemp */
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

/* The directory of path, which is changed meanwhile and put back. */
static int
directory_open(char *path, int flags, unsigned mode)
{
	char *slash = strrchr(path, '/'), kept = '\0';
	if (slash != NULL) {
		kept = slash[1];
		slash[1] = '\0';
	}
	int fd = open(slash == NULL ? "." : path, flags | O_CLOEXEC, mode);
	if (slash != NULL)
		slash[1] = kept;
	return fd;
}

/* The six characters of a name that nothing has yet; the file gets it. */
static bool
name_give(struct llm_newfile *f)
{
	char source[32], *end = f->temporary + strlen(f->temporary) - 6;
	snprintf(source, sizeof source, "/proc/self/fd/%d", f->fd);
	for (unsigned i = 0; !f->named && i < 1000000; i++) {
		snprintf(end, 7, "%06u", ((unsigned)getpid() + i) % 1000000);
		f->named =
		    linkat(AT_FDCWD, source, AT_FDCWD, f->temporary, AT_SYMLINK_FOLLOW) == 0;
		if (!f->named && errno != EEXIST)
			break;
	}
	return f->named;
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
	/* A file without a name gets one by way of /proc. */
	if (access("/proc/self/fd", X_OK) == 0)
		f->fd = directory_open(f->temporary, O_TMPFILE | O_RDWR, 0600);
	if (f->fd < 0) {
		f->fd = mkostemp(f->temporary, O_CLOEXEC);
		f->named = f->fd >= 0;
	}
	if (f->fd >= 0 && fchmod(f->fd, mode) == 0)
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

int
llm_newfile_keep(struct llm_newfile *f, bool sync, struct llm_err *err)
{
	bool good = (!sync || fsync(f->fd) == 0) && name_give(f);
	good = close(f->fd) == 0 && good;
	f->fd = -1;
	good = good && rename(f->temporary, f->path) == 0;
	int status = good ? 0 : failed(f->path, err);
	f->named = f->named && !good;
	/* So that the new name outlives a crash too; some systems cannot. */
	int dir = sync && status == 0 ? directory_open(f->path, O_RDONLY | O_DIRECTORY, 0) : -1;
	if (dir >= 0) {
		(void)fsync(dir);
		close(dir);
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
	if (f->named)
		unlink(f->temporary);
	free(f->temporary);
	free(f->path);
	*f = (struct llm_newfile){.fd = -1};
}
