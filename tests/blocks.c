/*
 * SPDX-License-Identifier: ISC
 *
 * Random blocks of every type, and the slow, element by element reading of them.  Written from the
 * formats' and the contract's text alone: it shares no line with what it checks.
 */
#include "tests/blocks.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

uint64_t
test_random(uint64_t *state)
{
	uint64_t x = *state;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return x * 0x2545f4914f6cdd1du;
}

float
test_uniform(uint64_t *state)
{
	return (float)(int32_t)(test_random(state) >> 32) * 0x1p-31f;
}

/* Where the halves of a block stand; -1: no second. */
struct halves {
	int d, m;
};

static struct halves
halves_of(enum llm_dtype type)
{
	switch (type) {
	case LLM_DTYPE_Q4_1:
	case LLM_DTYPE_Q5_1:
	case LLM_DTYPE_Q4_K:
	case LLM_DTYPE_Q5_K:
		return (struct halves){0, 2};
	case LLM_DTYPE_Q2_K:
		return (struct halves){80, 82};
	case LLM_DTYPE_Q3_K:
		return (struct halves){108, -1};
	case LLM_DTYPE_Q6_K:
		return (struct halves){208, -1};
	default:
		return (struct halves){0, -1};
	}
}

static uint16_t
random_half(enum test_data data, uint64_t *state)
{
	static const uint16_t extreme[] = {0x0000, 0x8000, 0x0001, 0x8001, 0x03ff, 0x83ff,
	    0x0400, 0x7bff, 0xfbff, 0x3c00, 0xbc00};
	uint64_t r = test_random(state);
	if (data == TEST_EXTREME && r % 4 != 0)
		return extreme[(r >> 8) % (sizeof extreme / sizeof extreme[0])];
	/* About 2^-9 to 2^-5, either sign. */
	return (uint16_t)((r >> 8 & 0x83ff) | (6 + (r >> 32) % 4) << 10);
}

static void
random_floats(void *w, enum llm_dtype type, size_t n, enum test_data data, uint64_t *state)
{
	for (size_t i = 0; i < n; i++) {
		float f = test_uniform(state);
		if (data == TEST_EXTREME)
			f = ldexpf(f, (int)(test_random(state) % 60) - 40);
		uint16_t h = type == LLM_DTYPE_F16 ? llm_f32_to_f16(f) : 0;
		if (type == LLM_DTYPE_F32)
			memcpy((float *)w + i, &f, 4);
		else if (type == LLM_DTYPE_BF16)
			memcpy((uint16_t *)w + i, (char *)&f + 2, 2);
		else
			memcpy((uint16_t *)w + i, &h, 2);
	}
}

void
test_weights(void *w, enum llm_dtype type, size_t n, enum test_data data, uint64_t *state)
{
	const struct llm_dtype_info *info = llm_dtype_info(type);
	struct halves at = halves_of(type);
	if (info->block == 1) {
		random_floats(w, type, n, data, state);
		return;
	}
	unsigned char *p = w;
	for (size_t b = 0; b < n / (size_t)info->block; b++, p += info->block_bytes) {
		uint64_t kind = data == TEST_EXTREME ? test_random(state) % 5 : 4;
		for (int i = 0; i < info->block_bytes; i++) {
			unsigned char any = (unsigned char)(test_random(state) >> 56);
			const unsigned char all[] = {0xff, 0x00, 0x80, 0x7f, any};
			p[i] = all[kind];
		}
		uint16_t d = random_half(data, state), m = random_half(data, state);
		memcpy(p + at.d, &d, 2);
		if (at.m >= 0)
			memcpy(p + at.m, &m, 2);
	}
}

void
test_activations(float *x, int n, enum test_data data, uint64_t *state)
{
	uint64_t kind = 0;
	for (int i = 0; i < n; i++) {
		x[i] = test_uniform(state);
		if (data != TEST_EXTREME)
			continue;
		if (i % 32 == 0)
			kind = test_random(state) % 8;
		if (kind == 0)
			x[i] = copysignf(3, x[i]);
		else if (kind == 1)
			x[i] = 0x1p-20f;
		else if (kind == 2)
			x[i] *= 0x1p-110f;
		else if (kind == 3)
			x[i] *= 0x1p-140f;
		else if (kind == 4)
			x[i] *= 1e4f;
		else if (kind == 5)
			x[i] = -7;
	}
}

static float
half(const unsigned char *p)
{
	int h = p[0] + 256 * p[1], exponent = h >> 10 & 31, fraction = h & 1023;
	double v = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
	return (float)(h >= 32768 ? -v : v);
}

/* n bits of the byte string p, counted from bit `at`. */
static int
bits(const unsigned char *p, int at, int n)
{
	int v = 0;
	for (int i = 0; i < n; i++, at++)
		v += (p[at / 8] / (1 << at % 8) % 2) << i;
	return v;
}

/* Scale (which 0) or minimum (which 1) j of the twelve bytes of Q4_K and Q5_K. */
static int
six_bits(const unsigned char *s, int j, int which)
{
	if (j < 4)
		return bits(s, 8 * (j + 4 * which), 6);
	return bits(s, 8 * (j + 4) + 4 * which, 4) +
	       16 * bits(s, 8 * (j - 4 + 4 * which) + 6, 2);
}

