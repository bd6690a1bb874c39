/*
 * SPDX-License-Identifier: ISC
 *
 * The steps of attention: a tile of sixteen lanes is four registers, and at most 20 hold sums:
 * five rows by one tile, two by two, one by four.  (With 24 compilers spill.)  The walk over pages is
 * libcore/kernels/attention_pages.c.
 */
#include "libcore/kernels/attention_pages.h"

#include "libcore/kernels/arm/lanes.h"

#include <math.h>
#include <stdbool.h>

enum {
	GROUP = LLM_ATTENTION_GROUP,
	ROWS = 5,
	TILES = LLM_ATTENTION_TILES,
	PAGE = LLM_KV_PAGE,
	LINE = 64, /* bytes of a cache line */
};

/* Tiles of a chain with so many rows. */
#define MOST_TILES(n_row) ((n_row) == 1 ? 4 : (n_row) == 2 ? 2 : 1)

LLM_INLINE size_t
element_bytes(enum llm_kv_type type)
{
	return type == LLM_KV_F32 ? 4 : type == LLM_KV_F16 ? 2 : 1;
}

/* Sixteen elements from index i of b on. */
LLM_INLINE void
load_tile(float32x4_t v[4], const void *b, size_t i, enum llm_kv_type type)
{
	if (type == LLM_KV_Q8_0) {
		int8x16_t q = vld1q_s8((const int8_t *)b + i);
		int16x8_t low = vmovl_s8(vget_low_s8(q)), high = vmovl_high_s8(q);
		v[0] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(low)));
		v[1] = vcvtq_f32_s32(vmovl_high_s16(low));
		v[2] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(high)));
		v[3] = vcvtq_f32_s32(vmovl_high_s16(high));
		return;
	}
	for (size_t k = 0; k < 4; k++)
		v[k] = type == LLM_KV_F32 ? vld1q_f32((const float *)b + i + 4 * k)
					  : llm_halves((const uint16_t *)b + i + 4 * k);
}

LLM_INLINE void
store_tile(float *x, const float32x4_t v[4])
{
	for (int k = 0; k < 4; k++)
		vst1q_f32(x + 4 * k, v[k]);
}

/* The first n of a tile's lanes, and v = x * c of them. */
LLM_INLINE void
store_some(float *x, const float32x4_t v[4], int n)
{
	if (n == 16) {
		store_tile(x, v);
		return;
	}
	float copy[16];
	store_tile(copy, v);
	memcpy(x, copy, (size_t)n * sizeof *x);
}

LLM_INLINE void
scale_tile(float32x4_t v[4], const float *x, float c, int n)
{
	float copy[16] = {0};
	if (n != 16)
		x = memcpy(copy, x, (size_t)n * sizeof *x);
	for (int k = 0; k < 4; k++)
		v[k] = vmulq_n_f32(vld1q_f32(x + 4 * k), c);
}

/* Chains of n_row rows and n_tile tiles, constants both, so that all sums stay in registers. */
struct sums {
	float32x4_t v[ROWS][TILES][4];
};

LLM_INLINE void
sums_clear(struct sums *s, int n_row, int n_tile)
{
#pragma GCC unroll 5
	for (int r = 0; r < n_row; r++)
#pragma GCC unroll 4
		for (int t = 0; t < n_tile; t++)
#pragma GCC unroll 4
			for (int k = 0; k < 4; k++)
				s->v[r][t][k] = vdupq_n_f32(0);
}

/* Steps [i, end). */
LLM_INLINE void
sums_add(struct sums *s, const struct llm_attention_chain *c, size_t i, size_t end,
    enum llm_kv_type type, int n_row, int n_tile)
{
	const size_t bytes = (size_t)n_tile * 16 * element_bytes(type);
	const size_t step = c->step, tile = c->tile, pair = c->pair;
	const uintptr_t fetch = c->fetch;
	const void *b = c->b;
	const float *a[ROWS];
#pragma GCC unroll 5
	for (int r = 0; r < n_row; r++)
		a[r] = c->a[r];
	for (; i < end; i++) {
		if (fetch != 0 && (bytes >= LINE || i * bytes % LINE == 0))
			for (size_t k = 0; k < bytes; k += LINE)
				__builtin_prefetch((const char *)(fetch + i * bytes + k));
#pragma GCC unroll 4
		for (int t = 0; t < n_tile; t++) {
			float32x4_t v[4];
			load_tile(v, b, (size_t)t * tile + i * step, type);
#pragma GCC unroll 5
			for (int r = 0; r < n_row; r++) {
				float w = a[r][i + (size_t)(t / 2) * pair];
				for (int k = 0; k < 4; k++)
					s->v[r][t][k] = vfmaq_n_f32(s->v[r][t][k], v[k], w);
			}
		}
	}
}

