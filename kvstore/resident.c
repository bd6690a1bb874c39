/*
 * SPDX-License-Identifier: ISC
 *
 * Pages in memory; see resident.h.  They make a tree: a page's children are those that were computed after it.
 * Whole pages are found by their name, and count where they are the very child of the page before; so all tokens
 * are compared, and no hash is trusted.  In the order of use a page stands before its children, whatever is
 * used: the last one has none, and may go.
 */
#include "kvstore/resident.h"

#include <stdlib.h>
#include <string.h>

enum { N_BUCKET = 4096 };

struct node {
	struct node *parent, *child, *next; /* first child; next one of the same parent */
	struct node *newer, *older;         /* in the order of use */
	struct node *same;                  /* next one of the bucket */
	struct llm_hash name;
	void *page;
	uint64_t round; /* the call of keep that last went by it */
	int n_tok;
	llm_token token[LLM_KV_PAGE];
};

struct llm_resident {
	struct llm_resident_params params;
	struct node root;    /* of first pages; the newest of all, its older the newest page */
	struct node *oldest; /* the root where there is none */
	struct node *bucket[N_BUCKET]; /* of whole pages */
	uint64_t bytes, round;
	size_t page_bytes; /* known with the first one */
};

static struct node **
bucket_of(struct llm_resident *r, const struct llm_hash *name)
{
	unsigned at;
	memcpy(&at, name->b, sizeof at);
	return &r->bucket[at % N_BUCKET];
}

static struct llm_hash
name_of(const struct llm_resident *r, const struct llm_hash *before, const llm_token *ids)
{
	struct llm_kvpage page = {.key = r->params.key, .n_tok = LLM_KV_PAGE};
	page.key.before = *before;
	memcpy(page.token, ids, sizeof page.token);
	return llm_kvpage_hash(&page);
}

/* The whole page of these tokens after `parent', or NULL. */
static struct node *
find(struct llm_resident *r, const struct node *parent, const struct llm_hash *name,
    const llm_token *ids)
{
	struct node *n = *bucket_of(r, name);
	while (n != NULL && (n->parent != parent || !llm_hash_equal(&n->name, name) ||
				memcmp(n->token, ids, sizeof n->token) != 0))
		n = n->same;
	return n;
}

/* The order of use. */

static void
order_leave(struct llm_resident *r, struct node *n)
{
	n->newer->older = n->older;
	if (n->older != NULL)
		n->older->newer = n->newer;
	else
		r->oldest = n->newer;
}

/* Right after another. */
static void
order_join(struct llm_resident *r, struct node *n, struct node *newer)
{
	n->newer = newer;
	n->older = newer->older;
	if (n->older != NULL)
		n->older->newer = n;
	else
		r->oldest = n;
	newer->older = n;
}

/* A page was used, and so were those before it: they stand first, each before the one after it. */
static void
touch(struct llm_resident *r, struct node *n)
{
	for (; n != &r->root; n = n->parent) {
		order_leave(r, n);
		order_join(r, n, &r->root);
	}
}

/* Coming and going. */

static void
drop(struct llm_resident *r, struct node *n)
{
	struct node **at = &n->parent->child;
	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	if (n->n_tok == LLM_KV_PAGE) {
		for (at = bucket_of(r, &n->name); *at != n;)
			at = &(*at)->same;
		*at = n->same;
	}
	order_leave(r, n);
	llm_page_drop(n->page);
	r->bytes -= r->page_bytes;
	free(n);
}

/* Room for n_bytes more; false where there is none but of what is being kept. */
static bool
make_room(struct llm_resident *r, size_t n_bytes)
{
	while (r->bytes + n_bytes > r->params.budget_bytes) {
		if (r->oldest == &r->root || r->oldest->round == r->round)
			return false;
		drop(r, r->oldest);
	}
	return true;
}

/* How many of the page's tokens are ids[0..n). */
static int
agreeing(const struct node *node, const llm_token *ids, int n)
{
	int i = 0;
	while (i < n && i < node->n_tok && node->token[i] == ids[i])
		i++;
	return i;
}

/* A child of parent with n tokens; NULL: no room, no memory. */
static struct node *
add(struct llm_resident *r, struct node *parent, const struct llm_seq *seq, int k,
    const llm_token *ids, int n)
{
	struct node *node = make_room(r, r->page_bytes) ? calloc(1, sizeof *node) : NULL;
	if (node == NULL)
		return NULL;
	/* What this one holds all of is no longer needed. */
	for (struct node *c = parent->child, *next; c != NULL; c = next) {
		next = c->next;
		if (c->n_tok < n && agreeing(c, ids, n) == c->n_tok)
			drop(r, c);
	}
	node->parent = parent;
	node->next = parent->child;
	parent->child = node;
	node->n_tok = n;
	node->round = r->round;
	memcpy(node->token, ids, (size_t)n * sizeof *ids);
	node->page = llm_page_hold(llm_seq_page(seq, k));
	r->bytes += r->page_bytes;
	order_join(r, node, parent);
	return node;
}

