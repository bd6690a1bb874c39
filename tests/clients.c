/*
 * SPDX-License-Identifier: ISC
 *
 * Clients of a running daemon; see clients.h.
 */
#include "tests/clients.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { PATIENCE_MS = 120000 };

struct clients clients;

void
clients_die(const char *what)
{
	fprintf(stderr, "%s: %s\n", clients.name, what);
	exit(1);
}

struct llm_client *
clients_open(void)
{
	struct llm_client *c;
	struct llm_err err;
	if (llm_client_open(&c, clients.path, clients.name, &err) < 0)
		clients_die(err.msg);
	return c;
}

int
clients_connect(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strncpy(a.sun_path, clients.path, sizeof a.sun_path - 1);
	if (fd < 0 || connect(fd, (const void *)&a, sizeof a) < 0)
		clients_die(strerror(errno));
	return fd;
}

struct llm_wire_out *
clients_request(struct llm_client *c, uint32_t *id, const char *op)
{
	struct llm_wire_out *o = llm_client_request(c, id, op);
	if (clients.model != NULL)
		llm_wire_put_str(o, "model", clients.model);
	return o;
}

void
clients_send(struct llm_client *c)
{
	struct llm_err err;
	if (llm_client_send(c, &err) < 0)
		clients_die(err.msg);
}

const struct llm_wire_value *
clients_receive(struct llm_client *c)
{
	const struct llm_wire_value *m;
	struct llm_err err;
	int rc = llm_client_receive(&m, c, PATIENCE_MS, &err);
	if (rc <= 0)
		clients_die(rc == 0 ? "no answer came" : err.msg);
	return m;
}

const struct llm_wire_value *
clients_done(struct llm_client *c, uint32_t id)
{
	for (;;) {
		const struct llm_wire_value *m = clients_receive(c);
		const struct llm_wire_value *done = llm_wire_field(m, "done");
		if (clients_number(m, "id") == (int64_t)id &&
		    (done != NULL || llm_wire_field(m, "error") != NULL))
			return done;
	}
}

int64_t
clients_number(const struct llm_wire_value *map, const char *key)
{
	int64_t v = -1;
	const struct llm_wire_value *f = llm_wire_field(map, key);
	return f != NULL && llm_wire_as_int(&v, f) ? v : -1;
}
