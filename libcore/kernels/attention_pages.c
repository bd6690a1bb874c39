/*
 * SPDX-License-Identifier: ISC
 *
 * Attention's walk over the pages of a segment: which queries see a page, in which groups they
 * share each load of a key or value, and where few see it, reading f16 and int8 as they are instead
 * of widening the page first.  No arithmetic is done here but through the steps of the set.
 */
#include "libcore/kernels/attention_pages.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum {
	GROUP = LLM_ATTENTION_GROUP,
	PAGE = LLM_KV_PAGE,
	QUERIES = LLM_ATTENTION_QUERIES,
	ROWS = LLM_ATTENTION_ROWS,
	FEW = 2 * ROWS, /* queries, up to which widening a page first does not pay */
};

/* What the queries see of one page, and the weights that they give it. */
struct sight {
	int page, n_seer;
	bool whole;                    /* every query sees all of it */
	int most;                      /* positions that any of them sees */
	int seer[QUERIES], n[QUERIES]; /* queries that see it, and how much */
	float p[QUERIES][PAGE]; /* by place in seer: scores, then weights of its positions */
	float c[QUERIES];       /* likewise: factor of what came before */
};

struct scratch {
	float x[PAGE * LLM_ATTENTION_D_HEAD];              /* keys or values in f32 */
	float y[LLM_ATTENTION_D_HEAD / GROUP][ROWS][PAGE]; /* Q8_0: p * d of each group */
	struct sight sight[2];
	float m[QUERIES], l[QUERIES]; /* by place in seer, where not all see the page */
};
_Static_assert(sizeof(struct scratch) <= LLM_ATTENTION_SCRATCH, "scratch is too small");

/* A segment's work in progress. */
struct walk {
	const struct llm_attention *a;
	const struct llm_attention_steps *steps;
	struct scratch *s;
	int rows;          /* that the set's registers hold */
	int n_page, least; /* pages that anyone sees; positions that everyone sees */
	bool few;
};

static size_t
element_bytes(enum llm_kv_type type)
{
	return type == LLM_KV_F32 ? 4 : type == LLM_KV_F16 ? 2 : 1;
}

/* Half of a slot: keys 0, values 1; NULL past the last page. */
static const char *
half_of(const struct walk *w, int page, int half)
{
	const struct llm_attention *a = w->a;
	if (page >= w->n_page)
		return NULL;
	return (const char *)a->slot[page] +
	       (size_t)half * (llm_kv_slot_bytes(a->type, a->d_head) / 2);
}

/* The scales of a half of a Q8_0 slot, or NULL where there are none. */
static const uint16_t *
scales_of(const struct walk *w, const char *half)
{
	if (w->a->type != LLM_KV_Q8_0)
		return NULL;
	return (const uint16_t *)(const void *)(half + PAGE * w->a->d_head);
}

/* Asks memory for the scales of a half that is read soon: its numbers are asked for by chains. */
static void
fetch_scales(const struct walk *w, const char *half)
{
	if (w->a->type == LLM_KV_Q8_0 && half != NULL)
		for (int i = 0; i < PAGE * w->a->d_head / GROUP * 2; i += 64)
			__builtin_prefetch(half + PAGE * w->a->d_head + i);
}

/*
 * A chain as wide as width, done in as many as the set needs.  Of c, a and out are moved past it.
 * (Nowhere is a chain copied: what was just written in parts is slow to read as a whole.)
 */
static void
run_chains(const struct walk *w, struct llm_attention_chain *c, int width)
{
	const size_t bytes = element_bytes(c->type);
	const char *b = c->b;
	const uint16_t *scale = c->scale;
	int most = w->steps->n_tile[c->n_row], n_tile, n_pair = 0;
	for (int left = width; left > 0; left -= n_tile * 16) {
		n_tile = most;
		while (n_tile > 1 && (n_tile - 1) * 16 >= left)
			n_tile /= 2;
		int last = left - (n_tile - 1) * 16;
		c->n_tile = n_tile;
		c->last = last < 16 ? last : 16;
		w->steps->chain(c);
		c->b = (const char *)c->b + (size_t)n_tile * c->tile * bytes;
		if (c->fetch != 0)
			c->fetch += (size_t)(c->n * n_tile * 16) * bytes;
		if (c->scale != NULL)
			c->scale += n_tile * 16;
		/* A pair of tiles may be done one by one. */
		n_pair += n_tile;
		size_t pairs = (size_t)(n_pair / 2) * c->pair;
		n_pair %= 2;
		for (int r = 0; r < c->n_row; r++) {
			c->out[r] += n_tile * 16;
			c->a[r] += pairs;
		}
	}
	c->b = b;
	c->scale = scale;
	c->fetch = 0;
}

