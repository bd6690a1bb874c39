/*
 * SPDX-License-Identifier: ISC
 *
 * exp, log, sin, cos and pow from IEEE's exact operations (+ - * / fma rint) alone: the same bits
 * on every machine and under every libm.  The f32 exp is what the kernels of every instruction set
 * repeat lane by lane; the double functions serve rope tables and sampling, and are short rather
 * than fast: series in a reduced argument, with pairs of doubles where one is too narrow.
 */
#include "libcore/fmath.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define LOG2_E 0x1.71547652b82fep+0
#define LN2_HI 0x1.62e42fefa3800p-1 /* 42 bits: k * LN2_HI is exact for every exponent k */
#define LN2_LO 0x1.ef35793c76730p-45

/* A number as the unevaluated sum of two doubles, |lo| <= ulp(hi) / 2: about 106 bits. */
struct pair {
	double hi, lo;
};

float
llm_expf(float x)
{
	if (x != x)
		return x;
	if (x < -87.33654f)
		return 0.0f;
	if (x > 88.72283f)
		return INFINITY;
	float n = rintf(x * 0x1.715476p+0f);
	float r = fmaf(n, -0.693359375f, x);
	r = fmaf(n, 2.12194440e-4f, r);
	float y = 1.9875691500e-4f;
	y = fmaf(y, r, 1.3981999507e-3f);
	y = fmaf(y, r, 8.3334519073e-3f);
	y = fmaf(y, r, 4.1665795894e-2f);
	y = fmaf(y, r, 1.6666665459e-1f);
	y = fmaf(y, r, 5.0000001201e-1f);
	y = fmaf(y, r, 1.0f);
	y = fmaf(y, r, 1.0f);
	/* n reaches 128, which is no float's exponent, but y < 1 there: add to the bits instead. */
	uint32_t bits;
	memcpy(&bits, &y, sizeof bits);
	bits += (uint32_t)(int32_t)n << 23;
	memcpy(&y, &bits, sizeof y);
	return y;
}

float
llm_erff(float x)
{
	float z = x > LLM_ERF_END ? LLM_ERF_END : x < -LLM_ERF_END ? -LLM_ERF_END : x;
	float u = fmaf(z * z, LLM_ERF_SCALE, -1.0f), y = 0;
#define TERM(c) y = fmaf(y, u, c);
	LLM_ERF_TERMS(TERM)
#undef TERM
	return y * z;
}

/* 2^n for a normal result. */
static double
power_of_two(int n)
{
	uint64_t bits = (uint64_t)(n + 1023) << 52;
	double y;
	memcpy(&y, &bits, sizeof y);
	return y;
}

/* x * 2^n, n in +-2200: by halves, so that neither factor leaves the range of a double. */
static double
scale(double x, int n)
{
	int half = n / 2;
	return x * power_of_two(half) * power_of_two(n - half);
}

/* e^(x + tail), |tail| much below ulp(x) times e^x's precision. */
static double
exp_tail(double x, double tail)
{
	if (x != x)
		return x;
	if (x < -746)
		return 0;
	if (x > 710)
		return INFINITY;
	double n = rint(x * LOG2_E);
	double r = fma(n, -LN2_HI, x);
	r = fma(n, -LN2_LO, r) + tail;
	/* |r| <= 0.347: the first term left out, r^14/14!, is 4e-18. */
	double y = 1;
	for (int k = 13; k >= 2; k--)
		y = fma(y, r / k, 1); /* 1 + r/2 (1 + r/3 (1 + ...)) */
	return scale(fma(y, r, 1), (int)n);
}

double
llm_exp(double x)
{
	return exp_tail(x, 0);
}

/* x = m * 2^k with m in [sqrt(1/2), sqrt(2)), for a positive finite x; returns m. */
static double
split_exponent(int *k, double x)
{
	int shift = 0;
	if (x < 0x1p-1022) {
		x *= 0x1p54;
		shift = 54;
	}
	uint64_t bits;
	memcpy(&bits, &x, sizeof bits);
	*k = (int)(bits >> 52) - 1023 - shift;
	bits = (bits & 0xfffffffffffffULL) | 0x3ff0000000000000ULL;
	memcpy(&x, &bits, sizeof x);
	if (x >= 0x1.6a09e667f3bcdp+0) {
		x *= 0.5;
		++*k;
	}
	return x;
}

/* log m = 2 atanh(s) = 2s + 2s^3/3 + ..., s = f / (2 + f), f = m - 1, |s| <= 0.1716. */
double
llm_log(double x)
{
	if (x != x || x == INFINITY)
		return x;
	if (x <= 0)
		return x == 0 ? -INFINITY : NAN;
	int k;
	double f = split_exponent(&k, x) - 1;
	double s = f / (2 + f), z = s * s, r = 0;
	for (int n = 23; n >= 3; n -= 2)
		r = fma(r, z, 2.0 / n);
	r *= z; /* log m = s * (2 + r), and 2s = f - s * f */
	return fma(k, LN2_HI, f - fma(s, f - r, -k * LN2_LO));
}

