/*
 * SPDX-License-Identifier: ISC
 *
 * How a template is shown: what all of its lines have in common, word by word, masks by name.
 */
#include "tokenize/fold_tree.h"

#include <stdlib.h>
#include <string.h>

/* Makes k show what both it and o show. */
static void
show_both(struct llm_fold_kept *k, const struct llm_fold_kept *o)
{
	bool same = k->n == o->n && memcmp(k->s, o->s, o->n) == 0;
	if (!same || !(o->flags & FOLD_SMALL))
		k->flags &= (uint8_t)~FOLD_SMALL;
	k->flags |= o->flags & FOLD_MANY;
	if (k->kind != o->kind || (k->kind < FOLD_NUM && !same))
		k->kind = FOLD_ANY;
}

static bool
is_same(const struct llm_fold_kept *a, const struct llm_fold_kept *b)
{
	return a->kind == b->kind &&
	       (a->kind >= FOLD_NUM || (a->n == b->n && memcmp(a->s, b->s, a->n) == 0));
}

/* Heads of unlike length: what both begin and end with stays, one mask stands for the rest. */
static void
show_heads(struct llm_fold_shape *s, const struct llm_fold_kept *other, int n_other)
{
	int head = 0, tail = 0, n = s->n_head, least = n < n_other ? n : n_other;
	while (head < least && is_same(&s->token[head], &other[head]))
		head++;
	while (
	    tail < least - head && is_same(&s->token[n - 1 - tail], &other[n_other - 1 - tail]))
		tail++;
	/* Where the other has more and this one nothing, there is no place for a mask. */
	if (head + tail == n && head > 0)
		head--;
	else if (head + tail == n)
		return;
	s->token[head].kind = FOLD_ANY;
	s->token[head].flags &= (uint8_t)~FOLD_SMALL;
	memmove(s->token + head + 1, s->token + n - tail,
	    (size_t)(tail + s->n_tok) * sizeof *s->token);
	s->n_head = (uint16_t)(head + 1 + tail);
}

static void
show_merged(struct llm_fold_shape *s, const struct llm_fold_kept *other, int n_head)
{
	if (s->n_head != n_head)
		show_heads(s, other, n_head);
	else
		for (int i = 0; i < n_head; i++)
			show_both(&s->token[i], &other[i]);
	for (int i = 0; i < s->n_tok; i++)
		show_both(&s->token[s->n_head + i], &other[n_head + i]);
}

void
llm_fold_show_line(struct llm_fold_shape *s, const struct llm_fold_line *l)
{
	struct llm_fold_kept line[2 * FOLD_TOKENS];
	if (s->n_tok != l->n - l->n_head)
		return; /* a coarse one */
	for (int i = 0; i < l->n; i++) {
		const struct llm_fold_token *t = &l->token[i];
		line[i] = (struct llm_fold_kept){t->s, (uint16_t)t->n, t->kind, t->flags};
	}
	show_merged(s, line, l->n_head);
}

void
llm_fold_show_shape(struct llm_fold_shape *s, const struct llm_fold_shape *other)
{
	show_merged(s, other->token, other->n_head);
}

uint64_t
llm_fold_show_look(const struct llm_fold_line *l)
{
	uint64_t h = (uint64_t)l->n_head;
	for (int i = 0; i < l->n; i++) {
		const struct llm_fold_token *t = &l->token[i];
		if (i >= l->n_head && t->kind < FOLD_NUM)
			continue;
		h = h * 0x9E3779B97F4A7C15u + t->kind + (uint64_t)(t->flags & FOLD_MANY) * 16;
		if (t->kind < FOLD_NUM ? t->n > 1 : (t->flags & FOLD_SMALL) != 0)
			h ^= llm_fold_tree_hash(t->s, t->n);
	}
	return h;
}

static bool
text_put(struct llm_fold *f, const char *s, size_t n)
{
	while (f->cap_text - f->n_text < n) {
		uint32_t cap = (uint32_t)f->cap_text;
		if (!llm_fold_tree_grow(&f->text, &cap, cap, 1))
			return false;
		f->cap_text = cap;
	}
	memcpy(f->text + f->n_text, s, n);
	f->n_text += n;
	return true;
}

bool
llm_fold_show_text(struct llm_fold *f, const struct llm_fold_shape *s, bool whole)
{
	static const char names[FOLD_KINDS][12] = {
	    [FOLD_NUM] = "<num>",
	    [FOLD_SIZE] = "<size>",
	    [FOLD_DURATION] = "<duration>",
	    [FOLD_DATE] = "<time>",
	    [FOLD_CLOCK] = "<time>",
	    [FOLD_TIME] = "<time>",
	    [FOLD_IP] = "<ip>",
	    [FOLD_MAC] = "<mac>",
	    [FOLD_HEX] = "<hex>",
	    [FOLD_UUID] = "<uuid>",
	    [FOLD_PATH] = "<path>",
	    [FOLD_URL] = "<url>",
	    [FOLD_ID] = "<id>",
	    [FOLD_NAME] = "<name>",
	    [FOLD_BOOL] = "<value>",
	    [FOLD_DASH] = "-",
	    [FOLD_EMPTY] = "",
	    [FOLD_ANY] = "<*>",
	};
	bool good = true;
	f->n_text = 0;
	for (int i = 0; i < s->n_head + s->n_tok && good; i++) {
		const struct llm_fold_kept *k = &s->token[i];
		if (i > 0 && (k->flags & FOLD_SPACED))
			good = text_put(f, " ", 1);
		if (k->kind < FOLD_NUM || (whole && (k->flags & FOLD_SMALL)))
			good = good && text_put(f, k->s, k->n);
		else
			good = good && text_put(f, names[k->kind], strlen(names[k->kind]));
		if (k->flags & FOLD_MANY)
			good = good && text_put(f, "...", 3);
	}
	return good && text_put(f, "", 1);
}
