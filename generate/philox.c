/*
 * SPDX-License-Identifier: ISC
 *
 * Philox 4x32-10; see philox.h.
 */
#include "generate/philox.h"

/* The paper's multipliers, and its Weyl steps of the key: the golden ratio and sqrt(3) - 1. */
enum { N_ROUND = 10 };
static const uint32_t mul0 = 0xD2511F53, mul1 = 0xCD9E8D57;
static const uint32_t step0 = 0x9E3779B9, step1 = 0xBB67AE85;

void
llm_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
	uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
	uint32_t k0 = key[0], k1 = key[1];
	for (int round = 0; round < N_ROUND; round++) {
		uint64_t a = (uint64_t)mul0 * c0, b = (uint64_t)mul1 * c2;
		c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
		c1 = (uint32_t)b;
		c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
		c3 = (uint32_t)a;
		k0 += step0;
		k1 += step1;
	}
	out[0] = c0;
	out[1] = c1;
	out[2] = c2;
	out[3] = c3;
}

double
llm_philox_uniform(uint64_t seed, uint32_t choice, uint32_t pos)
{
	const uint32_t counter[4] = {pos, choice, 0, 0};
	const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
	uint32_t x[4];
	llm_philox(x, counter, key);
	return (double)(((uint64_t)x[1] << 32 | x[0]) >> 11) * 0x1p-53;
}
