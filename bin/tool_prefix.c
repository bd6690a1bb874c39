/*
 * SPDX-License-Identifier: ISC
 *
 * The prefix store as programs use it; see tool_prefix.h.
 */
#include "bin/tool_prefix.h"
#include "bin/tool_cache.h"
#include "kvstore/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool no_cache;

const struct tool_option tool_prefix_options[] = {
    {.name = "no-cache",
	.help = "neither use nor keep computed beginnings of prompts",
	.kind = TOOL_FLAG,
	.dest = &no_cache},
    {0}};

bool
tool_prefix_off(void)
{
	return no_cache;
}

bool
tool_prefix_bytes(uint64_t *out, const char *s)
{
	static const char units[] = "KMGT";
	char *end;
	errno = 0;
	unsigned long long n = strtoull(s, &end, 10);
	const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
	int shift = unit == NULL ? 0 : 10 * (int)(unit - units + 1);
	if (*s < '0' || *s > '9' || errno != 0 ||
	    (*end != '\0' && (unit == NULL || end[1] != '\0')) || n > UINT64_MAX >> shift)
		return false;
	*out = (uint64_t)n << shift;
	return true;
}

uint64_t
tool_prefix_budget(void)
{
	const char *s = getenv("LLM_KV_BUDGET");
	uint64_t bytes = UINT64_C(4) << 30;
	char quoted[60];
	if (s != NULL && *s != '\0' && !tool_prefix_bytes(&bytes, s))
		tool_usage("LLM_KV_BUDGET is '%s': expected bytes, as 500M or 4G, or 0",
		    llm_err_quote(quoted, sizeof quoted, s, strlen(s)));
	return bytes;
}

char *
tool_prefix_dir(void)
{
	return tool_cache("kv");
}

/* Opened once the model's identity is known; without it where it cannot be. */
static void
store_open(struct tool_prefix *p, const struct llm_hash *model)
{
	struct llm_kvstore_params params = {.budget_bytes = tool_prefix_budget(),
	    .key = llm_kvpage_key_of(
		model, &p->engine->model->config, llm_pass_kv_type(p->engine->pass))};
	struct llm_err err = {0};
	char *dir = tool_prefix_dir();
	if (dir == NULL)
		return;
	params.dir = dir;
	if (llm_kvstore_open(&p->store, &params, &err) < 0) {
		p->store = NULL;
		if (tool_run.verbose)
			tool_note("no prefixes are kept: %s", err.msg);
	}
	free(dir);
}

int
tool_prefix_load(struct tool_prefix *p, const struct tool_engine *e, struct llm_generate *g,
    const llm_token *ids, size_t n)
{
	struct llm_err err;
	struct llm_hash model;
	struct llm_seq *seq = llm_generate_seq(g);
	*p = (struct tool_prefix){.engine = e};
	if (no_cache || n <= LLM_KVSTORE_LEAST || n > (size_t)seq->n_ctx ||
	    tool_prefix_budget() == 0 || !tool_ident_known(&model, e->model->gguf))
		return 0;
	store_open(p, &model);
	if (p->store == NULL)
		return 0;
	int n_kept = llm_kvstore_load(p->store, seq, ids, (int)n - 1);
	return llm_generate_warm(g, ids, &err) < 0 ? 0 : n_kept;
}

void
tool_prefix_keep(struct tool_prefix *p, struct llm_generate *g, const llm_token *ids, size_t n)
{
	struct llm_err err;
	struct llm_seq *seq = llm_generate_seq(g);
	tool_close();
	if (n > (size_t)seq->n_pos)
		n = (size_t)seq->n_pos;
	if (no_cache || p->engine == NULL || n < LLM_KVSTORE_LEAST || tool_prefix_budget() == 0)
		return;
	if (p->store == NULL) {
		struct llm_hash model = tool_ident(p->engine->model->gguf);
		store_open(p, &model);
	}
	if (p->store != NULL && llm_kvstore_save(p->store, seq, ids, (int)n, &err) < 0 &&
	    tool_run.verbose)
		tool_note("not all of the prompt is kept: %s", err.msg);
}

void
tool_prefix_close(struct tool_prefix *p)
{
	llm_kvstore_close(p->store);
	p->store = NULL;
}
