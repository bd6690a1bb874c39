/*
 * SPDX-License-Identifier: ISC
 *
 * Standard streams and input files: every read and write is checked, a reader that went away ends the
 * program by SIGPIPE, and a descriptor that was closed at start is never taken by another file.
 */
#include "bin/tool.h"
#include "bin/tool_private.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool stdout_closed;

/*
 * Where one of 0-2 is closed, the next file opened would take its number, and be read as input or
 * written over.  /dev/null stands in, open the wrong way round for 0 and 1, so that use is an error.
 */
static void
streams_fill(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) != -1 || errno != EBADF)
			continue;
		int got = open("/dev/null", fd == 1 ? O_RDONLY : O_WRONLY);
		if (got != fd)
			_exit(llm_err_status(LLM_ESYSTEM));
		if (fd == 1)
			stdout_closed = true;
	}
}

void
tool_streams(void)
{
	struct sigaction sa = {.sa_handler = SIG_DFL};
	sigset_t pipe_only;
	streams_fill();
	sigemptyset(&sa.sa_mask);
	/* Some parents ignore or block it, and both are inherited. */
	sigaction(SIGPIPE, &sa, NULL);
	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	sigprocmask(SIG_UNBLOCK, &pipe_only, NULL);
	/* A file-size limit then is a failed write, with a message. */
	sa.sa_handler = SIG_IGN;
	sigaction(SIGXFSZ, &sa, NULL);
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
}

_Noreturn static void
stdout_die(int error)
{
	tool_line("standard output: ", strerror(error));
	/* Not exit(): what is left in the buffer would be tried again. */
	_exit(llm_err_status(LLM_EIO));
}

void
tool_stdout_check(void)
{
	if (stdout_closed)
		stdout_die(EBADF);
}

void
tool_write(const void *bytes, size_t n)
{
	if (n > 0 && fwrite(bytes, 1, n, stdout) != n)
		stdout_die(errno);
}

void
tool_printf(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (vfprintf(stdout, fmt, ap) < 0)
		stdout_die(errno);
	va_end(ap);
}

void
tool_flush(void)
{
	if (fflush(stdout) != 0)
		stdout_die(errno);
}

void
tool_close(void)
{
	static bool closed;
	if (closed)
		return;
	if (ferror(stdout))
		stdout_die(EIO);
	tool_flush();
	closed = true;
	if (fclose(stdout) != 0)
		stdout_die(errno);
}

void
tool_exit(int status)
{
	tool_close();
	exit(status);
}

char *
tool_name_of(char buf[static TOOL_NAME], const char *path)
{
	const char *name = path == NULL || strcmp(path, "-") == 0 ? "standard input" : path;
	/* Room for a last name that has to be escaped in part. */
	size_t n = strlen(name), keep = TOOL_NAME - 24, cut = n > keep ? 3 : 0;
	memcpy(buf, "...", 3);
	llm_err_quote(
	    buf + cut, TOOL_NAME - cut, cut > 0 ? name + n - keep : name, cut > 0 ? keep : n);
	return buf;
}

_Noreturn static void
input_die(const char *name, int error)
{
	bool missing = error == ENOENT || error == ENOTDIR || error == EACCES ||
		       error == EISDIR || error == EBADF || error == ELOOP ||
		       error == ENAMETOOLONG || error == ENXIO || error == EPERM;
	int code = missing ? LLM_ENOINPUT : error == ENOMEM ? LLM_ENOMEM : LLM_EIO;
	tool_fail(code, "%s: %s", name, strerror(error));
}

void
tool_open(struct tool_input *in, const char *path)
{
	struct stat st;
	bool std = path == NULL || strcmp(path, "-") == 0;
	tool_name_of(in->name, path);
	in->fd = std ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (in->fd < 0)
		input_die(in->name, errno);
	if (fstat(in->fd, &st) == 0 && S_ISDIR(st.st_mode))
		input_die(in->name, EISDIR);
}

size_t
tool_read(const struct tool_input *in, void *buf, size_t n)
{
	for (;;) {
		ssize_t got = read(in->fd, buf, n);
		if (got >= 0)
			return (size_t)got;
		if (errno != EINTR)
			input_die(in->name, errno);
	}
}

void
tool_read_all(char **out, size_t *n, const char *path)
{
	struct tool_input in;
	size_t cap = 1 << 16, used = 0;
	tool_open(&in, path);
	char *buf = malloc(cap);
	while (buf != NULL) {
		size_t got = tool_read(&in, buf + used, cap - used - 1);
		used += got;
		if (got == 0)
			break;
		if (cap - used < 2) {
			char *more = cap > SIZE_MAX / 2 ? NULL : realloc(buf, cap *= 2);
			if (more == NULL)
				free(buf);
			buf = more;
		}
	}
	if (buf == NULL)
		tool_fail(LLM_ENOMEM, "%s: out of memory after %zu bytes", in.name, used);
	if (in.fd != STDIN_FILENO)
		close(in.fd);
	buf[used] = '\0';
	*out = buf;
	*n = used;
}
