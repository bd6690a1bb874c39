/*
 * SPDX-License-Identifier: ISC
 *
 * Sixteen lanes of f32 in two registers, and eight in one: the tree of a sum, tails, and llm_expf
 * lane by lane.  Included by files compiled for AVX2 with FMA alone.
 */
#ifndef LLM_KERNELS_AVX2_LANES_H
#define LLM_KERNELS_AVX2_LANES_H

#include "libcore/fmath.h"

#include <immintrin.h>

/* All bits set in the first n of eight lanes: none for n <= 0, all from 8 on. */
static inline __m256i
lanes_of(int n)
{
	return _mm256_cmpgt_epi32(
	    _mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* The first n of eight floats, zeros in the lanes past them, and back: by masks only where needed,
 * since some processors store slowly by them. */
static inline __m256
load_some(const float *x, int n)
{
	return n >= 8 ? _mm256_loadu_ps(x) : _mm256_maskload_ps(x, lanes_of(n));
}

static inline void
store_some(float *y, int n, __m256 v)
{
	if (n >= 8)
		_mm256_storeu_ps(y, v);
	else
		_mm256_maskstore_ps(y, lanes_of(n), v);
}

/* a[i] + a[i+8], +4, +2, +1: lanes 0 to 7 in lo, 8 to 15 in hi. */
static inline float
lanes_tree(__m256 lo, __m256 hi)
{
	__m256 b = _mm256_add_ps(lo, hi);
	__m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
	c = _mm_add_ps(c, _mm_movehl_ps(c, c));
	return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

/* Largest of eight lanes, none of them NaN. */
static inline float
lanes_max(__m256 m)
{
	__m128 c = _mm_max_ps(_mm256_castps256_ps128(m), _mm256_extractf128_ps(m, 1));
	c = _mm_max_ps(c, _mm_movehl_ps(c, c));
	return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}

/* llm_expf of each lane that is NaN or at most 88.72283: the same operations in the same order. */
static inline __m256
lanes_exp_below(__m256 x)
{
	__m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(0x1.715476p+0f)),
	    _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
	__m256 r = _mm256_fmadd_ps(n, _mm256_set1_ps(-0.693359375f), x);
	r = _mm256_fmadd_ps(n, _mm256_set1_ps(2.12194440e-4f), r);
	__m256 y = _mm256_set1_ps(1.9875691500e-4f);
	y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.3981999507e-3f));
	y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(8.3334519073e-3f));
	y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(4.1665795894e-2f));
	y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.6666665459e-1f));
	y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(5.0000001201e-1f));
	y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.0f));
	y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.0f));
	/* A NaN converts to 0x80000000, which the shift makes 0: y stays NaN. */
	__m256i shift = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
	y = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(y), shift));
	__m256 under = _mm256_cmp_ps(x, _mm256_set1_ps(-87.33654f), _CMP_LT_OQ);
	return _mm256_andnot_ps(under, y);
}

/* llm_expf of each lane. */
static inline __m256
lanes_exp(__m256 x)
{
	__m256 over = _mm256_cmp_ps(x, _mm256_set1_ps(88.72283f), _CMP_GT_OQ);
	return _mm256_blendv_ps(lanes_exp_below(x), _mm256_set1_ps(__builtin_inff()), over);
}

/* llm_erff of each lane. */
static inline __m256
lanes_erf(__m256 x)
{
	/* Of two, one a NaN, min and max give the second. */
	__m256 z = _mm256_min_ps(_mm256_set1_ps(LLM_ERF_END), x);
	z = _mm256_max_ps(_mm256_set1_ps(-LLM_ERF_END), z);
	__m256 u = _mm256_fmadd_ps(
	    _mm256_mul_ps(z, z), _mm256_set1_ps(LLM_ERF_SCALE), _mm256_set1_ps(-1.0f));
	__m256 y = _mm256_setzero_ps();
#define TERM(c) y = _mm256_fmadd_ps(y, u, _mm256_set1_ps(c));
	LLM_ERF_TERMS(TERM)
#undef TERM
	return _mm256_mul_ps(y, z);
}

#endif
