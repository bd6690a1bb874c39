/*
 * SPDX-License-Identifier: ISC
 *
 * The monotonic clock: how long something took, or has been waited for.  Of no meaning but by differences.
 */
#ifndef LLM_CLOCK_H
#define LLM_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t
llm_clock_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline int64_t
llm_clock_us(void)
{
	return llm_clock_ns() / 1000;
}

static inline int64_t
llm_clock_ms(void)
{
	return llm_clock_ns() / 1000000;
}

static inline double
llm_clock_s(void)
{
	return 1e-9 * (double)llm_clock_ns();
}

#endif
