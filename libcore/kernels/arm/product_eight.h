/*
 * SPDX-License-Identifier: ISC
 *
 * One block of eight rows against a few tokens: eight rows are two registers of four lanes, and a
 * group of four columns is one SDOT with the activations' four bytes in every lane.  The block
 * stands either packed (libcore/packed.h), and is taken apart as it is multiplied, or spread in a panel
 * (product_panel.h): all that differs is how a register of weights or scales is had.
 * h is the half of the rows, 0 or 1, everywhere.
 */
#ifndef LLM_KERNELS_ARM_PRODUCT_EIGHT_H
#define LLM_KERNELS_ARM_PRODUCT_EIGHT_H

#include "libcore/kernels/arm/dot.h"
#include "libcore/kernels/arm/product_unpack.h"

enum { LLM_EIGHT_TOKENS = 4 };

/*
 * The fields of one block of eight rows.  Packed: as packed.h says.  Spread: q [group][row][4] int8,
 * d and m [row] f32, scale [sub][row] int32, min [sub][row] int16.
 */
struct llm_eight {
	const uint8_t *d, *m, *scale, *min, *high, *q;
};

/* How a block stands, and its format: constants. */
struct llm_way {
	struct llm_format f;
	bool spread;
};

/* Block i of a packed span of n. */
LLM_INLINE struct llm_eight
llm_packed_at(struct llm_format f, const uint8_t *span, int i, int n)
{
	const int min = f.m_at >= 0 ? 16 : 0;
	const int scale = f.block == 32 ? 0 : f.sub == 32 ? 96 : 128;
	const int high = f.bits == 5 ? f.block : f.bits == 6 ? 2 * f.block : 0;
	const int q = f.bits == 8 ? 8 * f.block : 4 * f.block;
	struct llm_eight e;
	e.d = span + i * 16;
	e.m = span + n * 16 + i * min;
	e.scale = e.min = span + n * (16 + min) + i * scale;
	e.high = span + n * (16 + min + scale) + i * high;
	e.q = span + n * (16 + min + scale + high) + i * q;
	return e;
}

/*
 * The packed weights of group g of sub j, columns [f.sub * j + 4 g, + 4).  Which vector and which
 * bits follows from blocks.h.  g is a constant where it is called, j may be none.
 */
LLM_INLINE int8x16_t
llm_packed_group(struct llm_format f, const struct llm_eight *e, int j, int g, int h)
{
	const uint8_t *q = e->q + 16 * h, *high = e->high + 16 * h;
	if (f.bits == 8)
		return vreinterpretq_s8_u8(vld1q_u8(q + g * 32));
	uint8x16_t w, v;
	if (f.block == 32) {
		w = llm_field(vld1q_u8(q + g % 4 * 32), g / 4 * 4, 15);
		if (f.bits == 5)
			w = vorrq_u8(w, llm_bit(vld1q_u8(high), g, 4));
	} else if (f.bits == 6) {
		q += (j / 8 * 16 + j % 4 * 4) * 32;
		high += (j / 8 * 8 + j % 2 * 4) * 32;
		w = llm_field(vld1q_u8(q + g * 32), j / 4 % 2 * 4, 15);
		v = llm_field(vld1q_u8(high + g * 32), j / 2 % 4 * 2, 3);
		w = vorrq_u8(w, vshlq_n_u8(v, 4));
	} else {
		w = llm_field(vld1q_u8(q + (j / 2 * 8 + g) * 32), j % 2 * 4, 15);
		if (f.bits == 5)
			w = vorrq_u8(w, llm_bit(vld1q_u8(high + g * 32), j, 4));
	}
	return llm_less(w, f.zero);
}

/* Byte j of each lane as int32, with its sign. */
LLM_INLINE int32x4_t
llm_byte(uint8x16_t v, int j)
{
	int32x4_t x = vreinterpretq_s32_u8(v);
	return vshrq_n_s32(vshlq_s32(x, vdupq_n_s32(24 - 8 * j)), 24);
}

/*
 * The packed six-bit scales of Q4_K and Q5_K (at 0) or their minima (at 32): twelve bytes a row are three
 * vectors, of which the first two hold the upper bits of the last four.
 */
