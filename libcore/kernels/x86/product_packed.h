/*
 * SPDX-License-Identifier: ISC
 *
 * Quantized products from the packed layout (libcore/packed.h): eight rows are the eight lanes.
 * One to eight tokens are multiplied straight from it; for many it is spread into a panel.
 * Sums are integers inside a block and one fused float step a block in order, as everywhere.
 * Included once for each instruction set, which gives llm_packed_sub its meaning.
 */
#ifndef LLM_KERNELS_X86_PRODUCT_PACKED_H
#define LLM_KERNELS_X86_PRODUCT_PACKED_H

#include "libcore/kernels/x86/product_panel.h"

enum {
	LLM_PACKED_TOKENS = 8,
#ifdef __AVX512VNNI__
	LLM_PACKED_AHEAD = 4096, /* bytes from a read to its prefetch: Zen 5 wants 4 to 8 KB, */
#else
	LLM_PACKED_AHEAD = 2048, /* and Zen 3 half a KB to 4 KB */
#endif
};

/* X(name, TYPE) for every format that has a packed layout. */
#define LLM_FORMATS_PACKED(X) LLM_FORMATS_32(X) X(q4_K, Q4_K) X(q5_K, Q5_K) X(q6_K, Q6_K)

/* The fields of one block of eight rows. */
struct llm_packed_block {
	const uint8_t *d, *m, *scale, *high, *q;
};

/* Block i of a span of n. */
LLM_INLINE struct llm_packed_block
llm_packed_at(struct llm_format f, const uint8_t *span, int i, int n)
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
 * The weights of columns [4 g, 4 g + 4) of a block, or of a half of Q6_K, unsigned: lane r row r.
 * Which vector and which bits follows from blocks.h.  The shifts should be constants: where g is.
 */
LLM_INLINE __m256i
llm_packed_group(struct llm_format f, struct llm_packed_block b, int g)
{
	if (f.block == 32 && f.bits == 8)
		return _mm256_xor_si256(llm_load256(b.q + g * 32), _mm256_set1_epi8(-128));
	if (f.block == 32) {
		__m256i w = llm_field(llm_load256(b.q + g % 4 * 32), g / 4 * 4, 15);
		if (f.bits == 5)
			w = _mm256_or_si256(w, llm_bit(llm_load256(b.high), g, 4));
		return w;
	}
	if (f.bits == 6) {
		__m256i low = llm_load256(b.q + g % 16 * 32);
		__m256i high = llm_load256(b.high + g % 8 * 32);
		__m256i two = g / 8 < 2 ? _mm256_slli_epi16(high, 4 - g / 8 * 2)
					: _mm256_srli_epi16(high, g / 8 * 2 - 4);
		return _mm256_or_si256(llm_field(low, g / 16 * 4, 15),
		    _mm256_and_si256(two, _mm256_set1_epi8(0x30)));
	}
	__m256i w = llm_field(llm_load256(b.q + (g / 16 * 8 + g % 8) * 32), g / 8 % 2 * 4, 15);
	if (f.bits == 5)
		w = _mm256_or_si256(w, llm_bit(llm_load256(b.high + g % 8 * 32), g / 8, 4));
	return w;
}

/*
 * Scales [4 i, 4 i + 4) of eight rows as bytes, a lane a row; of minima the same.  Of Q4_K and Q5_K the
 * twelve bytes are three such vectors, with the upper bits of the last four in the first two.
 */
LLM_INLINE __m256i
llm_packed_scales(struct llm_format f, struct llm_packed_block b, int i)
{
	if (f.bits == 6 || i == 0) {
		__m256i v = llm_load256(b.scale + i * 32);
		return f.bits == 6 ? v : llm_field(v, 0, 63);
	}
	return _mm256_or_si256(llm_field(llm_load256(b.scale + 64), 0, 15),
	    llm_field(llm_load256(b.scale), 2, 0x30));
}

LLM_INLINE __m256i
llm_packed_minima(struct llm_packed_block b, int i)
{
	__m256i v = llm_load256(b.scale + 32);
	if (i == 0)
		return llm_field(v, 0, 63);
	return _mm256_or_si256(
	    llm_field(llm_load256(b.scale + 64), 4, 15), llm_field(v, 2, 0x30));
}

