/*
 * SPDX-License-Identifier: ISC
 *
 * Logits to one token.  In this order: repeat penalty, logit bias, temperature, top-k, min-p, top-p,
 * draw; temperature 0 takes the largest after the first two.  Candidates stand by logit, largest
 * first, then by id; every sum runs in that order.
 */
#ifndef LLM_SAMPLER_H
#define LLM_SAMPLER_H

#include "libcore/err.h"
#include "libcore/kernels/vector.h"
#include "libcore/token.h"

#include <stdint.h>

enum {
	LLM_SAMPLER_WINDOW = 256, /* latest tokens of the answer that the repeat penalty sees */
	LLM_SAMPLER_MAX_VOCAB = 1 << 19, /* so that sums of weights are exact, see sampler.c */
};

/* Added to one token's logit; -INFINITY bans it. */
struct llm_bias {
	llm_token id;
	float add;
};

/*
 * Plain data.  Starts from LLM_SAMPLING_GREEDY, which filters nothing.
 */
struct llm_sampling {
	/* 0: the largest logit. */
	float temp;
	/* Only the k first; 0: all. */
	int top_k;
	/* Only those with at least this share of the first one's probability. */
	double min_p;
	/* Of what is left, the shortest beginning with at least this share of its weight; 0: the first. */
	double top_p;
	/* Of a token in the window: divides its logit where that is positive, multiplies it else. */
	float repeat_penalty;
	/* What random numbers depend on, besides the position: see philox.h. */
	uint64_t seed;
	uint32_t choice; /* which of several answers to one prompt */
	const struct llm_bias *bias;
	int n_bias;
};

#define LLM_SAMPLING_GREEDY                                \
	{                                                  \
		.temp = 0, .top_p = 1, .repeat_penalty = 1 \
	}

/* Scratch and the window of one answer; opaque; used by one thread at a time. */
struct llm_sampler;

/*
 * llm_sampler_new - params are copied, the biases too.  vector NULL: the generic kernels.
 * LLM_EUSAGE: a value out of range, or a bias on an id that is not in the vocabulary.
 */
int llm_sampler_new(struct llm_sampler **out, const struct llm_sampling *params, int n_vocab,
    const struct llm_vector_kernels *vector, struct llm_err *err);
void llm_sampler_free(struct llm_sampler *s);

/*
 * llm_sampler_choose - the token for position pos of its sequence, given the tokens accepted so far.
 * logits: f32 [n_vocab], changed by penalty and bias.  Changes no state: a token that is chosen and not
 * accepted leaves no trace.  LLM_ENOTFINITE: a logit is not finite.
 */
int llm_sampler_choose(
    llm_token *out, struct llm_sampler *s, float *logits, int pos, struct llm_err *err);

/* The token becomes part of the answer. */
void llm_sampler_accept(struct llm_sampler *s, llm_token token);
/* A new answer begins. */
void llm_sampler_reset(struct llm_sampler *s);

#endif
