/*
 * SPDX-License-Identifier: ISC
 *
 * Products with activations in f32: float weights, and with --precise quantized ones, as dots of
 * sixteen lanes.  Eight rows become floats once, a chunk of columns at a time, and tiles of rows and
 * tokens sweep them; the lanes wait in scratch from chunk to chunk.
 * Included once for each instruction set; the width of its vectors is the only difference.
 */
#ifndef LLM_KERNELS_X86_PRODUCT_FLOAT_H
#define LLM_KERNELS_X86_PRODUCT_FLOAT_H

#include "libcore/kernels/x86/product_packed.h"
#include "libcore/kernels/x86/product_rows.h"
#include "libcore/packed.h"

enum {
	LLM_FLOAT_ROWS = 8,
	LLM_FLOAT_TOKENS = 120, /* most that share one dequantizing, */
	LLM_FLOAT_NEAR =
	    512 << 10,      /* and bytes of their activations, which stay in the second cache */
	LLM_FLOAT_TILE = 6, /* most tokens of a tile */
	LLM_FLOAT_DIRECT =
	    12, /* tokens up to which halves are widened as they are multiplied */
	LLM_FLOAT_WIDE =
	    2048, /* columns of a chunk for few tokens, a row being read at length */
	LLM_FLOAT_SHORT = 2500, /* bytes of a row up to which the next rows are fetched ahead */
	LLM_FLOAT_NARROW = 512, /* for many, so that a tile stays in the nearest cache */
	LLM_FLOAT_PAD = 16,     /* between rows of a panel, a power of two apart otherwise */
};

#ifdef __AVX512F__
typedef __m512 llm_vector;
enum { LLM_FLOAT_WIDTH = 16 };
#define llm_vector_load(p) _mm512_loadu_ps(p)
#define llm_vector_store(p, v) _mm512_storeu_ps((p), (v))
#define llm_vector_fma(a, b, c) _mm512_fmadd_ps((a), (b), (c))
#define llm_vector_halves(p) _mm512_cvtph_ps(llm_load256(p))
#define llm_vector_brains(p) \
	_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(llm_load256(p)), 16))
#else
typedef __m256 llm_vector;
enum { LLM_FLOAT_WIDTH = 8 };
#define llm_vector_load(p) _mm256_loadu_ps(p)
#define llm_vector_store(p, v) _mm256_storeu_ps((p), (v))
#define llm_vector_fma(a, b, c) _mm256_fmadd_ps((a), (b), (c))
#define llm_vector_halves(p) _mm256_cvtph_ps(llm_load128(p))
#define llm_vector_brains(p) \
	_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(llm_load128(p)), 16))
#endif

/* Eight rows of one chunk. */
struct llm_floats {
	const struct llm_act *x;
	const uint8_t
	    *row[LLM_FLOAT_ROWS]; /* at the chunk's first column: of F32, F16 or BF16 */
	float *lane;              /* [tok][row][16] */
	int t0, k0, n_col;        /* first token of the block; columns of the chunk */
	float *y; /* [tok][y_stride] where tiles of the last chunk put sums; NULL: lanes */
	size_t y_stride;
};

/* Sixteen unsigned bytes as floats: scale * (q - zero), or scale * q + add: at most one rounding. */
LLM_INLINE void
llm_float16(float *y, __m128i q, float scale, int zero, bool has_add, float add)
{
	for (int half = 0; half < 2; half++) {
		__m256i v = _mm256_cvtepu8_epi32(half ? _mm_unpackhi_epi64(q, q) : q);
		__m256 f = _mm256_cvtepi32_ps(_mm256_sub_epi32(v, _mm256_set1_epi32(zero)));
		f = _mm256_mul_ps(f, _mm256_set1_ps(scale));
		if (has_add)
			f = _mm256_add_ps(f, _mm256_set1_ps(add));
		_mm256_storeu_ps(y + 8 * half, f);
	}
}