/* Byte j of each lane as int32, signed where the format's are. */
LLM_INLINE __m256i
llm_packed_scale32(struct llm_format f, __m256i v, int j)
{
	if (f.bits == 6)
		return _mm256_srai_epi32(_mm256_slli_epi32(v, 24 - 8 * j), 24);
	return _mm256_and_si256(_mm256_srli_epi32(v, 8 * j), _mm256_set1_epi32(255));
}

/* The same as int16 twice. */
LLM_INLINE __m256i
llm_packed_scale16(struct llm_format f, __m256i v, int j)
{
	__m256i s = llm_packed_scale32(f, v, j);
	return _mm256_blend_epi16(s, _mm256_slli_epi32(s, 16), 0xaa);
}

/* Bytes 2 j and 2 j + 1 of each lane as int16 beside each other: minima, which have no sign. */
LLM_INLINE __m256i
llm_packed_pair(__m256i v, int j)
{
	const __m256i first = _mm256_set1_epi32((int)0x80018000u);
	const __m256i step = _mm256_setr_epi32(
	    0, 0x00040004, 0x00080008, 0x000c000c, 0, 0x00040004, 0x00080008, 0x000c000c);
	__m256i at = _mm256_add_epi8(_mm256_add_epi8(first, step), _mm256_set1_epi16(2 * j));
	return _mm256_shuffle_epi8(v, at);
}

/* What of eight rows is in work. */
struct llm_packed {
	struct llm_act x;
	const int16_t *pair;  /* [tok][b_stride / 2] sums by 32 of kind Q256, for minima */
	const int32_t *start; /* [tok][b_stride] the zero point's share of each sub's sum */
	const uint8_t *w;     /* the span to come */
	int b;                /* blocks before it */
	__m256 acc[LLM_PACKED_TOKENS];
};

/*
 * The dots of n groups of weights with the activations at a, sub j of token t, times the scale.
 */
#ifdef __AVX512VNNI__
LLM_INLINE __m256i
llm_packed_sub(struct llm_format f, const struct llm_packed *s, const __m256i *w, __m256i scale,
    const int n, int t, int j)
{
	const int8_t *a = s->x.q + (size_t)t * s->x.q_stride + j * n * 4;
	__m256i sum = _mm256_setzero_si256();
	if (f.zero != 0)
		sum = _mm256_set1_epi32(s->start[(size_t)t * s->x.b_stride + (size_t)j]);
	for (int g = 0; g < n; g++)
		sum = _mm256_dpbusd_epi32(
		    sum, w[g], _mm256_set1_epi32((int)llm_load32(a + 4 * g)));
	return f.block == 32 ? sum : _mm256_mullo_epi32(sum, scale);
}
#else
/*
 * In int16 as far as it fits; see avx2/product_panel.c for the bounds.  Eight bits are multiplied as
 * |w| * (x with the sign of w): 2 * 128 * 127 = 32512 fits, as x is never -128.
 */
LLM_INLINE __m256i
llm_packed_sub(struct llm_format f, const struct llm_packed *s, const __m256i *w, __m256i scale,
    const int n, int t, int j)
{
	const int8_t *a = s->x.q + (size_t)t * s->x.q_stride + j * n * 4;
	const int16_t *nsum = s->x.nsum + ((size_t)t * s->x.b_stride + (size_t)j) * 2;
	const int n_step = f.bits == 8 ? 1 : f.bits == 5 && f.zero == 0 ? 4 : n;
	__m256i sum = _mm256_setzero_si256();
	for (int g0 = 0; g0 < n; g0 += n_step) {
		__m256i acc = _mm256_setzero_si256();
		if (f.zero != 0 && f.bits != 8)
			acc = _mm256_slli_epi16(_mm256_set1_epi32((int)llm_load32(nsum)),
			    __builtin_ctz((unsigned)f.zero));
		for (int g = g0; g < g0 + n_step; g++) {
			__m256i x = _mm256_set1_epi32((int)llm_load32(a + 4 * g)), q = w[g];
			if (f.bits == 8) {
				q = _mm256_xor_si256(q, _mm256_set1_epi8(-128));
				x = _mm256_sign_epi8(x, q);
				q = _mm256_abs_epi8(q);
			}
			acc = _mm256_add_epi16(acc, _mm256_maddubs_epi16(q, x));
		}
		sum = _mm256_add_epi32(sum, _mm256_madd_epi16(acc, scale));
	}
	return sum;
}
#endif

