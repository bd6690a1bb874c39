/*
 * SPDX-License-Identifier: ISC
 *
 * Bytes that come piece by piece, kept behind one another.
 */
#ifndef LLM_TOOL_BUFFER_H
#define LLM_TOOL_BUFFER_H

#include <stddef.h>

/* Begins as {0}; s is the caller's to free. */
struct tool_buffer {
	char *s;       /* read-only: [n], after each piece a NUL; NULL before the first */
	size_t n, cap; /* n: may be made less */
};

/* Puts n bytes behind those that are there.  Dies (71) where it cannot grow. */
void tool_buffer_add(struct tool_buffer *b, const void *bytes, size_t n);
/* A string, without its NUL. */
void tool_buffer_puts(struct tool_buffer *b, const char *s);

#endif
