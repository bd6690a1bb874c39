/*
 * SPDX-License-Identifier: ISC
 *
 * A file that grows, read as it does.  It is looked at every tenth of a second: that works on any
 * file system, and costs nothing that a person would see.
 */
#include "bin/tool_follow.h"
#include "bin/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WAIT_MS = 100 };

static volatile sig_atomic_t stopped;

static void
on_signal(int number)
{
	(void)number;
	stopped = 1;
}

void
tool_follow_open(struct tool_follow *w, const char *path)
{
	struct tool_input in;
	struct stat st;
	struct sigaction sa = {.sa_handler = on_signal};
	tool_open(&in, path);
	*w = (struct tool_follow){.fd = in.fd};
	memcpy(w->name, in.name, sizeof w->name);
	w->path = in.fd != STDIN_FILENO ? path : NULL;
	w->grows = fstat(in.fd, &st) == 0 && S_ISREG(st.st_mode);
	if (w->grows && w->path == NULL) { /* a redirection may begin further on */
		off_t at = lseek(in.fd, 0, SEEK_CUR);
		w->offset = at > 0 ? (uint64_t)at : 0;
	}
	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

/* Sleeps, or until a pipe has something. */
static void
follow_wait(const struct tool_follow *w)
{
	struct pollfd p = {.fd = w->grows ? -1 : w->fd, .events = POLLIN};
	if (poll(&p, 1, WAIT_MS) < 0 && errno != EINTR)
		tool_fail(LLM_ESYSTEM, "poll: %s", strerror(errno));
}

/* At the end of the file: was it cut short, or has its name another file now? */
static void
follow_turn(struct tool_follow *w)
{
	struct stat here, there;
	if (fstat(w->fd, &here) != 0)
		return;
	if ((uint64_t)here.st_size < w->offset) {
		if (lseek(w->fd, 0, SEEK_SET) < 0)
			tool_fail(LLM_EIO, "%s: %s", w->name, strerror(errno));
		w->offset = 0;
		w->anew = true;
		return;
	}
	if (w->path == NULL || stat(w->path, &there) != 0 ||
	    (here.st_dev == there.st_dev && here.st_ino == there.st_ino))
		return;
	if (!w->turned) { /* what was written between the last read and now */
		w->turned = true;
		return;
	}
	int fd = open(w->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return; /* not readable yet; the next look may find it */
	if (fstat(fd, &there) != 0 || !S_ISREG(there.st_mode)) {
		close(fd);
		return;
	}
	close(w->fd);
	w->fd = fd;
	w->offset = 0;
	w->anew = true;
	w->turned = false;
}

size_t
tool_follow_read(struct tool_follow *w, void *buf, size_t n, void (*idle)(void))
{
	w->anew = false;
	while (!stopped) {
		if (!w->grows) {
			struct pollfd p = {.fd = w->fd, .events = POLLIN};
			if (poll(&p, 1, 0) == 0) {
				idle();
				follow_wait(w);
				continue;
			}
		}
		ssize_t got = read(w->fd, buf, n);
		if (got > 0) {
			w->offset += (uint64_t)got;
			return (size_t)got;
		}
		if (got < 0 && errno != EINTR && errno != EAGAIN)
			tool_fail(LLM_EIO, "%s: %s", w->name, strerror(errno));
		if (got == 0 && !w->grows)
			return 0;
		if (got == 0) {
			bool turned = w->turned, anew = w->anew;
			follow_turn(w);
			if (w->turned != turned || w->anew != anew)
				continue;
		}
		idle();
		follow_wait(w);
	}
	return 0;
}
