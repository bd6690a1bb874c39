/*
 * SPDX-License-Identifier: ISC
 *
 * A file that grows, read as it does: through rotation (another file takes its name) and through
 * truncation.  A pipe is read to its end.  SIGINT and SIGTERM end it.
 */
#ifndef LLM_TOOL_FOLLOW_H
#define LLM_TOOL_FOLLOW_H

#include "bin/tool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tool_follow {
	const char *path;     /* NULL: standard input */
	char name[TOOL_NAME]; /* for messages */
	int fd;
	uint64_t offset;
	bool grows; /* a regular file: its end is not the end */
	bool
	    anew; /* read-only: the bytes of the last read begin another file, or the file again */
	bool turned; /* the name has another file; the old one is read to its end first */
};

/* Opens path, or standard input for NULL or "-", at its beginning; dies as tool_open does. */
void tool_follow_open(struct tool_follow *w, const char *path);

/*
 * tool_follow_read - the next bytes, waiting for them; 0 when a signal or a pipe's end ended it.
 * idle is called before each wait, when all that is there was read.
 */
size_t tool_follow_read(struct tool_follow *w, void *buf, size_t n, void (*idle)(void));

#endif
