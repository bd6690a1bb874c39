/*
 * SPDX-License-Identifier: ISC
 *
 * An output file of JSON Lines, each {"n":NUMBER,..., numbered from 1, that a new run goes on with.
 */
#ifndef LLM_TOOL_RESUME_H
#define LLM_TOOL_RESUME_H

#include <stdint.h>

/*
 * tool_resume - standard output becomes the end of the file at path, which is made where there is none; a
 * last line without its newline, cut short by whatever ended the run before, is cut away.  Returns the
 * lines that stand there.  Dies: 65 where they are not numbered so, 66 where the file cannot be opened,
 * 75 where another run holds it.
 */
uintmax_t tool_resume(const char *path);

#endif
