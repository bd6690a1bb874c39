/*
 * SPDX-License-Identifier: ISC
 *
 * Vectors computed here or by the daemon; see tool_embed.h.
 */
#include "bin/tool_embed.h"
#include "bin/tool.h"
#include "bin/tool_cache.h"
#include "bin/tool_daemon.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_BYTES = 8 << 20 }; /* of the texts of one request; one text may be longer */

struct tool_embed {
	struct tool_embed_params params;
	const struct llm_kernels *kernels;
	struct llm_embedder *embedder;
	struct tool_daemon *daemon;
};

/* Texts on their way. */
struct asked {
	const struct tool_embed *e;
	struct llm_embed_text *text; /* [n] */
	float *y;                    /* [n][n_embd] */
	bool *taken;                 /* [n] */
	int n;
};

const struct llm_embedder *
tool_embed_embedder(const struct tool_embed *e)
{
	return e->embedder;
}

const struct llm_kernels *
tool_embed_kernels(const struct tool_embed *e)
{
	return e->kernels;
}

struct llm_hash
tool_embed_id(const struct tool_embed *e)
{
	return tool_ident(llm_embedder_gguf(e->embedder));
}

/* By the daemon. */

static void
put(void *context, struct llm_wire_out *o)
{
	static const char *const poolings[] = {[LLM_POOLING_MEAN] = "mean",
	    [LLM_POOLING_FIRST] = "first",
	    [LLM_POOLING_LAST] = "last"};
	const struct asked *q = context;
	const struct tool_embed_params *p = &q->e->params;
	llm_wire_put_str(o, "pooling", poolings[llm_embedder_pooling(q->e->embedder)]);
	llm_wire_put_bool(o, "plain", p->plain);
	llm_wire_put_bool(o, "cut", p->cut);
	llm_wire_put_bool(o, "precise", p->precise);
	llm_wire_open_array(o, "texts");
	for (int i = 0; i < q->n; i++)
		llm_wire_put_bin(o, NULL, q->text[i].s, q->text[i].n);
	llm_wire_close(o);
}

static int
strange(const char *what, struct llm_err *err)
{
	return llm_err_set(
	    err, LLM_EPROTOCOL, "the daemon's vectors are not those of these texts: %s", what);
}

/* f32, little-endian. */
static void
floats_take(float *y, const char *bytes, int n)
{
	for (int i = 0; i < n; i++) {
		unsigned char b[4];
		memcpy(b, bytes + 4 * (size_t)i, sizeof b);
		uint32_t u = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
			     (uint32_t)b[3] << 24;
		memcpy(&y[i], &u, sizeof u);
	}
}

/* What became of one text. */
static int
take_one(struct asked *q, int i, const struct llm_wire_value *m, struct llm_err *err)
{
	struct llm_embed_text *t = &q->text[i];
	int n_embd = llm_embedder_n_embd(q->e->embedder);
	float *y = q->y + (size_t)i * (size_t)n_embd;
	struct llm_wire_bytes vector = {0};
	struct llm_err why = {0};
	int64_t n_tok = 0;
	int rc = llm_wire_get_int(&n_tok, m, "n_tok", 0, INT_MAX, err), has = 0;
	if (rc >= 0)
		rc = has = llm_wire_get_bytes(&vector, m, "vector", err);
	if (rc == 0)
		rc = llm_wire_get_err(&why, m, "error", err);
	if (rc < 0)
		return rc;
	if (rc == 0 || q->taken[i] || (has && vector.n != 4 * (size_t)n_embd))
		return strange("one is twice there, or of another length", err);
	q->taken[i] = true;
	t->n_tok = (int)n_tok;
	t->status = has ? 0 : why.code;
	memset(y, 0, (size_t)n_embd * sizeof *y);
	if (has)
		floats_take(y, vector.s, n_embd);
	return 0;
}

