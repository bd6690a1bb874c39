/*
 * SPDX-License-Identifier: ISC
 *
 * The sampler against its definition: everything sorted, every sum taken in that order.
 */
#include "generate/philox.h"
#include "generate/sampler.h"
#include "libcore/fmath.h"
#include "tests/tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_VOCAB = 20000 };

struct pair {
	float logit;
	int id;
	double p;
};

static struct llm_err err;

static int
pair_order(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	if (x->logit != y->logit)
		return x->logit > y->logit ? -1 : 1;
	return x->id < y->id ? -1 : 1;
}

/* The definition, in double and without any rounding to whole weights. */
static llm_token
expected(const float *logits, int n, const struct llm_sampling *s, int pos)
{
	static struct pair pair[MAX_VOCAB];
	for (int i = 0; i < n; i++)
		pair[i] = (struct pair){.logit = logits[i], .id = i};
	qsort(pair, (size_t)n, sizeof *pair, pair_order);
	if (s->temp == 0)
		return pair[0].id;
	if (s->top_k > 0 && s->top_k < n)
		n = s->top_k;
	for (int i = 0; i < n; i++) {
		pair[i].p = (double)llm_expf((pair[i].logit - pair[0].logit) / s->temp);
		if (pair[i].p < s->min_p) {
			n = i;
			break;
		}
	}
	double total = 0, sum = 0;
	for (int i = 0; i < n; i++)
		total += pair[i].p;
	if (s->top_p < 1) {
		int kept = 0;
		do
			sum += pair[kept++].p;
		while (kept < n && sum < s->top_p * total);
		n = kept;
		total = sum;
		sum = 0;
	}
	double u = llm_philox_uniform(s->seed, s->choice, (uint32_t)pos);
	for (int i = 0; i < n; i++)
		if ((sum += pair[i].p) > u * total)
			return pair[i].id;
	return pair[n - 1].id;
}

static uint64_t state = 88172645463325252u;

static double
noise(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (double)(state >> 11) * 0x1p-53;
}

/* Logits of a shape: peaked, flat, all equal, few distinct values (ties), with huge gaps. */
static void
logits_fill(float *l, int n, int shape)
{
	for (int i = 0; i < n; i++) {
		double x = noise() + noise() + noise() - 1.5;
		l[i] = shape == 0   ? (float)(12 * x)
		       : shape == 1 ? (float)(0.01 * x)
		       : shape == 2 ? 3.5f
		       : shape == 3 ? rintf((float)(6 * x))
				    : (float)(x > 0.8 ? 1e6 * x : 20 * x);
	}
}

static llm_token
choose(const struct llm_sampling *s, const float *logits, int n, int pos)
{
	static float copy[MAX_VOCAB];
	struct llm_sampler *sampler = NULL;
	llm_token token = -1;
	memcpy(copy, logits, (size_t)n * sizeof *copy);
	if (llm_sampler_new(&sampler, s, n, NULL, &err) >= 0)
		llm_sampler_choose(&token, sampler, copy, pos, &err);
	llm_sampler_free(sampler);
	return token;
}

static void
against_definition(void)
{
	static const struct llm_sampling kinds[] = {
	    {.temp = 0, .top_p = 1, .repeat_penalty = 1},
	    {.temp = 1, .top_p = 1, .repeat_penalty = 1, .seed = 1},
	    {.temp = 0.6f, .top_p = 0.9, .repeat_penalty = 1, .seed = 2},
	    {.temp = 1.5f, .top_p = 1, .top_k = 40, .repeat_penalty = 1, .seed = 3},
	    {.temp = 0.8f, .top_p = 0.95, .top_k = 7, .repeat_penalty = 1, .seed = 4},
	    {.temp = 1, .top_p = 1, .min_p = 0.05, .repeat_penalty = 1, .seed = 5},
	    {.temp = 1.2f, .top_p = 0.5, .min_p = 0.01, .top_k = 1000, .repeat_penalty = 1},
	    {.temp = 1, .top_p = 0, .repeat_penalty = 1},
	    {.temp = 0.01f, .top_p = 0.9, .repeat_penalty = 1, .seed = 6},
	    {.temp = 50, .top_p = 0.99, .repeat_penalty = 1, .seed = 7},
	};
	static const int sizes[] = {1, 2, 255, 256, 257, 1000, MAX_VOCAB};
	static const char *const shapes[] = {"peaked", "flat", "equal", "tied", "gapped"};
	static float logits[MAX_VOCAB];
	for (int shape = 0; shape < 5; shape++) {
		int differ = 0, n_draw = 0;
		for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
			for (size_t z = 0; z < sizeof sizes / sizeof sizes[0]; z++)
				for (int pos = 0; pos < 12; pos++) {
					int n = sizes[z];
					logits_fill(logits, n, shape);
					differ += choose(&kinds[k], logits, n, pos) !=
						  expected(logits, n, &kinds[k], pos);
					n_draw++;
				}
		tap_ok(differ == 0, "%d draws from %s logits equal a full sort's (%d differ)",
		    n_draw, shapes[shape], differ);
	}
}