/* The exact values of one block, as llm_dtype_info's to_f32 gives them. */
LLM_INLINE void
llm_float_block(float *y, const uint8_t *w, struct llm_format f)
{
	float d = llm_block_f16(w + f.d_at), m = f.m_at >= 0 ? llm_block_f16(w + f.m_at) : 0;
	__m256i q[8];
	int8_t sc[16], min[16];
	f.unpack(q, w);
	if (f.block == 256) {
		__m128i a, b;
		f.scales(&a, &b, w);
		_mm_storeu_si128((__m128i_u *)sc, a);
		_mm_storeu_si128((__m128i_u *)min, b);
	}
	for (int g = 0; g < f.block / 16; g++) {
		__m128i v = g % 2 ? _mm256_extracti128_si256(q[g / 2], 1)
				  : _mm256_castsi256_si128(q[g / 2]);
		float scale = f.block == 32 ? d : d * (float)sc[g];
		float add = f.block == 32 ? m : -(m * (float)min[g]);
		llm_float16(y + 16 * g, v, scale, f.zero, f.m_at >= 0, add);
	}
}

/* n weights from column k0 of row r, or of the eight packed rows from r on, `stride` apart. */
typedef void (*llm_float_fill)(
    float *y, size_t stride, const struct llm_product *p, int r, int k0, int n);

LLM_INLINE void
llm_float_blocks(
    float *y, const struct llm_product *p, int r, int k0, int n, struct llm_format f)
{
	size_t n_block = (size_t)(p->n_col / f.block);
	const uint8_t *w = (const uint8_t *)p->w +
			   ((size_t)r * n_block + (size_t)(k0 / f.block)) * (size_t)f.bytes;
	for (int k = 0; k < n; k += f.block, w += f.bytes)
		llm_float_block(y + k, w, f);
}

/* Columns [32 c, 32 c + 32) of a packed block as the bytes of eight rows; c is a constant. */
LLM_INLINE void
llm_float_columns(__m256i q[8], struct llm_packed_block b, struct llm_format f, const int c)
{
	for (int g = 0; g < 8; g++)
		q[g] = f.bits == 6 && c >= 4
			   ? llm_packed_group(f, llm_packed_second(b), (c - 4) * 8 + g)
			   : llm_packed_group(f, b, c * 8 + g);
	llm_transpose8(q);
}

/* One block of eight packed rows, the same values as llm_float_block gives. */
LLM_INLINE void
llm_float_eight(float *y, size_t stride, struct llm_packed_block b, struct llm_format f)
{
	float d[8], m[8] = {0};
	uint8_t sc[4][32], min[2][32]; /* four of each row */
	_mm256_storeu_ps(d, llm_v_halves(b.d, 0));
	if (f.m_at >= 0)
		_mm256_storeu_ps(m, llm_v_halves(b.m, 0));
	const int n_sub = f.block == 32 ? 1 : 256 / llm_panel_sub(f), sub = f.block / n_sub;
	for (int i = 0; f.block == 256 && i < n_sub / 4; i++) {
		_mm256_storeu_si256((__m256i_u *)sc[i], llm_packed_scales(f, b, i));
		if (f.m_at >= 0)
			_mm256_storeu_si256((__m256i_u *)min[i], llm_packed_minima(b, i));
	}
	for (int c = 0; c < f.block / 32; c++) {
		__m256i q[8];
		llm_float_columns(q, b, f, c);
		for (int r = 0; r < 8; r++)
			for (int half = 0; half < 2; half++) {
				int j = (c * 32 + half * 16) / sub;
				float scale = d[r], add = m[r];
				if (f.block == 256) {
					uint8_t x = sc[j / 4][r * 4 + j % 4];
					scale *= f.bits == 6 ? (float)(int8_t)x : (float)x;
				}
				if (f.block == 256 && f.m_at >= 0)
					add = -(add * (float)min[j / 4][r * 4 + j % 4]);
				llm_float16(y + (size_t)r * stride + c * 32 + half * 16,
				    half ? _mm256_extracti128_si256(q[r], 1)
					 : _mm256_castsi256_si128(q[r]),
				    scale, f.zero, f.m_at >= 0, add);
			}
	}
}