LLM_INLINE int32x4_t
llm_packed_six(const uint8_t *scale, int at, int j, int h)
{
	uint8x16_t v = vld1q_u8(scale + at + 16 * h);
	if (j < 4)
		return llm_byte(llm_field(v, 0, 63), j);
	uint8x16_t low = llm_field(vld1q_u8(scale + 64 + 16 * h), at / 8, 15);
	return llm_byte(vorrq_u8(low, llm_field(v, 2, 0x30)), j - 4);
}

/* Weights of group g of sub j. */
LLM_INLINE int8x16_t
llm_eight_group(struct llm_way way, const struct llm_eight *e, int j, int g, int h)
{
	if (way.spread)
		return vld1q_s8((const int8_t *)e->q + (j * way.f.sub / 4 + g) * 32 + 16 * h);
	return llm_packed_group(way.f, e, j, g, h);
}

LLM_INLINE float32x4_t
llm_eight_float(struct llm_way way, const uint8_t *field, int h)
{
	if (way.spread)
		return vreinterpretq_f32_u8(vld1q_u8(field + 16 * h));
	return llm_halves(field + 8 * h);
}

LLM_INLINE int32x4_t
llm_eight_scale(struct llm_way way, const struct llm_eight *e, int j, int h)
{
	if (way.spread)
		return vreinterpretq_s32_u8(vld1q_u8(e->scale + j * 32 + 16 * h));
	if (way.f.bits == 6)
		return llm_byte(vld1q_u8(e->scale + j / 4 * 32 + 16 * h), j % 4);
	return llm_packed_six(e->scale, 0, j, h);
}

LLM_INLINE int16x4_t
llm_eight_min(struct llm_way way, const struct llm_eight *e, int j, int h)
{
	if (way.spread)
		return vreinterpret_s16_u8(vld1_u8(e->min + j * 16 + 8 * h));
	return vmovn_s32(llm_packed_six(e->min, 32, j, h));
}

LLM_INLINE void
llm_eight_clear(int32x4_t sum[2][LLM_EIGHT_TOKENS], const int n_tok)
{
	for (int h = 0; h < 2; h++)
		for (int t = 0; t < n_tok; t++)
			sum[h][t] = vdupq_n_s32(0);
}

/* sum[h][tok] = the dots of sub j of a block, whose activations begin at a. */
LLM_INLINE void
llm_eight_dots(int32x4_t sum[2][LLM_EIGHT_TOKENS], struct llm_way way,
    const struct llm_eight *e, const int8_t *a, size_t stride, int j, const int n_tok)
{
	llm_eight_clear(sum, n_tok);
#pragma GCC unroll 2
	for (int k = 0; k < way.f.sub; k += 16) {
		int8x16_t x[LLM_EIGHT_TOKENS];
		for (int t = 0; t < n_tok; t++)
			x[t] = vld1q_s8(a + (size_t)t * stride + (size_t)(j * way.f.sub + k));
#pragma GCC unroll 4
		for (int g = 0; g < 4; g++)
#pragma GCC unroll 2
			for (int h = 0; h < 2; h++) {
				int8x16_t w = llm_eight_group(way, e, j, k / 4 + g, h);
				for (int t = 0; t < n_tok; t++)
					sum[h][t] = llm_dot_group(sum[h][t], w, x[t], g);
			}
	}
}

/* acc[h][tok] after block b of 32. */
LLM_INLINE void
llm_eight_block32(float32x4_t acc[2][LLM_EIGHT_TOKENS], const struct llm_act *x,
    struct llm_way way, const struct llm_eight *e, int t0, int b, const int n_tok)
{
	const int8_t *a = x->q + (size_t)t0 * x->q_stride + (size_t)b * 32;
	int32x4_t sum[2][LLM_EIGHT_TOKENS];
	llm_eight_dots(sum, way, e, a, x->q_stride, 0, n_tok);
	for (int h = 0; h < 2; h++) {
		float32x4_t d = llm_eight_float(way, e->d, h), m = d;
		if (way.f.m_at >= 0)
			m = llm_eight_float(way, e->m, h);
		for (int t = 0; t < n_tok; t++) {
			size_t at = (size_t)(t0 + t) * x->d_stride + (size_t)b;
			acc[h][t] = vfmaq_f32(
			    acc[h][t], vmulq_n_f32(d, x->d[at]), vcvtq_f32_s32(sum[h][t]));
			if (way.f.m_at >= 0)
				acc[h][t] = vfmaq_n_f32(acc[h][t], m, x->s[at]);
		}
	}
}

