/*
 * SPDX-License-Identifier: ISC
 *
 * Quantized products of some tokens straight from the packed layout: the weights of a sub (a block of 32,
 * or the columns of one integer scale of 256) become vectors once and stay in registers while the tokens
 * pass by.  Sums are integers inside a block and one fused float step a block in order.
 * Included once for each instruction set and width; where vectors are wide two of them stand beside each other,
 * so that a load of activations serves both.
 */
#ifndef LLM_KERNELS_X86_PRODUCT_FEW_H
#define LLM_KERNELS_X86_PRODUCT_FEW_H

#include "libcore/kernels/x86/product_streams.h"
#include "libcore/kernels/x86/product_x86.h"

enum {
	LLM_FEW_H = LLM_V_UNITS,               /* vectors of rows beside each other */
	LLM_FEW_V = LLM_STREAMS / LLM_V_UNITS, /* of all units in work */
#ifdef LLM_VNNI
	LLM_FEW_TILE =
	    4, /* tokens whose sums wait in registers; two vectors of each and 8 weights beside */
#else
	LLM_FEW_TILE = 1,
#endif
};

/* What of LLM_FEW_H vectors of rows is in work: pointers at the block of tokens. */
struct llm_few {
	const int8_t *q; /* [tok][q_stride], and so on as in struct llm_act */
	const float *d, *s;
	const int16_t *nsum;
	const int16_t *pair;  /* [tok][b_stride / 2] sums by 32 of kind Q256, for minima */
	const int32_t *start; /* [tok][b_stride] the zero point's share of each sub's sum */
	size_t q_stride, d_stride, b_stride;
	struct llm_streams w;
	int b;        /* the block in work */
	int v;        /* the first vector of rows in work */
	llm_vi *isum; /* [tok][LLM_FEW_H] of a block of 256 */
	llm_vf *acc;  /* [vectors / LLM_FEW_H][tok][LLM_FEW_H] */
};

/* A sub of them. */
struct llm_few_sub {
	llm_vi w[LLM_FEW_H][8];
	llm_vi scale[LLM_FEW_H];           /* of 256: int32, or int16 twice without VNNI */
	llm_vf d[LLM_FEW_H], m[LLM_FEW_H]; /* of 32 */
	int at;                            /* its number in the row */
};

/* sum[i][h] = the dots of k tokens from t on with the n groups of a sub. */
#ifdef LLM_VNNI
LLM_INLINE void
llm_few_dots(llm_vi sum[LLM_FEW_TILE][LLM_FEW_H], const struct llm_few *s,
    const struct llm_few_sub *sub, struct llm_format f, int t, const int k)
{
	const int n = f.block == 32 ? 8 : llm_panel_sub(f) / 4;
	const int8_t *a = s->q + (size_t)t * s->q_stride + sub->at * n * 4;
	for (int i = 0; i < k; i++)
		for (int h = 0; h < LLM_FEW_H; h++)
			sum[i][h] =
			    f.zero == 0
				? llm_v_zero()
				: llm_v_broadcast(
				      s->start + (size_t)(t + i) * s->b_stride + sub->at);
	for (int g = 0; g < n; g++)
		for (int i = 0; i < k; i++) {
			llm_vi x = llm_v_broadcast(a + (size_t)i * s->q_stride + 4 * g);
			for (int h = 0; h < LLM_FEW_H; h++)
				sum[i][h] = llm_v_dot8(sum[i][h], sub->w[h][g], x);
		}
	for (int i = 0; f.block == 256 && i < k; i++)
		for (int h = 0; h < LLM_FEW_H; h++)
			sum[i][h] = LLM_V(mullo_epi32)(sum[i][h], sub->scale[h]);
}
#else
/*
 * In int16 as far as it fits; see avx2/product_panel.c for the bounds.  Eight bits are multiplied as
 * |w| * (x with the sign of w): 2 * 128 * 127 = 32512 fits, as x is never -128.
 */