/* The unit of eight packed rows from r on; k0 is the first column of a span. */
LLM_INLINE void
llm_float_unit(float *y, size_t stride, const struct llm_product *p, int r, int k0, int n,
    struct llm_format f)
{
	const int most = f.block == 32 ? 4 : 1;
	size_t n_block = (size_t)(p->n_col / f.block);
	const uint8_t *w = (const uint8_t *)p->w +
			   ((size_t)r * n_block + 8 * (size_t)(k0 / f.block)) * (size_t)f.bytes;
	for (int left = n / f.block; left > 0;) {
		int n_span = left < most ? left : most;
		for (int i = 0; i < n_span; i++, y += f.block)
			llm_float_eight(y, stride, llm_packed_at(f, w, 0, i, n_span), f);
		w += n_span * 8 * f.bytes;
		left -= n_span;
	}
}

LLM_INLINE void
llm_float_f16(float *y, const struct llm_product *p, int r, int k0, int n)
{
	const uint8_t *w =
	    (const uint8_t *)p->w + 2 * ((size_t)r * (size_t)p->n_col + (size_t)k0);
	int k = 0;
	for (; k + 8 <= n; k += 8)
		_mm256_storeu_ps(y + k, _mm256_cvtph_ps(llm_load128(w + 2 * k)));
	for (; k < n; k++)
		y[k] = llm_block_f16(w + 2 * k);
}

LLM_INLINE void
llm_float_bf16(float *y, const struct llm_product *p, int r, int k0, int n)
{
	const uint8_t *w =
	    (const uint8_t *)p->w + 2 * ((size_t)r * (size_t)p->n_col + (size_t)k0);
	int k = 0;
	for (; k + 8 <= n; k += 8) {
		__m256i v = _mm256_cvtepu16_epi32(llm_load128(w + 2 * k));
		_mm256_storeu_si256((__m256i_u *)(y + k), _mm256_slli_epi32(v, 16));
	}
	for (; k < n; k++) {
		uint32_t bits = (uint32_t)llm_load16(w + 2 * k) << 16;
		memcpy(y + k, &bits, 4);
	}
}

/* A vector of weights from column k of a row on; one weight. */
LLM_INLINE llm_vector
llm_float_weights(const uint8_t *row, int k, const enum llm_dtype type)
{
	if (type == LLM_DTYPE_F32)
		return llm_vector_load((const float *)(const void *)row + k);
	return type == LLM_DTYPE_F16 ? llm_vector_halves(row + 2 * k)
				     : llm_vector_brains(row + 2 * k);
}

LLM_INLINE float
llm_float_weight(const uint8_t *row, int k, const enum llm_dtype type)
{
	if (type == LLM_DTYPE_F16)
		return llm_block_f16(row + 2 * k);
	uint32_t bits = type == LLM_DTYPE_F32 ? llm_load32(row + 4 * k)
					      : (uint32_t)llm_load16(row + 2 * k) << 16;
	float f;
	memcpy(&f, &bits, 4);
	return f;
}

