/*
 * SPDX-License-Identifier: ISC
 *
 * A blocking connection to the daemon, for filters: no event loop.  See llm-protocol(5).
 *
 *	llm_client_open(&c, path, "llm-generate", &err)		(LLM_EUNAVAILABLE: there is none)
 *	o = llm_client_request(c, &id, "generate");
 *	llm_wire_put_...(o, ...);
 *	llm_client_send(c, &err);
 *	while (llm_client_receive(&m, c, timeout, &err) > 0) ...
 */
#ifndef LLM_CLIENT_H
#define LLM_CLIENT_H

#include "libcore/wire.h"

#include <sys/types.h>

struct llm_client; /* opaque; used by one thread at a time */

/*
 * llm_client_socket - where the daemon's socket is: given, else $LLM_SOCKET as the caller read it (env_socket),
 * else RUNTIME/llm/llmd.sock with $XDG_RUNTIME_DIR (runtime_dir), else /run/user/UID/llm/llmd.sock.
 * NULL or "" is not given.  LLM_EUSAGE: longer than a socket's address may be.
 */
enum { LLM_CLIENT_PATH = 108 };
int llm_client_socket(char out[LLM_CLIENT_PATH], const char *given, const char *env_socket,
    const char *runtime_dir, struct llm_err *err);

/*
 * llm_client_open - connect, check that the other side is of the caller's user, and exchange hellos.
 * name: the program, and its version.  Errors: LLM_EUNAVAILABLE nobody listens, another user's, no hello within
 * 2 s, or it closed; LLM_EPROTOCOL another version of the protocol, or none; what the daemon answered instead
 * (LLM_EBUSY); LLM_ESYSTEM, LLM_ENOMEM.
 */
int llm_client_open(
    struct llm_client **out, const char *path, const char *name, struct llm_err *err);
void llm_client_close(struct llm_client *c);

/* The numeric version and process of the daemon, from its hello; its descriptor, to wait for. */
int llm_client_numeric(const struct llm_client *c);
pid_t llm_client_pid(const struct llm_client *c);
int llm_client_fd(const struct llm_client *c);

/* llm_client_request - begin a request: its id and op are written, its fields are the caller's to put. */
struct llm_wire_out *llm_client_request(struct llm_client *c, uint32_t *id, const char *op);
/*
 * llm_client_send - end it, and send all; what comes meanwhile is kept for llm_client_receive.  LLM_EUNAVAILABLE: the
 * daemon is gone, or took nothing for 30 s; where it left a last word, that is received first.  LLM_EUSAGE: too
 * large, nothing was sent.
 */
int llm_client_send(struct llm_client *c, struct llm_err *err);

/*
 * llm_client_receive - the next message: 1, and *out and what it holds live until the next receive.  0: none came within
 * timeout_ms (< 0: waits for ever), or a signal came.  LLM_EUNAVAILABLE: the daemon closed the connection or died;
 * LLM_EPROTOCOL: no message of its protocol.
 */
int llm_client_receive(const struct llm_wire_value **out, struct llm_client *c, int timeout_ms,
    struct llm_err *err);

/*
 * A descriptor that came along with the message received last, closed on exec, the caller's to close; -1: none.
 * One is kept, of several the last; one that nobody takes is closed by the next receive.
 */
int llm_client_take_fd(struct llm_client *c);

#endif
