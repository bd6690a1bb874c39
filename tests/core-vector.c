/*
 * SPDX-License-Identifier: ISC
 *
 * Vector operations: the plain C against doubles, and every instruction set of this processor
 * against the plain C, bit for bit, at every length from none, unaligned, on awkward values too.
 */
#include "libcore/fmath.h"
#include "libcore/kernels/kernels.h"
#include "tests/tap.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { N = 1600, GUARD = 16 };

enum kind { PLAIN, WIDE, TINY, NOT_FINITE, NEGATIVE, N_KIND };

static uint64_t seed = 7;

static uint32_t
random_bits(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32);
}

static float
value(enum kind kind)
{
	float x = (float)(int32_t)random_bits() * 0x1p-30f;
	uint32_t bits = random_bits();
	if (kind == NEGATIVE) /* at most -0; products that round to it, and a sum that is -0 */
		return bits % 3 == 0 ? -0.0f : -1e-30f;
	if (kind == PLAIN || (kind == NOT_FINITE && bits % 40 != 0))
		return x;
	if (kind == TINY) /* denormal sums, and products that round to either zero */
		bits = (bits & 0x80ffffff) | (bits % 3 == 0 ? 0x1f000000 : 0);
	else if (kind == NOT_FINITE)
		bits = bits & 0x80000000   ? 0xff800000
		       : bits & 0x40000000 ? 0x7f800000
					   : 0x7fc00000;
	else if ((bits & 0x7f800000) == 0x7f800000)
		bits &= 0xbfffffff;
	memcpy(&x, &bits, sizeof x);
	return x;
}

static void
fill(float *x, int n, enum kind kind)
{
	for (int i = 0; i < n; i++)
		x[i] = value(kind);
}

static bool
same(const float *x, const float *y, int n)
{
	for (int i = 0; i < n; i++) {
		if (memcmp(x + i, y + i, sizeof *x) != 0 && !(isnan(x[i]) && isnan(y[i]))) {
			printf("# at %d of %d: %a and %a\n", i, n, (double)x[i], (double)y[i]);
			return false;
		}
	}
	return true;
}

/* Inputs of one comparison, and what the two sets made of them. */
static float in1[N + GUARD], in2[N + GUARD], in3[N + GUARD], want[N + GUARD], got[N + GUARD];

enum op {
	DOT,
	SUM,
	MAX,
	RMSNORM,
	LAYERNORM,
	ADD,
	SCALE,
	SWIGLU,
	GELU,
	ROPE,
	EXP,
	SUMEXP,
	N_OP
};

static void
apply(float *y, const struct llm_vector_kernels *v, enum op op, int n)
{
	memcpy(y, in3, sizeof in3);
	switch (op) {
	case DOT:
		y[0] = v->dot(in1 + 1, in2 + 1, n);
		break;
	case SUM:
		y[0] = v->sum(in1 + 1, n);
		break;
	case MAX:
		y[0] = v->max(in1 + 1, n);
		break;
	case RMSNORM:
		v->rmsnorm(y + 1, in1 + 1, in2 + 1, n, 1e-5f);
		break;
	case LAYERNORM:
		v->layernorm(y + 1, in1 + 1, in2 + 1, in2 + 3, n, 1e-5f);
		break;
	case ADD:
		v->add(y + 1, in1 + 1, n);
		break;
	case SCALE:
		v->scale(y + 1, in1[0], n);
		break;
	case SWIGLU:
		v->swiglu(y + 1, in1 + 1, in2 + 1, n);
		break;
	case GELU:
		v->gelu(y + 1, in1 + 1, n);
		break;
	case ROPE:
		v->rope(y + 1, in1 + 1, in2 + 1, n / 2 * 2);
		break;
	case EXP:
		v->exp(y + 1, in1 + 1, n);
		break;
	default:
		y[0] = v->sumexp(in1 + 1, in2[0], n);
	}
}

