/*
 * SPDX-License-Identifier: ISC
 *
 * The steps of attention, whatever the width of a register: text that avx2/attention.c and
 * avx512/attention.c include after they have said what a vector of WIDTH lanes is.  The walk over
 * pages is libcore/kernels/attention_pages.c.  What the including file gives:
 *	WIDTH, vec, mask	lanes, a register of them, which of them
 *	vec_load vec_store vec_load_some vec_store_some vec_zero vec_set vec_add vec_sub vec_mul
 *	vec_div vec_fma		the obvious; _some: the first n lanes, zeros past them
 *	vec_f16 vec_int8	WIDTH numbers of these types, widened
 *	vec_max_some(k, x, m)	where k, the larger of x and m, and m where x is NaN; else m
 *	vec_keep(k, x)		x where k, else +0
 *	vec_fold_max, vec_fold_sum	sixteen lanes as four: the largest; a[i] + a[i+8], then + 4
 *	lanes_of, lanes_exp_below	of lanes.h
 *	vec_to_f16(h, x)	WIDTH numbers to f16
 *	vec_quantize(q, x)	WIDTH numbers to the nearest int8, not past +-127
 *	VEC_CHAINS		the chains of a set's steps.n_tile that are not one tile wide
 */
#include "libcore/kernels/attention_pages.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum {
	GROUP = LLM_ATTENTION_GROUP,
	ROWS = LLM_ATTENTION_ROWS,
	PAGE = LLM_KV_PAGE,
	VECS = LLM_ATTENTION_TILES * 16 / WIDTH, /* of the widest chain */
	LINE = 64,                               /* bytes of a cache line */
};

INLINE size_t
element_bytes(enum llm_kv_type type)
{
	return type == LLM_KV_F32 ? 4 : type == LLM_KV_F16 ? 2 : 1;
}

/* WIDTH elements from index i of b on. */
INLINE vec
element(const void *b, size_t i, enum llm_kv_type type)
{
	if (type == LLM_KV_F32)
		return vec_load((const float *)b + i);
	if (type == LLM_KV_F16)
		return vec_f16((const uint16_t *)b + i);
	return vec_int8((const int8_t *)b + i);
}

/* Products: chains of n_row rows and n_vec registers, constants both, so that all sums stay in them. */

/* What a chain's loop walks over. */
struct steps_of {
	const void *b;
	const float *a[LLM_ATTENTION_ROWS];
	size_t step, tile, pair;
	uintptr_t fetch;
};

INLINE vec
element_of(const struct steps_of *s, size_t i, int v, enum llm_kv_type type)
{
	size_t lane = (size_t)v * WIDTH;
	return element(s->b, lane / 16 * s->tile + i * s->step + lane % 16, type);
}

/* The multiplier of row r and register v at step i. */
INLINE vec
multiplier(const struct steps_of *s, size_t i, int r, int v, bool paired)
{
	return vec_set(s->a[r][i + (paired ? (size_t)(v * WIDTH / 32) * s->pair : 0)]);
}

