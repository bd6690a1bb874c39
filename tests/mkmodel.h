/*
 * SPDX-License-Identifier: ISC
 *
 * A maker of models for tests and benches: any shape of the Llama family with seeded random weights
 * of any type, and a vocabulary that tokenizes.  The same parameters give the same bytes on every
 * machine.  `mkgguf -h` is the same from the command line.
 */
#ifndef LLM_TESTS_MKMODEL_H
#define LLM_TESTS_MKMODEL_H

#include "tests/mkmodel_file.h"

/*
 * What to make.  Begin with mkmodel_shape and change fields.
 */
struct mkmodel {
	const char *shape; /* its name */
	int n_layer, n_embd, n_head, n_head_kv, d_head, n_ff, n_vocab, n_ctx;
	double theta, norm_eps;
	double rope_factor; /* > 0: Llama 3.1 divisors in rope_freqs.weight, of this factor */
	bool tied;
	const char *type; /* a type of weights or a mix: Q4_K_M Q5_K_M Q3_K_M SMOLLM2 */
	const char
	    *vocab; /* gpt2 (smollm rule), llama3, spm, none, or the path of a GGUF file */
	const char *chat_template; /* text; NULL: ChatML for gpt2, else none */
	uint64_t seed;
	bool encode; /* weights are those of type F32, quantised, where the type allows */
};

/*
 * mkmodel_shape - the parameters of a name:
 *	tiny	3 layers, 64, 4 heads on 2, d_head 16, n_ff 160, vocabulary 512 (32-multiples only)
 *	tinyk	2 layers, 256, 4 heads on 1, d_head 64, n_ff 512, vocabulary 512 (fit for K-quants)
 *	odd	2 layers, 288, 9 heads on 3, d_head 32, n_ff 864, vocabulary 515
 *	15M 135M 1B 3B 8B	as published
 * False for an unknown name.
 */
bool mkmodel_shape(struct mkmodel *m, const char *name);

/*
 * mkmodel_new - keys and tensors of the model, to be changed and written.  NULL, with a line on
 * stderr, where the parameters make no sense.
 */
struct mkfile *mkmodel_new(const struct mkmodel *m);

/* The vocabulary's keys into f; false, with a line on stderr, for an unknown one. */
bool mkmodel_vocab(struct mkfile *f, const struct mkmodel *m);

#endif
