/*
 * SPDX-License-Identifier: ISC
 *
 * Pages in memory: what is taken from them is what would be computed, to the bit, and nothing is copied that can
 * be shared; the budget holds, whoever still uses what goes; the store on disk fills in what memory lacks.
 */
#include "kvstore/resident.h"
#include "tests/folder.h"
#include "tests/model.h"
#include "tests/sequence.h"
#include "tests/tap.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N_TOK = 330 };

static struct llm_err err;
static struct llm_model *model;
static struct llm_pass *pass;
static size_t page_bytes;

static struct llm_kvpage_key
key(void)
{
	const struct llm_hash id = {.b = {1}};
	return llm_kvpage_key_of(&id, &model->config, llm_pass_kv_type(pass));
}

static struct llm_resident *
resident_new(int n_page, struct llm_kvstore *disk)
{
	struct llm_resident *r = NULL;
	struct llm_resident_params params = {
	    .key = key(), .budget_bytes = (uint64_t)n_page * page_bytes, .disk = disk};
	if (llm_resident_new(&r, &params, &err) < 0)
		exit(1);
	return r;
}

static float *
logits_new(void)
{
	return calloc((size_t)model->config.n_vocab, sizeof(float));
}

/* A sequence that has computed ids[0..n), with what is kept of it. */
static struct llm_seq *
run(float *logits, struct llm_resident *r, const llm_token *ids, int n)
{
	struct llm_seq *s = test_seq(pass, 1000);
	if (r != NULL)
		llm_resident_warm(r, s, ids, n - 1);
	test_compute(logits, pass, s, ids, n);
	return s;
}

/* Computes and keeps; returns pages that are new. */
static int
keep(struct llm_resident *r, const llm_token *ids, int n)
{
	float *logits = logits_new();
	struct llm_seq *s = run(logits, r, ids, n);
	int n_new = llm_resident_keep(r, s, ids, n);
	llm_seq_free(s);
	free(logits);
	return n_new;
}

/* How much is taken of ids after the first n_own that the sequence computes itself, or -1 where the logits are not
 * those of computing all. */
static int
taken(struct llm_resident *r, const llm_token *ids, int n_own, int n)
{
	float *a = logits_new(), *b = logits_new();
	struct llm_seq *cold = run(a, NULL, ids, n), *warm = test_seq(pass, 1000);
	if (n_own > 0)
		test_compute(b, pass, warm, ids, n_own);
	int n_warm = llm_resident_warm(r, warm, ids, n - 1);
	bool same = n_warm == warm->n_pos;
	test_compute(b, pass, warm, ids, n);
	same = same && memcmp(a, b, (size_t)model->config.n_vocab * sizeof *a) == 0;
	llm_seq_free(cold);
	llm_seq_free(warm);
	free(a);
	free(b);
	return same ? n_warm : -1;
}

