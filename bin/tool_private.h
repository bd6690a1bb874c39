/*
 * SPDX-License-Identifier: ISC
 *
 * What the files tool*.c share among themselves; a program includes tool.h.
 */
#ifndef LLM_TOOL_PRIVATE_H
#define LLM_TOOL_PRIVATE_H

#ifndef LLM_VERSION
#define LLM_VERSION "0.1.0"
#endif

/* The program's name, for messages. */
void tool_name_set(const char *name);
const char *tool_name(void);

/* "program: MSG END\n" to stderr; msg is cut where the line would be too long, end never is. */
void tool_line(const char *msg, const char *end);

/* Signals, and descriptors 0-2 where they were closed. */
void tool_streams(void);
/* Dies (74) where the program was started without a standard output. */
void tool_stdout_check(void);

#endif
