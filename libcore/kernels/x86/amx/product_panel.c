/*
 * SPDX-License-Identifier: ISC
 *
 * Quantized products of many tokens by AMX: tiles of 16 tokens by 16 rows, two side by side.  A tile's product
 * adds up to 64 columns in int32 and knows no scales, so what has integer scales is multiplied by them
 * in the panel: scale times weight in two planes of bytes, 256 h + l, and sums over a whole block of 256
 * come out of two chains of products.  Blocks of 32 have a float scale each, and a product each.
 * Sums go through memory to be folded into floats; what is multiplied and what is folded alternate, as the
 * processor does both at once.
 */
#define LLM_WIDE
#include "libcore/kernels/x86/product_packed.h"
#include "libcore/kernels/x86/product_x86.h"

enum {
	LANES = 32, /* rows of a panel: two tiles */
	GROUP = 16, /* most tokens that meet them at once */
	CELLS = LANES * GROUP,
	QUAD = 4,      /* blocks of 32 that are folded together */
	W = LANES * 4, /* bytes of four columns of a panel */
	PART = 512,    /* columns of blocks of 32, or a block of 256 in two planes, that all
	                         tokens meet in turn: they stay in the first cache */
	COLUMNS = LLM_PANEL_COLUMNS,
	TOKENS = LLM_PANEL_TOKENS,
	/* Of rows with more columns than a chunk: panels that meet a chunk's activations in turn, while
	 * these stay in the second cache. */
	PANELS = 8,
	PANEL_CELLS = LANES * COLUMNS,
};

/* Scratch, 64-byte aligned. */
struct memory {
	uint8_t low[PANEL_CELLS], high[PANEL_CELLS]; /* weights; of 256 in two planes */
	float d[PANEL_CELLS / 32], m[PANEL_CELLS / 32];
	int32_t sc[PANEL_CELLS / 16], min[PANEL_CELLS / 32];
	int32_t sums[2][QUAD * CELLS]; /* of an item and of the next */
	float c[PANELS][TOKENS * LANES];
};

_Static_assert(sizeof(struct memory) <= (size_t)LLM_PRODUCT_SCRATCH, "scratch has room for it");

struct amx {
	struct llm_panel s;
	uint8_t *high;
	int32_t *sums;
};

/* What is folded at once: a block of 256 or QUAD of 32, from b on, and n tokens from t on. */
struct item {
	int b, t, n;
};

/* Tiles 0, 1 and 2, 3: sums of n_tok tokens; 4 and 5: activations, 6, 7: weights, of `depth` columns. */
static void
tiles_set(int n_tok, int depth)
{
	struct {
		uint8_t palette, start, zero[14];
		uint16_t bytes[16];
		uint8_t rows[16];
	} c = {.palette = 1};
	_Static_assert(sizeof c == 64, "as LDTILECFG reads it");
	for (int i = 0; i < 8; i++) {
		c.bytes[i] = (uint16_t)(i == 4 || i == 5 ? depth : 64);
		c.rows[i] = (uint8_t)(i < 6 ? n_tok : depth / 4);
	}
	/* gcc 12 takes it that eight bytes are read. */
	__asm__ volatile("" : : "r"(&c) : "memory");
	_tile_loadconfig(&c);
}

/*
 * A step of a chain on the tiles SIDE_0 or SIDE_1, which are literals: the columns of a tile, weights at w
 * and activations at a.  Sides alternate, and one is stored while the other is multiplied.
 */
#define SIDE_0 0, 1, 4
#define SIDE_1 2, 3, 5
#define STEP(...) STEP_OF(__VA_ARGS__)
#define STEP_OF(sum0, sum1, x, multiply, w, a, stride) \
	do {                                           \
		_tile_loadd(x, (a), (stride));         \
		_tile_loadd(6, (w), W);                \
		multiply(sum0, x, 6);                  \
		_tile_loadd(7, (w) + 64, W);           \
		multiply(sum1, x, 7);                  \
	} while (0)
#define ZERO(...) ZERO_OF(__VA_ARGS__)
#define ZERO_OF(sum0, sum1, x)    \
	do {                      \
		_tile_zero(sum0); \
		_tile_zero(sum1); \
	} while (0)
#define STORE(...) STORE_OF(__VA_ARGS__)
#define STORE_OF(sum0, sum1, x, to)                       \
	do {                                              \
		_tile_stored(sum0, (to), LANES * 4);      \
		_tile_stored(sum1, (to) + 16, LANES * 4); \
	} while (0)

