/*
 * SPDX-License-Identifier: ISC
 *
 * What every program shares: messages and exit statuses.  A message is one line of at most 300
 * bytes, written at once, so that lines of a pipeline's programs do not mix.
 */
#include "bin/tool.h"
#include "bin/tool_private.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MESSAGE_BYTES = 300 };

static const char *program = "llm";

void
tool_name_set(const char *name)
{
	program = name;
}

const char *
tool_name(void)
{
	return program;
}

/* The length to which s[0..n) is cut so that no character is: max at most. */
static size_t
cut(const char *s, size_t n, size_t max)
{
	if (n <= max)
		return n;
	for (n = max; n > 0 && ((unsigned char)s[n] & 0xC0) == 0x80;)
		n--;
	return n;
}

void
tool_line(const char *msg, const char *end)
{
	char line[MESSAGE_BYTES + 1];
	size_t n_end = strlen(end);
	int n = snprintf(line, sizeof line, "%s: ", program);
	size_t used = n < 0 ? 0 : cut(line, (size_t)n, MESSAGE_BYTES / 2);
	size_t room = MESSAGE_BYTES - 1 - n_end - used, n_msg = strlen(msg);
	size_t kept = n_msg <= room ? n_msg : cut(msg, n_msg, room - 3);
	memcpy(line + used, msg, kept);
	used += kept;
	if (kept < n_msg) {
		memcpy(line + used, "...", 3);
		used += 3;
	}
	memcpy(line + used, end, n_end);
	used += n_end;
	for (size_t i = 0; i < used; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7F)
			line[i] = '?';
	line[used++] = '\n';
	/* There is nobody to tell when this fails. */
	ssize_t ignored = write(STDERR_FILENO, line, used);
	(void)ignored;
}

void
tool_die(const struct llm_err *err)
{
	tool_line(err->msg[0] != '\0' ? err->msg : llm_err_sentence(err->code), "");
	exit(llm_err_status(err->code));
}

void
tool_fail(int code, const char *fmt, ...)
{
	char msg[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof msg, fmt, ap);
	va_end(ap);
	tool_line(msg, "");
	exit(llm_err_status(code));
}

void
tool_usage(const char *fmt, ...)
{
	char msg[512], end[80];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof msg, fmt, ap);
	va_end(ap);
	snprintf(end, sizeof end, "; try '%s -h'", program);
	tool_line(msg, end);
	exit(llm_err_status(LLM_EUSAGE));
}

void
tool_note(const char *fmt, ...)
{
	char msg[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof msg, fmt, ap);
	va_end(ap);
	tool_line(msg, "");
}
