/*
 * SPDX-License-Identifier: ISC
 *
 * The packed layout (libcore/packed.h) as vectors: eight rows are eight lanes, and a wide vector takes two
 * units.  Few tokens are multiplied straight from it (product_few.h); for many it is spread into a panel.
 */
#ifndef LLM_KERNELS_X86_PRODUCT_PACKED_H
#define LLM_KERNELS_X86_PRODUCT_PACKED_H

#include "libcore/kernels/x86/product_panel.h"
#include "libcore/kernels/x86/wide.h"

/* X(name, TYPE) for every format that has a packed layout. */
#define LLM_FORMATS_PACKED(X) LLM_FORMATS_32(X) X(q4_K, Q4_K) X(q5_K, Q5_K) X(q6_K, Q6_K)

/* The fields of one block of eight rows; of a wide vector's next eight, `unit` bytes further. */
struct llm_packed_block {
	const uint8_t *d, *m, *scale, *high, *q;
	size_t unit;
};

/* Block i of a span of n. */
LLM_INLINE struct llm_packed_block
llm_packed_at(struct llm_format f, const uint8_t *span, size_t unit, int i, int n)
{
	const int min = f.m_at >= 0 ? 16 : 0;
	const int scale = f.block == 32 ? 0 : f.scales == llm_scales_k4 ? 96 : 128;
	const int high = f.bits == 5 ? f.block : f.bits == 6 ? 2 * f.block : 0;
	const int q = f.bits == 8 ? 8 * f.block : 4 * f.block;
	struct llm_packed_block b;
	b.d = span + i * 16;
	b.m = span + n * 16 + i * min;
	b.scale = span + n * (16 + min) + i * scale;
	b.high = span + n * (16 + min + scale) + i * high;
	b.q = span + n * (16 + min + scale + high) + i * q;
	b.unit = unit;
	return b;
}

/* Of Q6_K, whose two halves are alike, the second. */
LLM_INLINE struct llm_packed_block
llm_packed_second(struct llm_packed_block b)
{
	b.scale += 64;
	b.high += 256;
	b.q += 512;
	return b;
}

/*
 * The weights of columns [4 g, 4 g + 4) of a block, or of a half of Q6_K, unsigned: a lane a row.
 * Which vector and which bits follows from blocks.h.  The shifts should be constants: where g is.
 */
LLM_INLINE llm_vi
llm_packed_group(struct llm_format f, struct llm_packed_block b, int g)
{
	if (f.block == 32 && f.bits == 8)
		return llm_v_xor(llm_v_rows(b.q + g * 32, b.unit), LLM_V(set1_epi8)(-128));
	if (f.block == 32) {
		llm_vi w = llm_v_field(llm_v_rows(b.q + g % 4 * 32, b.unit), g / 4 * 4, 15);
		if (f.bits == 5)
			w = llm_v_or(w, llm_v_bit(llm_v_rows(b.high, b.unit), g, 4));
		return w;
	}
	if (f.bits == 6) {
		llm_vi low = llm_v_rows(b.q + g % 16 * 32, b.unit);
		llm_vi two = llm_v_rows(b.high + g % 8 * 32, b.unit);
		if (g / 8 != 2)
			two = g / 8 < 2 ? LLM_V(slli_epi16)(two, 4 - g / 8 * 2)
					: LLM_V(srli_epi16)(two, g / 8 * 2 - 4);
		return llm_v_or(
		    llm_v_field(low, g / 16 * 4, 15), llm_v_and(two, LLM_V(set1_epi8)(0x30)));
	}
	llm_vi w =
	    llm_v_field(llm_v_rows(b.q + (g / 16 * 8 + g % 8) * 32, b.unit), g / 8 % 2 * 4, 15);
	if (f.bits == 5)
		w = llm_v_or(w, llm_v_bit(llm_v_rows(b.high + g % 8 * 32, b.unit), g / 8, 4));
	return w;
}

/*
 * Scales [4 i, 4 i + 4) of each row as bytes, a lane a row; of minima the same.  Of Q4_K and Q5_K the
 * twelve bytes are three such vectors, with the upper bits of the last four in the first two.
 */
LLM_INLINE llm_vi
llm_packed_scales(struct llm_format f, struct llm_packed_block b, int i)
{
	if (f.bits == 6)
		return llm_v_rows(b.scale + i * 32, b.unit);
	llm_vi v = llm_v_rows(b.scale, b.unit);
	if (i == 0)
		return llm_v_field(v, 0, 63);
	return llm_v_or(
	    llm_v_field(llm_v_rows(b.scale + 64, b.unit), 0, 15), llm_v_field(v, 2, 0x30));
}

LLM_INLINE llm_vi
llm_packed_minima(struct llm_packed_block b, int i)
{
	llm_vi v = llm_v_rows(b.scale + 32, b.unit);
	if (i == 0)
		return llm_v_field(v, 0, 63);
	return llm_v_or(
	    llm_v_field(llm_v_rows(b.scale + 64, b.unit), 4, 15), llm_v_field(v, 2, 0x30));
}

