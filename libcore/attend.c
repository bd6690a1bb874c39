/*
 * SPDX-License-Identifier: ISC
 *
 * Attention of many rows over their sequences' pages, shared among threads by (tile of queries, KV
 * head, segment of 1024 positions).  Segments are computed in any order and folded from the left, so
 * threads may share one long context without changing a bit.
 */
#include "libcore/pass.h"

#include <string.h>

struct attend {
	struct llm_pass *p;
	int layer;
	const struct llm_row *row;
	int n_row, n_tile, group;
	int seg0, seg1; /* segments of this wave */
	int n_seg;      /* of the longest row */
	struct llm_input *out;
};

/* Queries stand by KV head, then row, then head of the group. */
static size_t
query_index(const struct attend *a, int head_kv, int row, int head)
{
	return ((size_t)head_kv * (size_t)a->n_row + (size_t)row) * (size_t)a->group +
	       (size_t)head;
}

/* Where the result of one segment of one query goes: the first straight into the fold. */
struct partial {
	float *m, *l, *acc;
};

static struct partial
partial_at(const struct attend *a, int seg, size_t query)
{
	struct llm_scratch *s = &a->p->scratch;
	const struct llm_config *c = &a->p->model->config;
	size_t d = (size_t)c->d_head;
	if (seg == 0)
		return (struct partial){s->m + query, s->l + query, s->acc + query * d};
	int slot = seg - (a->seg0 > 0 ? a->seg0 : 1);
	size_t i = (size_t)slot * (size_t)a->n_row * (size_t)c->n_head + query;
	return (struct partial){s->pm + i, s->pl + i, s->pacc + i * d};
}

/* Cuts the rows, by runs of one sequence, into tiles of as many queries as the kernel takes. */
static int
tiles_cut(struct attend *a)
{
	struct llm_tile *tile = a->p->scratch.tile;
	int n = 0;
	for (int row0 = 0, end; row0 < a->n_row; row0 = end) {
		for (end = row0 + 1; end < a->n_row && a->row[end].seq == a->row[row0].seq;)
			end++;
		int queries = (end - row0) * a->group;
		for (int first = 0; first < queries; first += LLM_ATTENTION_QUERIES) {
			int last = first + LLM_ATTENTION_QUERIES;
			tile[n++] =
			    (struct llm_tile){row0, first, last < queries ? last : queries};
		}
	}
	return n;
}

/* One tile, KV head and segment. */
static void
item_run(
    const struct attend *a, const struct llm_tile *tile, int head_kv, int seg, void *scratch)
{
	struct llm_pass *p = a->p;
	const struct llm_config *c = &p->model->config;
	int n_pos[LLM_ATTENTION_QUERIES];
	const void *slot[LLM_KV_SEGMENT / LLM_KV_PAGE];
	int longest = 0, begin = seg * LLM_KV_SEGMENT;

	for (int i = tile->first; i < tile->end; i++) {
		int n = a->row[tile->row0 + i / a->group].pos + 1 - begin;
		n = n < 0 ? 0 : n < LLM_KV_SEGMENT ? n : LLM_KV_SEGMENT;
		n_pos[i - tile->first] = n;
		longest = n > longest ? n : longest;
	}
	if (longest == 0)
		return;
	const struct llm_seq *seq = a->row[tile->row0].seq;
	for (int i = 0; i * LLM_KV_PAGE < longest; i++)
		slot[i] = llm_seq_slot(seq, a->layer, head_kv, begin / LLM_KV_PAGE + i);

	size_t query = query_index(a, head_kv, tile->row0, 0) + (size_t)tile->first;
	struct partial to = partial_at(a, seg, query);
	const struct llm_attention call = {
	    .type = seq->type,
	    .d_head = c->d_head,
	    .n_q = tile->end - tile->first,
	    .q = p->scratch.query + query * (size_t)c->d_head,
	    .n_pos = n_pos,
	    .slot = slot,
	    .m = to.m,
	    .l = to.l,
	    .acc = to.acc,
	};
	p->kernels->attention->segment(&call, scratch);
}

/* Items go by segment, then KV head, then tile: neighbours share keys and values. */
static void
items_work(void *arg, int begin, int end, int thread)
{
	const struct attend *a = arg;
	int n_head_kv = a->p->model->config.n_head_kv;
	void *scratch = llm_pass_scratch(a->p, thread);
	for (int i = begin; i < end; i++) {
		int tile = i % a->n_tile, rest = i / a->n_tile;
		item_run(a, &a->p->scratch.tile[tile], rest % n_head_kv,
		    a->seg0 + rest / n_head_kv, scratch);
	}
}

/* Folds this wave's segments of one query; the first segment is the fold's beginning. */
static void
query_fold(const struct attend *a, int row, size_t query)
{
	struct llm_pass *p = a->p;
	struct partial sum = partial_at(a, 0, query);
	int seg = a->seg0 > 0 ? a->seg0 : 1;
	for (; seg < a->seg1 && seg * LLM_KV_SEGMENT <= a->row[row].pos; seg++) {
		struct partial part = partial_at(a, seg, query);
		p->kernels->attention->merge(
		    sum.m, sum.l, sum.acc, *part.m, *part.l, part.acc, p->model->config.d_head);
	}
}

static void
fold_work(void *arg, int begin, int end, int thread)
{
	const struct attend *a = arg;
	struct llm_pass *p = a->p;
	const struct llm_config *c = &p->model->config;
	(void)thread;
	for (int row = begin; row < end; row++) {
		float *y = p->scratch.q + (size_t)row * (size_t)c->n_head * (size_t)c->d_head;
		for (int head = 0; head < c->n_head; head++, y += c->d_head) {
			size_t query = query_index(a, head / a->group, row, head % a->group);
			query_fold(a, row, query);
			if (a->seg1 < a->n_seg)
				continue;
			struct partial sum = partial_at(a, 0, query);
			p->kernels->attention->finish(y, sum.acc, *sum.l, c->d_head);
		}
	}
	if (a->seg1 == a->n_seg)
		llm_input_fill(p, a->out, begin, end);
}

void
llm_attend(
    struct llm_pass *p, int layer, const struct llm_row *row, int n_row, struct llm_input *out)
{
	const struct llm_config *c = &p->model->config;
	struct attend a = {.p = p, .layer = layer, .row = row, .n_row = n_row, .out = out};
	a.group = c->n_head / c->n_head_kv;
	a.n_tile = tiles_cut(&a);
	for (int i = 0; i < n_row; i++) {
		int n = row[i].pos / LLM_KV_SEGMENT + 1;
		a.n_seg = n > a.n_seg ? n : a.n_seg;
	}
	/* As many segments at once as there is room for partial results; few rows, many segments. */
	int room = p->scratch.n_partial / n_row;
	for (a.seg0 = 0; a.seg0 < a.n_seg; a.seg0 = a.seg1) {
		a.seg1 = a.seg0 + room + (a.seg0 == 0);
		if (a.seg1 > a.n_seg)
			a.seg1 = a.n_seg;
		llm_pool_run(
		    p->pool, items_work, &a, (a.seg1 - a.seg0) * c->n_head_kv * a.n_tile, 1);
		llm_pool_run(p->pool, fold_work, &a, n_row, 4);
	}
}
