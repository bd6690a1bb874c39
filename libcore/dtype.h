/*
 * SPDX-License-Identifier: ISC
 *
 * Tensor element types: names, block sizes, byte counts, and the exact f32 value of each weight
 * (one rounding, only where a minimum is added: this is what --precise multiplies with, what an
 * embedding row becomes, and what every quantized product is checked against).
 */
#ifndef LLM_DTYPE_H
#define LLM_DTYPE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Values are the numbers that a GGUF file writes (ggml_type).  The packed layout of a type (packed.h)
 * has its number plus LLM_DTYPE_PACKED here, plus LLM_DTYPE_PACKED_FILE ("LL") in a file.
 */
enum llm_dtype {
	LLM_DTYPE_F32 = 0,
	LLM_DTYPE_F16 = 1,
	LLM_DTYPE_Q4_0 = 2,
	LLM_DTYPE_Q4_1 = 3,
	LLM_DTYPE_Q5_0 = 6,
	LLM_DTYPE_Q5_1 = 7,
	LLM_DTYPE_Q8_0 = 8,
	LLM_DTYPE_Q2_K = 10,
	LLM_DTYPE_Q3_K = 11,
	LLM_DTYPE_Q4_K = 12,
	LLM_DTYPE_Q5_K = 13,
	LLM_DTYPE_Q6_K = 14,
	LLM_DTYPE_BF16 = 30,
	LLM_DTYPE_PACKED = 64, /* above all that ggml numbers */
	LLM_DTYPE_Q4_0_R8 = LLM_DTYPE_PACKED + LLM_DTYPE_Q4_0,
	LLM_DTYPE_Q4_1_R8 = LLM_DTYPE_PACKED + LLM_DTYPE_Q4_1,
	LLM_DTYPE_Q5_0_R8 = LLM_DTYPE_PACKED + LLM_DTYPE_Q5_0,
	LLM_DTYPE_Q5_1_R8 = LLM_DTYPE_PACKED + LLM_DTYPE_Q5_1,
	LLM_DTYPE_Q8_0_R8 = LLM_DTYPE_PACKED + LLM_DTYPE_Q8_0,
	LLM_DTYPE_Q4_K_R8 = LLM_DTYPE_PACKED + LLM_DTYPE_Q4_K,
	LLM_DTYPE_Q5_K_R8 = LLM_DTYPE_PACKED + LLM_DTYPE_Q5_K,
	LLM_DTYPE_Q6_K_R8 = LLM_DTYPE_PACKED + LLM_DTYPE_Q6_K,
	LLM_DTYPE_MAX, /* one past the last: arrays indexed by type have this many */
	LLM_DTYPE_PACKED_FILE = 0x4c4c0000,
};

/* What a product of this weight type takes its activations as. */
enum llm_act_kind {
	LLM_ACT_F32,  /* f32, unrounded */
	LLM_ACT_Q32,  /* int8 by blocks of 32, f32 scale */
	LLM_ACT_Q256, /* int8 by blocks of 256, f32 scale, sums of 16 */
};

/*
 * One row of the table.  All fields read-only.
 */
struct llm_dtype_info {
	const char *name;      /* "Q4_K"; NULL in an unused row */
	int block;             /* elements a block: 1, 32 or 256 */
	int block_bytes;       /* bytes a block */
	enum llm_act_kind act; /* activations of its products, --precise aside */
	/* y[0..n) = the values of n elements (a multiple of block) at src, which needs no alignment;
	 * NULL for a packed type, whose elements do not stand in a row. */
	void (*to_f32)(float *restrict y, const void *restrict src, int n);
};

/*
 * llm_dtype_info - the row of a type, or NULL where it does not compute.
 */
const struct llm_dtype_info *llm_dtype_info(uint32_t type);

/*
 * llm_dtype_from_file - the type of a file's number, or LLM_DTYPE_MAX where it does not compute;
 * llm_dtype_to_file the other way.
 */
enum llm_dtype llm_dtype_from_file(uint32_t number);
uint32_t llm_dtype_to_file(enum llm_dtype type);

/*
 * llm_dtype_name - a name for any number of a file, for messages: types that ggml knows and we do not
 * compute ("IQ2_XXS", "TQ1_0", ...) have theirs; others are NULL.  Static string.
 */
const char *llm_dtype_name(uint32_t number);

/*
 * llm_dtype_row_bytes - bytes of a row of n_col elements; 0 where n_col is no positive multiple of
 * the block or the count does not fit.
 */
size_t llm_dtype_row_bytes(enum llm_dtype type, int64_t n_col);

/*
 * llm_dtype_row - y[0..n_col) = the values of one row of a matrix [..][n_col] at data, packed or not.
 */
void llm_dtype_row(
    float *restrict y, const void *restrict data, enum llm_dtype type, int n_col, int row);

/*
 * llm_f16_to_f32 - IEEE half to single, exactly; a signalling NaN becomes quiet, as in hardware.
 */
static inline float
llm_f16_to_f32(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, mag = h & 0x7fff, bits;
	float f;
	if (mag >=
	    0x0400) { /* normal: rebias the exponent by 127 - 15; inf and NaN by twice that */
		bits = (mag << 13) + (112u << 23);
		bits += mag >= 0x7c00 ? 112u << 23 : 0;
		bits |= mag > 0x7c00 ? 0x400000 : 0;
	} else { /* subnormal: a count of 2^-24 */
		f = (float)mag * 0x1p-24f;
		memcpy(&bits, &f, sizeof bits);
	}
	bits |= sign;
	memcpy(&f, &bits, sizeof f);
	return f;
}

/*
 * llm_f32_to_f16 - single to IEEE half, to nearest even; too large becomes infinite; NaN stays NaN,
 * quiet, with the upper bits of its payload, as in hardware.
 */
uint16_t llm_f32_to_f16(float x);

/* llm_bf16_to_f32 - bfloat16 to single, exactly: it is the upper half. */
static inline float
llm_bf16_to_f32(uint16_t b)
{
	uint32_t bits = (uint32_t)b << 16;
	float f;
	memcpy(&f, &bits, sizeof f);
	return f;
}

#endif
