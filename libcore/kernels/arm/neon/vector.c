/*
 * SPDX-License-Identifier: ISC
 *
 * The vector operations of generic/vector.c: four registers are the sixteen lanes of a sum, and a
 * tail is taken one by one, so that absent lanes stay untouched.
 */
#include "libcore/kernels/vector.h"

#include "libcore/fmath.h"
#include "libcore/kernels/arm/lanes.h"

#include <math.h>

/* a[lane] = f of element i, for the elements past the last whole sixteen. */
#define TAIL(a, i, n, f)                                  \
	if ((i) < (n)) {                                  \
		float lane[16];                           \
		for (int k = 0; k < 4; k++)               \
			vst1q_f32(lane + 4 * k, (a)[k]);  \
		for (int j = 0; (i) < (n); j++, (i)++)    \
			lane[j] = f;                      \
		for (int k = 0; k < 4; k++)               \
			(a)[k] = vld1q_f32(lane + 4 * k); \
	}

static void
clear(float32x4_t a[4])
{
	for (int k = 0; k < 4; k++)
		a[k] = vdupq_n_f32(0);
}

static float
dot(const float *w, const float *x, int n)
{
	float32x4_t a[4];
	int i = 0;
	clear(a);
	for (; i + 16 <= n; i += 16)
		for (int k = 0; k < 4; k++)
			a[k] =
			    vfmaq_f32(a[k], vld1q_f32(w + i + 4 * k), vld1q_f32(x + i + 4 * k));
	TAIL(a, i, n, fmaf(w[i], x[i], lane[j]))
	return llm_lanes_tree(a);
}

static float
sum(const float *x, int n)
{
	float32x4_t a[4];
	int i = 0;
	clear(a);
	for (; i + 16 <= n; i += 16)
		for (int k = 0; k < 4; k++)
			a[k] = vaddq_f32(a[k], vld1q_f32(x + i + 4 * k));
	TAIL(a, i, n, lane[j] + x[i])
	return llm_lanes_tree(a);
}

/* FMAX keeps a NaN. */
static float
max(const float *x, int n)
{
	float32x4_t m = vdupq_n_f32(-INFINITY);
	int i = 0;
	for (; i + 4 <= n; i += 4)
		m = vmaxq_f32(m, vld1q_f32(x + i));
	for (; i < n; i++)
		m = vmaxq_f32(m, vdupq_n_f32(x[i]));
	return vmaxvq_f32(m) + 0.0f;
}

static void
rmsnorm(float *y, const float *x, const float *g, int n, float eps)
{
	float r = 1.0f / sqrtf(dot(x, x, n) / (float)n + eps);
	for (int i = 0; i < n; i += 4) {
		float32x4_t v = vmulq_n_f32(llm_load_some(x + i, n - i), r);
		llm_store_some(y + i, n - i, vmulq_f32(v, llm_load_some(g + i, n - i)));
	}
}

static void
layernorm(float *y, const float *x, const float *g, const float *b, int n, float eps)
{
	float32x4_t mean = vdupq_n_f32(sum(x, n) / (float)n);
	for (int i = 0; i < n; i += 4)
		llm_store_some(y + i, n - i, vsubq_f32(llm_load_some(x + i, n - i), mean));
	float r = 1.0f / sqrtf(dot(y, y, n) / (float)n + eps);
	for (int i = 0; i < n; i += 4) {
		float32x4_t v = vmulq_n_f32(llm_load_some(y + i, n - i), r);
		v = vfmaq_f32(llm_load_some(b + i, n - i), v, llm_load_some(g + i, n - i));
		llm_store_some(y + i, n - i, v);
	}
}

static void
add(float *x, const float *d, int n)
{
	for (int i = 0; i < n; i += 4)
		llm_store_some(x + i, n - i,
		    vaddq_f32(llm_load_some(x + i, n - i), llm_load_some(d + i, n - i)));
}

static void
scale(float *x, float s, int n)
{
	for (int i = 0; i < n; i += 4)
		llm_store_some(x + i, n - i, vmulq_n_f32(llm_load_some(x + i, n - i), s));
}

static void
swiglu(float *y, const float *g, const float *u, int n)
{
	const float32x4_t one = vdupq_n_f32(1);
	for (int i = 0; i < n; i += 4) {
		float32x4_t v = llm_load_some(g + i, n - i);
		float32x4_t e = vaddq_f32(one, llm_lanes_exp(vnegq_f32(v)));
		llm_store_some(
		    y + i, n - i, vmulq_f32(vdivq_f32(v, e), llm_load_some(u + i, n - i)));
	}
}

static void
gelu(float *y, const float *x, int n)
{
	const float32x4_t one = vdupq_n_f32(1);
	for (int i = 0; i < n; i += 4) {
		float32x4_t v = llm_load_some(x + i, n - i);
		float32x4_t e = llm_lanes_erf(vmulq_n_f32(v, 0x1.6a09e6p-1f));
		v = vmulq_f32(vmulq_n_f32(v, 0.5f), vaddq_f32(one, e));
		llm_store_some(y + i, n - i, v);
	}
}

static void
rope(float *x, const float *c, const float *s, int n)
{
	int i = 0;
	for (; i + 4 <= n / 2; i += 4) {
		float32x4x2_t v = vld2q_f32(x + 2 * i);
		float32x4_t x0 = v.val[0], x1 = v.val[1];
		float32x4_t c4 = vld1q_f32(c + i), s4 = vld1q_f32(s + i);
		v.val[0] = vfmaq_f32(vnegq_f32(vmulq_f32(x1, s4)), x0, c4);
		v.val[1] = vfmaq_f32(vmulq_f32(x1, c4), x0, s4);
		vst2q_f32(x + 2 * i, v);
	}
	for (; i < n / 2; i++) {
		float x0 = x[2 * i], x1 = x[2 * i + 1];
		x[2 * i] = fmaf(x0, c[i], -(x1 * s[i]));
		x[2 * i + 1] = fmaf(x0, s[i], x1 * c[i]);
	}
}

static void
vector_exp(float *y, const float *x, int n)
{
	for (int i = 0; i < n; i += 4)
		llm_store_some(y + i, n - i, llm_lanes_exp(llm_load_some(x + i, n - i)));
}

static float
sumexp(const float *x, float m, int n)
{
	const float32x4_t top = vdupq_n_f32(m);
	float32x4_t a[4];
	int i = 0;
	clear(a);
	for (; i + 16 <= n; i += 16)
		for (int k = 0; k < 4; k++) {
			float32x4_t v = vsubq_f32(vld1q_f32(x + i + 4 * k), top);
			a[k] = vaddq_f32(a[k], llm_lanes_exp(v));
		}
	TAIL(a, i, n, lane[j] + llm_expf(x[i] - m))
	return llm_lanes_tree(a);
}

const struct llm_vector_kernels llm_vector_neon = {
    .dot = dot,
    .sum = sum,
    .max = max,
    .rmsnorm = rmsnorm,
    .layernorm = layernorm,
    .add = add,
    .scale = scale,
    .swiglu = swiglu,
    .gelu = gelu,
    .rope = rope,
    .exp = vector_exp,
    .sumexp = sumexp,
};
