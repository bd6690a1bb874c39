/*
 * SPDX-License-Identifier: ISC
 *
 * The lines that a user typed, kept in $XDG_STATE_HOME/llm/chat_history: text, a line each, oldest
 * first, readable by its owner alone.  Nothing here fails loudly: a history is a convenience.
 */
#ifndef LLM_CHAT_HISTORY_H
#define LLM_CHAT_HISTORY_H

#include <stddef.h>

enum { CHAT_HISTORY_LINES = 1000 };

/*
 * chat_history_path - its path, or NULL where no home is known; the caller's to free.
 * $XDG_STATE_HOME if absolute, else $HOME/.local/state.
 */
char *chat_history_path(void);

/*
 * chat_history_load - calls line for each of the last lines.  A file that has grown to twice as many
 * is cut to those.
 */
void chat_history_load(
    const char *path, void (*line)(void *context, const char *text), void *context);

/* One line more; makes the directory, 0700, and the file, 0600, where they are missing. */
void chat_history_append(const char *path, const char *line);

#endif