/* Scores of seers [first, first + n_row) with keys at c->b. */
static void
score(const struct walk *w, struct sight *g, struct llm_attention_chain *c, int first)
{
	int most = 0;
	for (int r = 0; r < c->n_row; r++) {
		size_t query = (size_t)g->seer[first + r];
		c->a[r] = w->a->q + query * (size_t)w->a->d_head;
		c->out[r] = g->p[first + r];
		most = g->n[first + r] > most ? g->n[first + r] : most;
	}
	run_chains(w, c, (most + 15) / 16 * 16);
}

static int
rows_from(const struct walk *w, const struct sight *g, int first)
{
	return g->n_seer - first < w->rows ? g->n_seer - first : w->rows;
}

static void
do_keys(const struct walk *w, struct sight *g)
{
	const struct llm_attention *a = w->a;
	const char *keys = half_of(w, g->page, 0), *next = half_of(w, g->page + 1, 0);
	struct llm_attention_chain c = {
	    .kind = a->type == LLM_KV_Q8_0 ? LLM_CHAIN_SCALED : LLM_CHAIN_FRESH,
	    .type = a->type,
	    .n = a->d_head,
	    .step = 16,
	    .tile = 16 * (size_t)a->d_head,
	    .scale = scales_of(w, keys),
	    .fetch = (uintptr_t)next,
	    .b = keys,
	};
	fetch_scales(w, next);
	if (a->type != LLM_KV_F32 && !w->few) {
		w->steps->widen(&(struct llm_attention_widening){
		    .type = a->type,
		    .n_row = 1,
		    .width = (g->most + 15) / 16 * 16 * a->d_head,
		    .tile = 16,
		    .b = keys,
		    .x = w->s->x,
		});
		c.b = w->s->x;
		c.type = LLM_KV_F32;
		c.fetch = 0;
	}
	for (int first = 0; first < g->n_seer; first += c.n_row) {
		c.n_row = rows_from(w, g, first);
		score(w, g, &c, first);
	}
}

/* The softmax of all seers with this page: m and l go forward, p and c are for the values. */
static void
soften(const struct walk *w, struct sight *g)
{
	struct llm_attention_softmax s = {
	    .n_row = g->n_seer, .p = g->p, .m = w->a->m, .l = w->a->l, .c = g->c};
	if (g->whole) {
		w->steps->soften(&s);
		return;
	}
	s.n = g->n;
	s.m = w->s->m;
	s.l = w->s->l;
	for (int i = 0; i < g->n_seer; i++) {
		s.m[i] = w->a->m[g->seer[i]];
		s.l[i] = w->a->l[g->seer[i]];
	}
	w->steps->soften(&s);
	for (int i = 0; i < g->n_seer; i++) {
		w->a->m[g->seer[i]] = s.m[i];
		w->a->l[g->seer[i]] = s.l[i];
	}
}

/* Row r of c is the weights, from position at on, of seer i. */
static void
set_row(
    const struct walk *w, struct sight *g, struct llm_attention_chain *c, int r, int i, int at)
{
	size_t query = (size_t)g->seer[i];
	c->a[r] = (c->pair != 0 ? w->s->y[0][i % w->rows] : g->p[i]) + at;
	c->out[r] = w->a->acc + query * (size_t)w->a->d_head;
	c->c[r] = at == 0 ? g->c[i] : 1;
}

/* Adds the values at c->b to what seers [first, first + n_row) have. */
static void
add_values(const struct walk *w, struct sight *g, struct llm_attention_chain *c, int first)
{
	/* What all rows see is shared; the rest of each (the end of a prompt's chunk) comes after. */
	int shared = PAGE, n_row = c->n_row;
	const char *b = c->b;
	for (int i = first; i < first + n_row; i++) {
		shared = g->n[i] < shared ? g->n[i] : shared;
		set_row(w, g, c, i - first, i, 0);
	}
	c->n = shared;
	run_chains(w, c, w->a->d_head);
	for (int i = first; i < first + n_row; i++) {
		if (g->n[i] == shared)
			continue;
		c->n_row = 1;
		c->n = g->n[i] - shared;
		c->b = b + (size_t)shared * c->step * element_bytes(c->type);
		set_row(w, g, c, 0, i, shared);
		run_chains(w, c, w->a->d_head);
	}
	c->n_row = n_row;
	c->b = b;
}