/* Steps [i, end) of the chains. */
INLINE void
chains_go(vec sum[ROWS][VECS], const struct steps_of *s, size_t i, size_t end,
    enum llm_kv_type type, int n_row, int n_vec, bool paired)
{
	const size_t bytes = (size_t)n_vec * WIDTH * element_bytes(type);
	/* With few rows the loop waits for memory; with many it has no slots to spare. */
	const bool fetch = type != LLM_KV_F32 || n_row <= 4;
	for (; i < end; i++) {
		if (fetch && (bytes >= LINE || i * bytes % LINE == 0)) {
#pragma GCC unroll 4
			for (size_t k = 0; k < bytes; k += LINE)
				_mm_prefetch(
				    (const char *)(s->fetch + i * bytes + k), _MM_HINT_T0);
		}
		/* Of multipliers and elements, the fewer stay in registers, the others pass. */
		if (n_row < n_vec && WIDTH < 16) {
			vec w[ROWS];
#pragma GCC unroll 6
			for (int r = 0; r < n_row; r++)
				w[r] = multiplier(s, i, r, 0, false);
#pragma GCC unroll 8
			for (int v = 0; v < n_vec; v++) {
				vec b = element_of(s, i, v, type);
#pragma GCC unroll 6
				for (int r = 0; r < n_row; r++) {
					vec m = !paired || v * WIDTH < 32
						    ? w[r]
						    : multiplier(s, i, r, v, paired);
					sum[r][v] = vec_fma(m, b, sum[r][v]);
				}
			}
		} else {
			vec b[VECS];
#pragma GCC unroll 8
			for (int v = 0; v < n_vec; v++)
				b[v] = element_of(s, i, v, type);
#pragma GCC unroll 6
			for (int r = 0; r < n_row; r++) {
				vec w = multiplier(s, i, r, 0, false);
#pragma GCC unroll 8
				for (int v = 0; v < n_vec; v++) {
					if (paired && v > 0 && v * WIDTH % 32 == 0)
						w = multiplier(s, i, r, v, paired);
					sum[r][v] = vec_fma(w, b[v], sum[r][v]);
				}
			}
		}
	}
}

INLINE void
chains(const struct llm_attention_chain *c, enum llm_kv_type type, bool scaled, int n_row,
    int n_vec, bool paired)
{
	struct steps_of s = {c->b, {0}, c->step, c->tile, c->pair, c->fetch};
	vec sum[ROWS][VECS];
	const int last = (n_vec * WIDTH - 16) + c->last; /* lanes in all */
	if (s.fetch == 0)
		s.fetch = (uintptr_t)c->b;
#pragma GCC unroll 6
	for (int r = 0; r < n_row; r++)
		s.a[r] = c->a[r];
	if (scaled) {
		const uint16_t *scale = c->scale;
		for (int g = 0; g < c->n; g += GROUP, scale += PAGE) {
#pragma GCC unroll 6
			for (int r = 0; r < n_row; r++)
#pragma GCC unroll 8
				for (int v = 0; v < n_vec; v++)
					sum[r][v] = vec_zero();
			chains_go(sum, &s, (size_t)g, (size_t)(g + GROUP), type, n_row, n_vec,
			    paired);
#pragma GCC unroll 8
			for (int v = 0; v < n_vec; v++) {
				vec d = vec_f16(scale + v * WIDTH);
#pragma GCC unroll 6
				for (int r = 0; r < n_row; r++) {
					float *out = c->out[r] + v * WIDTH;
					vec before = g == 0 ? vec_zero() : vec_load(out);
					vec_store(out, vec_fma(d, sum[r][v], before));
				}
			}
		}
		return;
	}
#pragma GCC unroll 6
	for (int r = 0; r < n_row; r++)
#pragma GCC unroll 8
		for (int v = 0; v < n_vec; v++)
			sum[r][v] = c->kind == LLM_CHAIN_FRESH
					? vec_zero()
					: vec_mul(vec_load_some(
						      c->out[r] + v * WIDTH, last - v * WIDTH),
					      vec_set(c->c[r]));
	chains_go(sum, &s, 0, (size_t)c->n, type, n_row, n_vec, paired);
#pragma GCC unroll 6
	for (int r = 0; r < n_row; r++)
#pragma GCC unroll 8
		for (int v = 0; v < n_vec; v++)
			vec_store_some(c->out[r] + v * WIDTH, last - v * WIDTH, sum[r][v]);
}

INLINE void
chains_of(const struct llm_attention_chain *c, enum llm_kv_type type, bool scaled, int n_row)
{
	if (VEC_TILES(n_row) == 4 && c->n_tile == 4 && (scaled || c->pair == 0))
		chains(c, type, scaled, n_row, 4 * 16 / WIDTH, false);
	else if (VEC_TILES(n_row) == 4 && c->n_tile == 4)
		chains(c, type, scaled, n_row, 4 * 16 / WIDTH, true);
	else if (VEC_TILES(n_row) >= 2 && c->n_tile == 2)
		chains(c, type, scaled, n_row, 2 * 16 / WIDTH, false);
	else
		chains(c, type, scaled, n_row, 16 / WIDTH, false);
}

