/*
 * SPDX-License-Identifier: ISC
 *
 * What the daemon said, as records for pipes: TSV, or JSON; see ctl.h.
 */
#include "bin/ctl.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* A text after a tab.  Clients name themselves: what a terminal would obey is escaped too. */
static void
field(struct llm_wire_bytes s)
{
	tool_printf("\t");
	for (size_t i = 0, from = 0; i <= s.n; i++) {
		unsigned char c = i < s.n ? (unsigned char)s.s[i] : 0;
		if (i < s.n &&
		    ((c >= 0x20 && c != 0x7F) || c == '\t' || c == '\n' || c == '\r'))
			continue;
		tool_tsv(s.s + from, i - from);
		if (i < s.n)
			tool_printf("\\x%02X", c);
		from = i + 1;
	}
}

void
ctl_print_status(const struct ctl_status *s)
{
	tool_printf("daemon\t%" PRId64 "\t%.1f\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64
		    "\t%.1f\n",
	    s->pid, (double)s->uptime_ms / 1000, s->memory_bytes, s->budget_bytes, s->running,
	    s->queue, s->tok_s);
	for (size_t i = 0; i < s->n_model; i++) {
		const struct ctl_model *m = &s->model[i];
		tool_printf("model");
		field(m->name);
		tool_printf("\t%" PRId64 "\t%" PRId64, m->n_bytes, m->kv_bytes);
		field(m->shared);
		tool_printf("\t%s", m->locked ? "locked" : "-");
		field(m->state);
		tool_printf("\t%" PRId64, m->jobs);
		field(m->path);
		tool_printf("\n");
	}
	for (size_t i = 0; i < s->n_peer; i++) {
		const struct ctl_peer *p = &s->peer[i];
		tool_printf("client\t%" PRId64, p->pid);
		field(p->name);
		field(p->class);
		tool_printf("\t%" PRId64 "\t%" PRId64 "\n", p->jobs, p->tokens);
	}
}

static void
quantiles(const double ms[CTL_QUANTILES])
{
	for (int i = 0; i < CTL_QUANTILES; i++)
		if (isnan(ms[i]))
			tool_printf("\t-");
		else
			tool_printf("\t%.3f", ms[i]);
}

void
ctl_print_stats(const struct ctl_stats *s)
{
	for (size_t i = 0; i < s->n_class; i++) {
		const struct ctl_class *c = &s->class[i];
		tool_printf("class\t%s\t%" PRId64 "\t%" PRId64, c->name, c->n, c->tokens);
		quantiles(c->queue_ms);
		quantiles(c->prefill_ms);
		quantiles(c->decode_ms);
		tool_printf("\n");
	}
	for (size_t i = 0; i < llm_wire_n(s->counters); i++) {
		struct llm_wire_bytes key;
		double v;
		if (!llm_wire_as_float(&v, llm_wire_pair(&key, s->counters, i)))
			continue;
		tool_printf("counter");
		field(key);
		tool_printf("\t%.15g\n", v);
	}
}

/* Recursive: a message is nested 32 deep at most. */
void
ctl_print_json(const struct llm_wire_value *v)
{
	struct llm_wire_bytes s;
	int64_t i;
	uint64_t u;
	double x;
	bool b;
	if (llm_wire_is_map(v) || llm_wire_is_array(v)) {
		bool map = llm_wire_is_map(v);
		tool_printf(map ? "{" : "[");
		for (size_t k = 0; k < llm_wire_n(v); k++) {
			const struct llm_wire_value *item =
			    map ? llm_wire_pair(&s, v, k) : llm_wire_item(v, k);
			if (k > 0)
				tool_printf(",");
			if (map) {
				tool_json(s.s, s.n);
				tool_printf(":");
			}
			ctl_print_json(item);
		}
		tool_printf(map ? "}" : "]");
	} else if (llm_wire_as_bytes(&s, v)) {
		tool_json(s.s, s.n);
	} else if (llm_wire_as_bool(&b, v)) {
		tool_printf(b ? "true" : "false");
	} else if (llm_wire_as_int(&i, v)) {
		tool_printf("%" PRId64, i);
	} else if (llm_wire_as_uint(&u, v)) {
		tool_printf("%" PRIu64, u);
	} else if (llm_wire_as_float(&x, v) && isfinite(x)) {
		tool_printf("%.9g", x);
	} else {
		tool_printf("null");
	}
}
