/*
 * SPDX-License-Identifier: ISC
 *
 * Nearest records; see nearest.h.  Threads take blocks of records; each keeps the best that it has seen
 * of each query, and what all have kept is sorted at the end.
 */
#include "embed/nearest.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/*
 * Records a block: their vectors are read once for all queries of a product, and fit the second cache.
 * With fewer queries than FEW the dot alone keeps up with memory.  Scores are looked at by STRIDE.
 */
enum { BLOCK = 512, FEW = 4, STRIDE = 16 };

/* Candidates of one query that one thread has seen; those that can no longer be among the best go when
 * the list is full. */
struct list {
	struct llm_nearest_hit *hit;
	size_t n, cap;
	float floor; /* below it none is taken */
};

struct search {
	const struct llm_corpus *ix;
	const float *query;
	int n_query;
	const struct llm_nearest_params *params;
	struct list *list;   /* [n_thread][n_query] */
	float *score;        /* [n_thread][n_query][BLOCK], of a product; NULL: few queries */
	const float *margin; /* [n_query] how much a proposal's score may be off, twice */
	bool *failed;        /* [n_thread] out of memory */
};

/* Best first. */
static int
order(const void *a, const void *b)
{
	const struct llm_nearest_hit *x = a, *y = b;
	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	return (x->record > y->record) - (x->record < y->record);
}

/* Drops what is too far below the n_best-th; false without memory for what stays. */
static bool
list_prune(struct list *l, size_t n_best, float margin)
{
	qsort(l->hit, l->n, sizeof *l->hit, order);
	if (l->n >= n_best) {
		l->floor = l->hit[n_best - 1].score - margin;
		/* Of exact scores the earlier records among equals are known, of proposals not. */
		while (l->n > n_best && (margin == 0 || l->hit[l->n - 1].score < l->floor))
			l->n--;
	}
	if (2 * l->n < l->cap)
		return true;
	size_t cap = 2 * l->cap;
	struct llm_nearest_hit *more =
	    cap > SIZE_MAX / sizeof *more ? NULL : realloc(l->hit, cap * sizeof *more);
	if (more == NULL)
		return false;
	l->hit = more;
	l->cap = cap;
	return true;
}

static bool
list_add(struct list *l, float score, size_t record, size_t n_best, float margin)
{
	l->hit[l->n++] = (struct llm_nearest_hit){score, record};
	return l->n < l->cap || list_prune(l, n_best, margin);
}

/* Records [begin, end) by their dots with each query. */
static bool
scan_dots(const struct search *s, struct list *list, size_t begin, size_t end)
{
	int d = s->ix->maker.n_embd;
	for (size_t i = begin; i < end; i++) {
		const float *v = s->ix->vector + i * (size_t)d;
		for (int q = 0; q < s->n_query; q++) {
			float score =
			    s->params->vector->dot(v, s->query + (size_t)q * (size_t)d, d);
			if (score >= list[q].floor && llm_corpus_has(s->ix, i) &&
			    !list_add(&list[q], score, i, (size_t)s->params->n_best, 0))
				return false;
		}
	}
	return true;
}

/* Whether any of STRIDE scores reaches the floor: hardly ever, once the list is full. */
static bool
any_reaches(const float *score, float floor)
{
	int any = 0;
	for (int i = 0; i < STRIDE; i++)
		any |= score[i] >= floor;
	return any != 0;
}

/* The same by a matrix product. */
static bool
scan_product(const struct search *s, struct list *list, float *score, size_t begin, size_t end)
{
	int d = s->ix->maker.n_embd, n = (int)(end - begin);
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, s->n_query, n, d, 1.0f, s->query,
	    d, s->ix->vector + begin * (size_t)d, d, 0.0f, score, BLOCK);
	for (int q = 0; q < s->n_query; q++, score += BLOCK) {
		for (int i = n; i % STRIDE != 0; i++)
			score[i] = NAN;
		for (int i = 0; i < n; i++) {
			if (i % STRIDE == 0 && !any_reaches(score + i, list[q].floor)) {
				i += STRIDE - 1;
				continue;
			}
			size_t record = begin + (size_t)i;
			if (score[i] >= list[q].floor && llm_corpus_has(s->ix, record) &&
			    !list_add(&list[q], score[i], record, (size_t)s->params->n_best,
				s->margin[q]))
				return false;
		}
	}
	return true;
}

static void
work(void *arg, int begin, int end, int thread)
{
	struct search *s = arg;
	struct list *list = s->list + (size_t)thread * (size_t)s->n_query;
	for (int b = begin; b < end && !s->failed[thread]; b++) {
		size_t from = (size_t)b * BLOCK, to = from + BLOCK;
		if (to > s->ix->n_record)
			to = s->ix->n_record;
		bool good =
		    s->score == NULL
			? scan_dots(s, list, from, to)
			: scan_product(s, list,
			      s->score + (size_t)thread * BLOCK * (size_t)s->n_query, from, to);
		s->failed[thread] = !good;
	}
}

