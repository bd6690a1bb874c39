/*
 * SPDX-License-Identifier: ISC
 *
 * Attention's walk over the pages of a segment: which queries see a page, in which groups they
 * share each load of a key or value, and where few see it, reading f16 and int8 as they are instead
 * of widening the page first.  No arithmetic is done here but through the steps of the set.
 */
#include "libcore/kernels/attention_pages.h"

#include <math.h>
#include <string.h>

enum {
	GROUP = 32, /* dims that share a scale in Q8_0 */
	PAGE = LLM_KV_PAGE,
	QUERIES = LLM_ATTENTION_QUERIES,
};

struct scratch {
	float x[PAGE * LLM_ATTENTION_D_HEAD]; /* keys or values in f32 */
	float p[QUERIES][PAGE];               /* scores, then weights of the page's positions */
	float y[LLM_ATTENTION_ROWS]
	       [PAGE]; /* Q8_0: of one group of dims, a partial p or p * d */
	float d[PAGE * LLM_ATTENTION_D_HEAD / GROUP]; /* Q8_0: scales, [group][position] */
	float top[QUERIES], sum[QUERIES], c[QUERIES], l[QUERIES]; /* by place in seer */
	int seer[QUERIES], n[QUERIES]; /* queries that see the page, and how much of it */
};
_Static_assert(sizeof(struct scratch) <= LLM_ATTENTION_SCRATCH, "scratch is too small");

/* One page's work in progress. */
struct page {
	const struct llm_attention *a;
	const struct llm_attention_steps *steps;
	struct scratch *s;
	int n_seer, most; /* the seers, and how many positions any of them sees */
	int first, last;  /* the seers of the group at work, at most ROWS of them */
	uintptr_t fetch;  /* in the half that comes next: what to ask memory for, or 0 */
};

static size_t
element_bytes(enum llm_kv_type type)
{
	return type == LLM_KV_F32 ? 4 : type == LLM_KV_F16 ? 2 : 1;
}

/* Half of a slot: keys 0, values 1. */
static const void *
half_of(const struct llm_attention *a, const void *slot, int half)
{
	return (const char *)slot + (size_t)half * (llm_kv_slot_bytes(a->type, a->d_head) / 2);
}

/* Fills s->d with the scales of a half of a Q8_0 slot. */
static void
read_scales(const struct page *g, const void *from)
{
	int d_head = g->a->d_head;
	const char *scales = (const char *)from + PAGE * d_head;
	g->steps->widen(g->s->d, 16, scales, LLM_KV_F16, PAGE * d_head / GROUP);
}

/* A product with the group's rows, wide in tiles, done in as many chains as the set needs. */
static void
run_chains(struct page *g, struct llm_attention_chain *c, int width)
{
	const char *b = c->b;
	int most = g->steps->n_tile[c->n_row];
	for (int t = 0, n_tile; t * 16 < width; t += n_tile) {
		n_tile = most;
		while (n_tile > 1 && (t + n_tile - 1) * 16 >= width)
			n_tile /= 2;
		int left = width - (t + n_tile - 1) * 16;
		c->n_tile = n_tile;
		c->last = left < 16 ? left : 16;
		c->b = b + (size_t)t * c->tile * element_bytes(c->type);
		c->fetch = g->fetch;
		g->steps->chain(c);
		if (g->fetch != 0)
			g->fetch += (size_t)(c->n * n_tile * 16) * element_bytes(c->type);
		for (int r = 0; r < c->n_row; r++)
			c->out[r] += n_tile * 16;
	}
	c->b = b;
}

