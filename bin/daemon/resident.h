/*
 * SPDX-License-Identifier: ISC
 *
 * Weights that stay: a model's file mapped, or its matrices packed into sealed memory, with the tokenizer that
 * belongs to it.  Nothing of it changes once it is open but the numbers of use, so it serves all threads.
 */
#ifndef LLMD_RESIDENT_H
#define LLMD_RESIDENT_H

#include "libcore/hash.h"
#include "libcore/map.h"
#include "libcore/model.h"
#include "tokenize/tokenizer.h"

#include <stdatomic.h>
#include <stdbool.h>

struct resident {
	/* Read-only once it is open. */
	char *path;
	const struct llm_gguf *gguf;
	struct llm_model *model; /* NULL: an encoder */
	struct llm_tokenizer *tokenizer;
	struct llm_gguf *encoder; /* its file; NULL: no encoder */
	uint64_t bytes;           /* of the file, all parts */
	int memory;            /* a descriptor of the sealed memory; -1: the file is mapped */
	bool huge;             /* that lies in huge pages, as far as there were any */
	struct llm_hash stamp; /* of the file, as it was opened: libcore/ident.h */
	struct llm_map_stamp file; /* of its first part */
	struct llm_hash ident;     /* where `known': it was kept from another time */
	bool known;

	struct resident *next_drop; /* the engine's */
	void *
	    farewell; /* its word that nothing uses it any more: there from the first, so that it cannot fail */

	/* Set by the thread that computes, read by others. */
	_Atomic uint64_t kv_bytes;
	_Atomic int n_running, n_waiting;
};

/* What a thread that opens one is asked and says meanwhile. */
struct resident_watch {
	uint64_t room_bytes; /* it may take; LLM_EBUSY with both numbers where it needs more */
	_Atomic uint64_t done_bytes, of_bytes; /* packed */
};

/*
 * resident_open - map the model at path, packed where that helps and it is not.  Takes as long as reading the file
 * does where it is to be packed: not the loop's work.  Errors: those of llm_model_open, llm_encoder_open
 * and llm_gguf_pack; LLM_EBUSY.
 */
int resident_open(
    struct resident **out, const char *path, struct resident_watch *watch, struct llm_err *err);
void resident_close(struct resident *r);

/*
 * resident_ident - the model's identity, found out by reading all of it, and kept.  Errors: those of llm_ident.
 */
int resident_ident(struct llm_hash *id, const struct resident *r, struct llm_err *err);

/* resident_lock - keep it from being paged out; the errno where that is not allowed, 0 where it is done. */
int resident_lock(const struct resident *r);

/* Whether the file at its path is still the one that was opened. */
bool resident_fresh(const struct resident *r);

/* A new descriptor, read-only, of what it maps; -1 where there is no one (several parts, or the file changed). */
int resident_fd(const struct resident *r);

/* A path that opens what it maps: its own, or that of its memory in buf. */
enum { RESIDENT_PLACE = 32 };
const char *resident_place(char buf[RESIDENT_PLACE], const struct resident *r);

/* The file's name without its folders. */
const char *resident_name(const struct resident *r);

#endif
