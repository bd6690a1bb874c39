/*
 * SPDX-License-Identifier: ISC
 *
 * Quantized products of one to three tokens, straight from GGUF's order.  Four rows at a time, which
 * are the four lanes of the float sums: each row's block leaves a vector of partial integer sums, and
 * pairwise additions put the totals of the four rows side by side.
 * Included once for each instruction set; see dot.h.
 */
#ifndef LLM_KERNELS_ARM_PRODUCT_ROWS_H
#define LLM_KERNELS_ARM_PRODUCT_ROWS_H

#include "libcore/kernels/arm/dot.h"
#include "libcore/kernels/arm/product_unpack.h"

enum { LLM_ROWS_TOKENS = 3 };

/* Partial sums of one block: [tok][row]. */
struct llm_rows {
	int32x4_t isum[LLM_ROWS_TOKENS][4], msum[LLM_ROWS_TOKENS][4];
};

/* Lane r: the sum of the four lanes of v[r]. */
LLM_INLINE int32x4_t
llm_sum_four(const int32x4_t v[4])
{
	return vpaddq_s32(vpaddq_s32(v[0], v[1]), vpaddq_s32(v[2], v[3]));
}

/* The halves at `offset` of four blocks. */
LLM_INLINE float32x4_t
llm_rows_halves(const uint8_t *const w[4], int offset)
{
	uint8_t half[8];
	for (int r = 0; r < 4; r++)
		memcpy(half + 2 * r, w[r] + offset, 2);
	return llm_halves(half);
}

/* Row r's block b of 32. */
LLM_INLINE void
llm_rows_block32(struct llm_rows *s, const struct llm_act *x, struct llm_format f,
    const uint8_t *w, int b, int r, const int n_tok)
{
	int8x16_t q[2];
	f.unpack(q, w);
	for (int t = 0; t < n_tok; t++) {
		const int8_t *a = x->q + (size_t)t * x->q_stride + (size_t)b * 32;
		int32x4_t v = llm_dot(vdupq_n_s32(0), q[0], vld1q_s8(a));
		s->isum[t][r] = llm_dot(v, q[1], vld1q_s8(a + 16));
	}
}

/* The four integer sums of subs [4 j, 4 j + 4), side by side. */
LLM_INLINE int32x4_t
llm_rows_subs(const int8x16_t q[16], const int8_t *a, int j, const int sub)
{
	const int n = sub / 16;
	int32x4_t v[4];
	for (int i = 0; i < 4; i++) {
		v[i] = vdupq_n_s32(0);
		for (int k = (4 * j + i) * n; k < (4 * j + i + 1) * n; k++)
			v[i] = llm_dot(v[i], q[k], vld1q_s8(a + 16 * k));
	}
	return llm_sum_four(v);
}

/* Partial sums of minima times the sums of activations, by 16 or pairs of them. */
LLM_INLINE int32x4_t
llm_rows_minima(int8x16_t min, const int16_t *bsum, const int sub)
{
	int16x8_t low = vld1q_s16(bsum), high = vld1q_s16(bsum + 8);
	int16x8_t m0 = vmovl_s8(vget_low_s8(min)), m1 = vmovl_high_s8(min);
	if (sub == 32)
		low = vpaddq_s16(low, high);
	int32x4_t v = vmull_s16(vget_low_s16(m0), vget_low_s16(low));
	v = vmlal_high_s16(v, m0, low);
	if (sub == 16) {
		v = vmlal_s16(v, vget_low_s16(m1), vget_low_s16(high));
		v = vmlal_high_s16(v, m1, high);
	}
	return v;
}

/* Row r's block b of 256. */
LLM_INLINE void
llm_rows_block256(struct llm_rows *s, const struct llm_act *x, struct llm_format f,
    const uint8_t *w, int b, int r, const int n_tok)
{
	int8x16_t q[16], sc, min;
	f.unpack(q, w);
	f.scales(&sc, &min, w);
	int16x8_t low = vmovl_s8(vget_low_s8(sc)), high = vmovl_high_s8(sc);
	int32x4_t scale[4] = {vmovl_s16(vget_low_s16(low)), vmovl_high_s16(low),
	    vmovl_s16(vget_low_s16(high)), vmovl_high_s16(high)};
	for (int t = 0; t < n_tok; t++) {
		const int8_t *a = x->q + (size_t)t * x->q_stride + (size_t)b * 256;
		const int16_t *bsum = x->bsum + (size_t)t * x->b_stride + (size_t)b * 16;
		int32x4_t isum = vdupq_n_s32(0);
		for (int j = 0; j < 64 / f.sub; j++)
			isum = vmlaq_s32(isum, llm_rows_subs(q, a, j, f.sub), scale[j]);
		s->isum[t][r] = isum;
		if (f.m_at >= 0)
			s->msum[t][r] = llm_rows_minima(min, bsum, f.sub);
	}
}

