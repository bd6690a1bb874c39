/*
 * SPDX-License-Identifier: ISC
 *
 * Philox against the known answers that its authors publish (Random123, kat_vectors).
 */
#include "generate/philox.h"
#include "tests/tap.h"

#include <string.h>

struct known {
	uint32_t counter[4], key[2], answer[4];
};

static const struct known known[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff},
	{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0},
	{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

int
main(void)
{
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		uint32_t out[4];
		llm_philox(out, known[i].counter, known[i].key);
		tap_ok(memcmp(out, known[i].answer, sizeof out) == 0,
		    "philox4x32-10 gives published answer %zu", i + 1);
	}
	/* 0xe169c58d6627e8d5 >> 11, of the first known answer. */
	tap_ok(llm_philox_uniform(0, 0, 0) == (double)(0xe169c58d6627e8d5u >> 11) / 0x1p53,
	    "a uniform number is the first 53 bits of the answer");
	double sum = 0, sum2 = 0, least = 1, most = 0;
	enum { N = 100000 };
	for (uint32_t pos = 0; pos < N; pos++) {
		double u = llm_philox_uniform(42, 0, pos);
		sum += u;
		sum2 += u * u;
		least = u < least ? u : least;
		most = u > most ? u : most;
	}
	/* Mean 1/2 and mean square 1/3; five standard errors are 0.0046 and 0.0047. */
	tap_ok(sum / N > 0.495 && sum / N < 0.505 && sum2 / N > 0.328 && sum2 / N < 0.338,
	    "draws at successive positions are spread evenly: mean %.4f", sum / N);
	tap_ok(least >= 0 && most < 1, "draws lie in [0, 1)");
	tap_ok(llm_philox_uniform(1, 0, 7) != llm_philox_uniform(2, 0, 7) &&
		   llm_philox_uniform(1, 0, 7) !=
		       llm_philox_uniform((uint64_t)1 << 32 | 1, 0, 7) &&
		   llm_philox_uniform(1, 0, 7) != llm_philox_uniform(1, 1, 7) &&
		   llm_philox_uniform(1, 0, 7) != llm_philox_uniform(1, 0, 8),
	    "both halves of the seed, the choice and the position each change a draw");
	return tap_done();
}
