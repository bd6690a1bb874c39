/*
 * SPDX-License-Identifier: ISC
 *
 * Quantized products of many tokens.  A panel of sixteen rows is spread once, a chunk of columns at
 * a time, into signed bytes in groups of four columns with floats and integers beside (as struct llm_eight
 * says); then tiles of four tokens sweep it.  The float sums wait in scratch from chunk to chunk.
 * The sizes keep a panel and a tile's activations within 32 KB; no ARM hardware has tried others.
 * Included once for each instruction set; see dot.h.
 */
#ifndef LLM_KERNELS_ARM_PRODUCT_PANEL_H
#define LLM_KERNELS_ARM_PRODUCT_PANEL_H

#include "libcore/kernels/arm/product_eight.h"
#include "libcore/kernels/arm/product_packed.h"
#include "libcore/packed.h"

enum {
	LLM_PANEL_COLUMNS = 1024, /* of a chunk: a multiple of 256 */
	LLM_PANEL_TOKENS = 512,   /* that share one spreading */
	LLM_PANEL_UNITS = 2,      /* of eight rows */
	LLM_PANEL_ROWS = 8 * LLM_PANEL_UNITS,
};

/* A chunk of eight rows, spread. */
struct llm_unit {
	int8_t w[8 * LLM_PANEL_COLUMNS];
	float d[8 * LLM_PANEL_COLUMNS / 32], m[8 * LLM_PANEL_COLUMNS / 32];
	int32_t scale[8 * LLM_PANEL_COLUMNS / 16];
	int16_t min[8 * LLM_PANEL_COLUMNS / 16];
};

struct llm_panel {
	struct llm_unit unit[LLM_PANEL_UNITS];
	float c[LLM_PANEL_TOKENS][LLM_PANEL_ROWS]; /* sums so far */
};
_Static_assert(sizeof(struct llm_panel) <= LLM_PRODUCT_SCRATCH, "a panel fits the scratch");

/* Where rows [row, row + 8) of a chunk of n_block blocks from b0 on come from. */
struct llm_chunk {
	const struct llm_product *p;
	int row, last; /* past `last` it stands again */
	int b0, n_block;
};

typedef void (*llm_panel_fill)(struct llm_unit *u, const struct llm_chunk *c);
/* Tokens [t, t + n) against the chunk; c: the first token's sums. */
typedef void (*llm_panel_tile)(const struct llm_unit *u, const struct llm_act *x,
    const struct llm_chunk *chunk, int t, float *c);

LLM_INLINE struct llm_eight
llm_unit_at(const struct llm_unit *u, struct llm_format f, int b)
{
	const int n_sub = 256 / f.sub;
	return (struct llm_eight){
	    .d = (const uint8_t *)(u->d + b * 8),
	    .m = (const uint8_t *)(u->m + b * 8),
	    .scale = (const uint8_t *)(u->scale + b * n_sub * 8),
	    .min = (const uint8_t *)(u->min + b * n_sub * 8),
	    .q = (const uint8_t *)(u->w + b * f.block * 8),
	};
}

/* Sixteen columns of four rows: v[r] to w[group][row][4]. */
LLM_INLINE void
llm_unit_store(int8_t *w, const int8x16_t v[4])
{
	int32x4_t a = vreinterpretq_s32_s8(v[0]), b = vreinterpretq_s32_s8(v[1]);
	int32x4_t c = vreinterpretq_s32_s8(v[2]), d = vreinterpretq_s32_s8(v[3]);
	int64x2_t ab0 = vreinterpretq_s64_s32(vtrn1q_s32(a, b));
	int64x2_t ab1 = vreinterpretq_s64_s32(vtrn2q_s32(a, b));
	int64x2_t cd0 = vreinterpretq_s64_s32(vtrn1q_s32(c, d));
	int64x2_t cd1 = vreinterpretq_s64_s32(vtrn2q_s32(c, d));
	vst1q_s8(w, vreinterpretq_s8_s64(vtrn1q_s64(ab0, cd0)));
	vst1q_s8(w + 32, vreinterpretq_s8_s64(vtrn1q_s64(ab1, cd1)));
	vst1q_s8(w + 64, vreinterpretq_s8_s64(vtrn2q_s64(ab0, cd0)));
	vst1q_s8(w + 96, vreinterpretq_s8_s64(vtrn2q_s64(ab1, cd1)));
}

