/*
 * SPDX-License-Identifier: ISC
 *
 * A blocking connection to the daemon; see client.h.  The descriptor itself does not block: every wait is a poll with
 * an end, and while a request is written what the daemon says meanwhile is read, so that neither waits for the other.
 */
#define _GNU_SOURCE /* struct ucred */
#include "libcore/client.h"
#include "libcore/clock.h"
#include "libcore/forward.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	HELLO_MS = 2000,
	STALL_MS = 30000,     /* a daemon that takes not a byte for so long is none */
	READ_BYTES = 1 << 16, /* asked for at once */
	AHEAD_BYTES =
	    2 * (LLM_WIRE_MAX + LLM_WIRE_HEAD), /* read at most while a request is written */
};

struct llm_client {
	int fd;
	int numeric;
	pid_t pid;
	uint32_t last_id;
	bool gone; /* nothing more comes, nothing more can be sent */
	struct llm_wire_out *out;
	/* Bytes that came and are not yet handed out: [at, n) of size; `came' in all since the start. */
	char *in;
	size_t size, at, n;
	uint64_t came;
	struct llm_wire_msg *msg; /* handed out last */
	char *held;               /* the buffer that it lies in, where that is no longer `in' */
	/* A descriptor, and the bytes that had come when it did: it belongs to the message of the last of them. */
	int passed;
	uint64_t passed_at;
};

/* What is left until a moment, for poll; < 0 where there is none. */
static int
left_ms(int64_t until)
{
	if (until < 0)
		return -1;
	int64_t left = until - llm_clock_ms();
	return left > INT32_MAX ? INT32_MAX : left > 0 ? (int)left : 0;
}

int
llm_client_socket(char out[LLM_CLIENT_PATH], const char *given, const char *env_socket,
    const char *runtime_dir, struct llm_err *err)
{
	int n;
	if (given == NULL || given[0] == '\0')
		given = env_socket;
	if (given != NULL && given[0] != '\0')
		n = snprintf(out, LLM_CLIENT_PATH, "%s", given);
	else if (runtime_dir != NULL && runtime_dir[0] == '/')
		n = snprintf(out, LLM_CLIENT_PATH, "%s/llm/llmd.sock", runtime_dir);
	else
		n = snprintf(out, LLM_CLIENT_PATH, "/run/user/%lu/llm/llmd.sock",
		    (unsigned long)geteuid());
	if (n < 0 || n >= LLM_CLIENT_PATH)
		return llm_err_set(err, LLM_EUSAGE,
		    "the path of the daemon's socket has %d bytes; at most %d are possible", n,
		    LLM_CLIENT_PATH - 1);
	return 0;
}

static int
gone(struct llm_client *c, struct llm_err *err)
{
	c->gone = true;
	if (c->n > c->at)
		return llm_err_set(
		    err, LLM_EUNAVAILABLE, "the daemon ended in the middle of a message");
	return llm_err_set(err, LLM_EUNAVAILABLE, "the daemon closed the connection");
}

/* Takes the descriptors of a message's control data; of several, or where one waits already, the last is kept. */
static void
passed_take(struct llm_client *c, struct msghdr *h)
{
	for (struct cmsghdr *m = CMSG_FIRSTHDR(h); m != NULL; m = CMSG_NXTHDR(h, m)) {
		if (m->cmsg_level != SOL_SOCKET || m->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; CMSG_LEN((i + 1) * sizeof(int)) <= m->cmsg_len; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(m) + i * sizeof fd, sizeof fd);
			if (c->passed >= 0)
				close(c->passed);
			c->passed = fd;
			c->passed_at = c->came;
		}
	}
}

/* Room for READ_BYTES after n.  The bytes of the message that is handed out stay where they are. */
static int
make_room(struct llm_client *c, struct llm_err *err)
{
	bool hold = c->msg != NULL && c->held == NULL;
	size_t left = c->n - c->at, size = c->size == 0 ? 2 * READ_BYTES : c->size;
	if (c->size - c->n >= READ_BYTES)
		return 0;
	while (size - left < READ_BYTES)
		size *= 2;
	if (!hold && size == c->size) {
		memmove(c->in, c->in + c->at, left);
	} else {
		char *in = malloc(size);
		if (in == NULL)
			return llm_err_nomem(err, size);
		if (left > 0)
			memcpy(in, c->in + c->at, left);
		if (hold)
			c->held = c->in;
		else
			free(c->in);
		c->in = in;
		c->size = size;
	}
	c->at = 0;
	c->n = left;
	return 0;
}

