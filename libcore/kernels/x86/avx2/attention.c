/*
 * SPDX-License-Identifier: ISC
 *
 * The steps of attention in AVX2: a tile of sixteen lanes is two registers, and at most twelve hold
 * sums: six rows by one tile, three by two, one by four.
 */
#include "libcore/kernels/x86/avx2/lanes.h"

#include <stdint.h>

#define WIDTH 8
#define VEC_TILES(n_row) ((n_row) == 1 ? 4 : (n_row) <= 3 ? 2 : 1)

typedef __m256 vec;
typedef __m256i mask;

#define vec_load(p) _mm256_loadu_ps(p)
#define vec_store(p, v) _mm256_storeu_ps(p, v)
#define vec_zero() _mm256_setzero_ps()
#define vec_set(x) _mm256_set1_ps(x)
#define vec_add(a, b) _mm256_add_ps(a, b)
#define vec_sub(a, b) _mm256_sub_ps(a, b)
#define vec_mul(a, b) _mm256_mul_ps(a, b)
#define vec_div(a, b) _mm256_div_ps(a, b)
#define vec_fma(a, b, c) _mm256_fmadd_ps(a, b, c)
#define vec_max(x, m) _mm256_max_ps(x, m)
#define vec_max_some(k, x, m) _mm256_blendv_ps(m, _mm256_max_ps(x, m), _mm256_castsi256_ps(k))
#define vec_keep(k, x) _mm256_and_ps(_mm256_castsi256_ps(k), x)
#define vec_load_some(p, n) load_some(p, n)
#define vec_store_some(p, n, v) store_some(p, n, v)
#define vec_f16(p) _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(p)))

static inline vec
vec_int8(const int8_t *p)
{
	__m128i q = _mm_loadl_epi64((const __m128i *)(const void *)p);
	return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q));
}

static inline __m128
vec_fold_max(vec v)
{
	return _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
}

static inline __m128
vec_fold_sum(const vec v[2])
{
	vec h = _mm256_add_ps(v[0], v[1]);
	return _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
}

/* llm_expf of four lanes, none above 88.72283. */
static inline __m128
vec_exp4(__m128 x)
{
	return _mm256_castps256_ps128(lanes_exp_below(_mm256_zextps128_ps256(x)));
}

static inline void
vec_to_f16(uint16_t *h, vec x)
{
	_mm_storeu_si128((__m128i *)(void *)h, _mm256_cvtps_ph(x, 0));
}

/* To nearest even; x is at most 127.00001, so that no clamp is needed. */
static inline void
vec_quantize(int8_t *q, vec x)
{
	__m256i n = _mm256_cvtps_epi32(x);
	__m128i h = _mm_packs_epi32(_mm256_castsi256_si128(n), _mm256_extracti128_si256(n, 1));
	_mm_storel_epi64((__m128i *)(void *)q, _mm_packs_epi16(h, h));
}

#include "libcore/kernels/x86/attention.h"

const struct llm_attention_kernels llm_attention_avx2 = LLM_ATTENTION_KERNELS;