/* A span of n blocks of 32. */
LLM_INLINE void
llm_packed_span32(struct llm_packed *s, struct llm_format f, const int n, const int n_tok)
{
	for (int i = 0; i < n; i++) {
		struct llm_packed_block b = llm_packed_at(f, s->w, i, n);
		__m256 d = _mm256_cvtph_ps(llm_load128(b.d)), m = d;
		__m256i w[8];
		if (f.m_at >= 0)
			m = _mm256_cvtph_ps(llm_load128(b.m));
		for (int g = 0; g < 8; g++)
			w[g] = llm_packed_group(f, b, g);
		for (int t = 0; t < n_tok; t++) {
			size_t at = (size_t)t * s->x.d_stride + (size_t)(s->b + i);
			__m256i sum =
			    llm_packed_sub(f, s, w, _mm256_set1_epi16(1), 8, t, s->b + i);
			s->acc[t] =
			    _mm256_fmadd_ps(_mm256_mul_ps(d, _mm256_set1_ps(s->x.d[at])),
				_mm256_cvtepi32_ps(sum), s->acc[t]);
			if (f.m_at >= 0)
				s->acc[t] =
				    _mm256_fmadd_ps(m, _mm256_set1_ps(s->x.s[at]), s->acc[t]);
		}
	}
}

/* Sub j of a block, or of a half of Q6_K, which is the sub `at` of the row: j is a constant. */
LLM_INLINE void
llm_packed_step(__m256i *isum, const struct llm_packed *s, struct llm_format f,
    struct llm_packed_block b, const int j, int at, const int n_tok)
{
	const int n = llm_panel_sub(f) / 4;
	__m256i scales = llm_packed_scales(f, b, j / 4), w[8];
#ifdef __AVX512VNNI__
	__m256i scale = llm_packed_scale32(f, scales, j % 4);
#else
	__m256i scale = llm_packed_scale16(f, scales, j % 4);
#endif
	for (int g = 0; g < n; g++)
		w[g] = llm_packed_group(f, b, j * n + g);
	for (int t = 0; t < n_tok; t++)
		isum[t] =
		    _mm256_add_epi32(isum[t], llm_packed_sub(f, s, w, scale, n, t, at + j));
}

/* The integer sums of a block of 256; the eight steps are written out, as compilers leave a loop. */
LLM_INLINE void
llm_packed_sums256(__m256i *isum, const struct llm_packed *s, struct llm_format f,
    struct llm_packed_block b, const int n_tok)
{
	const int n_half = f.bits == 6 ? 2 : 1;
	for (int t = 0; t < n_tok; t++)
		isum[t] = _mm256_setzero_si256();
	for (int half = 0; half < n_half; half++, b = llm_packed_second(b)) {
		int at = (s->b * n_half + half) * 8;
		llm_packed_step(isum, s, f, b, 0, at, n_tok);
		llm_packed_step(isum, s, f, b, 1, at, n_tok);
		llm_packed_step(isum, s, f, b, 2, at, n_tok);
		llm_packed_step(isum, s, f, b, 3, at, n_tok);
		llm_packed_step(isum, s, f, b, 4, at, n_tok);
		llm_packed_step(isum, s, f, b, 5, at, n_tok);
		llm_packed_step(isum, s, f, b, 6, at, n_tok);
		llm_packed_step(isum, s, f, b, 7, at, n_tok);
	}
}

