/*
 * SPDX-License-Identifier: ISC
 *
 * A growing stretch of the input; see tool_stretch.h.
 */
#include "bin/tool_stretch.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
tool_stretch_open(struct tool_stretch *s, const char *path)
{
	*s = (struct tool_stretch){.buf = NULL};
	tool_open(&s->in, path);
}

void
tool_stretch_free(struct tool_stretch *s)
{
	if (s->in.fd != STDIN_FILENO)
		close(s->in.fd);
	free(s->buf);
	s->buf = NULL;
}

void
tool_stretch_fill(struct tool_stretch *s)
{
	enum { LEAST = 1 << 16, FIRST = 1 << 18 };
	if (s->cap - s->n < LEAST) {
		size_t cap = s->cap == 0 ? FIRST : s->cap * 2;
		char *buf = s->cap > SIZE_MAX / 2 ? NULL : realloc(s->buf, cap);
		if (buf == NULL)
			tool_fail(
			    LLM_ENOMEM, "out of memory: %zu bytes for a piece of text", cap);
		s->buf = buf;
		s->cap = cap;
	}
	size_t got = tool_read(&s->in, s->buf + s->n, s->cap - s->n);
	s->n += got;
	s->end = got == 0;
}

void
tool_stretch_drop(struct tool_stretch *s, size_t n)
{
	if (n == 0)
		return;
	memmove(s->buf, s->buf + n, s->n - n);
	s->n -= n;
	s->base += n;
}
