/*
 * SPDX-License-Identifier: ISC
 *
 * The products of a pass: vectors in the kinds that weights want, and the regions in which threads
 * share the rows of one to three matrices that take the same input.
 */
#include "libcore/packed.h"
#include "libcore/pass.h"

#include <math.h>
#include <string.h>

enum {
	UNIT = 8,        /* rows of a matrix that kernels take together */
	PANEL_UNITS = 4, /* and that a panel of many tokens unpacks: 32 rows */
	FEW_TOKENS = 8,  /* up to so many, a product is read, not multiplied */
	/* Where there are fewer panels than this for a thread, they are cut by tokens too: in blocks of
	 * whole tiles (4 tokens, or 6), as many as make unpacking a panel small beside using it. */
	PANELS = 4,
	TILES = 12,
	BLOCK_LEAST = 48,
	/* Of weights that are read: with less, claiming a chunk shows beside it; with more, the others
	 * wait long for one who is held up. */
	CHUNK_LEAST = 32 * 1024,
	CHUNK_MOST = 512 * 1024,
	/* What is fetched early of a chunk: where four streams of packed weights begin, or the first rows; from
	 * there the kernels look ahead. */
	AHEAD_STREAMS = 4,
	AHEAD = 2048,
	LINE = 64,
};

void
llm_input_want(struct llm_pass *p, struct llm_input *in, const struct llm_matrix *w)
{
	enum llm_act_kind kind = llm_dtype_info(w->type)->act;
	in->want[p->params.precise ? LLM_ACT_F32 : kind] = true;
}

void
llm_input_init(struct llm_pass *p, struct llm_input *in, const float *x, int n_col, int n_tok)
{
	for (int kind = 0; kind < 3; kind++)
		if (in->want[kind])
			llm_act_init(&in->act[kind], p->scratch.act[kind],
			    (enum llm_act_kind)kind, n_col, n_tok, x, (size_t)n_col);
}

void
llm_row_check(struct llm_pass *p, const float *x, int n, int row)
{
	/* Whatever is not finite makes the sum so; large values may too, so that is looked into. */
	if (isfinite(p->kernels->vector->sum(x, n)))
		return;
	for (int i = 0; i < n; i++)
		if (!isfinite(x[i])) {
			atomic_store_explicit(&p->bad[row], true, memory_order_relaxed);
			atomic_store_explicit(&p->not_finite, true, memory_order_relaxed);
			return;
		}
}

void
llm_input_fill(struct llm_pass *p, struct llm_input *in, int t0, int t1)
{
	for (int kind = LLM_ACT_Q32; kind <= LLM_ACT_Q256; kind++) {
		struct llm_act *a = &in->act[kind];
		if (!in->want[kind] || p->kernels->product->quantize(a, t0, t1))
			continue;
		for (int t = t0; t < t1; t++)
			llm_row_check(p, a->x + (size_t)t * a->x_stride, a->n_col, t);
	}
}

/* Units [begin, end) of all rows, tokens [t0, t1). */
static void
products_part(const struct llm_products *a, int begin, int end, int t0, int t1, void *scratch)
{
	for (int i = 0; i < a->n; i++) {
		int b = begin > a->unit0[i] ? begin : a->unit0[i];
		int e = end < a->unit0[i + 1] ? end : a->unit0[i + 1];
		if (b >= e)
			continue;
		struct llm_product part = a->product[i];
		struct llm_act x = llm_act_part(part.x, t0, t1);
		int row1 = (e - a->unit0[i]) * UNIT;
		part.x = &x;
		part.y += (size_t)t0 * part.y_stride;
		a->p->kernels->product->run(&part, (b - a->unit0[i]) * UNIT,
		    row1 < part.n_row ? row1 : part.n_row, scratch);
	}
}

/* Units of a region: block of tokens by block of tokens, in each all rows. */
static void
products_work(void *arg, int begin, int end, int thread)
{
	const struct llm_products *a = arg;
	void *scratch = llm_pass_scratch(a->p, thread);
	int n_tok = a->product[0].x->n_tok, n_unit = a->unit0[a->n];
	while (begin < end) {
		int block = begin / n_unit, t0 = block * a->block_tok;
		int t1 = n_tok - t0 < a->block_tok ? n_tok : t0 + a->block_tok;
		int to = (block + 1) * n_unit < end ? (block + 1) * n_unit : end;
		products_part(a, begin - block * n_unit, to - block * n_unit, t0, t1, scratch);
		begin = to;
	}
}

