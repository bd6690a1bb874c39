/*
 * SPDX-License-Identifier: ISC
 *
 * What the daemon said, in the text format that Prometheus scrapes (exposition format 0.0.4): families of samples, each
 * after its HELP and TYPE lines; base units.  See ctl.h.
 */
#include "bin/ctl.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

static void
family(const char *name, const char *type, const char *help)
{
	tool_printf("# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value: backslash, quote and newline are escaped, other control bytes left out. */
static void
label(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] == '\\' || s[i] == '"')
			tool_printf("\\%c", s[i]);
		else if (s[i] == '\n')
			tool_printf("\\n");
		else if ((unsigned char)s[i] >= 0x20 && s[i] != 0x7F)
			tool_write(s + i, 1);
}

static void
value(double v)
{
	if (isnan(v))
		tool_printf(" NaN\n");
	else
		tool_printf(" %.15g\n", v);
}

static void
gauge(const char *name, const char *help, double v)
{
	family(name, "gauge", help);
	tool_printf("%s", name);
	value(v);
}

/* A summary of times, by class. */
static void
summary(const struct ctl_stats *s, const char *name, const char *help, size_t offset)
{
	family(name, "summary", help);
	for (size_t i = 0; i < s->n_class; i++) {
		const struct ctl_class *c = &s->class[i];
		double ms[CTL_QUANTILES];
		memcpy(ms, (const char *)c + offset, sizeof ms);
		for (int k = 0; k < CTL_QUANTILES; k++) {
			tool_printf("%s{class=\"", name);
			label(c->name, strlen(c->name));
			tool_printf("\",quantile=\"%g\"}", ctl_quantiles[k]);
			value(ms[k] / 1000);
		}
		tool_printf("%s_count{class=\"", name);
		label(c->name, strlen(c->name));
		tool_printf("\"} %.15g\n", (double)c->n);
	}
}

static void
total(const struct ctl_stats *s, const char *name, const char *help, size_t offset)
{
	family(name, "counter", help);
	for (size_t i = 0; i < s->n_class; i++) {
		const struct ctl_class *c = &s->class[i];
		int64_t v;
		memcpy(&v, (const char *)c + offset, sizeof v);
		tool_printf("%s{class=\"", name);
		label(c->name, strlen(c->name));
		tool_printf("\"}");
		value((double)v);
	}
}

/* The daemon's own counters, under their names. */
static void
counters(const struct llm_wire_value *map)
{
	for (size_t i = 0; i < llm_wire_n(map); i++) {
		struct llm_wire_bytes key;
		char name[80];
		double v;
		if (!llm_wire_as_float(&v, llm_wire_pair(&key, map, i)))
			continue;
		int n = snprintf(name, sizeof name, "llmd_%.*s_total",
		    (int)(key.n < 60 ? key.n : 60), key.s);
		for (int k = 0; k < n; k++)
			if (!isalnum((unsigned char)name[k]))
				name[k] = '_';
		family(
		    name, "counter", "Counted by the daemon since its start; see llmctl(1).");
		tool_printf("%s", name);
		value(v);
	}
}

void
ctl_prometheus_stats(const struct ctl_stats *s)
{
	total(s, "llmd_answers_total", "Answers that have ended, by class.",
	    offsetof(struct ctl_class, n));
	total(s, "llmd_answer_tokens_total", "Tokens of answers, by class.",
	    offsetof(struct ctl_class, tokens));
	summary(s, "llmd_queue_seconds", "From the coming of a request to its first pass.",
	    offsetof(struct ctl_class, queue_ms));
	summary(s, "llmd_prefill_seconds", "From there to the end of its prompt.",
	    offsetof(struct ctl_class, prefill_ms));
	summary(s, "llmd_decode_seconds", "For each token of its answer.",
	    offsetof(struct ctl_class, decode_ms));
	counters(s->counters);
}

static void
by_model(const struct ctl_status *s, const char *name, const char *help, size_t offset)
{
	family(name, "gauge", help);
	for (size_t i = 0; i < s->n_model; i++) {
		int64_t v;
		memcpy(&v, (const char *)&s->model[i] + offset, sizeof v);
		tool_printf("%s{model=\"", name);
		label(s->model[i].path.s, s->model[i].path.n);
		tool_printf("\"}");
		value((double)v);
	}
}

void
ctl_prometheus_status(const struct ctl_status *s)
{
	gauge("llmd_uptime_seconds", "Since the daemon's start.", (double)s->uptime_ms / 1000);
	gauge("llmd_memory_bytes", "Memory of models and contexts together.",
	    (double)s->memory_bytes);
	gauge("llmd_budget_bytes", "What that may be at most.", (double)s->budget_bytes);
	gauge("llmd_clients", "Connections.", (double)s->n_peer);
	gauge("llmd_running", "Requests in passes.", (double)s->running);
	gauge("llmd_queue", "Requests that wait.", (double)s->queue);
	gauge("llmd_decode_tokens_per_second", "Tokens of answers a second, lately.", s->tok_s);
	by_model(s, "llmd_model_bytes", "Weights.", offsetof(struct ctl_model, n_bytes));
	by_model(
	    s, "llmd_model_kv_bytes", "Keys and values.", offsetof(struct ctl_model, kv_bytes));
	by_model(s, "llmd_model_jobs", "Requests under way.", offsetof(struct ctl_model, jobs));
}