#define ROW(n, name, type, scaled)                                         \
	static void rows_##n##_##name(const struct llm_attention_chain *c) \
	{                                                                  \
		chains_of(c, type, scaled, n);                             \
	}
#define ALL_ROWS(name, type, scaled) \
	ROW(1, name, type, scaled)   \
	ROW(2, name, type, scaled)   \
	ROW(3, name, type, scaled)   \
	ROW(4, name, type, scaled)   \
	ROW(5, name, type, scaled)   \
	ROW(6, name, type, scaled)
ALL_ROWS(f16, LLM_KV_F16, false)
ALL_ROWS(f32, LLM_KV_F32, false)
ALL_ROWS(int8, LLM_KV_Q8_0, false)
ALL_ROWS(f32_scaled, LLM_KV_F32, true)
ALL_ROWS(int8_scaled, LLM_KV_Q8_0, true)

static void
chain(const struct llm_attention_chain *c)
{
#define ROWS_OF(name)                                                                      \
	{                                                                                  \
		rows_1_##name, rows_2_##name, rows_3_##name, rows_4_##name, rows_5_##name, \
		    rows_6_##name                                                          \
	}
	static void (*const rows[2][3][ROWS])(const struct llm_attention_chain *) = {
	    {[LLM_KV_F16] = ROWS_OF(f16),
		[LLM_KV_F32] = ROWS_OF(f32),
		[LLM_KV_Q8_0] = ROWS_OF(int8)},
	    {[LLM_KV_F32] = ROWS_OF(f32_scaled), [LLM_KV_Q8_0] = ROWS_OF(int8_scaled)},
	};
	rows[c->kind == LLM_CHAIN_SCALED][c->type][c->n_row - 1](c);
}

/* Widening. */

INLINE void
widen_as(const struct llm_attention_widening *w, enum llm_kv_type type)
{
	const size_t whole = (size_t)w->width / 16, rest = (size_t)w->width % 16;
	const size_t row_bytes = (size_t)w->width * element_bytes(type);
	for (int r = 0; r < w->n_row; r++) {
		const char *b = (const char *)w->b + (size_t)r * row_bytes;
		float *x = w->x + (size_t)r * w->row;
		for (size_t t = 0; t < whole; t++)
#pragma GCC unroll 2
			for (size_t i = 0; i < 16; i += WIDTH)
				vec_store(x + t * w->tile + i, element(b, t * 16 + i, type));
		if (rest > 0) {
			float copy[16] = {0}; /* wide enough for any type */
			memcpy(copy, b + row_bytes - rest * element_bytes(type),
			    rest * element_bytes(type));
			for (size_t i = 0; i < 16; i += WIDTH)
				vec_store(x + whole * w->tile + i, element(copy, i, type));
		}
	}
}

static void
widen(const struct llm_attention_widening *w)
{
	if (w->type == LLM_KV_F16)
		widen_as(w, LLM_KV_F16);
	else if (w->type == LLM_KV_F32)
		widen_as(w, LLM_KV_F32);
	else
		widen_as(w, LLM_KV_Q8_0);
}

/* Softmax. */

