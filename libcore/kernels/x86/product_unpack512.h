/*
 * SPDX-License-Identifier: ISC
 *
 * The blocks of product_unpack.h in vectors of 64 bytes: two blocks of 32, or one of 256 as four.
 * Included by files compiled for AVX-512 with byte and word instructions; all inline.
 */
#ifndef LLM_KERNELS_X86_PRODUCT_UNPACK512_H
#define LLM_KERNELS_X86_PRODUCT_UNPACK512_H

#include "libcore/kernels/x86/product_unpack.h"

/* The same 32 bytes twice; the same shifts for each half of 32. */
LLM_INLINE __m512i
llm_twice(const void *p)
{
	return _mm512_broadcast_i64x4(llm_load256(p));
}

LLM_INLINE __m512i
llm_by_half(int low, int high)
{
	return _mm512_inserti64x4(_mm512_set1_epi32(low), _mm256_set1_epi32(high), 1);
}

/* Fields of bits shifted right by one count in the low half of 32 bytes and another in the high. */
LLM_INLINE __m512i
llm_fields(__m512i x, int low, int high, int mask)
{
	return _mm512_and_si512(
	    _mm512_srlv_epi32(x, llm_by_half(low, high)), _mm512_set1_epi8((char)mask));
}

/* Sixteen bytes of nibbles at p and sixteen at r, each low ones first. */
LLM_INLINE __m512i
llm_nibbles2(const uint8_t *p, const uint8_t *r)
{
	const __m512i shift = _mm512_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4, 0, 0, 0, 0, 4, 4, 4, 4);
	__m512i x = _mm512_broadcast_i32x4(llm_load128(p));
	x = _mm512_mask_broadcast_i32x4(x, 0xff00, llm_load128(r));
	return _mm512_and_si512(_mm512_srlv_epi32(x, shift), _mm512_set1_epi8(15));
}

/* x plus 16 in the bytes whose bit is set, of the 32 bits at p and the 32 at r. */
LLM_INLINE __m512i
llm_add_bits2(__m512i x, const uint8_t *p, const uint8_t *r)
{
	__mmask64 bits = llm_load32(p) | (uint64_t)llm_load32(r) << 32;
	return _mm512_mask_add_epi8(x, bits, x, _mm512_set1_epi8(16));
}

/* x plus `value` in the bytes of the low half where bit `bit` of `bytes` is set, of the high: the next. */
LLM_INLINE __m512i
llm_add_high(__m512i x, __m512i bytes, int bit, int value)
{
	__m512i test = llm_by_half((int)(0x01010101u << bit), (int)(0x01010101u << (bit + 1)));
	return _mm512_mask_add_epi8(
	    x, _mm512_test_epi8_mask(bytes, test), x, _mm512_set1_epi8((char)value));
}

#define LLM_AT(name, field) (offsetof(struct llm_block_##name, field))
#define LLM_NEXT(name, field) (sizeof(struct llm_block_##name) + LLM_AT(name, field))

/* Blocks of 32: this one and the next. */
LLM_INLINE __m512i
llm_unpack2_q4_0(const uint8_t *b)
{
	return llm_nibbles2(b + LLM_AT(q4_0, qs), b + LLM_NEXT(q4_0, qs));
}

LLM_INLINE __m512i
llm_unpack2_q4_1(const uint8_t *b)
{
	return llm_nibbles2(b + LLM_AT(q4_1, qs), b + LLM_NEXT(q4_1, qs));
}

LLM_INLINE __m512i
llm_unpack2_q5_0(const uint8_t *b)
{
	__m512i x = llm_nibbles2(b + LLM_AT(q5_0, qs), b + LLM_NEXT(q5_0, qs));
	return llm_add_bits2(x, b + LLM_AT(q5_0, qh), b + LLM_NEXT(q5_0, qh));
}

LLM_INLINE __m512i
llm_unpack2_q5_1(const uint8_t *b)
{
	__m512i x = llm_nibbles2(b + LLM_AT(q5_1, qs), b + LLM_NEXT(q5_1, qs));
	return llm_add_bits2(x, b + LLM_AT(q5_1, qh), b + LLM_NEXT(q5_1, qh));
}

LLM_INLINE __m512i
llm_unpack2_q8_0(const uint8_t *b)
{
	__m512i x = _mm512_castsi256_si512(llm_load256(b + LLM_AT(q8_0, qs)));
	x = _mm512_inserti64x4(x, llm_load256(b + LLM_NEXT(q8_0, qs)), 1);
	return _mm512_xor_si512(x, _mm512_set1_epi8(-128));
}

/* Blocks of 256 as four times 64 columns. */
LLM_INLINE void
llm_unpack4_q2_K(__m512i q[4], const uint8_t *b)
{
	for (int h = 0; h < 2; h++) {
		__m512i x = llm_twice(b + LLM_AT(q2_K, qs) + h * 32);
		q[2 * h] = llm_fields(x, 0, 2, 3);
		q[2 * h + 1] = llm_fields(x, 4, 6, 3);
	}
}

LLM_INLINE void
llm_unpack4_q3_K(__m512i q[4], const uint8_t *b)
{
	__m512i high = llm_twice(b + LLM_AT(q3_K, hmask));
	for (int h = 0; h < 2; h++) {
		__m512i x = llm_twice(b + LLM_AT(q3_K, qs) + h * 32);
		q[2 * h] = llm_add_high(llm_fields(x, 0, 2, 3), high, 4 * h, 4);
		q[2 * h + 1] = llm_add_high(llm_fields(x, 4, 6, 3), high, 4 * h + 2, 4);
	}
}

LLM_INLINE void
llm_unpack4_q4_K(__m512i q[4], const uint8_t *b)
{
	for (int j = 0; j < 4; j++)
		q[j] = llm_fields(llm_twice(b + LLM_AT(q4_K, qs) + j * 32), 0, 4, 15);
}

LLM_INLINE void
llm_unpack4_q5_K(__m512i q[4], const uint8_t *b)
{
	__m512i high = llm_twice(b + LLM_AT(q5_K, qh));
	for (int j = 0; j < 4; j++) {
		q[j] = llm_fields(llm_twice(b + LLM_AT(q5_K, qs) + j * 32), 0, 4, 15);
		q[j] = llm_add_high(q[j], high, 2 * j, 16);
	}
}

LLM_INLINE void
llm_unpack4_q6_K(__m512i q[4], const uint8_t *b)
{
	const __m512i four = _mm512_set1_epi8(15), two = _mm512_set1_epi8(0x30);
	for (int h = 0; h < 2; h++) {
		__m512i x = _mm512_loadu_si512(b + LLM_AT(q6_K, ql) + h * 64);
		__m512i high = llm_twice(b + LLM_AT(q6_K, qh) + h * 32);
		__m512i low = _mm512_sllv_epi32(high, llm_by_half(4, 2));
		high = _mm512_srlv_epi32(high, llm_by_half(0, 2));
		q[2 * h] =
		    _mm512_or_si512(_mm512_and_si512(x, four), _mm512_and_si512(low, two));
		q[2 * h + 1] = _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(x, 4), four),
		    _mm512_and_si512(high, two));
	}
}

#endif
