/*
 * SPDX-License-Identifier: ISC
 *
 * The steps of attention in AVX2: a tile of sixteen lanes is two registers, and at most twelve hold
 * sums: six rows by one tile, three by two, one by four.  The walk over pages is
 * libcore/kernels/attention_pages.c.
 */
#include "libcore/kernels/attention_pages.h"

#include "libcore/kernels/x86/avx2/lanes.h"

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

/* Eight elements from index i of b on. */
INLINE __m256
load(const void *b, size_t i, enum llm_kv_type type)
{
	if (type == LLM_KV_F32)
		return _mm256_loadu_ps((const float *)b + i);
	if (type == LLM_KV_F16)
		return _mm256_cvtph_ps(
		    _mm_loadu_si128((const __m128i *)((const uint16_t *)b + i)));
	__m128i q = _mm_loadl_epi64((const __m128i *)((const int8_t *)b + i));
	return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q));
}

/* Half h of the tiles at index i of b. */
INLINE __m256
element(const void *b, size_t i, size_t tile, int h, enum llm_kv_type type)
{
	return load(b, (size_t)(h / 2) * tile + i + (size_t)(h % 2) * 8, type);
}

/* Chains of n_row rows and n_half halves of tiles, constants both: all sums stay in registers. */
INLINE void
chains(const struct llm_attention_chain *c, enum llm_kv_type type, int n_row, int n_half)
{
	__m256 sum[LLM_ATTENTION_ROWS][LLM_ATTENTION_TILES];
	const float *a[LLM_ATTENTION_ROWS];
	const size_t step = c->step, tile = c->tile;
	/* With few rows the loop waits for memory; with many it has no slots to spare. */
	const bool fetch = type != LLM_KV_F32 || n_row <= 4;
	const size_t bytes = (size_t)n_half * 8 * element_bytes(type);
	uintptr_t next = c->fetch != 0 ? c->fetch : (uintptr_t)c->b;
	const int n = (n_half - 2) * 8 + c->last;
#pragma GCC unroll 6
	for (int r = 0; r < n_row; r++) {
		a[r] = c->a[r];
#pragma GCC unroll 8
		for (int h = 0; h < n_half; h++) {
			sum[r][h] = c->fresh
					? _mm256_setzero_ps()
					: _mm256_mul_ps(load_some(c->out[r] + h * 8, n - h * 8),
					      _mm256_set1_ps(c->c[r]));
		}
	}
	for (size_t i = 0; i < (size_t)c->n; i++) {
		if (fetch) {
#pragma GCC unroll 4
			for (size_t k = 0; k < bytes; k += 64)
				_mm_prefetch((const char *)(next + k), _MM_HINT_T1);
			next += bytes;
		}
		/* Sixteen registers: of multipliers and elements, the fewer stay, the others pass. */
		if (n_row < n_half) {
			__m256 w[LLM_ATTENTION_ROWS];
#pragma GCC unroll 6
			for (int r = 0; r < n_row; r++)
				w[r] = _mm256_set1_ps(a[r][i]);
#pragma GCC unroll 8
			for (int h = 0; h < n_half; h++) {
				__m256 b = element(c->b, i * step, tile, h, type);
#pragma GCC unroll 6
				for (int r = 0; r < n_row; r++)
					sum[r][h] = _mm256_fmadd_ps(w[r], b, sum[r][h]);
			}
		} else {
			__m256 b[LLM_ATTENTION_TILES];
#pragma GCC unroll 8
			for (int h = 0; h < n_half; h++)
				b[h] = element(c->b, i * step, tile, h, type);
#pragma GCC unroll 6
			for (int r = 0; r < n_row; r++) {
				__m256 w = _mm256_set1_ps(a[r][i]);
#pragma GCC unroll 8
				for (int h = 0; h < n_half; h++)
					sum[r][h] = _mm256_fmadd_ps(w, b[h], sum[r][h]);
			}
		}
	}
#pragma GCC unroll 6
	for (int r = 0; r < n_row; r++) {
#pragma GCC unroll 8
		for (int h = 0; h < n_half; h++)
			store_some(c->out[r] + h * 8, n - h * 8, sum[r][h]);
	}
}

