/*
 * SPDX-License-Identifier: ISC
 *
 * The tree of labels; see labels.h.
 */
#include "generate/labels.h"
#include "libcore/fmath.h"

#include <math.h>
#include <stdlib.h>

/* The child of a node by this token, or -1. */
static int
child_find(const struct llm_labels *l, int node, llm_token token)
{
	int at = l->n_node > 0 ? l->node[node].child : -1;
	while (at >= 0 && l->node[at].token != token)
		at = l->node[at].next;
	return at;
}

static int
node_add(struct llm_labels *l, int parent, llm_token token, struct llm_err *err)
{
	if (l->n_node == l->cap_node) {
		int cap = l->cap_node < 32 ? 32 : 2 * l->cap_node;
		size_t bytes = (size_t)cap * sizeof *l->node;
		struct llm_label_node *more = realloc(l->node, bytes);
		if (more == NULL)
			return llm_err_nomem(err, bytes);
		l->node = more;
		l->cap_node = cap;
	}
	int at = l->n_node++;
	l->node[at] = (struct llm_label_node){
	    .token = token, .parent = parent, .label = -1, .child = -1, .next = -1};
	if (parent < 0)
		return at;
	l->node[at].depth = l->node[parent].depth + 1;
	/* At the end, so that children stand in the order in which they came. */
	int *link = &l->node[parent].child;
	while (*link >= 0)
		link = &l->node[*link].next;
	*link = at;
	return at;
}

int
llm_labels_list(struct llm_labels *l, struct llm_err *err)
{
	if (l->n_node == 0)
		return 0;
	int *inner = realloc(l->inner, (size_t)l->n_node * sizeof *inner);
	if (inner == NULL)
		return llm_err_nomem(err, (size_t)l->n_node * sizeof *inner);
	l->inner = inner;
	l->n_inner = l->depth = 0;
	for (int at = 0; at >= 0;) {
		const struct llm_label_node *n = &l->node[at];
		if (n->child >= 0) {
			l->inner[l->n_inner++] = at;
			l->depth = n->depth > l->depth ? n->depth : l->depth;
			at = n->child;
			continue;
		}
		while (at >= 0 && l->node[at].next < 0)
			at = l->node[at].parent;
		if (at >= 0)
			at = l->node[at].next;
	}
	return 0;
}

int
llm_labels_put(
    struct llm_labels *l, int label, const llm_token *ids, size_t n, struct llm_err *err)
{
	int at = 0, rc;
	if (n == 0)
		return llm_err_set(err, LLM_EUSAGE, "a label without a token");
	if (l->n_node == 0 && (rc = node_add(l, -1, -1, err)) < 0)
		return rc;
	for (size_t i = 0; i < n; i++) {
		int next = child_find(l, at, ids[i]);
		if (next < 0 && (next = node_add(l, at, ids[i], err)) < 0)
			return next;
		at = next;
	}
	if (l->node[at].label >= 0 && l->node[at].label != label)
		return 0;
	l->node[at].label = label;
	l->n_label = label >= l->n_label ? label + 1 : l->n_label;
	return 1;
}

int
llm_labels_add(
    struct llm_labels *l, int label, const llm_token *ids, size_t n, struct llm_err *err)
{
	int rc = llm_labels_put(l, label, ids, n, err), listed = 0;
	if (rc > 0)
		listed = llm_labels_list(l, err);
	return listed < 0 ? listed : rc;
}

bool
llm_labels_costs_nothing(const struct llm_labels *l, const llm_token *ids, size_t n)
{
	int at = 0;
	for (size_t i = 0; i + 1 < n; i++)
		if ((at = child_find(l, at, ids[i])) < 0 || l->node[at].child < 0)
			return false;
	return true;
}

void
llm_labels_free(struct llm_labels *l)
{
	free(l->node);
	free(l->inner);
	*l = (struct llm_labels){0};
}

/* ln(e^a + e^b) */
static double
log_add(double a, double b)
{
	double high = a > b ? a : b, low = a > b ? b : a;
	if (high == -INFINITY)
		return high;
	return high + llm_log(1.0 + llm_exp(low - high));
}

void
llm_labels_nats(double *nats, const struct llm_labels *l, const double *edge, double *work)
{
	double *way = work;               /* ln p of the tokens from the root to here */
	double *taken = work + l->n_node; /* of 1, what belongs to spellings further on */
	for (int i = 0; i < l->n_label; i++)
		nats[i] = -INFINITY;
	for (int i = 0; i < l->n_node; i++) {
		way[i] = i == 0 ? 0 : way[l->node[i].parent] + edge[i];
		taken[i] = 0;
	}
	for (int i = l->n_node - 1; i > 0; i--)
		taken[l->node[i].parent] +=
		    llm_exp(edge[i]) * (l->node[i].label >= 0 ? 1.0 : taken[i]);
	for (int i = 1; i < l->n_node; i++) {
		int label = l->node[i].label;
		if (label < 0)
			continue;
		double left = taken[i] < 1 ? 1.0 - taken[i] : 0;
		nats[label] = log_add(nats[label], way[i] + llm_log(left));
	}
}

double
llm_labels_normalise(double *p, const double *nats, int n)
{
	double all = -INFINITY, sum = 0;
	for (int i = 0; i < n; i++)
		all = log_add(all, nats[i]);
	for (int i = 0; i < n; i++) {
		p[i] = all == -INFINITY ? 1.0 : llm_exp(nats[i] - all);
		sum += p[i];
	}
	for (int i = 0; i < n; i++)
		p[i] /= sum;
	return all;
}
