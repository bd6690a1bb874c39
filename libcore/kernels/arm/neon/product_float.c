/*
 * SPDX-License-Identifier: ISC
 *
 * Products with activations in f32: float weights, and with --precise quantized ones, as dots of
 * sixteen lanes.  Four rows stand as floats, a chunk of columns at a time (with few tokens F16 and
 * BF16 are widened as they are multiplied), and tiles of rows and tokens sweep them; the lanes wait
 * in scratch from chunk to chunk.
 */
#include "libcore/kernels/arm/product_arm.h"
#include "libcore/kernels/arm/product_unpack.h"
#include "libcore/packed.h"

enum {
	ROWS = 4,
	TOKENS = 512,  /* that share one dequantizing */
	TILE = 4,      /* most tokens of a tile */
	DIRECT = 2,    /* tokens up to which halves are widened as they are multiplied */
	WIDE = 2048,   /* columns of a chunk for few tokens, a row being read at length */
	NARROW = 1024, /* for many, so that a tile stays in the nearest cache */
};

struct scratch {
	float panel[ROWS][WIDE];
	float lane[TOKENS][ROWS][16];
};
_Static_assert(sizeof(struct scratch) <= LLM_PRODUCT_SCRATCH, "panel and lanes fit");

/* A chunk of four rows against a block of tokens. */
struct floats {
	const struct llm_act *x;
	const uint8_t *row[ROWS]; /* at the chunk's first column: of F32, F16 or BF16 */
	float (*lane)[ROWS][16];  /* [tok] */
	int t0, k0, n_col;        /* first token of the block; columns of the chunk */
};

/* Sixteen integers as floats: scale * q, or scale * q + add: at most one rounding. */
LLM_INLINE void
sixteen_values(float *y, int8x16_t q, float scale, bool has_add, float add)
{
	int16x8_t half[2] = {vmovl_s8(vget_low_s8(q)), vmovl_high_s8(q)};
	for (int i = 0; i < 4; i++) {
		int32x4_t v =
		    i % 2 ? vmovl_high_s16(half[i / 2]) : vmovl_s16(vget_low_s16(half[i / 2]));
		float32x4_t f = vmulq_n_f32(vcvtq_f32_s32(v), scale);
		if (has_add)
			f = vaddq_f32(f, vdupq_n_f32(add));
		vst1q_f32(y + 4 * i, f);
	}
}

/* The exact values of one block, as llm_dtype_info's to_f32 gives them. */
LLM_INLINE void
block_values(float *y, const uint8_t *w, struct llm_format f)
{
	float d = llm_block_f16(w + f.d_at), m = f.m_at >= 0 ? llm_block_f16(w + f.m_at) : 0;
	int8x16_t q[16], scale, min;
	int8_t sc[16], mn[16];
	f.unpack(q, w);
	if (f.block == 256) {
		f.scales(&scale, &min, w);
		vst1q_s8(sc, scale);
		vst1q_s8(mn, min);
	}
	for (int g = 0; g < f.block / 16; g++) {
		int j = g * 16 / f.sub;
		if (f.block == 32)
			sixteen_values(y + 16 * g, q[g], d, f.m_at >= 0, m);
		else
			sixteen_values(y + 16 * g, q[g], d * (float)sc[j], f.m_at >= 0,
			    -(m * (float)mn[j]));
	}
}

/* n weights from column k0 of row r, as floats: a plain row, or a packed one by a copy of each block. */
LLM_INLINE void
fill_blocks(float *y, const struct llm_product *p, int r, int k0, int n, struct llm_format f)
{
	struct llm_packed_row from = {p->w, p->type, p->n_col, r};
	uint8_t block[sizeof(struct llm_block_q6_K)]; /* the longest */
	int n_block = p->n_col / f.block, b = k0 / f.block;
	const uint8_t *w =
	    (const uint8_t *)p->w + ((size_t)r * (size_t)n_block + (size_t)b) * (size_t)f.bytes;
	for (int k = 0; k < n; k += f.block, b++, w += f.bytes) {
		if (llm_packed_is(p->type))
			llm_packed_blocks(block, &from, b, 1);
		block_values(y + k, llm_packed_is(p->type) ? block : w, f);
	}
}

/* Four weights from column k of a row on; one. */
LLM_INLINE float32x4_t
weights(const uint8_t *row, int k, const enum llm_dtype type)
{
	if (type == LLM_DTYPE_F32)
		return vreinterpretq_f32_u8(vld1q_u8(row + 4 * k));
	return type == LLM_DTYPE_F16 ? llm_halves(row + 2 * k) : llm_brains(row + 2 * k);
}