/* Compares to the end of the arrays: nothing past n may have been written. */
static bool
equal(const struct llm_vector_kernels *v, enum op op)
{
	for (int n = 0; n <= N; n = n < 200 ? n + 1 : n + 173) {
		for (int kind = 0; kind < N_KIND; kind++) {
			fill(in1, N + GUARD, (enum kind)kind);
			fill(in2, N + GUARD, (enum kind)kind);
			fill(in3, N + GUARD, (enum kind)kind);
			if (kind == WIDE && op == SUMEXP)
				in2[0] = 3e38f;
			for (int i = 0; kind == NEGATIVE && i < N + GUARD; i++)
				in2[i] = -in2[i];
			apply(want, &llm_vector_generic, op, n);
			apply(got, v, op, n);
			if (!same(want, got, N + GUARD)) {
				printf("# n %d, values of kind %d\n", n, kind);
				return false;
			}
		}
	}
	return true;
}

/* An operation whose result may take the place of its input. */
static bool
in_place(const struct llm_vector_kernels *v)
{
	bool good = true;
	for (int n = 1; n < 100 && good; n++) {
		fill(in1, N, PLAIN);
		fill(in2, N, PLAIN);
		llm_vector_generic.rmsnorm(want, in1, in2, n, 1e-6f);
		memcpy(got, in1, sizeof got);
		v->rmsnorm(got, got, in2, n, 1e-6f);
		good = same(want, got, n);
		llm_vector_generic.swiglu(want, in1, in2, n);
		memcpy(got, in1, sizeof got);
		v->swiglu(got, got, in2, n);
		good = good && same(want, got, n);
		llm_vector_generic.layernorm(want, in1, in2, in3, n, 1e-6f);
		memcpy(got, in1, sizeof got);
		v->layernorm(got, got, in2, in3, n, 1e-6f);
		good = good && same(want, got, n);
		llm_vector_generic.gelu(want, in1, n);
		memcpy(got, in1, sizeof got);
		v->gelu(got, got, n);
		good = good && same(want, got, n);
		llm_vector_generic.exp(want, in1, n);
		memcpy(got, in1, sizeof got);
		v->exp(got, got, n);
		good = good && same(want, got, n);
	}
	return good;
}

static double
relative(double got_value, double true_value)
{
	return fabs(got_value - true_value) / fabs(true_value);
}

static void
test_sums(void)
{
	const struct llm_vector_kernels *v = &llm_vector_generic;
	double dot = 0, sum = 0, absolute = 0, squares = 0, exps = 0;
	float max = -INFINITY;
	fill(in1, N, PLAIN);
	fill(in2, N, PLAIN);
	for (int i = 0; i < N; i++) {
		dot += (double)in1[i] * (double)in2[i];
		absolute += fabs((double)in1[i] * (double)in2[i]);
		squares += (double)in1[i] * (double)in1[i];
		sum += (double)in1[i];
		exps += exp((double)in1[i] - 1.5);
		max = in1[i] > max ? in1[i] : max;
	}
	double e = fabs((double)v->dot(in1, in2, N) - dot) / absolute;
	tap_ok(e < 2e-7, "a dot product is within 2e-7 of doubles (%.1e)", e);
	e = fabs((double)v->sum(in1, N) - sum) / absolute;
	tap_ok(e < 2e-7, "a sum is within 2e-7 of doubles (%.1e)", e);
	e = relative((double)v->sumexp(in1, 1.5f, N), exps);
	tap_ok(e < 4e-7, "a sum of exponentials is within 4e-7 of doubles (%.1e)", e);
	tap_ok(v->max(in1, N) == max && v->max(in1, 0) == -INFINITY,
	    "the largest is found, and is -infinity among none");
	v->rmsnorm(want, in1, in2, N, 1e-5f);
	double worst = 0, r = sqrt(squares / N + (double)1e-5f);
	for (int i = 0; i < N; i++) {
		double y = (double)in1[i] * (double)in2[i] / r;
		worst = fmax(worst, relative((double)want[i], y));
	}
	tap_ok(worst < 4e-7, "an RMS norm is within 4e-7 of doubles (%.1e)", worst);
	double variance = squares / N - sum / N * (sum / N);
	v->layernorm(want, in1, in2, in3, N, 1e-5f);
	worst = 0;
	r = sqrt(variance + (double)1e-5f);
	for (int i = 0; i < N; i++) {
		double y = ((double)in1[i] - sum / N) / r * (double)in2[i] + (double)in3[i];
		worst = fmax(worst, fabs((double)want[i] - y) / (1 + fabs((double)in3[i])));
	}
	tap_ok(worst < 2e-6, "a layer norm is within 2e-6 of doubles (%.1e)", worst);
}

