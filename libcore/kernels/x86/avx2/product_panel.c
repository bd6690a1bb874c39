/*
 * SPDX-License-Identifier: ISC
 *
 * Quantized products of many tokens by AVX2: panels of 32 rows, tiles of 16 of them and up to four
 * tokens.
 * VPMADDUBSW adds two products of unsigned weights and signed activations in int16, at most
 * 2 * 63 * 127 = 16002; several steps are added in int16 before VPMADDWD widens them and multiplies
 * by the integer scale.  Additions wrap, so that only the last value must fit:
 *	4 bits, 16 products:		16 * 15 * 127 = 30480
 *	5 bits, no zero point, 8:	 8 * 31 * 127 = 31496
 *	zero point in the start, 16 of 5 bits or 8 of 6: 16 * 16 * 127 = 8 * 32 * 127 = 32512
 * Q8_0 does not fit at all; its weights and activations are multiplied as int16.
 * What limits the rate are the three ports that compute, and a step of 16 rows and four tokens
 * gives them sixteen instructions: whatever else they are asked to do shows.
 */
#include "libcore/kernels/x86/product_packed.h"
#include "libcore/kernels/x86/product_panel.h"
#include "libcore/kernels/x86/product_x86.h"

enum {
	LANES = 32, /* rows of a panel */
	ROWS = 16,  /* and of a tile */
	TOKENS = 4,
	/* What a tile prepares of a token; tokens a power of two apart would share cache sets. */
	WORDS = LLM_PANEL_COLUMNS / 2 + 16,
};

_Static_assert(
    sizeof(int32_t) * TOKENS * WORDS <= (size_t)LLM_PANEL_TILE * LLM_PANEL_COLUMNS * 2,
    "scratch has room for a tile's activations");

LLM_INLINE __m256i
load(const void *p)
{
	return _mm256_load_si256(p);
}

LLM_INLINE __m256i
broadcast(const void *p)
{
	return _mm256_set1_epi32((int)llm_load32(p));
}

/* isum[row half][token] += scale * (the dots over n_group groups of four columns, from start). */
LLM_INLINE void
dots(__m256i isum[2][TOKENS], const uint8_t *w, const int8_t *a, size_t stride,
    const int n_group, const int32_t *start, __m256i sc0, __m256i sc1, const int n)
{
	__m256i acc[2][TOKENS];
	for (int i = 0; i < n; i++)
		acc[0][i] = acc[1][i] =
		    start == NULL ? _mm256_setzero_si256() : broadcast(start + i * WORDS);
#pragma GCC unroll 8
	for (int g = 0; g < n_group; g++) {
		__m256i w0 = load(w + g * 4 * LANES), w1 = load(w + g * 4 * LANES + 32);
		llm_v_keep(w0);
		llm_v_keep(w1);
		for (int i = 0; i < n; i++) {
			__m256i x = broadcast(a + (size_t)i * stride + 4 * g);
			acc[0][i] = _mm256_add_epi16(acc[0][i], _mm256_maddubs_epi16(w0, x));
			llm_v_keep(acc[0][i]);
			acc[1][i] = _mm256_add_epi16(acc[1][i], _mm256_maddubs_epi16(w1, x));
			llm_v_keep(acc[1][i]);
		}
	}
	for (int i = 0; i < n; i++) {
		isum[0][i] = _mm256_add_epi32(isum[0][i], _mm256_madd_epi16(acc[0][i], sc0));
		isum[1][i] = _mm256_add_epi32(isum[1][i], _mm256_madd_epi16(acc[1][i], sc1));
	}
}

/* The same over sub j, in steps that fit int16. */
LLM_INLINE void
dots_sub(__m256i isum[2][TOKENS], const struct llm_panel *s, struct llm_panel_kind kind, int t,
    int j, __m256i sc0, __m256i sc1, const int n)
{
	const int n_group = kind.bits == 5 && !kind.zero ? 4 : kind.sub / 4;
	const uint8_t *w = s->w + j * kind.sub * LANES;
	const int8_t *a = s->x.q + (size_t)t * s->x.q_stride + s->k0 + j * kind.sub;
	for (int g = 0; g < kind.sub / 4; g += n_group)
		dots(isum, w + g * 4 * LANES, a + 4 * g, s->x.q_stride, n_group,
		    kind.zero ? s->tile + j : NULL, sc0, sc1, n);
}

