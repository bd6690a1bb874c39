/*
 * SPDX-License-Identifier: ISC
 *
 * Labels of short records against prefill: records of 20 tokens and the five that a template puts behind
 * them, after a prefix of 60 that is shared, and passes of 512 tokens, in turn; the best of each.
 *	tests/bench/batch [MODEL.gguf [THREADS]]	without one, $LLM_TEST_MODEL
 */
#include "generate/batch.h"
#include "libcore/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum { PREFILL = 512, PREFIX = 60, RECORD = 20, TEMPLATE = 5, MAX_ROWS = 512, ROUNDS = 12 };

static struct llm_err err;

static void
must(int rc)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "batch: %s\n", err.msg);
	exit(1);
}

static double
prefill(struct llm_pass *pass, struct llm_seq *seq, float *logits)
{
	static struct llm_row rows[PREFILL];
	for (int i = 0; i < PREFILL; i++)
		rows[i] = (struct llm_row){.seq = seq,
		    .token = (i * 131 + 7) % 20000,
		    .pos = i,
		    .logits = i + 1 == PREFILL};
	double begin = llm_clock_s();
	must(llm_forward(pass, rows, PREFILL, logits, &err));
	return llm_clock_s() - begin;
}

/* One full batch; returns its records. */
static int
records(double *spent, struct llm_batch *b, int seed)
{
	llm_token ids[PREFIX + RECORD + TEMPLATE];
	double nats[2];
	double begin = llm_clock_s();
	for (int at = 0;;) {
		for (int i = 0; i < PREFIX + RECORD + TEMPLATE; i++)
			ids[i] = i < PREFIX || i >= PREFIX + RECORD
				     ? i
				     : (llm_token)((i * 37 + at * 101 + seed * 977) % 20000);
		at = llm_batch_add(b, ids, PREFIX + RECORD + TEMPLATE, MAX_ROWS, &err);
		if (at == LLM_EBUSY)
			break;
		must(at);
	}
	must(llm_batch_run(b, &err));
	int n = llm_batch_n(b);
	for (int i = 0; i < n; i++)
		llm_batch_nats(nats, b, i);
	llm_batch_clear(b);
	*spent = llm_clock_s() - begin;
	return n;
}

int
main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : getenv("LLM_TEST_MODEL");
	struct llm_pass_params pp = {.n_thread = argc > 2 ? atoi(argv[2]) : 0};
	struct llm_labels labels = {0};
	struct llm_model *m;
	struct llm_pass *pass;
	struct llm_batch *b;
	struct llm_seq *seq;
	double best_prefill = 1e9, best = 1e9, spent;
	llm_token prefix[PREFIX];
	int n = 0;
	if (path == NULL || path[0] == '\0') {
		puts("batch: skipped, no model");
		return 0;
	}
	must(llm_model_open(&m, path, &err));
	must(llm_pass_new(&pass, m, &pp, &err));
	must(llm_seq_new(&seq, &m->config, llm_pass_kv_type(pass), PREFILL, &err));
	must(llm_seq_reserve(seq, PREFILL, &err));
	float *logits = malloc((size_t)m->config.n_vocab * sizeof *logits);
	for (int i = 0; i < PREFIX; i++)
		prefix[i] = i;
	for (llm_token i = 0; i < 2; i++)
		must(llm_labels_add(&labels, i, &(llm_token){1000 + i}, 1, &err));
	const struct llm_kernels *kernels;
	must(llm_kernels_get(&kernels, getenv("LLM_KERNELS"), &err));
	struct llm_batch_params bp = {
	    .labels = &labels, .vector = kernels->vector, .prefix = prefix, .n_prefix = PREFIX};
	must(llm_batch_new(&b, pass, &bp, &err));
	records(&spent, b, 0); /* the prefix, and pages */
	for (int i = 0; i < ROUNDS; i++) {
		spent = prefill(pass, seq, logits);
		best_prefill = spent < best_prefill ? spent : best_prefill;
		n = records(&spent, b, i + 1);
		best = spent < best ? spent : best;
	}
	double rate = PREFILL / best_prefill, all = n * (RECORD + TEMPLATE) / best;
	printf("prefill %d\t%.0f tok/s\n", PREFILL, rate);
	printf("records of %d\t%.0f records/s, %d together\n", RECORD, n / best, n);
	printf("their tokens\t%.0f tok/s\t%.2f of prefill\n", n * RECORD / best,
	    n * RECORD / best / rate);
	printf("with the template's\t%.0f tok/s\t%.2f of prefill\n", all, all / rate);
	free(logits);
	llm_batch_free(b);
	llm_labels_free(&labels);
	llm_seq_free(seq);
	llm_pass_free(pass);
	llm_model_close(m);
	return 0;
}
