/*
 * SPDX-License-Identifier: ISC
 *
 * Quantized products of few tokens by AVX-512 VNNI: how a row leaves its integer sums.  Rows are read in
 * order and fetched some lines ahead: an Intel core gains 10 to 35 %, where Zen 4 loses 5 to 20.
 */
#include "libcore/kernels/x86/product_rows.h"
#include "libcore/kernels/x86/product_unpack512.h"
#include "libcore/kernels/x86/product_x86.h"

enum { AHEAD = 1024 }; /* bytes from a read to its prefetch */

typedef __m512i (*unpack2)(const uint8_t *block);
typedef void (*unpack4)(__m512i q[4], const uint8_t *block);

/* Adds what two unpackings leave side by side. */
#define ADD32(a, b) _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b))
#define ADD64(a, b) _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b))

/* Lane i: the dot of block i of eight, two a vector, with the activations a + 32 i. */
LLM_INLINE __m256i
dots8(const __m512i q[4], const int8_t *a)
{
	const __m512i order =
	    _mm512_setr_epi32(0, 8, 1, 9, 2, 10, 3, 11, 0, 0, 0, 0, 0, 0, 0, 0);
	__m512i v[4];
	for (int i = 0; i < 4; i++)
		v[i] = _mm512_dpbusd_epi32(
		    _mm512_setzero_si512(), q[i], _mm512_loadu_si512(a + 64 * i));
	/* Each quarter: of the blocks 0, 2, 4, 6 in the low half, of 1, 3, 5, 7 in the high. */
	__m512i sum = ADD64(ADD32(v[0], v[1]), ADD32(v[2], v[3]));
	sum = _mm512_add_epi32(sum, _mm512_shuffle_i32x4(sum, sum, 0xb1));
	return _mm512_castsi512_si256(_mm512_permutexvar_epi32(order, sum));
}

/* The zero point's share of the activations of eight blocks from this sum on. */
LLM_INLINE __m256i
share(struct llm_format f, const int16_t *bsum)
{
	__m256i s = _mm256_cvtepi16_epi32(llm_load128(bsum));
	return _mm256_slli_epi32(s, __builtin_ctz((unsigned)f.zero | 1u << 31));
}

/* Blocks [b, b + 8) of row r of the eight. */
LLM_INLINE void
group32(const struct llm_rows *c, struct llm_format f, unpack2 unpack, const uint8_t *w, int r,
    int b)
{
	__m512i q[4];
	size_t block = (size_t)(c->b0 + b);
	for (int i = 0; i < 4; i++)
		q[i] = unpack(w + 2 * i * f.bytes);
	for (int i = 0; i < 8; i++)
		llm_rows_scales(c, f, w + i * f.bytes, b + i, r);
	for (int t = 0; t < c->n_tok; t++) {
		__m256i v = dots8(q, c->x.q + (size_t)t * c->x.q_stride + block * 32);
		if (f.zero != 0)
			v = _mm256_sub_epi32(
			    v, share(f, c->x.bsum + (size_t)t * c->x.b_stride + block));
		_mm256_storeu_si256(
		    (__m256i_u *)(c->isum + (size_t)(t * 8 + r) * (size_t)c->n_max + b), v);
	}
}

/* Block b alone, for the end of a row. */
LLM_INLINE void
single32(const struct llm_rows *c, struct llm_format f, const uint8_t *w, int r, int b)
{
	__m256i q;
	size_t block = (size_t)(c->b0 + b);
	f.unpack(&q, w);
	llm_rows_scales(c, f, w, b, r);
	for (int t = 0; t < c->n_tok; t++) {
		const int8_t *a = c->x.q + (size_t)t * c->x.q_stride + block * 32;
		__m256i v = _mm256_dpbusd_epi32(_mm256_setzero_si256(), q, llm_load256(a));
		__m128i sum =
		    _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
		sum = _mm_add_epi32(sum, _mm_unpackhi_epi64(sum, sum));
		sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 1));
		c->isum[(size_t)(t * 8 + r) * (size_t)c->n_max + (size_t)b] =
		    _mm_cvtsi128_si32(sum) -
		    f.zero * c->x.bsum[(size_t)t * c->x.b_stride + block];
	}
}

