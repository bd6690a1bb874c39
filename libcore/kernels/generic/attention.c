/*
 * SPDX-License-Identifier: ISC
 *
 * Attention as plain loops: the numeric contract in C, which every instruction set equals bit for
 * bit.  Page by page: keys to f32, scores and softmax of every query, values to f32, sums.
 */
#include "libcore/kernels/attention.h"

#include "libcore/dtype.h"
#include "libcore/fmath.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { GROUP = 32 }; /* dims that share a scale in Q8_0 */

/*
 * One half of a slot, keys or values, widened to f32 in its own order; a Q8_0 number keeps its
 * integer value, and its scale stands apart.  The whole is LLM_ATTENTION_SCRATCH.
 */
struct scratch {
	float x[LLM_KV_PAGE * LLM_ATTENTION_D_HEAD];
	float d[LLM_KV_PAGE * LLM_ATTENTION_D_HEAD / GROUP];
	float p[LLM_ATTENTION_QUERIES][LLM_KV_PAGE]; /* weights of the page's positions */
	float c[LLM_ATTENTION_QUERIES];              /* factor of what came before */
};
_Static_assert(sizeof(struct scratch) <= LLM_ATTENTION_SCRATCH, "scratch is too small");

static size_t
key_at(int d_head, int pos, int dim)
{
	return (size_t)(pos / 16 * d_head + dim) * 16 + (size_t)(pos % 16);
}

static size_t
value_at(int d_head, int pos, int dim)
{
	return (size_t)pos * (size_t)d_head + (size_t)dim;
}

/* Quantizes x[32] to q, which stand stride apart; returns the scale as f16. */
static uint16_t
quantize(int8_t *q, size_t stride, const float *x)
{
	uint32_t top = 0;
	for (int i = 0; i < GROUP; i++) {
		uint32_t bits;
		memcpy(&bits, &x[i], sizeof bits);
		bits &= 0x7fffffff;
		top = bits > top ? bits : top;
	}
	float amax;
	memcpy(&amax, &top, sizeof amax);
	if (!(amax >= 0x1p-100f && amax < INFINITY)) {
		for (size_t i = 0; i < GROUP; i++)
			q[i * stride] = 0;
		return amax < 0x1p-100f ? 0 : 0x7e00; /* NaN: not finite stays so */
	}
	float id = 127.0f / amax;
	for (size_t i = 0; i < GROUP; i++)
		q[i * stride] = (int8_t)fmaxf(-127.0f, fminf(127.0f, rintf(x[i] * id)));
	return llm_f32_to_f16(amax / 127.0f);
}

static void
store_q8_0(int8_t *slot, int d_head, int pos, const float *k, const float *v)
{
	int n = LLM_KV_PAGE * d_head, n_group = d_head / GROUP;
	int8_t *kq = slot, *vq = slot + n + n / GROUP * 2;
	uint16_t *kd = (uint16_t *)(kq + n), *vd = (uint16_t *)(vq + n);
	for (int g = 0; g < n_group; g++) {
		kd[g * LLM_KV_PAGE + pos] =
		    quantize(kq + key_at(d_head, pos, g * GROUP), 16, k + g * GROUP);
		vd[g * LLM_KV_PAGE + pos] =
		    quantize(vq + value_at(d_head, pos, g * GROUP), 1, v + g * GROUP);
	}
}

static void
store(void *slot, enum llm_kv_type type, int d_head, int pos, const float *k, const float *v)
{
	if (type == LLM_KV_Q8_0) {
		store_q8_0(slot, d_head, pos, k, v);
		return;
	}
	size_t values = (size_t)LLM_KV_PAGE * (size_t)d_head;
	for (int i = 0; i < d_head; i++) {
		size_t at_k = key_at(d_head, pos, i), at_v = values + value_at(d_head, pos, i);
		if (type == LLM_KV_F32) {
			((float *)slot)[at_k] = k[i];
			((float *)slot)[at_v] = v[i];
		} else {
			((uint16_t *)slot)[at_k] = llm_f32_to_f16(k[i]);
			((uint16_t *)slot)[at_v] = llm_f32_to_f16(v[i]);
		}
	}
}

/* Fills s->x and s->d with the keys (half 0) or values (half 1) of a slot. */
static void
widen(struct scratch *s, enum llm_kv_type type, int d_head, const void *slot, int half)
{
	size_t n = (size_t)LLM_KV_PAGE * (size_t)d_head;
	const void *from =
	    (const char *)slot + (size_t)half * llm_kv_slot_bytes(type, d_head) / 2;
	if (type == LLM_KV_F32) {
		memcpy(s->x, from, n * sizeof s->x[0]);
	} else if (type == LLM_KV_F16) {
		for (size_t i = 0; i < n; i++)
			s->x[i] = llm_f16_to_f32(((const uint16_t *)from)[i]);
	} else {
		const uint16_t *d = (const uint16_t *)((const int8_t *)from + n);
		for (size_t i = 0; i < n; i++)
			s->x[i] = ((const int8_t *)from)[i];
		for (size_t i = 0; i < n / GROUP; i++)
			s->d[i] = llm_f16_to_f32(d[i]);
	}
}

