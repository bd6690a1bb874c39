/*
 * SPDX-License-Identifier: ISC
 *
 * The steps of attention in AVX-512: chains of six rows by four tiles in 24 registers, softmax by
 * sixteen positions.  The walk over pages is libcore/kernels/attention_pages.c.
 */
#include "libcore/kernels/attention_pages.h"

#include "libcore/kernels/x86/avx512/lanes.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { GROUP = 32 }; /* dims that share a scale in Q8_0 */

INLINE size_t
element_bytes(enum llm_kv_type type)
{
	return type == LLM_KV_F32 ? 4 : type == LLM_KV_F16 ? 2 : 1;
}

/* Sixteen elements from index i of b on. */
INLINE __m512
load(const void *b, size_t i, enum llm_kv_type type)
{
	if (type == LLM_KV_F32)
		return _mm512_loadu_ps((const float *)b + i);
	if (type == LLM_KV_F16)
		return _mm512_cvtph_ps(
		    _mm256_loadu_si256((const __m256i *)((const uint16_t *)b + i)));
	__m128i q = _mm_loadu_si128((const __m128i *)((const int8_t *)b + i));
	return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(q));
}

/* The chains of n_row rows and n_tile tiles, constants both: all sums stay in registers. */
INLINE void
chains(const struct llm_attention_chain *c, enum llm_kv_type type, int n_row, int n_tile)
{
	__m512 sum[LLM_ATTENTION_ROWS][LLM_ATTENTION_TILES];
	const float *a[LLM_ATTENTION_ROWS];
	const size_t step = c->step, tile = c->tile;
	const __mmask16 last = lanes_of(c->last);
	/* With few rows the loop waits for memory; with many it has no slots to spare. */
	const bool fetch = type != LLM_KV_F32 || n_row <= 4;
	const size_t bytes = (size_t)n_tile * 16 * element_bytes(type);
	uintptr_t next = c->fetch != 0 ? c->fetch : (uintptr_t)c->b;
#pragma GCC unroll 6
	for (int r = 0; r < n_row; r++) {
		a[r] = c->a[r];
#pragma GCC unroll 8
		for (int t = 0; t < n_tile; t++) {
			__mmask16 k = t == n_tile - 1 ? last : 0xffff;
			sum[r][t] = c->fresh ? _mm512_setzero_ps()
					     : _mm512_mul_ps(
						   _mm512_maskz_loadu_ps(k, c->out[r] + t * 16),
						   _mm512_set1_ps(c->c[r]));
		}
	}
	for (size_t i = 0; i < (size_t)c->n; i++) {
		__m512 b[LLM_ATTENTION_TILES];
#pragma GCC unroll 8
		for (int t = 0; t < n_tile; t++)
			b[t] = load(c->b, (size_t)t * tile + i * step, type);
		if (fetch) {
#pragma GCC unroll 4
			for (size_t k = 0; k < bytes; k += 64)
				_mm_prefetch((const char *)(next + k), _MM_HINT_T1);
			next += bytes;
		}
#pragma GCC unroll 6
		for (int r = 0; r < n_row; r++) {
			__m512 w = _mm512_set1_ps(a[r][i]);
#pragma GCC unroll 8
			for (int t = 0; t < n_tile; t++)
				sum[r][t] = _mm512_fmadd_ps(w, b[t], sum[r][t]);
		}
	}
#pragma GCC unroll 6
	for (int r = 0; r < n_row; r++) {
#pragma GCC unroll 8
		for (int t = 0; t < n_tile; t++)
			_mm512_mask_storeu_ps(
			    c->out[r] + t * 16, t == n_tile - 1 ? last : 0xffff, sum[r][t]);
	}
}

INLINE void
chains_of(const struct llm_attention_chain *c, enum llm_kv_type type, int n_row)
{
	if (c->n_tile == 4)
		chains(c, type, n_row, 4);
	else if (c->n_tile == 2)
		chains(c, type, n_row, 2);
	else
		chains(c, type, n_row, 1);
}