/* Rows [i, i + n_row), a constant of at most 4, together, so that none waits for another's sums. */
INLINE void
soften_rows(const struct llm_attention_softmax *s, int i, int n_row, bool whole)
{
	float old[4] = {0}, high[4], l[4] = {0};
	__m128 top[4], total[4];
	for (int r = 0; r < 4; r++)
		top[r] = total[r] = _mm_setzero_ps();
#pragma GCC unroll 4
	for (int r = 0; r < n_row; r++) {
		old[r] = s->m[i + r];
		l[r] = s->l[i + r];
		vec m = vec_set(old[r]);
#pragma GCC unroll 8
		for (int j = 0; j < PAGE; j += WIDTH) {
			vec x = vec_load(s->p[i + r] + j);
			m = whole ? vec_max(x, m)
				  : vec_max_some(lanes_of(s->n[i + r] - j), x, m);
		}
		top[r] = vec_fold_max(m);
	}
	_MM_TRANSPOSE4_PS(top[0], top[1], top[2], top[3]);
	top[0] = _mm_max_ps(_mm_max_ps(top[0], top[1]), _mm_max_ps(top[2], top[3]));
	top[0] = _mm_add_ps(top[0], _mm_setzero_ps()); /* a zero is +0 */
	_mm_storeu_ps(high, top[0]);
#pragma GCC unroll 4
	for (int r = 0; r < n_row; r++) {
		const vec m = vec_set(high[r]);
		vec lane[16 / WIDTH];
#pragma GCC unroll 8
		for (int j = 0; j < PAGE; j += WIDTH) {
			float *at = s->p[i + r] + j;
			vec p = lanes_exp_below(vec_sub(vec_load(at), m));
			/* An absent lane gets +0, which leaves a sum as it is: none is -0. */
			if (!whole)
				p = vec_keep(lanes_of(s->n[i + r] - j), p);
			vec_store(at, p);
			vec *sum = &lane[j / WIDTH % (16 / WIDTH)];
			*sum = j < 16 ? p : vec_add(*sum, p);
		}
		total[r] = vec_fold_sum(lane);
	}
	_MM_TRANSPOSE4_PS(total[0], total[1], total[2], total[3]);
	total[0] = _mm_add_ps(_mm_add_ps(total[0], total[2]), _mm_add_ps(total[1], total[3]));
	float c[4];
	_mm_storeu_ps(c, vec_exp4(_mm_sub_ps(_mm_loadu_ps(old), top[0])));
	_mm_storeu_ps(l, _mm_fmadd_ps(_mm_loadu_ps(l), _mm_loadu_ps(c), total[0]));
#pragma GCC unroll 4
	for (int r = 0; r < n_row; r++) {
		s->m[i + r] = high[r];
		s->l[i + r] = l[r];
		s->c[i + r] = c[r];
	}
}

INLINE void
soften_as(const struct llm_attention_softmax *s, bool whole)
{
	int i = 0;
	for (; i + 4 <= s->n_row; i += 4)
		soften_rows(s, i, 4, whole);
	if (s->n_row - i == 3)
		soften_rows(s, i, 3, whole);
	else if (s->n_row - i == 2)
		soften_rows(s, i, 2, whole);
	else if (s->n_row - i == 1)
		soften_rows(s, i, 1, whole);
}

static void
soften(const struct llm_attention_softmax *s)
{
	if (s->n == NULL)
		soften_as(s, true);
	else
		soften_as(s, false);
}

static void
weigh(float *y, const float *p, const uint16_t *d)
{
#pragma GCC unroll 8
	for (int j = 0; j < PAGE; j += WIDTH)
		vec_store(y + j, vec_mul(vec_load(p + j), vec_f16(d + j)));
}

static void
segment(const struct llm_attention *a, void *scratch)
{
	static const struct llm_attention_steps steps = {
	    .n_tile = {0, VEC_TILES(1), VEC_TILES(2), VEC_TILES(3), VEC_TILES(4), VEC_TILES(5),
		VEC_TILES(6)},
	    .chain = chain,
	    .widen = widen,
	    .soften = soften,
	    .weigh = weigh,
	};
	llm_attention_pages(a, scratch, &steps);
}

/* Storing. */

/* Quantizes x[32] to q, in order; returns the scale as f16. */
static uint16_t
quantize(int8_t *q, const float *x)
{
	const __m128i magnitude = _mm_set1_epi32(0x7fffffff);
	__m128i top = _mm_setzero_si128();
	/* Bits of magnitudes order as integers do, and a NaN among them wins. */
	for (int i = 0; i < GROUP; i += 4)
		top = _mm_max_epi32(
		    top, _mm_and_si128(_mm_castps_si128(_mm_loadu_ps(x + i)), magnitude));
	top = _mm_max_epi32(top, _mm_shuffle_epi32(top, 0x4e));
	top = _mm_max_epi32(top, _mm_shuffle_epi32(top, 0xb1));
	float amax = _mm_cvtss_f32(_mm_castsi128_ps(top));
	if (!(amax >= 0x1p-100f && amax < INFINITY)) {
		memset(q, 0, GROUP);
		return amax < 0x1p-100f ? 0 : 0x7e00; /* NaN: not finite stays so */
	}
	const vec id = vec_set(127.0f / amax);
	for (int i = 0; i < GROUP; i += WIDTH)
		vec_quantize(q + i, vec_mul(vec_load(x + i), id));
	return (uint16_t)_mm_extract_epi16(_mm_cvtps_ph(_mm_set_ss(amax / 127.0f), 0), 0);
}

