/*
 * SPDX-License-Identifier: ISC
 *
 * Quantized products of many tokens by AVX-512 VNNI: tiles of 32 rows and up to six tokens.
 * VPDPBUSD multiplies unsigned weights with signed activations into exact int32 sums; a zero point
 * is in the sum from its start, as minus its share of the activations' sum.
 */
#include "libcore/kernels/x86/product_packed.h"
#include "libcore/kernels/x86/product_panel.h"
#include "libcore/kernels/x86/product_x86.h"

enum { LANES = 32, TOKENS = 6, SUBS = LLM_PANEL_COLUMNS / 16 };

_Static_assert((int)TOKENS <= (int)LLM_PANEL_TILE, "scratch has room for a tile's sums");

/* tile[token][sub] = -zero * (sum of the sub's activations), for n tokens. */
LLM_INLINE void
prepare_start(const struct llm_panel *s, int t, const int n, const int sub)
{
	const __m512i none = _mm512_setzero_si512();
	for (int i = 0; i < n; i++) {
		const int16_t *bsum = s->x.bsum + (size_t)(t + i) * s->x.b_stride + s->k0 / sub;
		for (int j = 0; j < s->n_col / sub; j += 16) {
			__m512i v = _mm512_cvtepi16_epi32(llm_load256(bsum + j));
			v = _mm512_sll_epi32(v, _mm_cvtsi32_si128(s->shift));
			_mm512_store_si512(s->tile + i * SUBS + j, _mm512_sub_epi32(none, v));
		}
	}
}

/* tile[token][pair] = the activations' sums by 32, two int16 together, for n tokens. */
LLM_INLINE void
prepare_pairs(const struct llm_panel *s, int t, const int n)
{
	for (int i = 0; i < n; i++) {
		const int16_t *bsum = s->x.bsum + (size_t)(t + i) * s->x.b_stride + s->k0 / 16;
		int16_t *to = (int16_t *)(s->tile + i * SUBS);
		for (int j = 0; j < s->n_col / 16; j += 16) {
			__m256i v =
			    _mm256_madd_epi16(llm_load256(bsum + j), _mm256_set1_epi16(1));
			_mm_store_si128((__m128i *)(to + j / 2), _mm256_cvtepi32_epi16(v));
		}
	}
}

/* acc[row half][token] = the dots over sub j, from the zero point's share. */
LLM_INLINE void
dots(__m512i acc[2][TOKENS], const struct llm_panel *s, struct llm_panel_kind kind, int t,
    int j, const int n)
{
	const uint8_t *w = s->w + j * kind.sub * LANES;
	const int8_t *a = s->x.q + (size_t)t * s->x.q_stride + s->k0 + j * kind.sub;
	for (int i = 0; i < n; i++) {
		acc[0][i] = kind.zero ? _mm512_set1_epi32(s->tile[i * SUBS + j])
				      : _mm512_setzero_si512();
		acc[1][i] = acc[0][i];
	}
	for (int g = 0; g < kind.sub / 4; g++) {
		__m512i w0 = _mm512_load_si512(w + g * 4 * LANES);
		__m512i w1 = _mm512_load_si512(w + g * 4 * LANES + 64);
		for (int i = 0; i < n; i++) {
			__m512i x = _mm512_set1_epi32(
			    (int)llm_load32(a + (size_t)i * s->x.q_stride + 4 * g));
			acc[0][i] = _mm512_dpbusd_epi32(acc[0][i], w0, x);
			acc[1][i] = _mm512_dpbusd_epi32(acc[1][i], w1, x);
		}
	}
}

/* A tile of n tokens, blocks of 32. */
LLM_INLINE void
tile32(const struct llm_panel *panel, int t, float *c, struct llm_panel_kind kind, const int n)
{
	const struct llm_panel s = *panel;
	size_t at = (size_t)t * s.x.d_stride + (size_t)(s.k0 / 32);
	__m512 sum[2][TOKENS];
	if (kind.zero)
		prepare_start(&s, t, n, 32);
	for (int i = 0; i < n; i++) {
		sum[0][i] = _mm512_load_ps(c + i * LANES);
		sum[1][i] = _mm512_load_ps(c + i * LANES + 16);
	}
	for (int b = 0; b < s.n_col / 32; b++) {
		__m512i acc[2][TOKENS];
		dots(acc, &s, kind, t, b, n);
		for (int h = 0; h < 2; h++) {
			__m512 d = _mm512_load_ps(s.d + b * LANES + h * 16), m = d;
			if (kind.min)
				m = _mm512_load_ps(s.m + b * LANES + h * 16);
			for (int i = 0; i < n; i++) {
				size_t k = at + (size_t)i * s.x.d_stride + (size_t)b;
				sum[h][i] =
				    _mm512_fmadd_ps(_mm512_mul_ps(d, _mm512_set1_ps(s.x.d[k])),
					_mm512_cvtepi32_ps(acc[h][i]), sum[h][i]);
				if (kind.min)
					sum[h][i] = _mm512_fmadd_ps(
					    m, _mm512_set1_ps(s.x.s[k]), sum[h][i]);
			}
		}
	}
	for (int i = 0; i < n; i++) {
		_mm512_store_ps(c + i * LANES, sum[0][i]);
		_mm512_store_ps(c + i * LANES + 16, sum[1][i]);
	}
}

