/*
 * SPDX-License-Identifier: ISC
 *
 * Dots of four signed bytes in each lane of 32 bits: SDOT, or where the file is compiled without it
 * the same sums by widening multiplications.  Activations are never -128 (NUMERICS), so that two
 * products fit int16: 2 * 128 * 127 = 32512.
 */
#ifndef LLM_KERNELS_ARM_DOT_H
#define LLM_KERNELS_ARM_DOT_H

#include "libcore/kernels/arm/lanes.h"

/* sum[lane] + the dot of bytes 4 lane to 4 lane + 3 of w and a. */
LLM_INLINE int32x4_t
llm_dot(int32x4_t sum, int8x16_t w, int8x16_t a)
{
#ifdef __ARM_FEATURE_DOTPROD
	return vdotq_s32(sum, w, a);
#else
	int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(a));
	return vpadalq_s16(sum, vpaddq_s16(low, vmull_high_s8(w, a)));
#endif
}

/* The same with bytes 4 g to 4 g + 3 of a in every lane; g is a constant once unrolled. */
LLM_INLINE int32x4_t
llm_dot_group(int32x4_t sum, int8x16_t w, int8x16_t a, const int g)
{
#ifdef __ARM_FEATURE_DOTPROD
	switch (g) {
	case 0:
		return vdotq_laneq_s32(sum, w, a, 0);
	case 1:
		return vdotq_laneq_s32(sum, w, a, 1);
	case 2:
		return vdotq_laneq_s32(sum, w, a, 2);
	default:
		return vdotq_laneq_s32(sum, w, a, 3);
	}
#else
	int32x4_t v = vreinterpretq_s32_s8(a);
	switch (g) {
	case 0:
		v = vdupq_laneq_s32(v, 0);
		break;
	case 1:
		v = vdupq_laneq_s32(v, 1);
		break;
	case 2:
		v = vdupq_laneq_s32(v, 2);
		break;
	default:
		v = vdupq_laneq_s32(v, 3);
	}
	return llm_dot(sum, w, vreinterpretq_s8_s32(v));
#endif
}

#endif
