/*
 * SPDX-License-Identifier: ISC
 *
 * What llm-bench prints of its samples: medians, and how far they lie apart.
 */
#include "bin/bench.h"

#include <stdlib.h>

const char *
bench_test_name(enum bench_test test)
{
	static const char *const names[] = {"prefill", "decode", "batch", "verify"};
	return names[test];
}

static int
order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Sorts x; the mean of the middle two where n is even. */
static double
median(double *x, int n)
{
	qsort(x, (size_t)n, sizeof *x, order);
	return (x[(n - 1) / 2] + x[n / 2]) / 2;
}

/* One figure of a sample; first: of the first case, taken in the same turn. */
typedef double (*figure)(const struct bench_sample *s, const struct bench_sample *first);

static double
tok_s(const struct bench_sample *s, const struct bench_sample *first)
{
	(void)first;
	return s->n_tok / s->s;
}

static double
share(const struct bench_sample *s, const struct bench_sample *first)
{
	(void)first;
	return s->share;
}

static double
cost(const struct bench_sample *s, const struct bench_sample *first)
{
	return s->s / s->n_pass / (first->s / first->n_pass);
}

static double
read_gb_s(const struct bench_sample *s, const struct bench_sample *first)
{
	(void)first;
	return s->read * 1e-9;
}

static double
int8_gop_s(const struct bench_sample *s, const struct bench_sample *first)
{
	(void)first;
	return s->int8 * 1e-9;
}

static double
f32_gflop_s(const struct bench_sample *s, const struct bench_sample *first)
{
	(void)first;
	return s->f32 * 1e-9;
}

/* Median over the samples of a case; spread: largest less smallest, over it. */
static double
figure_of(double *spread, const struct bench *b, const struct bench_case *c,
    const struct bench_case *first, figure f)
{
	double *x = malloc((size_t)b->n_rep * sizeof *x);
	if (x == NULL)
		tool_fail(LLM_ENOMEM, "out of memory");
	for (int i = 0; i < b->n_rep; i++)
		x[i] = f(&c->sample[i], &first->sample[i]);
	double m = median(x, b->n_rep);
	if (spread != NULL)
		*spread = (x[b->n_rep - 1] - x[0]) / m;
	free(x);
	return m;
}

/* Columns after those that say what was measured; of every test the same. */
static const struct column {
	const char *name;
	figure of;
	bool spread;   /* not it, but its spread */
	bool compared; /* of tests where passes compare with those of the first */
} columns[] = {
    {"tok_s", tok_s, false, false},
    {"limit_share", share, false, false},
    {"spread", tok_s, true, false},
    {"cost", cost, false, true},
    {"read_gb_s", read_gb_s, false, false},
    {"int8_gop_s", int8_gop_s, false, false},
    {"f32_gflop_s", f32_gflop_s, false, false},
};

/* Where the time of a case's passes went, in one line: phases of a half percent and more. */
static void
phases_note(const struct bench *b, const struct bench_case *c)
{
	char line[300];
	double sum = 0, wait = 0;
	int n = 0, n_pass = 0;
	for (int i = 0; i < LLM_PHASE_N; i++)
		if (i != LLM_PHASE_BETWEEN) {
			sum += (double)(c->phases.work_ns[i] + c->phases.wait_ns[i]);
			wait += (double)c->phases.wait_ns[i];
		}
	for (int i = 0; i < b->n_rep; i++)
		n_pass += c->sample[i].n_pass;
	for (int i = 0; i < LLM_PHASE_N && sum > 0; i++) {
		double share = 100 * (double)c->phases.work_ns[i] / sum;
		if (i != LLM_PHASE_BETWEEN && share >= 0.5 && n < 200)
			n += snprintf(line + n, sizeof line - (size_t)n, ", %s %.1f %%",
			    llm_phase_name((enum llm_phase)i), share);
	}
	if (sum > 0)
		tool_note("%s %d at %d by %d: %.4g ms a pass%s, waiting %.1f %%",
		    bench_test_name(c->test), c->n, c->depth, c->batch, sum * 1e-6 / n_pass,
		    n > 0 ? line : "", 100 * wait / sum);
}

void
bench_report(const struct bench *b, const struct bench_case *c, int n_case)
{
	for (int i = 0; i < n_case; i++) {
		const char *name = bench_test_name(c[i].test);
		tool_printf(b->json ? "{\"test\":\"%s\",\"n\":%d,\"depth\":%d,\"batch\":%d"
				    : "%s\t%d\t%d\t%d",
		    name, c[i].n, c[i].depth, c[i].batch);
		for (size_t k = 0; k < sizeof columns / sizeof columns[0]; k++) {
			double spread, v = figure_of(&spread, b, &c[i], &c[0], columns[k].of);
			bool none = columns[k].compared && c[i].test == BENCH_PREFILL;
			if (b->json)
				tool_printf(",\"%s\":", columns[k].name);
			else
				tool_printf("\t");
			if (none)
				tool_printf(b->json ? "null" : "-");
			else
				tool_printf("%.5g", columns[k].spread ? spread : v);
		}
		tool_printf(b->json ? "}\n" : "\n");
	}
	tool_flush();
	if (!tool_run.verbose)
		return;
	for (int i = 0; i < n_case; i++)
		phases_note(b, &c[i]);
	tool_note("memory was read by: %s", llm_limits_loop(b->limits));
}
