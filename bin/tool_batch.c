/*
 * SPDX-License-Identifier: ISC
 *
 * Prompts that wait, and their labels' probabilities, computed here or by the daemon; see tool_batch.h.
 */
#include "bin/tool_batch.h"
#include "bin/tool_daemon.h"

#include <stdlib.h>
#include <string.h>

enum {
	MAX_PROMPTS = 64,
	MAX_ROWS = 512,    /* as a pass has */
	MAX_IDS = 1 << 19, /* of all prompts: what a message may hold, and some to spare */
};

struct prompt {
	llm_token *ids;
	size_t n, cap;
};

struct tool_batch {
	struct tool_engine *engine;
	struct tool_daemon *daemon;
	struct llm_batch *batch; /* NULL: nothing was computed here so far */
	const struct llm_labels *labels;
	llm_token *prefix;
	size_t n_prefix;
	struct prompt *prompt; /* [max_prompts] */
	double *nats;          /* [max_prompts][n_label] */
	bool *has_nats;        /* [max_prompts]: in the answer under way */
	int n, max_prompts;
	size_t n_new, n_ids; /* tokens of the prompts past the prefix, and all */
};

int
tool_batch_max_tokens(const struct tool_batch *b)
{
	return b->engine->model->config.n_ctx - b->labels->depth;
}

int
tool_batch_max_rows(const struct tool_batch *b)
{
	return b->engine->pass != NULL ? llm_pass_max_rows(b->engine->pass) : MAX_ROWS;
}

int
tool_batch_n(const struct tool_batch *b)
{
	return b->n;
}

void
tool_batch_nats(double *nats, const struct tool_batch *b, int i)
{
	size_t n = (size_t)b->labels->n_label;
	memcpy(nats, b->nats + (size_t)i * n, n * sizeof *nats);
}

void
tool_batch_clear(struct tool_batch *b)
{
	b->n = 0;
	b->n_new = b->n_ids = 0;
}

/* Tokens of a prompt that are not the prefix's; the last one never is. */
static size_t
n_new(const struct tool_batch *b, const llm_token *ids, size_t n)
{
	size_t same = 0;
	while (same < b->n_prefix && same + 1 < n && ids[same] == b->prefix[same])
		same++;
	return n - same;
}

int
tool_batch_add(
    struct tool_batch *b, const llm_token *ids, size_t n, int max_rows, struct llm_err *err)
{
	int rc = llm_batch_admits(b->engine->model, b->labels, n, err);
	if (rc < 0)
		return rc;
	size_t more_rows = n_new(b, ids, n);
	if (b->n == b->max_prompts ||
	    (b->n > 0 && (b->n_new + more_rows > (size_t)max_rows || b->n_ids + n > MAX_IDS)))
		return LLM_EBUSY;
	struct prompt *p = &b->prompt[b->n];
	if (n > p->cap) {
		llm_token *more = realloc(p->ids, n * sizeof *more);
		if (more == NULL)
			return llm_err_nomem(err, n * sizeof *more);
		p->ids = more;
		p->cap = n;
	}
	memcpy(p->ids, ids, n * sizeof *ids);
	p->n = n;
	b->n_new += more_rows;
	b->n_ids += n;
	return b->n++;
}

/* By the daemon. */

/* The spelling that ends at a node. */
static void
put_spelling(struct llm_wire_out *o, const struct llm_labels *l, int node)
{
	int n = l->node[node].depth;
	llm_wire_open_array(o, NULL);
	llm_wire_put_int(o, NULL, l->node[node].label);
	llm_wire_open_array(o, NULL);
	for (int depth = 1; depth <= n; depth++) {
		int at = node;
		while (l->node[at].depth > depth)
			at = l->node[at].parent;
		llm_wire_put_int(o, NULL, l->node[at].token);
	}
	llm_wire_close(o);
	llm_wire_close(o);
}

static void
put(void *context, struct llm_wire_out *o)
{
	const struct tool_batch *b = context;
	const struct llm_labels *l = b->labels;
	tool_daemon_put_run(o);
	llm_wire_put_ids(o, "prefix", b->prefix, b->n_prefix);
	llm_wire_put_int(o, "n_label", l->n_label);
	/* In the order of the nodes, so that the same tree grows of them. */
	llm_wire_open_array(o, "labels");
	for (int i = 1; i < l->n_node; i++)
		if (l->node[i].label >= 0)
			put_spelling(o, l, i);
	llm_wire_close(o);
	llm_wire_open_array(o, "prompts");
	for (int i = 0; i < b->n; i++)
		llm_wire_put_ids(o, NULL, b->prompt[i].ids, b->prompt[i].n);
	llm_wire_close(o);
}

static int
take_nats(struct tool_batch *b, size_t at, const struct llm_wire_value *nats)
{
	size_t n = (size_t)b->labels->n_label;
	if (nats == NULL || llm_wire_n(nats) != n || b->has_nats[at])
		return -1;
	for (size_t i = 0; i < n; i++)
		if (!llm_wire_as_float(&b->nats[at * n + i], llm_wire_item(nats, i)))
			return -1;
	b->has_nats[at] = true;
	return 0;
}

