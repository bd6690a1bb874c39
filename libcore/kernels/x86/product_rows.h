/*
 * SPDX-License-Identifier: ISC
 *
 * Quantized products of one to eight tokens, straight from GGUF's order.  Eight rows at a time:
 * first each row is read once, from its start to its end, and leaves the integer sums of its blocks
 * in scratch; then the sums of the eight rows are folded in floats, block after block, a lane a row.
 * The sums are each instruction set's own; the folding stands here.
 */
#ifndef LLM_KERNELS_X86_PRODUCT_ROWS_H
#define LLM_KERNELS_X86_PRODUCT_ROWS_H

#include "libcore/kernels/x86/product_unpack.h"

enum { LLM_ROWS_TOKENS = 8 };

/*
 * The sums of eight rows over a chunk of blocks.  isum of 32: [tok][row][n_max], in the order in
 * which they arise; isum and msum of 256: [tok][n_max][row], as the fold wants them.  Functions copy
 * the struct first: what they store cannot change a local copy.
 */
struct llm_rows {
	struct llm_act x;
	int n_tok, n_max; /* tokens; most blocks of a chunk */
	int b0, n;        /* blocks of this chunk */
	int32_t *isum, *msum;
	uint16_t *d; /* [n_max][row] halves, where the format has no minimum */
	uint32_t *
	    dm; /* [n_max][row] where it has one: d and m as they stand together in the block */
};

/* The sums of row r of the eight, whose chunk begins at w. */
typedef void (*llm_rows_sums)(const struct llm_rows *rows, const uint8_t *w, int r);

/* Puts the scales of block b of row r where the fold finds them. */
LLM_INLINE void
llm_rows_scales(const struct llm_rows *c, struct llm_format f, const uint8_t *w, int b, int r)
{
	if (f.m_at < 0)
		c->d[b * 8 + r] = llm_load16(w + f.d_at);
	else
		c->dm[b * 8 + r] = llm_load32(w + f.d_at);
}

/* The scales of block b of the eight rows. */
LLM_INLINE void
llm_rows_floats(const struct llm_rows *c, bool has_min, int b, __m256 *d, __m256 *m)
{
	const __m256i apart = _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14,
	    15, 0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
	if (!has_min) {
		*d = *m = _mm256_cvtph_ps(llm_load128(c->d + b * 8));
		return;
	}
	__m256i v = _mm256_shuffle_epi8(llm_load256(c->dm + b * 8), apart);
	v = _mm256_permute4x64_epi64(v, 0xd8);
	*d = _mm256_cvtph_ps(_mm256_castsi256_si128(v));
	*m = _mm256_cvtph_ps(_mm256_extracti128_si256(v, 1));
}

/* v[i] lane j becomes v[j] lane i. */
LLM_INLINE void
llm_transpose8(__m256i v[8])
{
	__m256i a[8], b[8];
	for (int i = 0; i < 4; i++) {
		a[2 * i] = _mm256_unpacklo_epi32(v[2 * i], v[2 * i + 1]);
		a[2 * i + 1] = _mm256_unpackhi_epi32(v[2 * i], v[2 * i + 1]);
	}
	for (int i = 0; i < 2; i++) {
		b[4 * i] = _mm256_unpacklo_epi64(a[4 * i], a[4 * i + 2]);
		b[4 * i + 1] = _mm256_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
		b[4 * i + 2] = _mm256_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
		b[4 * i + 3] = _mm256_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
	}
	for (int i = 0; i < 4; i++) {
		v[i] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x20);
		v[i + 4] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x31);
	}
}

/* The chunk's blocks of 32, folded in order. */
LLM_INLINE void
llm_rows_fold32(const struct llm_rows *rows, __m256 sum[LLM_ROWS_TOKENS], bool has_min)
{
	const struct llm_rows c = *rows;
	for (int t = 0; t < c.n_tok; t++) {
		const float *dx = c.x.d + (size_t)t * c.x.d_stride + c.b0;
		const float *sx = c.x.s + (size_t)t * c.x.d_stride + c.b0;
		const int32_t *isum = c.isum + (size_t)t * 8 * (size_t)c.n_max;
		__m256 acc = sum[t];
		for (int b = 0; b < c.n; b += 8) {
			__m256i v[8];
			for (int r = 0; r < 8; r++)
				v[r] = llm_load256(isum + (size_t)r * (size_t)c.n_max + b);
			llm_transpose8(v);
			for (int i = 0; i < 8 && b + i < c.n; i++) {
				__m256 d, m;
				llm_rows_floats(&c, has_min, b + i, &d, &m);
				d = _mm256_mul_ps(d, _mm256_set1_ps(dx[b + i]));
				acc = _mm256_fmadd_ps(d, _mm256_cvtepi32_ps(v[i]), acc);
				if (has_min)
					acc =
					    _mm256_fmadd_ps(m, _mm256_set1_ps(sx[b + i]), acc);
			}
		}
		sum[t] = acc;
	}
}

