/*
 * SPDX-License-Identifier: ISC
 *
 * Quantized products of many tokens by VNNI: tiles of two vectors of rows and some tokens.
 * VPDPBUSD multiplies unsigned weights with signed activations into exact int32 sums; a zero point
 * is in the sum from its start, as minus its share of the activations' sum.
 * Included once for each width; the table `panels` at the end is what an instruction set calls.
 */
#ifndef LLM_KERNELS_X86_PRODUCT_VNNI_H
#define LLM_KERNELS_X86_PRODUCT_VNNI_H

#include "libcore/kernels/x86/product_packed.h"
#include "libcore/kernels/x86/product_panel.h"
#include "libcore/kernels/x86/product_x86.h"

enum {
	LANES = 2 * LLM_V_LANES,
	TOKENS = LLM_V_LANES == 16 ? 6 : 3, /* their sums and scaled sums fill the registers */
	SUBS = LLM_PANEL_COLUMNS / 16,
};

_Static_assert((int)TOKENS <= (int)LLM_PANEL_TILE, "scratch has room for a tile's sums");

LLM_INLINE llm_vi
load(const void *p)
{
	return *(const llm_vi *)p;
}

/* tile[token][sub] = -zero * (sum of the sub's activations), for n tokens. */
LLM_INLINE void
prepare_start(const struct llm_panel *s, int t, const int n, const int sub)
{
	for (int i = 0; i < n; i++) {
		const int16_t *bsum = s->x.bsum + (size_t)(t + i) * s->x.b_stride + s->k0 / sub;
		for (int j = 0; j < s->n_col / sub; j += 8) {
			__m256i v = _mm256_cvtepi16_epi32(llm_load128(bsum + j));
			v = _mm256_sll_epi32(v, _mm_cvtsi32_si128(s->shift));
			_mm256_store_si256((__m256i *)(s->tile + i * SUBS + j),
			    _mm256_sub_epi32(_mm256_setzero_si256(), v));
		}
	}
}

/* acc[row half][token] = the dots over sub j, from the zero point's share. */
LLM_INLINE void
dots(llm_vi acc[2][TOKENS], const struct llm_panel *s, struct llm_panel_kind kind, int t, int j,
    const int n)
{
	const uint8_t *w = s->w + j * kind.sub * LANES;
	const int8_t *a = s->x.q + (size_t)t * s->x.q_stride + s->k0 + j * kind.sub;
	for (int i = 0; i < n; i++) {
		acc[0][i] = kind.zero ? LLM_V(set1_epi32)(s->tile[i * SUBS + j]) : llm_v_zero();
		acc[1][i] = acc[0][i];
	}
	for (int g = 0; g < kind.sub / 4; g++) {
		llm_vi w0 = load(w + g * 4 * LANES);
		llm_vi w1 = load(w + g * 4 * LANES + 4 * LLM_V_LANES);
		for (int i = 0; i < n; i++) {
			llm_vi x = llm_v_broadcast(a + (size_t)i * s->x.q_stride + 4 * g);
			acc[0][i] = llm_v_dot8(acc[0][i], w0, x);
			acc[1][i] = llm_v_dot8(acc[1][i], w1, x);
		}
	}
}

/* A tile of n tokens, blocks of 32. */
LLM_INLINE void
tile32(const struct llm_panel *panel, int t, float *c, struct llm_panel_kind kind, const int n)
{
	const struct llm_panel s = *panel;
	size_t at = (size_t)t * s.x.d_stride + (size_t)(s.k0 / 32);
	llm_vf sum[2][TOKENS];
	if (kind.zero)
		prepare_start(&s, t, n, 32);
	for (int i = 0; i < n; i++) {
		sum[0][i] = LLM_V(load_ps)(c + i * LANES);
		sum[1][i] = LLM_V(load_ps)(c + i * LANES + LLM_V_LANES);
	}
	for (int b = 0; b < s.n_col / 32; b++) {
		llm_vi acc[2][TOKENS];
		dots(acc, &s, kind, t, b, n);
		for (int h = 0; h < 2; h++) {
			llm_vf d = LLM_V(load_ps)(s.d + b * LANES + h * LLM_V_LANES), m = d;
			if (kind.min)
				m = LLM_V(load_ps)(s.m + b * LANES + h * LLM_V_LANES);
			for (int i = 0; i < n; i++) {
				size_t k = at + (size_t)i * s.x.d_stride + (size_t)b;
				sum[h][i] =
				    LLM_V(fmadd_ps)(LLM_V(mul_ps)(d, LLM_V(set1_ps)(s.x.d[k])),
					LLM_V(cvtepi32_ps)(acc[h][i]), sum[h][i]);
				if (kind.min)
					sum[h][i] = LLM_V(fmadd_ps)(
					    m, LLM_V(set1_ps)(s.x.s[k]), sum[h][i]);
			}
		}
	}
	for (int i = 0; i < n; i++) {
		LLM_V(store_ps)(c + i * LANES, sum[0][i]);
		LLM_V(store_ps)(c + i * LANES + LLM_V_LANES, sum[1][i]);
	}
}