/* tile[token][sub] = minus the zero point's share of the sub's sums, two int16, for n tokens. */
LLM_INLINE void
prepare_start(const struct llm_panel *s, int t, const int n, const int sub)
{
	const __m128i shift = _mm_cvtsi32_si128(s->shift);
	for (int i = 0; i < n; i++) {
		const int16_t *nsum =
		    s->x.nsum + ((size_t)(t + i) * s->x.b_stride + (size_t)(s->k0 / sub)) * 2;
		for (int j = 0; j < s->n_col / sub; j += 8)
			_mm256_store_si256((__m256i *)(s->tile + i * WORDS + j),
			    _mm256_sll_epi16(llm_load256(nsum + 2 * j), shift));
	}
}

/*
 * tile[token][block] = the chunk's activations as int16, two in a word: columns 0 and 2 of the eight
 * groups of four columns of a block, then 1 and 3, as llm_panel_widen takes the weights apart.
 */
LLM_INLINE void
prepare_words(const struct llm_panel *s, int t, const int n)
{
	for (int i = 0; i < n; i++) {
		const int8_t *a = s->x.q + (size_t)(t + i) * s->x.q_stride + s->k0;
		__m256i *to = (__m256i *)(s->tile + i * WORDS);
		for (int k = 0; k < s->n_col; k += 32, to += 2) {
			__m256i x = llm_load256(a + k);
			to[0] = _mm256_srai_epi16(_mm256_slli_epi16(x, 8), 8);
			to[1] = _mm256_srai_epi16(x, 8);
		}
	}
}

/* isum = the dots over block b of Q8_0: int32 all the way. */
LLM_INLINE void
dots_words(__m256i isum[2][TOKENS], const struct llm_panel *s, int b, const int n)
{
	const uint8_t *w = s->w + b * 64 * LANES;
	const int32_t *a = s->tile + b * 16;
	for (int i = 0; i < n; i++)
		isum[0][i] = isum[1][i] = _mm256_setzero_si256();
#pragma GCC unroll 16
	for (int g = 0; g < 16; g++) {
		__m256i w0 = load(w + g * 4 * LANES), w1 = load(w + g * 4 * LANES + 32);
		llm_v_keep(w0);
		llm_v_keep(w1);
		for (int i = 0; i < n; i++) {
			__m256i x = broadcast(a + i * WORDS + g / 2 + g % 2 * 8);
			isum[0][i] = _mm256_add_epi32(isum[0][i], _mm256_madd_epi16(w0, x));
			llm_v_keep(isum[0][i]);
			isum[1][i] = _mm256_add_epi32(isum[1][i], _mm256_madd_epi16(w1, x));
			llm_v_keep(isum[1][i]);
		}
	}
}

/* A tile of n tokens, blocks of 32. */
LLM_INLINE void
tile32(const struct llm_panel *panel, int t, float *c, struct llm_panel_kind kind, const int n)
{
	const struct llm_panel s = *panel;
	const __m256i ones = _mm256_set1_epi16(1);
	size_t at = (size_t)t * s.x.d_stride + (size_t)(s.k0 / 32);
	for (int b = 0; b < s.n_col / 32; b++) {
		__m256i isum[2][TOKENS];
		for (int i = 0; i < n; i++)
			isum[0][i] = isum[1][i] = _mm256_setzero_si256();
		if (kind.bits == 8)
			dots_words(isum, &s, b, n);
		else
			dots_sub(isum, &s, kind, t, b, ones, ones, n);
		for (int h = 0; h < 2; h++) {
			__m256 d = _mm256_load_ps(s.d + b * LANES + h * 8), m = d;
			if (kind.min)
				m = _mm256_load_ps(s.m + b * LANES + h * 8);
			for (int i = 0; i < n; i++) {
				size_t k = at + (size_t)i * s.x.d_stride + (size_t)b;
				float *to = c + i * LANES + h * 8;
				__m256 sum =
				    _mm256_fmadd_ps(_mm256_mul_ps(d, _mm256_set1_ps(s.x.d[k])),
					_mm256_cvtepi32_ps(isum[h][i]), _mm256_load_ps(to));
				if (kind.min)
					sum = _mm256_fmadd_ps(m, _mm256_set1_ps(s.x.s[k]), sum);
				_mm256_store_ps(to, sum);
			}
		}
	}
}

/* c[token][row] after block b of 256, from its integer sums. */
LLM_INLINE void
fold256(const struct llm_panel *s, struct llm_panel_kind kind, float *c,
    __m256i isum[2][TOKENS], int t, int b, const int n)
{
	const float *dx = s->x.d + (size_t)t * s->x.d_stride + s->k0 / 256 + b;
	for (int h = 0; h < 2; h++) {
		__m256 d = _mm256_load_ps(s->d + b * LANES + h * 8);
		for (int i = 0; i < n; i++) {
			float *to = c + i * LANES + h * 8;
			__m256 z = _mm256_mul_ps(d, _mm256_cvtepi32_ps(isum[h][i]));
			if (kind.min) {
				__m256i msum =
				    llm_panel_msum(s, t + i, b, h, 128 / kind.sub, LANES);
				z = _mm256_fnmadd_ps(_mm256_load_ps(s->m + b * LANES + h * 8),
				    _mm256_cvtepi32_ps(msum), z);
			}
			_mm256_store_ps(
			    to, _mm256_fmadd_ps(_mm256_set1_ps(dx[(size_t)i * s->x.d_stride]),
				    z, _mm256_load_ps(to)));
		}
	}
}