LLM_INLINE const int8_t *
activations(const struct llm_panel *s, const struct item *item, int column)
{
	return s->x.q + (size_t)item->t * s->x.q_stride + s->k0 + column;
}

/* Tokens [i0, i1) of an item of blocks of 32: its sums into the floats. */
LLM_INLINE void
fold32(const struct llm_panel *s, const struct item *item, const int32_t *sums, int i0, int i1,
    const int n_block, const bool min)
{
	llm_vf d[QUAD][2], m[QUAD][2];
	for (int j = 0; j < n_block; j++)
		for (int h = 0; h < 2; h++) {
			d[j][h] = _mm512_load_ps(s->d + (item->b + j) * LANES + h * 16);
			m[j][h] = d[j][h];
			if (min)
				m[j][h] = _mm512_load_ps(s->m + (item->b + j) * LANES + h * 16);
		}
	for (int i = i0; i < i1; i++) {
		size_t at =
		    (size_t)(item->t + i) * s->x.d_stride + (size_t)(s->k0 / 32 + item->b);
		float *c = s->c + (item->t + i) * LANES;
		const int32_t *from = sums + i * LANES;
		llm_vf acc[2] = {_mm512_load_ps(c), _mm512_load_ps(c + 16)};
		for (int j = 0; j < n_block; j++) {
			llm_vf dx = _mm512_set1_ps(s->x.d[at + (size_t)j]), sx = dx;
			if (min)
				sx = _mm512_set1_ps(s->x.s[at + (size_t)j]);
			for (int h = 0; h < 2; h++) {
				llm_vi sum = _mm512_load_si512(from + j * CELLS + h * 16);
				acc[h] = _mm512_fmadd_ps(_mm512_mul_ps(d[j][h], dx),
				    _mm512_cvtepi32_ps(sum), acc[h]);
				if (min)
					acc[h] = _mm512_fmadd_ps(m[j][h], sx, acc[h]);
			}
		}
		_mm512_store_ps(c, acc[0]);
		_mm512_store_ps(c + 16, acc[1]);
	}
}

/* Tokens [i0, i1) of an item of a block of 256. */
LLM_INLINE void
fold256(const struct llm_panel *s, const struct item *item, const int32_t *sums, int i0, int i1,
    const int n_pair)
{
	const int b = item->b;
	const int16_t *pairs =
	    n_pair == 4 ? s->x.pair + s->k0 / 32 + b * 8 : s->x.bsum + s->k0 / 16 + b * 16;
	const size_t stride = n_pair == 4 ? s->x.b_stride / 2 : s->x.b_stride;
	llm_vf d[2], m[2];
	llm_vi min[2][8];
	for (int h = 0; h < 2; h++) {
		d[h] = m[h] = _mm512_load_ps(s->d + b * LANES + h * 16);
		if (n_pair > 0)
			m[h] = _mm512_load_ps(s->m + b * LANES + h * 16);
		for (int j = 0; j < n_pair; j++)
			min[h][j] =
			    _mm512_load_si512(s->min + (b * n_pair + j) * LANES + h * 16);
	}
	for (int i = i0; i < i1; i++) {
		size_t t = (size_t)(item->t + i);
		const int32_t *from = sums + i * LANES;
		float *c = s->c + t * LANES;
		llm_vf dx =
		    _mm512_set1_ps(s->x.d[t * s->x.d_stride + (size_t)(s->k0 / 256 + b)]);
		llm_vi msum[2] = {llm_v_zero(), llm_v_zero()};
		for (int j = 0; j < n_pair; j++) {
			llm_vi pair = llm_v_broadcast(pairs + t * stride + 2 * j);
			for (int h = 0; h < 2; h++)
				msum[h] = _mm512_dpwssd_epi32(msum[h], min[h][j], pair);
		}
		for (int h = 0; h < 2; h++) {
			llm_vi isum = _mm512_add_epi32(
			    _mm512_slli_epi32(_mm512_load_si512(from + CELLS + h * 16), 8),
			    _mm512_load_si512(from + h * 16));
			llm_vf z = _mm512_mul_ps(d[h], _mm512_cvtepi32_ps(isum));
			if (n_pair > 0)
				z = _mm512_fnmadd_ps(m[h], _mm512_cvtepi32_ps(msum[h]), z);
			_mm512_store_ps(
			    c + h * 16, _mm512_fmadd_ps(dx, z, _mm512_load_ps(c + h * 16)));
		}
	}
}

