/*
 * SPDX-License-Identifier: ISC
 *
 * The pass's buffers; see footprint.h.
 */
#include "libcore/footprint.h"

#include "libcore/kernels/attention.h"
#include "libcore/size.h"

/* Places one buffer after another; good turns false when a size cannot be counted. */
struct arena {
	char *base;
	size_t used;
	bool good;
};

static void *
take(struct arena *a, size_t n, size_t each, size_t item)
{
	size_t bytes, at = a->used;
	a->good = a->good && llm_size_mul(&bytes, n, each) &&
		  llm_size_mul(&bytes, bytes, item) && llm_size_align(&bytes, bytes, 64) &&
		  llm_size_add(&a->used, a->used, bytes);
	return a->good && a->base != NULL ? a->base + at : NULL;
}

static int
max3(int a, int b, int c)
{
	int ab = a > b ? a : b;
	return ab > c ? ab : c;
}

bool
llm_scratch_layout(struct llm_scratch *s, size_t *bytes, void *base, const struct llm_config *c,
    int rows, int n_thread)
{
	struct arena a = {base, 0, true};
	size_t r = (size_t)rows, embd = (size_t)c->n_embd, ff = (size_t)c->n_ff;
	size_t heads = (size_t)c->n_head, d = (size_t)c->d_head;
	size_t group = heads / (size_t)c->n_head_kv;
	size_t f = sizeof(float);

	*s = (struct llm_scratch){0};
	s->x = take(&a, r, embd, f);
	s->norm = take(&a, r, embd, f);
	s->delta = take(&a, r, embd, f);
	s->cosine = take(&a, r, d / 2, f);
	s->sine = take(&a, r, d / 2, f);

	/* The widest input of a product, rounded up to whole blocks. */
	int widest = (max3(c->n_embd, c->n_head * c->d_head, c->n_ff) + 255) / 256 * 256;
	s->act[LLM_ACT_Q32] = take(&a, 1, llm_act_bytes(LLM_ACT_Q32, widest, rows), 1);
	s->act[LLM_ACT_Q256] = take(&a, 1, llm_act_bytes(LLM_ACT_Q256, widest, rows), 1);

	/* Attention is over before the feed-forward begins: they share. */
	size_t begin = a.used;
	s->q = take(&a, r, heads * d, f);
	s->k = take(&a, r, (size_t)c->n_head_kv * d, f);
	s->v = take(&a, r, (size_t)c->n_head_kv * d, f);
	s->query = take(&a, r, heads * d, f);
	s->m = take(&a, r, heads, f);
	s->l = take(&a, r, heads, f);
	s->acc = take(&a, r, heads * d, f);
	s->n_partial = rows > LLM_FOOTPRINT_PARTIAL ? rows : LLM_FOOTPRINT_PARTIAL;
	s->pm = take(&a, (size_t)s->n_partial, heads, f);
	s->pl = take(&a, (size_t)s->n_partial, heads, f);
	s->pacc = take(&a, (size_t)s->n_partial, heads * d, f);
	s->tile = take(&a, r, 1 + group / LLM_ATTENTION_QUERIES + 1, sizeof *s->tile);
	size_t end = a.used;
	a.used = begin;
	s->gate = take(&a, r, ff, f);
	s->up = take(&a, r, ff, f);
	a.used = a.used > end ? a.used : end;

	s->thread_bytes = LLM_PRODUCT_SCRATCH;
	if (s->thread_bytes < LLM_ATTENTION_SCRATCH)
		s->thread_bytes = LLM_ATTENTION_SCRATCH;
	s->thread = take(&a, (size_t)n_thread, s->thread_bytes, 1);
	*bytes = a.used;
	return a.good;
}