/* A score: one chain over dims from +0; in Q8_0 one over each group, and one over the groups. */
static float
score(const struct scratch *s, const struct llm_attention *a, const float *q, int pos)
{
	bool grouped = a->type == LLM_KV_Q8_0;
	int width = grouped ? GROUP : a->d_head;
	float total = 0;
	for (int g = 0; g < a->d_head / width; g++) {
		float chain = 0;
		for (int i = g * width; i < (g + 1) * width; i++)
			chain = fmaf(q[i], s->x[key_at(a->d_head, pos, i)], chain);
		total = grouped ? fmaf(s->d[g * LLM_KV_PAGE + pos], chain, total) : chain;
	}
	return total;
}

/*
 * Query i meets the n positions of a page: m' = max(m, scores), c = exp(m - m'),
 * p = exp(s - m'), l = l c + p summed in sixteen lanes by position.
 */
static void
soften(struct scratch *s, const struct llm_attention *a, int i, int n)
{
	float *p = s->p[i], lane[16] = {0}, m = a->m[i];
	for (int j = 0; j < n; j++) {
		p[j] = score(s, a, a->q + (size_t)i * (size_t)a->d_head, j);
		if (p[j] > m)
			m = p[j];
	}
	m += 0.0f; /* a zero is +0, whatever the order of the comparisons */
	for (int j = 0; j < n; j++) {
		p[j] = llm_expf(p[j] - m);
		lane[j % 16] += p[j];
	}
	for (int half = 8; half >= 1; half /= 2) {
		for (int j = 0; j < half; j++)
			lane[j] += lane[j + half];
	}
	s->c[i] = llm_expf(a->m[i] - m);
	a->l[i] = fmaf(a->l[i], s->c[i], lane[0]);
	a->m[i] = m;
}

/* acc = acc c, then acc = fma(p, v, acc) over the n positions in order; in Q8_0 p is p d. */
static void
accumulate(const struct scratch *s, const struct llm_attention *a, int i, int n)
{
	float *acc = a->acc + (size_t)i * (size_t)a->d_head;
	for (int k = 0; k < a->d_head; k++)
		acc[k] *= s->c[i];
	for (int j = 0; j < n; j++) {
		for (int k = 0; k < a->d_head; k++) {
			float p = s->p[i][j];
			if (a->type == LLM_KV_Q8_0)
				p *= s->d[k / GROUP * LLM_KV_PAGE + j];
			acc[k] = fmaf(p, s->x[value_at(a->d_head, j, k)], acc[k]);
		}
	}
}

/* Positions of page that query i sees. */
static int
seen(const struct llm_attention *a, int i, int page)
{
	int n = a->n_pos[i] - page * LLM_KV_PAGE;
	return n < LLM_KV_PAGE ? n : LLM_KV_PAGE;
}

static void
segment(const struct llm_attention *a, void *scratch)
{
	struct scratch *s = scratch;
	int n_pos = 0;
	for (int i = 0; i < a->n_q; i++) {
		a->m[i] = -INFINITY;
		a->l[i] = 0;
		n_pos = a->n_pos[i] > n_pos ? a->n_pos[i] : n_pos;
	}
	memset(a->acc, 0, (size_t)a->n_q * (size_t)a->d_head * sizeof a->acc[0]);
	for (int page = 0; page * LLM_KV_PAGE < n_pos; page++) {
		widen(s, a->type, a->d_head, a->slot[page], 0);
		for (int i = 0; i < a->n_q; i++) {
			if (seen(a, i, page) > 0)
				soften(s, a, i, seen(a, i, page));
		}
		widen(s, a->type, a->d_head, a->slot[page], 1);
		for (int i = 0; i < a->n_q; i++) {
			if (seen(a, i, page) > 0)
				accumulate(s, a, i, seen(a, i, page));
		}
	}
}

static void
merge(float *m, float *l, float *acc, float m_b, float l_b, const float *acc_b, int d_head)
{
	if (m_b == -INFINITY && l_b == 0)
		return;
	float top = *m > m_b ? *m : m_b;
	float c_a = llm_expf(*m - top), c_b = llm_expf(m_b - top);
	*l = fmaf(l_b, c_b, *l * c_a);
	for (int k = 0; k < d_head; k++)
		acc[k] = fmaf(acc_b[k], c_b, acc[k] * c_a);
	*m = top;
}

static void
finish(float *y, const float *acc, float l, int d_head)
{
	for (int k = 0; k < d_head; k++)
		y[k] = acc[k] / l;
}

const struct llm_attention_kernels llm_attention_generic = {
    .store = store,
    .segment = segment,
    .merge = merge,
    .finish = finish,
};