/* Scores of Q8_0: each group of steps from +0 on, then times its scale. */
LLM_INLINE void
chains_scaled(const struct llm_attention_chain *c, enum llm_kv_type type, int n_row, int n_tile)
{
	const uint16_t *scale = c->scale;
	for (int g = 0; g < c->n; g += GROUP, scale += PAGE) {
		struct sums s;
		sums_clear(&s, n_row, n_tile);
		sums_add(&s, c, (size_t)g, (size_t)(g + GROUP), type, n_row, n_tile);
#pragma GCC unroll 4
		for (int t = 0; t < n_tile; t++) {
			float32x4_t d[4];
			load_tile(d, scale, 16 * (size_t)t, LLM_KV_F16);
#pragma GCC unroll 5
			for (int r = 0; r < n_row; r++)
				for (int k = 0; k < 4; k++) {
					float *out = c->out[r] + 16 * t + 4 * k;
					float32x4_t x =
					    g == 0 ? vdupq_n_f32(0) : vld1q_f32(out);
					vst1q_f32(out, vfmaq_f32(x, d[k], s.v[r][t][k]));
				}
		}
	}
}

/* The others: from out * c or +0 on; of the last tile no more than c->last lanes are touched. */
LLM_INLINE void
chains_plain(const struct llm_attention_chain *c, enum llm_kv_type type, int n_row, int n_tile)
{
	struct sums s;
	sums_clear(&s, n_row, n_tile);
	if (c->kind == LLM_CHAIN_SUM)
#pragma GCC unroll 5
		for (int r = 0; r < n_row; r++)
#pragma GCC unroll 4
			for (int t = 0; t < n_tile; t++)
				scale_tile(s.v[r][t], c->out[r] + 16 * t, c->c[r],
				    t == n_tile - 1 ? c->last : 16);
	sums_add(&s, c, 0, (size_t)c->n, type, n_row, n_tile);
#pragma GCC unroll 5
	for (int r = 0; r < n_row; r++)
#pragma GCC unroll 4
		for (int t = 0; t < n_tile; t++)
			store_some(
			    c->out[r] + 16 * t, s.v[r][t], t == n_tile - 1 ? c->last : 16);
}

LLM_INLINE void
chains(const struct llm_attention_chain *c, enum llm_kv_type type, bool scaled, int n_row,
    int n_tile)
{
	if (scaled)
		chains_scaled(c, type, n_row, n_tile);
	else
		chains_plain(c, type, n_row, n_tile);
}

LLM_INLINE void
chains_of(const struct llm_attention_chain *c, enum llm_kv_type type, bool scaled, int n_row)
{
	if (MOST_TILES(n_row) == 4 && c->n_tile == 4)
		chains(c, type, scaled, n_row, 4);
	else if (MOST_TILES(n_row) >= 2 && c->n_tile == 2)
		chains(c, type, scaled, n_row, 2);
	else
		chains(c, type, scaled, n_row, 1);
}

#define ROW(n, name, type, scaled)                                         \
	static void rows_##n##_##name(const struct llm_attention_chain *c) \
	{                                                                  \
		chains_of(c, type, scaled, n);                             \
	}
