/*
 * SPDX-License-Identifier: ISC
 *
 * Random weights at memory speed: the bytes of quantised blocks are drawn as they are, with a scale
 * that gives the wanted standard deviation, and never go through floats.  Only + - * / and sqrt are
 * used, so that a seed gives the same file on every machine.
 */
#include "tests/mkmodel_file.h"

#include <math.h>
#include <string.h>

static uint64_t
rotl(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

/* xoshiro256++ (Blackman and Vigna), its state spread from the seed by splitmix64. */
void
mkfile_random_seed(struct mkfile_random *r, uint64_t seed, const char *name)
{
	uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
	for (; *name != '\0'; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001b3u;
	h ^= seed * 0x9e3779b97f4a7c15u;
	for (int i = 0; i < 4; i++) {
		uint64_t z = h += 0x9e3779b97f4a7c15u;
		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
		z = (z ^ z >> 27) * 0x94d049bb133111ebu;
		r->s[i] = z ^ z >> 31;
	}
}

uint64_t
mkfile_random_next(struct mkfile_random *r)
{
	uint64_t *s = r->s, result = rotl(s[0] + s[3], 23) + s[0], t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return result;
}

double
mkfile_random_unit(struct mkfile_random *r)
{
	return (double)(mkfile_random_next(r) >> 11) * 0x1p-53;
}

static void
random_bytes(unsigned char *out, size_t n, struct mkfile_random *r)
{
	for (; n >= 8; n -= 8, out += 8) {
		uint64_t v = mkfile_random_next(r);
		memcpy(out, &v, 8);
	}
	uint64_t v = mkfile_random_next(r);
	memcpy(out, &v, n);
}

static void
store_u16(unsigned char *p, uint16_t v)
{
	p[0] = (unsigned char)v;
	p[1] = (unsigned char)(v >> 8);
}

/* A block's scale varies by a quarter around the wanted one. */
static float
vary(double scale, struct mkfile_random *r)
{
	return (float)(scale * (0.75 + 0.5 * mkfile_random_unit(r)));
}

/* Twelve bytes with eight scales of 32 to 63 and minima equal to them, as Q4_K and Q5_K keep them. */
static void
fill_k_scales(unsigned char *p, struct mkfile_random *r)
{
	int s[8];
	uint64_t bits = mkfile_random_next(r);
	for (int i = 0; i < 8; i++)
		s[i] = 32 + (int)(bits >> (5 * i) & 31);
	for (int i = 0; i < 4; i++) {
		p[i] = (unsigned char)(s[i] | s[i + 4] >> 4 << 6);
		p[i + 4] = p[i];
		p[i + 8] = (unsigned char)((s[i + 4] & 15) | (s[i + 4] & 15) << 4);
	}
}

/*
 * One block, quants already random.  Each divisor is the standard deviation of the quants times
 * the root mean square of the inner scales; a minimum puts the mean at zero.
 */
static void
fix_block(unsigned char *p, enum llm_dtype type, double std, struct mkfile_random *r)
{
	float d;
	switch (type) {
	case LLM_DTYPE_Q4_0:
		store_u16(p, llm_f32_to_f16(vary(std / 4.61, r)));
		break;
	case LLM_DTYPE_Q5_0:
		store_u16(p, llm_f32_to_f16(vary(std / 9.23, r)));
		break;
	case LLM_DTYPE_Q8_0:
		store_u16(p, llm_f32_to_f16(vary(std / 73.9, r)));
		break;
	case LLM_DTYPE_Q4_1:
	case LLM_DTYPE_Q5_1:
		d = vary(std / (type == LLM_DTYPE_Q4_1 ? 4.61 : 9.23), r);
		store_u16(p, llm_f32_to_f16(d));
		store_u16(p + 2, llm_f32_to_f16(d * (type == LLM_DTYPE_Q4_1 ? -7.5f : -15.5f)));
		break;
	case LLM_DTYPE_Q2_K: /* scales 8 to 15, minima equal, quants 0 to 3 */
		for (int i = 0; i < 16; i++)
			p[i] = (unsigned char)(0x88 | (p[i] & 7) | (p[i] & 7) << 4);
		d = vary(std / (1.118 * 11.7), r);
		store_u16(p + 80, llm_f32_to_f16(d));
		store_u16(p + 82, llm_f32_to_f16(d * 1.5f));
		break;
	case LLM_DTYPE_Q3_K:
		store_u16(p + 108, llm_f32_to_f16(vary(std / (2.35 * 18.5), r)));
		break;
	case LLM_DTYPE_Q4_K:
	case LLM_DTYPE_Q5_K:
		d = vary(std / ((type == LLM_DTYPE_Q4_K ? 4.61 : 9.23) * 48.4), r);
		store_u16(p, llm_f32_to_f16(d));
		store_u16(p + 2, llm_f32_to_f16(d * (type == LLM_DTYPE_Q4_K ? 7.5f : 15.5f)));
		fill_k_scales(p + 4, r);
		break;
	case LLM_DTYPE_Q6_K:
		store_u16(p + 208, llm_f32_to_f16(vary(std / (18.5 * 73.9), r)));
		break;
	default:
		break;
	}
}

/* Floats: the sum of four uniform 16-bit numbers, near enough to a normal distribution. */
static float
random_float(const struct mkfile_tensor *t, struct mkfile_random *r)
{
	uint64_t v = mkfile_random_next(r);
	int sum = (int)((v & 0xffff) + (v >> 16 & 0xffff) + (v >> 32 & 0xffff) + (v >> 48));
	return (float)(t->mean + t->std * ((double)(sum - 131070) / 37837.2));
}

/* Quants of one block of 32 to unsigned numbers of a number of bits: nibbles first, fifth bits apart. */
static void
pack_block(unsigned char *nibbles, unsigned char *fifth, const int q[32])
{
	for (int i = 0; i < 16; i++)
		nibbles[i] = (unsigned char)((q[i] & 15) | (q[i + 16] & 15) << 4);
	for (int i = 0; fifth != NULL && i < 4; i++)
		fifth[i] = 0;
	for (int i = 0; fifth != NULL && i < 32; i++)
		fifth[i / 8] |= (unsigned char)((q[i] >> 4 & 1) << (i % 8));
}

static int
nearest(float x, int min, int max)
{
	int q = isfinite(x) ? (int)rintf(x) : 0;
	return q < min ? min : q > max ? max : q;
}

/* Without a minimum: the value of largest magnitude becomes -half (all bits used), as is usual. */
static void
encode_signed(unsigned char *p, const float *x, int half)
{
	float extreme = 0;
	int q[32];
	for (int i = 0; i < 32; i++)
		if (fabsf(x[i]) > fabsf(extreme))
			extreme = x[i];
	uint16_t h = llm_f32_to_f16(extreme / (float)(half == 128 ? 127 : -half));
	float d = llm_f16_to_f32(h);
	store_u16(p, h);
	for (int i = 0; i < 32; i++)
		q[i] = nearest(d != 0 ? x[i] / d : 0, half == 128 ? -127 : -half, half - 1);
	if (half == 128) {
		for (int i = 0; i < 32; i++)
			p[2 + i] = (unsigned char)q[i];
		return;
	}
	for (int i = 0; i < 32; i++)
		q[i] += half;
	pack_block(half == 16 ? p + 6 : p + 2, half == 16 ? p + 2 : NULL, q);
}

static void
encode_min(unsigned char *p, const float *x, int max)
{
	float low = x[0], high = x[0];
	int q[32];
	for (int i = 1; i < 32; i++) {
		low = x[i] < low ? x[i] : low;
		high = x[i] > high ? x[i] : high;
	}
	uint16_t hd = llm_f32_to_f16((high - low) / (float)max), hm = llm_f32_to_f16(low);
	float d = llm_f16_to_f32(hd), m = llm_f16_to_f32(hm);
	store_u16(p, hd);
	store_u16(p + 2, hm);
	for (int i = 0; i < 32; i++)
		q[i] = nearest(d != 0 ? (x[i] - m) / d : 0, 0, max);
	pack_block(max == 31 ? p + 8 : p + 4, max == 31 ? p + 4 : NULL, q);
}

/* bfloat16 to nearest even. */
static uint16_t
to_bf16(float x)
{
	uint32_t bits;
	memcpy(&bits, &x, sizeof bits);
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

bool
mkfile_encode(unsigned char *out, enum llm_dtype type, const float *x, int n)
{
	const struct llm_dtype_info *info = llm_dtype_info((uint32_t)type);
	for (int i = 0; i < n; i += info->block, out += info->block_bytes)
		switch (type) {
		case LLM_DTYPE_F32:
			memcpy(out, &x[i], sizeof x[i]);
			break;
		case LLM_DTYPE_F16:
			store_u16(out, llm_f32_to_f16(x[i]));
			break;
		case LLM_DTYPE_BF16:
			store_u16(out, to_bf16(x[i]));
			break;
		case LLM_DTYPE_Q4_0:
			encode_signed(out, x + i, 8);
			break;
		case LLM_DTYPE_Q5_0:
			encode_signed(out, x + i, 16);
			break;
		case LLM_DTYPE_Q8_0:
			encode_signed(out, x + i, 128);
			break;
		case LLM_DTYPE_Q4_1:
			encode_min(out, x + i, 15);
			break;
		case LLM_DTYPE_Q5_1:
			encode_min(out, x + i, 31);
			break;
		default:
			return false;
		}
	return true;
}

/* The floats that a tensor of F32 would have, quantised. */
static void
fill_encoded(
    unsigned char *out, size_t n_bytes, const struct mkfile_tensor *t, struct mkfile_random *r)
{
	const struct llm_dtype_info *info = llm_dtype_info((uint32_t)t->type);
	float x[32];
	for (size_t at = 0; at < n_bytes; at += (size_t)info->block_bytes) {
		for (int i = 0; i < info->block; i++)
			x[i] = random_float(t, r);
		mkfile_encode(out + at, t->type, x, info->block);
	}
}

void
mkfile_fill(
    unsigned char *out, size_t n_bytes, const struct mkfile_tensor *t, struct mkfile_random *r)
{
	size_t block = (size_t)llm_dtype_info((uint32_t)t->type)->block_bytes;
	uint32_t bits;
	float x;
	if (t->encode && llm_dtype_info((uint32_t)t->type)->block <= 32) {
		fill_encoded(out, n_bytes, t, r);
		return;
	}
	if (block > 4)
		random_bytes(out, n_bytes, r);
	for (size_t at = 0; at < n_bytes; at += block)
		switch (t->type) {
		case LLM_DTYPE_F32:
			x = random_float(t, r);
			memcpy(out + at, &x, sizeof x);
			break;
		case LLM_DTYPE_F16:
			store_u16(out + at, llm_f32_to_f16(random_float(t, r)));
			break;
		case LLM_DTYPE_BF16: /* cut, not rounded: it is random anyway */
			x = random_float(t, r);
			memcpy(&bits, &x, sizeof bits);
			store_u16(out + at, (uint16_t)(bits >> 16));
			break;
		default:
			fix_block(out + at, t->type, t->std, r);
		}
}
