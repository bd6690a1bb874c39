/*
 * SPDX-License-Identifier: ISC
 *
 * Blocks of quantized weights as vectors of unsigned bytes in the order of the columns, and their
 * scales: the one place where the formats differ for the x86 kernels.  A weight is
 * d * (q - zero) [+ m] of 32, d * sc * (q - zero) or d * sc * q - dmin * m of 256.
 * Included by files compiled with AVX2 at least; all inline.
 */
#ifndef LLM_KERNELS_X86_PRODUCT_UNPACK_H
#define LLM_KERNELS_X86_PRODUCT_UNPACK_H

#include "libcore/kernels/blocks.h"
#include "libcore/kernels/product.h"

#include <immintrin.h>
#include <stddef.h>

#define LLM_INLINE static inline __attribute__((always_inline))

/*
 * One format.  Passed by value as a constant to inline functions, so that each becomes its own loop.
 */
struct llm_format {
	int block, bytes;
	int zero; /* a power of two, or 0 */
	int bits; /* of q */
	int d_at; /* offset of the half d */
	int m_at; /* offset of the half m or dmin, -1: none */
	/* q[0] of 32, or q[0..8) of 256 columns. */
	void (*unpack)(__m256i *q, const uint8_t *block);
	/* Of 256: sixteen scales as int8, and minima; a scale of 32 columns stands twice. */
	void (*scales)(__m128i *sc, __m128i *m, const uint8_t *block);
};

LLM_INLINE __m256i
llm_load256(const void *p)
{
	return _mm256_loadu_si256((const __m256i_u *)p);
}

LLM_INLINE __m128i
llm_load128(const void *p)
{
	return _mm_loadu_si128((const __m128i_u *)p);
}

LLM_INLINE uint32_t
llm_load32(const void *p)
{
	uint32_t x;
	memcpy(&x, p, 4);
	return x;
}

LLM_INLINE uint16_t
llm_load16(const void *p)
{
	uint16_t x;
	memcpy(&x, p, 2);
	return x;
}

/* Fields of bits in each byte of x, shifted right by n; mask keeps what belongs to the byte. */
LLM_INLINE __m256i
llm_field(__m256i x, int n, int mask)
{
	return _mm256_and_si256(_mm256_srli_epi16(x, n), _mm256_set1_epi8((char)mask));
}

/* Bit `bit` of each byte of x, as the value 1 << to. */
LLM_INLINE __m256i
llm_bit(__m256i x, int bit, int to)
{
	__m256i y = bit < to ? _mm256_slli_epi16(x, to - bit) : _mm256_srli_epi16(x, bit - to);
	return _mm256_and_si256(y, _mm256_set1_epi8((char)(1 << to)));
}

/* Sixteen bytes of nibbles: low ones first, high ones after. */
LLM_INLINE __m256i
llm_nibbles(const uint8_t *p)
{
	const __m256i shift = _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4);
	__m256i x = _mm256_broadcastsi128_si256(llm_load128(p));
	return _mm256_and_si256(_mm256_srlv_epi32(x, shift), _mm256_set1_epi8(15));
}

/* Bit k of the 32 at p as the value 16 in byte k. */
LLM_INLINE __m256i
llm_fifth_bits(const uint8_t *p)
{
	const __m256i spread = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1,
	    2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
	const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201u);
	__m256i x = _mm256_shuffle_epi8(_mm256_set1_epi32((int)llm_load32(p)), spread);
	x = _mm256_cmpeq_epi8(_mm256_and_si256(x, bit), bit);
	return _mm256_and_si256(x, _mm256_set1_epi8(16));
}

LLM_INLINE void
llm_unpack_q4_0(__m256i *q, const uint8_t *b)
{
	q[0] = llm_nibbles(b + offsetof(struct llm_block_q4_0, qs));
}

LLM_INLINE void
llm_unpack_q4_1(__m256i *q, const uint8_t *b)
{
	q[0] = llm_nibbles(b + offsetof(struct llm_block_q4_1, qs));
}

LLM_INLINE void
llm_unpack_q5_0(__m256i *q, const uint8_t *b)
{
	q[0] = _mm256_or_si256(llm_nibbles(b + offsetof(struct llm_block_q5_0, qs)),
	    llm_fifth_bits(b + offsetof(struct llm_block_q5_0, qh)));
}

LLM_INLINE void
llm_unpack_q5_1(__m256i *q, const uint8_t *b)
{
	q[0] = _mm256_or_si256(llm_nibbles(b + offsetof(struct llm_block_q5_1, qs)),
	    llm_fifth_bits(b + offsetof(struct llm_block_q5_1, qh)));
}

LLM_INLINE void
llm_unpack_q8_0(__m256i *q, const uint8_t *b)
{
	q[0] = _mm256_xor_si256(
	    llm_load256(b + offsetof(struct llm_block_q8_0, qs)), _mm256_set1_epi8(-128));
}

