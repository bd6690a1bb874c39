/*
 * SPDX-License-Identifier: ISC
 *
 * The nearest records: the same as by looking at all of them, to the bit, however many queries come at
 * once and however many threads look.
 */
#include "embed/corpus_write.h"
#include "embed/nearest.h"
#include "libcore/kernels/kernels.h"
#include "tests/tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N_EMBD = 48, N_RECORD = 5000, N_QUERY = 64, N_BEST = 7 };

static char path[] = "/tmp/llm-test-nearest.XXXXXX";
static struct llm_err err;
static uint64_t state = 1;

static float
uniform(void)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (float)(state >> 40) * 0x1p-23f - 1.0f;
}

/* Every tenth line is empty; vectors of `same` distinct values alone, so that many are equal. */
static void
make(struct llm_corpus *ix, int same)
{
	static const struct llm_corpus_maker maker = {
	    .model = "nearest", .numeric_version = 1, .n_embd = N_EMBD};
	struct llm_corpus_writer *w;
	llm_corpus_writer_new(&w, path, &maker, false, &err);
	for (int i = 0; i < N_RECORD; i++) {
		char text[32];
		float v[N_EMBD];
		size_t record;
		state = same > 0 ? (uint64_t)(i % same + 1) * 77 : state;
		for (int k = 0; k < N_EMBD; k++)
			v[k] = uniform();
		snprintf(text, sizeof text, "line %d", i);
		if (i % 10 == 3)
			text[0] = '\0';
		if (llm_corpus_writer_put(&record, w, text, strlen(text), &err) ==
		    LLM_CORPUS_NEW)
			llm_corpus_writer_vector(w, record, v, &err);
	}
	if (llm_corpus_writer_commit(w, &err) < 0 || (llm_corpus_close(ix), 0) ||
	    llm_corpus_open(ix, path, &err) < 0)
		printf("# %s\n", err.msg);
	llm_corpus_writer_free(w);
}

/* By looking at all records, in plain C. */
static void
look(struct llm_nearest_hit *best, const struct llm_corpus *ix, const float *query)
{
	int n = 0;
	for (size_t i = 0; i < ix->n_record; i++) {
		if (!llm_corpus_has(ix, i))
			continue;
		float s = llm_vector_generic.dot(ix->vector + i * N_EMBD, query, N_EMBD);
		int at = n;
		while (at > 0 && best[at - 1].score < s)
			at--;
		if (at == N_BEST)
			continue;
		if (n < N_BEST)
			n++;
		memmove(best + at + 1, best + at, (size_t)(n - 1 - at) * sizeof *best);
		best[at] = (struct llm_nearest_hit){s, i};
	}
}

static bool
equal(const struct llm_nearest_hit *a, const struct llm_nearest_hit *b, int n)
{
	for (int i = 0; i < n; i++)
		if (a[i].record != b[i].record ||
		    memcmp(&a[i].score, &b[i].score, sizeof a[i].score) != 0)
			return false;
	return true;
}

static void
same_answers(const struct llm_corpus *ix, const float *queries, const char *what)
{
	/* Each way to compute: dots, products of few and of many, whole and not. */
	static const int counts[] = {1, 4, 7, 20, 48, 49, 64};
	static struct llm_nearest_hit wanted[N_QUERY][N_BEST], got[N_QUERY][N_BEST];
	const struct llm_kernels *k;
	int n_hit[N_QUERY];
	for (int q = 0; q < N_QUERY; q++)
		look(wanted[q], ix, queries + q * N_EMBD);
	for (int i = 0; (k = llm_kernels_at(i)) != NULL; i++)
		for (int n_thread = 1; n_thread <= 3; n_thread += 2) {
			struct llm_pool *pool;
			llm_pool_new(&pool, n_thread, &err);
			struct llm_nearest_params p = {k->vector, pool, N_BEST};
			int good = 0, runs = 0;
			for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
				int at_once = counts[c];
				for (int q = 0; q + at_once <= N_QUERY; q += at_once, runs++) {
					good +=
					    llm_nearest(got[0], n_hit, ix, queries + q * N_EMBD,
						at_once, &p, &err) == 0 &&
					    n_hit[0] == N_BEST &&
					    n_hit[at_once - 1] == N_BEST &&
					    equal(got[0], wanted[q], at_once * N_BEST);
				}
			}
			tap_ok(good == runs,
			    "%s: %s, %d threads: the answers of looking at all", what, k->name,
			    n_thread);
			llm_pool_free(pool);
		}
}

static void
edges(const struct llm_corpus *ix, const float *queries)
{
	struct llm_nearest_hit *hits = malloc(4 * N_RECORD * sizeof *hits);
	float bad[N_EMBD] = {NAN};
	struct llm_pool *pool;
	int n_hit[4];
	llm_pool_new(&pool, 2, &err);
	struct llm_nearest_params p = {&llm_vector_generic, pool, N_RECORD};
	bool good = llm_nearest(hits, n_hit, ix, queries, 4, &p, &err) == 0;
	for (int i = 1; i < n_hit[3] && good; i++)
		good = hits[3 * N_RECORD + i - 1].score >= hits[3 * N_RECORD + i].score;
	tap_ok(good && n_hit[3] == N_RECORD - N_RECORD / 10,
	    "all records that have a vector, where as many are wanted");
	tap_ok(llm_nearest(hits, n_hit, ix, bad, 1, &p, &err) == LLM_ENOTFINITE,
	    "a query that is not finite is refused");
	llm_pool_free(pool);
	free(hits);
}

int
main(void)
{
	struct llm_corpus ix = {.n_record = 0};
	float queries[N_QUERY * N_EMBD];
	int fd = mkstemp(path);
	close(fd);
	for (int i = 0; i < N_QUERY * N_EMBD; i++)
		queries[i] = uniform();
	make(&ix, 0);
	same_answers(&ix, queries, "random vectors");
	edges(&ix, queries);
	make(&ix, 5);
	same_answers(&ix, queries, "vectors many of which are equal");
	llm_corpus_close(&ix);
	unlink(path);
	return tap_done();
}