LLM_INLINE float
weight(const uint8_t *row, int k, const enum llm_dtype type)
{
	if (type == LLM_DTYPE_F16)
		return llm_block_f16(row + 2 * k);
	uint32_t bits = type == LLM_DTYPE_F32 ? llm_load32(row + 4 * k)
					      : (uint32_t)llm_block_u16(row + 2 * k) << 16;
	float f;
	memcpy(&f, &bits, 4);
	return f;
}

/* n weights of F16 or BF16 from column k0 of row r, as floats. */
LLM_INLINE void
fill_halves(
    float *y, const struct llm_product *p, int r, int k0, int n, const enum llm_dtype type)
{
	const uint8_t *w =
	    (const uint8_t *)p->w + 2 * ((size_t)r * (size_t)p->n_col + (size_t)k0);
	int k = 0;
	for (; k + 4 <= n; k += 4)
		vst1q_f32(y + k, weights(w, k, type));
	for (; k < n; k++)
		y[k] = weight(w, k, type);
}

/* Lanes [4 part, 4 (part + n_part)) of all rows and tokens [t, t + n); counts and type are constants. */
LLM_INLINE void
tile_part(const struct floats *s, int t, const int n, int part, const int n_part,
    const enum llm_dtype type)
{
	const size_t stride = s->x->x_stride;
	const float *x = s->x->x + (size_t)(s->t0 + t) * stride + s->k0;
	float32x4_t acc[ROWS][TILE][4];
	int whole = s->n_col & ~15;
	for (int i = 0; i < ROWS; i++)
		for (int j = 0; j < n; j++)
			for (int l = 0; l < n_part; l++)
				acc[i][j][l] = vld1q_f32(s->lane[t + j][i] + 4 * (part + l));
	for (int k = 4 * part; k < whole; k += 16)
		for (int l = 0; l < n_part; l++) {
			float32x4_t w[ROWS];
			for (int i = 0; i < ROWS; i++)
				w[i] = weights(s->row[i], k + 4 * l, type);
			for (int j = 0; j < n; j++) {
				float32x4_t v = vld1q_f32(x + (size_t)j * stride + k + 4 * l);
				for (int i = 0; i < ROWS; i++)
					acc[i][j][l] = vfmaq_f32(acc[i][j][l], w[i], v);
			}
		}
	for (int i = 0; i < ROWS; i++)
		for (int j = 0; j < n; j++)
			for (int l = 0; l < n_part; l++)
				vst1q_f32(s->lane[t + j][i] + 4 * (part + l), acc[i][j][l]);
}

/* The chunk against tokens [t, t + n): sixteen sums at a time stay in registers. */
LLM_INLINE void
tile(const struct floats *s, int t, const int n, const enum llm_dtype type)
{
	const int n_part = n == 1 ? 4 : n == 2 ? 2 : 1;
	for (int part = 0; part < 4; part += n_part)
		tile_part(s, t, n, part, n_part, type);
	/* A short tail, of a row's last chunk alone, leaves the other lanes untouched. */
	for (int k = s->n_col & ~15; k < s->n_col; k++)
		for (int j = 0; j < n; j++)
			for (int i = 0; i < ROWS; i++) {
				float *a = &s->lane[t + j][i][k % 16];
				*a = __builtin_fmaf(weight(s->row[i], k, type),
				    s->x->x[(size_t)(s->t0 + t + j) * s->x->x_stride +
					    (size_t)(s->k0 + k)],
				    *a);
			}
}

/* The chunk, in floats, against n_tok tokens. */
static void
sweep(const struct floats *s, int n_tok)
{
	int n_tile = (n_tok + TILE - 1) / TILE;
	for (int i = 0, t = 0, next; i < n_tile; i++, t = next) {
		next = n_tok * (i + 1) / n_tile;
		if (next - t == 1)
			tile(s, t, 1, LLM_DTYPE_F32);
		else if (next - t == 2)
			tile(s, t, 2, LLM_DTYPE_F32);
		else if (next - t == 3)
			tile(s, t, 3, LLM_DTYPE_F32);
		else
			tile(s, t, 4, LLM_DTYPE_F32);
	}
}

