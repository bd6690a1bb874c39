/*
 * SPDX-License-Identifier: ISC
 *
 * Labels weighed after a prompt: the tree's arithmetic by hand; on a made model the numbers are those
 * that scoring the same tokens one by one gives, whatever is shared, batched or threaded.
 */
#include "generate/batch.h"
#include "generate/score.h"
#include "libcore/fmath.h"
#include "tests/model.h"
#include "tests/tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_PROMPT = 7, MAX_PROMPT = 400, N_LABEL = 5, MAX_NODE = 16 };

static struct llm_err err;
static struct llm_model *model;

static void
must(int rc)
{
	if (rc >= 0)
		return;
	printf("Bail out! %s\n", err.msg);
	exit(1);
}

static bool
near(double a, double b)
{
	return a == b || fabs(a - b) <= 1e-12 * (1 + fabs(b));
}

/* The tree, with probabilities given. */

static void
spell(struct llm_labels *l, int label, const char *letters, int want)
{
	llm_token ids[8];
	size_t n = strlen(letters);
	for (size_t i = 0; i < n; i++)
		ids[i] = letters[i];
	if (llm_labels_add(l, label, ids, n, &err) != want)
		tap_ok(false, "%s spells label %d", letters, label);
}

/* The edge of the node at the end of letters. */
static double *
edge_of(double *edge, const struct llm_labels *l, const char *letters)
{
	int at = 0;
	for (; *letters != '\0'; letters++)
		for (at = l->node[at].child; l->node[at].token != *letters;)
			at = l->node[at].next;
	return &edge[at];
}

static void
tree(void)
{
	struct llm_labels l = {0};
	double edge[MAX_NODE] = {0}, work[2 * MAX_NODE], nats[3], p[3];
	llm_token a[] = {'a', 'b'}, z[] = {'z', 'a'}, one[] = {'z'};
	spell(&l, 0, "a", 1);
	spell(&l, 1, "ab", 1);
	spell(&l, 1, "acd", 1);
	spell(&l, 2, "x", 1);
	spell(&l, 0, "ab", 0);
	spell(&l, 2, "x", 1);
	tap_ok(l.n_label == 3 && l.n_node == 6, "a spelling belongs to one label, once");
	tap_ok(l.n_inner == 3 && l.depth == 2, "inner nodes are those with children");
	struct llm_labels many = {0};
	for (llm_token i = 0; i < 2000; i++) {
		llm_token ids[] = {i % 200, i};
		must(llm_labels_put(&many, i, ids, 2, NULL));
	}
	bool unlisted = many.n_inner == 0;
	must(llm_labels_list(&many, NULL));
	tap_ok(unlisted && many.n_inner == 201 && many.depth == 1 && many.n_label == 2000,
	    "of many labels they are listed once, at the end");
	llm_labels_free(&many);
	tap_ok(llm_labels_costs_nothing(&l, a, 2) && llm_labels_costs_nothing(&l, one, 1) &&
		   !llm_labels_costs_nothing(&l, z, 2),
	    "a spelling that ends beside others costs nothing more");
	*edge_of(edge, &l, "a") = llm_log(0.5);
	*edge_of(edge, &l, "ab") = llm_log(0.25);
	*edge_of(edge, &l, "ac") = llm_log(0.5);
	*edge_of(edge, &l, "acd") = llm_log(0.125);
	*edge_of(edge, &l, "x") = llm_log(0.125);
	llm_labels_nats(nats, &l, edge, work);
	tap_ok(near(llm_exp(nats[1]), 0.5 * 0.25 + 0.5 * 0.5 * 0.125),
	    "a label's probability is that of all its spellings");
	tap_ok(near(llm_exp(nats[0]), 0.5 * (1 - 0.25 - 0.5 * 0.125)),
	    "of a label that is another's beginning, what goes on to the other is not its own");
	tap_ok(near(nats[2], llm_log(0.125)), "the others are what their tokens say");
	double all = llm_labels_normalise(p, nats, 3);
	tap_ok(near(p[0] + p[1] + p[2], 1) && near(llm_exp(all), 0.625) && near(p[2], 0.2),
	    "among themselves they add up to one");
	*edge_of(edge, &l, "ab") = 0;
	llm_labels_nats(nats, &l, edge, work);
	tap_ok(nats[0] == -INFINITY, "a label that never ends there is impossible");
	for (int i = 0; i < l.n_node; i++)
		edge[i] = -INFINITY;
	llm_labels_nats(nats, &l, edge, work);
	tap_ok(llm_labels_normalise(p, nats, 3) == -INFINITY && near(p[0], 1.0 / 3),
	    "where all are impossible none is the more probable");
	llm_labels_free(&l);
}