static void
test_lanes(void)
{
	/* 1 in lane 0 and two halves of an ulp elsewhere: which sums meet 1 tells the order. */
	float x[32] = {
	    [0] = 1, [8] = 0x1p-24f, [24] = 0x1p-24f, [4] = 0x1p-24f, [20] = 0x1p-24f};
	const struct llm_vector_kernels *v = &llm_vector_generic;
	tap_ok(v->sum(x, 32) == 1 + 0x1p-22f, "sixteen lanes by index, then one tree");
	float y[16] = {[0] = 1, [8] = 0x1p-24f, [4] = 0x1p-24f};
	tap_ok(v->sum(y, 16) == 1, "the tree takes a lane and the eighth after it first");
}

static void
test_elements(void)
{
	const struct llm_vector_kernels *v = &llm_vector_generic;
	double worst = 0;
	fill(in1, N, PLAIN);
	fill(in2, N, PLAIN);
	v->swiglu(want, in1, in2, N);
	for (int i = 0; i < N; i++) {
		double g = (double)in1[i], y = g / (1 + exp(-g)) * (double)in2[i];
		worst = fmax(worst, relative((double)want[i], y));
	}
	tap_ok(worst < 4e-7, "SwiGLU is within 4e-7 of doubles (%.1e)", worst);
	worst = 0;
	for (int i = 0; i < N; i++)
		in1[i] = 6.0f * in1[i];
	v->gelu(want, in1, N);
	for (int i = 0; i < N; i++) {
		double x = (double)in1[i], y = 0.5 * x * (1 + erf(x * sqrt(0.5)));
		worst = fmax(worst, fabs((double)want[i] - y) / fmax(1, fabs(x)));
	}
	tap_ok(
	    worst < 3e-7, "GELU is within 3e-7 of doubles, or of its argument (%.1e)", worst);
	memcpy(want, in3, sizeof want);
	for (int i = 0; i < 32; i++) {
		double s, c;
		llm_sincos(&s, &c, 0.1 * i);
		in1[i] = (float)c;
		in2[i] = (float)s;
	}
	fill(in3, 64, PLAIN);
	memcpy(want, in3, sizeof want);
	v->rope(want, in1, in2, 64);
	worst = 0;
	for (int i = 0; i < 32; i++) {
		double c = cos(0.1 * i), s = sin(0.1 * i);
		double x = (double)in3[2 * i], y = (double)in3[2 * i + 1];
		worst = fmax(worst, fabs((double)want[2 * i] - (x * c - y * s)));
		worst = fmax(worst, fabs((double)want[2 * i + 1] - (x * s + y * c)));
	}
	tap_ok(worst < 4e-7, "adjacent pairs turn by their angle within 4e-7 (%.1e)", worst);
}

int
main(void)
{
	static const char *const names[N_OP] = {"dot", "sum", "max", "rmsnorm", "layernorm",
	    "add", "scale", "swiglu", "gelu", "rope", "exp", "sumexp"};
	test_sums();
	test_lanes();
	test_elements();
	const struct llm_kernels *k;
	for (int i = 1; (k = llm_kernels_at(i)) != NULL; i++) {
		for (int op = 0; op < N_OP; op++)
			tap_ok(equal(k->vector, (enum op)op),
			    "%s of %s has the bits of plain C at any length and value",
			    names[op], k->name);
		tap_ok(in_place(k->vector), "%s works in place", k->name);
	}
	if (llm_kernels_at(1) == NULL)
		tap_skip("every instruction set equals plain C", "plain C is all there is");
	return tap_done();
}
