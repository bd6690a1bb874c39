/*
 * SPDX-License-Identifier: ISC
 *
 * Quantized products of many tokens.  A panel of rows is unpacked once, a chunk of columns at a
 * time, into bytes in groups of four columns with their scales beside; then tiles of tokens sweep
 * it.  Sums are integers inside a block and one fused float step a block in order; the floats wait in
 * scratch from chunk to chunk, so that the chunks leave no trace in the result.
 * An instruction set gives the tile kernels; formats differ only in how they are unpacked.
 */
#ifndef LLM_KERNELS_X86_PRODUCT_PANEL_H
#define LLM_KERNELS_X86_PRODUCT_PANEL_H

#include "libcore/kernels/x86/product_unpack.h"

enum {
	LLM_PANEL_COLUMNS = 2048, /* of a chunk: a multiple of 256 */
	LLM_PANEL_TOKENS = 512,   /* that share one unpacking */
	LLM_PANEL_ROWS = 32,      /* most rows of a panel */
	LLM_PANEL_TILE = 6,       /* most tokens of a tile */
	LLM_PANEL_AHEAD = 4,      /* tokens whose outputs are fetched before they are written */
/* Without VPDPBUSD, Q8_0 is multiplied as int16, and so are the scales of 256: twice in a lane. */
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
	LLM_PANEL_WORDS = 0,
#else
	LLM_PANEL_WORDS = 1,
#endif
};

/*
 * A panel of n_lane rows (a constant of the instruction set).  Arrays lie in scratch, 64-byte
 * aligned.  A "sub" has an integer scale: 32 columns, or 16.
 */
struct llm_panel {
	uint8_t *w;    /* [columns / 4][lane][4] unsigned weights */
	float *d, *m;  /* [block][lane] */
	int32_t *sc;   /* [sub][lane]; with LLM_PANEL_WORDS twice as int16 */
	int32_t *min;  /* [pair of minima][lane] two int16 */
	float *c;      /* [tok][lane] sums so far */
	int32_t *tile; /* what a tile prepares for itself */
	int k0, n_col; /* this chunk's columns */
	int shift;     /* the zero point as a power of two */
	struct llm_act x;
};

/*
 * What a tile kernel needs to know of a format, as constants: formats that share it share the
 * kernel.  A tile copies its struct llm_panel first: what it stores cannot change a local copy.
 */
struct llm_panel_kind {
	int block; /* AVX2's: 32 or 256 columns */
	int sub;   /* columns of an integer sum */
	bool zero; /* sums start at the zero point's share */
	bool min;  /* m is used */
	int bits;  /* of AVX2's steps: 4, 5 or 8 */
};

/* A tile: tokens [t, t + n) of the chunk against the panel; c points at its first token. */
typedef void (*llm_panel_tile)(const struct llm_panel *s, int t, int n, float *c);

/* Unpacks the chunk's columns of rows [row0, row0 + n_lane); past row1 some rows stand again. */
typedef void (*llm_panel_filler)(struct llm_panel *s, const struct llm_product *p,
    struct llm_format f, int row0, int row1, const int n_lane);

/* How a set of kernels computes a format: all constants. */
struct llm_panel_way {
	int n_lane; /* rows of a panel */
	int most;   /* tokens of a tile */
	llm_panel_filler fill;
	llm_panel_tile tile;
};

/* Columns of one integer scale of a format of 256. */
LLM_INLINE int
llm_panel_sub(struct llm_format f)
{
	return f.scales == llm_scales_k4 ? 32 : 16;
}