/* Block b of rows [4 h, 4 h + 4), in GGUF's order at w. */
LLM_INLINE void
llm_unit_rows(
    struct llm_unit *u, struct llm_format f, const uint8_t *const w[4], int b, int h)
{
	int8x16_t q[4][16];
	for (int r = 0; r < 4; r++) {
		int row = 4 * h + r;
		f.unpack(q[r], w[r]);
		u->d[b * 8 + row] = llm_block_f16(w[r] + f.d_at);
		if (f.m_at >= 0)
			u->m[b * 8 + row] = llm_block_f16(w[r] + f.m_at);
		if (f.block == 32)
			continue;
		int8x16_t scale, min;
		int8_t s[16], m[16];
		f.scales(&scale, &min, w[r]);
		vst1q_s8(s, scale);
		vst1q_s8(m, min);
		for (int j = 0; j < 256 / f.sub; j++) {
			u->scale[(b * 256 / f.sub + j) * 8 + row] = s[j];
			u->min[(b * 256 / f.sub + j) * 8 + row] = m[j];
		}
	}
	for (int k = 0; k < f.block / 16; k++) {
		int8x16_t v[4] = {q[0][k], q[1][k], q[2][k], q[3][k]};
		llm_unit_store(u->w + (b * f.block + 16 * k) * 8 + 16 * h, v);
	}
}

/* llm_panel_fill of rows in GGUF's order. */
LLM_INLINE void
llm_unit_fill(struct llm_unit *u, const struct llm_chunk *c, struct llm_format f)
{
	size_t row_bytes = (size_t)c->p->x->n_block * (size_t)f.bytes;
	for (int h = 0; h < 2; h++) {
		const uint8_t *w[4];
		for (int r = 0; r < 4; r++) {
			int row = c->row + 4 * h + r < c->last ? c->row + 4 * h + r : c->last;
			w[r] = (const uint8_t *)c->p->w + (size_t)row * row_bytes +
			       (size_t)c->b0 * (size_t)f.bytes;
		}
		for (int b = 0; b < c->n_block; b++) {
			llm_unit_rows(u, f, w, b, h);
			for (int r = 0; r < 4; r++)
				w[r] += f.bytes;
		}
	}
}

/* One packed block. */
LLM_INLINE void
llm_unit_spread(struct llm_unit *u, struct llm_format f, const struct llm_eight *e, int b)
{
	const struct llm_way way = {f, false};
	const int n_sub = 256 / f.sub;
	for (int h = 0; h < 2; h++) {
		int at = 4 * h;
		int8_t *w = u->w + b * f.block * 8 + 16 * h;
		for (int j = 0; j < f.block / f.sub; j++)
#pragma GCC unroll 8
			for (int g = 0; g < f.sub / 4; g++, w += 32)
				vst1q_s8(w, llm_packed_group(f, e, j, g, h));
		vst1q_f32(u->d + b * 8 + at, llm_eight_float(way, e->d, h));
		if (f.m_at >= 0)
			vst1q_f32(u->m + b * 8 + at, llm_eight_float(way, e->m, h));
		for (int j = 0; f.block == 256 && j < n_sub; j++) {
			vst1q_s32(
			    u->scale + (b * n_sub + j) * 8 + at, llm_eight_scale(way, e, j, h));
			if (f.m_at >= 0)
				vst1_s16(u->min + (b * n_sub + j) * 8 + at,
				    llm_eight_min(way, e, j, h));
		}
	}
}

/* llm_panel_fill of packed rows: chunks begin at a span, and none ends within one but the last. */
LLM_INLINE void
llm_unit_unpack(struct llm_unit *u, const struct llm_chunk *c, struct llm_format f)
{
	size_t row_bytes = (size_t)c->p->x->n_block * (size_t)f.bytes;
	const uint8_t *w = (const uint8_t *)c->p->w + (size_t)c->row * row_bytes +
			   (size_t)c->b0 * 8 * (size_t)f.bytes;
	for (int b = 0, n; b < c->n_block; b += n, w += n * 8 * f.bytes) {
		n = llm_packed_span(f, b, c->n_block);
		for (int i = 0; i < n; i++) {
			struct llm_eight e = llm_packed_at(f, w, i, n);
			llm_unit_spread(u, f, &e, b + i);
		}
	}
}

/* llm_panel_tile of n tokens. */
LLM_INLINE void
llm_unit_tile(const struct llm_unit *u, const struct llm_act *act,
    const struct llm_chunk *chunk, int t0, float *c, const struct llm_format f, const int n)
{
	const struct llm_way way = {f, true};
	const struct llm_act x = *act;
	float32x4_t acc[2][LLM_EIGHT_TOKENS];
	int b0 = chunk->b0, n_block = chunk->n_block;
	for (int h = 0; h < 2; h++)
		for (int t = 0; t < n; t++)
			acc[h][t] = vld1q_f32(c + t * LLM_PANEL_ROWS + 4 * h);
	for (int b = 0; b < n_block; b++) {
		struct llm_eight e = llm_unit_at(u, f, b);
		llm_eight_block(acc, &x, way, &e, t0, b0 + b, n);
	}
	for (int h = 0; h < 2; h++)
		for (int t = 0; t < n; t++)
			vst1q_f32(c + t * LLM_PANEL_ROWS + 4 * h, acc[h][t]);
}

/* Formats that are the same once spread share their tiles: any one of them stands for all. */
#define LLM_TILES(name)                                                            \
	LLM_TILE(name, 1) LLM_TILE(name, 2) LLM_TILE(name, 3) LLM_TILE(name, 4)    \
	static const llm_panel_tile tiles_##name[LLM_EIGHT_TOKENS] = {             \
	    tile_##name##_1, tile_##name##_2, tile_##name##_3, tile_##name##_4};