#define ROWS(n, type)                                                      \
	static void rows_##n##_##type(const struct llm_attention_chain *c) \
	{                                                                  \
		chains_of(c, LLM_KV_##type, n);                            \
	}
#define ALL_ROWS(type) \
	ROWS(1, type) ROWS(2, type) ROWS(3, type) ROWS(4, type) ROWS(5, type) ROWS(6, type)
ALL_ROWS(F16)
ALL_ROWS(F32)
ALL_ROWS(Q8_0)

static void
chain(const struct llm_attention_chain *c)
{
	static void (*const rows[][LLM_ATTENTION_ROWS])(const struct llm_attention_chain *) = {
#define ROW_OF(type)                                                                   \
	[LLM_KV_##type] = {rows_1_##type, rows_2_##type, rows_3_##type, rows_4_##type, \
	    rows_5_##type, rows_6_##type}
	    ROW_OF(F16),
	    ROW_OF(F32),
	    ROW_OF(Q8_0),
	};
	rows[c->type][c->n_row - 1](c);
}

static void
widen(float *x, size_t stride, const void *b, enum llm_kv_type type, int n)
{
	const size_t whole = (size_t)n / 16, rest = (size_t)n % 16;
	if (type == LLM_KV_F16) {
		for (size_t k = 0; k < whole; k++)
			_mm512_storeu_ps(x + k * stride, load(b, k * 16, LLM_KV_F16));
		if (rest > 0)
			_mm512_storeu_ps(x + whole * stride,
			    _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(
				lanes_of((int)rest), (const uint16_t *)b + whole * 16)));
	} else if (type == LLM_KV_F32) {
		for (size_t k = 0; k < whole; k++)
			_mm512_storeu_ps(x + k * stride, load(b, k * 16, LLM_KV_F32));
		if (rest > 0)
			_mm512_storeu_ps(
			    x + whole * stride, _mm512_maskz_loadu_ps(lanes_of((int)rest),
						    (const float *)b + whole * 16));
	} else {
		for (size_t k = 0; k < whole; k++)
			_mm512_storeu_ps(x + k * stride, load(b, k * 16, LLM_KV_Q8_0));
	}
}

/* Largest lane of each of four registers without NaN. */
INLINE __m128
max_of_four(const __m512 v[4])
{
	__m128 m[4];
	for (int r = 0; r < 4; r++) {
		__m256 h = _mm256_max_ps(
		    _mm512_castps512_ps256(v[r]), _mm512_extractf32x8_ps(v[r], 1));
		m[r] = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
	}
	_MM_TRANSPOSE4_PS(m[0], m[1], m[2], m[3]);
	return _mm_max_ps(_mm_max_ps(m[0], m[1]), _mm_max_ps(m[2], m[3]));
}

/* lanes_tree of each of four registers. */
INLINE __m128
tree_of_four(const __m512 v[4])
{
	__m128 a[4];
	for (int r = 0; r < 4; r++) {
		__m256 h = _mm256_add_ps(
		    _mm512_castps512_ps256(v[r]), _mm512_extractf32x8_ps(v[r], 1));
		a[r] = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
	}
	_MM_TRANSPOSE4_PS(a[0], a[1], a[2], a[3]);
	return _mm_add_ps(_mm_add_ps(a[0], a[2]), _mm_add_ps(a[1], a[3]));
}

/* Four rows at once, so that none waits for the other's sums. */
static void
soften(float (*p)[LLM_KV_PAGE], const int *n, float *m, float *sum, int n_row)
{
	for (int i = 0; i < n_row; i += 4) {
		__m512 top[4], total[4];
		float high[4];
#pragma GCC unroll 4
		for (int r = 0; r < 4; r++) {
			top[r] = _mm512_set1_ps(m[i + r]);
			total[r] = _mm512_setzero_ps();
			/* Of a NaN and a number, max gives its second operand. */
			for (int t = 0; t < n[i + r]; t += 16)
				top[r] = _mm512_mask_max_ps(top[r], lanes_of(n[i + r] - t),
				    _mm512_loadu_ps(p[i + r] + t), top[r]);
		}
		_mm_storeu_ps(high, _mm_add_ps(max_of_four(top), _mm_setzero_ps()));
		for (int t = 0; t < LLM_KV_PAGE; t += 16) {
#pragma GCC unroll 4
			for (int r = 0; r < 4; r++) {
				__mmask16 k = lanes_of(n[i + r] - t);
				__m512 s = _mm512_loadu_ps(p[i + r] + t);
				s = _mm512_sub_ps(s, _mm512_set1_ps(high[r]));
				s = _mm512_maskz_mov_ps(k, lanes_exp_below(s));
				_mm512_storeu_ps(p[i + r] + t, s);
				total[r] = _mm512_mask_add_ps(total[r], k, total[r], s);
			}
		}
		_mm_storeu_ps(m + i, _mm_loadu_ps(high));
		_mm_storeu_ps(sum + i, tree_of_four(total));
	}
}

static void
decay(float *c, const float *d, float *l, const float *sum, int n)
{
	for (int i = 0; i < n; i += 16) {
		__mmask16 k = lanes_of(n - i);
		__m512 e = lanes_exp(_mm512_maskz_loadu_ps(k, d + i));
		_mm512_mask_storeu_ps(c + i, k, e);
		e = _mm512_fmadd_ps(
		    _mm512_maskz_loadu_ps(k, l + i), e, _mm512_maskz_loadu_ps(k, sum + i));
		_mm512_mask_storeu_ps(l + i, k, e);
	}
}

static void
add_scaled(float *s, const float *d, const float *x, int n)
{
	for (int i = 0; i < n; i += 16)
		_mm512_storeu_ps(s + i, _mm512_fmadd_ps(_mm512_loadu_ps(d + i),
					    _mm512_loadu_ps(x + i), _mm512_loadu_ps(s + i)));
}

static void
weigh(float *y, const float *p, const float *d, int n)
{
	for (int i = 0; i < n; i += 16)
		_mm512_storeu_ps(
		    y + i, _mm512_mul_ps(_mm512_loadu_ps(p + i), _mm512_loadu_ps(d + i)));
}

static void
segment(const struct llm_attention *a, void *scratch)
{
	static const struct llm_attention_steps steps = {
	    .n_tile = {0, 4, 4, 4, 4, 4, 4},
	    .chain = chain,
	    .widen = widen,
	    .soften = soften,
	    .decay = decay,
	    .add_scaled = add_scaled,
	    .weigh = weigh,
	};
	llm_attention_pages(a, scratch, &steps);
}

/* Quantizes x[32] to q, in order; returns the scale as f16. */
static uint16_t
quantize(int8_t *q, const float *x)
{
	const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
	__m512 v[2] = {_mm512_loadu_ps(x), _mm512_loadu_ps(x + 16)};
	__m512i top = _mm512_max_epi32(_mm512_and_si512(_mm512_castps_si512(v[0]), magnitude),
	    _mm512_and_si512(_mm512_castps_si512(v[1]), magnitude));
	float amax =
	    _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(_mm512_reduce_max_epi32(top))));
	if (!(amax >= 0x1p-100f && amax < INFINITY)) {
		memset(q, 0, GROUP);
		return amax < 0x1p-100f ? 0 : 0x7e00; /* NaN: not finite stays so */
	}
	const __m512 id = _mm512_set1_ps(127.0f / amax);
	for (int i = 0; i < 2; i++) {
		__m512i n = _mm512_cvtps_epi32(_mm512_mul_ps(v[i], id)); /* to nearest even */
		n = _mm512_max_epi32(
		    _mm512_min_epi32(n, _mm512_set1_epi32(127)), _mm512_set1_epi32(-127));
		_mm_storeu_si128((__m128i *)(q + i * 16), _mm512_cvtepi32_epi8(n));
	}
	return (uint16_t)_mm_extract_epi16(_mm_cvtps_ph(_mm_set_ss(amax / 127.0f), 0), 0);
}

