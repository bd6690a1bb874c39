/*
 * SPDX-License-Identifier: ISC
 *
 * Computed beginnings of prompts: in memory, by pages that several sequences own, and on disk, where other
 * programs find them too.  To disk they go after the answer is out, on another thread, which is lent a
 * sequence that owns the same pages.
 */
#include "bin/daemon/lane.h"

#include "kvstore/resident.h"

#include <stdlib.h>
#include <string.h>

static struct llm_kvpage_key
key_of(const struct lane *l, const struct job *j)
{
	return llm_kvpage_key_of(
	    &j->ident, &l->resident->model->config, llm_pass_kv_type(l->pass));
}

/* The lane's store; once the model's identity is known, with the one on disk beneath.  NULL: none. */
static struct llm_resident *
store_get(struct lane *l, const struct job *j)
{
	const struct engine_params *ep = engine_params(j->engine);
	struct llm_err err;
	struct llm_resident_params params = {
	    .key = key_of(l, j), .budget_bytes = l->pages_limit};
	if (l->pages != NULL && (l->has_ident || !j->has_ident))
		return l->pages;
	llm_resident_free(l->pages);
	l->pages = NULL;
	l->has_ident = j->has_ident;
	if (j->has_ident && ep->kv_dir != NULL) {
		const struct llm_kvstore_params disk = {
		    .dir = ep->kv_dir, .budget_bytes = ep->kv_budget, .key = params.key};
		if (llm_kvstore_open(&l->store, &disk, &err) < 0)
			l->store = NULL;
	}
	params.disk = l->store;
	if (llm_resident_new(&l->pages, &params, &err) < 0)
		l->pages = NULL;
	return l->pages;
}

void
prefix_warm(void *context, struct llm_seq *seq, const llm_token *ids, int n)
{
	struct job *j = context;
	struct llm_resident *pages = j->cache ? store_get(j->lane, j) : NULL;
	if (pages != NULL)
		llm_resident_warm(pages, seq, ids, n);
}

void
prefix_keep(void *context, const struct llm_seq *seq, const llm_token *ids, int n)
{
	struct job *j = context;
	struct llm_resident *pages = j->cache ? store_get(j->lane, j) : NULL;
	int n_prompt = (int)j->prompt.n;
	/* Where a part of the prompt is not to be kept, nothing behind it is. */
	if (j->keep < n_prompt && n > j->keep)
		n = j->keep;
	if (pages != NULL && n > 0)
		llm_resident_keep(pages, seq, ids, n);
	if (pages == NULL || j->lane->store == NULL || n < LLM_KVSTORE_LEAST ||
	    (j->keep >= n_prompt && n < n_prompt))
		return;
	/* What was lent before holds less. */
	prefix_forget(j);
	struct llm_err err;
	struct kept *k = calloc(1, sizeof *k);
	if (k == NULL)
		return;
	k->key = key_of(j->lane, j);
	k->n = n;
	k->ids = malloc((size_t)n * sizeof *ids);
	if (k->ids == NULL ||
	    llm_seq_new(
		&k->seq, &j->lane->resident->model->config, seq->type, seq->n_ctx, &err) < 0 ||
	    llm_seq_share(k->seq, seq, n, &err) < 0) {
		j->kept = k;
		prefix_forget(j);
		return;
	}
	memcpy(k->ids, ids, (size_t)n * sizeof *ids);
	j->kept = k;
}

void
prefix_forget(struct job *j)
{
	if (j->kept != NULL)
		kept_free(j->kept);
	j->kept = NULL;
}

void
prefix_done(struct job *j)
{
	struct notice *told = j->kept != NULL ? malloc(sizeof *told) : NULL;
	if (told == NULL) {
		prefix_forget(j);
		return;
	}
	*told = (struct notice){.kind = NOTICE_KEPT, .kept = j->kept};
	j->kept = NULL;
	engine_tell(j->engine, told);
}

void
prefix_limit(struct lane *l, uint64_t bytes)
{
	if (l->pages_limit == bytes)
		return;
	l->pages_limit = bytes;
	if (l->pages != NULL)
		llm_resident_limit(l->pages, bytes);
}

uint64_t
prefix_bytes(const struct lane *l)
{
	return l->pages != NULL ? llm_resident_bytes(l->pages) : 0;
}

void
prefix_close(struct lane *l)
{
	llm_resident_free(l->pages);
	llm_kvstore_close(l->store);
}
