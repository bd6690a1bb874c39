/*
 * SPDX-License-Identifier: ISC
 *
 * Blocks of quantized weights as vectors of signed bytes in the order of the columns, less their
 * zero point, and their scales: the one place where the formats differ for the ARM kernels.  A weight
 * is d * q [+ m] of 32, d * sc * q [- dmin * m] of 256.
 * Signed bytes are what SDOT multiplies; every q fits, from -128 (Q8_0) to 31 (Q5_1, Q5_K, Q6_K).
 */
#ifndef LLM_KERNELS_ARM_PRODUCT_UNPACK_H
#define LLM_KERNELS_ARM_PRODUCT_UNPACK_H

#include "libcore/kernels/arm/lanes.h"
#include "libcore/kernels/blocks.h"
#include "libcore/kernels/product.h"

#include <stddef.h>

/*
 * One format.  Passed by value as a constant to inline functions, so that each becomes its own loop.
 */
struct llm_format {
	int block, bytes;
	int bits, zero; /* of q as it is stored, and what to take off */
	int sub;        /* of 256: columns of an integer scale, 16 or 32 */
	int d_at, m_at; /* offsets of the halves d, and m or dmin; -1: none */
	/* q[0..2) of 32, or q[0..16) of 256 columns. */
	void (*unpack)(int8x16_t *q, const uint8_t *block);
	/* Of 256: its sixteen scales and minima; with sub 32 eight, in the low half. */
	void (*scales)(int8x16_t *sc, int8x16_t *m, const uint8_t *block);
};

LLM_INLINE uint32_t
llm_load32(const void *p)
{
	uint32_t x;
	memcpy(&x, p, 4);
	return x;
}

/* Fields of bits in each byte of x, shifted right by n; mask keeps what belongs to the field. */
LLM_INLINE uint8x16_t
llm_field(uint8x16_t x, int n, int mask)
{
	return vandq_u8(vshlq_u8(x, vdupq_n_s8((int8_t)-n)), vdupq_n_u8((uint8_t)mask));
}

/* Bit `bit` of each byte of x, as the value 1 << to. */
LLM_INLINE uint8x16_t
llm_bit(uint8x16_t x, int bit, int to)
{
	return vandq_u8(
	    vshlq_u8(x, vdupq_n_s8((int8_t)(to - bit))), vdupq_n_u8((uint8_t)(1 << to)));
}

LLM_INLINE int8x16_t
llm_less(uint8x16_t q, int zero)
{
	return vsubq_s8(vreinterpretq_s8_u8(q), vdupq_n_s8((int8_t)zero));
}

/* Sixteen bytes of nibbles, low ones first, high ones after; bits: sixteens to add, or NULL. */
LLM_INLINE void
llm_unpack_nibbles(int8x16_t *q, const uint8_t *qs, const uint8_t *bits, int zero)
{
	const uint64x2_t each = vdupq_n_u64(0x8040201008040201u);
	uint8x16_t x = vld1q_u8(qs);
	for (int h = 0; h < 2; h++) {
		uint8x16_t v = llm_field(x, 4 * h, 15);
		if (bits != NULL) {
			uint8x16_t b =
			    vcombine_u8(vdup_n_u8(bits[2 * h]), vdup_n_u8(bits[2 * h + 1]));
			b = vtstq_u8(b, vreinterpretq_u8_u64(each));
			v = vorrq_u8(v, vandq_u8(b, vdupq_n_u8(16)));
		}
		q[h] = llm_less(v, zero);
	}
}

LLM_INLINE void
llm_unpack_q4_0(int8x16_t *q, const uint8_t *b)
{
	llm_unpack_nibbles(q, b + offsetof(struct llm_block_q4_0, qs), NULL, 8);
}

LLM_INLINE void
llm_unpack_q4_1(int8x16_t *q, const uint8_t *b)
{
	llm_unpack_nibbles(q, b + offsetof(struct llm_block_q4_1, qs), NULL, 0);
}

LLM_INLINE void
llm_unpack_q5_0(int8x16_t *q, const uint8_t *b)
{
	llm_unpack_nibbles(q, b + offsetof(struct llm_block_q5_0, qs),
	    b + offsetof(struct llm_block_q5_0, qh), 16);
}

LLM_INLINE void
llm_unpack_q5_1(int8x16_t *q, const uint8_t *b)
{
	llm_unpack_nibbles(q, b + offsetof(struct llm_block_q5_1, qs),
	    b + offsetof(struct llm_block_q5_1, qh), 0);
}