/* Lanes of rows [r, r + n_row) and tokens [t, t + n) of the block; counts and type are constants. */
LLM_INLINE void
llm_float_tile(const struct llm_floats *s, int r, int t, const int n_row, const int n,
    const enum llm_dtype type)
{
	const float *x = s->x->x + (size_t)(s->t0 + t) * s->x->x_stride + s->k0;
	float *lane = s->lane + ((size_t)t * LLM_FLOAT_ROWS + (size_t)r) * 16;
	size_t stride = s->x->x_stride;
	int whole = s->n_col & ~15;
	for (int part = 0; part < 16; part += LLM_FLOAT_WIDTH) {
		llm_vector acc[LLM_FLOAT_ROWS][LLM_FLOAT_TILE];
		for (int j = 0; j < n; j++)
			for (int i = 0; i < n_row; i++)
				acc[i][j] = llm_vector_load(
				    lane + (j * LLM_FLOAT_ROWS + i) * 16 + part);
		for (int k = part; k < whole; k += 16) {
			llm_vector w[LLM_FLOAT_ROWS];
			for (int i = 0; i < n_row; i++) {
				w[i] = llm_float_weights(s->row[r + i], k, type);
				if (n > 1)
					llm_v_keep(w[i]);
			}
			for (int j = 0; j < n; j++) {
				llm_vector v = llm_vector_load(x + (size_t)j * stride + k);
				llm_v_keep(v); /* or gcc loads it once for each row */
				for (int i = 0; i < n_row; i++)
					acc[i][j] = llm_vector_fma(w[i], v, acc[i][j]);
			}
		}
		for (int j = 0; j < n; j++)
			for (int i = 0; i < n_row; i++)
				llm_vector_store(
				    lane + (j * LLM_FLOAT_ROWS + i) * 16 + part, acc[i][j]);
	}
	/* A short tail, of a row's last chunk alone, leaves the other lanes untouched. */
	for (int k = whole; k < s->n_col; k++)
		for (int j = 0; j < n; j++)
			for (int i = 0; i < n_row; i++) {
				float *a = lane + (j * LLM_FLOAT_ROWS + i) * 16 + k - whole;
				*a = __builtin_fmaf(llm_float_weight(s->row[r + i], k, type),
				    x[(size_t)j * stride + (size_t)k], *a);
			}
}

#ifdef __AVX512F__
/* The tree over the lanes of four vectors, side by side: each shuffle and sum works on all of them. */
LLM_INLINE __m128
llm_float_tree4(__m512 a, __m512 b, __m512 c, __m512 d)
{
	/* Quarters of each: those i and i + 2 (lanes i and i + 8), then those i and i + 1. */
	__m512 ab =
	    _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xEE));
	__m512 cd =
	    _mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xEE));
	__m512 v = _mm512_add_ps(
	    _mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xDD));
	v = _mm512_add_ps(v, _mm512_permute_ps(v, 0x4E));
	v = _mm512_add_ps(v, _mm512_permute_ps(v, 0xB1));
	const __m512i first =
	    _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	return _mm512_castps512_ps128(_mm512_permutexvar_ps(first, v));
}

/*
 * llm_float_tile of four rows and a whole row or its last chunk of whole vectors: lanes come from memory
 * where there was a chunk before, and what they add up to goes to y.
 */
LLM_INLINE void
llm_float_tile_end(
    const struct llm_floats *s, int r, int t, const int n, const enum llm_dtype type)
{
	const float *x = s->x->x + (size_t)(s->t0 + t) * s->x->x_stride + s->k0;
	const float *lane = s->lane + ((size_t)t * LLM_FLOAT_ROWS + (size_t)r) * 16;
	size_t stride = s->x->x_stride;
	__m512 acc[4][LLM_FLOAT_TILE];
	for (int j = 0; j < n; j++)
		for (int i = 0; i < 4; i++)
			acc[i][j] = s->k0 == 0
					? _mm512_setzero_ps()
					: _mm512_load_ps(lane + (j * LLM_FLOAT_ROWS + i) * 16);
	for (int k = 0; k < s->n_col; k += 16) {
		__m512 w[4];
		for (int i = 0; i < 4; i++) {
			w[i] = llm_float_weights(s->row[r + i], k, type);
			llm_v_keep(w[i]);
		}
		for (int j = 0; j < n; j++) {
			__m512 v = _mm512_loadu_ps(x + (size_t)j * stride + k);
			llm_v_keep(v);
			for (int i = 0; i < 4; i++)
				acc[i][j] = _mm512_fmadd_ps(w[i], v, acc[i][j]);
		}
	}
	for (int j = 0; j < n; j++)
		_mm_storeu_ps(s->y + (size_t)(t + j) * s->y_stride + r,
		    llm_float_tree4(acc[0][j], acc[1][j], acc[2][j], acc[3][j]));
}
#endif

