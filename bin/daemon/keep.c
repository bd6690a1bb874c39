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

enum {
	MOST = 8,   /* on their way at a time: their pages take memory until they are there */
	WORKERS = 2 /* of the loop's four: a slow disk is not to hold up what others prepare */
};

struct keeping {
	struct keeping *next; /* that waits for a worker */
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

static void on_kept(void *context);

/* Those that have waited for longest, while there are workers. */
static void
workers_take(struct daemon *d)
{
	while (d->keep_waiting != NULL && d->n_keep_worker < WORKERS) {
		struct keeping *k = d->keep_waiting;
		d->keep_waiting = k->next;
		d->n_keep_worker++;
		if (loop_work(d->loop, keep_work, on_kept, k, &k->err) < 0) {
			k->rc = LLM_ENOMEM;
			on_kept(k);
		}
	}
}

static void
on_kept(void *context)
{
	struct keeping *k = context;
	struct daemon *d = k->daemon;
	d->n_keep_worker--;
	if (k->rc < 0 && !d->kv_failed) {
		d->kv_failed = true;
		event("not all prompts are kept: %s", k->err.msg);
	}
	engine_spent(d->engine, k->kept);
	d->n_keeping--;
	free(k);
	workers_take(d);
	daemon_ended(d);
}

void
keep_start(struct daemon *d, struct kept *x)
{
	struct keeping *k = d->n_keeping < MOST ? calloc(1, sizeof *k) : NULL;
	struct keeping **end = &d->keep_waiting;
	if (k == NULL) {
		engine_spent(d->engine, x);
		return;
	}
	*k = (struct keeping){.daemon = d, .kept = x};
	d->n_keeping++;
	while (*end != NULL)
		end = &(*end)->next;
	*end = k;
	workers_take(d);
}