/* The sum of minima times activation sums over block b, rows of half h, token i of the tile. */
LLM_INLINE __m512i
minima(const struct llm_panel *s, int t, int i, int b, int h, const int n_pair)
{
	__m512i msum = _mm512_setzero_si512();
	const int16_t *bsum =
	    n_pair == 4 ? (const int16_t *)(s->tile + i * SUBS) + b * 8
			: s->x.bsum + (size_t)(t + i) * s->x.b_stride + s->k0 / 16 + b * 16;
	for (int j = 0; j < n_pair; j++)
		msum = _mm512_dpwssd_epi32(msum,
		    _mm512_load_si512(s->min + (b * n_pair + j) * LANES + h * 16),
		    _mm512_set1_epi32((int)llm_load32(bsum + 2 * j)));
	return msum;
}

/* c[token][row] after block b of 256, from its integer sums. */
LLM_INLINE void
fold256(const struct llm_panel *s, struct llm_panel_kind kind, float *c,
    __m512i isum[2][TOKENS], int t, int b, const int n)
{
	const float *dx = s->x.d + (size_t)t * s->x.d_stride + s->k0 / 256 + b;
	for (int h = 0; h < 2; h++) {
		__m512 d = _mm512_load_ps(s->d + b * LANES + h * 16);
		for (int i = 0; i < n; i++) {
			float *to = c + i * LANES + h * 16;
			__m512 z = _mm512_mul_ps(d, _mm512_cvtepi32_ps(isum[h][i]));
			if (kind.min) {
				__m512i msum = minima(s, t, i, b, h, 128 / kind.sub);
				z = _mm512_fnmadd_ps(_mm512_load_ps(s->m + b * LANES + h * 16),
				    _mm512_cvtepi32_ps(msum), z);
			}
			_mm512_store_ps(
			    to, _mm512_fmadd_ps(_mm512_set1_ps(dx[(size_t)i * s->x.d_stride]),
				    z, _mm512_load_ps(to)));
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
	else if (kind.sub == 32)
		prepare_pairs(&s, t, n);
	for (int b = 0; b < s.n_col / 256; b++) {
		__m512i isum[2][TOKENS];
		for (int i = 0; i < n; i++)
			isum[0][i] = isum[1][i] = _mm512_setzero_si512();
		for (int j = b * n_sub; j < (b + 1) * n_sub; j++) {
			__m512i acc[2][TOKENS];
			dots(acc, &s, kind, t, j, n);
			for (int h = 0; h < 2; h++) {
				__m512i sc = _mm512_load_si512(s.sc + j * LANES + h * 16);
				for (int i = 0; i < n; i++)
					isum[h][i] = _mm512_add_epi32(
					    isum[h][i], _mm512_mullo_epi32(acc[h][i], sc));
			}
		}
		fold256(&s, kind, c, isum, t, b, n);
	}
}

/* A kernel of a kind, in which the number of tokens is a constant. */
#define TILE(name, kernel, ...)                                   \
	__attribute__((noinline)) static void tile_##name(        \
	    const struct llm_panel *s, int t, int n, float *c)    \
	{                                                         \
		const struct llm_panel_kind kind = {__VA_ARGS__}; \
		switch (n) {                                      \
		case 1:                                           \
			kernel(s, t, c, kind, 1);                 \
			return;                                   \
		case 2:                                           \
			kernel(s, t, c, kind, 2);                 \
			return;                                   \
		case 3:                                           \
			kernel(s, t, c, kind, 3);                 \
			return;                                   \
		case 4:                                           \
			kernel(s, t, c, kind, 4);                 \
			return;                                   \
		case 5:                                           \
			kernel(s, t, c, kind, 5);                 \
			return;                                   \
		default:                                          \
			kernel(s, t, c, kind, 6);                 \
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

void
llm_product_panel_avx512(const struct llm_product *p, int row0, int row1, void *scratch)
{
#define ENTRY(name, type) [LLM_DTYPE_##type] = panel_##name,
#define ENTRY_PACKED(name, type) [LLM_DTYPE_##type##_R8] = packed_##name,
	static const llm_product_part part[LLM_DTYPE_MAX] = {
	    LLM_FORMATS_32(ENTRY) LLM_FORMATS_256(ENTRY) LLM_FORMATS_PACKED(ENTRY_PACKED)};
	part[p->type](p, row0, row1, scratch);
}