/* On a model. */

static llm_token prompt[N_PROMPT][MAX_PROMPT];
static size_t n_prompt[N_PROMPT];
/* 5 goes on to 5 6 and 5 6 7 8; 9 10 and 9 11 need one more row; 12 none. */
static const llm_token label_ids[N_LABEL][5] = {
    {5, 0}, {5, 6, 0}, {5, 6, 7, 8, 0}, {9, 10, 0}, {12, 0}};

static size_t
label_length(int i)
{
	size_t n = 0;
	while (label_ids[i][n] != 0)
		n++;
	return n;
}

/* Prompts that agree on 70 tokens, or on fewer, and go on for 1 to 300. */
static void
prompts_make(void)
{
	static const size_t more[N_PROMPT] = {1, 20, 300, 3, 20, 64, 9};
	for (int i = 0; i < N_PROMPT; i++) {
		n_prompt[i] = 70 + more[i];
		for (size_t j = 0; j < n_prompt[i]; j++)
			prompt[i][j] =
			    (llm_token)((j * 37 + (j < 70 ? 0 : (size_t)i * 101 + 7)) % 500);
	}
	prompt[3][66] = 499;
	prompt[6][10] = 499;
}

static void
labels_make(struct llm_labels *l)
{
	static const llm_token other[] = {9, 11};
	for (int i = 0; i < N_LABEL; i++)
		must(llm_labels_add(l, i, label_ids[i], label_length(i), &err));
	must(llm_labels_add(l, 4, other, 2, &err));
}

/* How a run is made. */
struct way {
	int n_thread, max_rows, max_prompts, limit;
	size_t n_prefix;
};

static size_t
run(double *nats, const struct llm_labels *l, const struct way *w)
{
	struct llm_pass_params pp = {.n_thread = w->n_thread, .max_rows = w->max_rows};
	struct llm_pass *pass;
	struct llm_batch *b;
	must(llm_pass_new(&pass, model, &pp, &err));
	struct llm_batch_params bp = {.labels = l,
	    .prefix = prompt[0],
	    .n_prefix = w->n_prefix,
	    .max_prompts = w->max_prompts};
	must(llm_batch_new(&b, pass, &bp, &err));
	for (int done = 0, i = 0; done < N_PROMPT; done = i) {
		int at = 0;
		for (; i < N_PROMPT && at != LLM_EBUSY; i += at >= 0)
			must((at = llm_batch_add(b, prompt[i], n_prompt[i], w->limit, &err)) ==
				     LLM_EBUSY
				 ? 0
				 : at);
		must(llm_batch_run(b, &err));
		for (int k = 0; k < llm_batch_n(b); k++)
			llm_batch_nats(nats + (done + k) * N_LABEL, b, k);
		llm_batch_clear(b);
	}
	size_t n_row = llm_batch_n_row(b);
	llm_batch_free(b);
	llm_pass_free(pass);
	return n_row;
}

/* ln p of a label's tokens after a prompt, by scoring the whole text. */

struct scored {
	double nats;
	size_t at, from;
};

static void
on_item(void *context, const struct llm_score_item *item)
{
	struct scored *s = context;
	if (s->at++ >= s->from)
		s->nats += item->nats;
}

static double
score(struct llm_score **scorer, struct scored *s, int i, const llm_token *ids, size_t n)
{
	llm_token whole[MAX_PROMPT + 8];
	memcpy(whole, prompt[i], n_prompt[i] * sizeof *whole);
	memcpy(whole + n_prompt[i], ids, n * sizeof *whole);
	*s = (struct scored){.from = n_prompt[i]};
	must(llm_score_window(*scorer, whole, n_prompt[i] + n, n_prompt[i], &err));
	return s->nats;
}

static void
against_score(const double *nats)
{
	struct llm_pass *pass;
	struct llm_score *scorer;
	struct scored s;
	bool plain = true, longer = true, summed = true;
	struct llm_pass_params pp = {.n_thread = 2};
	must(llm_pass_new(&pass, model, &pp, &err));
	struct llm_score_params sp = {.emit = on_item, .context = &s};
	must(llm_score_new(&scorer, pass, &sp, &err));
	for (int i = 0; i < N_PROMPT; i++, nats += N_LABEL) {
		static const llm_token other[] = {9, 11};
		double way[N_LABEL];
		for (int k = 0; k < N_LABEL; k++)
			way[k] = score(&scorer, &s, i, label_ids[k], label_length(k));
		double second = score(&scorer, &s, i, other, 2);
		plain = plain && nats[2] == way[2] && nats[3] == way[3];
		longer = longer && near(llm_exp(nats[0]), llm_exp(way[0]) - llm_exp(way[1])) &&
			 near(llm_exp(nats[1]), llm_exp(way[1]) - llm_exp(way[2]));
		summed = summed && near(llm_exp(nats[4]), llm_exp(way[4]) + llm_exp(second));
	}
	tap_ok(plain, "a label's logarithm is to the bit that of scoring its tokens");
	tap_ok(longer, "what goes on to a longer label is taken from the shorter");
	tap_ok(summed, "two spellings of a label are added");
	llm_score_free(scorer);
	llm_pass_free(pass);
}