/* Blocks of 32, row r of the eight. */
LLM_INLINE void
sums32(
    const struct llm_rows *rows, struct llm_format f, unpack2 unpack, const uint8_t *w, int r)
{
	const struct llm_rows c = *rows;
	int b = 0;
	for (; b + 8 <= c.n; b += 8, w += 8 * f.bytes) {
		for (int at = 0; at < 8 * f.bytes; at += 64)
			_mm_prefetch((const char *)w + at + AHEAD, _MM_HINT_T0);
		group32(&c, f, unpack, w, r, b);
	}
	for (; b < c.n; b++, w += f.bytes)
		single32(&c, f, w, r, b);
}

/* Block b of 256 of row r of the eight, unpacked, with token t. */
LLM_INLINE void
token256(const struct llm_rows *c, struct llm_format f, const __m512i q[4], const __m512i sc[4],
    __m256i m, int b, int r, int t)
{
	const int8_t *a = c->x.q + (size_t)t * c->x.q_stride + (size_t)(c->b0 + b) * 256;
	const int16_t *bsum = c->x.bsum + (size_t)t * c->x.b_stride + (size_t)(c->b0 + b) * 16;
	__m512i sums = _mm512_setzero_si512();
	/* Products of adjacent columns: at most 2 * 63 * 127 = 16002. */
	for (int j = 0; j < 4; j++)
		sums = _mm512_dpwssd_epi32(
		    sums, _mm512_maddubs_epi16(q[j], _mm512_loadu_si512(a + 64 * j)), sc[j]);
	__m256i isum =
	    _mm256_add_epi32(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64(sums, 1));
	__m256i msum = _mm256_madd_epi16(m, llm_load256(bsum));
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
sums256(
    const struct llm_rows *rows, struct llm_format f, unpack4 unpack, const uint8_t *w, int r)
{
	/* Scale 4j + i of the sixteen into quarter i of vector j: eight times, as int16. */
	const __m512i quarter =
	    _mm512_inserti64x4(_mm512_inserti32x4(_mm512_setzero_si512(), _mm_set1_epi16(1), 1),
		_mm256_set_m128i(_mm_set1_epi16(3), _mm_set1_epi16(2)), 1);
	const struct llm_rows c = *rows;
	for (int b = 0; b < c.n; b++, w += f.bytes) {
		__m512i q[4], sc[4];
		__m128i sc8, m8;
		for (int at = 0; at < f.bytes; at += 64)
			_mm_prefetch((const char *)w + at + AHEAD, _MM_HINT_T0);
		unpack(q, w);
		f.scales(&sc8, &m8, w);
		__m512i wide = _mm512_castsi256_si512(_mm256_cvtepi8_epi16(sc8));
		for (int j = 0; j < 4; j++)
			sc[j] = _mm512_permutexvar_epi16(
			    _mm512_add_epi16(quarter, _mm512_set1_epi16((short)(4 * j))), wide);
		__m256i m = _mm256_cvtepi8_epi16(m8);
		llm_rows_scales(&c, f, w, b, r);
		for (int t = 0; t < c.n_tok; t++)
			token256(&c, f, q, sc, m, b, r, t);
	}
}

#define ROWS(name, sums, unpack)                                                      \
	static void sums_##name(const struct llm_rows *rows, const uint8_t *w, int r) \
	{                                                                             \
		sums(rows, LLM_FORMAT_##name, unpack, w, r);                          \
	}                                                                             \
	static void rows_##name(                                                      \
	    const struct llm_product *p, int row0, int row1, void *scratch)           \
	{                                                                             \
		llm_rows_run(p, row0, row1, scratch, LLM_FORMAT_##name, sums_##name); \
	}
#define ROWS32(name, type) ROWS(name, sums32, llm_unpack2_##name)
#define ROWS256(name, type) ROWS(name, sums256, llm_unpack4_##name)
LLM_FORMATS_32(ROWS32)
LLM_FORMATS_256(ROWS256)

void
llm_product_rows_avx512(const struct llm_product *p, int row0, int row1, void *scratch)
{
#define ENTRY(name, type) [LLM_DTYPE_##type] = rows_##name,
	static const llm_product_part part[LLM_DTYPE_MAX] = {
	    LLM_FORMATS_32(ENTRY) LLM_FORMATS_256(ENTRY)};
	part[p->type](p, row0, row1, scratch);
}
