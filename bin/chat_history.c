/*
 * SPDX-License-Identifier: ISC
 *
 * The history file of llm-chat; see chat_history.h.  Lines are appended, so that two conversations at
 * once lose none.
 */
#include "bin/chat_history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of a longer file the end is read. */
enum { MAX_BYTES = 1 << 20 };

/* a and b as one string, or NULL. */
static char *
concat(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	char *s = malloc(n + m + 1);
	if (s != NULL) {
		memcpy(s, a, n);
		memcpy(s + n, b, m + 1);
	}
	return s;
}

char *
chat_history_path(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	if (state != NULL && state[0] == '/')
		return concat(state, "/llm/chat_history");
	if (home != NULL && home[0] == '/')
		return concat(home, "/.local/state/llm/chat_history");
	return NULL;
}

/* The directories above path, as private as the file. */
static void
make_parents(const char *path)
{
	char *copy = concat(path, "");
	if (copy == NULL)
		return;
	for (char *slash = strchr(copy + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(copy, 0700);
		*slash = '/';
	}
	free(copy);
}

static int
open_private(const char *path, int flags)
{
	return open(path, flags | O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
}

static bool
write_whole(int fd, const char *s, size_t n)
{
	while (n > 0) {
		ssize_t put = write(fd, s, n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		s += put;
		n -= (size_t)put;
	}
	return true;
}

void
chat_history_append(const char *path, const char *line)
{
	char *text = concat(line, "\n");
	int fd = open_private(path, O_APPEND);
	if (fd < 0 && errno == ENOENT) {
		make_parents(path);
		fd = open_private(path, O_APPEND);
	}
	/* One write, so that lines of two programs do not mix. */
	if (fd >= 0 && text != NULL)
		(void)write_whole(fd, text, strlen(text));
	if (fd >= 0)
		close(fd);
	free(text);
}

/* The file's end, whole lines, NUL-terminated; NULL where there is none. */
static char *
read_end(const char *path)
{
	FILE *f = fopen(path, "r");
	char *s = f == NULL ? NULL : malloc(MAX_BYTES + 1);
	bool cut = false;
	if (s != NULL) {
		cut = fseek(f, -(long)MAX_BYTES, SEEK_END) == 0 && ftell(f) > 0;
		if (!cut)
			rewind(f);
		s[fread(s, 1, MAX_BYTES, f)] = '\0';
		if (cut) {
			char *line = strchr(s, '\n');
			memmove(s, line == NULL ? "" : line + 1,
			    line == NULL ? 1 : strlen(line + 1) + 1);
		}
	}
	if (f != NULL)
		fclose(f);
	return s;
}

static size_t
count_lines(const char *s)
{
	size_t n = 0;
	while ((s = strchr(s, '\n')) != NULL) {
		n++;
		s++;
	}
	return n;
}

/* In place of the file, whole or not at all. */
static void
replace(const char *path, const char *text)
{
	char *part = concat(path, ".new");
	int fd = part == NULL ? -1 : open_private(part, O_EXCL);
	if (fd >= 0) {
		bool good = write_whole(fd, text, strlen(text));
		good = close(fd) == 0 && good;
		if (!good || rename(part, path) != 0)
			unlink(part);
	}
	free(part);
}

void
chat_history_load(
    const char *path, void (*line)(void *context, const char *text), void *context)
{
	char *text = read_end(path), *s = text, *end;
	size_t n = text == NULL ? 0 : count_lines(text);
	for (size_t skip = n > CHAT_HISTORY_LINES ? n - CHAT_HISTORY_LINES : 0; skip > 0;
	     skip--)
		s = strchr(s, '\n') + 1;
	if (n >= 2 * CHAT_HISTORY_LINES)
		replace(path, s);
	for (; s != NULL && (end = strchr(s, '\n')) != NULL; s = end + 1) {
		*end = '\0';
		line(context, s);
	}
	free(text);
}