/* Transposes eight vectors and stores them n_lane apart. */
LLM_INLINE void
llm_panel_store8(int32_t *to, __m256i v[8], int n, const int n_lane)
{
	for (int half = 0; half < 2; half++) {
		__m256i a[4];
		for (int i = 0; i < 4; i++)
			a[i] = half == 0 ? _mm256_permute2x128_si256(v[i], v[i + 4], 0x20)
					 : _mm256_permute2x128_si256(v[i], v[i + 4], 0x31);
		__m256i b0 = _mm256_unpacklo_epi32(a[0], a[1]);
		__m256i b1 = _mm256_unpackhi_epi32(a[0], a[1]);
		__m256i b2 = _mm256_unpacklo_epi32(a[2], a[3]);
		__m256i b3 = _mm256_unpackhi_epi32(a[2], a[3]);
		__m256i out[4] = {_mm256_unpacklo_epi64(b0, b2), _mm256_unpackhi_epi64(b0, b2),
		    _mm256_unpacklo_epi64(b1, b3), _mm256_unpackhi_epi64(b1, b3)};
		for (int i = 0; i < 4 && half * 4 + i < n; i++)
			_mm256_store_si256((__m256i *)(to + (half * 4 + i) * n_lane), out[i]);
	}
}

/* The halves of eight rows at `offset` of each block as floats. */
LLM_INLINE void
llm_panel_halves(float *to, const uint8_t *const w[8], int offset)
{
	uint16_t half[8];
	for (int i = 0; i < 8; i++)
		half[i] = llm_load16(w[i] + offset);
	_mm256_store_ps(to, _mm256_cvtph_ps(llm_load128(half)));
}

/*
 * Eight rows of 32 bytes of Q8_0 as int16: for each group of four columns a vector of columns 0 and
 * 2, then one of 1 and 3, which is how the two halves of a word come apart by shifts alone.
 */
LLM_INLINE void
llm_panel_widen(int32_t *to, const __m256i q[8], const int n_lane)
{
	__m256i even[8], odd[8];
	for (int i = 0; i < 8; i++) {
		__m256i w = _mm256_xor_si256(q[i], _mm256_set1_epi8(-128));
		even[i] = _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8);
		odd[i] = _mm256_srai_epi16(w, 8);
	}
	llm_panel_store8(to, even, 8, 2 * n_lane);
	llm_panel_store8(to + n_lane, odd, 8, 2 * n_lane);
}

/* Eight rows of one block of 32, lanes [lane, lane + 8). */
LLM_INLINE void
llm_panel_fill32(struct llm_panel *s, struct llm_format f, const uint8_t *const w[8], int b,
    int lane, const int n_lane)
{
	__m256i q[8];
	for (int i = 0; i < 8; i++)
		f.unpack(q + i, w[i]);
	if (f.bits == 8 && LLM_PANEL_WORDS)
		llm_panel_widen((int32_t *)s->w + b * 16 * n_lane + lane, q, n_lane);
	else
		llm_panel_store8((int32_t *)s->w + b * 8 * n_lane + lane, q, 8, n_lane);
	llm_panel_halves(s->d + b * n_lane + lane, w, f.d_at);
	if (f.m_at >= 0)
		llm_panel_halves(s->m + b * n_lane + lane, w, f.m_at);
}

/* Scales as a kernel multiplies by them. */
LLM_INLINE __m256i
llm_panel_scale(__m256i sc)
{
	return LLM_PANEL_WORDS ? _mm256_blend_epi16(sc, _mm256_slli_epi32(sc, 16), 0xaa) : sc;
}

/* The integer scales and minima of eight rows of one block of 256. */
LLM_INLINE void
llm_panel_scales(struct llm_panel *s, struct llm_format f, const uint8_t *const w[8], int b,
    int lane, const int n_lane)
{
	const __m128i even =
	    _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 0, 2, 4, 6, 8, 10, 12, 14);
	const int sub = llm_panel_sub(f), n_sub = 256 / sub;
	__m256i low[8], high[8], min[8];
	for (int i = 0; i < 8; i++) {
		__m128i sc, m;
		f.scales(&sc, &m, w[i]);
		if (sub == 32) {
			sc = _mm_shuffle_epi8(sc, even);
			m = _mm_shuffle_epi8(m, even);
		}
		low[i] = llm_panel_scale(_mm256_cvtepi8_epi32(sc));
		high[i] = llm_panel_scale(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(sc, sc)));
		min[i] = _mm256_cvtepi8_epi16(m);
	}
	llm_panel_store8(s->sc + b * n_sub * n_lane + lane, low, 8, n_lane);
	if (sub == 16)
		llm_panel_store8(s->sc + (b * n_sub + 8) * n_lane + lane, high, 8, n_lane);
	if (f.m_at >= 0)
		llm_panel_store8(
		    s->min + b * n_sub / 2 * n_lane + lane, min, n_sub / 2, n_lane);
}

