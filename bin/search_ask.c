/*
 * SPDX-License-Identifier: ISC
 *
 * llm-search: queries in, the nearest records of an index out.
 */
#include "bin/search.h"
#include "bin/tool_records.h"
#include "embed/nearest.h"
#include "libcore/size.h"

#include <stdlib.h>
#include <string.h>

/* Queries asked at once, where as many are there; fewer where each has so many hits that they would fill
 * memory. */
enum { BATCH = 64, BATCH_HITS = 1 << 20 };

struct ask {
	const struct search *search;
	struct llm_corpus index;
	struct llm_nearest_params params;
	struct llm_embed_text text[BATCH];
	char *copy[BATCH];
	struct tool_record told[BATCH];
	int n, n_batch;
	float *vectors;               /* [n_batch][n_embd] */
	struct llm_nearest_hit *hits; /* [n_batch][n_best] */
	uintmax_t n_shown, n_asked;
	bool bad;
};

static void
show(struct ask *a, uintmax_t query, const struct llm_nearest_hit *hit)
{
	struct llm_err err = {0};
	const char *text;
	size_t n;
	if (llm_corpus_text(&text, &n, &a->index, hit->record, &err) < 0)
		tool_die(&err);
	a->n_shown++;
	if (!a->search->json) {
		tool_printf("%.9g\t%zu\t", (double)hit->score, hit->record + 1);
		tool_tsv(text, n);
		tool_write("\n", 1);
		return;
	}
	tool_printf("{\"query\":%ju,\"score\":%.9g,\"n\":%zu,", query, (double)hit->score,
	    hit->record + 1);
	tool_json_text("text", text, n);
	tool_write("}\n", 2);
}

static void
answer(struct ask *a, struct tool_records *records)
{
	struct llm_err err = {0};
	int n_hit[BATCH], n_embd = a->index.maker.n_embd, n = 0;
	if (a->n == 0)
		return;
	tool_embed_run(a->vectors, a->search->embed, a->text, a->n);
	/* Queries that have a vector move together; told[] goes with them. */
	for (int i = 0; i < a->n; i++) {
		const struct llm_embed_text *t = &a->text[i];
		if (t->status < 0) {
			a->bad = true;
			if (records != NULL)
				tool_records_bad(records, &a->told[i],
				    "no query: %s (%d tokens)", llm_err_sentence(t->status),
				    t->n_tok);
			else
				tool_note("no query: %s (%d tokens)",
				    llm_err_sentence(t->status), t->n_tok);
			continue;
		}
		memmove(a->vectors + (size_t)n * (size_t)n_embd,
		    a->vectors + (size_t)i * (size_t)n_embd, (size_t)n_embd * sizeof(float));
		a->told[n++] = a->told[i];
	}
	if (n > 0 &&
	    llm_nearest(a->hits, n_hit, &a->index, a->vectors, n, &a->params, &err) < 0)
		tool_die(&err);
	for (int q = 0; q < n; q++)
		for (int i = 0; i < n_hit[q]; i++) {
			const struct llm_nearest_hit *hit =
			    &a->hits[(size_t)q * (size_t)a->params.n_best + (size_t)i];
			if ((double)hit->score >= a->search->min)
				show(a, a->told[q].n, hit);
		}
	tool_flush();
	for (int i = 0; i < a->n; i++)
		free(a->copy[i]);
	a->n = 0;
}

static void
push(struct ask *a, const struct tool_record *r, const char *text, size_t n)
{
	char *copy = malloc(n + 1);
	if (copy == NULL)
		tool_fail(LLM_ENOMEM, "out of memory: a query of %zu bytes", n);
	memcpy(copy, text, n);
	a->copy[a->n] = copy;
	a->text[a->n] = (struct llm_embed_text){.s = copy, .n = n};
	a->told[a->n++] = *r;
	a->n_asked++;
}

static void
ask_words(struct ask *a, char *const *words)
{
	struct tool_record one = {.n = 1};
	size_t n = 0, at = 0;
	for (int i = 0; words[i] != NULL; i++)
		n += strlen(words[i]) + 1;
	char *text = malloc(n);
	if (text == NULL)
		tool_fail(LLM_ENOMEM, "out of memory: a query of %zu bytes", n);
	for (int i = 0; words[i] != NULL; i++) {
		size_t len = strlen(words[i]);
		memcpy(text + at, words[i], len);
		at += len;
		text[at++] = ' ';
	}
	push(a, &one, text, at - 1);
	free(text);
	answer(a, NULL);
}