static void
do_values(const struct walk *w, struct sight *g)
{
	const struct llm_attention *a = w->a;
	const char *values = half_of(w, g->page, 1), *next = half_of(w, g->page + 1, 1);
	const uint16_t *scale = scales_of(w, values);
	struct llm_attention_chain c = {
	    .kind = LLM_CHAIN_SUM,
	    .type = a->type,
	    .step = (size_t)a->d_head,
	    .tile = 16,
	    .pair = scale != NULL ? ROWS * PAGE : 0,
	    .fetch = (uintptr_t)next,
	    .b = values,
	};
	fetch_scales(w, next);
	/* Rows that are no multiple of sixteen are widened always: no load passes their end. */
	if (!w->few || a->d_head % 16 != 0) {
		c.step = 16;
		c.tile = 16 * PAGE;
		w->steps->widen(&(struct llm_attention_widening){
		    .type = a->type,
		    .n_row = g->most,
		    .width = a->d_head,
		    .row = c.step,
		    .tile = c.tile,
		    .b = values,
		    .x = w->s->x,
		});
		c.b = w->s->x;
		c.type = LLM_KV_F32;
		c.fetch = 0;
	}
	for (int first = 0; first < g->n_seer; first += c.n_row) {
		c.n_row = rows_from(w, g, first);
		for (int r = 0; scale != NULL && r < c.n_row; r++)
			for (int k = 0; k < a->d_head / GROUP; k++)
				w->steps->weigh(
				    w->s->y[k][r], g->p[first + r], scale + k * PAGE);
		add_values(w, g, &c, first);
	}
}

/* Who sees the page, and how much of it. */
static void
look(const struct walk *w, struct sight *g, int page)
{
	const struct llm_attention *a = w->a;
	g->page = page;
	g->whole = w->least >= (page + 1) * PAGE;
	if (g->whole) {
		g->n_seer = a->n_q;
		g->most = PAGE;
		for (int i = 0; i < a->n_q; i++) {
			g->seer[i] = i;
			g->n[i] = PAGE;
		}
		return;
	}
	g->n_seer = g->most = 0;
	for (int i = 0; i < a->n_q; i++) {
		int n = a->n_pos[i] - page * PAGE;
		if (n <= 0)
			continue;
		n = n < PAGE ? n : PAGE;
		g->seer[g->n_seer] = i;
		g->n[g->n_seer++] = n;
		g->most = n > g->most ? n : g->most;
	}
}

void
llm_attention_pages(
    const struct llm_attention *a, void *scratch, const struct llm_attention_steps *steps)
{
	struct walk w = {.a = a, .steps = steps, .s = scratch, .rows = ROWS};
	int most = 0;
	while (steps->n_tile[w.rows] == 0)
		w.rows--;
	w.few = a->n_q <= FEW;
	w.least = LLM_KV_SEGMENT;
	for (int i = 0; i < a->n_q; i++) {
		a->m[i] = -INFINITY;
		a->l[i] = 0;
		w.least = a->n_pos[i] < w.least ? a->n_pos[i] : w.least;
		most = a->n_pos[i] > most ? a->n_pos[i] : most;
	}
	w.n_page = (most + PAGE - 1) / PAGE;
	memset(a->acc, 0, (size_t)a->n_q * (size_t)a->d_head * sizeof a->acc[0]);
	/* The scores of a page are computed before the values of the page before it are added: so few
	 * queries do not wait for their own softmax.  Many do not wait anyway. */
	struct sight *ahead = &w.s->sight[0], *behind = NULL;
	for (int page = 0; page < w.n_page; page++) {
		look(&w, ahead, page);
		do_keys(&w, ahead);
		soften(&w, ahead);
		if (behind != NULL)
			do_values(&w, behind);
		behind = ahead;
		if (w.few)
			ahead = &w.s->sight[(page + 1) % 2];
		else {
			do_values(&w, behind);
			behind = NULL;
		}
	}
	if (behind != NULL)
		do_values(&w, behind);
}
