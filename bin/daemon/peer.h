/*
 * SPDX-License-Identifier: ISC
 *
 * One connection: frames in, replies out.  A connection that is done with is let go of before the loop
 * waits next, so that whoever was called for it may still look at it.
 */
#ifndef LLMD_PEER_H
#define LLMD_PEER_H

#include "bin/daemon/daemon.h"

#include <sys/types.h>

struct request;

enum {
	PEER_NAME = 64,
	PEER_PASSING = 8, /* descriptors that it has not taken yet */
};

/* A descriptor that goes out before byte `at' of all that is sent. */
struct peer_fd {
	uint64_t at;
	int fd;
};

struct peer {
	struct daemon *daemon;
	struct peer *next, *prev, *next_dirty;
	int fd;
	struct loop_watch *watch;
	uint64_t number; /* whose requests they are, for the scheduler */
	pid_t pid;       /* read-only */
	char
	    name[PEER_NAME]; /* read-only: as it calls itself, printable; "" before its hello */
	uint64_t came_ms;
	bool greeted, dirty, dead;
	bool last; /* when all is sent, it is closed */
	bool full; /* it does not take what is sent: it is waited for */

	char *in;
	size_t n_in, cap_in;
	char *out; /* [at_out, n_out) is to be sent */
	size_t at_out, n_out, cap_out;
	uint64_t sent;   /* bytes, so far */
	int64_t replied; /* the id that its last message has; < 0: none */
	struct peer_fd passing[PEER_PASSING];
	int n_passing;

	struct request *requests; /* under way */
	int n_request;
	enum llm_job_class class; /* of its last request */
	uint64_t n_token;         /* that it was sent */
};

/* peer_accept - a new connection, or none: what it may not be is said to it, and it is closed. */
void peer_accept(struct daemon *d, int fd);
/*
 * peer_close - send no more.  Its requests are cancelled once the loop waits next: who walks along requests and sends
 * to their clients finds them all there, whatever becomes of the clients.
 */
void peer_close(struct peer *p);
/* peer_frames - let it have these bytes, whole frames. */
void peer_frames(struct peer *p, const void *bytes, size_t n);
/*
 * peer_pass - with the next frame goes this descriptor, which is the peer's from here on; peer_passes - while it has
 * not PEER_PASSING of them yet.
 */
bool peer_passes(const struct peer *p);
void peer_pass(struct peer *p, int fd);

/*
 * A reply: peer_reply begins the message with the id of its request (0 > id: none), peer_send ends it and sends.
 *	struct llm_wire_out *o = peer_reply(p, id); llm_wire_put_..(o, ..); peer_send(p);
 */
struct llm_wire_out *peer_reply(struct peer *p, int64_t id);
void peer_send(struct peer *p);
/* {id, error}. */
void peer_error(struct peer *p, int64_t id, const struct llm_err *e);
/* {error}, and the connection is closed once that is sent. */
void peer_refuse(struct peer *p, const struct llm_err *e);

/* peers_tidy - send what waits, let go of what is closed: before the loop waits. */
void peers_tidy(struct daemon *d);

#endif
