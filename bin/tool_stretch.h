/*
 * SPDX-License-Identifier: ISC
 *
 * A stretch of the input, for filters that need more than a line of it and less than all: it grows at its
 * end as far as the text has to be seen together, and is dropped from its start as it is used.
 */
#ifndef LLM_TOOL_STRETCH_H
#define LLM_TOOL_STRETCH_H

#include "bin/tool.h"

/* All fields read-only. */
struct tool_stretch {
	struct tool_input in;
	char *buf; /* [n], then room */
	size_t n, cap;
	size_t base; /* bytes of the input before buf */
	bool end;    /* there is no more than this */
};

/* Of a file, or of stdin for NULL or "-"; nothing is read yet.  Dies. */
void tool_stretch_open(struct tool_stretch *s, const char *path);
void tool_stretch_free(struct tool_stretch *s);

/* Reads some more, or sets end.  buf may move.  Dies (71) where it cannot grow. */
void tool_stretch_fill(struct tool_stretch *s);
/* Forgets the first n bytes. */
void tool_stretch_drop(struct tool_stretch *s, size_t n);

#endif
