/*
 * SPDX-License-Identifier: ISC
 *
 * Vectors of eight or, with LLM_WIDE defined before the first include, sixteen lanes of 32 bits: one text
 * serves AVX2, AVX-VNNI and AVX-512.  A lane is a row of weights; the packed layout interleaves eight
 * of them, so a wide vector takes the same bytes of two units.
 */
#ifndef LLM_KERNELS_X86_WIDE_H
#define LLM_KERNELS_X86_WIDE_H

#include "libcore/kernels/x86/product_unpack.h"

#ifdef LLM_WIDE
typedef __m512i llm_vi;
typedef __m512 llm_vf;
enum { LLM_V_LANES = 16 };
#define LLM_V(op) _mm512_##op
#define llm_v_and _mm512_and_si512
#define llm_v_or _mm512_or_si512
#define llm_v_xor _mm512_xor_si512
#define llm_v_as_float _mm512_castsi512_ps
#else
typedef __m256i llm_vi;
typedef __m256 llm_vf;
enum { LLM_V_LANES = 8 };
#define LLM_V(op) _mm256_##op
#define llm_v_and _mm256_and_si256
#define llm_v_or _mm256_or_si256
#define llm_v_xor _mm256_xor_si256
#define llm_v_as_float _mm256_castsi256_ps
#endif
enum { LLM_V_UNITS = LLM_V_LANES / 8 };

/* Makes a vector stand in a register where this is written. */
#ifdef __AVX512F__
#define llm_v_keep(v) __asm__ volatile("" : "+v"(v))
#else
#define llm_v_keep(v) __asm__ volatile("" : "+x"(v))
#endif

/* VPDPBUSD and VPDPWSSD, under the name that the instruction set gives them. */
#if defined(LLM_WIDE) || defined(__AVX512VNNI__)
#define LLM_VNNI
#define llm_v_dot8 LLM_V(dpbusd_epi32)
#define llm_v_dot16 LLM_V(dpwssd_epi32)
#elif defined(__AVXVNNI__)
#define LLM_VNNI
#define llm_v_dot8 _mm256_dpbusd_avx_epi32
#define llm_v_dot16 _mm256_dpwssd_avx_epi32
#else
#define llm_v_dot16(sum, a, b) _mm256_add_epi32((sum), _mm256_madd_epi16((a), (b)))
#endif

LLM_INLINE llm_vi
llm_v_zero(void)
{
	return LLM_V(set1_epi32)(0);
}

/* Four bytes of memory in each lane. */
LLM_INLINE llm_vi
llm_v_broadcast(const void *p)
{
	return LLM_V(set1_epi32)((int)llm_load32(p));
}

/* 32 bytes at p; where vectors are wide, 32 more from p + unit: from the next on in one load. */
LLM_INLINE llm_vi
llm_v_rows(const uint8_t *p, size_t unit)
{
#ifdef LLM_WIDE
	if (__builtin_constant_p(unit) && unit == 32)
		return _mm512_loadu_si512(p);
	__m512i v = _mm512_castsi256_si512(llm_load256(p));
	return _mm512_inserti64x4(v, llm_load256(p + unit), 1);
#else
	(void)unit;
	return llm_load256(p);
#endif
}

/*
 * Bytes of each lane in another order: which are their numbers, from the lowest on, 0x80 for none; then 0
 * stands.
 */
LLM_INLINE llm_vi
llm_v_pick(llm_vi v, uint32_t which)
{
	/* The instruction counts within sixteen bytes: four more from lane to lane, where there is one. */
	const uint32_t next = 0x04040404u & ~(which >> 5);
	const __m128i c = _mm_setr_epi32(
	    (int)which, (int)(which + next), (int)(which + 2 * next), (int)(which + 3 * next));
#ifdef LLM_WIDE
	return _mm512_shuffle_epi8(v, _mm512_broadcast_i32x4(c));
#else
	return _mm256_shuffle_epi8(v, _mm256_broadcastsi128_si256(c));
#endif
}

/* The halves of each row as floats, likewise. */
LLM_INLINE llm_vf
llm_v_halves(const uint8_t *p, size_t unit)
{
#ifdef LLM_WIDE
	__m256i v = _mm256_castsi128_si256(llm_load128(p));
	return _mm512_cvtph_ps(_mm256_inserti128_si256(v, llm_load128(p + unit), 1));
#else
	(void)unit;
	return _mm256_cvtph_ps(llm_load128(p));
#endif
}

/* Fields of bits in each byte of x, shifted right by n; mask keeps what belongs to the byte. */
LLM_INLINE llm_vi
llm_v_field(llm_vi x, int n, int mask)
{
	return llm_v_and(n == 0 ? x : LLM_V(srli_epi16)(x, n), LLM_V(set1_epi8)((char)mask));
}

/* Bit `bit` of each byte of x, as the value 1 << to. */
LLM_INLINE llm_vi
llm_v_bit(llm_vi x, int bit, int to)
{
	if (bit != to)
		x = bit < to ? LLM_V(slli_epi16)(x, to - bit) : LLM_V(srli_epi16)(x, bit - to);
	return llm_v_and(x, LLM_V(set1_epi8)((char)(1 << to)));
}

/* The low halves of the lanes of a, and those of b above them. */
LLM_INLINE llm_vi
llm_v_join16(llm_vi a, llm_vi b)
{
#ifdef LLM_WIDE
	return _mm512_mask_blend_epi16(0xaaaaaaaau, a, _mm512_slli_epi32(b, 16));
#else
	return _mm256_blend_epi16(a, _mm256_slli_epi32(b, 16), 0xaa);
#endif
}

#endif
