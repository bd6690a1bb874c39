/*
 * SPDX-License-Identifier: ISC
 *
 * Logits to one token; see sampler.h.  The order is a full sort's, but only as much of it is worked out
 * as the draw needs: candidates come in bands below the largest logit, each band in a heap.
 *
 * A candidate weighs w = rint(exp((l - max) / temp) * 2^34), a whole number.  Up to 2^19 of them sum to
 * at most 2^53, exactly, in a double as in an integer and in any order: so the total, which the contract
 * wants summed in the order of the candidates, needs no sort.  What weighs 0 was below 2^-35 of the first.
 */
#include "generate/sampler.h"
#include "generate/philox.h"
#include "libcore/fmath.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct candidate {
	float logit;
	llm_token id;
};

struct llm_sampler {
	struct llm_sampling params;
	struct llm_bias *bias; /* params.bias, owned */
	const struct llm_vector_kernels *vector;
	int n_vocab;
	llm_token window[LLM_SAMPLER_WINDOW]; /* a ring */
	size_t n_window;                      /* ever accepted */
	/* The order as far as it is known: order[0..n_order), then what waits in heap[0..n_heap), then
	 * every logit below floor. */
	struct candidate *order, *heap;
	int n_order, n_heap;
	float floor;
};

static const double weight_unit = 0x1p34;

/* Stands before: a larger logit, or the lower id of two equal. */
static bool
before(struct candidate a, struct candidate b)
{
	return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

static void
heap_sink(struct candidate *heap, int n, int i)
{
	struct candidate c = heap[i];
	for (int child; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && before(heap[child + 1], heap[child]))
			child++;
		if (!before(heap[child], c))
			break;
		heap[i] = heap[child];
	}
	heap[i] = c;
}

/* Gathers the logits of [low, floor) into the empty heap. */
static void
heap_fill(struct llm_sampler *s, const float *logits, float low)
{
	int n = 0;
	for (int i = 0; i < s->n_vocab; i++) {
		s->heap[n] = (struct candidate){.logit = logits[i], .id = i};
		n += logits[i] >= low && logits[i] < s->floor;
	}
	for (int i = n / 2 - 1; i >= 0; i--)
		heap_sink(s->heap, n, i);
	s->n_heap = n;
	s->floor = low;
}

/* The next candidate in order, appended to it; false when all that are not banned are there. */
static bool
order_next(struct llm_sampler *s, const float *logits)
{
	/* Two nats: most draws end in the first bands, and few bands hold all that weighs anything. */
	while (s->n_heap == 0) {
		if (s->floor == -INFINITY)
			return false;
		float low = s->floor == INFINITY ? s->order[0].logit : s->floor;
		float next = low - 2 * s->params.temp;
		/* Too small a step to move, or down to where the last weights end: the rest at once. */
		bool last = !(next < low) || next < s->order[0].logit - 26 * s->params.temp;
		heap_fill(s, logits, last ? -INFINITY : next);
	}
	s->order[s->n_order++] = s->heap[0];
	s->heap[0] = s->heap[--s->n_heap];
	heap_sink(s->heap, s->n_heap, 0);
	return true;
}

static double
weight(const struct llm_sampler *s, float p)
{
	/* Adding and taking 2^52 rounds to whole numbers, nearest even: rint, without a call. */
	double w = ((double)p * weight_unit + 0x1p52) - 0x1p52;
	return (double)p < s->params.min_p ? 0.0 : w;
}

static double
weight_of(const struct llm_sampler *s, float logit, float max)
{
	return weight(s, llm_expf((logit - max) / s->params.temp));
}

/* What all candidates weigh. */
static double
weigh_all(const struct llm_sampler *s, const float *logits, float max)
{
	enum { N = 256 };
	float p[N];
	double total = 0;
	for (int i = 0; i < s->n_vocab; i += N) {
		int n = s->n_vocab - i < N ? s->n_vocab - i : N;
		for (int k = 0; k < n; k++)
			p[k] = (logits[i + k] - max) / s->params.temp;
		s->vector->exp(p, p, n);
		for (int k = 0; k < n; k++)
			total += weight(s, p[k]);
	}
	return total;
}

/* Candidate i of the order, worked out where it was not yet; NULL past the last. */
static const struct candidate *
order_at(struct llm_sampler *s, const float *logits, int i)
{
	while (s->n_order <= i)
		if (!order_next(s, logits))
			return NULL;
	return &s->order[i];
}

static llm_token
draw(struct llm_sampler *s, const float *logits, float max, double u)
{
	const struct llm_sampling *p = &s->params;
	const struct candidate *c;
	int k = p->top_k > 0 && p->top_k < s->n_vocab ? p->top_k : s->n_vocab;
	double total = 0, sum = 0;
	s->n_order = s->n_heap = 0;
	s->floor = INFINITY;
	s->order[0].logit =
	    max; /* where the bands begin; the first candidate takes its place */
	if (k == s->n_vocab)
		total = weigh_all(s, logits, max);
	else
		for (int i = 0; i < k && (c = order_at(s, logits, i)) != NULL; i++)
			total += weight_of(s, c->logit, max);
	if (p->top_p < 1) {
		double share = p->top_p * total;
		for (int i = 0; i < k && (c = order_at(s, logits, i)) != NULL; i++) {
			sum += weight_of(s, c->logit, max);
			if (sum >= share)
				break;
		}
		total = sum;
		sum = 0;
	}
	/* u < 1 and total is whole, so the product rounds to less than total, and some sum is beyond it. */
	double target = floor(u * total);
	llm_token last = 0;
	for (int i = 0; i < k && (c = order_at(s, logits, i)) != NULL; i++) {
		last = c->id;
		sum += weight_of(s, c->logit, max);
		if (sum > target)
			break;
	}
	return last;
}

