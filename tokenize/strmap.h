/*
 * SPDX-License-Identifier: ISC
 *
 * Byte strings to token ids: an open-addressed table over an arena of strings.  A string of up to
 * eight bytes is its own key, so most look-ups touch one line; longer ones are compared in the arena.
 */
#ifndef LLM_STRMAP_H
#define LLM_STRMAP_H

#include "libcore/err.h"
#include "libcore/token.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Private; len 0 is an empty slot. */
struct llm_strmap_slot {
	uint64_t key;
	llm_token id;
	uint32_t len;
};

/* String i is bytes[off[i] .. off[i + 1]); both are the caller's and outlive the map. */
struct llm_strmap {
	const char *bytes;            /* private */
	const uint32_t *off;          /* private */
	struct llm_strmap_slot *slot; /* private: 2^(64 - shift) of them */
	unsigned shift;               /* private */
	uint32_t max_len;             /* read-only: of the longest string in it */
};

enum {
	/*
	 * A chain this long does not happen by chance in a table at most half full (128,256 strings
	 * of Llama 3: 31); a file made so that its strings collide is refused.
	 */
	LLM_STRMAP_PROBES = 1024
};

enum { LLM_STRMAP_SLACK = 7 }; /* bytes that may be read after the last string of the arena */

/* An empty map with room for n strings of the arena; LLM_ENOMEM. */
int llm_strmap_new(struct llm_strmap *m, size_t n, const char *bytes, const uint32_t *off,
    struct llm_err *err);
void llm_strmap_free(struct llm_strmap *m);

/*
 * llm_strmap_add - put string id, which is not empty.  Returns id; the id of an equal string that is
 * there already; or LLM_EDATA, with no message, where too many strings collide.
 */
int llm_strmap_add(struct llm_strmap *m, llm_token id);

/*
 * llm_strmap_sound - whether a map that was not made by llm_strmap_add, over an arena of n strings, leads
 * nowhere but into it, and has a free slot, at which a search ends.
 */
bool llm_strmap_sound(const struct llm_strmap *m, uint32_t n);

/* n <= 8 bytes as a number; strings of one length have different ones. */
static inline uint64_t
llm_strmap_word(const char *s, size_t n)
{
	if (n >= 4) {
		uint32_t a, b;
		memcpy(&a, s, 4);
		memcpy(&b, s + n - 4, 4);
		return a | (uint64_t)b << (8 * (n - 4));
	}
	if (n >= 2) {
		uint16_t a, b;
		memcpy(&a, s, 2);
		memcpy(&b, s + n - 2, 2);
		return a | (uint64_t)b << (8 * (n - 2));
	}
	return n == 1 ? (unsigned char)s[0] : 0;
}

/* A hash of more than eight bytes, by eights, the last of them overlapping. */
static inline uint64_t
llm_strmap_long(const char *s, size_t n)
{
	uint64_t h = 0, w;
	for (size_t i = 0; i + 8 < n; i += 8) {
		memcpy(&w, s + i, 8);
		h = (h ^ w) * 0x9FB21C651E98DF25u;
		h ^= h >> 29;
	}
	memcpy(&w, s + n - 8, 8);
	return h ^ w;
}

/* The key of a string of any length. */
static inline uint64_t
llm_strmap_key(const char *s, size_t n)
{
	if (n <= 8)
		return llm_strmap_word(s, n);
	return llm_strmap_long(s, n);
}

/* The same, without branches on short lengths, for n >= 1 where eight bytes at s may be read. */
static inline uint64_t
llm_strmap_key_slack(const char *s, size_t n)
{
	uint64_t w;
	if (n > 8)
		return llm_strmap_long(s, n);
	memcpy(&w, s, 8);
	return w & ~(uint64_t)0 >> (64 - 8 * n);
}
/* Where the chain of a key starts: multiplicative hashing by the golden ratio. */
static inline size_t
llm_strmap_home(const struct llm_strmap *m, uint64_t key, size_t n)
{
	uint64_t h = (key ^ (uint64_t)n << 56) * 0x9E3779B97F4A7C15u;
	return (h ^ h << 31) * 0x9E3779B97F4A7C15u >> m->shift;
}

/* The id of s[0..n), or -1. */
static inline llm_token
llm_strmap_find(const struct llm_strmap *m, const char *s, size_t n)
{
	if (n == 0 || n > m->max_len)
		return -1;
	uint64_t key = llm_strmap_key(s, n);
	size_t mask = ((size_t)1 << (64 - m->shift)) - 1;
	for (size_t i = llm_strmap_home(m, key, n);; i = (i + 1) & mask) {
		const struct llm_strmap_slot *x = &m->slot[i];
		if (x->len == 0)
			return -1;
		if (x->key == key && x->len == n &&
		    (n <= 8 || memcmp(m->bytes + m->off[x->id], s, n) == 0))
			return x->id;
	}
}

/*
 * Whether a string of length n with this key, whose chain starts at home, is in the map.  Of strings
 * longer than eight bytes another of the same length and 64-bit key passes too: for checks that no
 * result rests on.
 */
static inline bool
llm_strmap_has(const struct llm_strmap *m, uint64_t key, size_t n, size_t home)
{
	size_t mask = ((size_t)1 << (64 - m->shift)) - 1;
	for (size_t i = home;; i = (i + 1) & mask) {
		const struct llm_strmap_slot *x = &m->slot[i];
		if (x->len == 0 || (x->key == key && x->len == n))
			return x->len != 0;
	}
}

#endif
