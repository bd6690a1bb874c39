/*
 * SPDX-License-Identifier: ISC
 *
 * What of an answer may be printed already: bytes that could begin a stop string wait, and so does an
 * unfinished UTF-8 character.  Matches do not depend on where tokens end: the stop string that is
 * complete first counts, and of several the one that began first.
 */
#ifndef LLM_STOP_H
#define LLM_STOP_H

#include "libcore/err.h"

#include <stdbool.h>
#include <stddef.h>

struct llm_stop; /* opaque; one answer's, used by one thread at a time */

/* strings are copied; empty ones are LLM_EUSAGE.  n_piece: room for the longest token's bytes. */
int llm_stop_new(struct llm_stop **out, const char *const *strings, int n, size_t n_piece,
    struct llm_err *err);
void llm_stop_free(struct llm_stop *s);
/* A new answer begins. */
void llm_stop_reset(struct llm_stop *s);

/*
 * llm_stop_add - the answer goes on with n bytes (n_piece at most).  Returns true when a stop string
 * is complete: it and what follows are gone, and what stands before it is ready.
 */
bool llm_stop_add(struct llm_stop *s, const char *bytes, size_t n);
/* Nothing follows: all that waits is ready. */
void llm_stop_end(struct llm_stop *s);

/*
 * llm_stop_ready - the bytes that may be printed; they count as printed, and live until the next add.
 */
size_t llm_stop_ready(const char **bytes, struct llm_stop *s);
/* Bytes printed since the start, those that llm_stop_ready last gave included. */
size_t llm_stop_printed(const struct llm_stop *s);

#endif