#define ALL_ROWS(name, type, scaled)                                                   \
	ROW(1, name, type, scaled)                                                     \
	ROW(2, name, type, scaled)                                                     \
	ROW(3, name, type, scaled)                                                     \
	ROW(4, name, type, scaled)                                                     \
	ROW(5, name, type, scaled)                                                     \
	static void (*const rows_##name[ROWS])(const struct llm_attention_chain *) = { \
	    rows_1_##name, rows_2_##name, rows_3_##name, rows_4_##name, rows_5_##name};
ALL_ROWS(f16, LLM_KV_F16, false)
ALL_ROWS(f32, LLM_KV_F32, false)
ALL_ROWS(int8, LLM_KV_Q8_0, false)
ALL_ROWS(f32_scaled, LLM_KV_F32, true)
ALL_ROWS(int8_scaled, LLM_KV_Q8_0, true)

static void
chain(const struct llm_attention_chain *c)
{
	bool scaled = c->kind == LLM_CHAIN_SCALED;
	int i = c->n_row - 1;
	if (c->type == LLM_KV_F16)
		rows_f16[i](c);
	else if (c->type == LLM_KV_F32)
		(scaled ? rows_f32_scaled : rows_f32)[i](c);
	else
		(scaled ? rows_int8_scaled : rows_int8)[i](c);
}

LLM_INLINE void
widen_as(const struct llm_attention_widening *w, enum llm_kv_type type)
{
	const size_t whole = (size_t)w->width / 16, rest = (size_t)w->width % 16;
	const size_t row_bytes = (size_t)w->width * element_bytes(type);
	for (int r = 0; r < w->n_row; r++) {
		const char *b = (const char *)w->b + (size_t)r * row_bytes;
		float *x = w->x + (size_t)r * w->row;
		float32x4_t v[4];
		for (size_t t = 0; t < whole; t++) {
			load_tile(v, b, 16 * t, type);
			store_tile(x + t * w->tile, v);
		}
		if (rest > 0) {
			float copy[16] = {0}; /* wide enough for any type */
			memcpy(copy, b + 16 * whole * element_bytes(type),
			    rest * element_bytes(type));
			load_tile(v, copy, 0, type);
			store_tile(x + whole * w->tile, v);
		}
	}
}

static void
widen(const struct llm_attention_widening *w)
{
	if (w->type == LLM_KV_F16)
		widen_as(w, LLM_KV_F16);
	else if (w->type == LLM_KV_F32)
		widen_as(w, LLM_KV_F32);
	else
		widen_as(w, LLM_KV_Q8_0);
}

/* All bits of the first n of four lanes: none for n <= 0. */
LLM_INLINE uint32x4_t
lanes_of(int n)
{
	const int32_t lane[4] = {0, 1, 2, 3};
	return vcltq_s32(vld1q_s32(lane), vdupq_n_s32(n));
}

/* Row i, which sees n positions; all where whole.  FMAXNM passes over a NaN beside a number. */
LLM_INLINE void
soften_row(const struct llm_attention_softmax *s, int i, int n, bool whole)
{
	float *p = s->p[i], old = s->m[i], high;
	float32x4_t top[4], lane[4];
	for (int k = 0; k < 4; k++) {
		top[k] = vdupq_n_f32(old);
		lane[k] = vdupq_n_f32(0);
	}
	for (int j = 0; j < PAGE / 4; j++) {
		float32x4_t x = vld1q_f32(p + 4 * j);
		if (!whole)
			x = vbslq_f32(lanes_of(n - 4 * j), x, top[j % 4]);
		top[j % 4] = vmaxnmq_f32(top[j % 4], x);
	}
	high =
	    vmaxnmvq_f32(vmaxnmq_f32(vmaxnmq_f32(top[0], top[1]), vmaxnmq_f32(top[2], top[3])));
	high += 0.0f; /* a zero is +0 */
	for (int j = 0; j < PAGE / 4; j++) {
		float32x4_t x = vsubq_f32(vld1q_f32(p + 4 * j), vdupq_n_f32(high));
		x = llm_lanes_exp_below(x);
		/* An absent lane gets +0, which leaves a sum as it is: none is -0. */
		if (!whole)
			x = vreinterpretq_f32_u32(
			    vandq_u32(vreinterpretq_u32_f32(x), lanes_of(n - 4 * j)));
		vst1q_f32(p + 4 * j, x);
		lane[j % 4] = vaddq_f32(lane[j % 4], x);
	}
	s->c[i] = vgetq_lane_f32(llm_lanes_exp_below(vdupq_n_f32(old - high)), 0);
	s->l[i] = fmaf(s->l[i], s->c[i], llm_lanes_tree(lane));
	s->m[i] = high;
}

static void
soften(const struct llm_attention_softmax *s)
{
	for (int i = 0; i < s->n_row; i++) {
		if (s->n == NULL || s->n[i] == PAGE)
			soften_row(s, i, PAGE, true);
		else
			soften_row(s, i, s->n[i], false);
	}
}

static void
weigh(float *y, const float *p, const uint16_t *d)
{
	for (int j = 0; j < PAGE; j += 4)
		vst1q_f32(y + j, vmulq_f32(vld1q_f32(p + j), llm_halves(d + j)));
}

static void
segment(const struct llm_attention *a, void *scratch)
{
	static const struct llm_attention_steps steps = {
	    .n_tile = {0, MOST_TILES(1), MOST_TILES(2), MOST_TILES(3), MOST_TILES(4),
		MOST_TILES(5)},
	    .chain = chain,
	    .widen = widen,
	    .soften = soften,
	    .weigh = weigh,
	};
	llm_attention_pages(a, scratch, &steps);
}

/* Four numbers to f16. */
LLM_INLINE uint16x4_t
to_f16(float32x4_t x)
{
	return vreinterpret_u16_f16(vcvt_f16_f32(x));
}

/* Quantizes x[32] to q, in order; returns the scale as f16. */
static uint16_t
quantize(int8_t *q, const float *x)
{
	uint32x4_t top = vdupq_n_u32(0);
	for (int i = 0; i < GROUP; i += 4)
		top = vmaxq_u32(top, vbicq_u32(vreinterpretq_u32_f32(vld1q_f32(x + i)),
					 vdupq_n_u32(0x80000000u)));
	/* Bits of magnitudes order as integers do, and a NaN among them wins. */
	uint32_t bits = vmaxvq_u32(top);
	float amax;
	memcpy(&amax, &bits, sizeof amax);
	if (!(amax >= 0x1p-100f && amax < INFINITY)) {
		memset(q, 0, GROUP);
		return amax < 0x1p-100f ? 0 : 0x7e00; /* NaN: not finite stays so */
	}
	const float id = 127.0f / amax;
	for (int i = 0; i < GROUP; i += 8) {
		/* To nearest even; at most 127.00001 before, so that no clamp is needed. */
		int32x4_t a = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + i), id));
		int32x4_t b = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + i + 4), id));
		vst1_s8(q + i, vmovn_s16(vcombine_s16(vmovn_s32(a), vmovn_s32(b))));
	}
	return vget_lane_u16(to_f16(vdupq_n_f32(amax / 127.0f)), 0);
}