static void
prefixes(const char *what)
{
	llm_token ids[N_TOK], other[N_TOK];
	struct llm_resident *r = resident_new(100, NULL);
	test_ids(ids, N_TOK, 1);
	tap_ok(taken(r, ids, 0, N_TOK) == 0, "%s: at first there is nothing", what);
	tap_ok(keep(r, ids, 150) == 3 && llm_resident_bytes(r) == 3 * page_bytes,
	    "%s: 150 tokens are three pages", what);
	tap_ok(taken(r, ids, 0, N_TOK) == 150, "%s: all are used, to the bit", what);
	tap_ok(taken(r, ids, 0, 150) == 149 && taken(r, ids, 0, 40) == 39 &&
		   taken(r, ids, 0, 64) == 63 && taken(r, ids, 0, 65) == 64,
	    "%s: of a page a part serves", what);
	tap_ok(taken(r, ids, 64, N_TOK) == 150 && taken(r, ids, 128, N_TOK) == 150,
	    "%s: a sequence that has begun takes what follows", what);
	tap_ok(taken(r, ids, 70, N_TOK) == 150 && taken(r, ids, 30, 100) == 99 &&
		   taken(r, ids, 140, N_TOK) == 150 && taken(r, ids, 149, 150) == 149,
	    "%s: in the midst of a page too", what);
	memcpy(other, ids, sizeof ids);
	other[100] = other[100] == 5 ? 6 : 5;
	tap_ok(taken(r, other, 0, N_TOK) == 100 && taken(r, other, 90, N_TOK) == 100 &&
		   taken(r, other, 110, N_TOK) == 110,
	    "%s: up to where two prompts part", what);
	tap_ok(keep(r, other, 150) == 2 && taken(r, other, 0, N_TOK) == 150 &&
		   taken(r, ids, 0, N_TOK) == 150,
	    "%s: what is shared is kept once", what);
	tap_ok(keep(r, ids, 150) == 0 && keep(r, ids, 140) == 0 && keep(r, ids, 135) == 0,
	    "%s: what is kept is not kept again", what);
	tap_ok(keep(r, ids, 170) == 1 && llm_resident_bytes(r) == 5 * page_bytes,
	    "%s: a page in part goes when one that goes on from it comes", what);
	tap_ok(keep(r, ids, N_TOK) == 4 && llm_resident_bytes(r) == 8 * page_bytes &&
		   taken(r, ids, 0, N_TOK) == N_TOK - 1,
	    "%s: and when it is whole", what);
	llm_resident_free(r);
}

/* Nothing is copied: sequences and store have the same pages, and none that is shared is written. */
static void
sharing(void)
{
	llm_token ids[N_TOK], other[N_TOK];
	float *logits = logits_new();
	struct llm_resident *r = resident_new(100, NULL);
	test_ids(ids, N_TOK, 2);
	memcpy(other, ids, sizeof ids);
	other[140] = other[140] == 5 ? 6 : 5;
	struct llm_seq *a = run(logits, r, ids, 150);
	llm_resident_keep(r, a, ids, 128);
	struct llm_seq *b = run(logits, r, other, 200);
	tap_ok(llm_seq_page(a, 0) == llm_seq_page(b, 0) &&
		   llm_seq_page(a, 1) == llm_seq_page(b, 1) &&
		   llm_page_n_owner(llm_seq_page(a, 1)) == 3 && llm_seq_n_own(a) == 1,
	    "two sequences and the store have the same pages");
	llm_resident_keep(r, a, ids, 150);
	void *part = llm_seq_page(a, 2);
	test_compute(logits, pass, a, ids, 180);
	tap_ok(llm_seq_page(a, 2) != part && llm_page_n_owner(part) == 1,
	    "a sequence that goes on in a page that was kept in part does so in a copy");
	tap_ok(taken(r, ids, 0, N_TOK) == 150 && taken(r, other, 0, N_TOK) == 140,
	    "and what was kept is what it was");
	llm_resident_limit(r, 0);
	tap_ok(llm_resident_bytes(r) == 0 && llm_page_n_owner(llm_seq_page(a, 0)) == 2 &&
		   taken(r, ids, 0, N_TOK) == 0,
	    "a store that lets go takes nothing from who uses it");
	llm_seq_free(a);
	struct llm_seq *cold = run(logits, NULL, other, 200);
	tap_ok(memcmp(llm_seq_page(cold, 0), llm_seq_page(b, 0), page_bytes) == 0,
	    "nor does a sequence that ends");
	llm_seq_free(cold);
	llm_seq_free(b);
	llm_resident_free(r);
	free(logits);
}

