/*
 * SPDX-License-Identifier: ISC
 *
 * Element-wise and reducing operations on f32 vectors.  Every sum has sixteen lanes by index mod 16
 * and one tree (NUMERICS: a[i] + a[i+8], +4, +2, +1).  No pointer needs more alignment than float.
 * What comes of a NaN is a NaN, of no particular sign and payload; of n 0, nothing.
 */
#ifndef LLM_KERNELS_VECTOR_H
#define LLM_KERNELS_VECTOR_H

struct llm_vector_kernels {
	/* Sixteen-lane fused dot of w and x. */
	float (*dot)(const float *w, const float *x, int n);
	/* Sixteen-lane plain sum. */
	float (*sum)(const float *x, int n);
	/* Largest; -INFINITY for n 0.  A NaN anywhere gives NaN.  A zero is +0. */
	float (*max)(const float *x, int n);
	/* y = x * (1 / sqrtf(dot(x, x) / n + eps)) * g; y may be x.  Zhang & Sennrich 2019. */
	void (*rmsnorm)(float *y, const float *x, const float *g, int n, float eps);
	/* m = sum(x) / n, y = x - m, y = fma(y * (1 / sqrtf(dot(y, y) / n + eps)), g, b); y may be x.
	 * Ba, Kiros & Hinton 2016. */
	void (*layernorm)(
	    float *y, const float *x, const float *g, const float *b, int n, float eps);
	/* x += d */
	void (*add)(float *x, const float *d, int n);
	/* x *= s */
	void (*scale)(float *x, float s, int n);
	/* y = (g / (1 + exp(-g))) * u; y may be g.  Shazeer 2020. */
	void (*swiglu)(float *y, const float *g, const float *u, int n);
	/* y = (0.5 * x) * (1 + erf(x * sqrt(1/2))), our polynomial; y may be x.  Hendrycks & Gimpel
	 * 2016. */
	void (*gelu)(float *y, const float *x, int n);
	/* Rotates adjacent pairs (2i, 2i+1) of one head of n floats by c[i], s[i], i < n / 2:
	 * x0' = fma(x0, c, -(x1 * s)), x1' = fma(x0, s, x1 * c).  Su et al. 2021. */
	void (*rope)(float *x, const float *c, const float *s, int n);
	/* y = exp(x), our polynomial (libcore/fmath.h); y may be x. */
	void (*exp)(float *y, const float *x, int n);
	/* Sixteen-lane sum of exp(x - m): the inside of log-sum-exp. */
	float (*sumexp)(const float *x, float m, int n);
};

extern const struct llm_vector_kernels llm_vector_generic;
extern const struct llm_vector_kernels llm_vector_avx2;
extern const struct llm_vector_kernels llm_vector_avx512;
extern const struct llm_vector_kernels llm_vector_neon;

#endif