/* The chunk's blocks of 256, folded in order. */
LLM_INLINE void
llm_rows_fold256(const struct llm_rows *rows, __m256 sum[LLM_ROWS_TOKENS], bool has_min)
{
	const struct llm_rows c = *rows;
	for (int t = 0; t < c.n_tok; t++) {
		const float *dx = c.x.d + (size_t)t * c.x.d_stride + c.b0;
		for (int b = 0; b < c.n; b++) {
			size_t at = ((size_t)t * (size_t)c.n_max + (size_t)b) * 8;
			__m256 d, m;
			llm_rows_floats(&c, has_min, b, &d, &m);
			__m256 z =
			    _mm256_mul_ps(d, _mm256_cvtepi32_ps(llm_load256(c.isum + at)));
			if (has_min)
				z = _mm256_fnmadd_ps(
				    m, _mm256_cvtepi32_ps(llm_load256(c.msum + at)), z);
			sum[t] = _mm256_fmadd_ps(_mm256_set1_ps(dx[b]), z, sum[t]);
		}
	}
}

/* Lays the chunk's arrays in scratch: most blocks for which the sums stay near. */
LLM_INLINE void
llm_rows_init(struct llm_rows *c, const struct llm_act *x, struct llm_format f, void *scratch)
{
	c->x = *x;
	c->n_tok = x->n_tok;
	c->n_max = ((f.block == 32 ? 512 : 256) / (c->n_tok < 4 ? 4 : c->n_tok)) & ~7;
	size_t n = (size_t)c->n_tok * 8 * (size_t)c->n_max;
	c->isum = scratch;
	c->msum = c->isum + n;
	c->dm = (uint32_t *)(c->msum + n);
	c->d = (uint16_t *)c->dm;
}

/* Writes n_row rows from row0 on of each token. */
LLM_INLINE void
llm_rows_store(const struct llm_product *p, const __m256 *sum, int row0, int n_row)
{
	const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
	__m256i some = _mm256_cmpgt_epi32(_mm256_set1_epi32(n_row), lane);
	for (int t = 0; t < p->x->n_tok; t++) {
		float *y = p->y + (size_t)t * p->y_stride + row0;
		if (n_row == 8)
			_mm256_storeu_ps(y, sum[t]);
		else
			_mm256_maskstore_ps(y, some, sum[t]);
	}
}

/* Rows [row0, row1) of a product of at most LLM_ROWS_TOKENS tokens; format and sums are constants. */
LLM_INLINE void
llm_rows_run(const struct llm_product *p, int row0, int row1, void *scratch,
    const struct llm_format f, const llm_rows_sums sums)
{
	struct llm_rows c;
	size_t row_bytes = (size_t)p->x->n_block * (size_t)f.bytes;
	llm_rows_init(&c, p->x, f, scratch);
	for (int r0 = row0; r0 < row1; r0 += 8) {
		int n_row = row1 - r0 < 8 ? row1 - r0 : 8;
		__m256 sum[LLM_ROWS_TOKENS];
		for (int t = 0; t < c.n_tok; t++)
			sum[t] = _mm256_setzero_ps();
		for (c.b0 = 0; c.b0 < c.x.n_block; c.b0 += c.n_max) {
			c.n = c.x.n_block - c.b0 < c.n_max ? c.x.n_block - c.b0 : c.n_max;
			const uint8_t *w = (const uint8_t *)p->w + (size_t)r0 * row_bytes +
					   (size_t)c.b0 * (size_t)f.bytes;
			for (int r = 0; r < n_row; r++, w += row_bytes)
				sums(&c, w, r);
			if (f.block == 32)
				llm_rows_fold32(&c, sum, f.m_at >= 0);
			else
				llm_rows_fold256(&c, sum, f.m_at >= 0);
		}
		llm_rows_store(p, sum, r0, n_row);
	}
}

#endif