/* Byte j of each lane as int32, signed where the format's are. */
LLM_INLINE llm_vi
llm_packed_scale32(struct llm_format f, llm_vi v, int j)
{
	if (f.bits == 6)
		return LLM_V(srai_epi32)(LLM_V(slli_epi32)(v, 24 - 8 * j), 24);
	return llm_v_pick(v, 0x80808000u + (uint32_t)j);
}

/* Bytes i and j of each lane as int16 beside each other, likewise. */
LLM_INLINE llm_vi
llm_packed_both16(struct llm_format f, llm_vi v, int i, int j)
{
	uint32_t both = (uint32_t)j << 16 | (uint32_t)i;
	if (f.bits == 6)
		return LLM_V(srai_epi16)(llm_v_pick(v, 0x00800080u | both << 8), 8);
	return llm_v_pick(v, 0x80008000u | both);
}

/* One block into lanes [lane, lane + 8) of a panel, or + 16. */
LLM_INLINE void
llm_packed_spread(struct llm_panel *s, struct llm_format f, struct llm_packed_block at, int b,
    int lane, const int n_lane)
{
	int32_t *w = (int32_t *)s->w + b * f.block / 4 * n_lane + lane;
	for (int g = 0; g < f.block / 4; g++, w += n_lane) {
		llm_vi v = f.bits == 6 && g >= 32
			       ? llm_packed_group(f, llm_packed_second(at), g - 32)
			       : llm_packed_group(f, at, g);
		if (f.bits == 8 && LLM_PANEL_WORDS) { /* as llm_panel_widen */
			v = llm_v_xor(v, LLM_V(set1_epi8)(-128));
			w = (int32_t *)s->w + (b * 8 + g) * 2 * n_lane + lane;
			*(llm_vi *)w = LLM_V(srai_epi16)(LLM_V(slli_epi16)(v, 8), 8);
			*(llm_vi *)(w + n_lane) = LLM_V(srai_epi16)(v, 8);
		} else {
			*(llm_vi *)w = v;
		}
	}
	*(llm_vf *)(s->d + b * n_lane + lane) = llm_v_halves(at.d, at.unit);
	if (f.m_at >= 0)
		*(llm_vf *)(s->m + b * n_lane + lane) = llm_v_halves(at.m, at.unit);
	if (f.block == 32)
		return;
	const int n_sub = 256 / llm_panel_sub(f);
	for (int j = 0; j < n_sub; j++) {
		llm_vi v = llm_packed_scales(f, at, j / 4);
		*(llm_vi *)(s->sc + (b * n_sub + j) * n_lane + lane) =
		    LLM_PANEL_WORDS ? llm_packed_both16(f, v, j % 4, j % 4)
				    : llm_packed_scale32(f, v, j % 4);
	}
	for (int j = 0; f.m_at >= 0 && j < 4; j++)
		*(llm_vi *)(s->min + (b * 4 + j) * n_lane + lane) = llm_packed_both16(
		    f, llm_packed_minima(at, j / 2), j % 2 * 2, j % 2 * 2 + 1);
}

/*
 * Of a panel of n_lane rows: the sum of minima times activation sums over block b of 256, which has n_pair pairs
 * of them; of token t and vector h of the rows.
 */
LLM_INLINE llm_vi
llm_panel_msum(
    const struct llm_panel *s, int t, int b, int h, const int n_pair, const int n_lane)
{
	llm_vi msum = llm_v_zero();
	const int16_t *sums =
	    n_pair == 4 ? s->x.pair + (size_t)t * s->x.b_stride / 2 + s->k0 / 32 + b * 8
			: s->x.bsum + (size_t)t * s->x.b_stride + s->k0 / 16 + b * 16;
	for (int j = 0; j < n_pair; j++)
		msum = llm_v_dot16(msum,
		    *(const llm_vi *)(s->min + (b * n_pair + j) * n_lane + h * LLM_V_LANES),
		    llm_v_broadcast(sums + 2 * j));
	return msum;
}

/* llm_panel_fill of a packed matrix; past row1 the last eight rows stand again. */
LLM_INLINE void
llm_packed_fill(struct llm_panel *s, const struct llm_product *p, struct llm_format f, int row0,
    int row1, const int n_lane)
{
	const int most = f.block == 32 ? 4 : 1;
	size_t row_bytes = (size_t)(p->n_col / f.block) * (size_t)f.bytes;
	for (int lane = 0; lane < n_lane; lane += LLM_V_LANES) {
		int r = row0 + lane < row1 ? row0 + lane : row1 - 8;
		size_t unit = r + 8 < row1 ? 8 * row_bytes : 0;
		const uint8_t *w = (const uint8_t *)p->w + (size_t)r * row_bytes +
				   (size_t)(s->k0 / f.block) * 8 * (size_t)f.bytes;
		int n_block = s->n_col / f.block;
		for (int b = 0; b < n_block; b += most, w += most * 8 * f.bytes) {
			int n = n_block - b < most ? n_block - b : most;
			for (int i = 0; i < n; i++)
				llm_packed_spread(
				    s, f, llm_packed_at(f, w, unit, i, n), b + i, lane, n_lane);
		}
	}
}

#endif
