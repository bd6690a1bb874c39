/*
 * SPDX-License-Identifier: ISC
 *
 * Quantized products of one token or two straight from the packed layout, as fast as memory gives the
 * weights: each vector of weights goes from there through its unpacking to the multiplications.  Four
 * units go side by side, block after block, so that a load of activations serves them all.
 * A wide vector takes two adjacent groups of columns of one unit, so that it is one load; its halves are
 * added, those of two units together, before the floats.
 * Included once for each instruction set and width; T tokens are a constant.
 */
#ifndef LLM_KERNELS_X86_PRODUCT_STREAM_H
#define LLM_KERNELS_X86_PRODUCT_STREAM_H

#include "libcore/kernels/x86/product_streams.h"
#include "libcore/kernels/x86/product_x86.h"

enum {
	LLM_STREAM_TOKENS = 2,                       /* most */
	LLM_STREAM_FOLD = LLM_STREAMS / LLM_V_UNITS, /* vectors of floats, a lane a row */
};

/* What is in work. */
struct llm_stream {
	struct llm_act x;
	const int32_t *start; /* [tok][b_stride] the zero point's share of each block of 32 */
	struct llm_streams w;
	struct llm_packed_block b[LLM_STREAMS]; /* of each unit */
	llm_vf acc[LLM_STREAM_TOKENS][LLM_STREAM_FOLD];
};

/* Sums of each token and unit. */
struct llm_stream_sums {
	llm_vi of[LLM_STREAM_TOKENS][LLM_STREAMS];
};

LLM_INLINE void
llm_stream_zero(struct llm_stream_sums *s, const int T)
{
	for (int t = 0; t < T; t++)
		for (int u = 0; u < LLM_STREAMS; u++)
			s->of[t][u] = llm_v_zero();
}

/* Activations of the groups that one vector of weights holds. */
LLM_INLINE llm_vi
llm_stream_x(const int8_t *a)
{
	llm_vi x = llm_v_broadcast(a);
#ifdef LLM_WIDE
	x = _mm512_mask_set1_epi32(x, 0xff00, (int)llm_load32(a + 4));
#endif
	return x;
}

/* Weights of columns [4 g, 4 g + 4) of a block, or of a half of Q6_K; wide, of the next four above. */
LLM_INLINE llm_vi
llm_stream_group(struct llm_format f, struct llm_packed_block b, const int g)
{
	b.unit = 32;
#ifdef LLM_WIDE
	if (f.block == 32 && f.bits == 5) { /* whose upper bits stand in one vector */
		const __m512i next =
		    _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi32(1), 1);
		__m512i high = _mm512_srlv_epi32(llm_v_rows(b.high, 0), next);
		f.bits = 4;
		return llm_v_or(llm_packed_group(f, b, g), llm_v_bit(high, g, 4));
	}
#endif
	return llm_packed_group(f, b, g);
}

/*
 * Whether dots are summed in int16, two a lane: without VPDPBUSD, and of six bits, whose integer scales then
 * come with the widening.  A sum of two bytes' products of six bits is at most 2 * 63 * 127 = 16002: two fit
 * from zero, and four from minus the zero point's share, 8 * 32 * 127 = 32512; see avx2/product_panel.c.
 */
LLM_INLINE bool
llm_stream_words(struct llm_format f)
{
#ifdef LLM_VNNI
	return f.bits == 6;
#else
	(void)f;
	return true;
#endif
}

/* sum += the dots of groups [g, g + n) with their activations, those of the first token at a. */
LLM_INLINE void
llm_stream_dots(struct llm_stream_sums *sum, const struct llm_stream *s, struct llm_format f,
    const int T, const int8_t *a, const int g, const int n)
{
	for (int i = 0; i < n; i += LLM_V_UNITS) {
		llm_vi x[LLM_STREAM_TOKENS];
		for (int t = 0; t < T; t++)
			x[t] = llm_stream_x(a + (size_t)t * s->x.q_stride + 4 * i);
		for (int u = 0; u < LLM_STREAMS; u++) {
			llm_vi w = llm_stream_group(f, s->b[u], g + i);
			for (int t = 0; t < T; t++) {
				llm_vi *to = &sum->of[t][u];
#ifdef LLM_VNNI
				if (!llm_stream_words(f)) {
					*to = llm_v_dot8(*to, w, x[t]);
					continue;
				}
#endif
				*to = LLM_V(add_epi16)(*to, LLM_V(maddubs_epi16)(w, x[t]));
				llm_v_keep(*to); /* or compilers reorder the chain, and spill */
			}
		}
	}
}

