/*
 * SPDX-License-Identifier: ISC
 *
 * A packed model's logits are the plain model's, to the bit, by all kernels, threads and batches.
 */
#include "libcore/forward.h"
#include "libcore/gguf_pack.h"
#include "tests/mkmodel.h"
#include "tests/tap.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N_TOK = 120 };

/* Which call takes how many tokens. */
static const int steps[] = {1, 2, 40, 3, 8, 9, 4, 5, 6, 7, 1, 34};

/* Ends the program where the tests cannot be made. */
static void
must(bool good, const char *what)
{
	if (!good) {
		printf("# %s\n", what);
		exit(1);
	}
}

static struct llm_model *
open_and_drop(const char *path)
{
	struct llm_model *m;
	struct llm_err err = {0};
	must(llm_model_open(&m, path, &err) == 0, err.msg);
	unlink(path);
	return m;
}

/* One made model twice, plain and packed. */
static void
models_new(struct llm_model *m[2], const char *shape, const char *type)
{
	struct mkmodel made;
	struct llm_err err = {0};
	char path[2][32] = {"/tmp/llm-plain-XXXXXX", "/tmp/llm-packed-XXXXXX"};
	int fd[2] = {mkstemp(path[0]), mkstemp(path[1])};
	must(fd[0] >= 0 && fd[1] >= 0 && mkmodel_shape(&made, shape), "no file");
	made.type = type;
	struct mkfile *f = mkmodel_new(&made);
	must(f != NULL && mkfile_write(f, path[0], 1) >= 0, "no model");
	mkfile_free(f);
	must(llm_gguf_pack(fd[1], path[0], false, &err) == 0, err.msg);
	for (int i = 0; i < 2; i++) {
		close(fd[i]);
		m[i] = open_and_drop(path[i]);
	}
}

/* The logits of the last token of each call: [calls][n_vocab]. */
static float *
run(const struct llm_model *m, const struct llm_kernels *k, int n_thread, bool precise)
{
	struct llm_pass_params params = {
	    .kernels = k, .n_thread = n_thread, .max_rows = N_TOK, .precise = precise};
	struct llm_pass *pass;
	struct llm_seq *seq;
	struct llm_row row[N_TOK];
	struct llm_err err = {0};
	size_t n_vocab = (size_t)m->config.n_vocab, calls = sizeof steps / sizeof steps[0];
	float *logits = malloc(calls * n_vocab * sizeof *logits);
	must(logits != NULL && llm_pass_new(&pass, m, &params, &err) == 0 &&
		 llm_seq_new(&seq, &m->config, llm_pass_kv_type(pass), N_TOK, &err) == 0 &&
		 llm_seq_reserve(seq, N_TOK, &err) == 0,
	    err.msg);
	for (size_t call = 0, pos = 0; call < calls; call++) {
		for (int i = 0; i < steps[call]; i++, pos++)
			row[i] = (struct llm_row){seq,
			    (llm_token)(pos * 2654435761u >> 8) % m->config.n_vocab, (int)pos,
			    i + 1 == steps[call]};
		must(llm_forward(pass, row, steps[call], logits + call * n_vocab, &err) == 0,
		    err.msg);
	}
	llm_seq_free(seq);
	llm_pass_free(pass);
	return logits;
}

static void
same_bits(const char *shape, const char *type)
{
	struct llm_model *m[2];
	const struct llm_kernels *k;
	models_new(m, shape, type);
	size_t n = sizeof steps / sizeof steps[0] * (size_t)m[0]->config.n_vocab;
	int differing = 0, ways = 0;
	for (int precise = 0; precise < 2; precise++) {
		float *want = run(m[0], llm_kernels_at(0), 1, precise);
		for (int i = 0; (k = llm_kernels_at(i)) != NULL; i++, ways++) {
			float *got = run(m[1], k, 1 + (i + precise) % 2, precise);
			differing += memcmp(want, got, n * sizeof *got) != 0;
			free(got);
		}
		free(want);
	}
	tap_ok(m[1]->weights.layer[0].q.type > LLM_DTYPE_PACKED && differing == 0,
	    "a packed model of %s, %s, gives the plain one's logits (%d of %d ways differ)",
	    type, shape, differing, ways);
	llm_model_close(m[0]);
	llm_model_close(m[1]);
}

int
main(void)
{
	static const char *const types[] = {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "SMOLLM2"};
	static const char *const types_k[] = {"Q4_K", "Q5_K", "Q6_K", "Q4_K_M"};
	for (int i = 0; i < 6; i++)
		same_bits(i % 2 ? "tiny" : "odd", types[i]);
	for (int i = 0; i < 4; i++)
		same_bits("tinyk", types_k[i]);
	return tap_done();
}
