/*
 * SPDX-License-Identifier: ISC
 *
 * Nearness in meaning; see tool_near.h.
 */
#include "bin/tool_near.h"
#include "bin/tool_embed.h"

#include <stdlib.h>
#include <string.h>

enum {
	FIRST_TEXTS = 16, /* of the first run: the first answer is to come soon */
	MOST_TEXTS = 256,
	MOST_BYTES = 1 << 20, /* of a run's texts, but for the last */
};

struct tool_near {
	struct tool_embed *embed;
	const struct llm_embedder *embedder; /* its facts */
	int n_ref, n_embd;
	float *ref; /* [n_ref][n_embd] */
	struct llm_embed_text text[MOST_TEXTS];
	size_t bytes;
	float *y; /* [MOST_TEXTS][n_embd] */
	int n, max_texts, limit;
};

static void
check(int rc, const struct llm_err *err)
{
	if (rc < 0)
		tool_die(err);
}

bool
tool_near_is(void)
{
	struct llm_gguf *g;
	struct llm_err err = {0};
	char *path = tool_model(tool_run.model);
	check(llm_gguf_open(&g, path, &err), &err);
	bool is = llm_encoder_is(g);
	llm_gguf_close(g);
	free(path);
	return is;
}

/* Why a text has no vector. */
static int
refusal(const struct tool_near *a, const struct llm_embed_text *t, struct llm_err *err)
{
	if (t->status == LLM_ETOOLONG)
		return llm_err_set(err, t->status, "%d tokens: the encoder takes at most %d",
		    t->n_tok, llm_embedder_n_ctx(a->embedder));
	if (t->status == LLM_ENOTFINITE)
		return llm_err_set(err, t->status, "its vector is not finite");
	return llm_err_set(err, t->status, "no token");
}

struct tool_near *
tool_near_open(const char *const *text, int n, int max_texts)
{
	struct llm_err err = {0};
	struct tool_near *a = calloc(1, sizeof *a);
	struct llm_embed_text *t = calloc((size_t)n, sizeof *t);
	struct tool_embed_params params = {.n_thread = tool_run.n_thread,
	    .precise = tool_run.precise,
	    .cut = tool_run.fit == LLM_FIT_HEAD,
	    .verbose = tool_run.verbose};
	if (a == NULL || t == NULL)
		tool_fail(LLM_ENOMEM, "out of memory: %d texts", n);
	if (tool_run.fit != LLM_FIT_NONE && !params.cut)
		tool_usage("--fit %s: of an encoder, only the head of a record can be kept",
		    llm_fit_name(tool_run.fit));
	char *path = tool_model(tool_run.model);
	a->embed = tool_embed_open(path, &params);
	a->embedder = tool_embed_embedder(a->embed);
	free(path);
	size_t n_embd = (size_t)llm_embedder_n_embd(a->embedder);
	a->n_embd = (int)n_embd;
	a->n_ref = n;
	a->max_texts = max_texts > 0 ? max_texts : MOST_TEXTS;
	a->limit = a->max_texts < FIRST_TEXTS ? a->max_texts : FIRST_TEXTS;
	a->ref = calloc((size_t)n, n_embd * sizeof *a->ref);
	a->y = calloc(MOST_TEXTS, n_embd * sizeof *a->y);
	if (a->ref == NULL || a->y == NULL)
		tool_fail(LLM_ENOMEM, "out of memory: vectors of %d texts", n);
	for (int i = 0; i < n; i++)
		t[i] = (struct llm_embed_text){.s = text[i], .n = strlen(text[i])};
	tool_embed_run(a->ref, a->embed, t, n);
	for (int i = 0; i < n; i++) {
		char quoted[60];
		if (t[i].status < 0)
			tool_fail(refusal(a, &t[i], &err), "'%s': %s",
			    llm_err_quote(quoted, sizeof quoted, text[i], t[i].n), err.msg);
	}
	free(t);
	return a;
}

void
tool_near_close(struct tool_near *a)
{
	if (a == NULL)
		return;
	for (int i = 0; i < a->n; i++)
		free((char *)(uintptr_t)a->text[i].s);
	tool_embed_close(a->embed);
	free(a->ref);
	free(a->y);
	free(a);
}

int
tool_near_add(struct tool_near *a, const struct tool_record *rec, int n, struct llm_err *err)
{
	if (n == 0) {
		for (int i = 0; i < a->n; i++)
			free((char *)(uintptr_t)a->text[i].s);
		a->n = 0;
		a->bytes = 0;
	}
	if (n > 0 && (n >= a->limit || a->bytes > MOST_BYTES))
		return LLM_EBUSY;
	char *copy = malloc(rec->n_text + 1);
	if (copy == NULL)
		return llm_err_nomem(err, rec->n_text);
	memcpy(copy, rec->text, rec->n_text);
	a->text[a->n++] = (struct llm_embed_text){.s = copy, .n = rec->n_text};
	a->bytes += rec->n_text;
	return 0;
}

void
tool_near_run(struct tool_near *a)
{
	tool_embed_run(a->y, a->embed, a->text, a->n);
	a->limit = 2 * a->limit > a->max_texts ? a->max_texts : 2 * a->limit;
}

int
tool_near_value(struct tool_near *a, int i, double *value, struct llm_err *err)
{
	size_t n_embd = (size_t)a->n_embd;
	if (a->text[i].status < 0)
		return refusal(a, &a->text[i], err);
	for (int k = 0; k < a->n_ref; k++)
		value[k] = (double)tool_embed_kernels(a->embed)->vector->dot(
		    a->ref + (size_t)k * n_embd, a->y + (size_t)i * n_embd, a->n_embd);
	return 0;
}
