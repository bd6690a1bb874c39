/*
 * SPDX-License-Identifier: ISC
 *
 * The steps of attention in AVX-512: a tile of sixteen lanes is one register, and 24 hold the sums
 * of six rows by four tiles.
 */
#include "libcore/kernels/x86/avx512/lanes.h"

#include <stdint.h>

#define WIDTH 16
#define VEC_TILES(n_row) 4

typedef __m512 vec;
typedef __mmask16 mask;

#define vec_load(p) _mm512_loadu_ps(p)
#define vec_store(p, v) _mm512_storeu_ps(p, v)
#define vec_zero() _mm512_setzero_ps()
#define vec_set(x) _mm512_set1_ps(x)
#define vec_add(a, b) _mm512_add_ps(a, b)
#define vec_sub(a, b) _mm512_sub_ps(a, b)
#define vec_mul(a, b) _mm512_mul_ps(a, b)
#define vec_div(a, b) _mm512_div_ps(a, b)
#define vec_fma(a, b, c) _mm512_fmadd_ps(a, b, c)
#define vec_max(x, m) _mm512_max_ps(x, m)
#define vec_max_some(k, x, m) _mm512_mask_max_ps(m, k, x, m)
#define vec_keep(k, x) _mm512_maskz_mov_ps(k, x)
#define vec_load_some(p, n) _mm512_maskz_loadu_ps(lanes_of(n), p)
#define vec_store_some(p, n, v) _mm512_mask_storeu_ps(p, lanes_of(n), v)
#define vec_f16(p) _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)(p)))

static inline vec
vec_int8(const int8_t *p)
{
	__m128i q = _mm_loadu_si128((const __m128i *)(const void *)p);
	return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(q));
}

static inline __m128
vec_fold_max(vec v)
{
	__m256 h = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
	return _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
}

static inline __m128
vec_fold_sum(const vec *v)
{
	__m256 h = _mm256_add_ps(_mm512_castps512_ps256(*v), _mm512_extractf32x8_ps(*v, 1));
	return _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
}

/* llm_expf of four lanes, none above 88.72283. */
static inline __m128
vec_exp4(__m128 x)
{
	return _mm512_castps512_ps128(lanes_exp_below(_mm512_zextps128_ps512(x)));
}

static inline void
vec_to_f16(uint16_t *h, vec x)
{
	_mm256_storeu_si256((__m256i *)(void *)h, _mm512_cvtps_ph(x, 0));
}

static inline void
vec_quantize(int8_t *q, vec x)
{
	__m512i n = _mm512_cvtps_epi32(x); /* to nearest even */
	n = _mm512_min_epi32(n, _mm512_set1_epi32(127));
	n = _mm512_max_epi32(n, _mm512_set1_epi32(-127));
	_mm_storeu_si128((__m128i *)(void *)q, _mm512_cvtepi32_epi8(n));
}

#include "libcore/kernels/x86/attention.h"

const struct llm_attention_kernels llm_attention_avx512 = LLM_ATTENTION_KERNELS;
