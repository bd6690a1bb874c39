/*
 * SPDX-License-Identifier: ISC
 *
 * The vector operations of generic/vector.c in AVX-512: a register is the sixteen lanes of a sum,
 * and a tail is a mask.
 */
#include "libcore/kernels/vector.h"

#include "libcore/kernels/x86/avx512/lanes.h"

#include <math.h>

static float
dot(const float *w, const float *x, int n)
{
	__m512 a = _mm512_setzero_ps();
	int i = 0;
	for (; i + 16 <= n; i += 16)
		a = _mm512_fmadd_ps(_mm512_loadu_ps(w + i), _mm512_loadu_ps(x + i), a);
	__mmask16 k = lanes_of(n - i);
	a = _mm512_mask3_fmadd_ps(
	    _mm512_maskz_loadu_ps(k, w + i), _mm512_maskz_loadu_ps(k, x + i), a, k);
	return lanes_tree(a);
}

static float
sum(const float *x, int n)
{
	__m512 a = _mm512_setzero_ps();
	int i = 0;
	for (; i + 16 <= n; i += 16)
		a = _mm512_add_ps(a, _mm512_loadu_ps(x + i));
	__mmask16 k = lanes_of(n - i);
	return lanes_tree(_mm512_mask_add_ps(a, k, a, _mm512_maskz_loadu_ps(k, x + i)));
}

static float
max(const float *x, int n)
{
	__m512 m = _mm512_set1_ps(-INFINITY);
	__mmask16 nan = 0;
	for (int i = 0; i < n; i += 16) {
		__mmask16 k = lanes_of(n - i);
		__m512 v = _mm512_maskz_loadu_ps(k, x + i);
		nan |= _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
		m = _mm512_mask_max_ps(m, k, v, m);
	}
	return nan ? NAN : _mm512_reduce_max_ps(m) + 0.0f;
}

static void
rmsnorm(float *y, const float *x, const float *g, int n, float eps)
{
	__m512 r = _mm512_set1_ps(1.0f / sqrtf(dot(x, x, n) / (float)n + eps));
	for (int i = 0; i < n; i += 16) {
		__mmask16 k = lanes_of(n - i);
		__m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(k, x + i), r);
		_mm512_mask_storeu_ps(
		    y + i, k, _mm512_mul_ps(v, _mm512_maskz_loadu_ps(k, g + i)));
	}
}

static void
layernorm(float *y, const float *x, const float *g, const float *b, int n, float eps)
{
	__m512 mean = _mm512_set1_ps(sum(x, n) / (float)n);
	for (int i = 0; i < n; i += 16) {
		__mmask16 k = lanes_of(n - i);
		__m512 v = _mm512_maskz_loadu_ps(k, x + i);
		_mm512_mask_storeu_ps(y + i, k, _mm512_sub_ps(v, mean));
	}
	__m512 r = _mm512_set1_ps(1.0f / sqrtf(dot(y, y, n) / (float)n + eps));
	for (int i = 0; i < n; i += 16) {
		__mmask16 k = lanes_of(n - i);
		__m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(k, y + i), r);
		v = _mm512_fmadd_ps(
		    v, _mm512_maskz_loadu_ps(k, g + i), _mm512_maskz_loadu_ps(k, b + i));
		_mm512_mask_storeu_ps(y + i, k, v);
	}
}

static void
add(float *x, const float *d, int n)
{
	for (int i = 0; i < n; i += 16) {
		__mmask16 k = lanes_of(n - i);
		__m512 v = _mm512_maskz_loadu_ps(k, x + i);
		_mm512_mask_storeu_ps(
		    x + i, k, _mm512_add_ps(v, _mm512_maskz_loadu_ps(k, d + i)));
	}
}

static void
scale(float *x, float s, int n)
{
	for (int i = 0; i < n; i += 16) {
		__mmask16 k = lanes_of(n - i);
		__m512 v = _mm512_maskz_loadu_ps(k, x + i);
		_mm512_mask_storeu_ps(x + i, k, _mm512_mul_ps(v, _mm512_set1_ps(s)));
	}
}

static void
swiglu(float *y, const float *g, const float *u, int n)
{
	const __m512 one = _mm512_set1_ps(1.0f), minus = _mm512_set1_ps(-0.0f);
	for (int i = 0; i < n; i += 16) {
		__mmask16 k = lanes_of(n - i);
		__m512 v = _mm512_maskz_loadu_ps(k, g + i);
		__m512 e = _mm512_add_ps(one, lanes_exp(_mm512_xor_ps(v, minus)));
		__m512 w = _mm512_maskz_loadu_ps(k, u + i);
		_mm512_mask_storeu_ps(y + i, k, _mm512_mul_ps(_mm512_div_ps(v, e), w));
	}
}

static void
gelu(float *y, const float *x, int n)
{
	const __m512 one = _mm512_set1_ps(1.0f);
	for (int i = 0; i < n; i += 16) {
		__mmask16 k = lanes_of(n - i);
		__m512 v = _mm512_maskz_loadu_ps(k, x + i);
		__m512 e = lanes_erf(_mm512_mul_ps(v, _mm512_set1_ps(0x1.6a09e6p-1f)));
		v = _mm512_mul_ps(
		    _mm512_mul_ps(_mm512_set1_ps(0.5f), v), _mm512_add_ps(one, e));
		_mm512_mask_storeu_ps(y + i, k, v);
	}
}

/* With cs = c0 s0 ... and sc = s0 c0 ...: x0 x0 ... times cs -+ x1 x1 ... times sc. */
static void
rope(float *x, const float *c, const float *s, int n)
{
	const __m512i pairs =
	    _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
	n = n / 2 * 2;
	for (int i = 0; i < n; i += 16) {
		__mmask16 k = lanes_of(n - i), half = lanes_of((n - i) / 2) & 0xff;
		__m512 v = _mm512_maskz_loadu_ps(k, x + i);
		__m512 cs = _mm512_permutex2var_ps(_mm512_maskz_loadu_ps(half, c + i / 2),
		    pairs, _mm512_maskz_loadu_ps(half, s + i / 2));
		__m512 sc = _mm512_permute_ps(cs, 0xb1);
		__m512 t = _mm512_mul_ps(_mm512_movehdup_ps(v), sc);
		v = _mm512_fmaddsub_ps(_mm512_moveldup_ps(v), cs, t);
		_mm512_mask_storeu_ps(x + i, k, v);
	}
}

static void
vector_exp(float *y, const float *x, int n)
{
	for (int i = 0; i < n; i += 16) {
		__mmask16 k = lanes_of(n - i);
		_mm512_mask_storeu_ps(y + i, k, lanes_exp(_mm512_maskz_loadu_ps(k, x + i)));
	}
}

static float
sumexp(const float *x, float m, int n)
{
	const __m512 top = _mm512_set1_ps(m);
	__m512 a = _mm512_setzero_ps();
	for (int i = 0; i < n; i += 16) {
		__mmask16 k = lanes_of(n - i);
		__m512 v = _mm512_sub_ps(_mm512_maskz_loadu_ps(k, x + i), top);
		a = _mm512_mask_add_ps(a, k, a, lanes_exp(v));
	}
	return lanes_tree(a);
}

const struct llm_vector_kernels llm_vector_avx512 = {
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