/* Reads what is there: 1, or 0 where nothing is; LLM_EUNAVAILABLE where nothing will be. */
static int
fill(struct llm_client *c, struct llm_err *err)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(4 * sizeof(int))];
	} control;
	int rc = make_room(c, err);
	if (rc < 0)
		return rc;
	struct iovec v = {.iov_base = c->in + c->n, .iov_len = READ_BYTES};
	struct msghdr h = {.msg_iov = &v,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof control.bytes};
	ssize_t k = recvmsg(c->fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (k < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return 0;
	if (k <= 0)
		return gone(c, err);
	c->n += (size_t)k;
	c->came += (uint64_t)k;
	passed_take(c, &h);
	return 1;
}

/* Is a whole message there?  1, its bytes after the head in *n; 0; LLM_EPROTOCOL. */
static int
whole(size_t *n, const struct llm_client *c, struct llm_err *err)
{
	unsigned char head[LLM_WIRE_HEAD];
	if (c->n - c->at < sizeof head)
		return 0;
	memcpy(head, c->in + c->at, sizeof head);
	int rc = llm_wire_length(n, head, err);
	return rc < 0 ? rc : c->n - c->at - sizeof head >= *n;
}

/* The last message is let go of, and a descriptor of it that nobody took. */
static void
forget(struct llm_client *c)
{
	llm_wire_msg_free(c->msg);
	free(c->held);
	c->msg = NULL;
	c->held = NULL;
	if (c->at == c->n)
		c->at = c->n = 0;
	if (c->passed >= 0 && c->passed_at <= c->came - (c->n - c->at)) {
		close(c->passed);
		c->passed = -1;
	}
}

int
llm_client_receive(const struct llm_wire_value **out, struct llm_client *c, int timeout_ms,
    struct llm_err *err)
{
	int64_t until = timeout_ms < 0 ? -1 : llm_clock_ms() + timeout_ms;
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	size_t n = 0;
	int rc;
	forget(c);
	while ((rc = whole(&n, c, err)) == 0) {
		if (c->gone)
			return gone(c, err);
		rc = poll(&p, 1, left_ms(until));
		if (rc == 0 || (rc < 0 && errno == EINTR))
			return 0;
		if (rc < 0)
			return llm_err_set(err, LLM_ESYSTEM, "poll: %s", strerror(errno));
		rc = fill(c, err);
		if (rc < 0)
			return rc;
	}
	if (rc > 0)
		rc = llm_wire_parse(&c->msg, c->in + c->at + LLM_WIRE_HEAD, n, err);
	if (rc < 0) {
		c->gone = c->gone || rc == LLM_EPROTOCOL;
		return rc;
	}
	c->at += LLM_WIRE_HEAD + n;
	*out = llm_wire_root(c->msg);
	return 1;
}

int
llm_client_take_fd(struct llm_client *c)
{
	int fd = c->passed;
	if (c->msg == NULL || fd < 0 || c->passed_at > c->came - (c->n - c->at))
		return -1;
	c->passed = -1;
	return fd;
}

struct llm_wire_out *
llm_client_request(struct llm_client *c, uint32_t *id, const char *op)
{
	*id = ++c->last_id;
	llm_wire_begin(c->out);
	llm_wire_put_uint(c->out, "id", *id);
	llm_wire_put_str(c->out, "op", op);
	return c->out;
}

/* Waits until more can be sent, and reads meanwhile: so much, that its last words are there when the daemon is gone. */
static int
send_wait(struct llm_client *c, int64_t until, struct llm_err *err)
{
	struct pollfd p = {.fd = c->fd, .events = POLLOUT};
	if (c->n - c->at < AHEAD_BYTES)
		p.events |= POLLIN;
	int rc = poll(&p, 1, left_ms(until));
	if (rc == 0)
		return llm_err_set(err, LLM_EUNAVAILABLE, "the daemon takes nothing for %d s",
		    STALL_MS / 1000);
	if (rc < 0 && errno != EINTR)
		return llm_err_set(err, LLM_ESYSTEM, "poll: %s", strerror(errno));
	if (rc > 0 && (p.revents & POLLIN) != 0) {
		rc = fill(c, err);
		return rc == LLM_EUNAVAILABLE ? 0 : rc;
	}
	return 0;
}

/* Sends all that is written; *until is put off by every byte that goes or comes. */
static int
send_all(struct llm_client *c, int stall_ms, struct llm_err *err)
{
	int64_t until = llm_clock_ms() + stall_ms;
	size_t n;
	for (const void *p; !c->gone && (p = llm_wire_bytes(&n, c->out)) != NULL;) {
		ssize_t k = send(c->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		uint64_t came = c->came;
		int rc = 0;
		if (k > 0)
			llm_wire_take(c->out, (size_t)k);
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			rc = send_wait(c, until, err);
		else if (errno != EINTR)
			c->gone = true;
		if (rc < 0)
			return rc;
		if (k > 0 || c->came != came)
			until = llm_clock_ms() + stall_ms;
	}
	return 0;
}

int
llm_client_send(struct llm_client *c, struct llm_err *err)
{
	size_t n;
	int rc = llm_wire_end(c->out, err);
	if (rc < 0)
		return rc;
	rc = send_all(c, STALL_MS, err);
	if (rc == 0 && !c->gone)
		return 0;
	llm_wire_bytes(&n, c->out);
	llm_wire_take(c->out, n);
	if (rc < 0) {
		c->gone = true;
		return rc;
	}
	/* What it said before it went is still to be had, why it went perhaps. */
	while (fill(c, err) > 0 && c->n - c->at < AHEAD_BYTES)
		;
	if (whole(&n, c, err) > 0)
		return 0;
	return gone(c, err);
}

/* A descriptor that is connected to the daemon of the same user. */
static int
connect_own(int *out, const char *path, int64_t until, struct llm_err *err)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct ucred peer = {0};
	socklen_t n = sizeof peer;
	char quoted[140];
	llm_err_quote(quoted, sizeof quoted, path, strlen(path));
	if (strlen(path) >= sizeof a.sun_path)
		return llm_err_set(
		    err, LLM_EUSAGE, "%s: longer than the path of a socket may be", quoted);
	strcpy(a.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return llm_err_set(
		    err, LLM_ESYSTEM, "a socket could not be had: %s", strerror(errno));
	/* EAGAIN: so many connect that this one has to wait. */
	while (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
		int why = errno;
		if ((why == EAGAIN || why == EINTR) && left_ms(until) > 0) {
			nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
			continue;
		}
		close(fd);
		return llm_err_set(
		    err, LLM_EUNAVAILABLE, "no daemon at %s: %s", quoted, strerror(why));
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0 || peer.uid != geteuid()) {
		close(fd);
		return llm_err_set(err, LLM_EUNAVAILABLE,
		    "the daemon at %s is another user's (%lu); nothing was sent to it", quoted,
		    (unsigned long)peer.uid);
	}
	*out = fd;
	return 0;
}

/* The daemon's hello, read. */
static int
hello_check(struct llm_client *c, const struct llm_wire_value *m, struct llm_err *err)
{
	struct llm_err said;
	int64_t version = 0, numeric = 0, pid = 0;
	if (llm_wire_get_err(&said, m, "error", err) > 0)
		return llm_err_set(err, said.code, "%s", said.msg);
	if (llm_wire_get_int(&version, m, "hello", 0, INT32_MAX, err) < 0 ||
	    llm_wire_get_int(&numeric, m, "numeric", 0, INT32_MAX, err) < 0 ||
	    llm_wire_get_int(&pid, m, "pid", 0, INT32_MAX, err) < 0)
		return LLM_EPROTOCOL;
	if (version != LLM_WIRE_VERSION)
		return llm_err_set(err, LLM_EPROTOCOL,
		    "the daemon speaks version %d of the protocol, this program version %d",
		    (int)version, LLM_WIRE_VERSION);
	c->numeric = (int)numeric;
	c->pid = (pid_t)pid;
	return 0;
}

static int
hello(struct llm_client *c, const char *name, int64_t until, struct llm_err *err)
{
	const struct llm_wire_value *m = NULL;
	llm_wire_begin(c->out);
	llm_wire_put_int(c->out, "hello", LLM_WIRE_VERSION);
	llm_wire_put_int(c->out, "numeric", LLM_NUMERIC_VERSION);
	llm_wire_put_str(c->out, "client", name);
	int rc = llm_client_send(c, err);
	/* 0 is a signal too. */
	while (rc == 0 && m == NULL && left_ms(until) > 0)
		rc = llm_client_receive(&m, c, left_ms(until), err);
	if (rc < 0)
		return rc;
	if (m == NULL)
		return llm_err_set(
		    err, LLM_EUNAVAILABLE, "no daemon: no hello within %d s", HELLO_MS / 1000);
	return hello_check(c, m, err);
}

int
llm_client_open(
    struct llm_client **out, const char *path, const char *name, struct llm_err *err)
{
	int64_t until = llm_clock_ms() + HELLO_MS;
	struct llm_client *c = calloc(1, sizeof *c);
	if (c == NULL)
		return llm_err_nomem(err, sizeof *c);
	c->fd = c->passed = -1;
	int rc = llm_wire_out_new(&c->out, err);
	if (rc == 0)
		rc = connect_own(&c->fd, path, until, err);
	if (rc == 0)
		rc = hello(c, name, until, err);
	if (rc < 0) {
		llm_client_close(c);
		return rc;
	}
	*out = c;
	return 0;
}

void
llm_client_close(struct llm_client *c)
{
	if (c == NULL)
		return;
	if (c->passed >= 0)
		close(c->passed);
	if (c->fd >= 0)
		close(c->fd);
	llm_wire_msg_free(c->msg);
	llm_wire_out_free(c->out);
	free(c->held);
	free(c->in);
	free(c);
}

int
llm_client_numeric(const struct llm_client *c)
{
	return c->numeric;
}

pid_t
llm_client_pid(const struct llm_client *c)
{
	return c->pid;
}

int
llm_client_fd(const struct llm_client *c)
{
	return c->fd;
}