/* Scores of the group's queries with keys at b, of type. */
static void
score(struct page *g, const void *b, enum llm_kv_type type)
{
	const struct llm_attention *a = g->a;
	bool grouped = a->type == LLM_KV_Q8_0;
	int width = grouped ? GROUP : a->d_head;
	struct llm_attention_chain c = {
	    .n_row = g->last - g->first,
	    .n = width,
	    .type = type,
	    .fresh = true,
	    .step = 16,
	    .tile = 16 * (size_t)a->d_head,
	};
	int most = 0;
	for (int r = 0; r < c.n_row; r++) {
		int n = g->s->n[g->first + r];
		most = n > most ? n : most;
	}
	most = (most + 15) / 16 * 16;
	for (int k = 0; k < a->d_head / width; k++) {
		for (int r = 0; r < c.n_row; r++) {
			size_t query = (size_t)g->s->seer[g->first + r];
			c.a[r] = a->q + query * (size_t)a->d_head + k * width;
			c.out[r] = grouped ? g->s->y[r] : g->s->p[g->first + r];
		}
		c.b = (const char *)b + (size_t)(k * width) * 16 * element_bytes(type);
		run_chains(g, &c, most);
		for (int r = 0; grouped && r < c.n_row; r++) {
			float *p = g->s->p[g->first + r];
			if (k == 0)
				memset(p, 0, sizeof g->s->p[0]);
			g->steps->add_scaled(p, g->s->d + k * PAGE, g->s->y[r], most);
		}
	}
}

/* The softmax of all seers with this page: m and l go forward, p and c are for the values. */
static void
soften(const struct page *g)
{
	struct scratch *s = g->s;
	float d[QUERIES];
	for (int i = 0; i < g->n_seer; i++) {
		s->l[i] = g->a->l[s->seer[i]];
		s->top[i] = d[i] = g->a->m[s->seer[i]];
	}
	for (int i = g->n_seer; i % 4 != 0; i++)
		s->n[i] = 0;
	g->steps->soften(s->p, s->n, s->top, s->sum, g->n_seer);
	for (int i = 0; i < g->n_seer; i++)
		d[i] -= s->top[i];
	g->steps->decay(s->c, d, s->l, s->sum, g->n_seer);
	for (int i = 0; i < g->n_seer; i++) {
		g->a->m[s->seer[i]] = s->top[i];
		g->a->l[s->seer[i]] = s->l[i];
	}
}

/*
 * Adds the values of positions [from, to) to dims [dim, dim + width) of rows [row, row + n_row) of
 * the group; c holds b, type, step and tile.
 */
static void
add_values(struct page *g, struct llm_attention_chain c, int dim, int width)
{
	/* What all rows see is shared; the rest of each (the end of a prompt's chunk) comes after. */
	int n_row = g->last - g->first, shared = PAGE;
	const int *n = g->s->n + g->first;
	const char *b = c.b;
	struct llm_attention_chain all = c;
	for (int r = 0; r < n_row; r++) {
		size_t query = (size_t)g->s->seer[g->first + r];
		shared = n[r] < shared ? n[r] : shared;
		all.a[r] = g->a->type == LLM_KV_Q8_0 ? g->s->y[r] : g->s->p[g->first + r];
		all.out[r] = g->a->acc + query * (size_t)g->a->d_head + dim;
		all.c[r] = g->s->c[g->first + r];
	}
	c = all;
	c.n_row = n_row;
	c.n = shared;
	run_chains(g, &c, width);
	for (int r = 0; r < n_row; r++) {
		if (n[r] == shared)
			continue;
		c.n_row = 1;
		c.n = n[r] - shared;
		c.b = b + (size_t)shared * c.step * element_bytes(c.type);
		c.a[0] = all.a[r] + shared;
		c.out[0] = all.out[r];
		c.c[0] = 1;
		run_chains(g, &c, width);
	}
}

/* The group's acc takes the values at b, as they stand in the slot or in tiles. */
static void
accumulate(struct page *g, const void *b, enum llm_kv_type type, bool tiled)
{
	int d_head = g->a->d_head;
	bool grouped = g->a->type == LLM_KV_Q8_0;
	int width = grouped ? GROUP : d_head;
	struct llm_attention_chain c = {
	    .type = type,
	    .step = tiled ? 16 : (size_t)d_head,
	    .tile = tiled ? 16 * PAGE : 16,
	};
	for (int k = 0; k < d_head / width; k++) {
		for (int r = 0; grouped && r < g->last - g->first; r++) {
			const float *p = g->s->p[g->first + r];
			g->steps->weigh(g->s->y[r], p, g->s->d + k * PAGE,
			    (g->s->n[g->first + r] + 15) / 16 * 16);
		}
		size_t at = (size_t)(k * width) / 16 * c.tile;
		c.b = (const char *)b + at * element_bytes(type);
		add_values(g, c, k * width, width);
	}
}