LLM_INLINE void
llm_unpack_q8_0(int8x16_t *q, const uint8_t *b)
{
	const int8_t *qs = (const int8_t *)b + offsetof(struct llm_block_q8_0, qs);
	q[0] = vld1q_s8(qs);
	q[1] = vld1q_s8(qs + 16);
}

/* Of 256: vector 8 h + 2 s + i holds columns 128 h + 32 s + 16 i and after, as blocks.h says. */
LLM_INLINE void
llm_unpack_q2_K(int8x16_t *q, const uint8_t *b)
{
	const uint8_t *qs = b + offsetof(struct llm_block_q2_K, qs);
	for (int k = 0; k < 16; k++)
		q[k] = vreinterpretq_s8_u8(
		    llm_field(vld1q_u8(qs + k / 8 * 32 + k % 2 * 16), k / 2 % 4 * 2, 3));
}

LLM_INLINE void
llm_unpack_q3_K(int8x16_t *q, const uint8_t *b)
{
	const uint8_t *qs = b + offsetof(struct llm_block_q3_K, qs);
	const uint8_t *high = b + offsetof(struct llm_block_q3_K, hmask);
	for (int k = 0; k < 16; k++) {
		uint8x16_t x = vld1q_u8(qs + k / 8 * 32 + k % 2 * 16);
		uint8x16_t y = llm_bit(vld1q_u8(high + k % 2 * 16), k / 2, 2);
		q[k] = llm_less(vorrq_u8(llm_field(x, k / 2 % 4 * 2, 3), y), 4);
	}
}

LLM_INLINE void
llm_unpack_q4_K(int8x16_t *q, const uint8_t *b)
{
	const uint8_t *qs = b + offsetof(struct llm_block_q4_K, qs);
	for (int k = 0; k < 16; k++)
		q[k] = vreinterpretq_s8_u8(
		    llm_field(vld1q_u8(qs + k / 4 * 32 + k % 2 * 16), k / 2 % 2 * 4, 15));
}

LLM_INLINE void
llm_unpack_q5_K(int8x16_t *q, const uint8_t *b)
{
	const uint8_t *qs = b + offsetof(struct llm_block_q5_K, qs);
	const uint8_t *high = b + offsetof(struct llm_block_q5_K, qh);
	for (int k = 0; k < 16; k++) {
		uint8x16_t x = vld1q_u8(qs + k / 4 * 32 + k % 2 * 16);
		uint8x16_t y = llm_bit(vld1q_u8(high + k % 2 * 16), k / 2, 4);
		q[k] = vreinterpretq_s8_u8(vorrq_u8(llm_field(x, k / 2 % 2 * 4, 15), y));
	}
}

LLM_INLINE void
llm_unpack_q6_K(int8x16_t *q, const uint8_t *b)
{
	const uint8_t *ql = b + offsetof(struct llm_block_q6_K, ql);
	const uint8_t *qh = b + offsetof(struct llm_block_q6_K, qh);
	for (int k = 0; k < 16; k++) {
		uint8x16_t x = vld1q_u8(ql + k / 8 * 64 + k % 4 * 16);
		uint8x16_t y =
		    llm_field(vld1q_u8(qh + k / 8 * 32 + k % 2 * 16), k / 2 % 4 * 2, 3);
		x = vorrq_u8(llm_field(x, k / 4 % 2 * 4, 15), vshlq_n_u8(y, 4));
		q[k] = llm_less(x, 32);
	}
}

LLM_INLINE void
llm_scales_q2_K(int8x16_t *sc, int8x16_t *m, const uint8_t *b)
{
	uint8x16_t s = vld1q_u8(b + offsetof(struct llm_block_q2_K, scales));
	*sc = vreinterpretq_s8_u8(llm_field(s, 0, 15));
	*m = vreinterpretq_s8_u8(llm_field(s, 4, 15));
}

LLM_INLINE void
llm_scales_q3_K(int8x16_t *sc, int8x16_t *m, const uint8_t *b)
{
	const uint32_t four = 0x0f0f0f0f, two = 0x30303030;
	const uint8_t *s = b + offsetof(struct llm_block_q3_K, scales);
	uint32_t x = llm_load32(s), y = llm_load32(s + 4), high = llm_load32(s + 8);
	uint64_t lo =
	    ((x & four) | (high << 4 & two)) | (uint64_t)((y & four) | (high << 2 & two)) << 32;
	uint64_t hi = ((x >> 4 & four) | (high & two)) |
		      (uint64_t)((y >> 4 & four) | (high >> 2 & two)) << 32;
	uint64x2_t all = vcombine_u64(vcreate_u64(lo), vcreate_u64(hi));
	*sc = llm_less(vreinterpretq_u8_u64(all), 32);
	*m = *sc;
}

