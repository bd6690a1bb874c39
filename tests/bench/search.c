/*
 * SPDX-License-Identifier: ISC
 *
 * The nearest of many vectors: one query beside the machine's read rate, many at once beside its multiply
 * peak, both measured in turn with it.
 * usage: search [records [dimensions [threads [file]]]]; TSV on stdout: queries, seconds (median, best),
 * GB/s, GFLOP/s, share of the limit that counts.
 */
#define _POSIX_C_SOURCE 200809L
#include "embed/corpus_write.h"
#include "embed/nearest.h"
#include "libcore/clock.h"
#include "libcore/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REPEAT = 7, MAX_QUERY = 64, N_BEST = 10 };

static struct llm_err err;

static _Noreturn void
die(void)
{
	fprintf(stderr, "search: %s\n", err.msg);
	exit(71);
}

static int
order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void
random_unit(float *v, int n, uint64_t *state)
{
	float sum = 0;
	for (int i = 0; i < n; i++) {
		*state = *state * 6364136223846793005u + 1442695040888963407u;
		v[i] = (float)(*state >> 40) * 0x1p-23f - 1.0f;
		sum += v[i] * v[i];
	}
	/* Newton's method: no more than a bench needs. */
	float r = 1.0f;
	for (int i = 0; i < 40; i++)
		r = 0.5f * (r + sum / r);
	for (int i = 0; i < n; i++)
		v[i] /= r;
}

static void
make(const char *path, int n_record, int n_embd)
{
	struct llm_corpus_maker maker = {
	    .model = "bench", .numeric_version = 1, .n_embd = n_embd, .normalized = true};
	struct llm_corpus_writer *w;
	float *v = malloc((size_t)n_embd * sizeof *v);
	uint64_t state = 1;
	if (v == NULL || llm_corpus_writer_new(&w, path, &maker, false, &err) < 0)
		die();
	for (int i = 0; i < n_record; i++) {
		char text[24];
		size_t record;
		int n = snprintf(text, sizeof text, "record %d", i);
		random_unit(v, n_embd, &state);
		if (llm_corpus_writer_put(&record, w, text, (size_t)n, &err) < 0 ||
		    llm_corpus_writer_vector(w, record, v, &err) < 0)
			die();
	}
	if (llm_corpus_writer_commit(w, &err) < 0)
		die();
	llm_corpus_writer_free(w);
	free(v);
}

static void
measure(const struct llm_corpus *ix, const struct llm_nearest_params *p,
    struct llm_limits *limits, const float *queries, int n_query)
{
	struct llm_nearest_hit *hits = calloc((size_t)n_query * N_BEST, sizeof *hits);
	int n_hit[MAX_QUERY];
	double took[REPEAT], share[REPEAT];
	double bytes = (double)ix->n_record * ix->maker.n_embd * (double)sizeof(float);
	for (int i = 0; i < REPEAT; i++) {
		double limit = n_query == 1 ? llm_limits_read(limits) : llm_limits_f32(limits);
		double begin = llm_clock_s();
		if (llm_nearest(hits, n_hit, ix, queries, n_query, p, &err) < 0)
			die();
		took[i] = llm_clock_s() - begin;
		share[i] = (n_query == 1 ? bytes : bytes / 2 * n_query) / took[i] / limit;
	}
	qsort(took, REPEAT, sizeof *took, order);
	qsort(share, REPEAT, sizeof *share, order);
	double median = took[REPEAT / 2];
	printf("%d\t%.4f\t%.4f\t%.1f\t%.1f\t%.2f of the %s\n", n_query, median, took[0],
	    bytes / median * 1e-9, bytes / 2 * n_query / median * 1e-9, share[REPEAT / 2],
	    n_query == 1 ? "read rate" : "f32 multiply peak");
	fflush(stdout);
	free(hits);
}

int
main(int argc, char **argv)
{
	static const int counts[] = {1, 2, 4, 8, 16, 64};
	int n_record = argc > 1 ? atoi(argv[1]) : 1000000,
	    n_embd = argc > 2 ? atoi(argv[2]) : 384;
	const char *path = argc > 4 ? argv[4] : "/tmp/llm-bench-search.idx";
	struct llm_corpus ix;
	struct llm_pool *pool;
	struct llm_limits *limits;
	const struct llm_kernels *k;
	uint64_t state = 99;
	if (argc <= 4 || access(path, R_OK) != 0)
		make(path, n_record, n_embd);
	float *queries = malloc((size_t)MAX_QUERY * (size_t)n_embd * sizeof *queries);
	if (llm_corpus_open(&ix, path, &err) < 0 ||
	    llm_pool_new(&pool, argc > 3 ? atoi(argv[3]) : 0, &err) < 0 ||
	    llm_kernels_get(&k, getenv("LLM_KERNELS"), &err) < 0 ||
	    llm_limits_new(&limits, pool, k, &err) < 0 ||
	    llm_limits_add(
		limits, ix.vector, ix.n_record * (size_t)n_embd * sizeof(float), &err) < 0)
		die();
	for (int i = 0; i < MAX_QUERY; i++)
		random_unit(queries + (size_t)i * (size_t)n_embd, n_embd, &state);
	struct llm_nearest_params p = {k->vector, pool, N_BEST};
	printf("queries\tseconds\tbest\tGB/s\tGFLOP/s\tshare\n");
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
		measure(&ix, &p, limits, queries, counts[i]);
	llm_limits_free(limits);
	llm_pool_free(pool);
	llm_corpus_close(&ix);
	free(queries);
	if (argc <= 4)
		unlink(path);
	return 0;
}