/* Where words start: at the zero point's share of sub `at`, if halves of a wide vector are not to share it. */
LLM_INLINE void
llm_stream_start(struct llm_stream_sums *sum, const struct llm_stream *s, struct llm_format f,
    const int T, int at)
{
	llm_stream_zero(sum, T);
	for (int t = 0; t < T && f.zero != 0 && LLM_V_UNITS == 1; t++) {
		const int16_t *nsum = s->x.nsum + ((size_t)t * s->x.b_stride + (size_t)at) * 2;
		llm_vi v =
		    LLM_V(slli_epi16)(llm_v_broadcast(nsum), __builtin_ctz((unsigned)f.zero));
		for (int u = 0; u < LLM_STREAMS; u++)
			sum->of[t][u] = v;
	}
}

/* Vectors of a unit become vectors of rows: the halves of wide ones are added. */
LLM_INLINE void
llm_stream_rows(struct llm_stream_sums *sum, const int T)
{
#ifdef LLM_WIDE
	for (int t = 0; t < T; t++)
		for (int v = 0; v < LLM_STREAM_FOLD; v++) {
			llm_vi a = sum->of[t][2 * v], b = sum->of[t][2 * v + 1];
			sum->of[t][v] = _mm512_add_epi32(
			    _mm512_shuffle_i64x2(a, b, 0x44), _mm512_shuffle_i64x2(a, b, 0xee));
		}
#else
	(void)sum, (void)T;
#endif
}

#ifndef LLM_VNNI
/*
 * The dots of a block of 32 by AVX2.  Eight bits are multiplied as |w| * (x with the sign of w):
 * 2 * 128 * 127 = 32512 fits, as x is never -128.
 */
LLM_INLINE void
llm_stream_words32(struct llm_stream_sums *sum, const struct llm_stream *s, struct llm_format f,
    const int T, int at)
{
	const __m256i ones = _mm256_set1_epi16(1), flip = _mm256_set1_epi8(-128);
	const int n = f.bits == 8 ? 1 : f.bits == 5 && f.zero == 0 ? 4 : 8;
	const int8_t *a = s->x.q + (size_t)at * 32;
	llm_stream_zero(sum, T);
	for (int g = 0; g < 8; g += n) {
		struct llm_stream_sums word;
		if (f.bits != 8) {
			llm_stream_start(&word, s, f, T, at);
			llm_stream_dots(&word, s, f, T, a + 4 * g, g, n);
		}
		for (int u = 0; u < LLM_STREAMS; u++) {
			llm_vi w = flip, size = w;
			if (f.bits == 8) {
				w = llm_v_xor(llm_stream_group(f, s->b[u], g), flip);
				size = _mm256_abs_epi8(w);
			}
			for (int t = 0; t < T; t++) {
				llm_vi x =
				    llm_v_broadcast(a + (size_t)t * s->x.q_stride + 4 * g);
				if (f.bits == 8)
					word.of[t][u] =
					    _mm256_maddubs_epi16(size, _mm256_sign_epi8(x, w));
				sum->of[t][u] = _mm256_add_epi32(
				    sum->of[t][u], _mm256_madd_epi16(word.of[t][u], ones));
				llm_v_keep(sum->of[t][u]);
			}
		}
	}
}
#endif

