/*
 * SPDX-License-Identifier: ISC
 *
 * What passes take, from what they took: a pass of answers alone by its rows, and on top of that a price a row
 * of prompt.  Moving means, so that they follow depth of contexts and load of the machine.
 */
#include "generate/scheduler_private.h"

enum {
	FIRST = 32,  /* units of prompt while nothing is known */
	LEAST = 8,   /* units that a step carries, however slow */
	TELLING = 4, /* that tell something */
};

/* Attention is arithmetic of floats: so much slower than that of weights, which is of 8 bits. */
static const double attention = 3;

/* Passes of answers are remembered by their rows, larger ones together. */
static const short sizes[1 + LLM_RATE_SIZES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
    14, 15, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024};

static int
size_of(int n)
{
	int at = n < LLM_RATE_EXACT ? n : LLM_RATE_EXACT;
	while (at < LLM_RATE_SIZES && sizes[at] < n)
		at++;
	return at;
}

/* Seconds of a pass of n rows of answers; 0: not known at all. */
static double
tokens_s(const struct llm_rate *r, int n)
{
	int size = size_of(n), at = size;
	if (n <= 0)
		return 0;
	if (r->token_s[size] > 0)
		return r->token_s[size];
	while (at > 0 && !(r->token_s[at] > 0))
		at--;
	if (at == 0)
		return r->row_s * n;
	/* Each row more costs what a prompt's does, or its share, at most. */
	double each = r->row_s > 0 ? r->row_s : r->token_s[at] / sizes[at];
	return r->token_s[at] + each * (n - sizes[at]);
}

/* What a pass takes before a row of a prompt is in it. */
static double
base_s(const struct llm_rate *r, int n_decode)
{
	return n_decode > 0 ? tokens_s(r, n_decode) : r->token_s[1];
}

/* The moving mean: slower is believed at once, since steps are bounded; faster in a few steps. */
static void
learn(double *mean, double now)
{
	*mean = *mean == 0    ? now
		: now > *mean ? 0.5 * (*mean + now)
			      : 0.75 * *mean + 0.25 * now;
}

void
llm_rate_learn(struct llm_rate *r, int n_decode, double units, double seconds)
{
	if (units == 0 && n_decode > 0)
		learn(&r->token_s[size_of(n_decode)], seconds);
	if (units < TELLING)
		return;
	/* A short one is hidden behind the reading of weights: it tells little of long ones. */
	if (units < 0.25 * r->stretch) {
		r->stretch *= 0.9;
		return;
	}
	double more = seconds - base_s(r, n_decode), least = 0.25 * seconds;
	/* Where what the answers took is thought too much of, it is not the prompt that was fast. */
	learn(&r->row_s, (more > least ? more : least) / units);
	r->stretch = units;
}

double
llm_rate_row(const struct llm_rate *r, int pos, bool logits)
{
	return 1 + r->depth * pos + (logits ? r->head : 0);
}

int
llm_rate_tokens(const struct llm_rate *r, int most, double step_s)
{
	int n = most < LLM_RATE_EXACT ? most : LLM_RATE_EXACT;
	while (n < most && tokens_s(r, n + 1) <= step_s)
		n++;
	return n;
}

double
llm_rate_units(const struct llm_rate *r, int n_decode, double step_s)
{
	double base = base_s(r, n_decode), most = 2 * (r->stretch > FIRST ? r->stretch : FIRST);
	if (!(r->row_s > 0))
		return FIRST;
	double units = ((step_s > 2 * base ? step_s : 2 * base) - base) / r->row_s;
	/* A row's price is known near where it was seen. */
	return units < LEAST ? LEAST : units > most ? most : units;
}

void
llm_rate_init(struct llm_rate *r, const struct llm_config *c)
{
	double n_embd = c->n_embd, d_head = c->d_head;
	double body =
	    c->n_layer * n_embd * (2 * d_head * (c->n_head + c->n_head_kv) + 3.0 * c->n_ff);
	double position = c->n_layer * 2 * d_head * c->n_head;
	*r = (struct llm_rate){
	    .head = n_embd * c->n_vocab / body, .depth = attention * position / body};
}
