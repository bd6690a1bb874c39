/*
 * SPDX-License-Identifier: ISC
 *
 * Products in plain C: the numeric contract as loops.  Quantized weights with quantized activations
 * are summed in integers within a block and in floats over blocks; everything else is a sixteen-lane
 * dot of floats.  Every other instruction set equals this file bit for bit.
 */
#include "libcore/kernels/product.h"

#include "libcore/kernels/blocks.h"
#include "libcore/kernels/generic/product_unpack.h"
#include "libcore/packed.h"

#include <assert.h>
#include <math.h>

enum {
	TOKENS = 64, /* tokens that share one unpacking of a row */
	COLUMNS =
	    1024, /* columns dequantized at once; a multiple of every block and of the lanes */
	LANES = 16,
};

/* Largest absolute value, by bit patterns: for floats of one sign their order is that of integers. */
static uint32_t
max_abs_bits(const float *x, int n)
{
	uint32_t max = 0;
	for (int i = 0; i < n; i++) {
		uint32_t bits;
		memcpy(&bits, x + i, 4);
		bits &= 0x7fffffff;
		max = bits > max ? bits : max;
	}
	return max;
}

/* q[0..n) and *d of one block; false when a value is not finite. */
static bool
quantize_block(int8_t *q, float *d, const float *x, int n)
{
	uint32_t bits = max_abs_bits(x, n);
	float amax;
	memcpy(&amax, &bits, 4);
	*d = 0;
	if (bits >= 0x7f800000)
		return false;
	if (amax < 0x1p-100f) {
		memset(q, 0, (size_t)n);
		return true;
	}
	*d = amax / 127;
	float id = 127 / amax;
	for (int i = 0; i < n; i++) {
		float r = rintf(x[i] * id);
		q[i] = (int8_t)(r > 127 ? 127 : r < -127 ? -127 : r);
	}
	return true;
}

static bool
quantize(struct llm_act *a, int t0, int t1)
{
	bool finite = true;
	int block = a->kind == LLM_ACT_Q32 ? 32 : 256, sub = a->kind == LLM_ACT_Q32 ? 32 : 16;
	for (int t = t0; t < t1; t++) {
		int8_t *q = a->q + (size_t)t * a->q_stride;
		float *d = a->d + (size_t)t * a->d_stride;
		int16_t *bsum = a->bsum + (size_t)t * a->b_stride;
		int16_t *nsum = a->nsum + (size_t)t * a->b_stride * 2;
		for (int b = 0; b < a->n_block; b++)
			finite &= quantize_block(q + (size_t)b * block, d + b,
			    a->x + (size_t)t * a->x_stride + (size_t)b * block, block);
		for (int j = 0; j < a->n_sub; j++) {
			int sum[2] = {0, 0};
			for (int k = 0; k < sub; k++)
				sum[k / 2 % 2] += q[j * sub + k];
			nsum[2 * j] = (int16_t)-sum[0];
			nsum[2 * j + 1] = (int16_t)-sum[1];
			bsum[j] = (int16_t)(sum[0] + sum[1]);
		}
		for (int j = 0; a->kind == LLM_ACT_Q256 && j < a->n_sub / 2; j++)
			a->pair[(size_t)t * a->b_stride / 2 + (size_t)j] =
			    (int16_t)(bsum[2 * j] + bsum[2 * j + 1]);
		if (a->kind == LLM_ACT_Q32)
			for (int b = 0; b < a->n_block; b++)
				a->s[(size_t)t * a->d_stride + b] = d[b] * (float)bsum[b];
	}
	return finite;
}