/* Block i of a span of n of 32, block `at` of the row. */
LLM_INLINE void
llm_stream_block32(
    struct llm_stream *s, struct llm_format f, const int T, int at, const int i, const int n)
{
	struct llm_stream_sums sum;
	for (int u = 0; u < LLM_STREAMS; u++)
		s->b[u] = llm_packed_at(f, s->w.w[u], 0, i, n);
#ifdef LLM_VNNI
	llm_stream_zero(&sum, T);
	llm_stream_dots(&sum, s, f, T, s->x.q + (size_t)at * 32, 0, 8);
	llm_stream_rows(&sum, T);
#else
	llm_stream_words32(&sum, s, f, T, at);
#endif
	for (int v = 0; v < LLM_STREAM_FOLD; v++) {
		struct llm_packed_block row = llm_streams_rows(&s->w, f, v, i, n);
		llm_vf d = llm_v_halves(row.d, row.unit), m = d;
		if (f.m_at >= 0)
			m = llm_v_halves(row.m, row.unit);
		for (int t = 0; t < T; t++) {
			size_t k = (size_t)t * s->x.d_stride + (size_t)at;
			llm_vi isum = sum.of[t][v];
#ifdef LLM_VNNI
			if (f.zero != 0)
				isum = LLM_V(add_epi32)(isum,
				    llm_v_broadcast(
					s->start + (size_t)t * s->x.b_stride + (size_t)at));
#endif
			s->acc[t][v] =
			    LLM_V(fmadd_ps)(LLM_V(mul_ps)(d, LLM_V(set1_ps)(s->x.d[k])),
				LLM_V(cvtepi32_ps)(isum), s->acc[t][v]);
			if (f.m_at >= 0)
				s->acc[t][v] =
				    LLM_V(fmadd_ps)(m, LLM_V(set1_ps)(s->x.s[k]), s->acc[t][v]);
		}
	}
}

/*
 * isum += sub j of a block of 256, or of a half of Q6_K, sub `at` of the row: j is a constant.  scales: of
 * each unit, of four subs.
 */
LLM_INLINE void
llm_stream_sub(struct llm_stream_sums *isum, llm_vi scales[LLM_STREAMS],
    const struct llm_stream *s, struct llm_format f, const int T, const int j, int at)
{
	const bool words = llm_stream_words(f);
	const int n = llm_panel_sub(f) / 4, n_step = words && f.bits == 5 ? 4 : n;
	for (int u = 0; u < LLM_STREAMS && j % 4 == 0; u++) {
		struct llm_packed_block b = s->b[u];
		b.unit = 0; /* for both halves of a wide vector */
		scales[u] = llm_packed_scales(f, b, j / 4);
	}
	for (int g = 0; g < n; g += n_step) {
		const int8_t *a = s->x.q + at * n * 4 + 4 * g;
		struct llm_stream_sums sum;
		if (words)
			llm_stream_start(&sum, s, f, T, at);
		else
			llm_stream_zero(&sum, T);
		llm_stream_dots(&sum, s, f, T, a, j * n + g, n_step);
		for (int u = 0; u < LLM_STREAMS; u++) {
			llm_vi v = words ? llm_packed_both16(f, scales[u], j % 4, j % 4)
					 : llm_packed_scale32(f, scales[u], j % 4);
			for (int t = 0; t < T; t++)
				isum->of[t][u] =
				    words ? llm_v_dot16(isum->of[t][u], sum.of[t][u], v)
					  : LLM_V(add_epi32)(isum->of[t][u],
						LLM_V(mullo_epi32)(sum.of[t][u], v));
		}
	}
}

/* isum of block `at`. */
LLM_INLINE void
llm_stream_sums256(struct llm_stream_sums *isum, struct llm_stream *s, struct llm_format f,
    const int T, int at)
{
	const int n = f.bits == 6 ? 16 : 8;
	llm_vi scales[LLM_STREAMS];
	for (int u = 0; u < LLM_STREAMS; u++)
		s->b[u] = llm_packed_at(f, s->w.w[u], 0, 0, 1);
	llm_stream_zero(isum, T);
	/* Written out, as compilers leave a loop. */
#define SUB(j)                                               \
	llm_streams_fetch(&s->w, f, 0, LLM_STREAMS, (j), n), \
	    llm_stream_sub(isum, scales, s, f, T, (j) % 8, at * n + (j))
	SUB(0), SUB(1), SUB(2), SUB(3), SUB(4), SUB(5), SUB(6), SUB(7);
	if (n == 16) {
		for (int u = 0; u < LLM_STREAMS; u++)
			s->b[u] = llm_packed_second(s->b[u]);
		SUB(8), SUB(9), SUB(10), SUB(11), SUB(12), SUB(13), SUB(14), SUB(15);
	}
#undef SUB
	llm_stream_rows(isum, T);
}

/* Sums of n pairs of activation sums with what stands in pair[]. */
LLM_INLINE llm_vi
llm_stream_pairs(const llm_vi *pair, const int16_t *sums, const int n)
{
	llm_vi sum = llm_v_zero();
	for (int j = 0; j < n; j++)
		sum = llm_v_dot16(sum, pair[j], llm_v_broadcast(sums + 2 * j));
	return sum;
}

