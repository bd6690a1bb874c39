/*
 * SPDX-License-Identifier: ISC
 *
 * Random numbers without a state: what is drawn depends on the seed, the choice and the position of
 * the token alone, so that batching and speculation cannot shift a draw.
 */
#ifndef LLM_PHILOX_H
#define LLM_PHILOX_H

#include <stdint.h>

/*
 * llm_philox - Philox 4x32 with ten rounds: 128 random bits of a counter and a key.
 * Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
 */
void llm_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

/*
 * llm_philox_uniform - u in [0, 1), a multiple of 2^-53.
 *	x = philox(counter = {pos, choice, 0, 0}, key = {seed low half, seed high half})
 *	u = ((x[1] * 2^32 + x[0]) >> 11) * 2^-53
 */
double llm_philox_uniform(uint64_t seed, uint32_t choice, uint32_t pos);

#endif
