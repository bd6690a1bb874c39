/*
 * SPDX-License-Identifier: ISC
 *
 * The vector operations as plain loops: the numeric contract in C, which every instruction set
 * equals bit for bit.
 */
#include "libcore/kernels/vector.h"

#include "libcore/fmath.h"

#include <math.h>

/* The tree over sixteen lanes: a[i] + a[i+8], +4, +2, +1.  Changes a. */
static float
tree(float a[16])
{
	for (int half = 8; half >= 1; half /= 2) {
		for (int i = 0; i < half; i++)
			a[i] += a[i + half];
	}
	return a[0];
}

static float
dot(const float *w, const float *x, int n)
{
	float a[16] = {0};
	for (int i = 0; i < n; i++)
		a[i % 16] = fmaf(w[i], x[i], a[i % 16]);
	return tree(a);
}

static float
sum(const float *x, int n)
{
	float a[16] = {0};
	for (int i = 0; i < n; i++)
		a[i % 16] += x[i];
	return tree(a);
}

static float
max(const float *x, int n)
{
	float m = -INFINITY;
	for (int i = 0; i < n; i++) {
		if (x[i] != x[i])
			return x[i];
		if (x[i] > m)
			m = x[i];
	}
	return m + 0.0f;
}

static void
rmsnorm(float *y, const float *x, const float *g, int n, float eps)
{
	float r = 1.0f / sqrtf(dot(x, x, n) / (float)n + eps);
	for (int i = 0; i < n; i++)
		y[i] = x[i] * r * g[i];
}

static void
layernorm(float *y, const float *x, const float *g, const float *b, int n, float eps)
{
	float mean = sum(x, n) / (float)n;
	for (int i = 0; i < n; i++)
		y[i] = x[i] - mean;
	float r = 1.0f / sqrtf(dot(y, y, n) / (float)n + eps);
	for (int i = 0; i < n; i++)
		y[i] = fmaf(y[i] * r, g[i], b[i]);
}

static void
add(float *x, const float *d, int n)
{
	for (int i = 0; i < n; i++)
		x[i] += d[i];
}

static void
scale(float *x, float s, int n)
{
	for (int i = 0; i < n; i++)
		x[i] *= s;
}

static void
swiglu(float *y, const float *g, const float *u, int n)
{
	for (int i = 0; i < n; i++)
		y[i] = g[i] / (1.0f + llm_expf(-g[i])) * u[i];
}

static void
gelu(float *y, const float *x, int n)
{
	for (int i = 0; i < n; i++)
		y[i] = 0.5f * x[i] * (1.0f + llm_erff(x[i] * 0x1.6a09e6p-1f));
}

static void
rope(float *x, const float *c, const float *s, int n)
{
	for (int i = 0; i < n / 2; i++) {
		float x0 = x[2 * i], x1 = x[2 * i + 1];
		x[2 * i] = fmaf(x0, c[i], -(x1 * s[i]));
		x[2 * i + 1] = fmaf(x0, s[i], x1 * c[i]);
	}
}

static void
vector_exp(float *y, const float *x, int n)
{
	for (int i = 0; i < n; i++)
		y[i] = llm_expf(x[i]);
}

static float
sumexp(const float *x, float m, int n)
{
	float a[16] = {0};
	for (int i = 0; i < n; i++)
		a[i % 16] += llm_expf(x[i] - m);
	return tree(a);
}

const struct llm_vector_kernels llm_vector_generic = {
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