LLM_INLINE void
llm_few_dots(llm_vi sum[LLM_FEW_TILE][LLM_FEW_H], const struct llm_few *s,
    const struct llm_few_sub *sub, struct llm_format f, int t, const int k)
{
	const int n = f.block == 32 ? 8 : llm_panel_sub(f) / 4;
	const int n_step = f.bits == 8 ? 1 : f.bits == 5 && f.zero == 0 ? 4 : n;
	const int8_t *a = s->q + (size_t)t * s->q_stride + sub->at * n * 4;
	const int16_t *nsum = s->nsum + ((size_t)t * s->b_stride + (size_t)sub->at) * 2;
	const llm_vi scale = f.block == 32 ? _mm256_set1_epi16(1) : sub->scale[0];
	_Static_assert(
	    LLM_FEW_TILE == 1 && (int)LLM_FEW_H == 1, "one token and one vector of rows");
	(void)k;
	llm_vi total = llm_v_zero();
	for (int g0 = 0; g0 < n; g0 += n_step) {
		llm_vi acc = llm_v_zero();
		if (f.zero != 0 && f.bits != 8)
			acc = _mm256_slli_epi16(
			    llm_v_broadcast(nsum), __builtin_ctz((unsigned)f.zero));
		for (int g = g0; g < g0 + n_step; g++) {
			llm_vi x = llm_v_broadcast(a + 4 * g), q = sub->w[0][g];
			if (f.bits == 8) {
				x = _mm256_sign_epi8(x, q);
				q = _mm256_abs_epi8(q);
			}
			acc = _mm256_add_epi16(acc, _mm256_maddubs_epi16(q, x));
		}
		total = _mm256_add_epi32(total, _mm256_madd_epi16(acc, scale));
	}
	sum[0][0] = total;
}
#endif

/* A sub against k tokens; first: of its block of 256. */
LLM_INLINE void
llm_few_tile(const struct llm_few *s, const struct llm_few_sub *sub, struct llm_format f,
    const bool first, int t, const int k)
{
	llm_vi sum[LLM_FEW_TILE][LLM_FEW_H];
	llm_few_dots(sum, s, sub, f, t, k);
	for (int i = 0; i < k; i++) {
		size_t at = (size_t)(t + i) * s->d_stride + (size_t)sub->at;
		for (int h = 0; h < LLM_FEW_H; h++) {
			int to = (t + i) * LLM_FEW_H + h;
			if (f.block == 256) {
				s->isum[to] = first ? sum[i][h]
						    : LLM_V(add_epi32)(s->isum[to], sum[i][h]);
				continue;
			}
			llm_vf acc =
			    LLM_V(fmadd_ps)(LLM_V(mul_ps)(sub->d[h], LLM_V(set1_ps)(s->d[at])),
				LLM_V(cvtepi32_ps)(sum[i][h]), s->acc[to]);
			if (f.m_at >= 0)
				acc = LLM_V(fmadd_ps)(sub->m[h], LLM_V(set1_ps)(s->s[at]), acc);
			s->acc[to] = acc;
		}
	}
}

/* A sub against all tokens. */
LLM_INLINE void
llm_few_pass(const struct llm_few *s, const struct llm_few_sub *sub, struct llm_format f,
    const bool first, int n_tok)
{
	int t = 0;
	for (; t + LLM_FEW_TILE <= n_tok; t += LLM_FEW_TILE)
		llm_few_tile(s, sub, f, first, t, LLM_FEW_TILE);
	if (LLM_FEW_TILE > 2 && t + 2 <= n_tok) {
		llm_few_tile(s, sub, f, first, t, 2);
		t += 2;
	}
	if (LLM_FEW_TILE > 1 && t < n_tok)
		llm_few_tile(s, sub, f, first, t, 1);
}

/* Block i of a span of n blocks of 32 at w[h]. */
LLM_INLINE void
llm_few_block32(const struct llm_few *s, struct llm_format f, const struct llm_packed_block *b,
    int at, int n_tok)
{
	struct llm_few_sub sub;
	sub.at = at;
	for (int h = 0; h < LLM_FEW_H; h++) {
		sub.d[h] = sub.m[h] = llm_v_halves(b[h].d, b[h].unit);
		if (f.m_at >= 0)
			sub.m[h] = llm_v_halves(b[h].m, b[h].unit);
		for (int g = 0; g < 8; g++) {
			sub.w[h][g] = llm_packed_group(f, b[h], g);
#ifndef LLM_VNNI
			if (f.bits == 8) /* signed, as they are */
				sub.w[h][g] = llm_v_xor(sub.w[h][g], LLM_V(set1_epi8)(-128));
#endif
		}
	}
	llm_few_pass(s, &sub, f, false, n_tok);
}

