/*
 * SPDX-License-Identifier: ISC
 *
 * Our exp, log, sin, cos and pow against libm's, within 2 ulp over wide sweeps; the f32 exp on a
 * sample of all floats, or with the argument "all" on each of them (minutes).
 */
#include "libcore/fmath.h"
#include "tests/tap.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { N_SWEEP = 300000 };

static uint64_t seed = 11;

static uint64_t
random_bits(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Uniform in [-1, 1). */
static double
uniform(void)
{
	return (double)(int64_t)random_bits() * 0x1p-63;
}

/* |y - t| in units of the last place of a number of t's size with so many bits. */
static double
ulps(double y, double t, int bits)
{
	int e, least = bits == 24 ? -125 : -1021;
	if (y == t || (isnan(y) && isnan(t)))
		return 0;
	frexp(t, &e);
	return fabs(y - t) / ldexp(1, (e > least ? e : least) - bits);
}

/* Worst error of llm_expf over every step-th float; infinite where a special value is wrong. */
static double
worst_expf(uint64_t step)
{
	double worst = 0;
	for (uint64_t u = 0; u <= UINT32_MAX; u += step) {
		uint32_t bits = (uint32_t)u;
		float x;
		memcpy(&x, &bits, sizeof x);
		float y = llm_expf(x);
		double e;
		if (isnan(x))
			e = isnan(y) ? 0 : INFINITY;
		else if (x < -87.33654f)
			e = y == 0 ? 0 : INFINITY;
		else if (x > 88.72283f)
			e = y == INFINITY ? 0 : INFINITY;
		else
			e = ulps((double)y, exp((double)x), 24);
		worst = e > worst ? e : worst;
	}
	return worst;
}

static void
test_expf(bool all)
{
	double worst = worst_expf(all ? 1 : 1009);
	tap_ok(worst <= 0.895, "the f32 exp is within 0.895 ulp on %s floats (%.4f)",
	    all ? "all" : "a sample of", worst);
	tap_ok(llm_expf(0.0f) == 1 && llm_expf(-0.0f) == 1 && llm_expf(-INFINITY) == 0 &&
		   llm_expf(INFINITY) == INFINITY && isnan(llm_expf(NAN)),
	    "the f32 exp of 0 is 1, of -infinity 0, of NaN NaN");
	tap_ok(llm_expf(-87.33654f) >= 0x1p-126f && llm_expf(-87.33655f) == 0 &&
		   isfinite(llm_expf(88.72283f)) && llm_expf(88.72284f) == INFINITY,
	    "the f32 exp ends in 0 and infinity where a normal float ends");
}

static void
test_exp_log(void)
{
	double exp_worst = 0, log_worst = 0;
	for (int i = 0; i < N_SWEEP; i++) {
		double x = uniform() * (i % 3 == 0 ? 1 : i % 3 == 1 ? 746 : 30);
		exp_worst = fmax(exp_worst, ulps(llm_exp(x), exp(x), 53));
		uint64_t bits = random_bits() >> 1; /* any positive double */
		double a = 1 + uniform() * (i % 4 == 1 ? 0.01 : 0.9);
		if (i % 2 == 0)
			memcpy(&a, &bits, sizeof a);
		if (isfinite(a))
			log_worst = fmax(log_worst, ulps(llm_log(a), log(a), 53));
	}
	tap_ok(exp_worst <= 2, "exp is within 2 ulp of libm's (%.3f)", exp_worst);
	tap_ok(log_worst <= 2, "log is within 2 ulp of libm's (%.3f)", log_worst);
	tap_ok(llm_exp(0) == 1 && llm_exp(-INFINITY) == 0 && llm_exp(INFINITY) == INFINITY &&
		   isnan(llm_exp(NAN)) && llm_exp(-746) == 0 && llm_exp(709.79) == INFINITY,
	    "exp has its special values");
	tap_ok(llm_log(1) == 0 && llm_log(0) == -INFINITY && llm_log(INFINITY) == INFINITY &&
		   isnan(llm_log(-1)) && isnan(llm_log(NAN)),
	    "log has its special values");
}

static void
test_sincos(void)
{
	double worst = 0;
	for (int i = 0; i < N_SWEEP; i++) {
		double s, c, x = uniform() * ldexp(1, (int)(random_bits() % 61) - 30);
		if (i % 4 == 0) /* next to a zero of either */
			x = rint(uniform() * 0x1p29) * 0x1.921fb54442d18p+0;
		if (i % 4 == 1) /* an angle of a far position, as a rope table has */
			x = (double)(random_bits() % 131072) * (uniform() + 1) / 2;
		llm_sincos(&s, &c, x);
		worst = fmax(worst, fmax(ulps(s, sin(x), 53), ulps(c, cos(x), 53)));
	}
	tap_ok(worst <= 2, "sin and cos are within 2 ulp of libm's up to 2^30 (%.3f)", worst);
	double s, c, t, d;
	llm_sincos(&s, &c, 0);
	llm_sincos(&t, &d, -0x1p30);
	tap_ok(s == 0 && c == 1 && isfinite(t) && isfinite(d), "sin 0 is 0 and cos 0 is 1");
	llm_sincos(&s, &c, 0x1.1p30);
	llm_sincos(&t, &d, NAN);
	tap_ok(isnan(s) && isnan(c) && isnan(t) && isnan(d),
	    "sin and cos of NaN, or of more than 2^30, are NaN");
}

static void
test_pow(void)
{
	double worst = 0;
	for (int i = 0; i < N_SWEEP; i++) {
		uint64_t bits = random_bits() >> 1;
		double a;
		memcpy(&a, &bits, sizeof a);
		if (i % 2 == 0)
			a = 1 + uniform() * (i % 4 == 0 ? 0.001 : 0.9);
		if (!isfinite(a) || a == 0 || a == 1)
			continue;
		double b = uniform() * 740 / fabs(log(a));
		worst = fmax(worst, ulps(llm_pow(a, b), pow(a, b), 53));
	}
	tap_ok(worst <= 2, "pow is within 2 ulp of libm's over its whole range (%.3f)", worst);
	tap_ok(llm_pow(10000, 0) == 1 && llm_pow(1, 1e300) == 1 &&
		   llm_pow(2, -1074) == 0x1p-1074 && llm_pow(2, 10) == 1024 &&
		   llm_pow(0, 2) == 0 && llm_pow(0, -2) == INFINITY &&
		   llm_pow(2, 1e300) == INFINITY && llm_pow(0.5, INFINITY) == 0 &&
		   llm_pow(INFINITY, -1) == 0 && isnan(llm_pow(-8, 2)) &&
		   isnan(llm_pow(2, NAN)),
	    "pow has its special values");
}

int
main(int argc, char **argv)
{
	test_expf(argc > 1 && strcmp(argv[1], "all") == 0);
	test_exp_log();
	test_sincos();
	test_pow();
	return tap_done();
}