/* One block of 256. */
LLM_INLINE void
llm_packed_span256(struct llm_packed *s, struct llm_format f, const int n_tok)
{
	struct llm_packed_block b = llm_packed_at(f, s->w, 0, 1);
	__m256 d = _mm256_cvtph_ps(llm_load128(b.d)), m = d;
	__m256i isum[LLM_PACKED_TOKENS], min[4];
	llm_packed_sums256(isum, s, f, b, n_tok);
	if (f.m_at >= 0) {
		m = _mm256_cvtph_ps(llm_load128(b.m));
		for (int j = 0; j < 4; j++)
			min[j] = llm_packed_pair(llm_packed_minima(b, j / 2), j % 2);
	}
	for (int t = 0; t < n_tok; t++) {
		__m256 z = _mm256_mul_ps(d, _mm256_cvtepi32_ps(isum[t]));
		if (f.m_at >= 0) {
			const int16_t *pair =
			    s->pair + (size_t)t * (s->x.b_stride / 2) + s->b * 8;
			__m256i msum = _mm256_setzero_si256();
			for (int j = 0; j < 4; j++)
				msum = _mm256_add_epi32(msum,
				    _mm256_madd_epi16(min[j],
					_mm256_set1_epi32((int)llm_load32(pair + 2 * j))));
			z = _mm256_fnmadd_ps(m, _mm256_cvtepi32_ps(msum), z);
		}
		float dx = s->x.d[(size_t)t * s->x.d_stride + (size_t)s->b];
		s->acc[t] = _mm256_fmadd_ps(_mm256_set1_ps(dx), z, s->acc[t]);
	}
}

/* So far ahead Zen 5 wants it in its second cache, where it pushes nothing out. */
LLM_INLINE void
llm_packed_prefetch(const uint8_t *p)
{
#ifdef __AVX512VNNI__
	_mm_prefetch((const char *)p, _MM_HINT_T1);
#else
	_mm_prefetch((const char *)p, _MM_HINT_T0);
#endif
}

/* Eight rows, whole. */
LLM_INLINE void
llm_packed_unit(struct llm_packed *s, struct llm_format f, const int n_tok)
{
	const int most = f.block == 32 ? 4 : 1, bytes = 8 * f.bytes;
	for (int t = 0; t < n_tok; t++)
		s->acc[t] = _mm256_setzero_ps();
	for (s->b = 0; s->b + most <= s->x.n_block; s->b += most, s->w += most * bytes) {
		for (int at = 0; at < most * bytes; at += 64)
			llm_packed_prefetch(s->w + at + LLM_PACKED_AHEAD);
		if (f.block == 32)
			llm_packed_span32(s, f, 4, n_tok);
		else
			llm_packed_span256(s, f, n_tok);
	}
	int left = s->x.n_block - s->b;
	if (left > 0) {
		llm_packed_span32(s, f, left, n_tok);
		s->w += left * bytes;
	}
}

/* pair[tok][..] = the sums of activations by 32, for the minima. */
LLM_INLINE void
llm_packed_pairs(const struct llm_act *x, int16_t *pair)
{
	for (int t = 0; t < x->n_tok; t++)
		for (int j = 0; j < x->n_sub; j += 16) {
			__m256i v = _mm256_madd_epi16(
			    llm_load256(x->bsum + (size_t)t * x->b_stride + j),
			    _mm256_set1_epi16(1));
			_mm_store_si128(
			    (__m128i *)(pair + (size_t)t * (x->b_stride / 2) + j / 2),
			    _mm_packs_epi32(
				_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1)));
		}
}

#ifdef __AVX512VNNI__
/* start[tok][sub] = -zero * (sum of the sub's activations). */
LLM_INLINE void
llm_packed_starts(const struct llm_act *x, int32_t *start, const int zero)
{
	for (size_t i = 0; i < (size_t)x->n_tok * x->b_stride; i += 16) {
		__m512i v = _mm512_cvtepi16_epi32(llm_load256(x->bsum + i));
		v = _mm512_slli_epi32(v, __builtin_ctz((unsigned)zero));
		_mm512_store_si512(start + i, _mm512_sub_epi32(_mm512_setzero_si512(), v));
	}
}
#endif