static void
refusals(const struct llm_labels *l)
{
	struct llm_pass *pass;
	struct llm_batch *b;
	struct llm_pass_params pp = {.n_thread = 1, .max_rows = 64};
	must(llm_pass_new(&pass, model, &pp, &err));
	struct llm_batch_params bp = {.labels = l, .max_prompts = 2};
	must(llm_batch_new(&b, pass, &bp, &err));
	size_t n = (size_t)llm_batch_max_tokens(b) + 1;
	llm_token *many = calloc(n, sizeof *many);
	tap_ok(llm_batch_add(b, many, n, 512, &err) == LLM_ETOOLONG &&
		   strstr(err.msg, "131070 tokens") != NULL &&
		   strstr(err.msg, "131072") != NULL,
	    "a prompt that leaves no room for the labels is refused with both numbers");
	tap_ok(llm_batch_add(b, many, 0, 512, &err) == LLM_EDATA, "an empty one is refused");
	tap_ok(
	    llm_batch_add(b, many, 9, 8, &err) == 0, "the first prompt may be of any length");
	tap_ok(llm_batch_add(b, many, 1, 8, &err) == LLM_EBUSY, "the next not past the limit");
	tap_ok(llm_batch_add(b, many, 1, 10, &err) == 1, "but up to it");
	tap_ok(
	    llm_batch_add(b, many, 1, 99, &err) == LLM_EBUSY, "nor are there more than may be");
	llm_batch_clear(b);
	many[0] = model->config.n_vocab;
	tap_ok(llm_batch_add(b, many, 1, 8, &err) == 0 && llm_batch_run(b, &err) == LLM_EDATA,
	    "a token out of range fails the run");
	free(many);
	llm_batch_free(b);
	llm_pass_free(pass);
}

/* A token whose embedding is no number fails its own prompt; the others have their numbers. */
static void
one_fails(void)
{
	enum { N = 5, LENGTH = 30, BAD = 2 };
	static const llm_token spelt[3][2] = {{20, 21}, {20, 22}, {23, 24}};
	struct llm_model *m = test_model("odd", "Q8_0", 0, test_model_poison);
	bool good = true, same = true;
	for (int max_rows = 7; max_rows < 600; max_rows += 500) {
		struct llm_pass *pass;
		struct llm_batch *b;
		struct llm_labels l = {0};
		double nats[2][N][3];
		struct llm_pass_params pp = {.n_thread = 1, .max_rows = max_rows};
		must(llm_pass_new(&pass, m, &pp, &err));
		for (int i = 0; i < 3; i++)
			must(llm_labels_add(&l, i, spelt[i], 2, &err));
		struct llm_batch_params bp = {.labels = &l};
		must(llm_batch_new(&b, pass, &bp, &err));
		for (int bad = 0; bad < 2; bad++) {
			for (int i = 0; i < N; i++) {
				llm_token ids[LENGTH];
				for (int k = 0; k < LENGTH; k++)
					ids[k] = 30 + (i * 7 + k * 3) % 100;
				if (bad && i == BAD)
					ids[LENGTH / 2] = TEST_POISON;
				must(llm_batch_add(b, ids, LENGTH, 512, &err));
			}
			good = good && llm_batch_run(b, &err) == (bad ? LLM_ENOTFINITE : 0);
			for (int i = 0; i < N; i++) {
				int rc = llm_batch_failure(b, i, NULL);
				good = good && rc == (bad && i == BAD ? LLM_ENOTFINITE : 0);
				llm_batch_nats(nats[bad][i], b, i);
				same = same && (i == BAD || memcmp(nats[0][i], nats[bad][i],
								sizeof nats[0][i]) == 0);
			}
			llm_batch_clear(b);
		}
		llm_batch_free(b);
		llm_labels_free(&l);
		llm_pass_free(pass);
	}
	tap_ok(good, "a prompt with a value that is no number fails alone");
	tap_ok(same, "and the others have the numbers that they have without it");
	llm_model_close(m);
}

