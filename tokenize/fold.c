/*
 * SPDX-License-Identifier: ISC
 *
 * Lines in, templates and counts out: scans a line, finds its shape in the tree, counts it; at the
 * end numbers the sets of shapes and sorts them.
 */
#include "tokenize/fold.h"
#include "tokenize/fold_tree.h"

#include <stdlib.h>
#include <string.h>

enum { SHAPES = 1 << 15, TEXT_BYTES = 32 << 20 };

struct llm_fold *
llm_fold_new(const struct llm_fold_limits *limits)
{
	struct llm_fold *f = calloc(1, sizeof *f);
	if (f == NULL)
		return NULL;
	f->max_shape = limits != NULL && limits->n_shape > 0 ? limits->n_shape : SHAPES;
	f->max_bytes =
	    limits != NULL && limits->n_text_bytes > 0 ? limits->n_text_bytes : TEXT_BYTES;
	return f;
}

void
llm_fold_free(struct llm_fold *f)
{
	if (f == NULL)
		return;
	while (f->chunk != NULL) {
		struct llm_fold_chunk *next = f->chunk->next;
		free(f->chunk);
		f->chunk = next;
	}
	free(f->shape);
	free(f->node);
	free(f->link);
	free(f->todo);
	free(f->order);
	free(f->text);
	free(f);
}

int
llm_fold_add(
    struct llm_fold *f, uint32_t *shape, const char *line, size_t n, struct llm_err *err)
{
	struct llm_fold_line *l = &f->line;
	bool fresh;
	llm_fold_scan(l, line, n < LLM_FOLD_LINE ? n : LLM_FOLD_LINE);
	llm_fold_head(l);
	llm_fold_shape(l);
	if (n > LLM_FOLD_LINE)
		l->token[l->n++] =
		    (struct llm_fold_token){line + LLM_FOLD_LINE, 0, FOLD_ANY, 0};
	if (!llm_fold_tree_find(shape, &fresh, f, line, n))
		return llm_err_nomem(err, f->n_bytes);
	struct llm_fold_shape *s = &f->shape[*shape];
	uint64_t look = llm_fold_show_look(l);
	if (s->count++ == 0)
		s->look = look;
	if (s->look != look) {
		llm_fold_show_line(s, l);
		s->look = look;
	}
	return fresh;
}

static int
by_count(const void *a, const void *b)
{
	const struct llm_fold_shape *const *x = a, *const *y = b;
	if ((*x)->total != (*y)->total)
		return (*x)->total < (*y)->total ? 1 : -1;
	return (*x)->number < (*y)->number ? -1 : 1;
}

int
llm_fold_settle(struct llm_fold *f, struct llm_err *err)
{
	size_t bytes = (f->n_shape + (size_t)1) * sizeof *f->order;
	void *order = realloc(f->order, bytes);
	if (order == NULL)
		return llm_err_nomem(err, bytes);
	f->order = order;
	f->n_order = 0;
	for (uint32_t i = 0; i < f->n_shape; i++)
		f->shape[i].total = 0;
	for (uint32_t i = 0; i < f->n_shape; i++) {
		struct llm_fold_shape *root = &f->shape[llm_fold_tree_root(f, i)];
		root->total += f->shape[i].count;
		if (root == &f->shape[i]) {
			f->order[f->n_order++] = root;
			root->number = f->n_order;
		}
	}
	qsort(f->order, f->n_order, sizeof *f->order, by_count);
	return (int)f->n_order;
}

uint32_t
llm_fold_number(const struct llm_fold *f, uint32_t shape)
{
	return f->shape[llm_fold_tree_root(f, shape)].number;
}

uint64_t
llm_fold_count(const struct llm_fold *f, uint32_t shape)
{
	return f->shape[llm_fold_tree_root(f, shape)].total;
}

int
llm_fold_nth(struct llm_fold_template *out, struct llm_fold *f, int i, struct llm_err *err)
{
	struct llm_fold_kept token[2 * FOLD_TOKENS];
	const struct llm_fold_shape *root = f->order[i];
	struct llm_fold_shape shown = *root;
	shown.token = token;
	memcpy(token, root->token, (size_t)(root->n_head + root->n_tok) * sizeof token[0]);
	for (uint32_t k = root->next; &f->shape[k] != root; k = f->shape[k].next)
		if (!f->shape[k].made || f->shape[k].count > 0)
			llm_fold_show_shape(&shown, &f->shape[k]);
	if (!llm_fold_show_text(f, &shown, root->total > 1))
		return llm_err_nomem(err, f->n_text);
	*out = (struct llm_fold_template){.n = root->number,
	    .count = root->total,
	    .text = f->text,
	    .n_text = f->n_text - 1,
	    .example = root->example,
	    .n_example = root->n_example};
	return 0;
}
