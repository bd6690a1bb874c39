/*
 * SPDX-License-Identifier: ISC
 *
 * The table of element types and the exact value of each weight; see dtype.h.
 *
 * Why these are exact: a scale is a half (11 significant bits), a block's scale or minimum has at
 * most 7 bits and sign, a quant at most 6, so that scale * sub-scale * quant has at most 24 and is
 * an f32 without rounding, in any order of the products; the same holds for the minimum.  One
 * rounding is left where the two are added or subtracted.
 */
#include "libcore/dtype.h"

#include "libcore/packed.h"
#include "libcore/size.h"

static uint16_t
load_u16(const unsigned char *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static float
load_f16(const unsigned char *p)
{
	return llm_f16_to_f32(load_u16(p));
}

static uint32_t
load_u32(const unsigned char *p)
{
	return (uint32_t)load_u16(p) | (uint32_t)load_u16(p + 2) << 16;
}

static void
f32_to_f32(float *restrict y, const void *restrict src, int n)
{
	memcpy(y, src, (size_t)n * sizeof *y);
}

static void
f16_to_f32(float *restrict y, const void *restrict src, int n)
{
	const unsigned char *p = src;
	for (int i = 0; i < n; i++)
		y[i] = load_f16(p + 2 * (size_t)i);
}

static void
bf16_to_f32(float *restrict y, const void *restrict src, int n)
{
	const unsigned char *p = src;
	for (int i = 0; i < n; i++)
		y[i] = llm_bf16_to_f32(load_u16(p + 2 * (size_t)i));
}

/* d f16, 32 nibbles: element i is the low nibble of byte i, element 16 + i its high one. */
static void
q4_0_to_f32(float *restrict y, const void *restrict src, int n)
{
	const unsigned char *p = src;
	for (int b = 0; b < n / 32; b++, p += 18, y += 32) {
		float d = load_f16(p);
		for (int i = 0; i < 16; i++) {
			y[i] = d * (float)((p[2 + i] & 15) - 8);
			y[i + 16] = d * (float)((p[2 + i] >> 4) - 8);
		}
	}
}

/* d, m f16, nibbles as above. */
static void
q4_1_to_f32(float *restrict y, const void *restrict src, int n)
{
	const unsigned char *p = src;
	for (int b = 0; b < n / 32; b++, p += 20, y += 32) {
		float d = load_f16(p), m = load_f16(p + 2);
		for (int i = 0; i < 16; i++) {
			y[i] = d * (float)(p[4 + i] & 15) + m;
			y[i + 16] = d * (float)(p[4 + i] >> 4) + m;
		}
	}
}

/* d f16, 32 fifth bits in order, nibbles as above. */
static void
q5_0_to_f32(float *restrict y, const void *restrict src, int n)
{
	const unsigned char *p = src;
	for (int b = 0; b < n / 32; b++, p += 22, y += 32) {
		float d = load_f16(p);
		uint32_t high = load_u32(p + 2);
		for (int i = 0; i < 16; i++) {
			int lo = (p[6 + i] & 15) | (int)(high >> i & 1) << 4;
			int hi = p[6 + i] >> 4 | (int)(high >> (i + 16) & 1) << 4;
			y[i] = d * (float)(lo - 16);
			y[i + 16] = d * (float)(hi - 16);
		}
	}
}

/* d, m f16, fifth bits, nibbles. */
static void
q5_1_to_f32(float *restrict y, const void *restrict src, int n)
{
	const unsigned char *p = src;
	for (int b = 0; b < n / 32; b++, p += 24, y += 32) {
		float d = load_f16(p), m = load_f16(p + 2);
		uint32_t high = load_u32(p + 4);
		for (int i = 0; i < 16; i++) {
			int lo = (p[8 + i] & 15) | (int)(high >> i & 1) << 4;
			int hi = p[8 + i] >> 4 | (int)(high >> (i + 16) & 1) << 4;
			y[i] = d * (float)lo + m;
			y[i + 16] = d * (float)hi + m;
		}
	}
}

static void
q8_0_to_f32(float *restrict y, const void *restrict src, int n)
{
	const unsigned char *p = src;
	for (int b = 0; b < n / 32; b++, p += 34, y += 32) {
		float d = load_f16(p);
		for (int i = 0; i < 32; i++)
			y[i] = d * (float)(int8_t)p[2 + i];
	}
}

/*
 * 16 bytes of (scale low nibble, minimum high), 64 of quants, d, dmin f16.  Elements of half h, at
 * pair-of-bits s, in bytes 32h..32h+31 of the quants; a scale for each 16.
 */
static void
q2_k_to_f32(float *restrict y, const void *restrict src, int n)
{
	const unsigned char *p = src;
	for (int b = 0; b < n / 256; b++, p += 84, y += 256) {
		float d = load_f16(p + 80), dmin = load_f16(p + 82);
		for (int g = 0; g < 16; g++) {
			const unsigned char *q = p + 16 + 32 * (g / 8) + 16 * (g % 2);
			int shift = 2 * (g % 8 / 2);
			float scale = d * (float)(p[g] & 15), min = dmin * (float)(p[g] >> 4);
			for (int i = 0; i < 16; i++)
				y[16 * g + i] = scale * (float)(q[i] >> shift & 3) - min;
		}
	}
}

/* Scale g of 16: low four bits in bytes 0-7 (low nibbles, then high), upper two in bytes 8-11. */
static int
q3_k_scale(const unsigned char *p, int g)
{
	int low = p[g % 8] >> (g < 8 ? 0 : 4) & 15;
	int high = p[8 + g % 4] >> (2 * (g / 4)) & 3;
	return (low | high << 4) - 32;
}

/* 32 bytes of third bits, 64 of quants placed as in Q2_K, 12 of scales, d f16. */
static void
q3_k_to_f32(float *restrict y, const void *restrict src, int n)
{
	const unsigned char *p = src;
	for (int b = 0; b < n / 256; b++, p += 110, y += 256) {
		float d = load_f16(p + 108);
		for (int g = 0; g < 16; g++) {
			const unsigned char *high = p + 16 * (g % 2);
			const unsigned char *q = p + 32 + 32 * (g / 8) + 16 * (g % 2);
			int shift = 2 * (g % 8 / 2);
			float scale = d * (float)q3_k_scale(p + 96, g);
			for (int i = 0; i < 16; i++) {
				int v = (q[i] >> shift & 3) | (high[i] >> (g / 2) & 1) << 2;
				y[16 * g + i] = scale * (float)(v - 4);
			}
		}
	}
}

/* Scale and minimum g of 8, six bits each, of the 12 bytes that Q4_K and Q5_K share. */
static void
q4_k_scale(int *scale, int *min, const unsigned char *p, int g)
{
	if (g < 4) {
		*scale = p[g] & 63;
		*min = p[g + 4] & 63;
	} else {
		*scale = (p[g + 4] & 15) | p[g - 4] >> 6 << 4;
		*min = p[g + 4] >> 4 | p[g] >> 6 << 4;
	}
}

/* d, dmin f16, scales, 128 bytes: groups 2k and 2k+1 are the nibbles of bytes 32k..32k+31. */
static void
q4_k_to_f32(float *restrict y, const void *restrict src, int n)
{
	const unsigned char *p = src;
	for (int b = 0; b < n / 256; b++, p += 144, y += 256) {
		float d = load_f16(p), dmin = load_f16(p + 2);
		for (int g = 0; g < 8; g++) {
			const unsigned char *q = p + 16 + 32 * (g / 2);
			int sc, m, shift = 4 * (g % 2);
			q4_k_scale(&sc, &m, p + 4, g);
			float scale = d * (float)sc, min = dmin * (float)m;
			for (int i = 0; i < 32; i++)
				y[32 * g + i] = scale * (float)(q[i] >> shift & 15) - min;
		}
	}
}

/* As Q4_K, with 32 bytes of fifth bits before the nibbles: bit g of byte i is group g's. */
static void
q5_k_to_f32(float *restrict y, const void *restrict src, int n)
{
	const unsigned char *p = src;
	for (int b = 0; b < n / 256; b++, p += 176, y += 256) {
		float d = load_f16(p), dmin = load_f16(p + 2);
		for (int g = 0; g < 8; g++) {
			const unsigned char *high = p + 16, *q = p + 48 + 32 * (g / 2);
			int sc, m, shift = 4 * (g % 2);
			q4_k_scale(&sc, &m, p + 4, g);
			float scale = d * (float)sc, min = dmin * (float)m;
			for (int i = 0; i < 32; i++) {
				int v = (q[i] >> shift & 15) | (high[i] >> g & 1) << 4;
				y[32 * g + i] = scale * (float)v - min;
			}
		}
	}
}

/*
 * 128 bytes of low nibbles, 64 of upper pairs, 16 signed scales, d f16.  In half h, groups of 32:
 * k = 0, 1 are low nibbles of bytes 64h + 32k.., k = 2, 3 the high ones; pair k of bytes 32h...
 */
static void
q6_k_to_f32(float *restrict y, const void *restrict src, int n)
{
	const unsigned char *p = src;
	for (int b = 0; b < n / 256; b++, p += 210, y += 256) {
		float d = load_f16(p + 208);
		for (int g = 0; g < 16; g++) {
			int h = g / 8, k = g % 8 / 2, at = 16 * (g % 2);
			const unsigned char *low = p + 64 * h + 32 * (k % 2) + at;
			const unsigned char *high = p + 128 + 32 * h + at;
			float scale = d * (float)(int8_t)p[192 + g];
			for (int i = 0; i < 16; i++) {
				int v = (low[i] >> (4 * (k / 2)) & 15) |
					(high[i] >> (2 * k) & 3) << 4;
				y[16 * g + i] = scale * (float)(v - 32);
			}
		}
	}
}

static const struct llm_dtype_info infos[LLM_DTYPE_MAX] = {
    [LLM_DTYPE_F32] = {"F32", 1, 4, LLM_ACT_F32, f32_to_f32},
    [LLM_DTYPE_F16] = {"F16", 1, 2, LLM_ACT_F32, f16_to_f32},
    [LLM_DTYPE_BF16] = {"BF16", 1, 2, LLM_ACT_F32, bf16_to_f32},
    [LLM_DTYPE_Q4_0] = {"Q4_0", 32, 18, LLM_ACT_Q32, q4_0_to_f32},
    [LLM_DTYPE_Q4_1] = {"Q4_1", 32, 20, LLM_ACT_Q32, q4_1_to_f32},
    [LLM_DTYPE_Q5_0] = {"Q5_0", 32, 22, LLM_ACT_Q32, q5_0_to_f32},
    [LLM_DTYPE_Q5_1] = {"Q5_1", 32, 24, LLM_ACT_Q32, q5_1_to_f32},
    [LLM_DTYPE_Q8_0] = {"Q8_0", 32, 34, LLM_ACT_Q32, q8_0_to_f32},
    [LLM_DTYPE_Q2_K] = {"Q2_K", 256, 84, LLM_ACT_Q256, q2_k_to_f32},
    [LLM_DTYPE_Q3_K] = {"Q3_K", 256, 110, LLM_ACT_Q256, q3_k_to_f32},
    [LLM_DTYPE_Q4_K] = {"Q4_K", 256, 144, LLM_ACT_Q256, q4_k_to_f32},
    [LLM_DTYPE_Q5_K] = {"Q5_K", 256, 176, LLM_ACT_Q256, q5_k_to_f32},
    [LLM_DTYPE_Q6_K] = {"Q6_K", 256, 210, LLM_ACT_Q256, q6_k_to_f32},
    [LLM_DTYPE_Q4_0_R8] = {"Q4_0_R8", 32, 18, LLM_ACT_Q32, NULL},
    [LLM_DTYPE_Q4_1_R8] = {"Q4_1_R8", 32, 20, LLM_ACT_Q32, NULL},
    [LLM_DTYPE_Q5_0_R8] = {"Q5_0_R8", 32, 22, LLM_ACT_Q32, NULL},
    [LLM_DTYPE_Q5_1_R8] = {"Q5_1_R8", 32, 24, LLM_ACT_Q32, NULL},
    [LLM_DTYPE_Q8_0_R8] = {"Q8_0_R8", 32, 34, LLM_ACT_Q32, NULL},
    [LLM_DTYPE_Q4_K_R8] = {"Q4_K_R8", 256, 144, LLM_ACT_Q256, NULL},
    [LLM_DTYPE_Q5_K_R8] = {"Q5_K_R8", 256, 176, LLM_ACT_Q256, NULL},
    [LLM_DTYPE_Q6_K_R8] = {"Q6_K_R8", 256, 210, LLM_ACT_Q256, NULL},
};

/* Numbers that GGUF files have used for types which are not computed here. */
static const char *const other_names[] = {
    [4] = "Q4_2",
    [5] = "Q4_3",
    [9] = "Q8_1",
    [15] = "Q8_K",
    [16] = "IQ2_XXS",
    [17] = "IQ2_XS",
    [18] = "IQ3_XXS",
    [19] = "IQ1_S",
    [20] = "IQ4_NL",
    [21] = "IQ3_S",
    [22] = "IQ2_S",
    [23] = "IQ4_XS",
    [24] = "I8",
    [25] = "I16",
    [26] = "I32",
    [27] = "I64",
    [28] = "F64",
    [29] = "IQ1_M",
    [31] = "Q4_0_4_4",
    [32] = "Q4_0_4_8",
    [33] = "Q4_0_8_8",
    [34] = "TQ1_0",
    [35] = "TQ2_0",
    [36] = "IQ4_NL_4_4",
    [37] = "IQ4_NL_4_8",
    [38] = "IQ4_NL_8_8",
    [39] = "MXFP4",
    [40] = "NVFP4",
    [41] = "Q1_0",
};

const struct llm_dtype_info *
llm_dtype_info(uint32_t type)
{
	if (type >= LLM_DTYPE_MAX || infos[type].name == NULL)
		return NULL;
	return &infos[type];
}

enum llm_dtype
llm_dtype_from_file(uint32_t number)
{
	uint32_t type = number;
	if (number >= LLM_DTYPE_PACKED_FILE)
		type = number - LLM_DTYPE_PACKED_FILE + LLM_DTYPE_PACKED;
	else if (number >= LLM_DTYPE_PACKED)
		return LLM_DTYPE_MAX;
	return llm_dtype_info(type) != NULL ? (enum llm_dtype)type : LLM_DTYPE_MAX;
}

uint32_t
llm_dtype_to_file(enum llm_dtype type)
{
	uint32_t number = (uint32_t)type;
	return llm_packed_is(type) ? number - LLM_DTYPE_PACKED + LLM_DTYPE_PACKED_FILE : number;
}

const char *
llm_dtype_name(uint32_t number)
{
	enum llm_dtype type = llm_dtype_from_file(number);
	if (type != LLM_DTYPE_MAX)
		return infos[type].name;
	return number < sizeof other_names / sizeof other_names[0] ? other_names[number] : NULL;
}

size_t
llm_dtype_row_bytes(enum llm_dtype type, int64_t n_col)
{
	const struct llm_dtype_info *info = llm_dtype_info((uint32_t)type);
	size_t n, n_block, n_bytes;
	if (info == NULL || n_col <= 0 || !llm_size_from_u64(&n, (uint64_t)n_col) ||
	    !llm_size_div(&n_block, n, (size_t)info->block) ||
	    !llm_size_mul(&n_bytes, n_block, (size_t)info->block_bytes))
		return 0;
	return n_bytes;
}

void
llm_dtype_row(
    float *restrict y, const void *restrict data, enum llm_dtype type, int n_col, int row)
{
	const struct llm_dtype_info *info = llm_dtype_info(type);
	if (!llm_packed_is(type)) {
		size_t row_bytes = llm_dtype_row_bytes(type, n_col);
		info->to_f32(y, (const char *)data + (size_t)row * row_bytes, n_col);
		return;
	}
	struct llm_packed_row from = {data, type, n_col, row};
	unsigned char block[256];
	for (int b = 0; b < n_col / info->block; b++) {
		llm_packed_blocks(block, &from, b, 1);
		infos[llm_packed_plain(type)].to_f32(y + b * info->block, block, info->block);
	}
}

uint16_t
llm_f32_to_f16(float x)
{
	uint32_t bits;
	memcpy(&bits, &x, sizeof bits);
	uint32_t sign = bits >> 16 & 0x8000, mag = bits & 0x7fffffff;
	if (mag > 0x7f800000)
		return (uint16_t)(sign | 0x7e00 | (mag >> 13 & 0x3ff));
	if (mag >= 0x477ff000) /* 65520, halfway from the largest half to the next */
		return (uint16_t)(sign | 0x7c00);
	if (mag < 0x38800000) { /* below 2^-14: a count of 2^-24, rounded by the adder */
		float a, magic = 0.5f;
		memcpy(&a, &mag, sizeof a);
		a += magic; /* 0.5 has an ulp of 2^-24 */
		memcpy(&mag, &a, sizeof mag);
		return (uint16_t)(sign | (mag - 0x3f000000));
	}
	mag -= 112u << 23;
	mag += 0xfff + (mag >> 13 & 1); /* half an ulp, to even */
	return (uint16_t)(sign | mag >> 13);
}