static void
frequencies(void)
{
	/* Probabilities 1/2, 1/4, 1/8, 1/8. */
	const float logits[4] = {logf(0.125f), logf(0.5f), logf(0.125f), logf(0.25f)};
	static const double wanted[4] = {0.125, 0.5, 0.125, 0.25};
	struct llm_sampling s = {.temp = 1, .top_p = 1, .repeat_penalty = 1, .seed = 9};
	enum { N = 40000 };
	int count[4] = {0};
	double worst = 0;
	for (int pos = 0; pos < N; pos++)
		count[choose(&s, logits, 4, pos)]++;
	for (int i = 0; i < 4; i++)
		worst = fmax(worst, fabs((double)count[i] / N - wanted[i]));
	tap_ok(worst < 0.0125, "tokens come as often as they are likely (off by %.4f)", worst);
}

static void
penalty_and_bias(void)
{
	struct llm_bias bias[] = {{.id = 2, .add = -INFINITY}, {.id = 0, .add = 4}};
	struct llm_sampling s = LLM_SAMPLING_GREEDY;
	struct llm_sampler *sampler;
	llm_token token;
	float logits[4];
	static const float start[4] = {-1, 3, 4, 2.5f};
	s.repeat_penalty = 1.5f;
	if (llm_sampler_new(&sampler, &s, 4, NULL, &err) < 0)
		return;
	llm_sampler_accept(sampler, 2);
	llm_sampler_accept(sampler, 2);
	llm_sampler_accept(sampler, 0);
	memcpy(logits, start, sizeof start);
	llm_sampler_choose(&token, sampler, logits, 0, &err);
	tap_ok(token == 1 && logits[2] == 4 / 1.5f && logits[0] == -1.5f,
	    "the repeat penalty counts a token once: a positive logit shrinks, a negative "
	    "grows");
	for (int i = 0; i < LLM_SAMPLER_WINDOW; i++)
		llm_sampler_accept(sampler, 3);
	memcpy(logits, start, sizeof start);
	llm_sampler_choose(&token, sampler, logits, 0, &err);
	tap_ok(token == 2, "a token that left the window is not held back");
	llm_sampler_reset(sampler);
	memcpy(logits, start, sizeof start);
	llm_sampler_choose(&token, sampler, logits, 0, &err);
	tap_ok(logits[3] == 2.5f, "a new answer has an empty window");
	llm_sampler_free(sampler);
	s = (struct llm_sampling)LLM_SAMPLING_GREEDY;
	s.bias = bias;
	s.n_bias = 2;
	tap_ok(choose(&s, start, 4, 0) == 0 && choose(&s, (float[]){-9, 3, 4, 2}, 4, 0) == 1,
	    "a bias is added, and minus infinity bans");
	s.temp = 1;
	int banned = 0;
	for (int pos = 0; pos < 2000; pos++)
		banned += choose(&s, (float[]){0, 0, 20, 0}, 4, pos) == 2;
	tap_ok(banned == 0, "a banned token is never drawn");
}

static void
refusals(void)
{
	struct llm_sampling s = LLM_SAMPLING_GREEDY;
	struct llm_sampler *sampler = NULL;
	static const float broken[] = {NAN, INFINITY, -INFINITY};
	llm_token token;
	for (int i = 0; i < 3; i++) {
		float logits[3] = {1, 2, broken[i]};
		llm_sampler_new(&sampler, &s, 3, NULL, &err);
		tap_ok(llm_sampler_choose(&token, sampler, logits, 0, &err) == LLM_ENOTFINITE,
		    "a logit of %g is refused", (double)broken[i]);
		llm_sampler_free(sampler);
	}
	struct llm_bias all[] = {{0, -INFINITY}, {1, -INFINITY}}, outside = {.id = 2, .add = 1};
	s.bias = all;
	s.n_bias = 2;
	llm_sampler_new(&sampler, &s, 2, NULL, &err);
	tap_ok(llm_sampler_choose(&token, sampler, (float[]){1, 2}, 0, &err) == LLM_EUSAGE,
	    "biases that ban every token are refused");
	llm_sampler_free(sampler);
	s.bias = &outside;
	s.n_bias = 1;
	tap_ok(llm_sampler_new(&sampler, &s, 2, NULL, &err) == LLM_EUSAGE,
	    "a bias on a token that the model has not is refused");
	s = (struct llm_sampling)LLM_SAMPLING_GREEDY;
	s.top_p = NAN;
	tap_ok(llm_sampler_new(&sampler, &s, 2, NULL, &err) == LLM_EUSAGE,
	    "a share that is no number is refused");
}

int
main(void)
{
	against_definition();
	frequencies();
	penalty_and_bias();
	refusals();
	return tap_done();
}
