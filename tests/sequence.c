/*
 * SPDX-License-Identifier: ISC
 *
 * Sequences for tests; see sequence.h.
 */
#include "tests/sequence.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_VOCAB_USED = 60 };

static void
must(bool good, const struct llm_err *err)
{
	if (good)
		return;
	printf("Bail out! %s\n", err->msg);
	exit(1);
}

struct llm_pass *
test_pass(const struct llm_model *m, const char *kv)
{
	struct llm_pass *p = NULL;
	struct llm_err err = {.msg = "no such type"};
	struct llm_pass_params params = {.n_thread = 1, .precise = strcmp(kv, "precise") == 0};
	must(params.precise || llm_kv_named(&params.kv, kv), &err);
	must(llm_pass_new(&p, m, &params, &err) == 0, &err);
	return p;
}

struct llm_seq *
test_seq(const struct llm_pass *p, int n_ctx)
{
	struct llm_seq *s = NULL;
	struct llm_err err;
	const struct llm_config *c = &llm_pass_model(p)->config;
	must(llm_seq_new(&s, c, llm_pass_kv_type(p), n_ctx, &err) == 0, &err);
	return s;
}

void
test_ids(llm_token *ids, int n, unsigned seed)
{
	for (int i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		ids[i] = (llm_token)(3 + (seed >> 16) % N_VOCAB_USED);
	}
}

void
test_compute(float *logits, struct llm_pass *p, struct llm_seq *s, const llm_token *ids, int n)
{
	struct llm_err err = {.msg = "no memory"};
	int from = s->n_pos;
	struct llm_row *rows = calloc((size_t)n, sizeof *rows);
	must(rows != NULL, &err);
	must(llm_seq_reserve(s, n, &err) == 0, &err);
	for (int i = from; i < n; i++)
		rows[i - from] = (struct llm_row){s, ids[i], i, i == n - 1};
	must(llm_forward(p, rows, n - from, logits, &err) == 0, &err);
	free(rows);
}
