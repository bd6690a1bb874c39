/*
 * SPDX-License-Identifier: ISC
 *
 * A closed set of answers, as a tree of tokens: what has to be computed so that each has its probability,
 * and the probabilities once that is known.  A label may have several spellings (Yes, yes).
 *
 * An answer belongs to the longest spelling that it begins with.  So the events of any set of labels
 * exclude one another, those that are beginnings of others included:
 *	p(label) = sum over its spellings s of p(s) - sum of p(t), t the next longer spellings that go on
 *	from s, of any label
 *	p(s) = product of p(token | prompt and the tokens of s before it)
 */
#ifndef LLM_LABELS_H
#define LLM_LABELS_H

#include "libcore/err.h"
#include "libcore/token.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * One token of one or more spellings; node 0 is the root, the end of the prompt.  Plain data, read-only.
 */
struct llm_label_node {
	llm_token token;
	int parent;      /* below its own index; -1 of the root */
	int depth;       /* tokens from the root on */
	int label;       /* whose spelling ends here, or -1 */
	int child, next; /* first child, next child of the parent, or -1 */
};

/* Zero-initialised is empty.  All fields read-only. */
struct llm_labels {
	int n_label;
	struct llm_label_node *node;
	int n_node, cap_node;
	int *
	    inner; /* [n_inner] nodes with children, each after its parent and before its uncles */
	int n_inner;
	int depth; /* of the deepest inner node: positions past the prompt that are computed */
};

/*
 * llm_labels_add - ids[0..n), n >= 1, spell label (0, 1, ...: n_label is one more than the highest).
 * Returns 1; 0 where they spell another label already, and nothing is changed.  LLM_ENOMEM.
 */
int llm_labels_add(
    struct llm_labels *l, int label, const llm_token *ids, size_t n, struct llm_err *err);

/*
 * The same for many: after llm_labels_put the fields inner, n_inner and depth are not yet what they are to be, until
 * llm_labels_list has made them.  To list takes time with the nodes that there are, so it is done once.
 */
int llm_labels_put(
    struct llm_labels *l, int label, const llm_token *ids, size_t n, struct llm_err *err);
int llm_labels_list(struct llm_labels *l, struct llm_err *err);

/* Whether that would add no inner node: such a spelling costs nothing to have. */
bool llm_labels_costs_nothing(const struct llm_labels *l, const llm_token *ids, size_t n);

void llm_labels_free(struct llm_labels *l);

/*
 * llm_labels_nats - ln p(label), <= 0 and maybe -infinity, of each label.
 * edge: [n_node] ln p(node's token | prompt, tokens on the way to its parent); the root's is not read.
 * work: [2 * n_node].
 */
void llm_labels_nats(
    double *nats, const struct llm_labels *l, const double *edge, double *work);

/*
 * llm_labels_normalise - p[i] = exp(nats[i] - ln sum exp nats), which add up to 1; returns that logarithm:
 * how much of all answers begins with a label.  Where all are impossible, p is 1 / n.
 */
double llm_labels_normalise(double *p, const double *nats, int n);

#endif