static void
store_q8_0(int8_t *slot, int d_head, int pos, const float *k, const float *v)
{
	const int n = PAGE * d_head, n_group = d_head / GROUP;
	int8_t *kq = slot + pos / 16 * d_head * 16 + pos % 16;
	int8_t *vq = slot + n + n / GROUP * 2 + pos * d_head;
	uint16_t *kd = (uint16_t *)(slot + n) + pos;
	uint16_t *vd = (uint16_t *)(slot + 2 * n + n / GROUP * 2) + pos;
	for (int g = 0; g < n_group; g++) {
		int8_t q[GROUP];
		kd[g * PAGE] = quantize(q, k + g * GROUP);
		for (int i = 0; i < GROUP; i++)
			kq[(g * GROUP + i) * 16] = q[i];
		vd[g * PAGE] = quantize(vq + g * GROUP, v + g * GROUP);
	}
}

static void
store_f16(uint16_t *slot, int d_head, int pos, const float *k, const float *v)
{
	uint16_t *to_k = slot + pos / 16 * d_head * 16 + pos % 16;
	uint16_t *to_v = slot + (PAGE + pos) * d_head;
	for (int i = 0; i < d_head; i += WIDTH) {
		int left = d_head - i, n = left < WIDTH ? left : WIDTH;
		uint16_t hk[WIDTH], hv[WIDTH];
		vec_to_f16(hk, vec_load_some(k + i, left));
		vec_to_f16(hv, vec_load_some(v + i, left));
		for (int j = 0; j < n; j++)
			to_k[(i + j) * 16] = hk[j];
		memcpy(to_v + i, hv, (size_t)n * sizeof hv[0]);
	}
}

static void
store(void *slot, enum llm_kv_type type, int d_head, int pos, const float *k, const float *v)
{
	if (type == LLM_KV_F16)
		store_f16(slot, d_head, pos, k, v);
	else if (type == LLM_KV_Q8_0)
		store_q8_0(slot, d_head, pos, k, v);
	else
		llm_attention_generic.store(slot, type, d_head, pos, k, v);
}

/* What becomes of a segment. */

static void
merge(float *m, float *l, float *acc, float m_b, float l_b, const float *acc_b, int d_head)
{
	if (m_b == -INFINITY && l_b == 0)
		return;
	float top = *m > m_b ? *m : m_b, c[4];
	_mm_storeu_ps(c, vec_exp4(_mm_setr_ps(*m - top, m_b - top, 0, 0)));
	const vec c_a = vec_set(c[0]), c_b = vec_set(c[1]);
	*l = fmaf(l_b, c[1], *l * c[0]);
	for (int i = 0; i < d_head; i += WIDTH) {
		int left = d_head - i;
		vec y = vec_mul(vec_load_some(acc + i, left), c_a);
		y = vec_fma(vec_load_some(acc_b + i, left), c_b, y);
		vec_store_some(acc + i, left, y);
	}
	*m = top;
}

static void
finish(float *y, const float *acc, float l, int d_head)
{
	for (int i = 0; i < d_head; i += WIDTH) {
		int left = d_head - i;
		vec_store_some(y + i, left, vec_div(vec_load_some(acc + i, left), vec_set(l)));
	}
}

#define LLM_ATTENTION_KERNELS                                                        \
	{                                                                            \
		.store = store, .segment = segment, .merge = merge, .finish = finish \
	}
