/*
 * SPDX-License-Identifier: ISC
 *
 * The tree of shapes that fold.c fills (fold_tree.c), and how a template is shown (fold_show.c).
 */
#ifndef LLM_FOLD_TREE_H
#define LLM_FOLD_TREE_H

#include "tokenize/fold_private.h"

#include "tokenize/fold.h"

#define LLM_FOLD_NONE UINT32_MAX

/* A token as kept; what a line shows there as long as it is always the same. */
struct llm_fold_kept {
	const char *s;
	uint16_t n;
	uint8_t kind, flags;
};

struct llm_fold_shape {
	uint64_t hash, look, count, total; /* total: in a root, of its set, as last settled */
	uint32_t parent, next;             /* the set's root; the next of the set, in a ring */
	uint32_t number;                   /* in a root: of the template, as last settled */
	uint16_t n_tok, n_head;
	bool made;                   /* not of a line: a parent that became a template */
	struct llm_fold_kept *token; /* [n_head + n_tok] */
	const char *example;
	uint32_t n_example;
};

/* A shape or a parent, by hash. */
struct llm_fold_node {
	uint64_t hash;
	uint32_t shape; /* LLM_FOLD_NONE: a parent that is no shape (yet) */
	uint32_t child; /* first of its children, an index of links; LLM_FOLD_NONE */
	uint32_t points;
};

struct llm_fold_link {
	uint32_t shape, next;
};

struct llm_fold_chunk {
	struct llm_fold_chunk *next;
	size_t used, size;
	char bytes[];
};

struct llm_fold {
	uint32_t max_shape;
	size_t max_bytes, n_bytes;
	struct llm_fold_shape *shape;
	uint32_t n_shape, cap_shape;
	struct llm_fold_node *node; /* open addressing, a power of two */
	uint32_t n_node, cap_node;
	struct llm_fold_link *link;
	uint32_t n_link, cap_link;
	uint32_t *todo; /* shapes that wait for their parents */
	uint32_t n_todo, cap_todo;
	struct llm_fold_chunk *chunk;
	uint32_t n_coarse;
	bool full;
	const struct llm_fold_shape **order; /* roots, most frequent first */
	uint32_t n_order;
	char *text; /* the last template printed */
	size_t n_text, cap_text;
	struct llm_fold_line line;
};

/* Room for n bytes that live as long as f; NULL without memory. */
void *llm_fold_tree_room(struct llm_fold *f, size_t n);

/* Room for one more of an array that doubles: *array is a pointer, *cap what it has room for. */
bool llm_fold_tree_grow(void *array, uint32_t *cap, uint32_t n, size_t size);

/*
 * llm_fold_tree_find - the shape of f->line, found or made, and told to its parents; *fresh when no
 * line before was of its template.  line[0..n) is what was scanned.  False without memory.
 */
bool llm_fold_tree_find(
    uint32_t *out, bool *fresh, struct llm_fold *f, const char *line, size_t n);

/* The root of the set of a shape. */
uint32_t llm_fold_tree_root(const struct llm_fold *f, uint32_t shape);

/* A hash of what the line shows where its shape does not say. */
uint64_t llm_fold_show_look(const struct llm_fold_line *l);

/* Makes the shape show only what it has in common with the line, or with another of its set. */
void llm_fold_show_line(struct llm_fold_shape *s, const struct llm_fold_line *l);
void llm_fold_show_shape(struct llm_fold_shape *s, const struct llm_fold_shape *other);

/* The text of tokens, in f->text; whole: small ids are shown where they never changed. */
bool llm_fold_show_text(struct llm_fold *f, const struct llm_fold_shape *s, bool whole);

/* A hash of bytes. */
uint64_t llm_fold_tree_hash(const char *s, size_t n);
uint64_t llm_fold_tree_mix(uint64_t a, uint64_t b);

#endif