/* Share `part` of `of` of an item's tokens; a whole group's bounds are constants. */
LLM_INLINE void
fold(const struct llm_panel *s, const struct item *item, const int32_t *sums, const int part,
    const int of, const struct llm_panel_kind kind)
{
	const int i0 = GROUP * part / of, i1 = GROUP * (part + 1) / of;
	if (kind.sub == 0)
		fold32(s, item, sums, i0, item->n < i1 ? item->n : i1, QUAD, kind.min);
	else
		fold256(s, item, sums, i0, item->n < i1 ? item->n : i1,
		    kind.min ? 128 / kind.sub : 0);
}

/*
 * Multiplies an item, QUAD blocks of 32, and folds the one before it meanwhile.  `rest`: what the one before
 * left in the tiles of side 1 is still to be stored.
 */
LLM_INLINE void
item32(const struct amx *x, const struct item *item, int32_t *to, const struct item *before,
    int32_t *from, const bool rest, const struct llm_panel_kind kind)
{
	const struct llm_panel *s = &x->s;
	const size_t stride = s->x.q_stride;
	const uint8_t *w = s->w + item->b * 8 * W;
	const int8_t *a = activations(s, item, item->b * 32);
	ZERO(SIDE_0);
	STEP(SIDE_0, _tile_dpbssd, w, a, stride);
	if (rest)
		STORE(SIDE_1, from + 3 * CELLS);
	fold(s, before, from, 0, 4, kind);
	ZERO(SIDE_1);
	STEP(SIDE_1, _tile_dpbssd, w + 8 * W, a + 32, stride);
	STORE(SIDE_0, to);
	fold(s, before, from, 1, 4, kind);
	ZERO(SIDE_0);
	STEP(SIDE_0, _tile_dpbssd, w + 16 * W, a + 64, stride);
	STORE(SIDE_1, to + CELLS);
	fold(s, before, from, 2, 4, kind);
	ZERO(SIDE_1);
	STEP(SIDE_1, _tile_dpbssd, w + 24 * W, a + 96, stride);
	STORE(SIDE_0, to + 2 * CELLS);
	fold(s, before, from, 3, 4, kind);
}

/* The same of a block of 256: the lower plane on one side, then the upper on the other. */
LLM_INLINE void
item256(const struct amx *x, const struct item *item, int32_t *to, const struct item *before,
    int32_t *from, const bool rest, const struct llm_panel_kind kind)
{
	const struct llm_panel *s = &x->s;
	const size_t stride = s->x.q_stride, plane = (size_t)(item->b * 64 * W);
	const int8_t *a = activations(s, item, item->b * 256);
	ZERO(SIDE_0);
	for (int k = 0; k < 4; k++) {
		STEP(SIDE_0, _tile_dpbsud, s->w + plane + k * 16 * W, a + k * 64, stride);
		if (k == 0 && rest)
			STORE(SIDE_1, from + CELLS);
		fold(s, before, from, k, 8, kind);
	}
	ZERO(SIDE_1);
	for (int k = 0; k < 4; k++) {
		STEP(SIDE_1, _tile_dpbssd, x->high + plane + k * 16 * W, a + k * 64, stride);
		if (k == 0)
			STORE(SIDE_0, to);
		fold(s, before, from, 4 + k, 8, kind);
	}
}

/* Blocks [b0, b1) of n tokens from t on, group by group; whole: groups of GROUP. */
LLM_INLINE void
part_run(const struct amx *x, int b0, int b1, int t, int n, const struct llm_panel_kind kind)
{
	const int step = kind.sub != 0 ? 1 : QUAD;
	struct item before = {0};
	int turn = 0;
	for (int end = t + n; t < end; t += GROUP)
		for (int b = b0; b < b1; b += step) {
			struct item item = {b, t, end - t < GROUP ? end - t : GROUP};
			int32_t *to = x->sums + turn * QUAD * CELLS;
			int32_t *from = x->sums + (turn ^ 1) * QUAD * CELLS;
			if (kind.sub != 0)
				item256(x, &item, to, &before, from, before.n > 0, kind);
			else
				item32(x, &item, to, &before, from, before.n > 0, kind);
			before = item;
			turn ^= 1;
		}
	int32_t *from = x->sums + (turn ^ 1) * QUAD * CELLS;
	if (kind.sub != 0)
		STORE(SIDE_1, from + CELLS);
	else
		STORE(SIDE_1, from + 3 * CELLS);
	fold(&x->s, &before, from, 0, 1, kind);
}

