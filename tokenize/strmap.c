/*
 * SPDX-License-Identifier: ISC
 *
 * Byte strings to token ids; see strmap.h.
 */
#define _DEFAULT_SOURCE /* madvise, where there is one */
#include "tokenize/strmap.h"

#include "libcore/size.h"

#include <stdlib.h>
#include <sys/mman.h>

/*
 * Zeroed memory for a table that is read here and there.  In pages of 2 MiB where the system has them:
 * with small ones half of the time to fill a large table went into finding its pages.
 */
static void *
table_new(size_t bytes)
{
	const size_t huge = (size_t)1 << 21;
	if (bytes < huge)
		return calloc(1, bytes);
	void *p = NULL;
	if (posix_memalign(&p, huge, bytes) != 0)
		return NULL;
#ifdef MADV_HUGEPAGE
	madvise(p, bytes, MADV_HUGEPAGE);
#endif
	return memset(p, 0, bytes);
}

int
llm_strmap_new(
    struct llm_strmap *m, size_t n, const char *bytes, const uint32_t *off, struct llm_err *err)
{
	unsigned bits = 4;
	while (bits < 40 && (size_t)1 << bits < n * 2)
		bits++;
	size_t size;
	if (n > (size_t)1 << 38 || !llm_size_mul(&size, (size_t)1 << bits, sizeof *m->slot))
		return llm_err_nomem(err, SIZE_MAX);
	*m = (struct llm_strmap){.bytes = bytes, .off = off, .shift = 64 - bits};
	m->slot = table_new(size);
	if (m->slot == NULL)
		return llm_err_nomem(err, size);
	return 0;
}

void
llm_strmap_free(struct llm_strmap *m)
{
	free(m->slot);
	*m = (struct llm_strmap){0};
}

int
llm_strmap_add(struct llm_strmap *m, llm_token id)
{
	const char *s = m->bytes + m->off[id];
	uint32_t n = m->off[id + 1] - m->off[id];
	uint64_t key = llm_strmap_key_slack(s, n);
	size_t mask = ((size_t)1 << (64 - m->shift)) - 1;
	size_t i = llm_strmap_home(m, key, n);
	for (int probe = 0; probe < LLM_STRMAP_PROBES; probe++, i = (i + 1) & mask) {
		struct llm_strmap_slot *x = &m->slot[i];
		if (x->len == 0) {
			*x = (struct llm_strmap_slot){.key = key, .id = id, .len = n};
			if (n > m->max_len)
				m->max_len = n;
			return id;
		}
		if (x->key == key && x->len == n &&
		    (n <= 8 || memcmp(m->bytes + m->off[x->id], s, n) == 0))
			return x->id;
	}
	return LLM_EDATA;
}

bool
llm_strmap_sound(const struct llm_strmap *m, uint32_t n)
{
	size_t size = (size_t)1 << (64 - m->shift), used = 0;
	bool good = true;
	/* Without branches: half of the slots are free, in no order. */
	for (size_t i = 0; i < size; i++) {
		const struct llm_strmap_slot *x = &m->slot[i];
		bool within = (uint32_t)x->id < n;
		uint32_t id = within ? (uint32_t)x->id : 0;
		bool fits = within & (x->len == m->off[id + 1] - m->off[id]);
		good &= fits | (x->len == 0);
		used += x->len != 0;
	}
	return good && used < size;
}