LLM_INLINE void
llm_unpack_q2_K(__m256i *q, const uint8_t *b)
{
	for (int h = 0; h < 2; h++) {
		__m256i x = llm_load256(b + offsetof(struct llm_block_q2_K, qs) + h * 32);
		q[4 * h] = llm_field(x, 0, 3);
		q[4 * h + 1] = llm_field(x, 2, 3);
		q[4 * h + 2] = llm_field(x, 4, 3);
		q[4 * h + 3] = llm_field(x, 6, 3);
	}
}

LLM_INLINE void
llm_unpack_q3_K(__m256i *q, const uint8_t *b)
{
	__m256i high = llm_load256(b + offsetof(struct llm_block_q3_K, hmask));
	__m256i x = llm_load256(b + offsetof(struct llm_block_q3_K, qs));
	__m256i y = llm_load256(b + offsetof(struct llm_block_q3_K, qs) + 32);
	q[0] = _mm256_or_si256(llm_field(x, 0, 3), llm_bit(high, 0, 2));
	q[1] = _mm256_or_si256(llm_field(x, 2, 3), llm_bit(high, 1, 2));
	q[2] = _mm256_or_si256(llm_field(x, 4, 3), llm_bit(high, 2, 2));
	q[3] = _mm256_or_si256(llm_field(x, 6, 3), llm_bit(high, 3, 2));
	q[4] = _mm256_or_si256(llm_field(y, 0, 3), llm_bit(high, 4, 2));
	q[5] = _mm256_or_si256(llm_field(y, 2, 3), llm_bit(high, 5, 2));
	q[6] = _mm256_or_si256(llm_field(y, 4, 3), llm_bit(high, 6, 2));
	q[7] = _mm256_or_si256(llm_field(y, 6, 3), llm_bit(high, 7, 2));
}

LLM_INLINE void
llm_unpack_q4_K(__m256i *q, const uint8_t *b)
{
	for (int j = 0; j < 4; j++) {
		__m256i x = llm_load256(b + offsetof(struct llm_block_q4_K, qs) + j * 32);
		q[2 * j] = llm_field(x, 0, 15);
		q[2 * j + 1] = llm_field(x, 4, 15);
	}
}

LLM_INLINE void
llm_unpack_q5_K(__m256i *q, const uint8_t *b)
{
	const uint8_t *qs = b + offsetof(struct llm_block_q5_K, qs);
	__m256i high = llm_load256(b + offsetof(struct llm_block_q5_K, qh));
	q[0] = _mm256_or_si256(llm_field(llm_load256(qs), 0, 15), llm_bit(high, 0, 4));
	q[1] = _mm256_or_si256(llm_field(llm_load256(qs), 4, 15), llm_bit(high, 1, 4));
	q[2] = _mm256_or_si256(llm_field(llm_load256(qs + 32), 0, 15), llm_bit(high, 2, 4));
	q[3] = _mm256_or_si256(llm_field(llm_load256(qs + 32), 4, 15), llm_bit(high, 3, 4));
	q[4] = _mm256_or_si256(llm_field(llm_load256(qs + 64), 0, 15), llm_bit(high, 4, 4));
	q[5] = _mm256_or_si256(llm_field(llm_load256(qs + 64), 4, 15), llm_bit(high, 5, 4));
	q[6] = _mm256_or_si256(llm_field(llm_load256(qs + 96), 0, 15), llm_bit(high, 6, 4));
	q[7] = _mm256_or_si256(llm_field(llm_load256(qs + 96), 4, 15), llm_bit(high, 7, 4));
}

LLM_INLINE void
llm_unpack_q6_K(__m256i *q, const uint8_t *b)
{
	const __m256i two = _mm256_set1_epi8(0x30);
	for (int h = 0; h < 2; h++) {
		__m256i x = llm_load256(b + offsetof(struct llm_block_q6_K, ql) + h * 64);
		__m256i y = llm_load256(b + offsetof(struct llm_block_q6_K, ql) + h * 64 + 32);
		__m256i high = llm_load256(b + offsetof(struct llm_block_q6_K, qh) + h * 32);
		q[4 * h] = _mm256_or_si256(
		    llm_field(x, 0, 15), _mm256_and_si256(_mm256_slli_epi16(high, 4), two));
		q[4 * h + 1] = _mm256_or_si256(
		    llm_field(y, 0, 15), _mm256_and_si256(_mm256_slli_epi16(high, 2), two));
		q[4 * h + 2] =
		    _mm256_or_si256(llm_field(x, 4, 15), _mm256_and_si256(high, two));
		q[4 * h + 3] = _mm256_or_si256(
		    llm_field(y, 4, 15), _mm256_and_si256(_mm256_srli_epi16(high, 2), two));
	}
}

