/*
 * SPDX-License-Identifier: ISC
 *
 * Element types: halves exhaustively, and every weight type against a reader of single elements that
 * works in exact double arithmetic and rounds once.
 */
#include "libcore/dtype.h"
#include "tests/mkmodel_file.h"
#include "tests/tap.h"

#include <math.h>
#include <stdlib.h>

static uint32_t
bits_of(float x)
{
	uint32_t b;
	memcpy(&b, &x, sizeof b);
	return b;
}

static float
float_of(uint32_t b)
{
	float x;
	memcpy(&x, &b, sizeof x);
	return x;
}

/* A half's value by its definition. */
static double
half_value(unsigned h)
{
	int e = (int)(h >> 10 & 31), m = (int)(h & 1023);
	double v = e == 0    ? ldexp(m, -24)
		   : e == 31 ? (m == 0 ? INFINITY : NAN)
			     : ldexp(1024 + m, e - 25);
	return h & 0x8000 ? -v : v;
}

static void
test_halves(void)
{
	bool widened = true, back = true, quiet = true;
	for (unsigned h = 0; h < 65536; h++) {
		float f = llm_f16_to_f32((uint16_t)h);
		double v = half_value(h);
		if (isnan(v)) {
			quiet &= isnan(f) && (bits_of(f) & 0x400000) &&
				 bits_of(f) >> 31 == h >> 15 &&
				 llm_f32_to_f16(f) == (h | 0x200);
			continue;
		}
		widened &= bits_of(f) == bits_of((float)v) && (double)f == v;
		back &= llm_f32_to_f16(f) == h;
	}
	tap_ok(widened, "every one of 65536 halves widens to its exact value");
	tap_ok(back, "and comes back from it");
	tap_ok(quiet, "a NaN stays one, quiet, with its sign and payload");
}

/* Between each half and the next: just below the middle, the middle, just above. */
static void
test_to_half(void)
{
	bool good = true;
	for (unsigned h = 0; h < 0x7c00; h++) {
		double a = half_value(h);
		double b = h == 0x7bff ? 65536 : half_value(h + 1);
		float mid = (float)((a + b) / 2); /* exact: 12 bits */
		unsigned even = h & 1 ? h + 1 : h;
		good &= llm_f32_to_f16(mid) == even;
		good &= llm_f32_to_f16(nextafterf(mid, 0)) == h;
		good &= llm_f32_to_f16(nextafterf(mid, INFINITY)) == h + 1;
		good &= llm_f32_to_f16(-mid) == (even | 0x8000);
	}
	tap_ok(good, "to half rounds to nearest, and the middle to even, subnormals included");
	tap_ok(llm_f32_to_f16(65519.996f) == 0x7bff && llm_f32_to_f16(65520) == 0x7c00 &&
		   llm_f32_to_f16(3e38f) == 0x7c00 && llm_f32_to_f16(-INFINITY) == 0xfc00,
	    "what is too large becomes infinite");
	tap_ok(llm_f32_to_f16(0x1p-25f) == 0 && llm_f32_to_f16(0x1.000002p-25f) == 1 &&
		   llm_f32_to_f16(-0.0f) == 0x8000 && llm_f32_to_f16(1e-40f) == 0,
	    "what is too small becomes zero, with its sign");
	good = true;
	for (unsigned b = 0; b < 65536; b++)
		good &= bits_of(llm_bf16_to_f32((uint16_t)b)) == b << 16;
	tap_ok(good, "a bfloat16 is the upper half of a float");
	tap_ok(isnan(llm_f16_to_f32(0x7c01)) && isnan(float_of(0x7f800001)),
	    "a signalling NaN is a NaN");
}

static unsigned
bit(const unsigned char *p, int i)
{
	return p[i / 8] >> (i % 8) & 1u;
}

/* n bits from bit i on, low first. */
static int
field(const unsigned char *p, int i, int n)
{
	int v = 0;
	for (int k = 0; k < n; k++)
		v |= (int)bit(p, i + k) << k;
	return v;
}

static double
half_at(const unsigned char *p)
{
	return half_value((unsigned)field(p, 0, 16));
}

/* Six-bit scale j (0-7) and minimum (8-15) of Q4_K and Q5_K, as drawn in the format's description. */
static int
k_field(const unsigned char *s, int j)
{
	int k = j % 8, is_min = j / 8;
	if (k < 4)
		return field(s + 4 * is_min + k, 0, 6);
	return field(s + 4 + k, 4 * is_min, 4) | field(s + 4 * is_min + k - 4, 6, 2) << 4;
}

/* Element i of a block; sums of doubles below are exact, 50 bits wide at most. */
static double
element_32(enum llm_dtype type, const unsigned char *p, int i)
{
	int nibble = 4 * (i / 16) + 8 * (i % 16);
	switch (type) {
	case LLM_DTYPE_Q4_0:
		return half_at(p) * (field(p + 2, nibble, 4) - 8);
	case LLM_DTYPE_Q4_1:
		return half_at(p) * field(p + 4, nibble, 4) + half_at(p + 2);
	case LLM_DTYPE_Q5_0:
		return half_at(p) * (field(p + 6, nibble, 4) + 16 * (int)bit(p + 2, i) - 16);
	case LLM_DTYPE_Q5_1:
		return half_at(p) * (field(p + 8, nibble, 4) + 16 * (int)bit(p + 4, i)) +
		       half_at(p + 2);
	case LLM_DTYPE_Q8_0:
		return half_at(p) * (int8_t)p[2 + i];
	case LLM_DTYPE_F16:
		return half_at(p);
	case LLM_DTYPE_BF16:
		return float_of((uint32_t)field(p, 0, 16) << 16);
	default:
		return float_of(
		    (uint32_t)field(p, 0, 16) | (uint32_t)field(p + 2, 0, 16) << 16);
	}
}