static void
budgets(void)
{
	llm_token ids[N_TOK], other[N_TOK];
	struct llm_resident *r = resident_new(6, NULL);
	test_ids(ids, N_TOK, 3);
	test_ids(other, N_TOK, 4);
	keep(r, ids, 256);
	keep(r, other, 128);
	tap_ok(llm_resident_bytes(r) == 6 * page_bytes && taken(r, ids, 0, N_TOK) == 256,
	    "a budget may be used up");
	tap_ok(keep(r, other, 192) == 1 && taken(r, other, 0, N_TOK) == 192 &&
		   taken(r, ids, 0, N_TOK) == 192,
	    "then a prompt's last page goes first");
	test_ids(other, N_TOK, 5);
	tap_ok(keep(r, other, 64) == 1 && taken(r, ids, 0, N_TOK) == 192,
	    "of that which was used least lately");
	test_ids(other, N_TOK, 6);
	tap_ok(keep(r, other, N_TOK) == 6 && taken(r, other, 0, N_TOK) == N_TOK - 1 &&
		   taken(r, ids, 0, N_TOK) == 0,
	    "a prompt may take all of it");
	test_ids(other, N_TOK, 7);
	llm_resident_limit(r, 3 * page_bytes);
	tap_ok(llm_resident_bytes(r) == 3 * page_bytes && keep(r, other, N_TOK) == 3 &&
		   taken(r, other, 0, N_TOK) == 192 && llm_resident_bytes(r) == 3 * page_bytes,
	    "of one that is larger the beginning is kept");
	llm_resident_free(r);
	r = resident_new(0, NULL);
	tap_ok(keep(r, ids, N_TOK) == 0 && taken(r, ids, 0, N_TOK) == 0, "no budget, no pages");
	llm_resident_free(r);
}

/* Any prompts that share any beginnings, in a budget that is too small for them. */
static void
many(void)
{
	struct llm_resident *r = resident_new(9, NULL);
	llm_token ids[N_TOK], other[N_TOK];
	int good = 0, n_taken = 0, runs = tap_quick() ? 40 : 150;
	unsigned seed = 1;
	for (int i = 0; i < runs; i++) {
		seed = seed * 1664525u + 1013904223u;
		int n = 2 + (int)(seed >> 8) % (N_TOK - 2), part = (int)(seed >> 20) % N_TOK;
		test_ids(ids, N_TOK, 50 + i % 3);
		test_ids(other, N_TOK, 60 + i % 5);
		memcpy(ids + part, other + part, (size_t)(N_TOK - part) * sizeof *ids);
		int own = (int)(seed >> 4) % n, got = taken(r, ids, i % 2 ? own : 0, n);
		keep(r, ids, n);
		good += got >= 0 && llm_resident_bytes(r) <= 9 * page_bytes;
		n_taken += got;
	}
	tap_ok(
	    good == runs && n_taken > 0, "whatever comes and goes, a hit is a recomputation");
	llm_resident_free(r);
}

static void
beneath(void)
{
	llm_token ids[N_TOK];
	struct llm_kvstore *disk = NULL;
	struct llm_kvstore_params params = {
	    .dir = test_folder, .budget_bytes = UINT64_C(1) << 40, .key = key()};
	float *logits = logits_new();
	test_ids(ids, N_TOK, 8);
	if (llm_kvstore_open(&disk, &params, &err) < 0)
		exit(1);
	struct llm_seq *s = run(logits, NULL, ids, 300);
	llm_kvstore_save(disk, s, ids, 300, &err);
	llm_seq_free(s);
	struct llm_resident *r = resident_new(100, disk);
	tap_ok(taken(r, ids, 0, N_TOK) == 300, "what memory lacks the disk has");
	tap_ok(taken(r, ids, 64, N_TOK) == 300, "also after pages that are there");
	keep(r, ids, 128);
	tap_ok(taken(r, ids, 0, N_TOK) == 300, "both together are as long as the longer");
	llm_resident_free(r);
	llm_kvstore_close(disk);
	free(logits);
}

int
main(void)
{
	static const char *const what[] = {"f16", "q8_0", "precise"};
	test_folder_new();
	model = test_model("tinyk", "Q4_K", 0, NULL);
	for (int i = 2; i >= 0; i--) {
		pass = test_pass(model, what[i]);
		page_bytes = llm_seq_bytes(&model->config, llm_pass_kv_type(pass), LLM_KV_PAGE);
		prefixes(what[i]);
		if (i > 0)
			llm_pass_free(pass);
	}
	sharing();
	budgets();
	many();
	beneath();
	llm_pass_free(pass);
	llm_model_close(model);
	return test_folder_remove() ? tap_done() : 1;
}
