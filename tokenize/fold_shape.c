/*
 * SPDX-License-Identifier: ISC
 *
 * The message of a scanned line as the tokens that make its shape: what stands where a value would
 * is a mask, even when it is a word or nothing at all, and a list of masks is one.
 */
#include "tokenize/fold_private.h"

#include <string.h>

/* The message while it is rewritten: from in[], which has n, to l. */
struct rewrite {
	const struct llm_fold_token *in;
	int n, i;
	struct llm_fold_line *l;
};

static bool
is_punct_at(const struct rewrite *r, int i, char c)
{
	return i < r->n && llm_fold_is_punct(&r->in[i], c);
}

static bool
is_glued(const struct rewrite *r, int i)
{
	return i < r->n && !(r->in[i].flags & FOLD_SPACED);
}

/* After '=' or an opening bracket comes nothing: the end, a closer, or the next key. */
static bool
is_absent(const struct rewrite *r)
{
	const struct llm_fold_token *t = &r->in[r->i];
	const struct llm_fold_token *next = r->i + 1 < r->n ? &r->in[r->i + 1] : NULL;
	if (t->kind != FOLD_PUNCT || t->n != 1)
		return false;
	switch (t->s[0]) {
	case '=':
		if (r->i == 0 || r->in[r->i - 1].kind != FOLD_WORD)
			return false;
		if (next == NULL)
			return true;
		if (next->kind == FOLD_PUNCT)
			return strchr(",;)]}&", next->s[0]) != NULL;
		return (next->flags & FOLD_SPACED) && is_punct_at(r, r->i + 2, '=') &&
		       is_glued(r, r->i + 2) && !(t->flags & FOLD_SPACED);
	case '(':
		return is_punct_at(r, r->i + 1, ')');
	case '[':
		return is_punct_at(r, r->i + 1, ']');
	default:
		return false;
	}
}

/* A list of masks goes on: one of the same kind right after one, or any after a comma. */
static bool
goes_on(const struct rewrite *r)
{
	const struct llm_fold_line *l = r->l;
	const struct llm_fold_token *t = &r->in[r->i];
	if (l->n == l->n_head || !llm_fold_is_mask(&l->token[l->n - 1]))
		return false;
	if (llm_fold_is_punct(t, ','))
		return r->i + 1 < r->n && llm_fold_is_mask(&r->in[r->i + 1]);
	int before = l->token[l->n - 1].kind, kind = t->kind;
	return llm_fold_is_mask(t) &&
	       (kind == before || ((kind == FOLD_NUM || kind == FOLD_HEX) &&
				      (before == FOLD_NUM || before == FOLD_HEX)));
}

/* What may stand before a value: "=", a bracket, another value. */
static bool
is_before_value(const struct llm_fold_token *t)
{
	return t->kind == FOLD_BOOL ||
	       (t->kind == FOLD_PUNCT && strchr("=([,", t->s[0]) != NULL);
}

/* Words that are values where one may stand, and prose elsewhere. */
static bool
is_value_word(const struct llm_fold_token *t)
{
	return llm_fold_word_is(t, "yes") || llm_fold_word_is(t, "no") ||
	       llm_fold_word_is(t, "on") || llm_fold_word_is(t, "off");
}

/* Puts a mask of a list into the one before it. */
static void
take_listed(struct rewrite *r)
{
	struct llm_fold_token *list = &r->l->token[r->l->n - 1];
	if (r->in[r->i].kind == FOLD_PUNCT)
		r->i++;
	if (list->kind != r->in[r->i].kind)
		list->kind = FOLD_ANY;
	list->flags = (list->flags | FOLD_MANY) & ~FOLD_SMALL;
}

/* Puts a word after `before`, which was put: as a value where one stands. */
static void
take_word(struct rewrite *r, const struct llm_fold_token *before)
{
	struct llm_fold_line *l = r->l;
	struct llm_fold_token t = r->in[r->i];
	bool name = (t.flags & FOLD_SPACED) && llm_fold_word_is(before, "user");
	if (name && (t.flags & FOLD_GAP)) { /* "user  from": a name of no letters */
		l->token[l->n++] = (struct llm_fold_token){
		    .s = t.s, .n = 0, .kind = FOLD_EMPTY, .flags = FOLD_SPACED};
	} else if (name) {
		t.kind = FOLD_NAME;
		t.flags |= FOLD_SMALL;
	} else if (t.n <= 3 && is_before_value(before) && is_value_word(&t)) {
		t.kind = FOLD_BOOL;
	} else if (llm_fold_is_punct(before, '=')) {
		t.flags |= FOLD_VALUE;
	}
	l->token[l->n++] = t;
}

static void
take(struct rewrite *r)
{
	struct llm_fold_line *l = r->l;
	const struct llm_fold_token *t = &r->in[r->i];
	if (goes_on(r)) {
		take_listed(r);
		return;
	}
	if (t->kind == FOLD_WORD && l->n > l->n_head)
		take_word(r, &l->token[l->n - 1]);
	else
		l->token[l->n++] = *t;
	if (is_absent(r))
		l->token[l->n++] =
		    (struct llm_fold_token){.s = t->s + t->n, .n = 0, .kind = FOLD_EMPTY};
}

void
llm_fold_shape(struct llm_fold_line *l)
{
	struct llm_fold_token in[FOLD_TOKENS];
	struct rewrite r = {.in = in, .n = l->n - l->n_head, .l = l};
	memcpy(in, l->token + l->n_head, (size_t)r.n * sizeof in[0]);
	l->n = l->n_head;
	for (; r.i < r.n; r.i++)
		take(&r);
}
