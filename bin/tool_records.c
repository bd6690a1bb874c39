/*
 * SPDX-License-Identifier: ISC
 *
 * Records of files and standard input, told by number; see tool_records.h.
 */
#include "bin/tool_records.h"
#include "bin/tool_private.h"
#include "bin/tool_resume.h"
#include "libcore/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_BYTES = 1 << 16 };

struct tool_records_said tool_records_said;

#define ROW_NUL                                                                       \
	{                                                                             \
		.letter = '0', .name = "null",                                        \
		.help = "records end in NUL instead of a newline", .kind = TOOL_FLAG, \
		.dest = &tool_records_said.nul                                        \
	}
#define ROW_FIELD                                                               \
	{                                                                       \
		.name = "field", .metavar = "NAME",                             \
		.help = "records are JSON objects, and this field is the text", \
		.kind = TOOL_STRING, .dest = &tool_records_said.field           \
	}

const struct tool_option tool_records_options[] = {ROW_NUL, ROW_FIELD, {0}};
const struct tool_option tool_records_resume_options[] = {ROW_NUL, ROW_FIELD,
    {.name = "resume",
	.metavar = "OUT",
	.help = "with -j: go on with the output in the file OUT, where it ends",
	.kind = TOOL_STRING,
	.dest = &tool_records_said.resume},
    {0}};

static const char *
path_of(const struct tool_records *r, int file)
{
	return r->path[0] == NULL ? NULL : r->path[file];
}

static bool
is_stdin(const char *path)
{
	return path == NULL || strcmp(path, "-") == 0;
}

/* Adds up the bytes of all inputs; 0 where one is no regular file. */
static uintmax_t
count_bytes(const struct tool_records *r)
{
	uintmax_t sum = 0;
	struct stat st;
	for (int i = 0; i == 0 || r->path[i] != NULL; i++) {
		const char *path = path_of(r, i);
		int rc = is_stdin(path) ? fstat(STDIN_FILENO, &st) : stat(path, &st);
		if (rc < 0 || !S_ISREG(st.st_mode))
			return 0;
		sum += (uintmax_t)st.st_size;
		if (r->path[0] == NULL)
			break;
	}
	return sum;
}

/* Whether a file can be opened at all; where not it is told, and the run's status remembers. */
static bool
can_open(struct tool_records *r, const char *path)
{
	char name[TOOL_NAME];
	struct stat st;
	int error = 0, fd;
	if (is_stdin(path))
		return true;
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)) < 0)
		error = errno;
	else if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		error = EISDIR;
	if (fd >= 0)
		close(fd);
	if (error == 0)
		return true;
	tool_records_clear(r);
	tool_note("%s: %s", tool_name_of(name, path), strerror(error));
	r->status = llm_err_status(LLM_ENOINPUT);
	return false;
}

/* Opens the next file; false when there is none. */
static bool
next_file(struct tool_records *r)
{
	if (r->open) {
		if (r->in.fd != STDIN_FILENO)
			close(r->in.fd);
		r->open = false;
		r->file++;
	}
	for (; r->path[0] == NULL ? r->file == 0 : r->path[r->file] != NULL; r->file++) {
		const char *path = path_of(r, r->file);
		if ((r->flags & TOOL_RECORDS_GO_ON) && !can_open(r, path))
			continue;
		tool_open(&r->in, path);
		r->open = true;
		r->end_of_file = false;
		r->left_at = r->end_byte;
		r->line = 0;
		return true;
	}
	return false;
}

void
tool_records_open(struct tool_records *r, char *const *paths, unsigned flags)
{
	const char *term = getenv("TERM");
	*r = (struct tool_records){.path = paths, .flags = flags};
	r->draws = isatty(STDERR_FILENO) == 1 && isatty(STDOUT_FILENO) != 1 && term != NULL &&
		   strcmp(term, "dumb") != 0;
	r->n_byte = r->draws ? count_bytes(r) : 0;
	if (tool_records_said.resume != NULL)
		r->skip = tool_resume(tool_records_said.resume);
	r->begin = llm_clock_s();
	r->drawn = r->begin;
}

