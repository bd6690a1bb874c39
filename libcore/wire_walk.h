/*
 * SPDX-License-Identifier: ISC
 *
 * A walk over the bytes of a message before anything is built of them: msgpack's own reader allocates by the
 * lengths that the bytes declare.  wire.c calls it.
 */
#ifndef LLM_WIRE_WALK_H
#define LLM_WIRE_WALK_H

#include "libcore/err.h"

#include <stddef.h>

/*
 * llm_wire_walk - the n bytes are one msgpack map, with keys that are strings, nested at most LLM_WIRE_DEPTH deep, of at
 * most LLM_WIRE_ITEMS values, and no more than it.  Allocates nothing, takes time in proportion to n.
 * LLM_EPROTOCOL, with what was found and at which byte.
 */
int llm_wire_walk(const void *bytes, size_t n, struct llm_err *err);

#endif
