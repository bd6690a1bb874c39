/*
 * SPDX-License-Identifier: ISC
 *
 * llm-bench: how fast a model runs here, and how near that is to what the machine can do.
 */
#include "bin/bench.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_BATCH = 512, N_DECODE = 32 };

static struct bench_list prefill, depth, batch, verify;
static int n_decode, n_rep = 5;
static bool json;

static const struct tool_option options[] = {
    {.letter = 'p',
	.name = "prefill",
	.metavar = "LIST",
	.help = "prefill prompts of so many tokens (1..2048)",
	.kind = TOOL_EACH,
	.dest = &prefill,
	.each = bench_list_take},
    {.letter = 'n',
	.name = "count",
	.metavar = "N",
	.help = "decode N tokens, one a pass (32)",
	.kind = TOOL_INT,
	.min = 1,
	.max = 1 << 20,
	.dest = &n_decode},
    {.letter = 'd',
	.name = "depth",
	.metavar = "LIST",
	.help = "decode after so many tokens (0,1k,4k,16k)",
	.kind = TOOL_EACH,
	.dest = &depth,
	.each = bench_list_take},
    {.letter = 'b',
	.name = "batch",
	.metavar = "LIST",
	.help = "decode so many sequences at once (1..16)",
	.kind = TOOL_EACH,
	.dest = &batch,
	.each = bench_list_take},
    {.name = "verify",
	.metavar = "LIST",
	.help = "passes of so many tokens of one sequence, as speculation makes them",
	.kind = TOOL_EACH,
	.dest = &verify,
	.each = bench_list_take},
    {.letter = 'r',
	.name = "repeat",
	.metavar = "N",
	.help = "time each N times, in turn (5)",
	.kind = TOOL_INT,
	.min = 1,
	.max = 1000,
	.dest = &n_rep},
    {.letter = 'j',
	.name = "json",
	.help = "print JSON Lines",
	.kind = TOOL_FLAG,
	.dest = &json},
    {0},
};

static const struct tool tool = {.name = "llm-bench",
    .operands = "",
    .purpose = "Time a model, beside what this machine can do.",
    .options = options,
    .more = {tool_run_options}};

/* The cases of all tests, those of one test together. */
struct cases {
	struct bench_case c[BENCH_N_TEST * BENCH_LIST + 1];
	int n;
};

static void
add(struct cases *all, enum bench_test test, int n, int d, int b)
{
	struct bench_sample *sample = calloc((size_t)n_rep, sizeof *sample);
	if (sample == NULL)
		tool_fail(LLM_ENOMEM, "out of memory");
	all->c[all->n++] =
	    (struct bench_case){.test = test, .n = n, .depth = d, .batch = b, .sample = sample};
}

/* Dies where a list has a number that an option does not take. */
static void
list_check(const struct bench_list *list, const char *option, int max)
{
	for (int i = 0; i < list->n; i++)
		if (list->v[i] < 1 || list->v[i] > max)
			tool_usage(
			    "%s %d: expected numbers from 1 to %d", option, list->v[i], max);
}

/* Dies where what was asked for is longer than the context. */
static void
context_check(const struct bench *b, int d, int n)
{
	int n_ctx = b->engine.model->config.n_ctx;
	if (d > n_ctx - n)
		tool_fail(LLM_ETOOLONG,
		    "%s: %d tokens at depth %d do not fit the context of %d tokens",
		    b->engine.name, n, d, n_ctx);
}

/* Without an option that names a test: all, of what fits the context. */
static void
defaults(int n_ctx)
{
	bool any = prefill.n > 0 || n_decode > 0 || depth.n > 0 || batch.n > 0 || verify.n > 0;
	if (!any) {
		bench_list_take("1..2048", &prefill);
		bench_list_limit(&prefill, n_ctx);
		bench_list_take("1..16", &batch);
	}
	bool decode = !any || n_decode > 0 || depth.n > 0;
	if (n_decode == 0)
		n_decode = N_DECODE < n_ctx ? N_DECODE : n_ctx;
	if (decode && depth.n == 0) {
		bench_list_take("0,1k,4k,16k", &depth);
		bench_list_limit(&depth, n_ctx > n_decode ? n_ctx - n_decode : 0);
	}
}

static void
cases_make(struct cases *all, const struct bench *b)
{
	for (int i = 0; i < prefill.n; i++) {
		context_check(b, 0, prefill.v[i]);
		add(all, BENCH_PREFILL, prefill.v[i], 0, 1);
	}
	for (int i = 0; i < depth.n; i++) {
		context_check(b, depth.v[i], n_decode);
		add(all, BENCH_DECODE, n_decode, depth.v[i], 1);
	}
	for (int i = 0; i < batch.n; i++) {
		context_check(b, 0, n_decode);
		add(all, BENCH_BATCH, n_decode, 0, batch.v[i]);
	}
	if (verify.n > 0) /* what the others cost is against one token */
		add(all, BENCH_VERIFY, 1, 0, 1);
	for (int i = 0; i < verify.n; i++) {
		context_check(b, 0, verify.v[i]);
		if (verify.v[i] > 1)
			add(all, BENCH_VERIFY, verify.v[i], 0, 1);
	}
}

/* Leaves a clean line where progress stood. */
static void
on_signal(int number)
{
	static const char clear[] = "\r\033[K";
	ssize_t ignored = write(STDERR_FILENO, clear, sizeof clear - 1);
	(void)ignored;
	raise(number); /* its default again, once the handler returns */
}

static void
watch(void)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

int
main(int argc, char **argv)
{
	static struct cases all;
	struct bench b = {.terminal = isatty(STDERR_FILENO)};
	int first = tool_start(&tool, argc, argv);
	tool_operands(argc, first, 0);
	if (tool_run.fit != LLM_FIT_NONE)
		tool_usage("--fit: there is no input to fit");
	list_check(&prefill, "--prefill", 1 << 30);
	list_check(&batch, "--batch", MAX_BATCH);
	list_check(&verify, "--verify", MAX_BATCH);
	tool_engine_open(&b.engine);
	tool_engine_pass(&b.engine);
	defaults(b.engine.model->config.n_ctx);
	b.n_rep = n_rep;
	b.n_verify = n_decode;
	b.json = json;
	cases_make(&all, &b);
	if (b.terminal)
		watch();
	bench_open(&b, all.c, all.n);
	for (int from = 0, to; from < all.n; from = to) {
		for (to = from + 1; to < all.n && all.c[to].test == all.c[from].test;)
			to++;
		bench_run(&b, all.c + from, to - from);
		bench_report(&b, all.c + from, to - from);
	}
	bench_close(&b);
	tool_engine_close(&b.engine);
	for (int i = 0; i < all.n; i++)
		free(all.c[i].sample);
	tool_exit(0);
}