/* c[token][row] after block b of 256, from its integer sums. */
LLM_INLINE void
fold256(const struct llm_panel *s, struct llm_panel_kind kind, float *c, llm_vi isum[2][TOKENS],
    int t, int b, const int n)
{
	const float *dx = s->x.d + (size_t)t * s->x.d_stride + s->k0 / 256 + b;
	for (int h = 0; h < 2; h++) {
		llm_vf d = LLM_V(load_ps)(s->d + b * LANES + h * LLM_V_LANES);
		for (int i = 0; i < n; i++) {
			float *to = c + i * LANES + h * LLM_V_LANES;
			llm_vf z = LLM_V(mul_ps)(d, LLM_V(cvtepi32_ps)(isum[h][i]));
			if (kind.min) {
				llm_vi msum = llm_panel_msum(s, t + i, b, h, 128 / kind.sub, LANES);
				z = LLM_V(fnmadd_ps)(
				    LLM_V(load_ps)(s->m + b * LANES + h * LLM_V_LANES),
				    LLM_V(cvtepi32_ps)(msum), z);
			}
			LLM_V(store_ps)
			(to, LLM_V(fmadd_ps)(LLM_V(set1_ps)(dx[(size_t)i * s->x.d_stride]), z,
				 LLM_V(load_ps)(to)));
		}
	}
}

/* A tile of n tokens, blocks of 256. */
LLM_INLINE void
tile256(const struct llm_panel *panel, int t, float *c, struct llm_panel_kind kind, const int n)
{
	const struct llm_panel s = *panel;
	const int n_sub = 256 / kind.sub;
	if (kind.zero)
		prepare_start(&s, t, n, kind.sub);
	for (int b = 0; b < s.n_col / 256; b++) {
		llm_vi isum[2][TOKENS];
		for (int i = 0; i < n; i++)
			isum[0][i] = isum[1][i] = llm_v_zero();
		for (int j = b * n_sub; j < (b + 1) * n_sub; j++) {
			llm_vi acc[2][TOKENS];
			dots(acc, &s, kind, t, j, n);
			for (int h = 0; h < 2; h++) {
				llm_vi sc = load(s.sc + j * LANES + h * LLM_V_LANES);
				for (int i = 0; i < n; i++)
					isum[h][i] = LLM_V(add_epi32)(
					    isum[h][i], LLM_V(mullo_epi32)(acc[h][i], sc));
			}
		}
		fold256(&s, kind, c, isum, t, b, n);
	}
}

/* A kernel of a kind, in which the number of tokens is a constant. */
#define TILE_COUNT(kernel, n)             \
	case n:                           \
		kernel(s, t, c, kind, n); \
		return;
#ifdef LLM_WIDE
#define TILE_MORE(kernel) TILE_COUNT(kernel, 3) TILE_COUNT(kernel, 4) TILE_COUNT(kernel, 5)
#else
#define TILE_MORE(kernel)
#endif
#define TILE(name, kernel, ...)                                   \
	__attribute__((noinline)) static void tile_##name(        \
	    const struct llm_panel *s, int t, int n, float *c)    \
	{                                                         \
		const struct llm_panel_kind kind = {__VA_ARGS__}; \
		switch (n) {                                      \
			TILE_COUNT(kernel, 1)                     \
			TILE_COUNT(kernel, 2)                     \
			TILE_MORE(kernel)                         \
		default:                                          \
			kernel(s, t, c, kind, TOKENS);            \
		}                                                 \
	}
TILE(zero32, tile32, .sub = 32, .zero = true)
TILE(min32, tile32, .sub = 32, .min = true)
TILE(zero16, tile256, .sub = 16, .zero = true)
TILE(min16, tile256, .sub = 16, .min = true)
TILE(min256, tile256, .sub = 32, .min = true)

#define PANEL(name, tile)                                                         \
	static void panel_##name(                                                 \
	    const struct llm_product *p, int row0, int row1, void *scratch)       \
	{                                                                         \
		llm_panel_run(p, row0, row1, scratch, LLM_FORMAT_##name,          \
		    (struct llm_panel_way){LANES, TOKENS, llm_panel_fill, tile}); \
	}
#define PANEL_PACKED(name, tile)                                                   \
	PANEL(name, tile)                                                          \
	static void packed_##name(                                                 \
	    const struct llm_product *p, int row0, int row1, void *scratch)        \
	{                                                                          \
		llm_panel_run(p, row0, row1, scratch, LLM_FORMAT_##name,           \
		    (struct llm_panel_way){LANES, TOKENS, llm_packed_fill, tile}); \
	}
PANEL_PACKED(q4_0, tile_zero32)
PANEL_PACKED(q4_1, tile_min32)
PANEL_PACKED(q5_0, tile_zero32)
PANEL_PACKED(q5_1, tile_min32)
PANEL_PACKED(q8_0, tile_zero32)
PANEL(q2_K, tile_min16)
PANEL(q3_K, tile_zero16)
PANEL_PACKED(q4_K, tile_min256)
PANEL_PACKED(q5_K, tile_min256)
PANEL_PACKED(q6_K, tile_zero16)

#define ENTRY(name, type) [LLM_DTYPE_##type] = panel_##name,
#define ENTRY_PACKED(name, type) [LLM_DTYPE_##type##_R8] = packed_##name,
static const llm_product_part panels[LLM_DTYPE_MAX] = {
    LLM_FORMATS_32(ENTRY) LLM_FORMATS_256(ENTRY) LLM_FORMATS_PACKED(ENTRY_PACKED)};

#endif