/* A tile of n tokens, blocks of 256. */
LLM_INLINE void
tile256(const struct llm_panel *panel, int t, float *c, struct llm_panel_kind kind, const int n)
{
	const struct llm_panel s = *panel;
	const int n_sub = 256 / kind.sub;
	for (int b = 0; b < s.n_col / 256; b++) {
		__m256i isum[2][TOKENS];
		for (int i = 0; i < n; i++)
			isum[0][i] = isum[1][i] = _mm256_setzero_si256();
		for (int j = b * n_sub; j < (b + 1) * n_sub; j++)
			dots_sub(isum, &s, kind, t, j, load(s.sc + j * LANES),
			    load(s.sc + j * LANES + 8), n);
		fold256(&s, kind, c, isum, t, b, n);
	}
}

/* n tokens of a whole panel: two tiles, which share what is prepared. */
LLM_INLINE void
tiles(const struct llm_panel *panel, int t, float *c, struct llm_panel_kind kind, const int n)
{
	struct llm_panel s = *panel;
	if (kind.bits == 8)
		prepare_words(&s, t, n);
	else if (kind.zero)
		prepare_start(&s, t, n, kind.sub);
#pragma GCC unroll 1
	for (int row = 0; row < LANES; row += ROWS) {
		if (kind.block == 32)
			tile32(&s, t, c + row, kind, n);
		else
			tile256(&s, t, c + row, kind, n);
		s.w += 4 * ROWS;
		s.d += ROWS;
		s.m += ROWS;
		s.sc += ROWS;
		s.min += ROWS;
	}
}

/* A kernel of a kind, in which the number of tokens is a constant. */
#define TILE(name, ...)                                           \
	__attribute__((noinline)) static void tile_##name(        \
	    const struct llm_panel *s, int t, int n, float *c)    \
	{                                                         \
		const struct llm_panel_kind kind = {__VA_ARGS__}; \
		switch (n) {                                      \
		case 1:                                           \
			tiles(s, t, c, kind, 1);                  \
			return;                                   \
		case 2:                                           \
			tiles(s, t, c, kind, 2);                  \
			return;                                   \
		case 3:                                           \
			tiles(s, t, c, kind, 3);                  \
			return;                                   \
		default:                                          \
			tiles(s, t, c, kind, 4);                  \
		}                                                 \
	}
TILE(zero32, .block = 32, .sub = 32, .zero = true, .bits = 5)
TILE(min4, .block = 32, .sub = 32, .min = true, .bits = 4)
TILE(min5, .block = 32, .sub = 32, .min = true, .bits = 5)
TILE(words, .block = 32, .sub = 32, .bits = 8)
TILE(zero16, .block = 256, .sub = 16, .zero = true, .bits = 6)
TILE(min16, .block = 256, .sub = 16, .min = true, .bits = 2)
TILE(min256_4, .block = 256, .sub = 32, .min = true, .bits = 4)
TILE(min256_5, .block = 256, .sub = 32, .min = true, .bits = 5)

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
PANEL_PACKED(q4_1, tile_min4)
PANEL_PACKED(q5_0, tile_zero32)
PANEL_PACKED(q5_1, tile_min5)
PANEL_PACKED(q8_0, tile_words)
PANEL(q2_K, tile_min16)
PANEL(q3_K, tile_zero16)
PANEL_PACKED(q4_K, tile_min256_4)
PANEL_PACKED(q5_K, tile_min256_5)
PANEL_PACKED(q6_K, tile_zero16)

void
llm_product_panel_avx2(const struct llm_product *p, int row0, int row1, void *scratch)
{
#define ENTRY(name, type) [LLM_DTYPE_##type] = panel_##name,
#define ENTRY_PACKED(name, type) [LLM_DTYPE_##type##_R8] = packed_##name,
	static const llm_product_part part[LLM_DTYPE_MAX] = {
	    LLM_FORMATS_32(ENTRY) LLM_FORMATS_256(ENTRY) LLM_FORMATS_PACKED(ENTRY_PACKED)};
	part[p->type](p, row0, row1, scratch);
}
