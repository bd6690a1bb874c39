/*
 * SPDX-License-Identifier: ISC
 *
 * Lines from a terminal, with editing and a history that lasts.
 */
#ifndef LLM_CHAT_LINE_H
#define LLM_CHAT_LINE_H

#include <stdbool.h>
#include <stddef.h>

struct chat_line; /* opaque */

/*
 * chat_line_open - an editor on the standard streams; dies without memory.  A history that cannot be
 * read or written is no error.
 */
struct chat_line *chat_line_open(void);
void chat_line_close(struct chat_line *l);

/*
 * chat_line_read - one line without its newline, which lives until the next call; NULL at the end of
 * input, or with *interrupted where a signal came.
 */
const char *chat_line_read(bool *interrupted, struct chat_line *l, const char *prompt);
/* The line becomes part of the history, in memory and in the file. */
void chat_line_remember(struct chat_line *l, const char *line);

#endif