/* Rows [row0, row1) of a product of at most LLM_PACKED_TOKENS tokens. */
LLM_INLINE void
llm_packed_rows(const struct llm_product *p, int row0, int row1, void *scratch,
    const struct llm_format f, const int n_tok)
{
	struct llm_packed s = {.x = *p->x, .pair = scratch, .start = scratch};
	s.w = (const uint8_t *)p->w + (size_t)row0 * (size_t)s.x.n_block * (size_t)f.bytes;
	if (f.m_at >= 0 && f.block == 256)
		llm_packed_pairs(p->x, scratch);
#ifdef __AVX512VNNI__
	if (f.zero != 0)
		llm_packed_starts(p->x, scratch, f.zero);
#endif
	for (int r = row0; r < row1; r += 8) {
		llm_packed_unit(&s, f, n_tok);
		for (int t = 0; t < n_tok; t++)
			_mm256_storeu_ps(p->y + (size_t)t * p->y_stride + r, s.acc[t]);
	}
}

/* One block of eight rows of a packed matrix into lanes [lane, lane + 8) of a panel. */
LLM_INLINE void
llm_packed_spread(struct llm_panel *s, struct llm_format f, struct llm_packed_block at, int b,
    int lane, const int n_lane)
{
	__m256i *w = (__m256i *)((int32_t *)s->w + b * f.block / 4 * n_lane + lane);
	for (int g = 0; g < f.block / 4; g++) {
		__m256i v = f.bits == 6 && g >= 32
				? llm_packed_group(f, llm_packed_second(at), g - 32)
				: llm_packed_group(f, at, g);
		if (f.bits == 8 && n_lane == 16) { /* as llm_panel_widen */
			v = _mm256_xor_si256(v, _mm256_set1_epi8(-128));
			w = (__m256i *)((int32_t *)s->w + (b * 8 + g) * 2 * n_lane + lane);
			_mm256_store_si256(w, _mm256_srai_epi16(_mm256_slli_epi16(v, 8), 8));
			_mm256_store_si256(w + n_lane / 8, _mm256_srai_epi16(v, 8));
		} else {
			_mm256_store_si256(w + g * n_lane / 8, v);
		}
	}
	_mm256_store_ps(s->d + b * n_lane + lane, _mm256_cvtph_ps(llm_load128(at.d)));
	if (f.m_at >= 0)
		_mm256_store_ps(s->m + b * n_lane + lane, _mm256_cvtph_ps(llm_load128(at.m)));
	if (f.block == 32)
		return;
	const int n_sub = 256 / llm_panel_sub(f);
	for (int j = 0; j < n_sub; j++) {
		__m256i v = llm_packed_scales(f, at, j / 4);
		_mm256_store_si256((__m256i *)(s->sc + (b * n_sub + j) * n_lane + lane),
		    n_lane == 16 ? llm_packed_scale16(f, v, j % 4)
				 : llm_packed_scale32(f, v, j % 4));
	}
	for (int j = 0; f.m_at >= 0 && j < 4; j++)
		_mm256_store_si256((__m256i *)(s->min + (b * 4 + j) * n_lane + lane),
		    llm_packed_pair(llm_packed_minima(at, j / 2), j % 2));
}

/* llm_panel_fill of a packed matrix; past row1 the last eight rows stand again. */
LLM_INLINE void
llm_packed_fill(struct llm_panel *s, const struct llm_product *p, struct llm_format f, int row0,
    int row1, const int n_lane)
{
	const int most = f.block == 32 ? 4 : 1;
	size_t row_bytes = (size_t)(p->n_col / f.block) * (size_t)f.bytes;
	for (int lane = 0; lane < n_lane; lane += 8) {
		int r = row0 + lane < row1 ? row0 + lane : row1 - 8;
		const uint8_t *w = (const uint8_t *)p->w + (size_t)r * row_bytes +
				   (size_t)(s->k0 / f.block) * 8 * (size_t)f.bytes;
		int n_block = s->n_col / f.block;
		for (int b = 0; b < n_block; b += most, w += most * 8 * f.bytes) {
			int n = n_block - b < most ? n_block - b : most;
			for (int i = 0; i < n; i++)
				llm_packed_spread(
				    s, f, llm_packed_at(f, w, i, n), b + i, lane, n_lane);
		}
	}
}

#endif
