/*
 * SPDX-License-Identifier: ISC
 *
 * Hashes of 128 bits (XXH3), at the speed of memory: for names and checksums.  They tell accidents
 * apart and withstand nobody: what a stranger may have made is compared whole.
 */
#ifndef LLM_HASH_H
#define LLM_HASH_H

#include "libcore/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum { LLM_HASH_BYTES = 16, LLM_HASH_HEX = 2 * LLM_HASH_BYTES + 1 };

/* Plain data, the same on every machine (the canonical form, most significant byte first). */
struct llm_hash {
	unsigned char b[LLM_HASH_BYTES];
};

static inline bool
llm_hash_equal(const struct llm_hash *x, const struct llm_hash *y)
{
	return memcmp(x->b, y->b, sizeof x->b) == 0;
}

/* Of n bytes; p may be NULL where n is 0. */
struct llm_hash llm_hash_of(const void *p, size_t n);

/* Of bytes that come piece by piece: the same as of all at once. */
struct llm_hasher; /* opaque; of one thread */

/* LLM_ENOMEM. */
int llm_hasher_new(struct llm_hasher **out, struct llm_err *err);
void llm_hasher_free(struct llm_hasher *h);
void llm_hasher_add(struct llm_hasher *h, const void *p, size_t n);
/* The hash of what came since the last end, or the start. */
struct llm_hash llm_hasher_end(struct llm_hasher *h);

/* 32 digits and a NUL; returns buf. */
char *llm_hash_hex(char buf[LLM_HASH_HEX], const struct llm_hash *h);
/* The hash that 32 lower-case digits at s name; false where they are none. */
bool llm_hash_from_hex(struct llm_hash *out, const char *s);

#endif