/* A block of 256, block `at` of the row. */
LLM_INLINE void
llm_stream_block256(struct llm_stream *s, struct llm_format f, const int T, int at)
{
	const bool share =
	    f.bits == 6 && LLM_V_UNITS > 1; /* of the zero point, not in the sums yet */
	struct llm_stream_sums isum;
	llm_stream_sums256(&isum, s, f, T, at);
	for (int v = 0; v < LLM_STREAM_FOLD; v++) {
		struct llm_packed_block row = llm_streams_rows(&s->w, f, v, 0, 1);
		llm_vf d = llm_v_halves(row.d, row.unit), m = d;
		llm_vi pair[8];
		if (f.m_at >= 0)
			m = llm_v_halves(row.m, row.unit);
		for (int j = 0; j < 8; j++)
			if (share || (f.m_at >= 0 && j < 4))
				pair[j] = llm_packed_both16(f,
				    share ? llm_packed_scales(f, row, j / 2)
					  : llm_packed_minima(row, j / 2),
				    j % 2 * 2, j % 2 * 2 + 1);
		for (int t = 0; t < T; t++) {
			size_t k = (size_t)t * s->x.b_stride + (size_t)at * 16;
			llm_vi sum = isum.of[t][v];
			if (share)
				sum = LLM_V(sub_epi32)(
				    sum, LLM_V(slli_epi32)(
					     llm_stream_pairs(pair, s->x.bsum + k, 8), 5));
			llm_vf z = LLM_V(mul_ps)(d, LLM_V(cvtepi32_ps)(sum));
			if (f.m_at >= 0)
				z = LLM_V(fnmadd_ps)(m,
				    LLM_V(cvtepi32_ps)(
					llm_stream_pairs(pair, s->x.pair + k / 2, 4)),
				    z);
			float dx = s->x.d[(size_t)t * s->x.d_stride + (size_t)at];
			s->acc[t][v] = LLM_V(fmadd_ps)(LLM_V(set1_ps)(dx), z, s->acc[t][v]);
		}
	}
}

/* Four units over all columns. */
LLM_INLINE void
llm_stream_units(struct llm_stream *s, struct llm_format f, const int T)
{
	const int most = f.block == 32 ? 4 : 1, n_block = s->x.n_block;
	int b = 0;
	for (; b + most <= n_block; b += most) {
		if (f.block == 256)
			llm_stream_block256(s, f, T, b);
		for (int i = 0; f.block == 32 && i < 4; i++) {
			llm_streams_fetch(&s->w, f, 0, LLM_STREAMS, i, 4);
			llm_stream_block32(s, f, T, b + i, i, 4);
		}
		llm_streams_next(&s->w, f);
	}
	for (int i = 0, left = n_block - b; f.block == 32 && i < left; i++)
		llm_stream_block32(s, f, T, b + i, i, left);
}

/* Rows [row0, row1) of a product of T tokens. */
LLM_INLINE void
llm_stream_run(const struct llm_product *p, int row0, int row1, void *scratch,
    const struct llm_format f, const int T)
{
	struct llm_stream s = {.x = *p->x, .start = scratch};
#ifdef LLM_VNNI
	if (f.block == 32 && f.zero != 0)
		llm_streams_starts(scratch, s.x.bsum, (size_t)T * s.x.b_stride, f.zero);
#endif
	for (int i = 0; llm_streams_begin(&s.w, p, f, row0, row1, i); i++) {
		float y[8 * LLM_STREAMS];
		for (int t = 0; t < T; t++)
			for (int v = 0; v < LLM_STREAM_FOLD; v++)
				s.acc[t][v] = llm_v_as_float(llm_v_zero());
		llm_stream_units(&s, f, T);
		for (int t = 0; t < T; t++) {
			for (int v = 0; v < LLM_STREAM_FOLD; v++)
				LLM_V(storeu_ps)(y + v * LLM_V_LANES, s.acc[t][v]);
			for (int u = 0; u < s.w.n; u++)
				memcpy(p->y + (size_t)t * p->y_stride + s.w.row[u], y + 8 * u,
				    8 * sizeof *y);
		}
	}
}

#endif