static struct node *
add_whole(struct llm_resident *r, struct node *parent, const struct llm_seq *seq, int k,
    const struct llm_hash *name, const llm_token *ids)
{
	struct node *node = add(r, parent, seq, k, ids, LLM_KV_PAGE);
	if (node == NULL)
		return NULL;
	struct node **bucket = bucket_of(r, name);
	node->name = *name;
	node->same = *bucket;
	*bucket = node;
	return node;
}

/* The child that agrees with ids[0..n) for longest, and for how long; NULL where none does. */
static struct node *
closest(int *same, const struct node *parent, const llm_token *ids, int n)
{
	struct node *best = NULL;
	*same = 0;
	for (struct node *c = parent->child; c != NULL; c = c->next) {
		int agree = agreeing(c, ids, n);
		if (agree > *same) {
			*same = agree;
			best = c;
		}
	}
	return best;
}

int
llm_resident_keep(
    struct llm_resident *r, const struct llm_seq *seq, const llm_token *ids, int n_ids)
{
	struct node *at = &r->root, *next;
	struct llm_hash name = {{0}};
	int k = 0, n_new = 0;
	r->page_bytes = llm_seq_page_bytes(seq);
	r->round++;
	for (; n_ids - k * LLM_KV_PAGE >= LLM_KV_PAGE; k++, at = next) {
		const llm_token *own = ids + k * LLM_KV_PAGE;
		name = name_of(r, &name, own);
		if ((next = find(r, at, &name, own)) == NULL) {
			/* What is there stands first, before what is new can take its place. */
			if (n_new == 0)
				touch(r, at);
			if ((next = add_whole(r, at, seq, k, &name, own)) == NULL)
				return n_new;
			n_new++;
		}
		next->round = r->round;
	}
	if (n_new == 0)
		touch(r, at);
	int left = n_ids - k * LLM_KV_PAGE, same;
	if (left < LLM_KVSTORE_LEAST)
		return n_new;
	closest(&same, at, ids + k * LLM_KV_PAGE, left);
	if (same < left && add(r, at, seq, k, ids + k * LLM_KV_PAGE, left) != NULL)
		n_new++;
	return n_new;
}

/* Positions of the page into the sequence's page k, where they are more than it has of it. */
static void
copy(struct llm_seq *seq, int k, const struct node *from, int same)
{
	struct llm_err err;
	int n_pos = k * LLM_KV_PAGE + same;
	if (n_pos <= seq->n_pos || n_pos > seq->n_ctx || llm_seq_reserve(seq, n_pos, &err) < 0)
		return;
	memcpy(llm_seq_page(seq, k), from->page, llm_seq_page_bytes(seq));
	llm_seq_extend(seq, n_pos);
}

int
llm_resident_warm(struct llm_resident *r, struct llm_seq *seq, const llm_token *ids, int n_ids)
{
	struct node *at = &r->root, *next;
	struct llm_hash name = {{0}};
	struct llm_err err;
	int k = 0, n_held = seq->n_pos / LLM_KV_PAGE;
	for (; n_ids - k * LLM_KV_PAGE >= LLM_KV_PAGE; k++, at = next) {
		const llm_token *own = ids + k * LLM_KV_PAGE;
		name = name_of(r, &name, own);
		if ((next = find(r, at, &name, own)) == NULL)
			break;
		if (k < n_held)
			continue;
		int n_pos = seq->n_pos;
		llm_seq_truncate(seq, k * LLM_KV_PAGE);
		if (llm_seq_adopt(seq, next->page, &err) < 0) {
			llm_seq_extend(seq, n_pos);
			break;
		}
	}
	touch(r, at);
	if (r->params.disk != NULL && seq->n_pos % LLM_KV_PAGE == 0 && seq->n_pos < n_ids)
		(void)llm_kvstore_load(r->params.disk, seq, ids, n_ids);
	/* Of the pages after the last whole one; where the walk ended before what seq holds, none is. */
	int left = n_ids - k * LLM_KV_PAGE, same;
	if (left > LLM_KV_PAGE)
		left = LLM_KV_PAGE;
	if (left > 0 && k == seq->n_pos / LLM_KV_PAGE &&
	    (next = closest(&same, at, ids + k * LLM_KV_PAGE, left)) != NULL)
		copy(seq, k, next, same);
	return seq->n_pos;
}

void
llm_resident_limit(struct llm_resident *r, uint64_t budget_bytes)
{
	r->params.budget_bytes = budget_bytes;
	r->round++;
	(void)make_room(r, 0);
}

uint64_t
llm_resident_bytes(const struct llm_resident *r)
{
	return r->bytes;
}

int
llm_resident_new(
    struct llm_resident **out, const struct llm_resident_params *params, struct llm_err *err)
{
	struct llm_resident *r = calloc(1, sizeof *r);
	if (r == NULL)
		return llm_err_nomem(err, sizeof *r);
	r->params = *params;
	r->oldest = &r->root;
	*out = r;
	return 0;
}

void
llm_resident_free(struct llm_resident *r)
{
	if (r == NULL)
		return;
	llm_resident_limit(r, 0);
	free(r);
}
