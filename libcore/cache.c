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

/* What stands before the slots of a page; as long as they are aligned. */
struct head {
	int n_owner;
	char rest[64 - sizeof(int)];
};

static struct head *
head_of(const void *page)
{
	return (struct head *)((char *)(uintptr_t)page - sizeof(struct head));
}

/* A page with one owner; NULL: no memory. */
static void *
page_new(size_t page_bytes)
{
	size_t bytes;
	/* Slots are multiples of 64 bytes, so that is enough to align them all. */
	struct head *head =
	    llm_size_add(&bytes, page_bytes, sizeof *head) ? aligned_alloc(64, bytes) : NULL;
	if (head == NULL)
		return NULL;
	head->n_owner = 1;
	return head + 1;
}

void *
llm_page_hold(void *page)
{
	head_of(page)->n_owner++;
	return page;
}

void
llm_page_drop(void *page)
{
	if (page != NULL && --head_of(page)->n_owner == 0)
		free(head_of(page));
}

int
llm_page_n_owner(const void *page)
{
	return head_of(page)->n_owner;
}

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
llm_seq_clear(struct llm_seq *s)
{
	for (int i = 0; i < s->n_page; i++)
		llm_page_drop(s->page[i]);
	s->n_page = s->n_pos = 0;
}

void
llm_seq_free(struct llm_seq *s)
{
	if (s == NULL)
		return;
	llm_seq_clear(s);
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

/* Page k is one that s alone owns; the first n_keep of its positions are what they were. */
static int
page_own(struct llm_seq *s, int k, int n_keep, struct llm_err *err)
{
	if (llm_page_n_owner(s->page[k]) == 1)
		return 0;
	void *page = page_new(s->page_bytes);
	if (page == NULL)
		return llm_err_nomem(err, s->page_bytes);
	if (n_keep > 0)
		memcpy(page, s->page[k], s->page_bytes);
	llm_page_drop(s->page[k]);
	s->page[k] = page;
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
	for (int k = s->n_pos / LLM_KV_PAGE; rc >= 0 && k < n_page && k < s->n_page; k++)
		rc = page_own(s, k, s->n_pos - k * LLM_KV_PAGE, err);
	if (rc < 0)
		return rc;
	for (; s->n_page < n_page; s->n_page++)
		if ((s->page[s->n_page] = page_new(s->page_bytes)) == NULL)
			return llm_err_nomem(err, s->page_bytes);
	return 0;
}

void
llm_seq_truncate(struct llm_seq *s, int n_pos)
{
	if (n_pos < s->n_pos)
		s->n_pos = n_pos;
}

int
llm_seq_adopt(struct llm_seq *s, void *page, struct llm_err *err)
{
	int k = s->n_pos / LLM_KV_PAGE, rc;
	if (s->n_pos % LLM_KV_PAGE != 0 || s->n_ctx - s->n_pos < LLM_KV_PAGE)
		return llm_err_set(err, LLM_EUSAGE,
		    "a page after %d positions: expected whole pages and room for one more",
		    s->n_pos);
	if ((rc = pages_grow(s, k + 1, err)) < 0)
		return rc;
	llm_page_hold(page);
	if (k < s->n_page)
		llm_page_drop(s->page[k]);
	else
		s->n_page = k + 1;
	s->page[k] = page;
	s->n_pos += LLM_KV_PAGE;
	return 0;
}

/* The pages that s alone owns stand first and in order; the others are gone. */
static void
pages_keep_own(struct llm_seq *s)
{
	int n = 0;
	for (int k = 0; k < s->n_page; k++)
		if (llm_page_n_owner(s->page[k]) == 1)
			s->page[n++] = s->page[k];
		else
			llm_page_drop(s->page[k]);
	s->n_page = n;
}

int
llm_seq_share(struct llm_seq *s, const struct llm_seq *from, int n_pos, struct llm_err *err)
{
	int n_shared = n_pos / LLM_KV_PAGE, rc;
	if (n_pos < 0 || n_pos > from->n_pos || n_pos > s->n_ctx || s->type != from->type ||
	    s->page_bytes != from->page_bytes || s == from)
		return llm_err_set(err, LLM_EUSAGE,
		    "%d positions to share: expected the same kind, and at most %d", n_pos,
		    from->n_pos);
	s->n_pos = 0;
	pages_keep_own(s);
	if ((rc = pages_grow(s, n_shared + s->n_page, err)) < 0)
		return rc;
	/* Its own pages serve the positions after those that it shares. */
	if (s->n_page > 0)
		memmove(s->page + n_shared, s->page, (size_t)s->n_page * sizeof *s->page);
	for (int k = 0; k < n_shared; k++)
		s->page[k] = llm_page_hold(from->page[k]);
	s->n_page += n_shared;
	s->n_pos = n_shared * LLM_KV_PAGE;
	if (n_pos > s->n_pos) {
		if ((rc = llm_seq_reserve(s, n_pos, err)) < 0) {
			s->n_pos = 0;
			return rc;
		}
		memcpy(s->page[n_shared], from->page[n_shared], s->page_bytes);
	}
	s->n_pos = n_pos;
	return 0;
}

void
llm_seq_extend(struct llm_seq *s, int n_pos)
{
	assert(n_pos <= s->n_page * LLM_KV_PAGE && n_pos <= s->n_ctx);
	if (n_pos > s->n_pos)
		s->n_pos = n_pos;
}

bool
llm_seq_writable(const struct llm_seq *s, int pos)
{
	int k = pos / LLM_KV_PAGE;
	return k < s->n_page && llm_page_n_owner(s->page[k]) == 1;
}

int
llm_seq_n_own(const struct llm_seq *s)
{
	int n = 0;
	for (int k = 0; k < s->n_page; k++)
		n += llm_page_n_owner(s->page[k]) == 1;
	return n;
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
