/*
 * SPDX-License-Identifier: ISC
 *
 * Servers of a unit test's own; see server.h.
 */
#define _GNU_SOURCE
#include "tests/server.h"
#include "tests/folder.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct server server;
static int listener = -1;

void
server_pause_ms(long ms)
{
	nanosleep(
	    &(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

void
server_say(int fd, const void *bytes, size_t n)
{
	for (const char *p = bytes; n > 0;) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
		if (k <= 0)
			_exit(1);
		p += k;
		n -= (size_t)k;
	}
}

bool
server_hear(int fd, void *bytes, size_t n)
{
	for (char *p = bytes; n > 0;) {
		ssize_t k = recv(fd, p, n, 0);
		if (k <= 0)
			return false;
		p += k;
		n -= (size_t)k;
	}
	return true;
}

size_t
server_hear_frame(int fd)
{
	unsigned char head[4];
	static char rest[1 << 16];
	if (!server_hear(fd, head, sizeof head))
		return 0;
	size_t n =
	    (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
	for (size_t left = n; left > 0;) {
		size_t k = left < sizeof rest ? left : sizeof rest;
		if (!server_hear(fd, rest, k))
			return 0;
		left -= k;
	}
	return n;
}

void
server_greet(int fd)
{
	if (server_hear_frame(fd) == 0)
		_exit(1);
	SERVER_FRAME(fd, SERVER_HELLO);
}

void
server_pass(int fd, const void *bytes, size_t n, const int *fds, size_t n_fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control = {{0}};
	struct iovec v = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};
	struct msghdr h = {.msg_iov = &v,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = CMSG_SPACE(n_fd * sizeof(int))};
	struct cmsghdr *m = CMSG_FIRSTHDR(&h);
	m->cmsg_level = SOL_SOCKET;
	m->cmsg_type = SCM_RIGHTS;
	m->cmsg_len = CMSG_LEN(n_fd * sizeof(int));
	memcpy(CMSG_DATA(m), fds, n_fd * sizeof(int));
	if (sendmsg(fd, &h, MSG_NOSIGNAL) != (ssize_t)n)
		_exit(1);
}

void
server_start(void (*serve)(int fd))
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	static int n;
	snprintf(server.path, sizeof server.path, "%s/%d", test_folder, n++);
	memcpy(a.sun_path, server.path, sizeof server.path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof a) < 0 ||
	    listen(listener, 8) < 0)
		exit(1);
	fflush(stdout);
	if ((server.pid = fork()) < 0)
		exit(1);
	if (server.pid > 0)
		return;
	int fd = accept(listener, NULL, NULL);
	close(listener);
	serve(fd);
	/* _exit closes it, and leaves the parent's buffers alone. */
	_exit(0);
}

int
server_wait(void)
{
	int status = 0;
	pid_t pid = waitpid(server.pid, &status, 0);
	server.pid = 0;
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void
server_stop(void)
{
	if (server.pid > 0) {
		kill(server.pid, SIGKILL);
		server_wait();
	}
	close(listener);
	unlink(server.path);
}