/* A block of 32 at the end of a row alone. */
LLM_INLINE void
block_run(const struct amx *x, int b, int t, int n, const struct llm_panel_kind kind)
{
	const struct llm_panel *s = &x->s;
	for (int end = t + n; t < end; t += GROUP) {
		struct item item = {b, t, end - t < GROUP ? end - t : GROUP};
		ZERO(SIDE_0);
		STEP(SIDE_0, _tile_dpbssd, s->w + b * 8 * W, activations(s, &item, b * 32),
		    s->x.q_stride);
		STORE(SIDE_0, x->sums);
		fold32(s, &item, x->sums, 0, item.n, 1, kind.min);
	}
}

/* The panel against n tokens from t on, in tiles of as many as are set. */
LLM_INLINE void
tokens_run(const struct amx *x, int t, int n, const struct llm_panel_kind kind)
{
	if (kind.sub != 0) {
		for (int b = 0; b < x->s.n_col / 256; b++)
			part_run(x, b, b + 1, t, n, kind);
		return;
	}
	int n_block = x->s.n_col / 32, whole = n_block - n_block % QUAD;
	for (int b = 0; b < whole; b += PART / 32)
		part_run(x, b, b + PART / 32 < whole ? b + PART / 32 : whole, t, n, kind);
	for (int b = whole; b < n_block; b++)
		block_run(x, b, t, n, kind);
}

/* The panel against tokens [0, n) of s->x. */
LLM_INLINE void
sweep(const struct amx *panel, int n, const struct llm_panel_kind kind)
{
	const struct amx x = *panel;
	const int depth = kind.sub != 0 ? 64 : 32, last = n % GROUP;
	if (n > last) {
		tiles_set(GROUP, depth);
		tokens_run(&x, 0, n - last, kind);
	}
	if (last > 0) {
		tiles_set(last, depth);
		tokens_run(&x, n - last, last, kind);
	}
}

/* Of blocks of 32: the panel's weights less their zero point, signed. */
LLM_INLINE void
signed_weights(const struct amx *x, struct llm_format f)
{
	const struct llm_panel *s = &x->s;
	const llm_vi zero = _mm512_set1_epi8((char)f.zero);
	llm_vi *w = (llm_vi *)(void *)s->w;
	for (int i = 0; f.zero != 0 && i < s->n_col * LANES / 64; i++)
		w[i] = _mm512_sub_epi8(w[i], zero);
}

/* Of blocks of 256: scale * (weight less zero point) = 256 h + l, l in the panel, h in its second plane. */
LLM_INLINE void
scaled_weights(const struct amx *x, struct llm_format f)
{
	const struct llm_panel *s = &x->s;
	const int sub = llm_panel_sub(f);
	const llm_vi zero = _mm512_set1_epi16((short)f.zero), low = _mm512_set1_epi16(255);
	const __mmask64 odd = 0xaaaaaaaaaaaaaaaau;
	llm_vi *l = (llm_vi *)(void *)s->w, *h = (llm_vi *)(void *)x->high;
	for (int j = 0; j < s->n_col / sub; j++) {
		llm_vi scale[2];
		for (int i = 0; i < 2; i++) {
			llm_vi v = _mm512_load_si512(s->sc + j * LANES + i * 16);
			scale[i] = llm_v_join16(v, v);
		}
		for (int i = 0; i < sub / 2; i++, l++, h++) {
			llm_vi a = llm_v_and(*l, low), b = _mm512_srli_epi16(*l, 8);
			a = _mm512_mullo_epi16(_mm512_sub_epi16(a, zero), scale[i % 2]);
			b = _mm512_mullo_epi16(_mm512_sub_epi16(b, zero), scale[i % 2]);
			*l = _mm512_mask_blend_epi8(odd, a, _mm512_slli_epi16(b, 8));
			*h = _mm512_mask_blend_epi8(odd, _mm512_srli_epi16(a, 8), b);
		}
	}
}

/* How a format is computed: constants. */
struct way {
	llm_panel_filler fill;
	void (*sweep)(const struct amx *x, int n);
};

