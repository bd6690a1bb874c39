/*
 * SPDX-License-Identifier: ISC
 *
 * Error codes and the one-line detail that goes with them.  Every library function returns >= 0
 * or a negative LLM_E*; the detail goes to a caller-owned struct llm_err, which only bin/ prints.
 */
#ifndef LLM_ERR_H
#define LLM_ERR_H

#include <stddef.h>

/*
 * One row an error: name, code, exit status (sysexits), sentence.
 */
#define LLM_ERRORS(X)                                                \
	X(USAGE, -1, 64, "usage error")                              \
	X(NOCPU, -2, 64, "not supported by this build or processor") \
	X(DATA, -3, 65, "bad data")                                  \
	X(UNSUPPORTED, -4, 65, "unsupported model or format")        \
	X(TOOLONG, -5, 65, "input longer than the context")          \
	X(NOTFINITE, -6, 65, "a value is not finite")                \
	X(NOINPUT, -7, 66, "no such input")                          \
	X(UNAVAILABLE, -8, 69, "service unavailable")                \
	X(SYSTEM, -9, 71, "system error")                            \
	X(NOMEM, -10, 71, "out of memory")                           \
	X(IO, -11, 74, "input/output error")                         \
	X(BUSY, -12, 75, "busy")                                     \
	X(PROTOCOL, -13, 76, "protocol error")

enum {
#define LLM_ERR_ENUM(name, code, status, sentence) LLM_E##name = (code),
	LLM_ERRORS(LLM_ERR_ENUM)
#undef LLM_ERR_ENUM
};

/*
 * Plain data; a caller owns it and may reuse it.  msg is one line without a newline and without
 * the program's name, NUL-terminated; bytes from files and users are escaped in it.
 */
struct llm_err {
	int code;      /* read-only: the LLM_E* of the last failure */
	char msg[256]; /* read-only */
};

/*
 * llm_err_set - record a failure and return its code, so that `return llm_err_set(...)` works.
 * err may be NULL.  The message is formatted as by printf and cut to fit.  A message names the
 * file, the thing, what was found, what was expected, and where one exists the next step.
 */
int llm_err_set(struct llm_err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * llm_err_nomem - record that n_bytes could not be had; returns LLM_ENOMEM.
 */
int llm_err_nomem(struct llm_err *err, size_t n_bytes);

/*
 * llm_err_status - the exit status of a code: 0 for code >= 0, else the sysexit of the table.
 */
int llm_err_status(int code);

/*
 * llm_err_name - "EDATA" and so on; llm_err_sentence - the table's sentence.  Static strings.
 */
const char *llm_err_name(int code);
const char *llm_err_sentence(int code);

/*
 * llm_err_quote - make n hostile bytes printable in buf[size]: control bytes, backslash and bytes
 * that are no UTF-8 become \xHH; what does not fit ends in "...".  Returns buf.
 */
char *llm_err_quote(char *buf, size_t size, const char *bytes, size_t n);

#endif
