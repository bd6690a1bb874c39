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
#include <strings.h>

/*
 * Records a block: their vectors are read once for all queries of a product, and fit the second cache.
 * With fewer queries than FEW the dot alone keeps up with memory.  Scores are looked at by STRIDE.
 * With more queries than MANY they are laid out by columns, where the product has such a form.
 */
enum { BLOCK = 512, FEW = 4, STRIDE = 16, MANY = 48 };

/* What OpenBLAS multiplies without a copy of both sides made first: products of at most so many elements,
 * and so many multiplications. */
enum { SMALL = 1024, SMALL_WORK = 1000000 };

/* Candidates of one query that one thread has seen; those that can no longer be among the best go when
 * the list is full. */
struct list {
	struct llm_nearest_hit *hit;
	size_t n, cap;
	float *floor; /* below it none is taken; the search's own */
};

struct search {
	const struct llm_corpus *ix;
	const float *query;
	int n_query;
	const struct llm_nearest_params *params;
	struct list *list;   /* [n_thread][n_query] */
	const float *margin; /* [n_query] how much a proposal's score may be off, twice */
	bool *failed;        /* [n_thread] out of memory */
	float *floor;        /* [n_thread][n_pad] of the lists; past n_query: infinite */
	/* Of products, else NULL: */
	int n_pad;     /* n_query up to a multiple of STRIDE */
	int n_row;     /* records of one, at most BLOCK */
	float *score;  /* [n_thread][n_row][n_pad], past n_query zeros */
	float *column; /* the queries, [n_embd][n_pad]; NULL: as they are */
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
		*l->floor = l->hit[n_best - 1].score - margin;
		/* Of exact scores the earlier records among equals are known, of proposals not. */
		while (l->n > n_best && (margin == 0 || l->hit[l->n - 1].score < *l->floor))
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
			if (score >= *list[q].floor && llm_corpus_has(s->ix, i) &&
			    !list_add(&list[q], score, i, (size_t)s->params->n_best, 0))
				return false;
		}
	}
	return true;
}

/* Whether any of STRIDE scores reaches its floor: hardly ever, once the lists are full. */
static bool
any_reaches(const float *score, const float *floor)
{
	int any = 0;
	for (int i = 0; i < STRIDE; i++)
		any |= score[i] >= floor[i];
	return any != 0;
}

/* One record's scores by all queries. */
static bool
take(const struct search *s, struct list *list, const float *score, size_t record)
{
	const float *floor = list[0].floor;
	for (int q = 0; q < s->n_query; q++) {
		if (q % STRIDE == 0 && !any_reaches(score + q, floor + q)) {
			q += STRIDE - 1;
			continue;
		}
		if (score[q] >= floor[q] && llm_corpus_has(s->ix, record) &&
		    !list_add(
			&list[q], score[q], record, (size_t)s->params->n_best, s->margin[q]))
			return false;
	}
	return true;
}

/* Asks memory for the next product's records, of which n follow: it reads many rows side by side. */
static void
fetch(const float *v, size_t n, const struct search *s)
{
	size_t d = (size_t)s->ix->maker.n_embd, row = s->n_row < BLOCK ? (size_t)s->n_row : 0;
	for (size_t i = 0; i < (n < row ? n : row) * d; i += 16)
		__builtin_prefetch(v + i);
}

/* The same by matrix products. */
static bool
scan_products(const struct search *s, struct list *list, float *score, size_t begin, size_t end)
{
	int d = s->ix->maker.n_embd;
	for (size_t i = begin; i < end; i += (size_t)s->n_row) {
		int n = end - i < (size_t)s->n_row ? (int)(end - i) : s->n_row;
		const float *v = s->ix->vector + i * (size_t)d;
		fetch(v + (size_t)n * (size_t)d, end - i - (size_t)n, s);
		if (s->column != NULL)
			cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, s->n_pad, d,
			    1.0f, v, d, s->column, s->n_pad, 0.0f, score, s->n_pad);
		else
			cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, s->n_query, d,
			    1.0f, v, d, s->query, d, 0.0f, score, s->n_pad);
		for (int k = 0; k < n; k++)
			if (!take(s, list, score + (size_t)k * (size_t)s->n_pad, i + (size_t)k))
				return false;
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
		size_t part = (size_t)thread * (size_t)s->n_row * (size_t)s->n_pad;
		bool good = s->score == NULL
				? scan_dots(s, list, from, to)
				: scan_products(s, list, s->score + part, from, to);
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
lists_new(struct search *s, int n_thread)
{
	size_t cap = 4 * (size_t)s->params->n_best + 256;
	s->n_pad = (s->n_query + STRIDE - 1) / STRIDE * STRIDE;
	s->list = calloc((size_t)n_thread * (size_t)s->n_query, sizeof *s->list);
	s->floor = malloc((size_t)n_thread * (size_t)s->n_pad * sizeof *s->floor);
	if (s->list == NULL || s->floor == NULL)
		return false;
	for (int i = 0; i < n_thread * s->n_pad; i++) {
		int t = i / s->n_pad, q = i % s->n_pad;
		s->floor[i] = INFINITY;
		if (q >= s->n_query)
			continue;
		struct list *l = &s->list[t * s->n_query + q];
		*l = (struct list){
		    .hit = malloc(cap * sizeof *l->hit), .cap = cap, .floor = &s->floor[i]};
		s->floor[i] = -INFINITY;
		if (l->hit == NULL)
			return false;
	}
	return true;
}

/* Whether OpenBLAS has a way of its own for small products here: for AVX-512 alone (its version 0.3.21). */
static bool
small_is_fast(void)
{
	static const char *const names[] = {"SkylakeX", "Cooperlake", "SapphireRapids"};
	const char *name = openblas_get_corename();
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcasecmp(name, names[i]) == 0)
			return true;
	return false;
}

/* What products need, in the shape in which they are fast. */
static bool
products_new(struct search *s, int n_thread)
{
	int d = s->ix->maker.n_embd, most = SMALL_WORK / s->n_pad / d;
	s->n_row = BLOCK;
	if (small_is_fast() && most >= 8) {
		int n = most < SMALL / s->n_pad ? most : SMALL / s->n_pad;
		s->n_row = n < 8 ? 8 : n > BLOCK ? BLOCK : n / 8 * 8;
	}
	s->score =
	    calloc((size_t)n_thread * (size_t)s->n_row * (size_t)s->n_pad, sizeof *s->score);
	if (s->score == NULL)
		return false;
	if (s->n_row == BLOCK || s->n_query <= MANY)
		return true;
	s->column = calloc((size_t)d * (size_t)s->n_pad, sizeof *s->column);
	for (int q = 0; q < s->n_query && s->column != NULL; q++)
		for (int i = 0; i < d; i++)
			s->column[(size_t)i * (size_t)s->n_pad + (size_t)q] =
			    s->query[(size_t)q * (size_t)d + (size_t)i];
	return s->column != NULL;
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
	s.failed = calloc((size_t)n_thread, sizeof *s.failed);
	if (margin == NULL || s.failed == NULL || !lists_new(&s, n_thread) ||
	    (n_query >= FEW && !products_new(&s, n_thread)))
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
	free(s.floor);
	free(s.score);
	free(s.column);
	free(margin);
	return good || rc < 0 ? rc : llm_err_nomem(err, ix->n_record * sizeof *hits);
}