static void
store_q8_0(int8_t *slot, int d_head, int pos, const float *k, const float *v)
{
	const int n = LLM_KV_PAGE * d_head, n_group = d_head / GROUP;
	int8_t *kq = slot + pos / 16 * d_head * 16 + pos % 16;
	int8_t *vq = slot + n + n / GROUP * 2 + pos * d_head;
	uint16_t *kd = (uint16_t *)(slot + n) + pos;
	uint16_t *vd = (uint16_t *)(slot + 2 * n + n / GROUP * 2) + pos;
	for (int g = 0; g < n_group; g++) {
		int8_t q[GROUP];
		kd[g * LLM_KV_PAGE] = quantize(q, k + g * GROUP);
		for (int i = 0; i < GROUP; i++)
			kq[(g * GROUP + i) * 16] = q[i];
		vd[g * LLM_KV_PAGE] = quantize(vq + g * GROUP, v + g * GROUP);
	}
}

static void
store_f16(uint16_t *slot, int d_head, int pos, const float *k, const float *v)
{
	uint16_t *to_k = slot + pos / 16 * d_head * 16 + pos % 16;
	uint16_t *to_v = slot + (LLM_KV_PAGE + pos) * d_head;
	for (int i = 0; i < d_head; i += 16) {
		__mmask16 m = lanes_of(d_head - i);
		uint16_t h[16];
		_mm256_storeu_si256(
		    (__m256i *)h, _mm512_cvtps_ph(_mm512_maskz_loadu_ps(m, k + i), 0));
		for (int j = 0; j < 16 && i + j < d_head; j++)
			to_k[(i + j) * 16] = h[j];
		_mm256_mask_storeu_epi16(
		    to_v + i, m, _mm512_cvtps_ph(_mm512_maskz_loadu_ps(m, v + i), 0));
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

static void
merge(float *m, float *l, float *acc, float m_b, float l_b, const float *acc_b, int d_head)
{
	if (m_b == -INFINITY && l_b == 0)
		return;
	float top = *m > m_b ? *m : m_b;
	__m512 c_a = lanes_exp(_mm512_set1_ps(*m - top));
	__m512 c_b = lanes_exp(_mm512_set1_ps(m_b - top));
	*l = fmaf(l_b, _mm512_cvtss_f32(c_b), *l * _mm512_cvtss_f32(c_a));
	for (int i = 0; i < d_head; i += 16) {
		__mmask16 k = lanes_of(d_head - i);
		__m512 y = _mm512_mul_ps(_mm512_maskz_loadu_ps(k, acc + i), c_a);
		y = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(k, acc_b + i), c_b, y);
		_mm512_mask_storeu_ps(acc + i, k, y);
	}
	*m = top;
}

static void
finish(float *y, const float *acc, float l, int d_head)
{
	for (int i = 0; i < d_head; i += 16) {
		__mmask16 k = lanes_of(d_head - i);
		_mm512_mask_storeu_ps(y + i, k,
		    _mm512_div_ps(_mm512_maskz_loadu_ps(k, acc + i), _mm512_set1_ps(l)));
	}
}

const struct llm_attention_kernels llm_attention_avx512 = {
    .store = store,
    .segment = segment,
    .merge = merge,
    .finish = finish,
};