/* All eight rows against n tokens, in as many tiles as the registers ask for. */
LLM_INLINE void
llm_float_tiles(const struct llm_floats *s, int t, const int n, const enum llm_dtype type)
{
	const int most = LLM_FLOAT_WIDTH == 16 ? (n < 4 ? 8 : 4) : (n < 2 ? 8 : n < 4 ? 4 : 2);
#ifdef __AVX512F__
	if (n >= 4 && s->y != NULL) {
		llm_float_tile_end(s, 0, t, n, type);
		llm_float_tile_end(s, 4, t, n, type);
		return;
	}
#endif
	for (int r = 0; r < LLM_FLOAT_ROWS; r += most)
		llm_float_tile(s, r, t, most, n, type);
}

/* The chunk against n_tok tokens; the type is a constant. */
LLM_INLINE void
llm_float_sweep(const struct llm_floats *s, int n_tok, const enum llm_dtype type)
{
	int n_tile = (n_tok + LLM_FLOAT_TILE - 1) / LLM_FLOAT_TILE;
	for (int i = 0, t = 0, next; i < n_tile; i++, t = next) {
		next = n_tok * (i + 1) / n_tile;
		switch (next - t) {
		case 1:
			llm_float_tiles(s, t, 1, type);
			break;
		case 2:
			llm_float_tiles(s, t, 2, type);
			break;
		case 3:
			llm_float_tiles(s, t, 3, type);
			break;
		case 4:
			llm_float_tiles(s, t, 4, type);
			break;
		case 5:
			llm_float_tiles(s, t, 5, type);
			break;
		default:
			llm_float_tiles(s, t, 6, type);
		}
	}
}

