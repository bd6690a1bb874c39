/*
 * SPDX-License-Identifier: ISC
 *
 * Connections; see peer.h.  What comes is kept as it comes: a length that is announced takes no memory.
 */
#define _GNU_SOURCE
#include "bin/daemon/peer.h"

#include "bin/daemon/request.h"
#include "bin/daemon/stats.h"
#include "bin/tool.h"
#include "libcore/forward.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	LEAST_BUFFER = 4096,
	KEPT_BUFFER = 64 << 10, /* a larger one is given back once it is empty */
	TURN = 1 << 20,         /* bytes read of one client, then others are heard */
	AHEAD = 1 << 20,        /* bytes for one client: they are sent, then it is heard on */
};

static void
mark_dirty(struct peer *p)
{
	if (p->dirty)
		return;
	p->dirty = true;
	p->next_dirty = p->daemon->dirty;
	p->daemon->dirty = p;
}

void
peer_close(struct peer *p)
{
	if (p->dead)
		return;
	p->dead = true;
	loop_watch_set(p->watch, 0);
	mark_dirty(p);
}

/* Out. */

/* Room for n more; false where there is none, and the connection is closed. */
static bool
out_room(struct peer *p, size_t n)
{
	if (p->at_out > 0 && p->cap_out - p->n_out < n) {
		memmove(p->out, p->out + p->at_out, p->n_out - p->at_out);
		p->n_out -= p->at_out;
		p->at_out = 0;
	}
	if (p->cap_out - p->n_out >= n)
		return true;
	size_t cap = 2 * (p->n_out + n);
	char *more = realloc(p->out, cap < LEAST_BUFFER ? LEAST_BUFFER : cap);
	if (more == NULL) {
		event("client %d: out of memory for what it is sent", (int)p->pid);
		peer_close(p);
		return false;
	}
	p->out = more;
	p->cap_out = cap < LEAST_BUFFER ? LEAST_BUFFER : cap;
	return true;
}

void
peer_frames(struct peer *p, const void *bytes, size_t n)
{
	if (p->dead || p->last || !out_room(p, n))
		return;
	memcpy(p->out + p->n_out, bytes, n);
	p->n_out += n;
	mark_dirty(p);
	/* One message may be as large, so what waits is what was there before it. */
	if (p->n_out - p->at_out > MAX_WAITING && p->n_out - p->at_out > n) {
		event("client %d does not read: cut off with %zu bytes waiting", (int)p->pid,
		    p->n_out - p->at_out);
		stats_count(p->daemon->stats, STATS_CUT_OFF);
		peer_close(p);
	}
}

bool
peer_passes(const struct peer *p)
{
	return p->n_passing < PEER_PASSING;
}

void
peer_pass(struct peer *p, int fd)
{
	if (p->dead || p->last || !peer_passes(p)) {
		close(fd);
		return;
	}
	p->passing[p->n_passing++] =
	    (struct peer_fd){.at = p->sent + (p->n_out - p->at_out), .fd = fd};
}

struct llm_wire_out *
peer_reply(struct peer *p, int64_t id)
{
	struct llm_wire_out *o = p->daemon->out;
	p->replied = id;
	llm_wire_begin(o);
	if (id >= 0)
		llm_wire_put_uint(o, "id", (uint64_t)id);
	return o;
}

void
peer_send(struct peer *p)
{
	struct llm_err err;
	struct llm_wire_out *o = p->daemon->out;
	size_t n;
	/* Too large, or no memory: there is room to say so. */
	if (llm_wire_end(o, &err) < 0) {
		llm_wire_put_err(peer_reply(p, p->replied), "error", &err);
		if (llm_wire_end(o, &err) < 0) {
			event("client %d: a reply cannot be sent: %s", (int)p->pid, err.msg);
			peer_close(p);
		}
	}
	const void *bytes = llm_wire_bytes(&n, o);
	peer_frames(p, bytes, n);
	llm_wire_take(o, n);
}

void
peer_error(struct peer *p, int64_t id, const struct llm_err *e)
{
	stats_count(p->daemon->stats, e->code == LLM_EBUSY ? STATS_BUSY : STATS_REFUSED);
	llm_wire_put_err(peer_reply(p, id), "error", e);
	peer_send(p);
}

void
peer_refuse(struct peer *p, const struct llm_err *e)
{
	if (p->dead || p->last)
		return;
	if (p->daemon->verbose)
		event("client %d: refused: %s", (int)p->pid, e->msg);
	peer_error(p, -1, e);
	p->last = true;
	loop_watch_set(p->watch, 0);
	mark_dirty(p);
}