/* Pages that two sequences have in common. */
static void
sharing(void)
{
	struct llm_pass *pass;
	struct llm_seq *from, *s;
	struct llm_pass_params pp = {.n_thread = 1};
	struct llm_row rows[2 * LLM_KV_PAGE];
	const struct llm_config *c = &model->config;
	must(llm_pass_new(&pass, model, &pp, &err));
	must(llm_seq_new(&from, c, llm_pass_kv_type(pass), 1000, &err));
	must(llm_seq_new(&s, c, llm_pass_kv_type(pass), 1000, &err));
	must(llm_seq_reserve(from, 2 * LLM_KV_PAGE, &err));
	for (int i = 0; i < 2 * LLM_KV_PAGE; i++)
		rows[i] = (struct llm_row){.seq = from, .token = i, .pos = i};
	must(llm_forward(pass, rows, LLM_KV_PAGE + 9, NULL, &err));
	must(llm_seq_share(s, from, LLM_KV_PAGE + 5, &err));
	tap_ok(s->n_pos == LLM_KV_PAGE + 5 && s->n_page == 2 && s->page[0] == from->page[0] &&
		   s->page[1] != from->page[1],
	    "a whole page is shared, one in part is copied");
	struct llm_row own = {.seq = s, .token = 3, .pos = LLM_KV_PAGE + 5};
	tap_ok(
	    llm_forward(pass, &own, 1, NULL, &err) == 0, "a sequence goes on in its own pages");
	own.pos = LLM_KV_PAGE - 1;
	tap_ok(llm_forward(pass, &own, 1, NULL, &err) == LLM_EUSAGE &&
		   strstr(err.msg, "another sequence") != NULL,
	    "a row in another sequence's page is refused");
	must(llm_seq_share(s, from, LLM_KV_PAGE + 9, &err));
	tap_ok(memcmp(s->page[1], from->page[1], s->page_bytes) == 0,
	    "a copy that was written over is made again");
	must(llm_seq_share(s, from, LLM_KV_PAGE + 5, &err));
	memset(s->page[1], 0, s->page_bytes);
	llm_seq_extend(s, LLM_KV_PAGE + 4);
	must(llm_seq_share(s, from, LLM_KV_PAGE + 9, &err));
	tap_ok(memcmp(s->page[1], from->page[1], s->page_bytes) == 0,
	    "and so is one that was filled in otherwise");
	must(llm_seq_share(s, from, 20, &err));
	tap_ok(s->page[0] != from->page[0] &&
		   memcmp(s->page[0], from->page[0], s->page_bytes) == 0,
	    "a sequence may come to share less");
	tap_ok(llm_seq_share(s, from, LLM_KV_PAGE + 10, &err) == LLM_EUSAGE,
	    "but not more than there is");
	llm_seq_free(s);
	llm_seq_free(from);
	llm_pass_free(pass);
}

int
main(void)
{
	static const struct way ways[] = {{1, 1, 1, 1, 0}, {2, 512, 64, 512, 0},
	    {1, 512, 64, 512, 70}, {2, 512, 64, 4096, 70}, {3, 7, 3, 40, 64},
	    {2, 64, 64, 4096, 63}, {2, 100, 2, 100, 71}};
	double first[N_PROMPT * N_LABEL], nats[N_PROMPT * N_LABEL];
	struct llm_labels l = {0};
	size_t n_row[sizeof ways / sizeof ways[0]], all = 0;
	tree();
	model = test_model("tiny", "Q8_0", 1, NULL);
	prompts_make();
	labels_make(&l);
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		n_row[i] = run(i == 0 ? first : nats, &l, &ways[i]);
		if (i > 0)
			tap_ok(memcmp(first, nats, sizeof nats) == 0,
			    "the same numbers with %d threads, passes of %d, %d prompts, "
			    "%zu tokens shared",
			    ways[i].n_thread, ways[i].max_rows, ways[i].max_prompts,
			    ways[i].n_prefix);
	}
	for (int i = 0; i < N_PROMPT; i++)
		all += n_prompt[i];
	/* Inner nodes past the root: 5, 5 6, 5 6 7, 9. */
	tap_ok(n_row[0] == all + 4 * N_PROMPT, "a row for each token and inner node");
	tap_ok(n_row[3] == n_row[0] + 70 - 5 * 70 - 66 - 10,
	    "tokens that are shared are computed once");
	against_score(first);
	refusals(&l);
	sharing();
	one_fails();
	llm_labels_free(&l);
	llm_model_close(model);
	return tap_done();
}