INLINE void
chains_of(const struct llm_attention_chain *c, enum llm_kv_type type, int n_row)
{
	if (n_row == 1 && c->n_tile == 4)
		chains(c, type, n_row, 8);
	else if (n_row <= 3 && c->n_tile == 2)
		chains(c, type, n_row, 4);
	else
		chains(c, type, n_row, 2);
}

#define ROWS(n, type)                                                      \
	static void rows_##n##_##type(const struct llm_attention_chain *c) \
	{                                                                  \
		chains_of(c, LLM_KV_##type, n);                            \
	}
#define ALL_ROWS(type) \
	ROWS(1, type)  \
	ROWS(2, type) ROWS(3, type) ROWS(4, type) ROWS(5, type) ROWS(6, type)
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

INLINE void
widen_as(float *x, size_t stride, const void *b, enum llm_kv_type type, int n)
{
	const size_t whole = (size_t)n / 16, rest = (size_t)n % 16;
	for (size_t k = 0; k < whole; k++) {
		_mm256_storeu_ps(x + k * stride, load(b, k * 16, type));
		_mm256_storeu_ps(x + k * stride + 8, load(b, k * 16 + 8, type));
	}
	if (rest > 0) {
		float copy[16] = {0}; /* wide enough for any type */
		memcpy(copy, (const char *)b + whole * 16 * element_bytes(type),
		    rest * element_bytes(type));
		_mm256_storeu_ps(x + whole * stride, load(copy, 0, type));
		_mm256_storeu_ps(x + whole * stride + 8, load(copy, 8, type));
	}
}

static void
widen(float *x, size_t stride, const void *b, enum llm_kv_type type, int n)
{
	if (type == LLM_KV_F16)
		widen_as(x, stride, b, LLM_KV_F16, n);
	else if (type == LLM_KV_F32)
		widen_as(x, stride, b, LLM_KV_F32, n);
	else
		widen_as(x, stride, b, LLM_KV_Q8_0, n);
}

/* Largest lane of each of four registers without NaN. */
INLINE __m128
max_of_four(const __m256 v[4])
{
	__m128 m[4];
	for (int r = 0; r < 4; r++)
		m[r] = _mm_max_ps(_mm256_castps256_ps128(v[r]), _mm256_extractf128_ps(v[r], 1));
	_MM_TRANSPOSE4_PS(m[0], m[1], m[2], m[3]);
	return _mm_max_ps(_mm_max_ps(m[0], m[1]), _mm_max_ps(m[2], m[3]));
}

/* lanes_tree of each of four pairs of registers. */
INLINE __m128
tree_of_four(__m256 v[4][2])
{
	__m128 a[4];
	for (int r = 0; r < 4; r++) {
		__m256 h = _mm256_add_ps(v[r][0], v[r][1]);
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
		__m256 top[4], total[4][2];
		float high[4];
#pragma GCC unroll 4
		for (int r = 0; r < 4; r++) {
			top[r] = _mm256_set1_ps(m[i + r]);
			total[r][0] = total[r][1] = _mm256_setzero_ps();
			/* Of a NaN and a number, max gives its second operand. */
			for (int t = 0; t < n[i + r]; t += 8) {
				__m256 more =
				    _mm256_max_ps(_mm256_loadu_ps(p[i + r] + t), top[r]);
				top[r] = _mm256_blendv_ps(
				    top[r], more, _mm256_castsi256_ps(lanes_of(n[i + r] - t)));
			}
		}
		_mm_storeu_ps(high, _mm_add_ps(max_of_four(top), _mm_setzero_ps()));
		for (int t = 0; t < LLM_KV_PAGE; t += 16) {
#pragma GCC unroll 8
			for (int r = 0; r < 8; r++) {
				float *at = p[i + r / 2] + t + r % 2 * 8;
				__m256i k = lanes_of(n[i + r / 2] - t - r % 2 * 8);
				__m256 s = _mm256_sub_ps(
				    _mm256_loadu_ps(at), _mm256_set1_ps(high[r / 2]));
				/* An absent lane gets +0, which leaves a sum as it is: none is -0. */
				s = _mm256_and_ps(_mm256_castsi256_ps(k), lanes_exp_below(s));
				_mm256_storeu_ps(at, s);
				total[r / 2][r % 2] = _mm256_add_ps(total[r / 2][r % 2], s);
			}
		}
		_mm_storeu_ps(m + i, _mm_loadu_ps(high));
		_mm_storeu_ps(sum + i, tree_of_four(total));
	}
}

static void
decay(float *c, const float *d, float *l, const float *sum, int n)
{
	for (int i = 0; i < n; i += 8) {
		int left = n - i;
		__m256 e = lanes_exp(load_some(d + i, left));
		store_some(c + i, left, e);
		e = _mm256_fmadd_ps(load_some(l + i, left), e, load_some(sum + i, left));
		store_some(l + i, left, e);
	}
}

static void
add_scaled(float *s, const float *d, const float *x, int n)
{
	for (int i = 0; i < n; i += 8)
		_mm256_storeu_ps(s + i, _mm256_fmadd_ps(_mm256_loadu_ps(d + i),
					    _mm256_loadu_ps(x + i), _mm256_loadu_ps(s + i)));
}

static void
weigh(float *y, const float *p, const float *d, int n)
{
	for (int i = 0; i < n; i += 8)
		_mm256_storeu_ps(
		    y + i, _mm256_mul_ps(_mm256_loadu_ps(p + i), _mm256_loadu_ps(d + i)));
}

static void
segment(const struct llm_attention *a, void *scratch)
{
	static const struct llm_attention_steps steps = {
	    .n_tile = {0, 4, 2, 2, 1, 1, 1},
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
	const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
	__m256i top = _mm256_setzero_si256();
	for (int i = 0; i < GROUP; i += 8)
		top = _mm256_max_epi32(top,
		    _mm256_and_si256(_mm256_castps_si256(_mm256_loadu_ps(x + i)), magnitude));
	/* Bits of magnitudes order as integers do, but a NaN among them must win: no lanes_max. */
	__m128i t =
	    _mm_max_epi32(_mm256_castsi256_si128(top), _mm256_extracti128_si256(top, 1));
	t = _mm_max_epi32(t, _mm_shuffle_epi32(t, 0x4e));
	t = _mm_max_epi32(t, _mm_shuffle_epi32(t, 0xb1));
	float amax = _mm_cvtss_f32(_mm_castsi128_ps(t));
	if (!(amax >= 0x1p-100f && amax < INFINITY)) {
		memset(q, 0, GROUP);
		return amax < 0x1p-100f ? 0 : 0x7e00; /* NaN: not finite stays so */
	}
	const __m256 id = _mm256_set1_ps(127.0f / amax);
	for (int i = 0; i < GROUP; i += 8) {
		/* To nearest even; at most 127.00001 before, so that no clamp is needed. */
		int32_t n[8];
		_mm256_storeu_si256((__m256i *)n,
		    _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + i), id)));
		for (int j = 0; j < 8; j++)
			q[i + j] = (int8_t)n[j];
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
	for (int i = 0; i < d_head; i += 8) {
		int left = d_head - i;
		uint16_t hk[8], hv[8];
		_mm_storeu_si128((__m128i *)hk, _mm256_cvtps_ph(load_some(k + i, left), 0));
		_mm_storeu_si128((__m128i *)hv, _mm256_cvtps_ph(load_some(v + i, left), 0));
		int n = left < 8 ? left : 8;
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

static void
merge(float *m, float *l, float *acc, float m_b, float l_b, const float *acc_b, int d_head)
{
	if (m_b == -INFINITY && l_b == 0)
		return;
	float top = *m > m_b ? *m : m_b;
	__m256 c_a = lanes_exp(_mm256_set1_ps(*m - top));
	__m256 c_b = lanes_exp(_mm256_set1_ps(m_b - top));
	*l = fmaf(l_b, _mm256_cvtss_f32(c_b), *l * _mm256_cvtss_f32(c_a));
	for (int i = 0; i < d_head; i += 8) {
		int left = d_head - i;
		__m256 y = _mm256_mul_ps(load_some(acc + i, left), c_a);
		y = _mm256_fmadd_ps(load_some(acc_b + i, left), c_b, y);
		store_some(acc + i, left, y);
	}
	*m = top;
}

static void
finish(float *y, const float *acc, float l, int d_head)
{
	for (int i = 0; i < d_head; i += 8) {
		int left = d_head - i;
		store_some(
		    y + i, left, _mm256_div_ps(load_some(acc + i, left), _mm256_set1_ps(l)));
	}
}

const struct llm_attention_kernels llm_attention_avx2 = {
    .store = store,
    .segment = segment,
    .merge = merge,
    .finish = finish,
};
