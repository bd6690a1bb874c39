/*
 * SPDX-License-Identifier: ISC
 *
 * Activations to int8 by blocks of 32 or 256, with their sums: AVX2.
 */
#include "libcore/kernels/x86/product_unpack.h"
#include "libcore/kernels/x86/product_x86.h"

/* Largest absolute value of n floats as bits, n a multiple of 8. */
LLM_INLINE uint32_t
max_abs_bits(const float *x, int n)
{
	const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
	__m256i max = _mm256_setzero_si256();
	for (int i = 0; i < n; i += 8)
		max = _mm256_max_epi32(max, _mm256_and_si256(llm_load256(x + i), magnitude));
	__m128i m =
	    _mm_max_epi32(_mm256_castsi256_si128(max), _mm256_extracti128_si256(max, 1));
	m = _mm_max_epi32(m, _mm_unpackhi_epi64(m, m));
	m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 1));
	return (uint32_t)_mm_cvtsi128_si32(m);
}

/*
 * rint(x * id) of 32 floats as bytes.  No clamp: |x| <= amax and id <= 127 / amax * (1 + 2^-24),
 * so that the product stays below 127.5.
 */
LLM_INLINE __m256i
quantize32(const float *x, float id)
{
	const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
	__m256i v[4];
	for (int i = 0; i < 4; i++)
		v[i] = _mm256_cvtps_epi32(
		    _mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), _mm256_set1_ps(id)));
	__m256i a = _mm256_packs_epi32(v[0], v[1]), b = _mm256_packs_epi32(v[2], v[3]);
	return _mm256_permutevar8x32_epi32(_mm256_packs_epi16(a, b), order);
}

/* In each half, in every 32 bits: minus the sums of its 16 bytes, columns 0, 1 and 2, 3 mod 4. */
LLM_INLINE __m256i
minus_sums(__m256i q)
{
	__m256i s = _mm256_maddubs_epi16(_mm256_set1_epi8(1), q);
	s = _mm256_add_epi16(s, _mm256_shuffle_epi32(s, 0x4e));
	s = _mm256_add_epi16(s, _mm256_shuffle_epi32(s, 0xb1));
	return _mm256_sub_epi16(_mm256_setzero_si256(), s);
}

/* Stores one pair of minus sums as item i, and its total. */
LLM_INLINE int
store_sums(int16_t *nsum, int16_t *bsum, int i, __m128i pair)
{
	uint32_t both = (uint32_t)_mm_cvtsi128_si32(pair);
	int total = -((int16_t)(both & 0xffff) + (int16_t)(both >> 16));
	memcpy(nsum + 2 * i, &both, 4);
	bsum[i] = (int16_t)total;
	return total;
}

/* One block of token t; false when a value is not finite. */
LLM_INLINE bool
quantize_block(struct llm_act *a, int t, int b, const int n)
{
	const float *x = a->x + (size_t)t * a->x_stride + (size_t)b * n;
	int8_t *q = a->q + (size_t)t * a->q_stride + (size_t)b * n;
	float *d = a->d + (size_t)t * a->d_stride + b;
	int16_t *bsum = a->bsum + (size_t)t * a->b_stride;
	int16_t *nsum = a->nsum + (size_t)t * a->b_stride * 2;
	int16_t *pair = a->pair + (size_t)t * a->b_stride / 2; /* of 256 */
	uint32_t bits = max_abs_bits(x, n);
	float amax, id = 0;
	memcpy(&amax, &bits, 4);
	*d = 0;
	if (bits >= 0x7f800000)
		return false;
	if (amax >= 0x1p-100f) {
		*d = amax / 127;
		id = 127 / amax;
	}
	for (int i = 0; i < n; i += 32) {
		__m256i v = quantize32(x + i, id);
		_mm256_storeu_si256((__m256i_u *)(q + i), v);
		__m256i s = minus_sums(v);
		__m128i low = _mm256_castsi256_si128(s), high = _mm256_extracti128_si256(s, 1);
		if (n == 32) {
			int total = store_sums(nsum, bsum, b, _mm_add_epi16(low, high));
			a->s[(size_t)t * a->d_stride + b] = *d * (float)total;
		} else {
			int j = (b * n + i) / 16, total = store_sums(nsum, bsum, j, low);
			total += store_sums(nsum, bsum, j + 1, high);
			pair[j / 2] = (int16_t)total;
		}
	}
	return true;
}

bool
llm_product_quantize_avx2(struct llm_act *a, int t0, int t1)
{
	bool finite = true;
	for (int t = t0; t < t1; t++)
		for (int b = 0; b < a->n_block; b++)
			finite &= a->kind == LLM_ACT_Q32 ? quantize_block(a, t, b, 32)
							 : quantize_block(a, t, b, 256);
	return finite;
}
