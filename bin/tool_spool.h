/*
 * SPDX-License-Identifier: ISC
 *
 * Bytes put aside and read again once, in order: in memory while they are few, else in a temporary
 * file that has no name.
 */
#ifndef LLM_TOOL_SPOOL_H
#define LLM_TOOL_SPOOL_H

#include <stddef.h>
#include <stdint.h>

enum { TOOL_SPOOL_MEMORY = 4 << 20 }; /* more than that goes to $TMPDIR, or /tmp */

struct tool_spool {
	char *buf;
	size_t n_buf; /* bytes in buf that are not in the file */
	size_t at;    /* of them, read */
	int fd;       /* -1: all is in buf */
	uint64_t n;   /* bytes put */
};

#define TOOL_SPOOL_EMPTY \
	{                \
		.fd = -1 \
	}

/* Dies with 74 where the bytes cannot be kept, 71 without memory. */
void tool_spool_put(struct tool_spool *s, const void *bytes, size_t n);
/* To the beginning, after the last put. */
void tool_spool_rewind(struct tool_spool *s);
/* Up to n bytes; fewer only at the end. */
size_t tool_spool_get(struct tool_spool *s, void *bytes, size_t n);
void tool_spool_free(struct tool_spool *s);

#endif
