/*
 * SPDX-License-Identifier: ISC
 *
 * The listening socket; see server.h.
 */
#define _GNU_SOURCE
#include "bin/daemon/server.h"

#include "bin/daemon/peer.h"
#include "bin/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	LISTEN_FD = 3, /* the first that is passed, by convention */
	BACKLOG = 512,
	TAKE = 32,          /* connections taken at once, then others are heard */
	FULL_PAUSE_MS = 50, /* where there is no descriptor for one more */
	LOCK_TRIES = 200    /* of 10 ms, for the folder of the socket */
};

struct server {
	struct daemon *daemon;
	int fd;
	struct loop_watch *watch;
	struct loop_timer *pause;
	bool full; /* there was no descriptor for the last one, which was told */
	bool made; /* the name is ours to remove, while it is this one: */
	struct stat name;
};

static int
failed(struct llm_err *err, const char *path, const char *what)
{
	char quoted[120];
	return llm_err_set(err, LLM_ESYSTEM, "%s: %s: %s",
	    llm_err_quote(quoted, sizeof quoted, path, strlen(path)), what, strerror(errno));
}

/* The folder of the socket, made for the user alone; its descriptor. */
static int
folder_open(const char *path, struct llm_err *err)
{
	char folder[LLM_CLIENT_PATH];
	char *slash;
	memcpy(folder, path, strlen(path) + 1);
	slash = strrchr(folder, '/');
	if (slash == NULL)
		memcpy(folder, ".", 2);
	else
		slash[slash == folder] = '\0';
	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return failed(err, folder, "cannot be made");
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd : failed(err, folder, "cannot be opened");
}

/* Whether somebody listens there. */
static bool
answered(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool yes = fd >= 0 && (connect(fd, (const void *)address, sizeof *address) == 0 ||
				  errno == EAGAIN);
	if (fd >= 0)
		close(fd);
	return yes;
}

/* Binds and listens; while the folder is locked nobody else does. */
static int
name_take(struct server *s, const char *path, struct llm_err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat st;
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (lstat(path, &st) == 0) {
		char quoted[120];
		llm_err_quote(quoted, sizeof quoted, path, strlen(path));
		if (!S_ISSOCK(st.st_mode))
			return llm_err_set(
			    err, LLM_ESYSTEM, "%s is there, and no socket", quoted);
		if (answered(&address))
			return llm_err_set(
			    err, LLM_EBUSY, "%s: another daemon listens there", quoted);
		(void)unlink(path);
	}
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return failed(err, path, "socket");
	mode_t mask = umask(0177);
	int rc = bind(s->fd, (const void *)&address, sizeof address);
	umask(mask);
	if (rc < 0)
		return failed(err, path, "cannot be made");
	s->made = true;
	if (lstat(path, &s->name) < 0 || listen(s->fd, BACKLOG) < 0)
		return failed(err, path, "listen");
	return 0;
}

static int
name_make(struct server *s, const char *path, struct llm_err *err)
{
	int folder = folder_open(path, err);
	if (folder < 0)
		return folder;
	/* Two that start at once take turns; who holds the folder for longer is no daemon, and holds up none. */
	const struct timespec moment = {.tv_nsec = 10000000};
	for (int i = 0; i < LOCK_TRIES && flock(folder, LOCK_EX | LOCK_NB) < 0; i++)
		(void)nanosleep(&moment, NULL);
	int rc = name_take(s, path, err);
	close(folder);
	return rc;
}

/* The descriptor that was passed, or -1. */
static int
passed_fd(void)
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");
	int value, type = 0;
	socklen_t size = sizeof type;
	bool mine = pid != NULL && n != NULL && tool_int(&value, pid, 1, 1 << 30) &&
		    value == (int)getpid() && tool_int(&value, n, 1, 1 << 10);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (!mine || getsockopt(LISTEN_FD, SOL_SOCKET, SO_ACCEPTCONN, &type, &size) < 0 ||
	    type == 0)
		return -1;
	fcntl(LISTEN_FD, F_SETFD, FD_CLOEXEC);
	fcntl(LISTEN_FD, F_SETFL, fcntl(LISTEN_FD, F_GETFL) | O_NONBLOCK);
	return LISTEN_FD;
}

static void
on_connect(void *context, int events)
{
	struct server *s = context;
	(void)events;
	for (int i = 0; i < TAKE; i++) {
		int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			s->full = false;
			peer_accept(s->daemon, fd);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
			   errno == ENOBUFS) {
			if (!s->full)
				event("connections wait: %s", strerror(errno));
			s->full = true;
			loop_watch_set(s->watch, 0);
			loop_timer_set(s->pause, FULL_PAUSE_MS, false);
			return;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			return;
		}
	}
}

static void
on_pause_over(void *context)
{
	struct server *s = context;
	loop_watch_set(s->watch, LOOP_READ);
}

int
server_open(struct server **out, struct daemon *d, struct llm_err *err)
{
	int rc;
	struct server *s = calloc(1, sizeof *s);
	if (s == NULL)
		return llm_err_nomem(err, sizeof *s);
	s->daemon = d;
	s->fd = passed_fd();
	if (s->fd < 0 && (rc = name_make(s, d->path, err)) < 0)
		goto failed;
	if ((rc = loop_watch_new(&s->watch, d->loop, s->fd, on_connect, s, err)) < 0 ||
	    (rc = loop_timer_new(&s->pause, d->loop, on_pause_over, s, err)) < 0)
		goto failed;
	loop_watch_set(s->watch, LOOP_READ);
	*out = s;
	return 0;
failed:
	server_close(s);
	return rc;
}

void
server_close(struct server *s)
{
	struct stat st;
	if (s == NULL)
		return;
	loop_watch_free(s->watch);
	loop_timer_free(s->pause);
	/* Another may have taken the name meanwhile. */
	if (s->made && lstat(s->daemon->path, &st) == 0 && st.st_dev == s->name.st_dev &&
	    st.st_ino == s->name.st_ino)
		(void)unlink(s->daemon->path);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}