static int
ask_records(struct ask *a)
{
	static char *const none[] = {NULL};
	struct tool_records records;
	struct tool_record r;
	enum tool_records_got got;
	tool_records_open(&records, none, 0);
	while ((got = tool_records_next(&r, &records, a->n == 0)) != TOOL_RECORDS_END) {
		if (got == TOOL_RECORDS_ONE && r.bad != NULL)
			tool_records_bad(&records, &r, "%s", r.bad);
		else if (got == TOOL_RECORDS_ONE && r.n_text == 0)
			tool_records_bad(&records, &r, "an empty query");
		else if (got == TOOL_RECORDS_ONE)
			push(a, &r, r.text, r.n_text);
		if (got == TOOL_RECORDS_WAIT || a->n == a->n_batch)
			answer(a, &records);
	}
	answer(a, &records);
	return tool_records_close(&records);
}

static void
open_all(struct ask *a)
{
	struct llm_err err = {0};
	const struct search *s = a->search;
	struct llm_corpus_maker maker = search_maker(s);
	const struct llm_corpus_maker *made = &a->index.maker;
	size_t n_vector, n_hit;
	if (llm_corpus_open(&a->index, s->index, &err) < 0)
		tool_die(&err);
	tool_guard_map(&a->index.map);
	if (memcmp(made->model, maker.model, sizeof maker.model) != 0 ||
	    made->n_embd != maker.n_embd || made->numeric_version != maker.numeric_version)
		tool_fail(LLM_EDATA,
		    "%s: made by another model, of %d dimensions; this one has %d: "
		    "give that "
		    "model by -m, or build it again",
		    a->index.map.name, made->n_embd, maker.n_embd);
	if (made->pooling != maker.pooling || made->normalized != maker.normalized)
		tool_fail(LLM_EDATA, "%s: made with another pooling: build it again",
		    a->index.map.name);
	int n_best = s->n_best;
	if ((size_t)n_best > a->index.n_record)
		n_best = a->index.n_record > 0 ? (int)a->index.n_record : 1;
	a->params = (struct llm_nearest_params){
	    .vector = tool_embed_kernels(s->embed)->vector, .n_best = n_best};
	if (llm_pool_new(&a->params.pool, llm_embedder_n_thread(s->embedder), &err) < 0)
		tool_die(&err);
	for (a->n_batch = BATCH; a->n_batch > 1 && n_best > BATCH_HITS / a->n_batch;)
		a->n_batch /= 2;
	size_t n_batch = (size_t)a->n_batch;
	if (!llm_size_mul(&n_vector, n_batch * sizeof(float), (size_t)maker.n_embd) ||
	    !llm_size_mul(&n_hit, n_batch * sizeof *a->hits, (size_t)n_best) ||
	    (a->vectors = malloc(n_vector)) == NULL || (a->hits = malloc(n_hit)) == NULL)
		tool_fail(
		    LLM_ENOMEM, "out of memory: the %d best of %d queries", n_best, a->n_batch);
}

int
search_ask(const struct search *s, char *const *words)
{
	struct ask *a = calloc(1, sizeof *a);
	int status = 0;
	if (a == NULL)
		tool_fail(LLM_ENOMEM, "out of memory: %zu bytes", sizeof *a);
	a->search = s;
	open_all(a);
	if (words[0] != NULL)
		ask_words(a, words);
	else
		status = ask_records(a);
	if (s->verbose)
		tool_note("%ju queries to %zu records: %ju hits", a->n_asked, a->index.n_record,
		    a->n_shown);
	if (a->bad)
		status = 65;
	else if (status == 0 && a->n_asked > 0 && a->n_shown == 0)
		status = TOOL_NO;
	tool_unguard_map(&a->index.map);
	llm_corpus_close(&a->index);
	llm_pool_free(a->params.pool);
	free(a->vectors);
	free(a->hits);
	free(a);
	return status;
}