/* Where kernels will begin to read units [begin, end) comes into the second cache. */
static void
products_ahead(void *arg, int begin, int end)
{
	const struct llm_products *a = arg;
	int i = 0;
	while (begin >= a->unit0[i + 1])
		i++;
	const struct llm_product *product = &a->product[i];
	size_t bytes = UNIT * llm_dtype_row_bytes(product->type, product->n_col);
	size_t n = (size_t)((end < a->unit0[i + 1] ? end : a->unit0[i + 1]) - begin) * bytes;
	size_t step = llm_packed_is(product->type) ? n / bytes / AHEAD_STREAMS * bytes : AHEAD;
	const char *w = (const char *)product->w + (size_t)(begin - a->unit0[i]) * bytes;
	for (size_t u = 0; u < AHEAD_STREAMS; u++)
		for (size_t at = u * step; at < n && at < u * step + AHEAD; at += LINE)
			__builtin_prefetch(w + at, 0, 2);
}

void
llm_products_add(
    struct llm_products *a, const struct llm_input *in, const struct llm_matrix *w, float *y)
{
	enum llm_act_kind kind =
	    a->p->params.precise ? LLM_ACT_F32 : llm_dtype_info(w->type)->act;
	a->product[a->n] = (struct llm_product){
	    .w = w->data,
	    .type = w->type,
	    .n_row = w->n_row,
	    .n_col = w->n_col,
	    .x = &in->act[kind],
	    .y = y,
	    .y_stride = (size_t)w->n_row,
	};
	a->unit0[a->n + 1] = a->unit0[a->n] + (w->n_row + UNIT - 1) / UNIT;
	a->n++;
}

/* Bytes of a unit of these products, on average. */
static size_t
unit_bytes(const struct llm_products *a)
{
	size_t bytes = 0;
	for (int i = 0; i < a->n; i++) {
		const struct llm_product *p = &a->product[i];
		bytes += (size_t)p->n_row * llm_dtype_row_bytes(p->type, p->n_col);
	}
	return bytes / (size_t)a->unit0[a->n] + 1;
}

/* Tokens of a block: all of n_tok, or so many that there are panels enough for all threads. */
static int
block_tokens(const struct llm_products *a, int n_tok)
{
	int n_panel = (a->unit0[a->n] + PANEL_UNITS - 1) / PANEL_UNITS;
	int wanted = PANELS * llm_pool_n_thread(a->p->pool);
	if (n_tok <= BLOCK_LEAST || n_panel >= wanted)
		return n_tok;
	int n_block = (wanted + n_panel - 1) / n_panel;
	int block = (n_tok + n_block - 1) / n_block;
	block = (block + TILES - 1) / TILES * TILES;
	return block > BLOCK_LEAST ? block : BLOCK_LEAST;
}

/* All matrix products of the pass come through here: where several hosts would exchange outputs. */
void
llm_products_run(struct llm_products *a, int n_tok)
{
	a->block_tok = block_tokens(a, n_tok);
	struct llm_pool_region region = {.work = products_work,
	    .arg = a,
	    .n = ((n_tok - 1) / a->block_tok + 1) * a->unit0[a->n],
	    .grain = PANEL_UNITS};
	if (n_tok <= FEW_TOKENS) {
		size_t bytes = unit_bytes(a);
		region.grain = bytes < CHUNK_LEAST ? (int)(CHUNK_LEAST / bytes) : 1;
		region.most = bytes < CHUNK_MOST ? (int)(CHUNK_MOST / bytes) : 1;
		region.ahead = products_ahead;
		/* Several tokens may go by panels, which want whole ones. */
		if (n_tok > 1)
			region.grain =
			    (region.grain + PANEL_UNITS - 1) / PANEL_UNITS * PANEL_UNITS;
	}
	llm_pool_run_region(a->p->pool, &region);
}
