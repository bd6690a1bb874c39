/*
 * SPDX-License-Identifier: ISC
 *
 * The head of a file of vectors; see vectors.h.
 */
#include "embed/vectors.h"

#include <string.h>

static const char magic[8] = "LLMVECTR"; /* no NUL */

enum { MAX_EMBD = 1 << 20 };

static void
put_u32(unsigned char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> 8 * i);
}

static uint32_t
get_u32(const unsigned char *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

void
llm_vectors_put(unsigned char out[LLM_VECTORS_HEAD], const struct llm_vectors_head *h)
{
	memset(out, 0, LLM_VECTORS_HEAD);
	memcpy(out, magic, sizeof magic);
	put_u32(out + 8, LLM_VECTORS_VERSION);
	put_u32(out + 12, h->numeric_version);
	memcpy(out + 16, h->model, sizeof h->model);
	put_u32(out + 32, (uint32_t)h->n_embd);
	put_u32(out + 36, (uint32_t)h->pooling);
	put_u32(out + 40, h->normalized);
}

int
llm_vectors_get(
    struct llm_vectors_head *h, const unsigned char in[LLM_VECTORS_HEAD], struct llm_err *err)
{
	uint32_t n_embd = get_u32(in + 32), pooling = get_u32(in + 36);
	if (memcmp(in, magic, sizeof magic) != 0)
		return llm_err_set(err, LLM_EDATA, "no file of vectors");
	if (get_u32(in + 8) != LLM_VECTORS_VERSION)
		return llm_err_set(err, LLM_EDATA, "vectors of version %u, expected %d",
		    (unsigned)get_u32(in + 8), LLM_VECTORS_VERSION);
	if (n_embd < 1 || n_embd > MAX_EMBD || pooling < LLM_POOLING_MEAN ||
	    pooling > LLM_POOLING_LAST || get_u32(in + 40) > 1)
		return llm_err_set(err, LLM_EDATA,
		    "a damaged head of vectors: %u dimensions, pooling %u", (unsigned)n_embd,
		    (unsigned)pooling);
	h->numeric_version = get_u32(in + 12);
	memcpy(h->model, in + 16, sizeof h->model);
	h->n_embd = (int)n_embd;
	h->pooling = (enum llm_pooling)pooling;
	h->normalized = get_u32(in + 40) == 1;
	return 0;
}