static int
take(void *context, const struct llm_wire_value *m, struct llm_err *err)
{
	struct tool_batch *b = context;
	const struct llm_wire_value *nats = NULL, *done = NULL;
	int64_t at = 0;
	int i = 0, has = llm_wire_get_int(&at, m, "at", 0, b->n - 1, err);
	int rc = has < 0 ? has : llm_wire_get_array(&nats, m, "nats", err);
	if (rc >= 0)
		rc = llm_wire_get_map(&done, m, "done", err);
	if (rc < 0)
		return rc;
	while (done != NULL && i < b->n && b->has_nats[i])
		i++;
	if ((has > 0 && take_nats(b, (size_t)at, nats) < 0) || (done != NULL && i < b->n))
		return llm_err_set(err, LLM_EPROTOCOL,
		    "the daemon's answer does not have %d probabilities of each of %d prompts",
		    b->labels->n_label, b->n);
	return 0;
}

/* Here. */

/* Those from `from' on that one run takes; returns how many. */
static int
run_some(struct tool_batch *b, int from, struct llm_err *err)
{
	int n = 0, rc = 0, max = llm_pass_max_rows(b->engine->pass);
	llm_batch_clear(b->batch);
	for (; from + n < b->n; n++) {
		const struct prompt *p = &b->prompt[from + n];
		rc = llm_batch_add(b->batch, p->ids, p->n, max, err);
		if (rc < 0)
			break;
	}
	if (rc < 0 && rc != LLM_EBUSY)
		return rc;
	if ((rc = llm_batch_run(b->batch, err)) < 0)
		return rc;
	for (int i = 0; i < n; i++)
		llm_batch_nats(
		    b->nats + (size_t)(from + i) * (size_t)b->labels->n_label, b->batch, i);
	return n;
}

static int
run(struct tool_batch *b, struct llm_err *err)
{
	int rc = 0;
	if (b->batch == NULL) {
		const struct llm_batch_params params = {.labels = b->labels,
		    .vector = b->engine->kernels->vector,
		    .prefix = b->prefix,
		    .n_prefix = b->n_prefix,
		    .max_prompts = b->max_prompts};
		rc = llm_batch_new(&b->batch, tool_engine_pass(b->engine), &params, err);
	}
	for (int from = 0; rc >= 0 && from < b->n; from += rc)
		rc = run_some(b, from, err);
	return rc < 0 ? rc : 0;
}

int
tool_batch_run(struct tool_batch *b, struct llm_err *err)
{
	const struct tool_daemon_request request = {
	    .op = "labels", .put = put, .take = take, .context = b};
	if (b->n == 0)
		return 0;
	memset(b->has_nats, 0, (size_t)b->max_prompts * sizeof *b->has_nats);
	int rc = tool_daemon_ask(b->daemon, &request, err);
	return rc < 0 ? rc : rc > 0 ? 0 : run(b, err);
}

int
tool_batch_open(struct tool_batch **out, struct tool_engine *e,
    const struct llm_batch_params *params, struct llm_err *err)
{
	size_t n = params->max_prompts > 0 ? (size_t)params->max_prompts : MAX_PROMPTS;
	size_t n_label = (size_t)params->labels->n_label;
	struct tool_batch *b = calloc(1, sizeof *b);
	if (b == NULL)
		return llm_err_nomem(err, sizeof *b);
	b->engine = e;
	b->labels = params->labels;
	b->n_prefix = params->n_prefix;
	b->max_prompts = (int)n;
	b->prompt = calloc(n, sizeof *b->prompt);
	b->nats = calloc(n, (n_label + 1) * sizeof *b->nats);
	b->has_nats = calloc(n, sizeof *b->has_nats);
	b->prefix = calloc(b->n_prefix + 1, sizeof *b->prefix);
	int rc =
	    b->prompt == NULL || b->nats == NULL || b->has_nats == NULL || b->prefix == NULL
		? llm_err_nomem(err, n * n_label * sizeof *b->nats)
		: llm_batch_possible(e->model, params, err);
	if (rc < 0) {
		tool_batch_close(b);
		return rc;
	}
	if (b->n_prefix > 0)
		memcpy(b->prefix, params->prefix, b->n_prefix * sizeof *b->prefix);
	b->daemon = tool_daemon_open(e->model->gguf, tool_run.verbose);
	*out = b;
	return 0;
}

void
tool_batch_close(struct tool_batch *b)
{
	if (b == NULL)
		return;
	tool_daemon_close(b->daemon);
	llm_batch_free(b->batch);
	for (int i = 0; b->prompt != NULL && i < b->max_prompts; i++)
		free(b->prompt[i].ids);
	free(b->prompt);
	free(b->nats);
	free(b->has_nats);
	free(b->prefix);
	free(b);
}