/* Runs work over the seers in groups that the set's registers hold. */
static int
next_group(struct page *g)
{
	int rows = LLM_ATTENTION_ROWS;
	while (g->steps->n_tile[rows] == 0)
		rows--;
	g->first = g->last;
	g->last = g->n_seer < g->first + rows ? g->n_seer : g->first + rows;
	return g->first < g->last;
}

static void
do_keys(struct page *g, const void *slot)
{
	const struct llm_attention *a = g->a;
	const void *keys = half_of(a, slot, 0);
	enum llm_kv_type type = a->type;
	g->fetch = (uintptr_t)half_of(a, slot, 1);
	if (a->type == LLM_KV_Q8_0)
		read_scales(g, keys);
	if (type != LLM_KV_F32 && g->n_seer > 2 * LLM_ATTENTION_ROWS) {
		int n = (g->most + 15) / 16 * 16 * a->d_head;
		g->steps->widen(g->s->x, 16, keys, type, n);
		keys = g->s->x;
		g->fetch = 0;
		type = LLM_KV_F32;
	}
	for (g->last = 0; next_group(g); g->fetch = 0)
		score(g, keys, type);
}

static void
do_values(struct page *g, const void *slot, const void *next)
{
	const struct llm_attention *a = g->a;
	const void *values = half_of(a, slot, 1);
	enum llm_kv_type type = a->type;
	/* Rows that are no multiple of sixteen are widened always: no load passes their end. */
	bool tiled = g->n_seer > 2 * LLM_ATTENTION_ROWS || a->d_head % 16 != 0;
	g->fetch = tiled || next == NULL ? 0 : (uintptr_t)next;
	if (a->type == LLM_KV_Q8_0)
		read_scales(g, values);
	if (tiled) {
		size_t row_bytes = (size_t)a->d_head * element_bytes(type);
		for (int j = 0; j < g->most; j++)
			g->steps->widen(g->s->x + j * 16, PAGE * 16,
			    (const char *)values + (size_t)j * row_bytes, type, a->d_head);
		values = g->s->x;
		type = LLM_KV_F32;
	}
	for (g->last = 0; next_group(g); g->fetch = 0)
		accumulate(g, values, type, tiled);
}

void
llm_attention_pages(
    const struct llm_attention *a, void *scratch, const struct llm_attention_steps *steps)
{
	struct page g = {.a = a, .steps = steps, .s = scratch};
	for (int i = 0; i < a->n_q; i++) {
		a->m[i] = -INFINITY;
		a->l[i] = 0;
	}
	memset(a->acc, 0, (size_t)a->n_q * (size_t)a->d_head * sizeof a->acc[0]);
	for (int page = 0; page < LLM_KV_SEGMENT / PAGE; page++) {
		g.n_seer = g.most = 0;
		for (int i = 0; i < a->n_q; i++) {
			int n = a->n_pos[i] - page * PAGE;
			if (n <= 0)
				continue;
			n = n < PAGE ? n : PAGE;
			g.s->seer[g.n_seer] = i;
			g.s->n[g.n_seer++] = n;
			g.most = n > g.most ? n : g.most;
		}
		if (g.n_seer == 0)
			break;
		bool more = false;
		for (int i = 0; i < a->n_q && !more; i++)
			more = a->n_pos[i] > (page + 1) * PAGE;
		do_keys(&g, a->slot[page]);
		soften(&g);
		do_values(&g, a->slot[page], more ? a->slot[page + 1] : NULL);
	}
}
