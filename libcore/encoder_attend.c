/*
 * SPDX-License-Identifier: ISC
 *
 * An encoder's attention: every token of a text sees all of it, both ways.  An item of work is one head of
 * one text: its keys and values go to slots of the thread's own, which stay in the nearest caches, and its
 * queries sweep them.  Blocks, segments and folds are the decoder's (NUMERICS), with positions of f32.
 */
#include "libcore/encoder_pass.h"

#include "libcore/size.h"

#include <math.h>
#include <string.h>

enum { QUERIES = LLM_ATTENTION_QUERIES, SLOTS = LLM_KV_SEGMENT / LLM_KV_PAGE };

/* A thread's own, placed in its scratch. */
struct room {
	void *kernel;          /* LLM_ATTENTION_SCRATCH bytes */
	float *q;              /* [QUERIES][d_head] with bias, scaled */
	float *m, *l, *acc;    /* [QUERIES], acc by d_head: the fold so far */
	float *pm, *pl, *pacc; /* a segment not yet folded */
	float *kb, *vb;        /* [d_head] a key and a value with their biases */
	char *slot;            /* [ceil(n_ctx / 64)][slot_bytes] */
	size_t slot_bytes;
};

/* Places a room at base, or counts its bytes where base is NULL. */
static size_t
room_layout(struct room *r, char *base, const struct llm_encoder_config *c)
{
	size_t d = (size_t)c->d_head, used = 0, bytes;
	size_t n_slot = ((size_t)c->n_ctx + LLM_KV_PAGE - 1) / LLM_KV_PAGE;
	float **part[] = {
	    &r->q, &r->acc, &r->pacc, &r->m, &r->l, &r->pm, &r->pl, &r->kb, &r->vb};
	r->slot_bytes = llm_kv_slot_bytes(LLM_KV_F32, c->d_head);
	r->kernel = base;
	used += LLM_ATTENTION_SCRATCH;
	for (size_t i = 0; i < sizeof part / sizeof part[0]; i++) {
		*part[i] = base == NULL ? NULL : (float *)(void *)(base + used);
		size_t n = i < 3 ? QUERIES * d : i < 7 ? QUERIES : d;
		used += (n * sizeof(float) + 63) / 64 * 64;
	}
	r->slot = base == NULL ? NULL : base + used;
	if (!llm_size_mul(&bytes, n_slot, r->slot_bytes) || !llm_size_add(&used, used, bytes))
		return 0;
	return used;
}

size_t
llm_encoder_attend_bytes(const struct llm_encoder_config *c)
{
	struct room r;
	return room_layout(&r, NULL, c);
}

struct attend {
	struct llm_encoding *p;
	const struct llm_encoder_layer *w;
};

static void
store_all(const struct attend *a, struct room *r, const struct llm_encoder_run *run, int head)
{
	const struct llm_encoding *p = a->p;
	const struct llm_vector_kernels *vec = p->kernels->vector;
	int d = p->encoder->config.d_head;
	size_t n_embd = (size_t)p->encoder->config.n_embd;
	size_t at = (size_t)run->row0 * n_embd + (size_t)(head * d);
	const float *bk = a->w->k.b + head * d, *bv = a->w->v.b + head * d;
	for (int i = 0; i < run->n; i++, at += n_embd) {
		memcpy(r->kb, p->k + at, (size_t)d * sizeof(float));
		memcpy(r->vb, p->v + at, (size_t)d * sizeof(float));
		vec->add(r->kb, bk, d);
		vec->add(r->vb, bv, d);
		p->kernels->attention->store(
		    r->slot + (size_t)(i / LLM_KV_PAGE) * r->slot_bytes, LLM_KV_F32, d,
		    i % LLM_KV_PAGE, r->kb, r->vb);
	}
}

/* Queries [i0, i0 + n) of a text; their results take their place. */
static void
queries_run(const struct attend *a, struct room *r, const struct llm_encoder_run *run, int head,
    int i0, int n)
{
	const struct llm_encoding *p = a->p;
	const struct llm_attention_kernels *kernel = p->kernels->attention;
	int d = p->encoder->config.d_head, n_pos[QUERIES];
	size_t n_embd = (size_t)p->encoder->config.n_embd;
	float scale = (float)(1.0 / sqrt((double)d));
	float *at = p->q + (size_t)(run->row0 + i0) * n_embd + (size_t)(head * d);
	for (int i = 0; i < n; i++) {
		float *q = r->q + i * d;
		memcpy(q, at + (size_t)i * n_embd, (size_t)d * sizeof(float));
		p->kernels->vector->add(q, a->w->q.b + head * d, d);
		p->kernels->vector->scale(q, scale, d);
	}
	for (int from = 0; from < run->n; from += LLM_KV_SEGMENT) {
		const void *slot[SLOTS];
		int seen = run->n - from < LLM_KV_SEGMENT ? run->n - from : LLM_KV_SEGMENT;
		for (int i = 0; i * LLM_KV_PAGE < seen; i++)
			slot[i] = r->slot + (size_t)(from / LLM_KV_PAGE + i) * r->slot_bytes;
		for (int i = 0; i < n; i++)
			n_pos[i] = seen;
		struct llm_attention call = {.type = LLM_KV_F32,
		    .d_head = d,
		    .n_q = n,
		    .q = r->q,
		    .n_pos = n_pos,
		    .slot = slot,
		    .m = from == 0 ? r->m : r->pm,
		    .l = from == 0 ? r->l : r->pl,
		    .acc = from == 0 ? r->acc : r->pacc};
		kernel->segment(&call, r->kernel);
		for (int i = 0; i < n && from > 0; i++)
			kernel->merge(&r->m[i], &r->l[i], r->acc + i * d, r->pm[i], r->pl[i],
			    r->pacc + i * d, d);
	}
	for (int i = 0; i < n; i++)
		kernel->finish(at + (size_t)i * n_embd, r->acc + i * d, r->l[i], d);
}

/* Items go by text, then head. */
static void
items_work(void *arg, int begin, int end, int thread)
{
	const struct attend *a = arg;
	const struct llm_encoder_config *c = &a->p->encoder->config;
	struct room r;
	room_layout(&r, (char *)llm_encoding_scratch(a->p, thread) + LLM_PRODUCT_SCRATCH, c);
	for (int item = begin; item < end; item++) {
		const struct llm_encoder_run *run = &a->p->run[item / c->n_head];
		int head = item % c->n_head;
		store_all(a, &r, run, head);
		for (int i = 0; i < run->n; i += QUERIES)
			queries_run(
			    a, &r, run, head, i, run->n - i < QUERIES ? run->n - i : QUERIES);
	}
}

void
llm_encoder_attend(struct llm_encoding *p, const struct llm_encoder_layer *w)
{
	struct attend a = {p, w};
	llm_pool_run(p->pool, items_work, &a, p->n_run * p->encoder->config.n_head, 1);
}