/* Eight rows of one block of 256. */
LLM_INLINE void
llm_panel_fill256(struct llm_panel *s, struct llm_format f, const uint8_t *const w[8], int b,
    int lane, const int n_lane)
{
	__m256i q[8][8];
	for (int i = 0; i < 8; i++)
		f.unpack(q[i], w[i]);
	for (int j = 0; j < 8; j++) {
		__m256i v[8];
		for (int i = 0; i < 8; i++)
			v[i] = q[i][j];
		llm_panel_store8(
		    (int32_t *)s->w + (b * 64 + j * 8) * n_lane + lane, v, 8, n_lane);
	}
	llm_panel_scales(s, f, w, b, lane, n_lane);
	llm_panel_halves(s->d + b * n_lane + lane, w, f.d_at);
	if (f.m_at >= 0)
		llm_panel_halves(s->m + b * n_lane + lane, w, f.m_at);
}

/*
 * llm_panel_filler of rows in GGUF's order; past row1 the last row stands again.
 * Meanwhile it fetches what the next call will want, as far as it can be told: eight rows read side
 * by side leave memory idle most of the time.
 */
LLM_INLINE void
llm_panel_fill(struct llm_panel *s, const struct llm_product *p, struct llm_format f, int row0,
    int row1, const int n_lane)
{
	size_t row_bytes = (size_t)(p->n_col / f.block) * (size_t)f.bytes;
	size_t chunk_bytes = (size_t)(s->n_col / f.block) * (size_t)f.bytes;
	size_t next = s->n_col == p->n_col ? (size_t)n_lane * row_bytes : chunk_bytes;
	for (int lane = 0; lane < n_lane; lane += 8) {
		const uint8_t *w[8];
		for (int i = 0; i < 8; i++) {
			int r = row0 + lane + i < row1 ? row0 + lane + i : row1 - 1;
			w[i] = (const uint8_t *)p->w + (size_t)r * row_bytes +
			       (size_t)(s->k0 / f.block) * (size_t)f.bytes;
		}
		for (int b = 0; b < s->n_col / f.block; b++) {
			if (f.block == 32)
				llm_panel_fill32(s, f, w, b, lane, n_lane);
			else
				llm_panel_fill256(s, f, w, b, lane, n_lane);
			for (int i = 0; i < 8; i++) {
				for (int at = 0; at < f.bytes; at += 64)
					_mm_prefetch(
					    (const char *)w[i] + next + at, _MM_HINT_T1);
				w[i] += f.bytes;
			}
		}
	}
}

/* Shares scratch among the arrays; they fit LLM_PRODUCT_SCRATCH. */
LLM_INLINE void
llm_panel_init(struct llm_panel *s, const struct llm_act *x, void *scratch)
{
	enum {
		CELLS = LLM_PANEL_ROWS * LLM_PANEL_COLUMNS,
		TILE = LLM_PANEL_TILE * LLM_PANEL_COLUMNS * 2, /* an int16 a column */
		WEIGHTS = CELLS * (1 + LLM_PANEL_WORDS),
		TOTAL = WEIGHTS + 2 * CELLS / 32 * 4 + CELLS / 16 * 4 + CELLS / 32 * 4 +
			LLM_PANEL_ROWS * LLM_PANEL_TOKENS * 4 + TILE,
	};
	_Static_assert((int)TOTAL <= (int)LLM_PRODUCT_SCRATCH, "a panel fits the scratch");
	s->x = *x;
	s->w = scratch;
	s->d = (float *)(s->w + WEIGHTS);
	s->m = s->d + CELLS / 32;
	s->sc = (int32_t *)(s->m + CELLS / 32);
	s->min = s->sc + CELLS / 16;
	s->c = (float *)(s->min + CELLS / 32);
	s->tile = (int32_t *)(s->c + LLM_PANEL_ROWS * LLM_PANEL_TOKENS);
}

