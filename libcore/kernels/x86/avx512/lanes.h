/*
 * SPDX-License-Identifier: ISC
 *
 * Sixteen lanes of f32 in one register: the tree of a sum, tails, and llm_expf lane by lane.
 * Included by files compiled for AVX-512 alone.
 */
#ifndef LLM_KERNELS_AVX512_LANES_H
#define LLM_KERNELS_AVX512_LANES_H

#include "libcore/fmath.h"

#include <immintrin.h>

/* The first n of sixteen lanes: none for n <= 0, all from 16 on. */
static inline __mmask16
lanes_of(int n)
{
	return _mm512_cmpgt_epi32_mask(_mm512_set1_epi32(n),
	    _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

/* a[i] + a[i+8], +4, +2, +1 */
static inline float
lanes_tree(__m512 a)
{
	__m256 b = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
	__m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
	c = _mm_add_ps(c, _mm_movehl_ps(c, c));
	return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

/* llm_expf of each lane that is NaN or at most 88.72283: the same operations in the same order. */
static inline __m512
lanes_exp_below(__m512 x)
{
	__m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(0x1.715476p+0f)),
	    _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
	__m512 r = _mm512_fmadd_ps(n, _mm512_set1_ps(-0.693359375f), x);
	r = _mm512_fmadd_ps(n, _mm512_set1_ps(2.12194440e-4f), r);
	__m512 y = _mm512_set1_ps(1.9875691500e-4f);
	y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.3981999507e-3f));
	y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(8.3334519073e-3f));
	y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(4.1665795894e-2f));
	y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.6666665459e-1f));
	y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(5.0000001201e-1f));
	y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.0f));
	y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.0f));
	/* Times 2^n, exactly: what is not below the bound is a normal number, or NaN. */
	__mmask16 normal = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-87.33654f), _CMP_NLT_UQ);
	return _mm512_maskz_scalef_ps(normal, y, n);
}

/* llm_expf of each lane. */
static inline __m512
lanes_exp(__m512 x)
{
	__mmask16 over = _mm512_cmp_ps_mask(x, _mm512_set1_ps(88.72283f), _CMP_GT_OQ);
	return _mm512_mask_mov_ps(lanes_exp_below(x), over, _mm512_set1_ps(__builtin_inff()));
}

/* llm_erff of each lane. */
static inline __m512
lanes_erf(__m512 x)
{
	/* Of two, one a NaN, min and max give the second. */
	__m512 z = _mm512_min_ps(_mm512_set1_ps(LLM_ERF_END), x);
	z = _mm512_max_ps(_mm512_set1_ps(-LLM_ERF_END), z);
	__m512 u = _mm512_fmadd_ps(
	    _mm512_mul_ps(z, z), _mm512_set1_ps(LLM_ERF_SCALE), _mm512_set1_ps(-1.0f));
	__m512 y = _mm512_setzero_ps();
#define TERM(c) y = _mm512_fmadd_ps(y, u, _mm512_set1_ps(c));
	LLM_ERF_TERMS(TERM)
#undef TERM
	return _mm512_mul_ps(y, z);
}

#endif
