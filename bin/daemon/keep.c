/*
 * SPDX-License-Identifier: ISC
 *
 * Computed prompts to the store on disk, where other programs find them; on another thread, since it takes as long as
 * the disk does.
 */
#include "bin/daemon/request.h"
#include "bin/tool.h"
#include "kvstore/store.h"

#include <stdlib.h>

enum { MOST = 8 }; /* on their way at a time: their pages take memory until they are there */

struct keeping {
	struct daemon *daemon;
	struct kept *kept;
	int rc;
	struct llm_err err;
};

static void
keep_work(void *context)
{
	struct keeping *k = context;
	struct kept *x = k->kept;
	struct llm_kvstore *s;
	const struct llm_kvstore_params params = {
	    .dir = k->daemon->kv_dir, .budget_bytes = k->daemon->kv_budget, .key = x->key};
	if ((k->rc = llm_kvstore_open(&s, &params, &k->err)) < 0)
		return;
	k->rc = llm_kvstore_save(s, x->seq, x->ids, x->n, &k->err);
	llm_kvstore_close(s);
}

static void
on_kept(void *context)
{
	struct keeping *k = context;
	struct daemon *d = k->daemon;
	if (k->rc < 0 && !d->kv_failed) {
		d->kv_failed = true;
		event("not all prompts are kept: %s", k->err.msg);
	}
	engine_spent(d->engine, k->kept);
	d->n_keeping--;
	free(k);
	daemon_ended(d);
}

void
keep_start(struct daemon *d, struct kept *x)
{
	struct keeping *k = d->n_keeping < MOST ? calloc(1, sizeof *k) : NULL;
	if (k == NULL) {
		engine_spent(d->engine, x);
		return;
	}
	*k = (struct keeping){.daemon = d, .kept = x};
	d->n_keeping++;
	if (loop_work(d->loop, keep_work, on_kept, k, &k->err) < 0) {
		k->rc = LLM_ENOMEM;
		on_kept(k);
	}
}