static int
take(void *context, const struct llm_wire_value *m, struct llm_err *err)
{
	struct asked *q = context;
	const struct llm_wire_value *done = NULL;
	int64_t at = 0;
	int rc = llm_wire_get_int(&at, m, "at", 0, q->n - 1, err);
	if (rc > 0)
		rc = take_one(q, (int)at, m, err);
	if (rc >= 0)
		rc = llm_wire_get_map(&done, m, "done", err);
	for (int i = 0; rc > 0 && i < q->n; i++)
		if (!q->taken[i])
			return strange("some are missing", err);
	return rc < 0 ? rc : 0;
}

/* Asks for the first of n texts, as many as a message holds; returns how many, or 0: compute them here. */
static int
ask(struct asked *q, int n)
{
	const struct tool_daemon_request request = {
	    .op = "embed", .put = put, .take = take, .context = q};
	struct llm_err err = {0};
	size_t bytes = 0;
	for (q->n = 0; q->n < n && (q->n == 0 || bytes + q->text[q->n].n <= ASK_BYTES);)
		bytes += q->text[q->n++].n;
	memset(q->taken, 0, (size_t)n * sizeof *q->taken);
	int rc = tool_daemon_ask(q->e->daemon, &request, &err);
	if (rc < 0)
		tool_die(&err);
	return rc > 0 ? q->n : 0;
}

/* Here. */

static void
start(struct tool_embed *e)
{
	const struct llm_embedder *b = e->embedder;
	struct llm_err err = {0};
	if (llm_embedder_start(e->embedder, &err) < 0)
		tool_die(&err);
	if (e->params.verbose)
		tool_note("%s: %s kernels, %d threads, %d dimensions, at most %d tokens",
		    llm_gguf_path(llm_embedder_gguf(b)), e->kernels->name,
		    llm_embedder_n_thread(b), llm_embedder_n_embd(b), llm_embedder_n_ctx(b));
}

void
tool_embed_run(float *y, struct tool_embed *e, struct llm_embed_text *text, int n_text)
{
	struct llm_err err = {0};
	int at = 0, n = 0;
	size_t n_embd = (size_t)llm_embedder_n_embd(e->embedder);
	if (n_text <= 0)
		return;
	if (tool_daemon_serves(e->daemon)) {
		struct asked asked = {.e = e, .taken = calloc((size_t)n_text, sizeof(bool))};
		if (asked.taken == NULL)
			tool_fail(LLM_ENOMEM, "out of memory: %d texts", n_text);
		do {
			asked.text = text + at;
			asked.y = y + (size_t)at * n_embd;
			n = ask(&asked, n_text - at);
			at += n;
		} while (n > 0 && at < n_text);
		free(asked.taken);
		if (at < n_text)
			start(e);
	}
	if (at < n_text && llm_embedder_run(y + (size_t)at * n_embd, e->embedder, text + at,
			       n_text - at, &err) < 0)
		tool_die(&err);
}

struct tool_embed *
tool_embed_open(const char *path, const struct tool_embed_params *params)
{
	struct tool_embed *e = calloc(1, sizeof *e);
	struct llm_err err = {0};
	if (e == NULL)
		tool_fail(LLM_ENOMEM, "out of memory: %zu bytes", sizeof *e);
	e->params = *params;
	if (llm_kernels_get(&e->kernels, getenv("LLM_KERNELS"), &err) < 0)
		tool_die(&err);
	const struct llm_embedder_params p = {.kernels = e->kernels,
	    .n_thread = params->n_thread,
	    .precise = params->precise,
	    .pooling = params->pooling,
	    .plain = params->plain,
	    .cut = params->cut};
	if (llm_embedder_open(&e->embedder, path, &p, &err) < 0)
		tool_die(&err);
	tool_guard(llm_embedder_gguf(e->embedder));
	e->daemon = tool_daemon_open(llm_embedder_gguf(e->embedder), params->verbose);
	if (e->daemon == NULL)
		start(e);
	return e;
}

void
tool_embed_close(struct tool_embed *e)
{
	if (e == NULL)
		return;
	tool_daemon_close(e->daemon);
	tool_unguard(llm_embedder_gguf(e->embedder));
	llm_embedder_close(e->embedder);
	free(e);
}