/* Sub j of a block of 256, or of a half of Q6_K, which is the sub `at` of the row: j is a constant. */
LLM_INLINE void
llm_few_step(const struct llm_few *s, struct llm_format f, const struct llm_packed_block *b,
    const int j, int at, const bool first, int n_tok)
{
	const int n = llm_panel_sub(f) / 4;
	struct llm_few_sub sub;
	sub.at = at + j;
	for (int h = 0; h < LLM_FEW_H; h++) {
		llm_vi scales = llm_packed_scales(f, b[h], j / 4);
#ifdef LLM_VNNI
		sub.scale[h] = llm_packed_scale32(f, scales, j % 4);
#else
		sub.scale[h] = llm_packed_both16(f, scales, j % 4, j % 4);
#endif
		for (int g = 0; g < n; g++)
			sub.w[h][g] = llm_packed_group(f, b[h], j * n + g);
	}
	llm_few_pass(s, &sub, f, first, n_tok);
}

/* isum of a block; the steps are written out, as compilers leave a loop. */
LLM_INLINE void
llm_few_sums256(
    const struct llm_few *s, struct llm_format f, const struct llm_packed_block *at, int n_tok)
{
	const int n = f.bits == 6 ? 16 : 8;
	struct llm_packed_block b[LLM_FEW_H];
	for (int h = 0; h < LLM_FEW_H; h++)
		b[h] = at[h];
#define STEP(j)                                                                         \
	llm_streams_fetch(&s->w, f, s->v *LLM_V_UNITS, LLM_FEW_H *LLM_V_UNITS, (j), n), \
	    llm_few_step(s, f, b, (j) % 8, s->b * n + (j) / 8 * 8, (j) == 0, n_tok)
	STEP(0), STEP(1), STEP(2), STEP(3), STEP(4), STEP(5), STEP(6), STEP(7);
	if (n == 16) {
		for (int h = 0; h < LLM_FEW_H; h++)
			b[h] = llm_packed_second(b[h]);
		STEP(8), STEP(9), STEP(10), STEP(11), STEP(12), STEP(13), STEP(14), STEP(15);
	}
#undef STEP
}

/* A block of 256. */
LLM_INLINE void
llm_few_block256(
    const struct llm_few *s, struct llm_format f, const struct llm_packed_block *b, int n_tok)
{
	llm_vf d[LLM_FEW_H], m[LLM_FEW_H];
	llm_vi min[LLM_FEW_H][4];
	llm_few_sums256(s, f, b, n_tok);
	for (int h = 0; h < LLM_FEW_H; h++) {
		d[h] = m[h] = llm_v_halves(b[h].d, b[h].unit);
		if (f.m_at < 0)
			continue;
		m[h] = llm_v_halves(b[h].m, b[h].unit);
		for (int j = 0; j < 4; j++)
			min[h][j] = llm_packed_both16(
			    f, llm_packed_minima(b[h], j / 2), j % 2 * 2, j % 2 * 2 + 1);
	}
	for (int t = 0; t < n_tok; t++) {
		const int16_t *pair = s->pair + (size_t)t * (s->b_stride / 2) + s->b * 8;
		llm_vf dx = LLM_V(set1_ps)(s->d[(size_t)t * s->d_stride + (size_t)s->b]);
		for (int h = 0; h < LLM_FEW_H; h++) {
			llm_vf z =
			    LLM_V(mul_ps)(d[h], LLM_V(cvtepi32_ps)(s->isum[t * LLM_FEW_H + h]));
			if (f.m_at >= 0) {
				llm_vi msum = llm_v_zero();
				for (int j = 0; j < 4; j++)
					msum = llm_v_dot16(
					    msum, min[h][j], llm_v_broadcast(pair + 2 * j));
				z = LLM_V(fnmadd_ps)(m[h], LLM_V(cvtepi32_ps)(msum), z);
			}
			s->acc[t * LLM_FEW_H + h] =
			    LLM_V(fmadd_ps)(dx, z, s->acc[t * LLM_FEW_H + h]);
		}
	}
}

