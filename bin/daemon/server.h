/*
 * SPDX-License-Identifier: ISC
 *
 * The socket that clients find: made where it is missing or stale, or taken over from who started the
 * daemon (LISTEN_FDS, as sd_listen_fds(3) has it).
 */
#ifndef LLMD_SERVER_H
#define LLMD_SERVER_H

#include "bin/daemon/daemon.h"

/*
 * server_open - listen at d->path.  LLM_EBUSY where another daemon does; LLM_ESYSTEM, LLM_EIO.
 */
int server_open(struct server **out, struct daemon *d, struct llm_err *err);
/* Takes no more connections, and the socket's name is removed where the daemon made it. */
void server_close(struct server *s);

#endif