/* The outputs of rows [row, row + n_row), token t, come into the cache as this thread's own. */
LLM_INLINE void
llm_panel_ahead(const struct llm_product *p, int t, int row, int n_row)
{
	const char *y = (const char *)(p->y + (size_t)t * p->y_stride + row);
	for (int at = 0; at < n_row * (int)sizeof(float); at += 64)
		__asm__ volatile("prefetchw %0" : : "m"(y[at]));
}

/* Token t's sums as the outputs of rows [row, row + n_row); most often those are n_lane, a constant. */
LLM_INLINE void
llm_panel_store(
    const struct llm_product *p, const float *c, int t, int row, int n_row, const int n_lane)
{
	float *y = p->y + (size_t)t * p->y_stride + row;
	if (n_row == n_lane)
		memcpy(y, c, (size_t)n_lane * sizeof(float));
	else
		memcpy(y, c, (size_t)n_row * sizeof(float));
}

/*
 * Sweeps the panel with n tokens from t0 in tiles of nearly one size, at most `most`.  After the last
 * chunk, for which n_row is not 0, the sums are the outputs of rows [row, row + n_row): each in a
 * line of its own, which would be waited for where it has not been asked for some tiles before.
 */
LLM_INLINE void
llm_panel_sweep(const struct llm_panel *s, const struct llm_product *p, int t0, int n, int row,
    int n_row, const struct llm_panel_way way)
{
	int n_tile = (n + way.most - 1) / way.most;
	for (int i = 0, t = 0; i < n_tile; i++) {
		int next = (int)((int64_t)n * (i + 1) / n_tile);
		float *c = s->c + (size_t)t * (size_t)way.n_lane;
		for (int k = t + LLM_PANEL_AHEAD; k < next + LLM_PANEL_AHEAD && k < n; k++)
			llm_panel_ahead(p, t0 + k, row, n_row);
		way.tile(s, t0 + t, next - t, c);
		for (; t < next; t++, c += way.n_lane)
			llm_panel_store(p, c, t0 + t, row, n_row, way.n_lane);
	}
}

/* Rows [row0, row1) of a product; format and way are constants. */
LLM_INLINE void
llm_panel_run(const struct llm_product *p, int row0, int row1, void *scratch,
    const struct llm_format f, const struct llm_panel_way way)
{
	const int n_lane = way.n_lane;
	struct llm_panel s;
	llm_panel_init(&s, p->x, scratch);
	s.shift = f.zero == 0 ? 0 : __builtin_ctz((unsigned)f.zero);
	for (int t0 = 0; t0 < p->x->n_tok; t0 += LLM_PANEL_TOKENS) {
		int n = p->x->n_tok - t0;
		n = n < LLM_PANEL_TOKENS ? n : LLM_PANEL_TOKENS;
		for (int r = row0; r < row1; r += n_lane) {
			int n_row = row1 - r < n_lane ? row1 - r : n_lane;
			memset(s.c, 0, (size_t)n * (size_t)n_lane * sizeof(float));
			for (s.k0 = 0; s.k0 < p->n_col; s.k0 += LLM_PANEL_COLUMNS) {
				s.n_col = p->n_col - s.k0 < LLM_PANEL_COLUMNS
					      ? p->n_col - s.k0
					      : LLM_PANEL_COLUMNS;
				way.fill(&s, p, f, r, row1, n_lane);
				llm_panel_sweep(&s, p, t0, n, r,
				    s.k0 + s.n_col == p->n_col ? n_row : 0, way);
			}
		}
	}
}

#endif