static struct pair
pair_sum(double a, double b)
{
	double s = a + b, t = s - a;
	return (struct pair){s, (a - (s - t)) + (b - t)};
}

static struct pair
pair_add(struct pair a, struct pair b)
{
	struct pair s = pair_sum(a.hi, b.hi);
	return pair_sum(s.hi, s.lo + (a.lo + b.lo));
}

static struct pair
pair_mul(struct pair a, struct pair b)
{
	double p = a.hi * b.hi;
	double e = fma(a.hi, b.hi, -p);
	e = fma(a.hi, b.lo, fma(a.lo, b.hi, e));
	return pair_sum(p, e);
}

static struct pair
pair_div(struct pair a, struct pair b)
{
	double q = a.hi / b.hi;
	double r = fma(-q, b.hi, a.hi) + fma(-q, b.lo, a.lo);
	return pair_sum(q, r / b.hi);
}

/* log of a positive finite x to about 100 bits, by the series of llm_log in pairs. */
static struct pair
log_pair(double x)
{
	int k;
	double m = split_exponent(&k, x);
	struct pair s = pair_div((struct pair){m - 1, 0}, pair_sum(m, 1));
	struct pair z = pair_mul(s, s), r = {0, 0};
	for (int n = 41; n >= 1; n -= 2) {
		struct pair c = pair_div((struct pair){2, 0}, (struct pair){n, 0});
		r = pair_add(pair_mul(r, z), c);
	}
	struct pair ln2 = {0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56};
	return pair_add(pair_mul(ln2, (struct pair){k, 0}), pair_mul(s, r));
}

double
llm_pow(double a, double b)
{
	if (b == 0 || a == 1)
		return 1;
	if (a != a || b != b || a < 0)
		return NAN;
	if (a == 0 || a == INFINITY)
		return (a == 0) == (b > 0) ? 0 : INFINITY;
	if (b == INFINITY || b == -INFINITY)
		return (a > 1) == (b > 0) ? INFINITY : 0;
	struct pair l = log_pair(a);
	double p = l.hi * b;
	if (!(p > -800 &&
		p < 800)) /* far over or under; the lower half may not be finite there */
		return p > 0 ? INFINITY : 0;
	return exp_tail(p, fma(l.hi, b, -p) + l.lo * b);
}

/* sin(x + tail) for |x| <= pi/4; the first term left out, x^19/19!, is 8e-20. */
static double
sin_kernel(double x, double tail)
{
	static const double c[] = {1 / 355687428096000.0, -1 / 1307674368000.0,
	    1 / 6227020800.0, -1 / 39916800.0, 1 / 362880.0, -1 / 5040.0, 1 / 120.0, -1 / 6.0};
	double z = x * x, y = 0;
	for (int k = 0; k < 8; k++)
		y = fma(y, z, c[k]);
	return x + fma(y, z * x, fma(-0.5 * z, tail, tail));
}

/* cos(x + tail) for |x| <= pi/4; the first term left out, x^18/18!, is 2e-18. */
static double
cos_kernel(double x, double tail)
{
	static const double c[] = {1 / 20922789888000.0, -1 / 87178291200.0, 1 / 479001600.0,
	    -1 / 3628800.0, 1 / 40320.0, -1 / 720.0, 1 / 24.0};
	double z = x * x, y = 0;
	for (int k = 0; k < 7; k++)
		y = fma(y, z, c[k]);
	double half = 0.5 * z, w = 1 - half;
	return w + (((1 - w) - half) + fma(y, z * z, -x * tail));
}

/*
 * Reduction: pi/2 in three doubles.  The first product cancels exactly (n < 2^30, so x - n * hi
 * is a multiple of 2^-53 below 1, or x itself); what is left of n * pi/2 is kept as a pair.
 */
void
llm_sincos(double *s, double *c, double x)
{
	if (!(x >= -0x1p30 && x <= 0x1p30)) {
		*s = *c = NAN;
		return;
	}
	double n = rint(x * 0x1.45f306dc9c883p-1);
	double r = fma(-n, 0x1.921fb54442d18p+0, x);
	double mid = n * 0x1.1a62633145c07p-54;
	double rest = fma(n, 0x1.1a62633145c07p-54, -mid);
	rest = fma(n, -0x1.f1976b7ed8fbcp-110, rest);
	struct pair t = pair_sum(r, -mid);
	t = pair_sum(t.hi, t.lo - rest);
	double sine = sin_kernel(t.hi, t.lo), cosine = cos_kernel(t.hi, t.lo);
	int64_t quadrant = (int64_t)n & 3;
	*s = quadrant & 1 ? cosine : sine;
	*c = quadrant & 1 ? sine : cosine;
	if (quadrant & 2)
		*s = -*s;
	if (quadrant == 1 || quadrant == 2)
		*c = -*c;
}
