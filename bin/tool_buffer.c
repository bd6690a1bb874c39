/*
 * SPDX-License-Identifier: ISC
 *
 * Bytes kept behind one another; see tool_buffer.h.
 */
#include "bin/tool_buffer.h"
#include "bin/tool.h"

#include <stdlib.h>
#include <string.h>

enum { LEAST = 256 };

void
tool_buffer_add(struct tool_buffer *b, const void *bytes, size_t n)
{
	if (n >= b->cap - b->n) {
		size_t cap = 2 * (b->n + n) + LEAST;
		char *more = realloc(b->s, cap);
		if (more == NULL)
			tool_fail(LLM_ENOMEM, "out of memory: %zu bytes could not be had", cap);
		b->s = more;
		b->cap = cap;
	}
	if (n > 0)
		memcpy(b->s + b->n, bytes, n);
	b->n += n;
	b->s[b->n] = '\0';
}

void
tool_buffer_puts(struct tool_buffer *b, const char *s)
{
	tool_buffer_add(b, s, strlen(s));
}
