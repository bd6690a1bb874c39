/*
 * SPDX-License-Identifier: ISC
 *
 * Threads beside another process that keeps one processor busy: the rate of all of them against that of
 * one thread, in turns.  A "token" is products of one vector with matrices of 160 MB in all, in as many
 * regions as a model of 1.2 billion weights has.
 * usage: busy [threads [seconds a turn]]; TSV on stdout: processor kept busy, threads, tokens a second,
 * ratio to one thread beside the same, threads at work in the end.
 */
#define _GNU_SOURCE /* affinity */
#include "libcore/clock.h"
#include "libcore/kernels/kernels.h"
#include "libcore/packed.h"
#include "libcore/pool.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N_COL = 2048, N_ROW = 2048, N_REGION = 70, TURNS = 3 };

struct bench {
	const struct llm_product_kernels *k;
	struct llm_product product;
	char *weights;
	size_t bytes; /* of one matrix */
	char *scratch;
	int matrix;
};

static void *
take(size_t n)
{
	void *p = aligned_alloc(64, (n + 127) & ~(size_t)63);
	if (p == NULL) {
		fprintf(stderr, "busy: out of memory\n");
		exit(71);
	}
	return memset(p, 0x11, n);
}

static void
multiply(void *arg, int begin, int end, int thread)
{
	struct bench *b = arg;
	struct llm_product p = b->product;
	p.w = b->weights + (size_t)b->matrix * b->bytes;
	b->k->run(&p, begin * 8, end * 8, b->scratch + (size_t)thread * LLM_PRODUCT_SCRATCH);
}

/* Tokens a second over so many seconds. */
static double
rate(struct bench *b, struct llm_pool *pool, double seconds)
{
	int n = 0;
	double t0 = llm_clock_s(), t;
	do {
		llm_pool_watch(pool);
		for (b->matrix = 0; b->matrix < N_REGION; b->matrix++)
			llm_pool_run(pool, multiply, b, N_ROW / 8, 4);
		n++;
	} while ((t = llm_clock_s() - t0) < seconds);
	return n / t;
}

/* A process that keeps the index-th of our processors busy; -1: none. */
static pid_t
busy_start(int index)
{
	cpu_set_t mask, one;
	pid_t id = index < 0 ? -1 : fork();
	if (id != 0)
		return id;
	CPU_ZERO(&one);
	if (sched_getaffinity(0, sizeof mask, &mask) == 0)
		for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
			if (CPU_ISSET(cpu, &mask) && index-- == 0)
				CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof one, &one);
	for (;;)
		__asm__ volatile("");
}

static void
busy_end(pid_t id)
{
	if (id <= 0)
		return;
	kill(id, SIGKILL);
	waitpid(id, NULL, 0);
}

static void
bench_init(struct bench *b, int n_thread)
{
	const struct llm_kernels *k = NULL;
	struct llm_act *x = take(sizeof *x);
	float *input = take(N_COL * sizeof *input);
	llm_kernels_get(&k, NULL, NULL);
	for (int i = 0; i < N_COL; i++)
		input[i] = (float)(i % 17) - 8;
	llm_act_init(x, take(llm_act_bytes(LLM_ACT_Q256, N_COL, 1)), LLM_ACT_Q256, N_COL, 1,
	    input, N_COL);
	k->product->quantize(x, 0, 1);
	*b = (struct bench){.k = k->product};
	b->bytes = N_ROW * llm_dtype_row_bytes(LLM_DTYPE_Q4_K_R8, N_COL);
	b->weights = take(b->bytes * N_REGION + 65536);
	b->scratch = take((size_t)n_thread * LLM_PRODUCT_SCRATCH);
	b->product = (struct llm_product){.type = LLM_DTYPE_Q4_K_R8,
	    .n_row = N_ROW,
	    .n_col = N_COL,
	    .x = x,
	    .y = take(N_ROW * sizeof(float)),
	    .y_stride = N_ROW};
}

int
main(int argc, char **argv)
{
	struct llm_err err = {0};
	struct llm_pool *one = NULL, *all = NULL;
	struct bench b;
	double seconds = argc > 2 ? atof(argv[2]) : 1;
	if (llm_pool_new(&one, 1, &err) < 0 ||
	    llm_pool_new(&all, argc > 1 ? atoi(argv[1]) : 0, &err) < 0) {
		fprintf(stderr, "busy: %s\n", err.msg);
		return 71;
	}
	int n_thread = llm_pool_n_thread(all);
	bench_init(&b, n_thread);
	for (int busy = -1; busy < 2; busy++) {
		pid_t id = busy_start(busy);
		double sum_one = 0, sum_all = 0;
		for (int turn = 0; turn < TURNS; turn++) {
			sum_one += rate(&b, one, seconds);
			sum_all += rate(&b, all, seconds);
		}
		busy_end(id);
		printf("%d\t%d\t%.1f\t%.3f\t%d\n", busy, n_thread, sum_all / TURNS,
		    sum_all / sum_one, llm_pool_n_active(all));
		fflush(stdout);
	}
	llm_pool_free(one);
	llm_pool_free(all);
	return 0;
}
