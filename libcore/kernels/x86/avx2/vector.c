/*
 * SPDX-License-Identifier: ISC
 *
 * The vector operations of generic/vector.c in AVX2: two registers are the sixteen lanes of a sum,
 * and a tail is a masked load whose absent lanes leave their sums untouched.
 */
#include "libcore/kernels/vector.h"

#include "libcore/kernels/x86/avx2/lanes.h"

#include <math.h>

static inline __m256
choose(__m256 no, __m256 yes, __m256i k)
{
	return _mm256_blendv_ps(no, yes, _mm256_castsi256_ps(k));
}

static float
dot(const float *w, const float *x, int n)
{
	__m256 a[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
	int i = 0;
	for (; i + 16 <= n; i += 16) {
		a[0] = _mm256_fmadd_ps(_mm256_loadu_ps(w + i), _mm256_loadu_ps(x + i), a[0]);
		a[1] = _mm256_fmadd_ps(
		    _mm256_loadu_ps(w + i + 8), _mm256_loadu_ps(x + i + 8), a[1]);
	}
	for (int h = 0; i < n; i += 8, h++) {
		__m256i k = lanes_of(n - i);
		__m256 y =
		    _mm256_fmadd_ps(load_some(w + i, n - i), load_some(x + i, n - i), a[h]);
		a[h] = choose(a[h], y, k);
	}
	return lanes_tree(a[0], a[1]);
}

static float
sum(const float *x, int n)
{
	__m256 a[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
	int i = 0;
	for (; i + 16 <= n; i += 16) {
		a[0] = _mm256_add_ps(a[0], _mm256_loadu_ps(x + i));
		a[1] = _mm256_add_ps(a[1], _mm256_loadu_ps(x + i + 8));
	}
	for (int h = 0; i < n; i += 8, h++) {
		__m256i k = lanes_of(n - i);
		a[h] = choose(a[h], _mm256_add_ps(a[h], load_some(x + i, n - i)), k);
	}
	return lanes_tree(a[0], a[1]);
}

static float
max(const float *x, int n)
{
	__m256 m = _mm256_set1_ps(-INFINITY), nan = _mm256_setzero_ps();
	for (int i = 0; i < n; i += 8) {
		__m256i k = lanes_of(n - i);
		__m256 v = load_some(x + i, n - i);
		nan = _mm256_or_ps(nan, _mm256_cmp_ps(v, v, _CMP_UNORD_Q));
		m = choose(m, _mm256_max_ps(v, m), k);
	}
	return _mm256_movemask_ps(nan) ? NAN : lanes_max(m) + 0.0f;
}

static void
rmsnorm(float *y, const float *x, const float *g, int n, float eps)
{
	__m256 r = _mm256_set1_ps(1.0f / sqrtf(dot(x, x, n) / (float)n + eps));
	for (int i = 0; i < n; i += 8) {
		__m256 v = _mm256_mul_ps(load_some(x + i, n - i), r);
		store_some(y + i, n - i, _mm256_mul_ps(v, load_some(g + i, n - i)));
	}
}

static void
layernorm(float *y, const float *x, const float *g, const float *b, int n, float eps)
{
	__m256 mean = _mm256_set1_ps(sum(x, n) / (float)n);
	for (int i = 0; i < n; i += 8)
		store_some(y + i, n - i, _mm256_sub_ps(load_some(x + i, n - i), mean));
	__m256 r = _mm256_set1_ps(1.0f / sqrtf(dot(y, y, n) / (float)n + eps));
	for (int i = 0; i < n; i += 8) {
		__m256 v = _mm256_mul_ps(load_some(y + i, n - i), r);
		v = _mm256_fmadd_ps(v, load_some(g + i, n - i), load_some(b + i, n - i));
		store_some(y + i, n - i, v);
	}
}

static void
add(float *x, const float *d, int n)
{
	for (int i = 0; i < n; i += 8) {
		store_some(x + i, n - i,
		    _mm256_add_ps(load_some(x + i, n - i), load_some(d + i, n - i)));
	}
}

static void
scale(float *x, float s, int n)
{
	for (int i = 0; i < n; i += 8) {
		store_some(
		    x + i, n - i, _mm256_mul_ps(load_some(x + i, n - i), _mm256_set1_ps(s)));
	}
}

static void
swiglu(float *y, const float *g, const float *u, int n)
{
	const __m256 one = _mm256_set1_ps(1.0f), minus = _mm256_set1_ps(-0.0f);
	for (int i = 0; i < n; i += 8) {
		__m256 v = load_some(g + i, n - i);
		__m256 e = _mm256_add_ps(one, lanes_exp(_mm256_xor_ps(v, minus)));
		store_some(
		    y + i, n - i, _mm256_mul_ps(_mm256_div_ps(v, e), load_some(u + i, n - i)));
	}
}

static void
gelu(float *y, const float *x, int n)
{
	const __m256 one = _mm256_set1_ps(1.0f);
	for (int i = 0; i < n; i += 8) {
		__m256 v = load_some(x + i, n - i);
		__m256 e = lanes_erf(_mm256_mul_ps(v, _mm256_set1_ps(0x1.6a09e6p-1f)));
		v = _mm256_mul_ps(
		    _mm256_mul_ps(_mm256_set1_ps(0.5f), v), _mm256_add_ps(one, e));
		store_some(y + i, n - i, v);
	}
}

/* With cs = c0 s0 ... and sc = s0 c0 ...: x0 x0 ... times cs -+ x1 x1 ... times sc. */
static void
rope(float *x, const float *c, const float *s, int n)
{
	n = n / 2 * 2;
	for (int i = 0; i < n; i += 8) {
		__m128i half = _mm256_castsi256_si128(lanes_of((n - i) / 2));
		__m128 c4 = _mm_maskload_ps(c + i / 2, half);
		__m128 s4 = _mm_maskload_ps(s + i / 2, half);
		__m256 cs = _mm256_set_m128(_mm_unpackhi_ps(c4, s4), _mm_unpacklo_ps(c4, s4));
		__m256 sc = _mm256_permute_ps(cs, 0xb1);
		__m256 v = load_some(x + i, n - i);
		__m256 t = _mm256_mul_ps(_mm256_movehdup_ps(v), sc);
		store_some(x + i, n - i, _mm256_fmaddsub_ps(_mm256_moveldup_ps(v), cs, t));
	}
}

static void
vector_exp(float *y, const float *x, int n)
{
	for (int i = 0; i < n; i += 8) {
		store_some(y + i, n - i, lanes_exp(load_some(x + i, n - i)));
	}
}

static float
sumexp(const float *x, float m, int n)
{
	const __m256 top = _mm256_set1_ps(m);
	__m256 a[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
	for (int i = 0; i < n; i += 16) {
		for (int h = 0; h < 2; h++) {
			__m256i k = lanes_of(n - i - h * 8);
			__m256 e = lanes_exp(
			    _mm256_sub_ps(load_some(x + i + h * 8, n - i - h * 8), top));
			a[h] = choose(a[h], _mm256_add_ps(a[h], e), k);
		}
	}
	return lanes_tree(a[0], a[1]);
}

const struct llm_vector_kernels llm_vector_avx2 = {
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
