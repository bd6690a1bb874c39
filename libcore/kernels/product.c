/*
 * SPDX-License-Identifier: ISC
 *
 * Where the parts of prepared activations lie in the caller's memory: the same for every
 * instruction set, so that one set can read what another wrote.
 */
#include "libcore/kernels/product.h"

#include <assert.h>

/* Byte counts of the six parts, in the order in which they lie. */
struct act_shape {
	size_t q, d, s, bsum, nsum, pair;
};

static size_t
round64(size_t n)
{
	return (n + 63) & ~(size_t)63;
}

/* Sets the counts and strides of a from its kind, n_col and n_tok. */
static struct act_shape
act_shape(struct llm_act *a)
{
	bool q32 = a->kind == LLM_ACT_Q32;
	size_t n_tok = (size_t)a->n_tok;
	a->n_block = a->n_col / (q32 ? 32 : 256);
	a->n_sub = a->n_col / (q32 ? 32 : 16);
	/* One cache line more than whole ones: tokens a power of two apart would share sets. */
	a->q_stride = round64((size_t)a->n_col) + 64;
	a->d_stride = ((size_t)a->n_block + 15) & ~(size_t)15;
	a->b_stride = ((size_t)a->n_sub + 31) & ~(size_t)31;
	return (struct act_shape){
	    .q = n_tok * a->q_stride,
	    .d = n_tok * a->d_stride * sizeof(float),
	    .s = q32 ? n_tok * a->d_stride * sizeof(float) : 0,
	    .bsum = n_tok * a->b_stride * sizeof(int16_t),
	    .nsum = n_tok * a->b_stride * 2 * sizeof(int16_t),
	    .pair = q32 ? 0 : n_tok * a->b_stride / 2 * sizeof(int16_t),
	};
}

size_t
llm_act_bytes(enum llm_act_kind kind, int n_col, int n_tok)
{
	if (kind == LLM_ACT_F32)
		return 0;
	struct llm_act a = {.kind = kind, .n_col = n_col, .n_tok = n_tok};
	struct act_shape n = act_shape(&a);
	return n.q + n.d + n.s + n.bsum + n.nsum + n.pair;
}

void
llm_act_init(struct llm_act *a, void *mem, enum llm_act_kind kind, int n_col, int n_tok,
    const float *x, size_t x_stride)
{
	*a = (struct llm_act){
	    .kind = kind,
	    .n_col = n_col,
	    .n_tok = n_tok,
	    .x = x,
	    .x_stride = x_stride,
	};
	if (kind == LLM_ACT_F32)
		return;
	assert(n_col > 0 && n_col % (kind == LLM_ACT_Q32 ? 32 : 256) == 0);
	struct act_shape n = act_shape(a);
	char *p = mem;
	a->q = (int8_t *)p;
	a->d = (float *)(p += n.q);
	a->s = (float *)(p += n.d);
	a->bsum = (int16_t *)(p += n.s);
	a->nsum = (int16_t *)(p += n.bsum);
	a->pair = (int16_t *)(p + n.nsum);
}

struct llm_act
llm_act_part(const struct llm_act *a, int t0, int t1)
{
	struct llm_act part = *a;
	size_t t = (size_t)t0;
	part.n_tok = t1 - t0;
	part.x += t * a->x_stride;
	if (a->kind == LLM_ACT_F32)
		return part;
	part.q += t * a->q_stride;
	part.d += t * a->d_stride;
	part.s += t * a->d_stride;
	part.bsum += t * a->b_stride;
	part.nsum += t * a->b_stride * 2;
	part.pair += t * a->b_stride / 2;
	return part;
}
