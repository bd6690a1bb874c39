/*
 * SPDX-License-Identifier: ISC
 *
 * Pages of keys and values; see cache.h.
 */
#include "libcore/cache.h"

#include "libcore/size.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of one page: the slots of all layers and KV heads. */
static bool
page_size(size_t *bytes, const struct llm_config *c, enum llm_kv_type type)
{
	return llm_size_mul(bytes, llm_kv_slot_bytes(type, c->d_head), (size_t)c->n_head_kv) &&
	       llm_size_mul(bytes, *bytes, (size_t)c->n_layer);
}

int
llm_seq_new(struct llm_seq **out, const struct llm_config *c, enum llm_kv_type type, int n_ctx,
    struct llm_err *err)
{
	size_t page_bytes;
	if (n_ctx < 1 || n_ctx > c->n_ctx)
		return llm_err_set(err, LLM_EUSAGE, "a context of %d tokens: expected 1 to %d",
		    n_ctx, c->n_ctx);
	if (type == LLM_KV_Q8_0 && c->d_head % 32 != 0)
		return llm_err_set(err, LLM_EUNSUPPORTED,
		    "q8_0 keys and values need heads of a multiple of 32 dimensions, found %d: "
		    "keep them in f16",
		    c->d_head);
	if (!page_size(&page_bytes, c, type))
		return llm_err_nomem(err, SIZE_MAX);
	struct llm_seq *s = calloc(1, sizeof *s);
	if (s == NULL)
		return llm_err_nomem(err, sizeof *s);
	s->type = type;
	s->slot_bytes = llm_kv_slot_bytes(type, c->d_head);
	s->page_bytes = page_bytes;
	s->n_head_kv = c->n_head_kv;
	s->n_ctx = n_ctx;
	*out = s;
	return 0;
}

void
llm_seq_free(struct llm_seq *s)
{
	if (s == NULL)
		return;
	for (int i = s->n_shared; i < s->n_page; i++)
		free(s->page[i]);
	free(s->page);
	free(s);
}

/* Room for n_page pointers. */
static int
pages_grow(struct llm_seq *s, int n_page, struct llm_err *err)
{
	if (n_page <= s->cap_page)
		return 0;
	int cap = n_page > 2 * s->cap_page ? n_page : 2 * s->cap_page;
	void **page = realloc(s->page, (size_t)cap * sizeof *page);
	if (page == NULL)
		return llm_err_nomem(err, (size_t)cap * sizeof *page);
	s->page = page;
	s->cap_page = cap;
	return 0;
}

int
llm_seq_reserve(struct llm_seq *s, int n_pos, struct llm_err *err)
{
	if (n_pos > s->n_ctx)
		return llm_err_set(err, LLM_ETOOLONG,
		    "%d tokens do not fit the context of %d tokens", n_pos, s->n_ctx);
	int n_page = n_pos / LLM_KV_PAGE + (n_pos % LLM_KV_PAGE != 0);
	int rc = pages_grow(s, n_page, err);
	if (rc < 0)
		return rc;
	for (; s->n_page < n_page; s->n_page++) {
		/* Slots are multiples of 64 bytes, so that is enough to align them all. */
		s->page[s->n_page] = aligned_alloc(64, s->page_bytes);
		if (s->page[s->n_page] == NULL)
			return llm_err_nomem(err, s->page_bytes);
	}
	return 0;
}

void
llm_seq_truncate(struct llm_seq *s, int n_pos)
{
	if (n_pos < s->n_pos)
		s->n_pos = n_pos;
	/* What is forgotten may be written over. */
	if (n_pos < s->n_same)
		s->n_same = n_pos;
}

int
llm_seq_share(struct llm_seq *s, const struct llm_seq *from, int n_pos, struct llm_err *err)
{
	int n_shared = n_pos / LLM_KV_PAGE, n_own = s->n_page - s->n_shared, rc;
	if (n_pos < 0 || n_pos > from->n_pos || n_pos > s->n_ctx || s->type != from->type ||
	    s->page_bytes != from->page_bytes)
		return llm_err_set(err, LLM_EUSAGE,
		    "%d positions to share: expected the same kind, and at most %d", n_pos,
		    from->n_pos);
	s->n_pos = 0;
	if ((rc = pages_grow(s, n_shared + n_own, err)) < 0)
		return rc;
	if (s->from != from || s->n_shared != n_shared)
		s->n_same = 0;
	if (n_own > 0)
		memmove(
		    s->page + n_shared, s->page + s->n_shared, (size_t)n_own * sizeof *s->page);
	if (n_shared > 0)
		memcpy(s->page, from->page, (size_t)n_shared * sizeof *s->page);
	s->n_page = n_shared + n_own;
	s->n_shared = n_shared;
	s->from = from;
	if ((rc = llm_seq_reserve(s, n_pos, err)) < 0)
		return rc;
	if (n_pos > n_shared * LLM_KV_PAGE && n_pos > s->n_same) {
		int end = (n_shared + 1) * LLM_KV_PAGE;
		memcpy(s->page[n_shared], from->page[n_shared], s->page_bytes);
		s->n_same = end < from->n_pos ? end : from->n_pos;
	}
	s->n_pos = n_pos;
	return 0;
}

void
llm_seq_extend(struct llm_seq *s, int n_pos)
{
	assert(n_pos <= s->n_page * LLM_KV_PAGE && n_pos <= s->n_ctx);
	/* What was filled in is not what another sequence's copy held there. */
	if (s->n_pos < s->n_same)
		s->n_same = s->n_pos;
	if (n_pos > s->n_pos)
		s->n_pos = n_pos;
}

void *
llm_seq_slot(const struct llm_seq *s, int layer, int head, int page)
{
	size_t slot = (size_t)layer * (size_t)s->n_head_kv + (size_t)head;
	return (char *)s->page[page] + slot * s->slot_bytes;
}

void *
llm_seq_page(const struct llm_seq *s, int page)
{
	return s->page[page];
}

size_t
llm_seq_page_bytes(const struct llm_seq *s)
{
	return s->page_bytes;
}

size_t
llm_seq_bytes(const struct llm_config *c, enum llm_kv_type type, int n_pos)
{
	size_t bytes;
	size_t n_page = (size_t)(n_pos / LLM_KV_PAGE + (n_pos % LLM_KV_PAGE != 0));
	if (!page_size(&bytes, c, type) || !llm_size_mul(&bytes, bytes, n_page))
		return SIZE_MAX;
	return bytes;
}
