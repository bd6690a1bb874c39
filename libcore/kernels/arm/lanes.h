/*
 * SPDX-License-Identifier: ISC
 *
 * Four lanes of f32 in a register, sixteen in four: the tree of a sum, tails, halves widened, and
 * llm_expf and llm_erff lane by lane.  Included by the ARM kernels alone.
 */
#ifndef LLM_KERNELS_ARM_LANES_H
#define LLM_KERNELS_ARM_LANES_H

#include "libcore/fmath.h"

#include <arm_neon.h>
#include <string.h>

#define LLM_INLINE static inline __attribute__((always_inline))

/* The first n of four floats, zeros in the lanes past them, and back; any n from 1 on. */
LLM_INLINE float32x4_t
llm_load_some(const float *x, int n)
{
	if (n >= 4)
		return vld1q_f32(x);
	float v[4] = {0};
	memcpy(v, x, (size_t)n * sizeof *x);
	return vld1q_f32(v);
}

LLM_INLINE void
llm_store_some(float *y, int n, float32x4_t x)
{
	if (n >= 4) {
		vst1q_f32(y, x);
		return;
	}
	float v[4];
	vst1q_f32(v, x);
	memcpy(y, v, (size_t)n * sizeof *y);
}

/* a[i] + a[i+8], +4, +2, +1: lanes 4 i to 4 i + 3 in a[i]. */
LLM_INLINE float
llm_lanes_tree(const float32x4_t a[4])
{
	float32x4_t b = vaddq_f32(vaddq_f32(a[0], a[2]), vaddq_f32(a[1], a[3]));
	float32x2_t c = vadd_f32(vget_low_f32(b), vget_high_f32(b));
	return vget_lane_f32(c, 0) + vget_lane_f32(c, 1);
}

/* Four halves at p, of any alignment, exactly. */
LLM_INLINE float32x4_t
llm_halves(const void *p)
{
	return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
}

/* Four bfloat16 at p. */
LLM_INLINE float32x4_t
llm_brains(const void *p)
{
	return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(p)), 16));
}

/* llm_expf of each lane that is NaN or at most 88.72283: the same operations in the same order. */
LLM_INLINE float32x4_t
llm_lanes_exp_below(float32x4_t x)
{
	float32x4_t n = vrndnq_f32(vmulq_f32(x, vdupq_n_f32(0x1.715476p+0f)));
	float32x4_t r = vfmaq_f32(x, n, vdupq_n_f32(-0.693359375f));
	r = vfmaq_f32(r, n, vdupq_n_f32(2.12194440e-4f));
	float32x4_t y = vdupq_n_f32(1.9875691500e-4f);
	y = vfmaq_f32(vdupq_n_f32(1.3981999507e-3f), y, r);
	y = vfmaq_f32(vdupq_n_f32(8.3334519073e-3f), y, r);
	y = vfmaq_f32(vdupq_n_f32(4.1665795894e-2f), y, r);
	y = vfmaq_f32(vdupq_n_f32(1.6666665459e-1f), y, r);
	y = vfmaq_f32(vdupq_n_f32(5.0000001201e-1f), y, r);
	y = vfmaq_f32(vdupq_n_f32(1.0f), y, r);
	y = vfmaq_f32(vdupq_n_f32(1.0f), y, r);
	/* A NaN converts to 0: y stays NaN. */
	uint32x4_t shift = vshlq_n_u32(vreinterpretq_u32_s32(vcvtnq_s32_f32(n)), 23);
	y = vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(y), shift));
	uint32x4_t under = vcltq_f32(x, vdupq_n_f32(-87.33654f));
	return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(y), under));
}

/* llm_expf of each lane. */
LLM_INLINE float32x4_t
llm_lanes_exp(float32x4_t x)
{
	uint32x4_t over = vcgtq_f32(x, vdupq_n_f32(88.72283f));
	return vbslq_f32(over, vdupq_n_f32(__builtin_inff()), llm_lanes_exp_below(x));
}

/* llm_erff of each lane; FMIN and FMAX keep a NaN. */
LLM_INLINE float32x4_t
llm_lanes_erf(float32x4_t x)
{
	const float32x4_t end = vdupq_n_f32(LLM_ERF_END);
	float32x4_t z = vmaxq_f32(vminq_f32(x, end), vnegq_f32(end));
	float32x4_t u =
	    vfmaq_f32(vdupq_n_f32(-1.0f), vmulq_f32(z, z), vdupq_n_f32(LLM_ERF_SCALE));
	float32x4_t y = vdupq_n_f32(0);
#define TERM(c) y = vfmaq_f32(vdupq_n_f32(c), y, u);
	LLM_ERF_TERMS(TERM)
#undef TERM
	return vmulq_f32(y, z);
}

#endif
