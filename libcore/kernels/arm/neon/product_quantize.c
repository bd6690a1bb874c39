/*
 * SPDX-License-Identifier: ISC
 *
 * Activations to int8 by blocks of 32 or 256, with their sums.
 */
#include "libcore/kernels/arm/lanes.h"
#include "libcore/kernels/arm/product_arm.h"

/* Largest absolute value of n floats as bits, n a multiple of 16. */
LLM_INLINE uint32_t
max_abs_bits(const float *x, int n)
{
	uint32x4_t max[4] = {vdupq_n_u32(0), vdupq_n_u32(0), vdupq_n_u32(0), vdupq_n_u32(0)};
	for (int i = 0; i < n; i += 16)
		for (int k = 0; k < 4; k++) {
			uint32x4_t v = vreinterpretq_u32_f32(vld1q_f32(x + i + 4 * k));
			max[k] = vmaxq_u32(max[k], vbicq_u32(v, vdupq_n_u32(0x80000000u)));
		}
	return vmaxvq_u32(vmaxq_u32(vmaxq_u32(max[0], max[1]), vmaxq_u32(max[2], max[3])));
}

/*
 * rint(x * id) of 16 floats as bytes.  No clamp: |x| <= amax and id <= 127 / amax * (1 + 2^-24),
 * so that the product stays below 127.5.
 */
LLM_INLINE int8x16_t
quantize16(const float *x, float id)
{
	int16x4_t v[4];
	for (int i = 0; i < 4; i++)
		v[i] = vmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + 4 * i), id)));
	return vcombine_s8(
	    vmovn_s16(vcombine_s16(v[0], v[1])), vmovn_s16(vcombine_s16(v[2], v[3])));
}

/* Stores item i from sums of pairs of columns, 0, 1 and 2, 3 mod 4 in turn; returns their total. */
LLM_INLINE int
store_sums(int16_t *nsum, int16_t *bsum, int i, int16x8_t pairs)
{
	pairs = vaddq_s16(pairs, vextq_s16(pairs, pairs, 4));
	pairs = vaddq_s16(pairs, vextq_s16(pairs, pairs, 2));
	int even = vgetq_lane_s16(pairs, 0), odd = vgetq_lane_s16(pairs, 1);
	nsum[2 * i] = (int16_t)-even;
	nsum[2 * i + 1] = (int16_t)-odd;
	bsum[i] = (int16_t)(even + odd);
	return even + odd;
}

/* One block of token t; false when a value is not finite. */
LLM_INLINE bool
quantize_block(struct llm_act *a, int t, int b, const int n)
{
	const float *x = a->x + (size_t)t * a->x_stride + (size_t)b * (size_t)n;
	int8_t *q = a->q + (size_t)t * a->q_stride + (size_t)b * (size_t)n;
	float *d = a->d + (size_t)t * a->d_stride + b;
	int16_t *bsum = a->bsum + (size_t)t * a->b_stride;
	int16_t *nsum = a->nsum + (size_t)t * a->b_stride * 2;
	int16_t *pair = a->pair + (size_t)t * a->b_stride / 2; /* of 256 */
	uint32_t bits = max_abs_bits(x, n);
	float amax, id = 0;
	memcpy(&amax, &bits, 4);
	*d = 0;
	if (bits >= 0x7f800000)
		return false;
	if (amax >= 0x1p-100f) {
		*d = amax / 127;
		id = 127 / amax;
	}
	for (int i = 0; i < n; i += 32) {
		int8x16_t v0 = quantize16(x + i, id), v1 = quantize16(x + i + 16, id);
		int16x8_t pairs = vpaddlq_s8(v0);
		vst1q_s8(q + i, v0);
		vst1q_s8(q + i + 16, v1);
		if (n == 32) {
			int total = store_sums(nsum, bsum, b, vpadalq_s8(pairs, v1));
			a->s[(size_t)t * a->d_stride + (size_t)b] = *d * (float)total;
		} else {
			int j = (b * n + i) / 16;
			int total = store_sums(nsum, bsum, j, pairs);
			total += store_sums(nsum, bsum, j + 1, vpaddlq_s8(v1));
			pair[j / 2] = (int16_t)total;
		}
	}
	return true;
}

bool
llm_product_quantize_neon(struct llm_act *a, int t0, int t1)
{
	bool finite = true;
	for (int t = t0; t < t1; t++)
		for (int b = 0; b < a->n_block; b++)
			finite &= a->kind == LLM_ACT_Q32 ? quantize_block(a, t, b, 32)
							 : quantize_block(a, t, b, 256);
	return finite;
}