/* msum[h][tok] of a block of 256: minima times sums of activations. */
LLM_INLINE void
llm_eight_minima(int32x4_t msum[2][LLM_EIGHT_TOKENS], const struct llm_act *x,
    struct llm_way way, const struct llm_eight *e, int t0, int b, const int n_tok)
{
	int16_t sum[LLM_EIGHT_TOKENS][16];
	for (int t = 0; t < n_tok; t++) {
		const int16_t *from = x->bsum + (size_t)(t0 + t) * x->b_stride + (size_t)b * 16;
		int16x8_t low = vld1q_s16(from), high = vld1q_s16(from + 8);
		vst1q_s16(sum[t], way.f.sub == 32 ? vpaddq_s16(low, high) : low);
		vst1q_s16(sum[t] + 8, high);
	}
	llm_eight_clear(msum, n_tok);
	for (int j = 0; j < 256 / way.f.sub; j++)
		for (int h = 0; h < 2; h++) {
			int16x4_t min = llm_eight_min(way, e, j, h);
			for (int t = 0; t < n_tok; t++)
				msum[h][t] = vmlal_n_s16(msum[h][t], min, sum[t][j]);
		}
}

/* acc[h][tok] after block b of 256. */
LLM_INLINE void
llm_eight_block256(float32x4_t acc[2][LLM_EIGHT_TOKENS], const struct llm_act *x,
    struct llm_way way, const struct llm_eight *e, int t0, int b, const int n_tok)
{
	const int8_t *a = x->q + (size_t)t0 * x->q_stride + (size_t)b * 256;
	int32x4_t isum[2][LLM_EIGHT_TOKENS], msum[2][LLM_EIGHT_TOKENS];
	llm_eight_clear(isum, n_tok);
	for (int j = 0; j < 256 / way.f.sub; j++) {
		int32x4_t sum[2][LLM_EIGHT_TOKENS];
		llm_eight_dots(sum, way, e, a, x->q_stride, j, n_tok);
		for (int h = 0; h < 2; h++) {
			int32x4_t scale = llm_eight_scale(way, e, j, h);
			for (int t = 0; t < n_tok; t++)
				isum[h][t] = vmlaq_s32(isum[h][t], sum[h][t], scale);
		}
	}
	if (way.f.m_at >= 0)
		llm_eight_minima(msum, x, way, e, t0, b, n_tok);
	for (int h = 0; h < 2; h++) {
		float32x4_t d = llm_eight_float(way, e->d, h), m = d;
		if (way.f.m_at >= 0)
			m = llm_eight_float(way, e->m, h);
		for (int t = 0; t < n_tok; t++) {
			float32x4_t z = vmulq_f32(d, vcvtq_f32_s32(isum[h][t]));
			if (way.f.m_at >= 0)
				z = vfmsq_f32(z, m, vcvtq_f32_s32(msum[h][t]));
			acc[h][t] = vfmaq_n_f32(
			    acc[h][t], z, x->d[(size_t)(t0 + t) * x->d_stride + (size_t)b]);
		}
	}
}

/* acc[h][tok] after block b of tokens [t0, t0 + n_tok). */
LLM_INLINE void
llm_eight_block(float32x4_t acc[2][LLM_EIGHT_TOKENS], const struct llm_act *x,
    struct llm_way way, const struct llm_eight *e, int t0, int b, const int n_tok)
{
	if (way.f.block == 32)
		llm_eight_block32(acc, x, way, e, t0, b, n_tok);
	else
		llm_eight_block256(acc, x, way, e, t0, b, n_tok);
}

#endif
