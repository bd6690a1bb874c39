/*
 * SPDX-License-Identifier: ISC
 *
 * The forward pass: every layer of a small f32 model against doubles, and the promise that logits are
 * the same bits however tokens are batched, whichever threads and kernels compute them.
 */
#include "libcore/forward.h"
#include "tests/model.h"
#include "tests/reference.h"
#include "tests/tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct llm_err err;

static llm_token
token_at(int i, const struct llm_model *m)
{
	return (llm_token)((unsigned)i * 2654435761u >> 8) % m->config.n_vocab;
}

/* How one run of the same tokens differs from another. */
struct way {
	const char *name;
	const char *kernels;
	int n_thread;
	int chunk;           /* tokens a call; 0: sizes in turn */
	enum llm_kv_type kv; /* F32: --precise */
	int others;          /* sequences of other tokens in every call */
};

/* A pass with its sequences: the one looked at, and others that share its calls. */
struct bed {
	struct llm_pass *pass;
	struct llm_seq *seq[4];
	struct llm_row row[600];
	float *logits;
};

static void
bed_close(struct bed *b)
{
	for (int i = 0; i < 4; i++)
		llm_seq_free(b->seq[i]);
	llm_pass_free(b->pass);
	free(b->logits);
}

static bool
bed_open(struct bed *b, const struct llm_model *m, const struct way *w, int n_tok)
{
	const struct llm_kernels *k = NULL;
	memset(b, 0, sizeof *b);
	b->logits = malloc(600 * (size_t)m->config.n_vocab * sizeof *b->logits);
	struct llm_pass_params params = {.n_thread = w->n_thread,
	    .precise = w->kv == LLM_KV_F32,
	    .kv = w->kv,
	    .max_rows = 600};
	bool good = b->logits != NULL && llm_kernels_get(&k, w->kernels, &err) == 0;
	params.kernels = k;
	good = good && llm_pass_new(&b->pass, m, &params, &err) == 0;
	for (int i = 0; good && i <= w->others; i++)
		good = llm_seq_new(&b->seq[i], &m->config, llm_pass_kv_type(b->pass), n_tok,
			   &err) == 0 &&
		       llm_seq_reserve(b->seq[i], n_tok, &err) == 0;
	if (!good)
		printf("# %s\n", err.msg);
	return good;
}

/* Rows [from, from + n) of the sequence looked at, after the same stretch of the others. */
static int
bed_rows(struct bed *b, const struct llm_model *m, const struct way *w, int from, int n)
{
	int r = 0;
	for (int s = 1; s <= w->others; s++)
		for (int i = 0; i < n; i++)
			b->row[r++] = (struct llm_row){b->seq[s],
			    token_at(1000 * s + from + i, m), from + i, i % 3 == s % 3};
	for (int i = 0; i < n; i++)
		b->row[r++] = (struct llm_row){
		    b->seq[0], token_at(from + i, m), from + i, (from + i) % 16 == 15};
	return r;
}

/* Runs n_tok tokens; out gets the logits of every sixteenth position [n_tok / 16][n_vocab]. */
static bool
way_run(float *out, const struct llm_model *m, const struct way *w, int n_tok)
{
	static const int sizes[] = {1, 7, 2, 64, 3, 129, 31, 8, 5};
	struct bed b;
	size_t n_vocab = (size_t)m->config.n_vocab;
	bool good = bed_open(&b, m, w, n_tok);
	for (int from = 0, call = 0, n; good && from < n_tok; from += n, call++) {
		n = w->chunk > 0 ? w->chunk : sizes[call % 9];
		n = n < n_tok - from ? n : n_tok - from;
		int n_row = bed_rows(&b, m, w, from, n);
		good = llm_forward(b.pass, b.row, n_row, b.logits, &err) == 0;
		const float *logits = b.logits;
		for (int r = 0; good && r < n_row; r++) {
			if (!b.row[r].logits)
				continue;
			if (b.row[r].seq == b.seq[0])
				memcpy(out + (size_t)(b.row[r].pos / 16) * n_vocab, logits,
				    n_vocab * sizeof *out);
			logits += n_vocab;
		}
	}
	if (!good)
		printf("# %s\n", err.msg);
	bed_close(&b);
	return good;
}

static float *
logits_new(const struct llm_model *m, int n_tok)
{
	float *x = calloc((size_t)(n_tok / 16) * (size_t)m->config.n_vocab, sizeof *x);
	if (x == NULL)
		abort();
	return x;
}

