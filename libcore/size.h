/*
 * SPDX-License-Identifier: ISC
 *
 * Checked arithmetic on sizes.  Nothing that a file, a socket or a user says is multiplied, added,
 * divided by or allocated but through these.  Each returns false, and leaves *out alone, when the
 * true result does not fit.
 */
#ifndef LLM_SIZE_H
#define LLM_SIZE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool
llm_size_add(size_t *out, size_t a, size_t b)
{
	size_t r;
	if (__builtin_add_overflow(a, b, &r))
		return false;
	*out = r;
	return true;
}

static inline bool
llm_size_mul(size_t *out, size_t a, size_t b)
{
	size_t r;
	if (__builtin_mul_overflow(a, b, &r))
		return false;
	*out = r;
	return true;
}

/* out = a / b; false too when b is 0 or does not divide a. */
static inline bool
llm_size_div(size_t *out, size_t a, size_t b)
{
	if (b == 0 || a % b != 0)
		return false;
	*out = a / b;
	return true;
}

/* out = n rounded up to a multiple of align; false too when align is no power of two. */
static inline bool
llm_size_align(size_t *out, size_t n, size_t align)
{
	size_t r;
	if (align == 0 || (align & (align - 1)) != 0 || !llm_size_add(&r, n, align - 1))
		return false;
	*out = r & ~(align - 1);
	return true;
}

/* A 64-bit count from a file as size_t. */
static inline bool
llm_size_from_u64(size_t *out, uint64_t n)
{
	if (n > SIZE_MAX / 2)
		return false;
	*out = (size_t)n;
	return true;
}

/* A 64-bit count from a file as an int within [min, max]. */
static inline bool
llm_size_to_int(int *out, uint64_t n, int min, int max)
{
	if (n > INT_MAX || (int)n < min || (int)n > max)
		return false;
	*out = (int)n;
	return true;
}

/* True where [offset, offset + length) lies inside [0, total). */
static inline bool
llm_size_within(size_t offset, size_t length, size_t total)
{
	return offset <= total && length <= total - offset;
}

#endif
