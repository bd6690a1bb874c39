/*
 * SPDX-License-Identifier: ISC
 *
 * Hashes of 128 bits; see hash.h.
 */
#include "libcore/hash.h"

#include <stdlib.h>
#include <xxhash.h>

struct llm_hasher {
	XXH3_state_t *state;
};

static struct llm_hash
canonical(XXH128_hash_t h)
{
	struct llm_hash out;
	XXH128_canonical_t c;
	XXH128_canonicalFromHash(&c, h);
	memcpy(out.b, c.digest, sizeof out.b);
	return out;
}

struct llm_hash
llm_hash_of(const void *p, size_t n)
{
	return canonical(XXH3_128bits(p, n));
}

int
llm_hasher_new(struct llm_hasher **out, struct llm_err *err)
{
	struct llm_hasher *h = malloc(sizeof *h);
	if (h == NULL || (h->state = XXH3_createState()) == NULL) {
		free(h);
		return llm_err_nomem(err, sizeof *h);
	}
	XXH3_128bits_reset(h->state);
	*out = h;
	return 0;
}

void
llm_hasher_free(struct llm_hasher *h)
{
	if (h == NULL)
		return;
	XXH3_freeState(h->state);
	free(h);
}

void
llm_hasher_add(struct llm_hasher *h, const void *p, size_t n)
{
	if (n > 0)
		XXH3_128bits_update(h->state, p, n);
}

struct llm_hash
llm_hasher_end(struct llm_hasher *h)
{
	struct llm_hash out = canonical(XXH3_128bits_digest(h->state));
	XXH3_128bits_reset(h->state);
	return out;
}

static const char digits[] = "0123456789abcdef";

char *
llm_hash_hex(char buf[LLM_HASH_HEX], const struct llm_hash *h)
{
	for (int i = 0; i < LLM_HASH_BYTES; i++) {
		buf[2 * i] = digits[h->b[i] >> 4];
		buf[2 * i + 1] = digits[h->b[i] & 15];
	}
	buf[LLM_HASH_HEX - 1] = '\0';
	return buf;
}

bool
llm_hash_from_hex(struct llm_hash *out, const char *s)
{
	struct llm_hash h = {{0}};
	for (int i = 0; i < 2 * LLM_HASH_BYTES; i++) {
		const char *at = s[i] != '\0' ? strchr(digits, s[i]) : NULL;
		if (at == NULL)
			return false;
		h.b[i / 2] = (unsigned char)(h.b[i / 2] << 4 | (at - digits));
	}
	*out = h;
	return true;
}
