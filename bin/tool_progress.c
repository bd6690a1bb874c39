/*
 * SPDX-License-Identifier: ISC
 *
 * How far a run is, on the terminal: one line, written over again and again; see tool_records.h.
 */
#include "bin/tool_private.h"
#include "bin/tool_records.h"
#include "libcore/clock.h"

#include <string.h>
#include <unistd.h>

/* Escape sequence: clear the line from the cursor on. */
#define CLEAR "\033[K"

static void
show(const char *line, size_t n)
{
	/* There is nobody to tell when this fails. */
	ssize_t ignored = write(STDERR_FILENO, line, n);
	(void)ignored;
}

void
tool_records_progress(struct tool_records *r, uintmax_t n, uintmax_t end_byte)
{
	char line[160];
	if (!r->draws)
		return;
	double now = llm_clock_s(), spent = now - r->begin;
	if (now - r->drawn < 0.5)
		return;
	r->drawn = now;
	int len = snprintf(line, sizeof line, CLEAR "%s: %ju records, %.0f/s", tool_name(), n,
	    (double)(n - r->skip) / spent);
	if (r->n_byte > 0 && end_byte > 0 && end_byte <= r->n_byte) {
		double left = spent / (double)end_byte * (double)(r->n_byte - end_byte);
		len += snprintf(line + len, sizeof line - (size_t)len, ", %.0f s left", left);
	}
	line[len++] = '\r';
	show(line, (size_t)len);
}

void
tool_records_clear(struct tool_records *r)
{
	if (r->draws)
		show(CLEAR, strlen(CLEAR));
}
