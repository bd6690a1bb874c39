/*
 * SPDX-License-Identifier: ISC
 *
 * A float as "%.9g" has it, many times faster: most values of a vector lie between 0.0001 and 1, where
 * integers of 128 bits hold the exact decimal.
 */
#include "bin/embed.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { DIGITS = 9 };

/* x * 10^scale, x = m * 2^-shift, as a whole number; *rest: what is left of it, of 2^shift. */
static uint64_t
scaled(unsigned __int128 *rest, uint32_t m, int shift, int scale)
{
	unsigned __int128 v = m;
	for (int i = 0; i < scale; i++)
		v *= 10;
	*rest = v & (((unsigned __int128)1 << shift) - 1);
	return (uint64_t)(v >> shift);
}

/* 0.0001 <= x < 1: the decimals, without the zeros at their end; returns how many. */
static int
decimals(char out[DIGITS + 4], uint32_t m, int shift)
{
	unsigned __int128 rest, half = (unsigned __int128)1 << (shift - 1);
	int zeros = 0;
	uint64_t q = scaled(&rest, m, shift, DIGITS);
	while (q < 100000000) /* the first digit that is none decides where nine of them end */
		q = scaled(&rest, m, shift, DIGITS + ++zeros);
	if (rest > half || (rest == half && q % 2 == 1))
		q++;
	int n = DIGITS + zeros;
	for (int i = n - 1; i >= 0; i--, q /= 10)
		out[i] = (char)('0' + q % 10);
	while (n > 0 && out[n - 1] == '0')
		n--;
	return q == 0 ? n : -1; /* rounded up to 1 */
}

size_t
embed_value(char out[EMBED_VALUE], float x)
{
	uint32_t bits;
	memcpy(&bits, &x, sizeof bits);
	int exponent = (int)(bits >> 23 & 0xFF);
	/* Under 2^-13 a value may be less than 0.0001. */
	if (exponent >= 127 - 13 && exponent < 127) {
		char digit[DIGITS + 4];
		int n = decimals(digit, (bits & 0x7FFFFF) | 0x800000, 150 - exponent);
		size_t used = 0;
		if (n > 0) {
			if (bits >> 31)
				out[used++] = '-';
			out[used++] = '0';
			out[used++] = '.';
			memcpy(out + used, digit, (size_t)n);
			return used + (size_t)n;
		}
	}
	return (size_t)snprintf(out, EMBED_VALUE, "%.9g", (double)x);
}
