/*
 * SPDX-License-Identifier: ISC
 *
 * Counters and histograms; see stats.h.  A histogram has eight buckets to a doubling, so a quantile is right
 * to a tenth.
 */
#include "bin/daemon/stats.h"

#include <math.h>
#include <stdlib.h>

enum {
	PER_DOUBLING = 8,
	DOUBLINGS = 32, /* from a microsecond to over an hour */
	BUCKETS = PER_DOUBLING * DOUBLINGS,
	SECONDS = 8, /* that the rate looks back over */
};

struct histogram {
	uint64_t n;
	uint64_t bucket[BUCKETS];
};

struct class
{
	uint64_t n, n_token;
	struct histogram queue, prefill, decode; /* of microseconds; of decode a token's */
};

struct stats {
	uint64_t counter[STATS_N];
	struct class class[LLM_JOB_CLASSES];
	uint64_t second[SECONDS]; /* the second that token[i] is of */
	uint64_t token[SECONDS];
};

static const char *const counter_name[] = {
#define STATS_NAME(name, wire) wire,
    STATS_COUNTERS(STATS_NAME)
#undef STATS_NAME
};

static const char *const class_name[] = {
    [LLM_JOB_INTERACTIVE] = "interactive", [LLM_JOB_PIPE] = "pipe", [LLM_JOB_BATCH] = "batch"};

const char *stats_class_name(enum llm_job_class class)
{
	return class_name[class];
}

int
stats_new(struct stats **out, struct llm_err *err)
{
	*out = calloc(1, sizeof **out);
	return *out != NULL ? 0 : llm_err_nomem(err, sizeof **out);
}

void
stats_free(struct stats *s)
{
	free(s);
}

void
stats_count(struct stats *s, enum stats_counter c)
{
	s->counter[c]++;
}

void
stats_add(struct stats *s, enum stats_counter c, uint64_t n)
{
	s->counter[c] += n;
}

static void
histogram_add(struct histogram *h, double us)
{
	double at = us > 1 ? PER_DOUBLING * log2(us) : 0;
	h->n++;
	h->bucket[at < BUCKETS - 1 ? (int)at : BUCKETS - 1]++;
}

/* Milliseconds that a share of all stayed below: the middle of its bucket. */
static double
quantile(const struct histogram *h, double share)
{
	uint64_t before = 0, wanted = (uint64_t)ceil(share * (double)h->n);
	for (int i = 0; i < BUCKETS && h->n > 0; i++)
		if ((before += h->bucket[i]) >= wanted)
			return exp2((i + 0.5) / PER_DOUBLING) / 1000;
	return 0;
}

void
stats_job(struct stats *s, enum llm_job_class class, const struct llm_job_result *r)
{
	struct class *c = &s->class[class];
	c->n++;
	c->n_token += (uint64_t)r->answer.n_out;
	histogram_add(&c->queue, (double)r->queue_us);
	histogram_add(&c->prefill, (double)r->prefill_us);
	if (r->answer.n_out > 1)
		histogram_add(&c->decode, (double)r->decode_us / (r->answer.n_out - 1));
	stats_add(s, STATS_TOKENS_IN, (uint64_t)r->answer.n_prompt);
	stats_add(s, STATS_TOKENS_KEPT, (uint64_t)r->answer.n_kept);
	stats_add(s, STATS_TOKENS_OUT, (uint64_t)r->answer.n_out);
}

void
stats_tokens(struct stats *s, uint64_t n, uint64_t now_ms)
{
	uint64_t second = now_ms / 1000, at = second % SECONDS;
	if (s->second[at] != second) {
		s->second[at] = second;
		s->token[at] = 0;
	}
	s->token[at] += n;
}

double
stats_rate(const struct stats *s, uint64_t now_ms)
{
	uint64_t now = now_ms / 1000, sum = 0, first = now;
	for (int i = 0; i < SECONDS; i++) {
		if (s->second[i] + SECONDS <= now || s->token[i] == 0)
			continue;
		sum += s->token[i];
		first = s->second[i] < first ? s->second[i] : first;
	}
	double span = (double)(now_ms - first * 1000) / 1000;
	return sum > 0 ? (double)sum / (span > 1 ? span : 1) : 0;
}

static void
put(struct llm_wire_out *o, const char *key, const struct histogram *h)
{
	static const double shares[] = {0.5, 0.9, 0.99};
	llm_wire_open_array(o, key);
	for (int i = 0; i < 3; i++)
		llm_wire_put_float(o, NULL, quantile(h, shares[i]));
	llm_wire_close(o);
}

void
stats_put(struct llm_wire_out *o, const struct stats *s)
{
	llm_wire_open_array(o, "classes");
	for (int i = 0; i < LLM_JOB_CLASSES; i++) {
		const struct class *c = &s->class[i];
		llm_wire_open_map(o, NULL);
		llm_wire_put_str(o, "class", class_name[i]);
		llm_wire_put_uint(o, "n", c->n);
		llm_wire_put_uint(o, "tokens", c->n_token);
		put(o, "queue", &c->queue);
		put(o, "prefill", &c->prefill);
		put(o, "decode", &c->decode);
		llm_wire_close(o);
	}
	llm_wire_close(o);
	llm_wire_open_map(o, "counters");
	for (int i = 0; i < STATS_N; i++)
		llm_wire_put_uint(o, counter_name[i], s->counter[i]);
	llm_wire_close(o);
}
