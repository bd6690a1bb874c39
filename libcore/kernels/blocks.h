/*
 * SPDX-License-Identifier: ISC
 *
 * The blocks of quantized weights as GGUF stores them, little-endian and unaligned: structs of bytes,
 * and the few accessors that every instruction set shares.  Which element a nibble or bit belongs to
 * is said at each struct; k counts elements from the start of the block.
 */
#ifndef LLM_KERNELS_BLOCKS_H
#define LLM_KERNELS_BLOCKS_H

#include <stdint.h>
#include <string.h>

/* Blocks of 32: d and m are halves.  Byte i of qs holds k = i (low nibble) and k = i + 16 (high). */
struct llm_block_q4_0 { /* d * (q - 8) */
	uint8_t d[2], qs[16];
};
struct llm_block_q4_1 { /* d * q + m */
	uint8_t d[2], m[2], qs[16];
};
struct llm_block_q5_0 { /* d * (q - 16); bit k of qh is the fifth bit of k */
	uint8_t d[2], qh[4], qs[16];
};
struct llm_block_q5_1 { /* d * q + m */
	uint8_t d[2], m[2], qh[4], qs[16];
};
struct llm_block_q8_0 { /* d * q */
	uint8_t d[2];
	int8_t qs[32];
};

/*
 * Blocks of 256.  Two-bit fields (qs of Q2_K and Q3_K, qh of Q6_K): byte i of the half h holds
 * k = 128 h + i + 32 s in bits 2s and 2s + 1, i < 32.
 */
struct llm_block_q2_K { /* (d * sc) * q - dmin * m by 16; scales: sc low nibble, m high */
	uint8_t scales[16], qs[64], d[2], dmin[2];
};
struct
    llm_block_q3_K { /* d * (sc - 32) * (q - 4) by 16; bit k / 32 of hmask[k % 32] is q's third bit */
	uint8_t hmask[32], qs[64], scales[12], d[2];
};
struct
    llm_block_q4_K { /* (d * sc) * q - dmin * m by 32; byte 32 j + i of qs: k = 64 j + i, + 32 */
	uint8_t d[2], dmin[2], scales[12], qs[128];
};
struct llm_block_q5_K { /* as Q4_K; bit k / 32 of qh[k % 32] is the fifth bit */
	uint8_t d[2], dmin[2], scales[12], qh[32], qs[128];
};
struct
    llm_block_q6_K { /* d * sc * (q - 32) by 16; byte 64 h + i of ql: k = 128 h + i, + 64; i < 64 */
	uint8_t ql[128], qh[64];
	int8_t scales[16];
	uint8_t d[2];
};

_Static_assert(sizeof(struct llm_block_q4_0) == 18, "Q4_0");
_Static_assert(sizeof(struct llm_block_q4_1) == 20, "Q4_1");
_Static_assert(sizeof(struct llm_block_q5_0) == 22, "Q5_0");
_Static_assert(sizeof(struct llm_block_q5_1) == 24, "Q5_1");
_Static_assert(sizeof(struct llm_block_q8_0) == 34, "Q8_0");
_Static_assert(sizeof(struct llm_block_q2_K) == 84, "Q2_K");
_Static_assert(sizeof(struct llm_block_q3_K) == 110, "Q3_K");
_Static_assert(sizeof(struct llm_block_q4_K) == 144, "Q4_K");
_Static_assert(sizeof(struct llm_block_q5_K) == 176, "Q5_K");
_Static_assert(sizeof(struct llm_block_q6_K) == 210, "Q6_K");

static inline uint16_t
llm_block_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t
llm_block_u32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/*
 * llm_block_f16 - the half at p, exactly.  The exponent and fraction move into place, and one exact
 * multiplication by 2^112 corrects the bias, subnormal halves included; infinities and NaN keep an
 * all-ones exponent.
 */
static inline float
llm_block_f16(const uint8_t *p)
{
	uint32_t h = llm_block_u16(p), bits = (h & 0x7fff) << 13;
	float f;
	memcpy(&f, &bits, 4);
	f *= 0x1p112f;
	memcpy(&bits, &f, 4);
	if ((h & 0x7c00) == 0x7c00)
		bits |= 0x7f800000;
	bits |= (h & 0x8000) << 16;
	memcpy(&f, &bits, 4);
	return f;
}

/* The eight 6-bit scales and minima of Q4_K and Q5_K, packed in twelve bytes. */
static inline void
llm_block_scales_k4(uint8_t sc[8], uint8_t m[8], const uint8_t s[12])
{
	for (int j = 0; j < 4; j++) {
		sc[j] = s[j] & 63;
		m[j] = s[j + 4] & 63;
		sc[j + 4] = (uint8_t)((s[j + 8] & 15) | (s[j] >> 6) << 4);
		m[j + 4] = (uint8_t)(s[j + 8] >> 4 | (s[j + 4] >> 6) << 4);
	}
}

/* The sixteen 6-bit scales of Q3_K less 32. */
static inline void
llm_block_scales_q3(int8_t sc[16], const uint8_t s[12])
{
	for (int j = 0; j < 16; j++) {
		int low = j < 8 ? s[j] & 15 : s[j - 8] >> 4;
		int high = s[8 + j % 4] >> (2 * (j / 4)) & 3;
		sc[j] = (int8_t)((low | high << 4) - 32);
	}
}

#endif