/* The float sums of token t after block b of four rows. */
LLM_INLINE float32x4_t
llm_rows_fold(float32x4_t acc, const struct llm_rows *s, const struct llm_act *x,
    struct llm_format f, const uint8_t *const w[4], int b, int t)
{
	size_t at = (size_t)t * x->d_stride + (size_t)b;
	float32x4_t d = llm_rows_halves(w, f.d_at), m = d;
	float32x4_t isum = vcvtq_f32_s32(llm_sum_four(s->isum[t]));
	if (f.m_at >= 0)
		m = llm_rows_halves(w, f.m_at);
	if (f.block == 32) {
		acc = vfmaq_f32(acc, vmulq_n_f32(d, x->d[at]), isum);
		return f.m_at < 0 ? acc : vfmaq_n_f32(acc, m, x->s[at]);
	}
	float32x4_t z = vmulq_f32(d, isum);
	if (f.m_at >= 0)
		z = vfmsq_f32(z, m, vcvtq_f32_s32(llm_sum_four(s->msum[t])));
	return vfmaq_n_f32(acc, z, x->d[at]);
}

/* Rows [row0, row1) of a product of n_tok tokens; format and count are constants. */
LLM_INLINE void
llm_rows_run(const struct llm_product *p, int row0, int row1, const struct llm_format f,
    const int n_tok)
{
	const struct llm_act x = *p->x;
	size_t row_bytes = (size_t)x.n_block * (size_t)f.bytes;
	for (int r0 = row0; r0 < row1; r0 += 4) {
		int n_row = row1 - r0 < 4 ? row1 - r0 : 4;
		const uint8_t *w[4]; /* past the end the last row stands again */
		float32x4_t acc[LLM_ROWS_TOKENS];
		for (int i = 0; i < 4; i++)
			w[i] = (const uint8_t *)p->w +
			       (size_t)(r0 + (i < n_row ? i : n_row - 1)) * row_bytes;
		for (int t = 0; t < n_tok; t++)
			acc[t] = vdupq_n_f32(0);
		for (int b = 0; b < x.n_block; b++) {
			struct llm_rows s;
			for (int i = 0; i < 4; i++) {
				if (f.block == 32)
					llm_rows_block32(&s, &x, f, w[i], b, i, n_tok);
				else
					llm_rows_block256(&s, &x, f, w[i], b, i, n_tok);
			}
			for (int t = 0; t < n_tok; t++)
				acc[t] = llm_rows_fold(acc[t], &s, &x, f, w, b, t);
			for (int i = 0; i < 4; i++)
				w[i] += f.bytes;
		}
		for (int t = 0; t < n_tok; t++)
			llm_store_some(p->y + (size_t)t * p->y_stride + r0, n_row, acc[t]);
	}
}

#define LLM_ROWS(name, type)                                                         \
	static void rows_##name(const struct llm_product *p, int row0, int row1)     \
	{                                                                            \
		if (p->x->n_tok == 1)                                                \
			llm_rows_run(p, row0, row1, LLM_FORMAT_##name, 1);           \
		else if (p->x->n_tok == 2)                                           \
			llm_rows_run(p, row0, row1, LLM_FORMAT_##name, 2);           \
		else                                                                 \
			llm_rows_run(p, row0, row1, LLM_FORMAT_##name, 3);           \
	}
LLM_FORMATS_32(LLM_ROWS)
LLM_FORMATS_256(LLM_ROWS)

/* At most LLM_ROWS_TOKENS tokens, weights in GGUF's order. */
static void
llm_product_rows(const struct llm_product *p, int row0, int row1)
{
#define LLM_ENTRY(name, type) [LLM_DTYPE_##type] = rows_##name,
	static void (*const rows[LLM_DTYPE_MAX])(const struct llm_product *, int, int) = {
	    LLM_FORMATS_32(LLM_ENTRY) LLM_FORMATS_256(LLM_ENTRY)};
#undef LLM_ENTRY
	rows[p->type](p, row0, row1);
}

#endif
