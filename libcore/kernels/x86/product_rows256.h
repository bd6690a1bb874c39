/*
 * SPDX-License-Identifier: ISC
 *
 * Quantized products of few tokens in GGUF's order by 256 bits, AVX2 or AVX-VNNI: how a row leaves its
 * integer sums.  Included once for each; the table `rows` at the end is what they call.
 */
#ifndef LLM_KERNELS_X86_PRODUCT_ROWS256_H
#define LLM_KERNELS_X86_PRODUCT_ROWS256_H

#include "libcore/kernels/x86/product_rows.h"
#include "libcore/kernels/x86/product_x86.h"
#include "libcore/kernels/x86/wide.h"

enum { LLM_ROWS_AHEAD = 2048 }; /* bytes from a read to its prefetch: what Zen 3 wants */

#ifdef LLM_VNNI
#define LLM_ROWS_VNNI 1
#else
#define LLM_ROWS_VNNI 0
#endif

/* v[2i] and v[2i+1] interleaved by 32 bits and added, for pairs below n; else nothing. */
#define PAIR(add, v, i, n)                                                          \
	((n) > 2 * (i) ? add(_mm256_unpacklo_epi32((v)[2 * (i)], (v)[2 * (i) + 1]), \
			     _mm256_unpackhi_epi32((v)[2 * (i)], (v)[2 * (i) + 1])) \
		       : _mm256_setzero_si256())
/* The same by 64 bits. */
#define QUAD(add, v, i, n)                                                          \
	((n) > 4 * (i) ? add(_mm256_unpacklo_epi64((v)[2 * (i)], (v)[2 * (i) + 1]), \
			     _mm256_unpackhi_epi64((v)[2 * (i)], (v)[2 * (i) + 1])) \
		       : _mm256_setzero_si256())

/*
 * Lane i: the dot of the unsigned bytes q[i] with the activations a + 32 i, i < n constant; without VNNI
 * less the zero point where they have eight bits.
 * Up to five bits the sums of eight products fit int16, 8 * 31 * 127 = 31496, so that two steps of
 * the reduction come before the widening.  Eight bits are multiplied as |w| * (a with the sign of
 * w): 2 * 128 * 127 = 32512 fits, as a is never -128.
 */
LLM_INLINE __m256i
dots(struct llm_format f, const __m256i *q, const int8_t *a, const int n)
{
	const bool wide = LLM_ROWS_VNNI || f.bits == 8; /* sums of int32 from the start */
	const __m256i ones = _mm256_set1_epi16(1);
	__m256i v[8], pair[4], quad[2];
	for (int i = 0; i < 8; i++) {
		__m256i x = llm_load256(a + 32 * (i < n ? i : 0));
		if (i >= n) {
			v[i] = _mm256_setzero_si256();
			continue;
		}
#if LLM_ROWS_VNNI
		v[i] = llm_v_dot8(_mm256_setzero_si256(), q[i], x);
#else
		if (f.bits == 8) {
			__m256i w = _mm256_xor_si256(q[i], _mm256_set1_epi8(-128));
			v[i] = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
			v[i] = _mm256_madd_epi16(v[i], ones);
		} else {
			v[i] = _mm256_maddubs_epi16(q[i], x);
		}
#endif
	}
	for (int i = 0; i < 4; i++)
		pair[i] =
		    wide ? PAIR(_mm256_add_epi32, v, i, n) : PAIR(_mm256_add_epi16, v, i, n);
	for (int i = 0; i < 2; i++)
		quad[i] = wide ? QUAD(_mm256_add_epi32, pair, i, n)
			       : _mm256_madd_epi16(QUAD(_mm256_add_epi16, pair, i, n), ones);
	return _mm256_add_epi32(_mm256_permute2x128_si256(quad[0], quad[1], 0x20),
	    _mm256_permute2x128_si256(quad[0], quad[1], 0x31));
}

/* Blocks [b, b + n) of row r of the eight, n <= 8 constant. */
LLM_INLINE void
group32(
    const struct llm_rows *c, struct llm_format f, const uint8_t *w, int r, int b, const int n)
{
	__m256i q[8];
	size_t block = (size_t)(c->b0 + b);
	for (int i = 0; i < n; i++) {
		f.unpack(q + i, w + i * f.bytes);
		llm_rows_scales(c, f, w + i * f.bytes, b + i, r);
	}
	for (int t = 0; t < c->n_tok; t++) {
		const int16_t *bsum = c->x.bsum + (size_t)t * c->x.b_stride + block;
		int32_t *isum = c->isum + (size_t)(t * 8 + r) * (size_t)c->n_max + b;
		__m256i v = dots(f, q, c->x.q + (size_t)t * c->x.q_stride + block * 32, n);
		if (f.zero != 0 && (LLM_ROWS_VNNI || f.bits != 8)) {
			int16_t some[8] = {0};
			memcpy(some, bsum, (size_t)n * sizeof *some);
			__m256i s = _mm256_cvtepi16_epi32(llm_load128(n == 8 ? bsum : some));
			v = _mm256_sub_epi32(
			    v, _mm256_slli_epi32(s, __builtin_ctz((unsigned)f.zero)));
		}
		if (n == 8)
			_mm256_storeu_si256((__m256i_u *)isum, v);
		else /* what follows may be another token's */
			memcpy(isum, &v, (size_t)n * sizeof *isum);
	}
}

