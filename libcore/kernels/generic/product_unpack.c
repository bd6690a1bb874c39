/*
 * SPDX-License-Identifier: ISC
 *
 * One function a format: a block of GGUF's bytes to its integers, in the order of the columns.
 * Called by the plain C products, and by tests as what faster unpacking must equal.
 */
#include "libcore/kernels/generic/product_unpack.h"

#include "libcore/kernels/blocks.h"

static void
nibbles(int8_t q[32], const uint8_t qs[16], int zero)
{
	for (int i = 0; i < 16; i++) {
		q[i] = (int8_t)((qs[i] & 15) - zero);
		q[i + 16] = (int8_t)((qs[i] >> 4) - zero);
	}
}

static void
fifth_bits(int8_t q[32], const uint8_t qh[4])
{
	uint32_t bits = llm_block_u32(qh);
	for (int k = 0; k < 32; k++)
		q[k] = (int8_t)(q[k] + (int)(bits >> k & 1) * 16);
}

static void
unpack_q4_0(struct llm_unpacked *u, const void *block)
{
	const struct llm_block_q4_0 *b = block;
	u->d = llm_block_f16(b->d);
	nibbles(u->q, b->qs, 8);
}

static void
unpack_q4_1(struct llm_unpacked *u, const void *block)
{
	const struct llm_block_q4_1 *b = block;
	u->d = llm_block_f16(b->d);
	u->m = llm_block_f16(b->m);
	nibbles(u->q, b->qs, 0);
}

static void
unpack_q5_0(struct llm_unpacked *u, const void *block)
{
	const struct llm_block_q5_0 *b = block;
	u->d = llm_block_f16(b->d);
	nibbles(u->q, b->qs, 16);
	fifth_bits(u->q, b->qh);
}

static void
unpack_q5_1(struct llm_unpacked *u, const void *block)
{
	const struct llm_block_q5_1 *b = block;
	u->d = llm_block_f16(b->d);
	u->m = llm_block_f16(b->m);
	nibbles(u->q, b->qs, 0);
	fifth_bits(u->q, b->qh);
}

static void
unpack_q8_0(struct llm_unpacked *u, const void *block)
{
	const struct llm_block_q8_0 *b = block;
	u->d = llm_block_f16(b->d);
	memcpy(u->q, b->qs, 32);
}

static void
unpack_q2_K(struct llm_unpacked *u, const void *block)
{
	const struct llm_block_q2_K *b = block;
	u->d = llm_block_f16(b->d);
	u->m = llm_block_f16(b->dmin);
	for (int j = 0; j < 16; j++) {
		u->sc[j] = b->scales[j] & 15;
		u->min[j] = (int8_t)(b->scales[j] >> 4);
	}
	for (int k = 0; k < 256; k++)
		u->q[k] = b->qs[k / 128 * 32 + k % 32] >> (k / 32 % 4 * 2) & 3;
}

static void
unpack_q3_K(struct llm_unpacked *u, const void *block)
{
	const struct llm_block_q3_K *b = block;
	u->d = llm_block_f16(b->d);
	llm_block_scales_q3(u->sc, b->scales);
	for (int k = 0; k < 256; k++) {
		int low = b->qs[k / 128 * 32 + k % 32] >> (k / 32 % 4 * 2) & 3;
		int high = b->hmask[k % 32] >> (k / 32) & 1;
		u->q[k] = (int8_t)(low + high * 4 - 4);
	}
}

/* The eight scales and minima by 32, as sixteen by 16. */
static void
scales_k4(struct llm_unpacked *u, const uint8_t s[12])
{
	uint8_t sc[8], m[8];
	llm_block_scales_k4(sc, m, s);
	for (int j = 0; j < 16; j++) {
		u->sc[j] = (int8_t)sc[j / 2];
		u->min[j] = (int8_t)m[j / 2];
	}
}

static void
unpack_q4_K(struct llm_unpacked *u, const void *block)
{
	const struct llm_block_q4_K *b = block;
	u->d = llm_block_f16(b->d);
	u->m = llm_block_f16(b->dmin);
	scales_k4(u, b->scales);
	for (int k = 0; k < 256; k++)
		u->q[k] = b->qs[k / 64 * 32 + k % 32] >> (k / 32 % 2 * 4) & 15;
}

static void
unpack_q5_K(struct llm_unpacked *u, const void *block)
{
	const struct llm_block_q5_K *b = block;
	u->d = llm_block_f16(b->d);
	u->m = llm_block_f16(b->dmin);
	scales_k4(u, b->scales);
	for (int k = 0; k < 256; k++) {
		int low = b->qs[k / 64 * 32 + k % 32] >> (k / 32 % 2 * 4) & 15;
		int high = b->qh[k % 32] >> (k / 32) & 1;
		u->q[k] = (int8_t)(low + high * 16);
	}
}

static void
unpack_q6_K(struct llm_unpacked *u, const void *block)
{
	const struct llm_block_q6_K *b = block;
	u->d = llm_block_f16(b->d);
	memcpy(u->sc, b->scales, 16);
	for (int k = 0; k < 256; k++) {
		int low = b->ql[k / 128 * 64 + k % 64] >> (k / 64 % 2 * 4) & 15;
		int high = b->qh[k / 128 * 32 + k % 32] >> (k / 32 % 4 * 2) & 3;
		u->q[k] = (int8_t)((low | high << 4) - 32);
	}
}

static const struct llm_unpack table[LLM_DTYPE_MAX] = {
    [LLM_DTYPE_Q4_0] = {32, sizeof(struct llm_block_q4_0), false, unpack_q4_0},
    [LLM_DTYPE_Q4_1] = {32, sizeof(struct llm_block_q4_1), true, unpack_q4_1},
    [LLM_DTYPE_Q5_0] = {32, sizeof(struct llm_block_q5_0), false, unpack_q5_0},
    [LLM_DTYPE_Q5_1] = {32, sizeof(struct llm_block_q5_1), true, unpack_q5_1},
    [LLM_DTYPE_Q8_0] = {32, sizeof(struct llm_block_q8_0), false, unpack_q8_0},
    [LLM_DTYPE_Q2_K] = {256, sizeof(struct llm_block_q2_K), true, unpack_q2_K},
    [LLM_DTYPE_Q3_K] = {256, sizeof(struct llm_block_q3_K), false, unpack_q3_K},
    [LLM_DTYPE_Q4_K] = {256, sizeof(struct llm_block_q4_K), true, unpack_q4_K},
    [LLM_DTYPE_Q5_K] = {256, sizeof(struct llm_block_q5_K), true, unpack_q5_K},
    [LLM_DTYPE_Q6_K] = {256, sizeof(struct llm_block_q6_K), false, unpack_q6_K},
};

const struct llm_unpack *
llm_unpack_get(enum llm_dtype type)
{
	return &table[type];
}