static bool
all_finite(const float *x, int n)
{
	uint32_t bad = 0;
	for (int i = 0; i < n; i++) {
		uint32_t bits;
		memcpy(&bits, &x[i], sizeof bits);
		bad |= (bits & 0x7F800000) == 0x7F800000;
	}
	return !bad;
}

/* Each token of the window once, however often it is there. */
static void
penalise(const struct llm_sampler *s, float *logits)
{
	size_t n = s->n_window < LLM_SAMPLER_WINDOW ? s->n_window : LLM_SAMPLER_WINDOW;
	float penalty = s->params.repeat_penalty;
	for (size_t i = 0; i < n; i++) {
		size_t k = 0;
		while (k < i && s->window[k] != s->window[i])
			k++;
		if (k < i)
			continue;
		float *l = &logits[s->window[i]];
		*l = *l > 0 ? *l / penalty : *l * penalty;
	}
}

int
llm_sampler_choose(
    llm_token *out, struct llm_sampler *s, float *logits, int pos, struct llm_err *err)
{
	const struct llm_sampling *p = &s->params;
	if (!all_finite(logits, s->n_vocab))
		return llm_err_set(err, LLM_ENOTFINITE,
		    "a logit at position %d is not finite: the model or its file is broken",
		    pos);
	if (p->repeat_penalty != 1)
		penalise(s, logits);
	for (int i = 0; i < p->n_bias; i++)
		logits[p->bias[i].id] += p->bias[i].add;
	float max = s->vector->max(logits, s->n_vocab);
	if (max == -INFINITY)
		return llm_err_set(err, LLM_EUSAGE, "the logit biases ban every token");
	if (!(max < INFINITY))
		return llm_err_set(err, LLM_ENOTFINITE,
		    "the logit at position %d overflows under its penalty or bias", pos);
	if (p->temp > 0) {
		double u = llm_philox_uniform(p->seed, p->choice, (uint32_t)pos);
		*out = draw(s, logits, max, u);
		return 0;
	}
	llm_token best = 0;
	while (logits[best] != max)
		best++;
	*out = best;
	return 0;
}

void
llm_sampler_accept(struct llm_sampler *s, llm_token token)
{
	if (token >= 0 && token < s->n_vocab)
		s->window[s->n_window++ % LLM_SAMPLER_WINDOW] = token;
}

void
llm_sampler_reset(struct llm_sampler *s)
{
	s->n_window = 0;
}

static int
params_check(const struct llm_sampling *p, int n_vocab, struct llm_err *err)
{
	if (n_vocab < 1 || n_vocab > LLM_SAMPLER_MAX_VOCAB)
		return llm_err_set(err, LLM_EUNSUPPORTED,
		    "a vocabulary of %d tokens: at most %d", n_vocab,
		    (int)LLM_SAMPLER_MAX_VOCAB);
	if (!(p->temp >= 0 && p->temp < INFINITY) || p->top_k < 0 ||
	    !(p->top_p >= 0 && p->top_p <= 1) || !(p->min_p >= 0 && p->min_p <= 1) ||
	    !(p->repeat_penalty > 0 && p->repeat_penalty < INFINITY))
		return llm_err_set(err, LLM_EUSAGE, "a sampling value is out of range");
	for (int i = 0; i < p->n_bias; i++)
		if (p->bias[i].id < 0 || p->bias[i].id >= n_vocab ||
		    !(p->bias[i].add < INFINITY))
			return llm_err_set(err, LLM_EUSAGE,
			    "logit bias of token %d: the model has tokens 0 to %d",
			    (int)p->bias[i].id, n_vocab - 1);
	return 0;
}

int
llm_sampler_new(struct llm_sampler **out, const struct llm_sampling *params, int n_vocab,
    const struct llm_vector_kernels *vector, struct llm_err *err)
{
	int rc = params_check(params, n_vocab, err);
	if (rc < 0)
		return rc;
	struct llm_sampler *s = calloc(1, sizeof *s);
	size_t n = (size_t)n_vocab, n_bias = (size_t)params->n_bias;
	if (s == NULL)
		return llm_err_nomem(err, sizeof *s);
	s->params = *params;
	s->n_vocab = n_vocab;
	s->vector = vector != NULL ? vector : &llm_vector_generic;
	if (params->temp > 0) {
		/* One more: heap_fill writes before it knows whether the candidate stays. */
		s->order = malloc((n + 1) * sizeof *s->order);
		s->heap = malloc((n + 1) * sizeof *s->heap);
	}
	if (n_bias > 0 && (s->bias = malloc(n_bias * sizeof *s->bias)) != NULL)
		memcpy(s->bias, params->bias, n_bias * sizeof *s->bias);
	s->params.bias = s->bias;
	if ((params->temp > 0 && (s->order == NULL || s->heap == NULL)) ||
	    (n_bias > 0 && s->bias == NULL)) {
		llm_sampler_free(s);
		return llm_err_nomem(err, 2 * n * sizeof *s->order);
	}
	*out = s;
	return 0;
}

void
llm_sampler_free(struct llm_sampler *s)
{
	if (s == NULL)
		return;
	free(s->order);
	free(s->heap);
	free(s->bias);
	free(s);
}