#define LLM_TILE(name, n)                                                          \
	static void tile_##name##_##n(const struct llm_unit *u,                    \
	    const struct llm_act *x, const struct llm_chunk *chunk, int t, float *c) \
	{                                                                          \
		llm_unit_tile(u, x, chunk, t, c, LLM_FORMAT_##name, n);            \
	}
LLM_TILES(q4_0)
LLM_TILES(q4_1)
LLM_TILES(q2_K)
LLM_TILES(q3_K)
LLM_TILES(q4_K)

#define LLM_FILL(name, type)                                                         \
	static void fill_##name(struct llm_unit *u, const struct llm_chunk *c)       \
	{                                                                            \
		llm_unit_fill(u, c, LLM_FORMAT_##name);                              \
	}
LLM_FORMATS_32(LLM_FILL)
LLM_FORMATS_256(LLM_FILL)
#define LLM_UNPACK(name, type)                                                       \
	static void unpack_##name(struct llm_unit *u, const struct llm_chunk *c)     \
	{                                                                            \
		llm_unit_unpack(u, c, LLM_FORMAT_##name);                            \
	}
LLM_FORMATS_PACKED(LLM_UNPACK)

/* The tiles of a type, by number of tokens less one. */
static const llm_panel_tile *
llm_panel_tiles(enum llm_dtype type)
{
	switch (llm_packed_plain(type)) {
	case LLM_DTYPE_Q4_1:
	case LLM_DTYPE_Q5_1:
		return tiles_q4_1;
	case LLM_DTYPE_Q2_K:
		return tiles_q2_K;
	case LLM_DTYPE_Q3_K:
	case LLM_DTYPE_Q6_K:
		return tiles_q3_K;
	case LLM_DTYPE_Q4_K:
	case LLM_DTYPE_Q5_K:
		return tiles_q4_K;
	default:
		return tiles_q4_0;
	}
}

/* Sweeps the panel's units with n tokens from t0, in tiles of nearly one size. */
static void
llm_panel_sweep(struct llm_panel *s, const struct llm_chunk *chunk, int t0, int n, int n_unit)
{
	const llm_panel_tile *tiles = llm_panel_tiles(chunk->p->type);
	int n_tile = (n + LLM_EIGHT_TOKENS - 1) / LLM_EIGHT_TOKENS;
	for (int i = 0, t = 0, next; i < n_tile; i++, t = next) {
		next = n * (i + 1) / n_tile;
		for (int u = 0; u < n_unit; u++)
			tiles[next - t - 1](
			    &s->unit[u], chunk->p->x, chunk, t0 + t, &s->c[t][8 * u]);
	}
}

/* Any number of tokens. */
static void
llm_product_panel(const struct llm_product *p, int row0, int row1, void *scratch)
{
#define LLM_ENTRY(name, type) [LLM_DTYPE_##type] = fill_##name,
#define LLM_ENTRY_R8(name, type) [LLM_DTYPE_##type##_R8] = unpack_##name,
	static const llm_panel_fill fill[LLM_DTYPE_MAX] = {LLM_FORMATS_32(LLM_ENTRY)
		LLM_FORMATS_256(LLM_ENTRY) LLM_FORMATS_PACKED(LLM_ENTRY_R8)};
#undef LLM_ENTRY
#undef LLM_ENTRY_R8
	struct llm_panel *s = scratch;
	int block = p->x->kind == LLM_ACT_Q32 ? 32 : 256, most = LLM_PANEL_COLUMNS / block;
	for (int t0 = 0; t0 < p->x->n_tok; t0 += LLM_PANEL_TOKENS) {
		int n = p->x->n_tok - t0;
		n = n < LLM_PANEL_TOKENS ? n : LLM_PANEL_TOKENS;
		for (int r = row0; r < row1; r += LLM_PANEL_ROWS) {
			int n_row = row1 - r < LLM_PANEL_ROWS ? row1 - r : LLM_PANEL_ROWS;
			int n_unit = (n_row + 7) / 8;
			struct llm_chunk c = {.p = p, .last = row1 - 1};
			memset(s->c, 0, (size_t)n * sizeof s->c[0]);
			for (c.b0 = 0; c.b0 < p->x->n_block; c.b0 += most) {
				int left = p->x->n_block - c.b0;
				c.n_block = left < most ? left : most;
				for (int u = 0; u < n_unit; u++) {
					c.row = r + 8 * u;
					fill[p->type](&s->unit[u], &c);
				}
				llm_panel_sweep(s, &c, t0, n, n_unit);
			}
			for (int t = 0; t < n; t++)
				memcpy(p->y + (size_t)(t0 + t) * p->y_stride + r, s->c[t],
				    (size_t)n_row * sizeof(float));
		}
	}
}

#endif