/* Of Q4_K and Q5_K, whose twelve bytes stand in the same place. */
LLM_INLINE void
llm_scales_k4(int8x16_t *sc, int8x16_t *m, const uint8_t *b)
{
	const uint32_t six = 0x3f3f3f3f, four = 0x0f0f0f0f, two = 0x30303030;
	const uint8_t *s = b + offsetof(struct llm_block_q4_K, scales);
	uint32_t x = llm_load32(s), y = llm_load32(s + 4), z = llm_load32(s + 8);
	uint64_t lo = (x & six) | (uint64_t)((z & four) | (x >> 2 & two)) << 32;
	uint64_t hi = (y & six) | (uint64_t)((z >> 4 & four) | (y >> 2 & two)) << 32;
	*sc = vcombine_s8(vcreate_s8(lo), vdup_n_s8(0));
	*m = vcombine_s8(vcreate_s8(hi), vdup_n_s8(0));
}

LLM_INLINE void
llm_scales_q6_K(int8x16_t *sc, int8x16_t *m, const uint8_t *b)
{
	*sc = vld1q_s8((const int8_t *)b + offsetof(struct llm_block_q6_K, scales));
	*m = *sc;
}

/* The rows of the table, as constants. */
#define LLM_FORMAT_32(name, n, z, m_)                                           \
	((struct llm_format){32, sizeof(struct llm_block_##name), (n), (z), 32, \
	    offsetof(struct llm_block_##name, d), (m_), llm_unpack_##name, NULL})
#define LLM_FORMAT_256(name, n, z, sub, m_, scale)                                  \
	((struct llm_format){256, sizeof(struct llm_block_##name), (n), (z), (sub), \
	    offsetof(struct llm_block_##name, d), (m_), llm_unpack_##name, (scale)})
#define LLM_MIN(name, field) ((int)offsetof(struct llm_block_##name, field))

#define LLM_FORMAT_q4_0 LLM_FORMAT_32(q4_0, 4, 8, -1)
#define LLM_FORMAT_q4_1 LLM_FORMAT_32(q4_1, 4, 0, LLM_MIN(q4_1, m))
#define LLM_FORMAT_q5_0 LLM_FORMAT_32(q5_0, 5, 16, -1)
#define LLM_FORMAT_q5_1 LLM_FORMAT_32(q5_1, 5, 0, LLM_MIN(q5_1, m))
#define LLM_FORMAT_q8_0 LLM_FORMAT_32(q8_0, 8, 0, -1)
#define LLM_FORMAT_q2_K LLM_FORMAT_256(q2_K, 2, 0, 16, LLM_MIN(q2_K, dmin), llm_scales_q2_K)
#define LLM_FORMAT_q3_K LLM_FORMAT_256(q3_K, 3, 4, 16, -1, llm_scales_q3_K)
#define LLM_FORMAT_q4_K LLM_FORMAT_256(q4_K, 4, 0, 32, LLM_MIN(q4_K, dmin), llm_scales_k4)
#define LLM_FORMAT_q5_K LLM_FORMAT_256(q5_K, 5, 0, 32, LLM_MIN(q5_K, dmin), llm_scales_k4)
#define LLM_FORMAT_q6_K LLM_FORMAT_256(q6_K, 6, 32, 16, -1, llm_scales_q6_K)

/* X(name, TYPE) for every quantized format, and for those that have a packed layout. */
#define LLM_FORMATS_32(X) X(q4_0, Q4_0) X(q4_1, Q4_1) X(q5_0, Q5_0) X(q5_1, Q5_1) X(q8_0, Q8_0)
#define LLM_FORMATS_256(X) X(q2_K, Q2_K) X(q3_K, Q3_K) X(q4_K, Q4_K) X(q5_K, Q5_K) X(q6_K, Q6_K)
#define LLM_FORMATS_PACKED(X) LLM_FORMATS_32(X) X(q4_K, Q4_K) X(q5_K, Q5_K) X(q6_K, Q6_K)

#endif