/* Blocks of 32, row r of the eight. */
LLM_INLINE void
sums32(const struct llm_rows *rows, struct llm_format f, const uint8_t *w, int r)
{
	const struct llm_rows c = *rows;
	int b = 0;
	for (; b + 8 <= c.n; b += 8, w += 8 * f.bytes) {
		for (int at = 0; at < 8 * f.bytes; at += 64)
			_mm_prefetch((const char *)w + at + LLM_ROWS_AHEAD, _MM_HINT_T0);
		group32(&c, f, w, r, b, 8);
	}
	if (b + 4 <= c.n) {
		group32(&c, f, w, r, b, 4);
		b += 4, w += 4 * f.bytes;
	}
	if (b + 2 <= c.n) {
		group32(&c, f, w, r, b, 2);
		b += 2, w += 2 * f.bytes;
	}
	if (b < c.n)
		group32(&c, f, w, r, b, 1);
}

/* Block b of 256 of row r of the eight, unpacked, with token t. */
LLM_INLINE void
token256(const struct llm_rows *c, struct llm_format f, const __m256i q[8], __m256i sc,
    __m256i m, int b, int r, int t)
{
	const int8_t *a = c->x.q + (size_t)t * c->x.q_stride + (size_t)(c->b0 + b) * 256;
	const int16_t *bsum = c->x.bsum + (size_t)t * c->x.b_stride + (size_t)(c->b0 + b) * 16;
	__m256i isum = _mm256_setzero_si256(), msum = _mm256_madd_epi16(m, llm_load256(bsum));
	/* Products of adjacent columns: at most 2 * 63 * 127 = 16002. */
	for (int j = 0; j < 8; j++) {
		__m256i s =
		    _mm256_shuffle_epi8(sc, _mm256_set1_epi16((short)(j * 0x202 + 0x100)));
		__m256i v = _mm256_maddubs_epi16(q[j], llm_load256(a + 32 * j));
		isum = llm_v_dot16(isum, v, s);
	}
	if (f.zero != 0)
		isum = _mm256_sub_epi32(
		    isum, _mm256_slli_epi32(msum, __builtin_ctz((unsigned)f.zero)));
	__m256i both = _mm256_add_epi32(
	    _mm256_unpacklo_epi32(isum, msum), _mm256_unpackhi_epi32(isum, msum));
	__m128i sum =
	    _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
	sum = _mm_add_epi32(sum, _mm_unpackhi_epi64(sum, sum));
	size_t at = ((size_t)t * (size_t)c->n_max + (size_t)b) * 8 + (size_t)r;
	c->isum[at] = _mm_cvtsi128_si32(sum);
	if (f.m_at >= 0)
		c->msum[at] = _mm_extract_epi32(sum, 1);
}

/* Blocks of 256, row r of the eight. */
LLM_INLINE void
sums256(const struct llm_rows *rows, struct llm_format f, const uint8_t *w, int r)
{
	/* Scales of even sixteens into the low half, of odd ones into the high, as the bytes lie. */
	const __m128i halves =
	    _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
	const struct llm_rows c = *rows;
	for (int b = 0; b < c.n; b++, w += f.bytes) {
		__m256i q[8];
		__m128i sc8, m8;
		for (int at = 0; at < f.bytes; at += 64)
			_mm_prefetch((const char *)w + at + LLM_ROWS_AHEAD, _MM_HINT_T0);
		f.unpack(q, w);
		f.scales(&sc8, &m8, w);
		__m256i sc = _mm256_cvtepi8_epi16(_mm_shuffle_epi8(sc8, halves));
		__m256i m = _mm256_cvtepi8_epi16(m8);
		llm_rows_scales(&c, f, w, b, r);
		for (int t = 0; t < c.n_tok; t++)
			token256(&c, f, q, sc, m, b, r, t);
	}
}

#define ROWS(name, sums)                                                              \
	static void sums_##name(const struct llm_rows *rows, const uint8_t *w, int r) \
	{                                                                             \
		sums(rows, LLM_FORMAT_##name, w, r);                                  \
	}                                                                             \
	static void rows_##name(                                                      \
	    const struct llm_product *p, int row0, int row1, void *scratch)           \
	{                                                                             \
		llm_rows_run(p, row0, row1, scratch, LLM_FORMAT_##name, sums_##name); \
	}
#define ROWS32(name, type) ROWS(name, sums32)
#define ROWS256(name, type) ROWS(name, sums256)
LLM_FORMATS_32(ROWS32)
LLM_FORMATS_256(ROWS256)

#define ENTRY(name, type) [LLM_DTYPE_##type] = rows_##name,
static const llm_product_part rows[LLM_DTYPE_MAX] = {
    LLM_FORMATS_32(ENTRY) LLM_FORMATS_256(ENTRY)};

#endif