/* The promise, for one type of weights. */
static void
same_bits(const char *shape, const char *type, int n_tok)
{
	struct llm_model *m = test_model(shape, type, 0, NULL);
	size_t bytes = (size_t)(n_tok / 16) * (size_t)m->config.n_vocab * sizeof(float);
	float *want = logits_new(m, n_tok), *got = logits_new(m, n_tok);
	const struct llm_kernels *k;
	/* A long text takes the ways that differ in segments, and those alone; Q8_0 has no other width. */
	bool is_long = n_tok > LLM_KV_SEGMENT;
	for (int type_kv = LLM_KV_F16; type_kv <= (is_long ? LLM_KV_Q8_0 : LLM_KV_F32);
	     type_kv++) {
		enum llm_kv_type kv = (enum llm_kv_type)type_kv;
		if (kv == LLM_KV_Q8_0 && m->config.d_head % 32 != 0)
			continue;
		struct way plain = {"", "generic", 1, 100, kv, 0};
		int differing = 0, ways = 0;
		bool ran = way_run(want, m, &plain, n_tok);
		for (int i = 0; ran && (k = llm_kernels_at(i)) != NULL; i++) {
			struct way way[] = {
			    {"all at once, 2 threads", k->name, 2, 590, kv, 0},
			    {"one by one", k->name, 1, 1, kv, 0},
			    {"sizes in turn, 3 threads", k->name, 3, 0, kv, 0},
			    {"with 3 other sequences", k->name, 2, 37, kv, 3},
			};
			/* Plain C takes each way once; the rest is for the fast sets. */
			for (size_t j = i == 0 || is_long ? 2 : 0;
			     j < sizeof way / sizeof way[0]; j++, ways++) {
				if (is_long && i == 0)
					break;
				memset(got, 0xff, bytes);
				if (!way_run(got, m, &way[j], n_tok) ||
				    memcmp(want, got, bytes) != 0) {
					printf("# differs: %s, %s\n", k->name, way[j].name);
					differing++;
				}
			}
		}
		tap_ok(ran && ways >= 2 && differing == 0,
		    "%s %s%s: the same bits whatever the kernels, threads, batches and "
		    "neighbours",
		    shape, type,
		    kv == LLM_KV_F32    ? " --precise"
		    : kv == LLM_KV_Q8_0 ? " --kv q8_0"
					: "");
	}
	free(want);
	free(got);
	llm_model_close(m);
}

/* Layers against doubles. */

struct layers {
	const struct llm_model *m;
	int n_tok;
	double *x[8]; /* of the reference */
	double worst;
	int seen;
};

static void
keep_layer(void *context, int layer, const double *x)
{
	struct layers *l = context;
	size_t n = (size_t)l->n_tok * (size_t)l->m->config.n_embd;
	l->x[layer + 1] = malloc(n * sizeof *x);
	memcpy(l->x[layer + 1], x, n * sizeof *x);
}

static void
compare_layer(void *context, int layer, const float *x, int n_row)
{
	struct layers *l = context;
	size_t n = (size_t)n_row * (size_t)l->m->config.n_embd;
	double diff = 0, norm = 0;
	for (size_t i = 0; i < n; i++) {
		double d = (double)x[i] - l->x[layer + 1][i];
		diff += d * d;
		norm += l->x[layer + 1][i] * l->x[layer + 1][i];
	}
	l->worst = fmax(l->worst, sqrt(diff / norm));
	l->seen += n_row == l->n_tok;
}

static void
near_reference(const char *name, const char *kernels, struct llm_model *m, int n_tok)
{
	struct layers l = {.m = m, .n_tok = n_tok};
	struct llm_pass *p = NULL;
	struct llm_seq *s = NULL;
	const struct llm_kernels *k = NULL;
	size_t n = (size_t)n_tok * (size_t)m->config.n_vocab;
	double *ref = malloc(n * sizeof *ref), kl = 0;
	float *logits = malloc(n * sizeof *logits);
	struct llm_row *rows = calloc((size_t)n_tok, sizeof *rows);
	int32_t *token = calloc((size_t)n_tok, sizeof *token);
	struct llm_pass_params params = {
	    .max_rows = n_tok, .precise = true, .tap = compare_layer, .tap_context = &l};
	bool good = ref != NULL && logits != NULL && rows != NULL && token != NULL &&
		    llm_kernels_get(&k, kernels, &err) == 0;
	params.kernels = k;
	for (int i = 0; good && i < n_tok; i++)
		token[i] = token_at(i, m);
	good = good && reference_run(ref, m->gguf, token, n_tok, keep_layer, &l) == 0 &&
	       llm_pass_new(&p, m, &params, &err) == 0 &&
	       llm_seq_new(&s, &m->config, llm_pass_kv_type(p), n_tok, &err) == 0 &&
	       llm_seq_reserve(s, n_tok, &err) == 0;
	for (int i = 0; good && i < n_tok; i++)
		rows[i] = (struct llm_row){s, token[i], i, true};
	good = good && llm_forward(p, rows, n_tok, logits, &err) == 0;
	for (int i = 0; good && i < n_tok; i++)
		kl += reference_kl(ref + (size_t)i * (size_t)m->config.n_vocab,
			  logits + (size_t)i * (size_t)m->config.n_vocab, m->config.n_vocab) /
		      n_tok;
	printf(
	    "# %s, %s: worst layer %.2g relative, mean KL %.2g\n", name, kernels, l.worst, kl);
	tap_ok(good && l.seen == m->config.n_layer + 1 && l.worst < 2e-6,
	    "%s: every layer is the reference's, with %s kernels", name, kernels);
	tap_ok(good && kl >= -1e-12 && kl < 1e-9, "%s: so are the logits", name);
	for (int i = 0; i < 8; i++)
		free(l.x[i]);
	llm_seq_free(s);
	llm_pass_free(p);
	free(ref);
	free(logits);
	free(rows);
	free(token);
}