/*
 * Two sums of the same d products in any order differ by at most 2 d u / (1 - d u) times the sum of
 * their sizes (Higham 2002, section 3.1), which is at most |query| |record|; the n_best-th of the
 * proposals and a proposal may both be off.
 */
static float
margin_of(const struct llm_corpus *ix, const float *query)
{
	double sum = 0, d = ix->maker.n_embd, u = 0x1p-24;
	for (int i = 0; i < ix->maker.n_embd; i++)
		sum += (double)query[i] * (double)query[i];
	double bound = 2 * d * u / (1 - d * u) * sqrt(sum) * (double)ix->longest;
	/* Products too small for a float round by more than their share. */
	return (float)(2.5 * bound + 1e-30);
}

/* The lists of all threads, scored, and the best of them. */
static bool
finish(struct search *s, struct llm_nearest_hit *hits, int *n_hit, int q)
{
	int n_thread = llm_pool_n_thread(s->params->pool), d = s->ix->maker.n_embd;
	struct list *all = &s->list[q];
	size_t n_best = (size_t)s->params->n_best;
	for (int t = 1; t < n_thread; t++) {
		const struct list *l = &s->list[(size_t)t * (size_t)s->n_query + (size_t)q];
		for (size_t i = 0; i < l->n; i++)
			if (!list_add(
				all, l->hit[i].score, l->hit[i].record, n_best, s->margin[q]))
				return false;
	}
	if (s->score != NULL)
		for (size_t i = 0; i < all->n; i++)
			all->hit[i].score = s->params->vector->dot(
			    s->ix->vector + all->hit[i].record * (size_t)d,
			    s->query + (size_t)q * (size_t)d, d);
	qsort(all->hit, all->n, sizeof *all->hit, order);
	*n_hit = (int)(all->n < n_best ? all->n : n_best);
	memcpy(hits, all->hit, (size_t)*n_hit * sizeof *hits);
	return true;
}

static bool
lists_new(struct search *s, int n_list)
{
	size_t cap = 4 * (size_t)s->params->n_best + 256;
	for (int i = 0; i < n_list; i++) {
		struct list *l = &s->list[i];
		*l = (struct list){.hit = malloc(cap * sizeof *l->hit), .cap = cap};
		l->floor = -INFINITY;
		if (l->hit == NULL)
			return false;
	}
	return true;
}

int
llm_nearest(struct llm_nearest_hit *hits, int *n_hit, const struct llm_corpus *ix,
    const float *queries, int n_query, const struct llm_nearest_params *params,
    struct llm_err *err)
{
	int n_thread = llm_pool_n_thread(params->pool), n_list = n_thread * n_query;
	float *margin = calloc((size_t)n_query, sizeof *margin);
	struct search s = {
	    .ix = ix, .query = queries, .n_query = n_query, .params = params, .margin = margin};
	bool good = false;
	int rc = 0;
	s.list = calloc((size_t)n_list, sizeof *s.list);
	s.failed = calloc((size_t)n_thread, sizeof *s.failed);
	if (n_query >= FEW)
		s.score = malloc((size_t)n_thread * BLOCK * (size_t)n_query * sizeof *s.score);
	if (margin == NULL || s.list == NULL || s.failed == NULL ||
	    (n_query >= FEW && s.score == NULL) || !lists_new(&s, n_list))
		goto out;
	for (int q = 0; q < n_query; q++) {
		float m = margin_of(ix, queries + (size_t)q * (size_t)ix->maker.n_embd);
		if (!(m < INFINITY)) {
			rc = llm_err_set(err, LLM_ENOTFINITE,
			    "query %d has a value that is not finite", q + 1);
			goto out;
		}
		margin[q] = n_query >= FEW ? m : 0;
	}
	/* Our threads share the work; OpenBLAS computes where it is called. */
	if (n_query >= FEW)
		openblas_set_num_threads(1);
	llm_pool_run(params->pool, work, &s, (int)((ix->n_record + BLOCK - 1) / BLOCK), 1);
	good = true;
	for (int t = 0; t < n_thread; t++)
		good = good && !s.failed[t];
	for (int q = 0; q < n_query && good; q++)
		good = finish(&s, hits + (size_t)q * (size_t)params->n_best, &n_hit[q], q);
out:
	for (int i = 0; i < n_list && s.list != NULL; i++)
		free(s.list[i].hit);
	free(s.list);
	free(s.failed);
	free(s.score);
	free(margin);
	return good || rc < 0 ? rc : llm_err_nomem(err, ix->n_record * sizeof *hits);
}