/* Block i of a span of n of all units, LLM_FEW_H vectors of them at a time. */
LLM_INLINE void
llm_few_block(struct llm_few *s, struct llm_format f, int i, int n, int n_tok)
{
	llm_vf *acc = s->acc;
	for (s->v = 0; s->v < LLM_FEW_V; s->v += LLM_FEW_H, s->acc += n_tok * LLM_FEW_H) {
		struct llm_packed_block b[LLM_FEW_H];
		for (int h = 0; h < LLM_FEW_H; h++)
			b[h] = llm_streams_rows(&s->w, f, s->v + h, i, n);
		if (f.block == 256)
			llm_few_block256(s, f, b, n_tok);
		else
			llm_few_block32(s, f, b, s->b, n_tok);
	}
	s->acc = acc;
}

/* The units over all columns. */
LLM_INLINE void
llm_few_rows(struct llm_few *s, struct llm_format f, int n_block, int n_tok)
{
	const int most = f.block == 32 ? 4 : 1;
	for (s->b = 0; s->b + most <= n_block;) {
		for (int i = 0; i < most; i++, s->b++) {
			if (f.block == 32)
				llm_streams_fetch(&s->w, f, 0, LLM_STREAMS, i, 4);
			llm_few_block(s, f, i, most, n_tok);
		}
		llm_streams_next(&s->w, f);
	}
	for (int i = 0, left = n_block - s->b; f.block == 32 && i < left; i++, s->b++)
		llm_few_block(s, f, i, left, n_tok);
}

/* Tokens [t0, t0 + n_tok) as the functions above want them; mem is what follows the sums in scratch. */
LLM_INLINE struct llm_few
llm_few_prepare(const struct llm_act *x, struct llm_format f, int t0, int n_tok, void *mem)
{
	struct llm_few s = {.start = mem};
	s.q = x->q + (size_t)t0 * x->q_stride;
	s.d = x->d + (size_t)t0 * x->d_stride;
	s.s = x->s + (size_t)t0 * x->d_stride;
	s.nsum = x->nsum + (size_t)t0 * x->b_stride * 2;
	s.pair = x->pair + (size_t)t0 * x->b_stride / 2;
	s.q_stride = x->q_stride;
	s.d_stride = x->d_stride;
	s.b_stride = x->b_stride;
#ifdef LLM_VNNI
	if (f.zero != 0)
		llm_streams_starts(mem, x->bsum + (size_t)t0 * x->b_stride,
		    (size_t)n_tok * x->b_stride, f.zero);
#else
	(void)f, (void)n_tok, (void)mem;
#endif
	return s;
}

_Static_assert(
    (LLM_FEW_V + LLM_FEW_H) * LLM_FEW_TOKENS * sizeof(llm_vi) <= (size_t)LLM_FEW_SUMS,
    "the sums fit their part of the scratch");

/* Writes the units in work of tokens from t0 on. */
LLM_INLINE void
llm_few_store(const struct llm_product *p, const struct llm_few *s, int t0, int n_tok)
{
	for (int u = 0; u < s->w.n; u++) {
		int v = u / LLM_V_UNITS;
		const float *from = (const float *)(s->acc + v / LLM_FEW_H * n_tok * LLM_FEW_H +
						    v % LLM_FEW_H) +
				    u % LLM_V_UNITS * 8;
		for (int t = 0; t < n_tok; t++)
			_mm256_storeu_ps(p->y + (size_t)(t0 + t) * p->y_stride + s->w.row[u],
			    _mm256_load_ps(from + (size_t)t * (size_t)LLM_FEW_H * LLM_V_LANES));
	}
}

/* Rows [row0, row1) of a product, in blocks of tokens. */
LLM_INLINE void
llm_few_run(
    const struct llm_product *p, int row0, int row1, void *scratch, const struct llm_format f)
{
	for (int t0 = 0, n_tok; t0 < p->x->n_tok; t0 += n_tok) {
		n_tok = p->x->n_tok - t0 < LLM_FEW_TOKENS ? p->x->n_tok - t0 : LLM_FEW_TOKENS;
		struct llm_few s =
		    llm_few_prepare(p->x, f, t0, n_tok, (char *)scratch + LLM_FEW_SUMS);
		s.isum = scratch;
		s.acc = (llm_vf *)(s.isum + LLM_FEW_TOKENS * LLM_FEW_H);
		for (int i = 0; llm_streams_begin(&s.w, p, f, row0, row1, i); i++) {
			for (int j = 0; j < n_tok * LLM_FEW_V; j++)
				s.acc[j] = llm_v_as_float(llm_v_zero());
			llm_few_rows(&s, f, p->x->n_block, n_tok);
			llm_few_store(p, &s, t0, n_tok);
		}
	}
}

#endif