static void
element32(struct test_element *e, enum llm_dtype type, const unsigned char *p, int k)
{
	int nibble = k % 16 * 8 + k / 16 * 4; /* bit of the nibble within qs */
	switch (type) {
	case LLM_DTYPE_Q4_0:
		e->q = bits(p + 2, nibble, 4) - 8;
		return;
	case LLM_DTYPE_Q4_1:
		e->q = bits(p + 4, nibble, 4);
		return;
	case LLM_DTYPE_Q5_0:
		e->q = bits(p + 6, nibble, 4) + 16 * bits(p + 2, k, 1) - 16;
		return;
	case LLM_DTYPE_Q5_1:
		e->q = bits(p + 8, nibble, 4) + 16 * bits(p + 4, k, 1);
		return;
	default: /* Q8_0 */
		e->q = p[2 + k] < 128 ? p[2 + k] : p[2 + k] - 256;
	}
}

static void
element256(struct test_element *e, enum llm_dtype type, const unsigned char *p, int k)
{
	int half128 = k / 128, i = k % 32, s = k / 32 % 4;
	int pair = (half128 * 32 + i) * 8 + 2 * s;           /* a two-bit field */
	int nibble = (k / 64 * 32 + i) * 8 + k / 32 % 2 * 4; /* of Q4_K, Q5_K */
	int nibble6 = (half128 * 64 + k % 64) * 8 + k / 64 % 2 * 4;
	switch (type) {
	case LLM_DTYPE_Q2_K:
		e->q = bits(p + 16, pair, 2);
		e->sc = bits(p, k / 16 * 8, 4);
		e->min = bits(p, k / 16 * 8 + 4, 4);
		return;
	case LLM_DTYPE_Q3_K:
		e->q = bits(p + 32, pair, 2) + 4 * bits(p, i * 8 + k / 32, 1) - 4;
		e->sc = bits(p + 96, k / 16 % 8 * 8 + k / 128 * 4, 4) +
			16 * bits(p + 104, k / 16 % 4 * 8 + k / 64 * 2, 2) - 32;
		return;
	case LLM_DTYPE_Q4_K:
	case LLM_DTYPE_Q5_K:
		e->q = bits(p + (type == LLM_DTYPE_Q4_K ? 16 : 48), nibble, 4);
		if (type == LLM_DTYPE_Q5_K)
			e->q += 16 * bits(p + 16, i * 8 + k / 32, 1);
		e->sc = six_bits(p + 4, k / 32, 0);
		e->min = six_bits(p + 4, k / 32, 1);
		return;
	default: /* Q6_K */
		e->q = bits(p, nibble6, 4) + 16 * bits(p + 128, pair, 2) - 32;
		e->sc = (signed char)p[192 + k / 16];
	}
}

struct test_element
test_element(enum llm_dtype type, const void *row, int k)
{
	const struct llm_dtype_info *info = llm_dtype_info(type);
	const unsigned char *p =
	    (const unsigned char *)row + (size_t)(k / info->block) * (size_t)info->block_bytes;
	struct halves at = halves_of(type);
	struct test_element e = {.sc = 1, .d = half(p + at.d)};
	if (at.m >= 0)
		e.m = half(p + at.m);
	if (info->block == 32)
		element32(&e, type, p, k % 32);
	else
		element256(&e, type, p, k % 256);
	return e;
}

/* The int8 of x[0..n) and their scale. */
static float
quantize(int *q, const float *x, int n)
{
	float most = 0;
	for (int i = 0; i < n; i++)
		most = fmaxf(most, fabsf(x[i]));
	bool small = most < ldexpf(1, -100);
	for (int i = 0; i < n; i++) {
		/* Through long and back: to nearest even, and never past 127. */
		long r = small ? 0 : lrintf(x[i] * (127.0f / most));
		q[i] = (int)(r > 127 ? 127 : r < -127 ? -127 : r);
	}
	return small ? 0 : most / 127.0f;
}

void
test_rounded(double *y, const float *x, int n_col, int block)
{
	int q[256];
	for (int k = 0; k < n_col; k++) {
		float d = quantize(q, x + k / block * block, block);
		y[k] = (double)d * q[k % block];
	}
}

float
test_dot(enum llm_dtype type, const void *row, const float *x, int n_col)
{
	bool added = type == LLM_DTYPE_Q4_1 || type == LLM_DTYPE_Q5_1;
	int block = llm_dtype_info(type)->block, q[256];
	float acc = 0;
	for (int k0 = 0; k0 < n_col; k0 += block) {
		float d = quantize(q, x + k0, block);
		long isum = 0, msum = 0;
		struct test_element e = {0};
		for (int k = 0; k < block; k++) {
			e = test_element(type, row, k0 + k);
			isum += (long)e.sc * e.q * q[k];
			msum += added ? q[k] : (long)e.min * q[k];
		}
		if (block == 32) {
			float scale = e.d * d, sx = d * (float)msum;
			acc = fmaf(scale, (float)isum, acc);
			acc = added ? fmaf(e.m, sx, acc) : acc;
		} else {
			float z = e.d * (float)isum;
			if (halves_of(type).m >= 0)
				z = fmaf(-e.m, (float)msum, z);
			acc = fmaf(d, z, acc);
		}
	}
	return acc;
}

float
test_dot_lanes(const float *values, const float *x, int n_col)
{
	float lane[16];
	for (int j = 0; j < 16; j++) {
		lane[j] = 0;
		for (int k = j; k < n_col; k += 16)
			lane[j] = fmaf(values[k], x[k], lane[j]);
	}
	float eight[8], four[4];
	for (int j = 0; j < 8; j++)
		eight[j] = lane[j] + lane[j + 8];
	for (int j = 0; j < 4; j++)
		four[j] = eight[j] + eight[j + 4];
	float a = four[0] + four[2], b = four[1] + four[3];
	return a + b;
}