static int32_t
dot_int(const int8_t *a, const int8_t *b, int n)
{
	int32_t sum = 0;
	for (int i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

/* acc after block b of token t, blocks of 32. */
static float
add_block32(float acc, const struct llm_unpacked *u, bool has_min, const struct llm_act *a,
    int t, int b)
{
	size_t at = (size_t)t * a->d_stride + b;
	int32_t isum = dot_int(u->q, a->q + (size_t)t * a->q_stride + b * 32, 32);
	acc = fmaf(u->d * a->d[at], (float)isum, acc);
	return has_min ? fmaf(u->m, a->s[at], acc) : acc;
}

/* The same, blocks of 256. */
static float
add_block256(float acc, const struct llm_unpacked *u, bool has_min, const struct llm_act *a,
    int t, int b)
{
	const int8_t *q = a->q + (size_t)t * a->q_stride + b * 256;
	const int16_t *bsum = a->bsum + (size_t)t * a->b_stride + b * 16;
	int32_t isum = 0, msum = 0;
	for (int j = 0; j < 16; j++) {
		isum += u->sc[j] * dot_int(u->q + j * 16, q + j * 16, 16);
		msum += u->min[j] * bsum[j];
	}
	float z = u->d * (float)isum;
	if (has_min)
		z = fmaf(-u->m, (float)msum, z);
	return fmaf(a->d[(size_t)t * a->d_stride + b], z, acc);
}

/* Blocks [b, b + n) of row r in GGUF's order: where they stand, or put together in mem. */
static const void *
row_blocks(void *mem, const struct llm_product *p, int r, int b, int n)
{
	const struct llm_dtype_info *info = llm_dtype_info((uint32_t)p->type);
	size_t n_block = (size_t)(p->n_col / info->block);
	if (!llm_packed_is(p->type))
		return (const char *)p->w +
		       ((size_t)r * n_block + (size_t)b) * (size_t)info->block_bytes;
	llm_packed_blocks(mem, &(struct llm_packed_row){p->w, p->type, p->n_col, r}, b, n);
	return mem;
}

static void
run_quantized(const struct llm_product *p, int row0, int row1)
{
	const struct llm_unpack *format = llm_unpack_get(llm_packed_plain(p->type));
	for (int r = row0; r < row1; r++) {
		for (int t0 = 0; t0 < p->x->n_tok; t0 += TOKENS) {
			int n = p->x->n_tok - t0 < TOKENS ? p->x->n_tok - t0 : TOKENS;
			float acc[TOKENS] = {0};
			struct llm_unpacked u = {0};
			for (int b = 0; b < p->x->n_block; b++) {
				unsigned char block[256];
				format->unpack(&u, row_blocks(block, p, r, b, 1));
				for (int t = 0; t < n; t++)
					acc[t] =
					    (format->block == 32 ? add_block32 : add_block256)(
						acc[t], &u, format->has_min, p->x, t0 + t, b);
			}
			for (int t = 0; t < n; t++)
				p->y[(size_t)(t0 + t) * p->y_stride + r] = acc[t];
		}
	}
}

/*
 * The loop below calls fmaf once for each weight; where the processor has the instruction the
 * compiler may use it in place, which is some thirty times faster and rounds the same.
 */
#if defined(__x86_64__) && defined(__gnu_linux__)
#define FUSED __attribute__((target_clones("fma", "default")))
#else
#define FUSED
#endif

/* lane[k mod 16] += w[k] * x[k], fused; a short tail leaves its lanes untouched. */
FUSED static void
dot_lanes(float *restrict lane, const float *restrict w, const float *restrict x, int n)
{
	int whole = n - n % LANES;
	for (int k = 0; k < whole; k += LANES)
		for (int j = 0; j < LANES; j++)
			lane[j] = fmaf(w[k + j], x[k + j], lane[j]);
	for (int k = whole; k < n; k++)
		lane[k - whole] = fmaf(w[k], x[k], lane[k - whole]);
}

static float
sum_lanes(float lane[LANES])
{
	for (int half = LANES / 2; half > 0; half /= 2)
		for (int j = 0; j < half; j++)
			lane[j] += lane[j + half];
	return lane[0];
}

/* Floats, and any type with activations that are not rounded. */
static void
run_float(const struct llm_product *p, int row0, int row1)
{
	const struct llm_dtype_info *info = llm_dtype_info((uint32_t)llm_packed_plain(p->type));
	const struct llm_act *a = p->x;
	for (int r = row0; r < row1; r++) {
		for (int t0 = 0; t0 < a->n_tok; t0 += TOKENS) {
			int n_tok = a->n_tok - t0 < TOKENS ? a->n_tok - t0 : TOKENS;
			float lane[TOKENS][LANES] = {{0}}, w[COLUMNS];
			for (int k = 0; k < p->n_col; k += COLUMNS) {
				int n = p->n_col - k < COLUMNS ? p->n_col - k : COLUMNS;
				unsigned char
				    blocks[4 * COLUMNS]; /* no weight has more bytes */
				info->to_f32(w,
				    row_blocks(blocks, p, r, k / info->block, n / info->block),
				    n);
				for (int t = 0; t < n_tok; t++)
					dot_lanes(lane[t], w,
					    a->x + (size_t)(t0 + t) * a->x_stride + k, n);
			}
			for (int t = 0; t < n_tok; t++)
				p->y[(size_t)(t0 + t) * p->y_stride + r] = sum_lanes(lane[t]);
		}
	}
}

static void
run(const struct llm_product *p, int row0, int row1, void *scratch)
{
	(void)scratch;
	assert(p->x->n_col == p->n_col && row0 % 8 == 0 && row1 <= p->n_row);
	if (p->x->kind == LLM_ACT_F32)
		run_float(p, row0, row1);
	else
		run_quantized(p, row0, row1);
}

const struct llm_product_kernels llm_product_generic = {quantize, run};