static void
store_q8_0(int8_t *slot, int d_head, int pos, const float *k, const float *v)
{
	const int n = PAGE * d_head, n_group = d_head / GROUP;
	int8_t *kq = slot + pos / 16 * d_head * 16 + pos % 16;
	int8_t *vq = slot + n + n / GROUP * 2 + pos * d_head;
	uint16_t *kd = (uint16_t *)(slot + n) + pos;
	uint16_t *vd = (uint16_t *)(slot + 2 * n + n / GROUP * 2) + pos;
	for (int g = 0; g < n_group; g++) {
		int8_t q[GROUP];
		kd[g * PAGE] = quantize(q, k + g * GROUP);
		for (int i = 0; i < GROUP; i++)
			kq[(g * GROUP + i) * 16] = q[i];
		vd[g * PAGE] = quantize(vq + g * GROUP, v + g * GROUP);
	}
}

static void
store_f16(uint16_t *slot, int d_head, int pos, const float *k, const float *v)
{
	uint16_t *to_k = slot + pos / 16 * d_head * 16 + pos % 16;
	uint16_t *to_v = slot + (PAGE + pos) * d_head;
	for (int i = 0; i < d_head; i += 4) {
		int n = d_head - i < 4 ? d_head - i : 4;
		uint16_t hk[4], hv[4];
		vst1_u16(hk, to_f16(llm_load_some(k + i, n)));
		vst1_u16(hv, to_f16(llm_load_some(v + i, n)));
		for (int j = 0; j < n; j++)
			to_k[(i + j) * 16] = hk[j];
		memcpy(to_v + i, hv, (size_t)n * sizeof hv[0]);
	}
}

static void
store(void *slot, enum llm_kv_type type, int d_head, int pos, const float *k, const float *v)
{
	if (type == LLM_KV_F16)
		store_f16(slot, d_head, pos, k, v);
	else if (type == LLM_KV_Q8_0)
		store_q8_0(slot, d_head, pos, k, v);
	else
		llm_attention_generic.store(slot, type, d_head, pos, k, v);
}

static void
merge(float *m, float *l, float *acc, float m_b, float l_b, const float *acc_b, int d_head)
{
	if (m_b == -INFINITY && l_b == 0)
		return;
	float top = *m > m_b ? *m : m_b;
	float c_a = llm_expf(*m - top), c_b = llm_expf(m_b - top);
	*l = fmaf(l_b, c_b, *l * c_a);
	for (int i = 0; i < d_head; i += 4) {
		int left = d_head - i;
		float32x4_t y = vmulq_n_f32(llm_load_some(acc + i, left), c_a);
		y = vfmaq_n_f32(y, llm_load_some(acc_b + i, left), c_b);
		llm_store_some(acc + i, left, y);
	}
	*m = top;
}

static void
finish(float *y, const float *acc, float l, int d_head)
{
	for (int i = 0; i < d_head; i += 4) {
		int left = d_head - i;
		llm_store_some(
		    y + i, left, vdivq_f32(llm_load_some(acc + i, left), vdupq_n_f32(l)));
	}
}

const struct llm_attention_kernels llm_attention_neon = {
    .store = store,
    .segment = segment,
    .merge = merge,
    .finish = finish,
};
