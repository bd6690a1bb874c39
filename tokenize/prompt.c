/*
 * SPDX-License-Identifier: ISC
 *
 * Builds a prompt from parts and turns it into ids: runs of text are tokenised without special tokens,
 * control tokens are looked up by name.  Used by the templates and by what renders them.
 */
#include "tokenize/prompt.h"
#include "libcore/size.h"

#include <stdlib.h>
#include <string.h>

static int
grow(void **v, size_t *cap, size_t need, size_t item_bytes, struct llm_err *err)
{
	size_t want = *cap < 8 ? 8 : *cap, bytes;
	void *more;
	while (want < need) {
		if (!llm_size_mul(&want, want, 2))
			return llm_err_nomem(err, need);
	}
	if (want == *cap)
		return 0;
	if (!llm_size_mul(&bytes, want, item_bytes) || (more = realloc(*v, bytes)) == NULL)
		return llm_err_nomem(err, want);
	*v = more;
	*cap = want;
	return 0;
}

static int
add_part(struct llm_prompt *p, struct llm_prompt_part part, struct llm_err *err)
{
	void *v = p->part;
	int r = grow(&v, &p->cap_part, p->n_part + 1, sizeof *p->part, err);
	if (r < 0)
		return r;
	p->part = v;
	p->part[p->n_part++] = part;
	return 0;
}

int
llm_prompt_add(struct llm_prompt *p, enum llm_prompt_kind kind, const char *bytes, size_t n,
    struct llm_err *err)
{
	size_t end;
	void *v = p->bytes;
	int r;
	if (!llm_size_add(&end, p->n, n))
		return llm_err_nomem(err, n);
	if ((r = grow(&v, &p->cap, end, 1, err)) < 0)
		return r;
	p->bytes = v;
	if (n > 0)
		memcpy(p->bytes + p->n, bytes, n);
	r = add_part(p, (struct llm_prompt_part){.kind = kind, .begin = p->n, .end = end}, err);
	if (r == 0)
		p->n = end;
	return r;
}

int
llm_prompt_add_ids(struct llm_prompt *p, const llm_token *ids, size_t n, struct llm_err *err)
{
	return add_part(p,
	    (struct llm_prompt_part){
		.kind = LLM_PROMPT_IDS, .begin = p->n, .end = p->n, .ids = ids, .n_ids = n},
	    err);
}

void
llm_prompt_cut(struct llm_prompt *p, size_t n)
{
	for (size_t i = p->n_part; i-- > 0 && p->part[i].end > n;) {
		p->part[i].end = n;
		if (p->part[i].begin > n)
			p->part[i].begin = n;
	}
	if (n < p->n)
		p->n = n;
}

void
llm_prompt_free(struct llm_prompt *p)
{
	free(p->bytes);
	free(p->part);
	*p = (struct llm_prompt){0};
}

/* The control token that a part of kind CONTROL, MARK, BOS or EOS names, or -1. */
static llm_token
part_control(const struct llm_prompt *p, const struct llm_prompt_part *part,
    const struct llm_tokenizer *t)
{
	char name[64];
	size_t n = part->end - part->begin;
	llm_token id = -1;
	if (n >= sizeof name)
		return -1;
	if (part->kind == LLM_PROMPT_BOS)
		id = llm_tokenizer_bos(t);
	else if (part->kind == LLM_PROMPT_EOS)
		id = llm_tokenizer_eos(t);
	if (id >= 0)
		return id;
	memcpy(name, p->bytes + part->begin, n);
	name[n] = '\0';
	return llm_tokenizer_control(t, name);
}

/* Where the encoding stands: the text not yet tokenised, and what stood before it. */
struct encoding {
	struct llm_ids *ids;
	const struct llm_prompt *p;
	const struct llm_tokenizer *t;
	size_t begin, end; /* text waiting */
	bool fresh;        /* it follows a control token, or nothing */
};

static int
flush(struct encoding *e, size_t next, struct llm_err *err)
{
	int r = 0;
	if (e->end > e->begin) {
		unsigned flags = e->p->inner || !e->fresh ? LLM_TOKENIZE_INNER : 0;
		r = llm_tokenizer_encode(
		    e->ids, e->t, e->p->bytes + e->begin, e->end - e->begin, flags, err);
		e->fresh = false;
	}
	e->begin = e->end = next;
	return r;
}

static int
push(struct encoding *e, const struct llm_prompt_part *part, llm_token id, struct llm_err *err)
{
	const char *name = e->p->bytes + part->begin;
	int r;
	if ((r = flush(e, part->end, err)) < 0)
		return r;
	e->fresh = true;
	if (id < 0)
		return llm_err_set(err, LLM_EUNSUPPORTED,
		    "the chat template needs the control token %.*s, which the vocabulary "
		    "lacks",
		    (int)(part->end - part->begin), name);
	return llm_ids_push(e->ids, id, err);
}

static int
encode_part(struct encoding *e, const struct llm_prompt_part *part, struct llm_err *err)
{
	llm_token id;
	int r;
	switch (part->kind) {
	case LLM_PROMPT_IDS:
		if ((r = flush(e, part->end, err)) < 0)
			return r;
		e->fresh = false;
		for (size_t i = 0; i < part->n_ids; i++)
			if ((r = llm_ids_push(e->ids, part->ids[i], err)) < 0)
				return r;
		return 0;
	case LLM_PROMPT_BREAK:
		return flush(e, part->end, err);
	case LLM_PROMPT_TEXT:
		e->end = part->end;
		return 0;
	default:
		id = part_control(e->p, part, e->t);
		if (part->kind != LLM_PROMPT_MARK || id >= 0)
			return push(e, part, id, err);
		e->end = part->end;
		return 0;
	}
}

int
llm_prompt_encode(struct llm_ids *ids, const struct llm_prompt *p,
    const struct llm_tokenizer *t, struct llm_err *err)
{
	struct encoding e = {.ids = ids, .p = p, .t = t, .fresh = true};
	int r;
	for (size_t i = 0; i < p->n_part; i++)
		if ((r = encode_part(&e, &p->part[i], err)) < 0)
			return r;
	return flush(&e, p->n, err);
}