/* Reads more; false when that would mean to wait. */
static bool
fill(struct tool_records *r, bool wait)
{
	struct pollfd p = {.fd = r->in.fd, .events = POLLIN};
	if (!wait && poll(&p, 1, 0) == 0)
		return false;
	if (r->from > 0) {
		memmove(r->buf, r->buf + r->from, r->n_buf - r->from);
		r->n_buf -= r->from;
		r->looked -= r->from;
		r->from = 0;
	}
	if (r->n_buf > TOOL_RECORDS_MAX_BYTES) { /* its end is all that is wanted of it */
		r->end_byte += r->n_buf;
		r->too_long = true;
		r->n_buf = r->looked = 0;
	}
	if (r->n_buf == r->cap) {
		size_t cap = r->cap == 0 ? FIRST_BYTES : 2 * r->cap;
		char *more = realloc(r->buf, cap);
		if (more == NULL)
			tool_fail(LLM_ENOMEM, "out of memory: a record of %zu bytes", r->n_buf);
		r->buf = more;
		r->cap = cap;
	}
	size_t got = tool_read(&r->in, r->buf + r->n_buf, r->cap - r->n_buf);
	r->n_buf += got;
	r->end_of_file = got == 0;
	return true;
}

/* The record buf[from..end), which n_end bytes follow. */
static void
take(struct tool_record *out, struct tool_records *r, size_t end, size_t n_end)
{
	const char *raw = r->buf + r->from;
	size_t n = end - r->from;
	r->end_byte += n + n_end;
	*out = (struct tool_record){.n = ++r->n,
	    .line = ++r->line,
	    .file = r->file,
	    .raw = raw,
	    .n_raw = n,
	    .text = raw,
	    .n_text = n,
	    .end_byte = r->end_byte};
	r->from = r->looked = end + n_end;
	if (r->too_long || n > TOOL_RECORDS_MAX_BYTES) {
		out->n_raw = 0;
		out->bad = "longer than 16 MiB";
	}
	r->too_long = false;
}

/* The text of a JSON record. */
static void
take_field(struct tool_record *out, struct tool_records *r)
{
	if (out->n_raw > r->cap_text) {
		char *more = realloc(r->text, out->n_raw);
		if (more == NULL)
			tool_fail(
			    LLM_ENOMEM, "out of memory: a record of %zu bytes", out->n_raw);
		r->text = more;
		r->cap_text = out->n_raw;
	}
	out->text = r->text;
	out->bad = tool_json_field(
	    r->text, &out->n_text, tool_records_said.field, out->raw, out->n_raw);
}

enum tool_records_got
tool_records_next(struct tool_record *out, struct tool_records *r, bool wait)
{
	char mark = tool_records_said.nul ? '\0' : '\n';
	for (;;) {
		const char *end = r->n_buf > r->looked
				      ? memchr(r->buf + r->looked, mark, r->n_buf - r->looked)
				      : NULL;
		r->looked = r->n_buf;
		if (end != NULL)
			take(out, r, (size_t)(end - r->buf), 1);
		else if (r->end_of_file && (r->n_buf > r->from || r->too_long))
			take(out, r, r->n_buf, 0);
		else if ((!r->open || r->end_of_file) && !next_file(r))
			return TOOL_RECORDS_END;
		else if (!fill(r, wait))
			return TOOL_RECORDS_WAIT;
		else
			continue;
		if (out->n <= r->skip)
			continue;
		if (out->bad == NULL && tool_records_said.field != NULL)
			take_field(out, r);
		if (out->bad != NULL) {
			out->text = "";
			out->n_text = 0;
		}
		return TOOL_RECORDS_ONE;
	}
}

int
tool_records_file(const struct tool_records *r)
{
	return r->file;
}

void
tool_records_leave(struct tool_records *r)
{
	if (!r->open)
		return;
	/* Bytes that nobody will read count as read, for what is left to do. */
	struct stat st;
	if (r->n_byte > 0 && fstat(r->in.fd, &st) == 0 && S_ISREG(st.st_mode))
		r->end_byte = r->left_at + (uintmax_t)st.st_size;
	r->n_buf = r->from = r->looked = 0;
	r->too_long = false;
	r->end_of_file = true;
}

char *
tool_records_name(
    char buf[static TOOL_NAME], const struct tool_records *r, const struct tool_record *record)
{
	return tool_name_of(buf, path_of(r, record->file));
}

void
tool_records_bad(struct tool_records *r, const struct tool_record *record, const char *fmt, ...)
{
	char msg[400], name[TOOL_NAME];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof msg, fmt, ap);
	va_end(ap);
	tool_records_clear(r);
	tool_note("%s, record %ju: %s", tool_records_name(name, r, record), record->line, msg);
	r->n_bad++;
}

int
tool_records_close(struct tool_records *r)
{
	tool_records_clear(r);
	if (r->open && r->in.fd != STDIN_FILENO)
		close(r->in.fd);
	free(r->buf);
	free(r->text);
	r->buf = r->text = NULL;
	r->open = false;
	return r->status != 0 ? r->status : r->n_bad > 0 ? llm_err_status(LLM_EDATA) : 0;
}
