/*
 * SPDX-License-Identifier: ISC
 *
 * Bytes put aside and read again once, in order.
 */
#include "bin/tool_spool.h"
#include "bin/tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Noreturn static void
spool_die(int error)
{
	tool_fail(
	    error == ENOMEM ? LLM_ENOMEM : LLM_EIO, "temporary file: %s", strerror(error));
}

static int
spool_open(void)
{
	const char *dir = getenv("TMPDIR");
	char path[4096], name[TOOL_NAME];
	if (dir == NULL || dir[0] == '\0')
		dir = "/tmp";
	if (snprintf(path, sizeof path, "%s/llm.XXXXXX", dir) >= (int)sizeof path)
		spool_die(ENAMETOOLONG);
	int fd = mkstemp(path);
	if (fd < 0)
		tool_fail(LLM_EIO, "%s: a temporary file cannot be made there: %s",
		    tool_name_of(name, dir), strerror(errno));
	unlink(path);
	return fd;
}

/* Writes what is in memory to the file. */
static void
spool_flush(struct tool_spool *s)
{
	if (s->fd < 0)
		s->fd = spool_open();
	for (size_t done = 0; done < s->n_buf;) {
		ssize_t put = write(s->fd, s->buf + done, s->n_buf - done);
		if (put < 0 && errno != EINTR)
			spool_die(errno);
		done += put > 0 ? (size_t)put : 0;
	}
	s->n_buf = 0;
}

void
tool_spool_put(struct tool_spool *s, const void *bytes, size_t n)
{
	const char *p = bytes;
	if (s->buf == NULL && (s->buf = malloc(TOOL_SPOOL_MEMORY)) == NULL)
		spool_die(ENOMEM);
	s->n += n;
	while (n > 0) {
		size_t room = TOOL_SPOOL_MEMORY - s->n_buf, some = n < room ? n : room;
		memcpy(s->buf + s->n_buf, p, some);
		s->n_buf += some;
		p += some;
		n -= some;
		if (s->n_buf == TOOL_SPOOL_MEMORY)
			spool_flush(s);
	}
}

void
tool_spool_rewind(struct tool_spool *s)
{
	if (s->fd >= 0) {
		spool_flush(s);
		if (lseek(s->fd, 0, SEEK_SET) < 0)
			spool_die(errno);
	}
	s->at = 0;
}

/* The next bytes of the file into memory, all of which was read. */
static void
spool_fill(struct tool_spool *s)
{
	s->at = s->n_buf = 0;
	while (s->fd >= 0) {
		ssize_t got = read(s->fd, s->buf, TOOL_SPOOL_MEMORY);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			spool_die(errno);
		s->n_buf = (size_t)got;
		return;
	}
}

size_t
tool_spool_get(struct tool_spool *s, void *bytes, size_t n)
{
	size_t done = 0;
	while (done < n) {
		if (s->at == s->n_buf)
			spool_fill(s);
		size_t left = s->n_buf - s->at, some = n - done < left ? n - done : left;
		if (some == 0)
			break;
		memcpy((char *)bytes + done, s->buf + s->at, some);
		s->at += some;
		done += some;
	}
	return done;
}

void
tool_spool_free(struct tool_spool *s)
{
	if (s->fd >= 0)
		close(s->fd);
	free(s->buf);
	*s = (struct tool_spool)TOOL_SPOOL_EMPTY;
}
