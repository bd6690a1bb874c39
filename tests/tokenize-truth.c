/*
 * SPDX-License-Identifier: ISC
 *
 * How far the small model's logits are from a reference in double precision, on real text: the
 * divergence, the best token and the perplexity, of --precise and of the default mode.
 */
#include "libcore/forward.h"
#include "tests/reference.h"
#include "tests/tap.h"
#include "tokenize/tokenizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TEXT "../shared/data/text/wikitext2-test.txt"

enum {
	TEXT_BYTES = 24 * 1024,
	REFERENCE_TOKENS = 160, /* a minute of doubles is enough */
	TOKENS = 4000,
	WINDOW = 1000,
	CHUNK = 125, /* rows of logits at a time */
};

/* One pass over windows of tokens: the summed negative log-likelihood, and the first rows' logits. */
struct run {
	double nll;
	int n_scored;
	float *first; /* [REFERENCE_TOKENS][n_vocab] */
};

static bool
run_window(
    struct run *r, struct llm_pass *p, struct llm_seq *seq, const struct llm_ids *ids, int at)
{
	int n_vocab = llm_pass_model(p)->config.n_vocab;
	struct llm_row rows[CHUNK];
	struct llm_err err;
	float *logits = malloc((size_t)CHUNK * (size_t)n_vocab * sizeof *logits);
	bool good = logits != NULL && llm_seq_reserve(seq, WINDOW, &err) == 0;
	llm_seq_truncate(seq, 0);
	for (int from = 0; good && from < WINDOW; from += CHUNK) {
		for (int i = 0; i < CHUNK; i++)
			rows[i] = (struct llm_row){seq, ids->v[at + from + i], from + i, true};
		good = llm_forward(p, rows, CHUNK, logits, &err) == 0;
		for (int i = 0; good && i < CHUNK; i++) {
			const float *row = logits + (size_t)i * (size_t)n_vocab;
			if (at == 0 && from + i < REFERENCE_TOKENS)
				memcpy(r->first + (size_t)(from + i) * (size_t)n_vocab, row,
				    (size_t)n_vocab * sizeof *row);
			if (from + i + 1 < WINDOW) {
				r->nll +=
				    reference_nll_f32(row, n_vocab, ids->v[at + from + i + 1]);
				r->n_scored++;
			}
		}
	}
	free(logits);
	if (!good)
		printf("# %s\n", err.msg);
	return good;
}

static bool
run_all(struct run *r, const struct llm_model *m, const struct llm_ids *ids, bool precise)
{
	struct llm_pass *p = NULL;
	struct llm_seq *seq = NULL;
	struct llm_err err;
	struct llm_pass_params params = {.precise = precise, .max_rows = CHUNK};
	size_t n = (size_t)REFERENCE_TOKENS * (size_t)m->config.n_vocab;
	*r = (struct run){.first = malloc(n * sizeof(float))};
	bool good = r->first != NULL && llm_pass_new(&p, m, &params, &err) == 0 &&
		    llm_seq_new(&seq, &m->config, llm_pass_kv_type(p), WINDOW, &err) == 0;
	for (int at = 0; good && at + WINDOW <= TOKENS; at += WINDOW)
		good = run_window(r, p, seq, ids, at);
	llm_seq_free(seq);
	llm_pass_free(p);
	return good;
}