/* Rows [r, row1) up to n_panel panels, tokens [t0, t0 + n). */
LLM_INLINE void
panels_run(const struct llm_product *p, struct amx *x, struct memory *mem, int r, int row1,
    int n_panel, const struct llm_format f, const struct way way)
{
	struct llm_panel *s = &x->s;
	const int n = s->x.n_tok;
	for (s->k0 = 0; s->k0 < p->n_col; s->k0 += COLUMNS) {
		s->n_col = p->n_col - s->k0 < COLUMNS ? p->n_col - s->k0 : COLUMNS;
		for (int i = 0; i < n_panel; i++) {
			s->c = mem->c[i];
			if (s->k0 == 0)
				memset(s->c, 0, (size_t)n * LANES * sizeof(float));
			way.fill(s, p, f, r + i * LANES, row1, LANES);
			if (f.block == 32)
				signed_weights(x, f);
			else
				scaled_weights(x, f);
			way.sweep(x, n);
		}
	}
}

/* Rows [row0, row1) of a product; format and way are constants. */
LLM_INLINE void
run(const struct llm_product *p, int row0, int row1, void *scratch, const struct llm_format f,
    const struct way way)
{
	struct memory *mem = scratch;
	struct amx x = {.high = mem->high, .sums = mem->sums[0]};
	x.s = (struct llm_panel){
	    .w = mem->low, .d = mem->d, .m = mem->m, .sc = mem->sc, .min = mem->min};
	const int most = p->n_col > COLUMNS ? PANELS : 1;
	for (int t0 = 0; t0 < p->x->n_tok; t0 += TOKENS) {
		x.s.x = llm_act_part(
		    p->x, t0, p->x->n_tok - t0 < TOKENS ? p->x->n_tok : t0 + TOKENS);
		for (int r = row0; r < row1; r += most * LANES) {
			int n_panel = (row1 - r + LANES - 1) / LANES;
			n_panel = n_panel < most ? n_panel : most;
			panels_run(p, &x, mem, r, row1, n_panel, f, way);
			for (int t = 0; t < x.s.x.n_tok; t++) {
				float *y = p->y + (size_t)(t0 + t) * p->y_stride;
				for (int i = 0, at = r; i < n_panel; i++, at += LANES)
					memcpy(y + at, mem->c[i] + t * LANES,
					    (size_t)(row1 - at < LANES ? row1 - at : LANES) *
						sizeof(float));
			}
		}
	}
}

#define SWEEP(name, ...)                                                               \
	__attribute__((noinline)) static void sweep_##name(const struct amx *x, int n) \
	{                                                                              \
		const struct llm_panel_kind kind = {__VA_ARGS__};                      \
		sweep(x, n, kind);                                                     \
	}
SWEEP(plain32, .sub = 0)
SWEEP(min32, .sub = 0, .min = true)
SWEEP(plain256, .sub = 16)
SWEEP(min16, .sub = 16, .min = true)
SWEEP(min256, .sub = 32, .min = true)

#define PANEL(name, by)                                                     \
	static void panel_##name(                                           \
	    const struct llm_product *p, int row0, int row1, void *scratch) \
	{                                                                   \
		run(p, row0, row1, scratch, LLM_FORMAT_##name,              \
		    (struct way){llm_panel_fill, by});                      \
	}
#define PANEL_PACKED(name, by)                                              \
	PANEL(name, by)                                                     \
	static void packed_##name(                                          \
	    const struct llm_product *p, int row0, int row1, void *scratch) \
	{                                                                   \
		run(p, row0, row1, scratch, LLM_FORMAT_##name,              \
		    (struct way){llm_packed_fill, by});                     \
	}
PANEL_PACKED(q4_0, sweep_plain32)
PANEL_PACKED(q4_1, sweep_min32)
PANEL_PACKED(q5_0, sweep_plain32)
PANEL_PACKED(q5_1, sweep_min32)
PANEL_PACKED(q8_0, sweep_plain32)
PANEL(q2_K, sweep_min16)
PANEL(q3_K, sweep_plain256)
PANEL_PACKED(q4_K, sweep_min256)
PANEL_PACKED(q5_K, sweep_min256)
PANEL_PACKED(q6_K, sweep_plain256)

void
llm_product_panel_amx(const struct llm_product *p, int row0, int row1, void *scratch)
{
#define ENTRY(name, type) [LLM_DTYPE_##type] = panel_##name,
#define ENTRY_PACKED(name, type) [LLM_DTYPE_##type##_R8] = packed_##name,
	static const llm_product_part part[LLM_DTYPE_MAX] = {
	    LLM_FORMATS_32(ENTRY) LLM_FORMATS_256(ENTRY) LLM_FORMATS_PACKED(ENTRY_PACKED)};
	part[p->type](p, row0, row1, scratch);
	_tile_release(); /* nothing for the system to save when it switches */
}
