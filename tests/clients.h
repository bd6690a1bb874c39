/*
 * SPDX-License-Identifier: ISC
 *
 * Clients of a running daemon, as the programs have them that test and measure it from outside.  Whatever goes wrong
 * ends the program, with a line.
 */
#ifndef LLM_TESTS_CLIENTS_H
#define LLM_TESTS_CLIENTS_H

#include "libcore/client.h"

/* Whom they are of and whom they talk to; the program sets it before the first. */
struct clients {
	const char *name;  /* the program, as clients and messages call it */
	const char *path;  /* the daemon's socket */
	const char *model; /* which requests name; NULL: none */
};
extern struct clients clients;

_Noreturn void clients_die(const char *what);

struct llm_client *clients_open(void);
/* A connection that has said nothing yet; its descriptor. */
int clients_connect(void);

/* A request, which is then ended and sent. */
struct llm_wire_out *clients_request(struct llm_client *c, uint32_t *id, const char *op);
void clients_send(struct llm_client *c);

/* The next message; two minutes are waited for it. */
const struct llm_wire_value *clients_receive(struct llm_client *c);
/* The end of a request, whatever comes before it: what is done, NULL where it was refused. */
const struct llm_wire_value *clients_done(struct llm_client *c, uint32_t id);

/* An integer of a map; -1 where it is not there. */
int64_t clients_number(const struct llm_wire_value *map, const char *key);

#endif
