/*
 * SPDX-License-Identifier: ISC
 *
 * Going on with an output of JSON Lines; see tool_resume.h.
 */
#include "bin/tool_resume.h"
#include "bin/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 1 << 16 };

_Noreturn static void
die(int code, const char *path, const char *what)
{
	char name[TOOL_NAME];
	tool_fail(code, "%s: %s", tool_name_of(name, path), what);
}

/* What is known of the lines so far. */
struct scan {
	uintmax_t n;   /* whole lines */
	off_t end;     /* of the last of them */
	char head[32]; /* the beginning of the line at hand, which is to be {"n":N, */
	size_t n_head;
};

/* Whether the line at hand begins as line number n does. */
static bool
is_numbered(const struct scan *s, uintmax_t n)
{
	char want[32];
	size_t len = (size_t)snprintf(want, sizeof want, "{\"n\":%ju,", n);
	return s->n_head >= len && memcmp(s->head, want, len) == 0;
}

static void
scan_block(struct scan *s, const char *block, size_t n, off_t at, const char *path)
{
	for (size_t i = 0; i < n; i++) {
		if (block[i] != '\n') {
			if (s->n_head < sizeof s->head)
				s->head[s->n_head++] = block[i];
			continue;
		}
		if (!is_numbered(s, s->n + 1)) {
			char msg[120];
			snprintf(msg, sizeof msg,
			    "line %ju does not begin with {\"n\":%ju: no output to go on with",
			    s->n + 1, s->n + 1);
			die(LLM_EDATA, path, msg);
		}
		s->n++;
		s->n_head = 0;
		s->end = at + (off_t)i + 1;
	}
}

uintmax_t
tool_resume(const char *path)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct scan s = {0};
	struct stat st;
	char block[BLOCK];
	ssize_t got;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
	if (fd < 0 || fstat(fd, &st) < 0)
		die(LLM_ENOINPUT, path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		die(LLM_ENOINPUT, path, "not a regular file: its lines cannot be counted");
	if (fcntl(fd, F_SETLK, &lock) < 0 && (errno == EAGAIN || errno == EACCES))
		die(LLM_EBUSY, path, "another run is writing it");
	for (off_t at = 0; (got = read(fd, block, sizeof block)) != 0; at += got) {
		if (got < 0)
			die(LLM_EIO, path, strerror(errno));
		scan_block(&s, block, (size_t)got, at, path);
	}
	/* The lock is the process's, and goes when any of its descriptors of the file is closed: so this
	 * one stays open, beside its double. */
	if (ftruncate(fd, s.end) < 0 || lseek(fd, s.end, SEEK_SET) < 0 ||
	    dup2(fd, STDOUT_FILENO) < 0)
		die(LLM_EIO, path, strerror(errno));
	return s.n;
}
