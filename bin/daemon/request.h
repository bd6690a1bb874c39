/*
 * SPDX-License-Identifier: ISC
 *
 * One request from its frame to its last reply.  It waits for its model, is made ready (text to ids: where that
 * takes long on another thread), is answered or computed.
 */
#ifndef LLMD_REQUEST_H
#define LLMD_REQUEST_H

#include "bin/daemon/daemon.h"
#include "bin/daemon/engine.h"
#include "bin/daemon/models.h"
#include "tokenize/template.h"

#include <sys/types.h>

struct request;

/* What a request may ask for.  A step that is NULL has nothing to do; all but prepare are the loop's work. */
struct op {
	const char *name;
	/* Its fields, as far as they can be looked at without the model. */
	int (*read)(struct request *r, struct llm_err *err);
	/* It is of a model: made ready with it, by any thread; of what, with `slow', by another. */
	int (*prepare)(struct request *r, struct llm_err *err);
	/* It is answered (request_end), or goes to the engine (request_compute). */
	void (*run)(struct request *r);
	bool model, slow;
};

enum request_state {
	REQUEST_NEW,
	REQUEST_WAITS,    /* for its model */
	REQUEST_PREPARES, /* on another thread */
	REQUEST_COMPUTES  /* the engine has it */
};

struct request {
	struct daemon *daemon;
	struct peer *peer; /* NULL: gone */
	struct request *next;
	const struct op *op;
	pid_t client_pid;
	uint32_t id;
	enum request_state state;
	bool cancelled;
	char *frame; /* what came */
	size_t n_frame;
	struct llm_wire_msg *msg; /* until its fields have been read */
	const struct llm_wire_value *map;

	struct model *model; /* in use */
	struct request *next_waiting;
	bool wants_ident;
	struct llm_wire_bytes ident; /* that the client expects; s NULL: any */
	int rc;
	struct llm_err err;

	/* What some of them have, from their fields. */
	struct llm_wire_bytes text;
	bool has_text, bos, special, has_drop;
	struct llm_ids ids;
	struct llm_message *message;
	size_t n_message;
	llm_token **message_ids; /* [n_message] */
	char *template, *date;
	struct llm_embedder_params embed;
	struct llm_embedder *opened; /* not yet the model's */
	char *out;
	size_t n_out;

	struct job job;
};

/* request_take - a frame of a client: answered, refused, or under way. */
void request_take(struct peer *p, const char *bytes, size_t n);
/* request_orphan - its client has gone: it is cancelled; returns the next of that client. */
struct request *request_orphan(struct request *r);

/* From models_want. */
void request_ready(struct request *r);
void request_failed(struct request *r, const struct llm_err *err);
/* Bytes of its model that are there: said where that is what it wants to know. */
void request_progress(struct request *r, uint64_t done, uint64_t of);

/* For the ops: it goes to the engine; it has been answered, and is gone after the call. */
void request_compute(struct request *r);
void request_end(struct request *r);
/* Its {id, ..}, as peer_reply; NULL where nobody is there to read it. */
struct llm_wire_out *request_reply(struct request *r);
/* Another request of the same client by its id; NULL. */
struct request *request_find(const struct request *r, uint32_t id);
void request_cancel(struct request *r);

/* requests_notice - what the engine has to say. */
void requests_notice(struct daemon *d);

/* The ops: op_find - by its name; NULL. */
const struct op *op_find(const char *name, size_t n);

/* In ask.c: reading and preparing of what is computed. */
int ask_generate(struct request *r, struct llm_err *err);
int ask_chat(struct request *r, struct llm_err *err);
int ask_score(struct request *r, struct llm_err *err);
int ask_labels(struct request *r, struct llm_err *err);
int ask_embed(struct request *r, struct llm_err *err);
int ask_text(struct request *r, struct llm_err *err);
int ask_ids(struct request *r, struct llm_err *err);
int make_prompt(struct request *r, struct llm_err *err);
int make_chat(struct request *r, struct llm_err *err);
int make_labels(struct request *r, struct llm_err *err);
int make_embedder(struct request *r, struct llm_err *err);
int make_ids(struct request *r, struct llm_err *err);
int make_text(struct request *r, struct llm_err *err);
void ask_free(struct request *r);

/* In keep.c: positions that the engine computed go to the store on disk, on another thread. */
void keep_start(struct daemon *d, struct kept *k);

/* In status.c. */
void run_status(struct request *r);
void run_stats(struct request *r);

#endif