/* Going back. */

static void
truncated(void)
{
	struct llm_model *m = test_model("tiny", "Q8_0", 0, NULL);
	struct bed b;
	struct way w = {"", NULL, 2, 0, false, 0};
	size_t bytes = (size_t)m->config.n_vocab * sizeof(float);
	float *first = logits_new(m, 16);
	bool good = bed_open(&b, m, &w, 200);
	int n_row = bed_rows(&b, m, &w, 0, 112);
	good = good && llm_forward(b.pass, b.row, n_row, b.logits, &err) == 0;
	memcpy(first, b.logits + 6 * (size_t)m->config.n_vocab, bytes);
	llm_seq_truncate(b.seq[0], 70);
	tap_ok(good && b.seq[0]->n_pos == 70, "a sequence forgets what comes after a position");
	n_row = bed_rows(&b, m, &w, 70, 42);
	good = good && llm_forward(b.pass, b.row, n_row, b.logits, &err) == 0;
	tap_ok(good && memcmp(first, b.logits + 2 * (size_t)m->config.n_vocab, bytes) == 0,
	    "and computes it again to the same bits");
	free(first);
	bed_close(&b);
	llm_model_close(m);
}

/* What a caller must not ask, and weights that are no numbers. */
static void
refused(void)
{
	struct llm_model *m = test_model("tiny", "Q8_0", 0, NULL);
	struct bed b;
	struct way w = {"", NULL, 1, 0, false, 0};
	bool good = bed_open(&b, m, &w, 64);
	struct llm_row far = {b.seq[0], 1, 5, true}, beyond = {b.seq[0], 1, 64, true};
	struct llm_row big = {b.seq[0], m->config.n_vocab, 0, true},
		       less = {b.seq[0], -1, 0, true};
	tap_ok(good && llm_forward(b.pass, &far, 1, b.logits, &err) == LLM_EUSAGE,
	    "a row that leaves a gap is refused");
	b.seq[0]->n_pos = 64;
	tap_ok(llm_forward(b.pass, &beyond, 1, b.logits, &err) == LLM_EUSAGE,
	    "so is one without a page");
	tap_ok(llm_forward(b.pass, &big, 1, b.logits, &err) == LLM_EDATA &&
		   llm_forward(b.pass, &less, 1, b.logits, &err) == LLM_EDATA,
	    "and a token that the vocabulary does not have");
	tap_ok(llm_seq_reserve(b.seq[0], 65, &err) == LLM_ETOOLONG,
	    "a sequence grows no further than its context");
	bed_close(&b);
	llm_model_close(m);
}

int
main(void)
{
	static const char *const types[] = {
	    "F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"};
	static const char *const ktypes[] = {"Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q4_K_M"};
	const struct llm_kernels *k;
	struct llm_model *m = test_model("tiny", "F32", 0, NULL);
	for (int i = 0; (k = llm_kernels_at(i)) != NULL; i++)
		near_reference("a tiny f32 model", k->name, m, 200);
	llm_model_close(m);
	m = test_model("tiny", "F32", 8, NULL);
	near_reference("Llama 3.1 rope", "generic", m, 60);
	llm_model_close(m);
	m = test_model("odd", "Q8_0", 0, NULL);
	near_reference("quantized weights under --precise", "generic", m, 40);
	llm_model_close(m);
	m = test_model("crowd", "F32", 0, NULL);
	near_reference("132 heads on 2, of 18 dims", "generic", m, 70);
	llm_model_close(m);
	m = test_model("wide", "F32", 8, NULL);
	near_reference("heads of 512 dims", "generic", m, 70);
	llm_model_close(m);
	same_bits("crowd", "F16", 64);
	size_t step = tap_quick() ? 3 : 1;
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i += step)
		same_bits(i % 2 ? "odd" : "tiny", types[i], 112);
	for (size_t i = 0; i < sizeof ktypes / sizeof ktypes[0]; i += step)
		same_bits("tinyk", ktypes[i], 96);
	same_bits("tiny", "SMOLLM2", tap_quick() ? 300 : 2160); /* three segments */
	same_bits("odd", "Q8_0",
	    tap_quick() ? 200 : 1100); /* two, also with keys and values in q8_0 */
	truncated();
	refused();
	return tap_done();
}