/* The tree over sixteen lanes: i + (i + 8), + 4, + 2, + 1. */
LLM_INLINE float
llm_float_tree(const float *lane)
{
	__m256 a = _mm256_add_ps(_mm256_load_ps(lane), _mm256_load_ps(lane + 8));
	__m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
	b = _mm_add_ps(b, _mm_movehl_ps(b, b));
	return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

/* Eight rows against tokens [t0, t0 + n_tok): lanes from 0 to the end of the row. */
static void
llm_float_rows(const struct llm_product *p, struct llm_floats *s, float *panel,
    const int row[LLM_FLOAT_ROWS], llm_float_fill fill, int n_tok)
{
	bool packed = llm_packed_is(p->type);
	bool half = p->type == LLM_DTYPE_F16 || p->type == LLM_DTYPE_BF16;
	size_t row_bytes = llm_dtype_row_bytes(p->type, p->n_col);
	bool direct = p->type == LLM_DTYPE_F32 || (half && n_tok <= LLM_FLOAT_DIRECT);
	int chunk = n_tok <= LLM_FLOAT_TILE ? LLM_FLOAT_WIDE : LLM_FLOAT_NARROW;
	size_t stride = (size_t)chunk + LLM_FLOAT_PAD;
	float *y = s->y;
	if (y == NULL || p->n_col > chunk)
		memset(s->lane, 0, (size_t)n_tok * LLM_FLOAT_ROWS * 16 * sizeof(float));
	for (s->k0 = 0; s->k0 < p->n_col; s->k0 += chunk) {
		s->n_col = p->n_col - s->k0 < chunk ? p->n_col - s->k0 : chunk;
		s->y = s->k0 + s->n_col == p->n_col ? y : NULL;
		for (int i = 0; i < LLM_FLOAT_ROWS; i++) {
			const uint8_t *w = (const uint8_t *)p->w + (size_t)row[i] * row_bytes;
			s->row[i] = direct ? w + (size_t)s->k0 * (half ? 2 : 4)
					   : (const uint8_t *)(panel + (size_t)i * stride);
			if (direct || (packed && i > 0))
				continue;
			if (i > 0 && row[i] == row[i - 1])
				s->row[i] = s->row[i - 1];
			else
				fill(panel + (size_t)i * stride, stride, p, row[i], s->k0,
				    s->n_col);
		}
		if (direct && p->type == LLM_DTYPE_F16)
			llm_float_sweep(s, n_tok, LLM_DTYPE_F16);
		else if (direct && p->type == LLM_DTYPE_BF16)
			llm_float_sweep(s, n_tok, LLM_DTYPE_BF16);
		else
			llm_float_sweep(s, n_tok, LLM_DTYPE_F32);
	}
}

/* Rows [r, r + n_row), at most eight, against tokens [s->t0, s->t0 + n_tok). */
static void
llm_float_group(const struct llm_product *p, struct llm_floats *s, float *panel, int r,
    int n_row, int n_tok, llm_float_fill fill)
{
	size_t row_bytes = llm_dtype_row_bytes(p->type, p->n_col);
	int row[LLM_FLOAT_ROWS]; /* past the end the last row stands again */
	for (int i = 0; i < LLM_FLOAT_ROWS; i++)
		row[i] = i < n_row ? r + i : r + n_row - 1;
	/* Rows this short end before the processor sees that it might fetch ahead. */
	if (row_bytes <= LLM_FLOAT_SHORT)
		for (size_t at = 0; at < LLM_FLOAT_ROWS * row_bytes; at += 64)
			_mm_prefetch(
			    (const char *)p->w + (size_t)(r + LLM_FLOAT_ROWS) * row_bytes + at,
			    _MM_HINT_T0);
	/* Of eight tokens and more each tile has four at least; of seven it has not. */
	bool at_once = LLM_FLOAT_WIDTH == 16 && n_row == LLM_FLOAT_ROWS && n_tok >= 4 &&
		       n_tok != 7 && p->n_col % 16 == 0;
	s->y = at_once ? p->y + (size_t)s->t0 * p->y_stride + (size_t)r : NULL;
	s->y_stride = p->y_stride;
	llm_float_rows(p, s, panel, row, fill, n_tok);
	if (at_once)
		return;
	for (int t = 0; t < n_tok; t++)
		for (int i = 0; i < n_row; i++)
			p->y[(size_t)(s->t0 + t) * p->y_stride + (size_t)(r + i)] =
			    llm_float_tree(s->lane + (t * LLM_FLOAT_ROWS + i) * 16);
}

/* Rows [row0, row1) of a product; fill is NULL for F32. */
static void
llm_float_run(
    const struct llm_product *p, int row0, int row1, void *scratch, llm_float_fill fill)
{
	struct llm_floats s = {.x = p->x};
	float *panel = scratch;
	int most = (int)(LLM_FLOAT_NEAR / 4 / p->n_col) / LLM_FLOAT_TILE * LLM_FLOAT_TILE;
	most = most < 4 * LLM_FLOAT_TILE ? 4 * LLM_FLOAT_TILE : most;
	most = most > LLM_FLOAT_TOKENS ? LLM_FLOAT_TOKENS : most;
	s.lane = panel + LLM_FLOAT_ROWS * (LLM_FLOAT_WIDE + LLM_FLOAT_PAD);
	_Static_assert(
	    (LLM_FLOAT_WIDE + LLM_FLOAT_PAD + LLM_FLOAT_TOKENS * 16) * LLM_FLOAT_ROWS * 4 <=
		(int)LLM_PRODUCT_SCRATCH,
	    "panel and lanes fit the scratch");
	for (s.t0 = 0; s.t0 < p->x->n_tok; s.t0 += most) {
		int n_tok = p->x->n_tok - s.t0 < most ? p->x->n_tok - s.t0 : most;
		for (int r = row0; r < row1; r += LLM_FLOAT_ROWS) {
			int n_row = row1 - r < LLM_FLOAT_ROWS ? row1 - r : LLM_FLOAT_ROWS;
			llm_float_group(p, &s, panel, r, n_row, n_tok, fill);
		}
	}
}

#endif