static double
element_256(enum llm_dtype type, const unsigned char *p, int i)
{
	int half = i / 128, pair = i % 128 / 32, at = i % 32;
	int two = 8 * (32 * half + at) + 2 * pair; /* a bit pair's place in Q2_K and Q3_K */
	int four = 8 * (32 * (i / 64) + at) + 4 * (i / 32 % 2); /* a nibble's in Q4_K, Q5_K */
	int g = i / 16, k = i / 32;
	double d, min;
	switch (type) {
	case LLM_DTYPE_Q2_K:
		d = half_at(p + 80) * field(p + g, 0, 4);
		min = half_at(p + 82) * field(p + g, 4, 4);
		return d * field(p + 16, two, 2) - min;
	case LLM_DTYPE_Q3_K:
		d = half_at(p + 108) * ((field(p + 96 + g % 8, 4 * (g / 8), 4) |
					    field(p + 104 + g % 4, 2 * (g / 4), 2) << 4) -
					   32);
		return d * (field(p + 32, two, 2) + 4 * (int)bit(p + at, k) - 4);
	case LLM_DTYPE_Q4_K:
		return half_at(p) * k_field(p + 4, k) * field(p + 16, four, 4) -
		       half_at(p + 2) * k_field(p + 4, 8 + k);
	case LLM_DTYPE_Q5_K:
		return half_at(p) * k_field(p + 4, k) *
			   (field(p + 48, four, 4) + 16 * (int)bit(p + 16 + at, k)) -
		       half_at(p + 2) * k_field(p + 4, 8 + k);
	default: /* Q6_K */
		return half_at(p + 208) * (int8_t)p[192 + g] *
		       (field(p, 8 * (64 * half + 32 * (pair % 2) + at) + 4 * (pair / 2), 4) +
			   16 * field(p + 128, 8 * (32 * half + at) + 2 * pair, 2) - 32);
	}
}

static bool
same(float got, double want)
{
	return isnan(want) ? isnan(got) : bits_of(got) == bits_of((float)want);
}

/* Random blocks; every scale of halves, infinite and NaN ones too. */
static void
test_type(enum llm_dtype type)
{
	enum { N = 3000 };
	const struct llm_dtype_info *info = llm_dtype_info(type);
	size_t n_bytes = (size_t)info->block_bytes * N;
	unsigned char *bytes = malloc(n_bytes + 1);
	float *y = malloc(sizeof *y * N * (size_t)info->block);
	struct mkfile_random r;
	int bad = 0, at = -1;
	mkfile_random_seed(&r, 7, info->name);
	for (size_t i = 0; i < n_bytes; i++)
		bytes[i + 1] = (unsigned char)(mkfile_random_next(&r) >> 33);
	/* One byte past what malloc aligned: files align tensors, not rows of 18 bytes. */
	info->to_f32(y, bytes + 1, N * info->block);
	for (int b = 0; b < N; b++)
		for (int i = 0; i < info->block; i++) {
			const unsigned char *p =
			    bytes + 1 + (size_t)b * (size_t)info->block_bytes;
			double want = info->block == 256 ? element_256(type, p, i)
							 : element_32(type, p, i);
			if (!same(y[b * info->block + i], want))
				at = bad++ == 0 ? b * info->block + i : at;
		}
	if (!tap_ok(bad == 0, "%s: each value is exact, or rounded once", info->name))
		printf("# %d differ, the first at %d\n", bad, at);
	free(bytes);
	free(y);
}

static void
test_table(void)
{
	const int64_t huge = INT64_MAX / 256 * 256;
	tap_ok(llm_dtype_info(4) == NULL && llm_dtype_info(16) == NULL &&
		   llm_dtype_info(LLM_DTYPE_MAX) == NULL && llm_dtype_info(UINT32_MAX) == NULL,
	    "types that are not computed have no row");
	tap_ok(strcmp(llm_dtype_name(16), "IQ2_XXS") == 0 &&
		   strcmp(llm_dtype_name(28), "F64") == 0 &&
		   strcmp(llm_dtype_name(39), "MXFP4") == 0 && llm_dtype_name(1000) == NULL,
	    "but the known ones have names");
	tap_ok(llm_dtype_row_bytes(LLM_DTYPE_Q4_1, 576) == 360 &&
		   llm_dtype_row_bytes(LLM_DTYPE_Q6_K, 2048) == 1680 &&
		   llm_dtype_row_bytes(LLM_DTYPE_F32, 1) == 4,
	    "a row has as many bytes as its blocks");
	tap_ok(llm_dtype_row_bytes(LLM_DTYPE_Q4_1, 577) == 0 &&
		   llm_dtype_row_bytes(LLM_DTYPE_Q4_K, 576) == 0 &&
		   llm_dtype_row_bytes(LLM_DTYPE_F32, 0) == 0 &&
		   llm_dtype_row_bytes(LLM_DTYPE_F32, -32) == 0 &&
		   llm_dtype_row_bytes(LLM_DTYPE_F32, huge) == 0 &&
		   llm_dtype_row_bytes((enum llm_dtype)99, 32) == 0,
	    "a row of no whole number of blocks, or beyond memory, has none");
}

int
main(void)
{
	test_halves();
	test_to_half();
	for (uint32_t t = 0; t < LLM_DTYPE_PACKED; t++)
		if (llm_dtype_info(t) != NULL)
			test_type((enum llm_dtype)t);
	test_table();
	return tap_done();
}