static void
compare(const struct run *r, const double *ref, const struct llm_ids *ids, int n_vocab,
    bool precise)
{
	const char *mode = precise ? "--precise" : "the default mode";
	double kl = 0, nll = 0, ref_nll = 0;
	int top = 0, top_same = 0;
	for (int t = 0; t < REFERENCE_TOKENS; t++) {
		const double *a = ref + (size_t)t * (size_t)n_vocab;
		const float *b = r->first + (size_t)t * (size_t)n_vocab;
		int best = 0, second = -1, mine = 0;
		for (int i = 1; i < n_vocab; i++) {
			if (a[i] > a[best]) {
				second = best;
				best = i;
			} else if (second < 0 || a[i] > a[second]) {
				second = i;
			}
			if (b[i] > b[mine])
				mine = i;
		}
		kl += reference_kl(a, b, n_vocab) / REFERENCE_TOKENS;
		if (a[best] - a[second] >= 1e-3) {
			top++;
			top_same += mine == best;
		}
		if (t + 1 < REFERENCE_TOKENS) {
			ref_nll += reference_nll(a, n_vocab, ids->v[t + 1]);
			nll += reference_nll_f32(b, n_vocab, ids->v[t + 1]);
		}
	}
	double ratio = exp((nll - ref_nll) / (REFERENCE_TOKENS - 1));
	printf("# %s: mean KL %.3g nats, top-1 %d of %d, perplexity ratio %.6f\n", mode, kl,
	    top_same, top, ratio);
	tap_ok(kl >= -1e-12 && kl <= (precise ? 1e-6 : 4e-3),
	    "%s is within %s nats of the reference", mode, precise ? "1e-6" : "4e-3");
	if (!precise)
		return;
	tap_ok(top_same == top && top > 0, "%s has the reference's best token", mode);
	tap_ok(fabs(ratio - 1) <= 1e-4, "%s has the reference's perplexity to 1e-4", mode);
}

/* The text's ids; at least TOKENS of them. */
static bool
ids_read(struct llm_ids *ids, const struct llm_model *m)
{
	struct llm_tokenizer *t = NULL;
	struct llm_err err;
	static char text[TEXT_BYTES];
	FILE *f = fopen(TEXT, "rb");
	if (f == NULL)
		return false;
	size_t n = fread(text, 1, sizeof text, f);
	fclose(f);
	bool good = llm_tokenizer_open(&t, m->gguf, &err) == 0 &&
		    llm_tokenizer_encode(ids, t, text, n, 0, &err) == 0 && ids->n >= TOKENS;
	llm_tokenizer_close(t);
	return good;
}

int
main(void)
{
	const char *path = getenv("LLM_TEST_MODEL");
	struct llm_model *m = NULL;
	struct llm_ids ids = {0};
	struct llm_err err;
	if (path == NULL || *path == '\0') {
		tap_skip(
		    "the small model is near the reference", "the small model is not here");
		return tap_done();
	}
	if (getenv("LLM_TEST_ASAN") != NULL) {
		tap_skip("the small model is near the reference",
		    "numbers are the same under sanitizers, and minutes later");
		return tap_done();
	}
	FILE *f = fopen(TEXT, "rb");
	if (f == NULL) {
		tap_skip("the small model is near the reference", TEXT " is not here");
		return tap_done();
	}
	fclose(f);
	if (!tap_ok(llm_model_open(&m, path, &err) == 0 && ids_read(&ids, m),
		"the small model and the text open"))
		return tap_done();

	int n_vocab = m->config.n_vocab;
	double *ref = malloc((size_t)REFERENCE_TOKENS * (size_t)n_vocab * sizeof *ref);
	struct run precise, plain;
	if (tap_ok(ref != NULL &&
		       reference_run(ref, m->gguf, ids.v, REFERENCE_TOKENS, NULL, NULL) == 0,
		"the reference runs") &&
	    tap_ok(run_all(&precise, m, &ids, true) && run_all(&plain, m, &ids, false),
		"both modes run")) {
		compare(&precise, ref, &ids, n_vocab, true);
		compare(&plain, ref, &ids, n_vocab, false);
		double a = exp(precise.nll / precise.n_scored),
		       b = exp(plain.nll / plain.n_scored);
		printf("# perplexity of %d tokens: --precise %.5f, default %.5f (%+.3f %%)\n",
		    TOKENS, a, b, 100 * (b / a - 1));
		tap_ok(precise.n_scored == plain.n_scored && fabs(b / a - 1) <= 0.01,
		    "the default mode's perplexity is within 1 %% of --precise on %d tokens",
		    TOKENS);
		free(precise.first);
		free(plain.first);
	}
	free(ref);
	llm_ids_free(&ids);
	llm_model_close(m);
	return tap_done();
}