/* Sends [at_out, at_out + n), a descriptor with its first byte (fd >= 0). */
static ssize_t
send_some(struct peer *p, size_t n, int fd)
{
	struct iovec part = {.iov_base = p->out + p->at_out, .iov_len = n};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	if (fd >= 0) {
		memset(&control, 0, sizeof control);
		m.msg_control = &control;
		m.msg_controllen = sizeof control.room;
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	ssize_t sent;
	do
		sent = sendmsg(p->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent;
}

static void
passed(struct peer *p)
{
	close(p->passing[0].fd);
	p->n_passing--;
	memmove(p->passing, p->passing + 1, (size_t)p->n_passing * sizeof *p->passing);
}

static void
flush(struct peer *p)
{
	while (!p->dead && p->at_out < p->n_out) {
		size_t n = p->n_out - p->at_out;
		bool with = p->n_passing > 0 && p->passing[0].at == p->sent;
		/* Up to the byte that the next one goes with. */
		if (p->n_passing > with && p->passing[with].at - p->sent < n)
			n = (size_t)(p->passing[with].at - p->sent);
		ssize_t sent = send_some(p, n, with ? p->passing[0].fd : -1);
		if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			if (p->last) { /* who does not read need not be told */
				peer_close(p);
				return;
			}
			p->full = true;
			loop_watch_set(p->watch, LOOP_WRITE | LOOP_READ);
			return;
		}
		if (sent < 0) {
			peer_close(p);
			return;
		}
		if (with)
			passed(p);
		p->at_out += (size_t)sent;
		p->sent += (uint64_t)sent;
	}
	p->at_out = p->n_out = 0;
	if (p->cap_out > KEPT_BUFFER) {
		free(p->out);
		p->out = NULL;
		p->cap_out = 0;
	}
	if (p->full && !p->dead)
		loop_watch_set(p->watch, LOOP_READ);
	p->full = false;
	if (p->last)
		peer_close(p);
}

/* In. */

static int
greeting_read(struct peer *p, const struct llm_wire_value *map, struct llm_err *err)
{
	struct llm_wire_bytes name = {0};
	int64_t version = 0;
	int rc = llm_wire_get_int(&version, map, "hello", INT32_MIN, INT32_MAX, err);
	if (rc == 0)
		return llm_err_set(err, LLM_EPROTOCOL, "the first message is no hello");
	if (rc < 0 || (rc = llm_wire_get_bytes(&name, map, "client", err)) < 0)
		return rc;
	if (version != LLM_WIRE_VERSION)
		return llm_err_set(err, LLM_EPROTOCOL,
		    "the client speaks version %d of the protocol, this daemon version %d",
		    (int)version, LLM_WIRE_VERSION);
	llm_err_quote(p->name, sizeof p->name, name.s != NULL ? name.s : "", name.n);
	return 0;
}

static void
greet(struct peer *p, const char *bytes, size_t n)
{
	struct llm_err err;
	struct llm_wire_msg *m = NULL;
	int rc = llm_wire_parse(&m, bytes, n, &err);
	if (rc >= 0)
		rc = greeting_read(p, llm_wire_root(m), &err);
	llm_wire_msg_free(m);
	if (rc < 0) {
		peer_refuse(p, &err);
		return;
	}
	p->greeted = true;
	struct llm_wire_out *o = peer_reply(p, -1);
	llm_wire_put_int(o, "hello", LLM_WIRE_VERSION);
	llm_wire_put_int(o, "numeric", LLM_NUMERIC_VERSION);
	llm_wire_put_str(o, "server", LLMD_NAME);
	llm_wire_put_int(o, "pid", (int64_t)getpid());
	peer_send(p);
}

/* Room for more of what comes; false: refused. */
static bool
in_room(struct peer *p)
{
	struct daemon *d = p->daemon;
	struct llm_err err;
	size_t cap = p->cap_in < LEAST_BUFFER ? LEAST_BUFFER : 2 * p->cap_in;
	if (p->n_in < p->cap_in)
		return true;
	/* Small messages are heard however many large ones are not yet whole. */
	if (cap > KEPT_BUFFER && d->held_bytes + (cap - p->cap_in) > MAX_HELD) {
		llm_err_set(&err, LLM_EBUSY, "%llu bytes of messages are under way already",
		    (unsigned long long)d->held_bytes);
		peer_refuse(p, &err);
		return false;
	}
	char *more = realloc(p->in, cap);
	if (more == NULL) {
		llm_err_nomem(&err, cap);
		peer_refuse(p, &err);
		return false;
	}
	d->held_bytes += cap - p->cap_in;
	p->in = more;
	p->cap_in = cap;
	return true;
}

static void
in_free(struct peer *p)
{
	p->daemon->held_bytes -= p->cap_in;
	free(p->in);
	p->in = NULL;
	p->cap_in = p->n_in = 0;
}

/* All frames that are whole. */
static void
in_take(struct peer *p)
{
	struct llm_err err;
	size_t at = 0, n;
	while (!p->dead && !p->last && p->n_in - at >= LLM_WIRE_HEAD) {
		const char *frame = p->in + at + LLM_WIRE_HEAD;
		int rc = llm_wire_length(&n, (const unsigned char *)p->in + at, &err);
		if (rc >= 0 && !p->greeted && n > MAX_GREETING - LLM_WIRE_HEAD)
			rc = llm_err_set(&err, LLM_EPROTOCOL,
			    "a hello of %zu bytes: expected at most %d", n,
			    MAX_GREETING - LLM_WIRE_HEAD);
		if (rc < 0) {
			peer_refuse(p, &err);
			break;
		}
		if (p->n_in - at - LLM_WIRE_HEAD < n)
			break;
		if (p->greeted)
			request_take(p, frame, n);
		else
			greet(p, frame, n);
		at += LLM_WIRE_HEAD + n;
	}
	if (at == p->n_in && p->cap_in > KEPT_BUFFER) {
		in_free(p);
		return;
	}
	if (at > 0)
		memmove(p->in, p->in + at, p->n_in - at);
	p->n_in -= at;
}

static void
hear(struct peer *p)
{
	size_t turn = 0;
	size_t before = p->n_out - p->at_out;
	while (!p->dead && !p->last && turn < TURN && p->n_out - p->at_out <= before + AHEAD &&
	       in_room(p)) {
		/* Descriptors that are passed along are closed by the kernel: no room is made for them. */
		ssize_t n = recv(p->fd, p->in + p->n_in, p->cap_in - p->n_in, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n <= 0) {
			peer_close(p);
			return;
		}
		p->n_in += (size_t)n;
		turn += (size_t)n;
		in_take(p);
	}
}

static void
on_ready(void *context, int events)
{
	struct peer *p = context;
	if (events & LOOP_WRITE)
		mark_dirty(p);
	if (events & LOOP_READ)
		hear(p);
}

/* Coming and going. */

static void
peer_free(struct peer *p)
{
	struct daemon *d = p->daemon;
	for (struct request *r = p->requests; r != NULL; r = request_orphan(r))
		;
	loop_watch_free(p->watch);
	close(p->fd);
	if (p->prev != NULL)
		p->prev->next = p->next;
	else
		d->peers = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	d->n_peer--;
	while (p->n_passing > 0)
		passed(p);
	in_free(p);
	free(p->out);
	free(p);
}

void
peers_tidy(struct daemon *d)
{
	while (d->dirty != NULL) {
		struct peer *p = d->dirty;
		d->dirty = p->next_dirty;
		p->dirty = false;
		if (!p->dead)
			flush(p);
		if (p->dead && p->dirty) /* since it was sent to: it is in the list again */
			continue;
		if (p->dead)
			peer_free(p);
	}
	if (d->stopping)
		daemon_ended(d);
}

/* What a connection that cannot be served is told, in as far as it listens. */
static void
turn_away(struct daemon *d, int fd, const struct llm_err *e)
{
	struct llm_err ignored;
	size_t n;
	stats_count(d->stats, STATS_BUSY);
	llm_wire_begin(d->out);
	llm_wire_put_err(d->out, "error", e);
	if (llm_wire_end(d->out, &ignored) >= 0) {
		const void *bytes = llm_wire_bytes(&n, d->out);
		ssize_t sent = send(fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		(void)sent;
		llm_wire_take(d->out, n);
	}
	close(fd);
}

/* Makes room where a connection has said no hello for long since it came; false where none has. */
static bool
silent_evict(struct daemon *d)
{
	struct peer *oldest = NULL;
	for (struct peer *p = d->peers; p != NULL; p = p->next)
		if (!p->greeted && !p->dead && (oldest == NULL || p->came_ms < oldest->came_ms))
			oldest = p;
	if (oldest == NULL || loop_now_ms(d->loop) - oldest->came_ms < SILENT_MS)
		return false;
	if (d->verbose)
		event("client %d: closed, it has said no hello", (int)oldest->pid);
	peer_close(oldest);
	peers_tidy(d);
	return true;
}

/* Who is at the other end; false where that is not the daemon's own user. */
static bool
own_user(pid_t *pid, int fd)
{
	struct ucred who;
	socklen_t size = sizeof who;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
		return false;
	*pid = who.pid;
	return who.uid == geteuid();
}

void
peer_accept(struct daemon *d, int fd)
{
	struct llm_err err;
	pid_t pid;
	stats_count(d->stats, STATS_CONNECTS);
	if (!own_user(&pid, fd)) {
		event("a connection of another user is closed");
		close(fd);
		return;
	}
	if (d->n_peer >= MAX_CLIENTS && !silent_evict(d)) {
		llm_err_set(&err, LLM_EBUSY, "%d clients are connected, and no more may be",
		    MAX_CLIENTS);
		turn_away(d, fd, &err);
		return;
	}
	struct peer *p = calloc(1, sizeof *p);
	if (p == NULL || loop_watch_new(&p->watch, d->loop, fd, on_ready, p, &err) < 0) {
		llm_err_nomem(&err, sizeof *p);
		turn_away(d, fd, &err);
		free(p);
		return;
	}
	p->daemon = d;
	p->fd = fd;
	p->pid = pid;
	p->number = d->n_connect++;
	p->class = LLM_JOB_PIPE;
	p->came_ms = loop_now_ms(d->loop);
	p->next = d->peers;
	if (p->next != NULL)
		p->next->prev = p;
	d->peers = p;
	d->n_peer++;
	loop_watch_set(p->watch, LOOP_READ);
}
