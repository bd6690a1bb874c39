/*
 * SPDX-License-Identifier: ISC
 *
 * The options of every program with a model, and what they ask for; see tool_run.h.
 */
#include "bin/tool_run.h"

#include "bin/tool_cache.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_THREADS = 1024 };

struct tool_run tool_run;

static int
fit_take(const char *arg, void *context)
{
	enum llm_fit *fit = context;
	*fit = llm_fit_named(arg);
	return *fit == LLM_FIT_NONE ? -1 : 0;
}

static int
kv_take(const char *arg, void *context)
{
	enum llm_kv_type type;
	*(const char **)context = arg;
	return llm_kv_named(&type, arg) && type != LLM_KV_F32 ? 0 : -1;
}

const struct tool_option tool_run_options[] = {
    {.letter = 'm',
	.name = "model",
	.metavar = "MODEL",
	.help = "a model of the store by name, or a file (a path with a '/')",
	.kind = TOOL_STRING,
	.dest = &tool_run.model},
    {.letter = 't',
	.name = "threads",
	.metavar = "N",
	.help = "threads; as many as the processors at hand unless told",
	.kind = TOOL_INT,
	.min = 1,
	.max = MAX_THREADS,
	.dest = &tool_run.n_thread},
    {.name = "precise",
	.help = "keep activations, keys and values in 32 bits: slower, for evaluation",
	.kind = TOOL_FLAG,
	.dest = &tool_run.precise},
    {.name = "kv",
	.metavar = "f16|q8_0",
	.help = "keep keys and values in this type: q8_0 takes about half the memory of f16",
	.kind = TOOL_EACH,
	.dest = &tool_run.kv,
	.each = kv_take},
    {.name = "fit",
	.metavar = "head|tail|middle",
	.help = "of an input longer than the context keep this part, and say so",
	.kind = TOOL_EACH,
	.dest = &tool_run.fit,
	.each = fit_take},
    {.letter = 'v',
	.name = "verbose",
	.help = "say on standard error what was done, and how fast",
	.kind = TOOL_FLAG,
	.dest = &tool_run.verbose},
    {0},
};

void
tool_engine_open(struct tool_engine *e)
{
	struct llm_err err = {0};
	memset(e, 0, sizeof *e);
	if (tool_run.kv != NULL && tool_run.precise)
		tool_usage(
		    "--precise keeps keys and values in 32 bits, so --kv %s cannot stand "
		    "beside it",
		    tool_run.kv);
	if (llm_kernels_get(&e->kernels, getenv("LLM_KERNELS"), &err) < 0)
		tool_die(&err);
	char *path = tool_model(tool_run.model);
	if (llm_model_open(&e->model, path, &err) < 0)
		tool_die(&err);
	free(path);
	tool_guard(e->model->gguf);
	e->name = llm_gguf_path(e->model->gguf);
	e->tokenizer = tool_tokenizer(e->model->gguf);
}

struct llm_pass *
tool_engine_pass(struct tool_engine *e)
{
	struct llm_err err = {0};
	struct llm_pass_params params = {
	    .kernels = e->kernels, .n_thread = tool_run.n_thread, .precise = tool_run.precise};
	if (e->pass != NULL)
		return e->pass;
	if (tool_run.kv != NULL)
		llm_kv_named(&params.kv, tool_run.kv);
	if (llm_pass_new(&e->pass, e->model, &params, &err) < 0)
		tool_die(&err);
	if (tool_run.verbose)
		tool_note("%s: %s kernels, %d threads, keys and values in %s%s", e->name,
		    e->kernels->name, llm_pass_n_thread(e->pass),
		    llm_kv_name(llm_pass_kv_type(e->pass)),
		    tool_run.precise ? ", precise" : "");
	return e->pass;
}

void
tool_engine_close(struct tool_engine *e)
{
	llm_pass_free(e->pass);
	tool_tokenizer_close(e->tokenizer);
	if (e->model != NULL)
		tool_unguard(e->model->gguf);
	llm_model_close(e->model);
}

void
tool_fit(struct llm_ids *ids, size_t n_head, int n_ctx, int n_max)
{
	if (tool_run.fit == LLM_FIT_NONE || ids->n < (size_t)n_ctx)
		return;
	size_t room = (size_t)llm_fit_room(n_ctx, n_max), n = ids->n;
	if (n_head > room)
		n_head = room;
	size_t from = n_head + llm_fit_from(tool_run.fit, n - n_head, room - n_head);
	memmove(ids->v + n_head, ids->v + from, (room - n_head) * sizeof *ids->v);
	ids->n = room;
	tool_note("the input has %zu tokens, the context %d: kept %zu, its %s", n, n_ctx, room,
	    llm_fit_name(tool_run.fit));
}