LLM_INLINE void
llm_scales_q2_K(__m128i *sc, __m128i *m, const uint8_t *b)
{
	__m128i s = llm_load128(b + offsetof(struct llm_block_q2_K, scales));
	*sc = _mm_and_si128(s, _mm_set1_epi8(15));
	*m = _mm_and_si128(_mm_srli_epi16(s, 4), _mm_set1_epi8(15));
}

LLM_INLINE void
llm_scales_q3_K(__m128i *sc, __m128i *m, const uint8_t *b)
{
	const uint32_t four = 0x0f0f0f0f, two = 0x30303030;
	const uint8_t *s = b + offsetof(struct llm_block_q3_K, scales);
	uint32_t x = llm_load32(s), y = llm_load32(s + 4), high = llm_load32(s + 8);
	__m128i all = _mm_setr_epi32((int)((x & four) | (high << 4 & two)),
	    (int)((y & four) | (high << 2 & two)), (int)((x >> 4 & four) | (high & two)),
	    (int)((y >> 4 & four) | (high >> 2 & two)));
	*sc = _mm_sub_epi8(all, _mm_set1_epi8(32));
	*m = *sc;
}

/* Of Q4_K and Q5_K, whose twelve bytes stand in the same place. */
LLM_INLINE void
llm_scales_k4(__m128i *sc, __m128i *m, const uint8_t *b)
{
	const uint32_t six = 0x3f3f3f3f, four = 0x0f0f0f0f, two = 0x30303030;
	const uint8_t *s = b + offsetof(struct llm_block_q4_K, scales);
	uint32_t x = llm_load32(s), y = llm_load32(s + 4), z = llm_load32(s + 8);
	uint64_t lo = (x & six) | (uint64_t)((z & four) | (x >> 2 & two)) << 32;
	uint64_t hi = (y & six) | (uint64_t)((z >> 4 & four) | (y >> 2 & two)) << 32;
	__m128i a = _mm_cvtsi64_si128((long long)lo), c = _mm_cvtsi64_si128((long long)hi);
	*sc = _mm_unpacklo_epi8(a, a);
	*m = _mm_unpacklo_epi8(c, c);
}

LLM_INLINE void
llm_scales_q6_K(__m128i *sc, __m128i *m, const uint8_t *b)
{
	*sc = llm_load128(b + offsetof(struct llm_block_q6_K, scales));
	*m = *sc;
}

/* The rows of the table, as constants. */
#define LLM_FORMAT_32(name, z, n, m_)                                       \
	((struct llm_format){32, sizeof(struct llm_block_##name), (z), (n), \
	    offsetof(struct llm_block_##name, d), (m_), llm_unpack_##name, NULL})
#define LLM_FORMAT_256(name, z, n, m_, scale)                                \
	((struct llm_format){256, sizeof(struct llm_block_##name), (z), (n), \
	    offsetof(struct llm_block_##name, d), (m_), llm_unpack_##name, (scale)})

#define LLM_FORMAT_q4_0 LLM_FORMAT_32(q4_0, 8, 4, -1)
#define LLM_FORMAT_q4_1 LLM_FORMAT_32(q4_1, 0, 4, offsetof(struct llm_block_q4_1, m))
#define LLM_FORMAT_q5_0 LLM_FORMAT_32(q5_0, 16, 5, -1)
#define LLM_FORMAT_q5_1 LLM_FORMAT_32(q5_1, 0, 5, offsetof(struct llm_block_q5_1, m))
#define LLM_FORMAT_q8_0 LLM_FORMAT_32(q8_0, 128, 8, -1)
#define LLM_FORMAT_q2_K \
	LLM_FORMAT_256(q2_K, 0, 2, offsetof(struct llm_block_q2_K, dmin), llm_scales_q2_K)
#define LLM_FORMAT_q3_K LLM_FORMAT_256(q3_K, 4, 3, -1, llm_scales_q3_K)
#define LLM_FORMAT_q4_K \
	LLM_FORMAT_256(q4_K, 0, 4, offsetof(struct llm_block_q4_K, dmin), llm_scales_k4)
#define LLM_FORMAT_q5_K \
	LLM_FORMAT_256(q5_K, 0, 5, offsetof(struct llm_block_q5_K, dmin), llm_scales_k4)
#define LLM_FORMAT_q6_K LLM_FORMAT_256(q6_K, 32, 6, -1, llm_scales_q6_K)

/* X(name, TYPE) for every quantized format. */
#define LLM_FORMATS_32(X) X(q4_0, Q4_0) X(q4_1, Q4_1) X(q5_0, Q5_0) X(q5_1, Q5_1) X(q8_0, Q8_0)
#define LLM_FORMATS_256(X) X(q2_K, Q2_K) X(q3_K, Q3_K) X(q4_K, Q4_K) X(q5_K, Q5_K) X(q6_K, Q6_K)

#endif