/* The chunk, still halves, against at most DIRECT tokens. */
static void
sweep_direct(const struct floats *s, int n_tok, enum llm_dtype type)
{
	if (type == LLM_DTYPE_F16 && n_tok == 1)
		tile(s, 0, 1, LLM_DTYPE_F16);
	else if (type == LLM_DTYPE_F16)
		tile(s, 0, 2, LLM_DTYPE_F16);
	else if (n_tok == 1)
		tile(s, 0, 1, LLM_DTYPE_BF16);
	else
		tile(s, 0, 2, LLM_DTYPE_BF16);
}

typedef void (*fill_function)(float *y, const struct llm_product *p, int r, int k0, int n);

/* Four rows against the n_tok tokens of the block: lanes from 0 to the end of the row. */
static void
four_rows(const struct llm_product *p, struct floats *s, float (*panel)[WIDE],
    const int row[ROWS], fill_function fill, int n_tok)
{
	bool half = p->type == LLM_DTYPE_F16 || p->type == LLM_DTYPE_BF16;
	bool direct = p->type == LLM_DTYPE_F32 || (half && n_tok <= DIRECT);
	size_t row_bytes = llm_dtype_row_bytes(p->type, p->n_col);
	int chunk = n_tok <= TILE ? WIDE : NARROW;
	memset(s->lane, 0, (size_t)n_tok * sizeof s->lane[0]);
	for (s->k0 = 0; s->k0 < p->n_col; s->k0 += chunk) {
		s->n_col = p->n_col - s->k0 < chunk ? p->n_col - s->k0 : chunk;
		for (int i = 0; i < ROWS; i++) {
			const uint8_t *w = (const uint8_t *)p->w + (size_t)row[i] * row_bytes;
			s->row[i] = direct ? w + (size_t)s->k0 * (half ? 2 : 4)
					   : (const uint8_t *)panel[i];
			if (!direct)
				fill(panel[i], p, row[i], s->k0, s->n_col);
		}
		if (direct && half)
			sweep_direct(s, n_tok, p->type);
		else
			sweep(s, n_tok);
	}
}

#define FILL(name, type)                                                                     \
	static void fill_##name(float *y, const struct llm_product *p, int r, int k0, int n) \
	{                                                                                    \
		fill_blocks(y, p, r, k0, n, LLM_FORMAT_##name);                              \
	}
LLM_FORMATS_32(FILL)
LLM_FORMATS_256(FILL)

static void
fill_f16(float *y, const struct llm_product *p, int r, int k0, int n)
{
	fill_halves(y, p, r, k0, n, LLM_DTYPE_F16);
}

static void
fill_bf16(float *y, const struct llm_product *p, int r, int k0, int n)
{
	fill_halves(y, p, r, k0, n, LLM_DTYPE_BF16);
}

/* The sum of sixteen lanes by their tree. */
static float
lanes_sum(const float *lane)
{
	float32x4_t a[4];
	for (int i = 0; i < 4; i++)
		a[i] = vld1q_f32(lane + 4 * i);
	return llm_lanes_tree(a);
}

void
llm_product_float_neon(const struct llm_product *p, int row0, int row1, void *scratch)
{
#define ENTRY(name, type) [LLM_DTYPE_##type] = fill_##name,
	static const fill_function fill[LLM_DTYPE_MAX] = {[LLM_DTYPE_F32] = NULL,
	    [LLM_DTYPE_F16] = fill_f16,
	    [LLM_DTYPE_BF16] = fill_bf16,
	    LLM_FORMATS_32(ENTRY) LLM_FORMATS_256(ENTRY)};
	struct scratch *mem = scratch;
	struct floats s = {.x = p->x, .lane = mem->lane};
	for (int r = row0; r < row1; r += ROWS) {
		int n_row = row1 - r < ROWS ? row1 - r : ROWS;
		int row[ROWS]; /* past the end the last row stands again */
		for (int i = 0; i < ROWS; i++)
			row[i] = i < n_row ? r + i : r + n_row - 1;
		for (s.t0 = 0; s.t0 < p->x->n_tok; s.t0 += TOKENS) {
			int n_tok = p->x->n_tok - s.t0;
			n_tok = n_tok < TOKENS ? n_tok : TOKENS;
			four_rows(
			    p, &s, mem->panel, row, fill[llm_packed_plain(p->type)], n_tok);
			for (int t = 0; t < n_tok; t++)
				for (int i = 0; i < n_row; i++)
					p->y[(size_t)(s.t0 + t) * p->y_stride +
					     (size_t)(r + i)] = lanes_sum(s.lane[t][i]);
		}
	}
}
