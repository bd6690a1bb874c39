/*
 * SPDX-License-Identifier: ISC
 *
 * The encoder's pass against one in double precision, and against itself: alone or among others, by any
 * number of threads and any kernels, the same bytes.
 */
#include "libcore/kernels/kernels.h"
#include "tests/encoder.h"
#include "tests/tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_CTX = 1100, N_TEXT = 7 };

static llm_token ids[N_CTX];
static const int lengths[N_TEXT] = {3, 1, 64, 65, 17, 130, 2};

static void
ids_fill(void)
{
	uint32_t s = 7;
	for (int i = 0; i < N_CTX; i++) {
		s = s * 1664525u + 1013904223u;
		ids[i] = (llm_token)(s >> 8) % encoder_n_tokens();
	}
}

static struct llm_encoding *
encoding_new(const struct llm_encoder *e, const struct llm_encoding_params *params)
{
	struct llm_encoding *p;
	struct llm_err err;
	if (llm_encoding_new(&p, e, params, &err) < 0) {
		printf("# %s\n", err.msg);
		exit(1);
	}
	return p;
}

/* Texts [first, first + n), each from its own place among the ids, in one call. */
static const float *
texts_run(struct llm_encoding *p, int first, int n)
{
	struct llm_encode_text text[N_TEXT];
	const float *x = NULL;
	struct llm_err err;
	for (int i = 0; i < n; i++)
		text[i] = (struct llm_encode_text){ids + 5 * (first + i), lengths[first + i]};
	if (llm_encode(&x, p, text, n, &err) < 0) {
		printf("# %s\n", err.msg);
		exit(1);
	}
	return x;
}

/* Least cosine of any token's vector with the reference's. */
static double
agreement(const struct llm_encoder *e, const struct llm_encoding_params *params, int n)
{
	size_t n_embd = (size_t)e->config.n_embd;
	double *want = calloc((size_t)n * n_embd, sizeof *want), worst = 1;
	struct llm_encoding *p = encoding_new(e, params);
	struct llm_encode_text text = {ids, n};
	const float *x = NULL;
	struct llm_err err;
	if (want == NULL || llm_encode(&x, p, &text, 1, &err) < 0)
		exit(1);
	encoder_reference(want, e, ids, n);
	for (int t = 0; t < n; t++) {
		double xy = 0, xx = 0, yy = 0;
		for (size_t i = (size_t)t * n_embd; i < (size_t)(t + 1) * n_embd; i++) {
			xy += (double)x[i] * want[i];
			xx += (double)x[i] * (double)x[i];
			yy += want[i] * want[i];
		}
		worst = fmin(worst, xy / sqrt(xx * yy));
	}
	llm_encoding_free(p);
	free(want);
	return worst;
}

static void
test_reference(void)
{
	static const struct {
		enum llm_dtype type;
		bool precise;
		double least;
		const char *name;
	} rows[] = {
	    {LLM_DTYPE_F32, false, 0.9999999, "F32"},
	    {LLM_DTYPE_F16, false, 0.9999999, "F16"},
	    {LLM_DTYPE_BF16, false, 0.9999999, "BF16"},
	    {LLM_DTYPE_Q8_0, false, 0.999, "Q8_0"},
	    {LLM_DTYPE_Q8_0, true, 0.9999999, "Q8_0, --precise"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct encoder_shape shape = {2, 64, 4, 160, 128, rows[i].type};
		struct llm_encoder *e = encoder_made(&shape, NULL);
		struct llm_encoding_params params = {.n_thread = 2, .precise = rows[i].precise};
		double c = agreement(e, &params, 100);
		tap_ok(c >= rows[i].least,
		    "%s: a token's vector is that of the double pass (%.9f)", rows[i].name, c);
		llm_encoder_close(e);
	}
	struct encoder_shape odd = {2, 36, 2, 40, N_CTX, LLM_DTYPE_F16};
	struct llm_encoder *e = encoder_made(&odd, NULL);
	struct llm_encoding_params params = {.n_thread = 2};
	double c = agreement(e, &params, N_CTX);
	tap_ok(c >= 0.9999999, "heads of 18 dims, and texts of more than a segment (%.9f)", c);
	llm_encoder_close(e);
}

/* Every text alone gives the bytes that it has among the others. */
static bool
same_alone(struct llm_encoding *p, const float *all, int n_embd)
{
	bool good = true;
	for (int i = 0; i < N_TEXT; i++) {
		size_t n = (size_t)lengths[i] * (size_t)n_embd;
		good = good && memcmp(texts_run(p, i, 1), all, n * sizeof *all) == 0;
		all += n;
	}
	return good;
}

static void
test_same(enum llm_dtype type, const char *name)
{
	struct encoder_shape shape = {2, 96, 3, 160, 256, type};
	struct llm_encoder *e = encoder_made(&shape, NULL);
	size_t n = 0;
	for (int i = 0; i < N_TEXT; i++)
		n += (size_t)lengths[i] * (size_t)e->config.n_embd;
	struct llm_encoding_params params = {.kernels = llm_kernels_at(0), .n_thread = 1};
	struct llm_encoding *p = encoding_new(e, &params);
	float *want = malloc(n * sizeof *want);
	if (want == NULL)
		exit(1);
	memcpy(want, texts_run(p, 0, N_TEXT), n * sizeof *want);
	tap_ok(same_alone(p, want, e->config.n_embd),
	    "%s: a text has the same bytes alone and among others", name);
	llm_encoding_free(p);
	for (int k = 0; (params.kernels = llm_kernels_at(k)) != NULL; k++)
		for (params.n_thread = 1; params.n_thread <= 3; params.n_thread += 2) {
			p = encoding_new(e, &params);
			bool good =
			    memcmp(want, texts_run(p, 0, N_TEXT), n * sizeof *want) == 0 &&
			    same_alone(p, want, e->config.n_embd);
			tap_ok(good,
			    "%s: %s kernels, %d threads: the bytes of plain C, one thread",
			    name, params.kernels->name, params.n_thread);
			llm_encoding_free(p);
		}
	free(want);
	llm_encoder_close(e);
}

static void
no_position(struct mkfile *f)
{
	mkfile_drop(f, "position_embd.weight");
}
static void
no_bias(struct mkfile *f)
{
	mkfile_drop(f, "blk.1.attn_k.bias");
}
static void
more(struct mkfile *f)
{
	mkfile_add(f, "blk.0.ffn_gate.weight", LLM_DTYPE_F32, 64, 160);
}
static void
beyond(struct mkfile *f)
{
	mkfile_add(f, "blk.2.attn_q.bias", LLM_DTYPE_F32, 64, 0);
}
static void
causal(struct mkfile *f)
{
	mkfile_bool(f, "bert.attention.causal", true);
}
static void
heads(struct mkfile *f)
{
	mkfile_u32(f, "bert.attention.head_count", 5);
}
static void
pooling(struct mkfile *f)
{
	mkfile_u32(f, "bert.pooling_type", 4);
}
static void
long_texts(struct mkfile *f)
{
	mkfile_u32(f, "bert.max_seq_length", 129);
}
static void
no_eps(struct mkfile *f)
{
	mkfile_unset(f, "bert.attention.layer_norm_epsilon");
}
static void
more_words(struct mkfile *f)
{
	mkfile_find(f, "token_embd.weight")->ne[1]++;
}
static void
wide_bias(struct mkfile *f)
{
	mkfile_find(f, "blk.0.ffn_up.bias")->ne[0] = 64;
}
static void
half_norm(struct mkfile *f)
{
	mkfile_find(f, "token_embd_norm.weight")->type = LLM_DTYPE_F16;
}
static void
not_a_number(struct mkfile *f)
{
	struct mkfile_tensor *t = mkfile_find(f, "blk.1.ffn_down.bias");
	t->mean = NAN;
}

static void
test_refusals(void)
{
	static const struct {
		void (*change)(struct mkfile *f);
		int code;
		const char *what;
	} rows[] = {
	    {no_position, LLM_EDATA, "position_embd.weight is missing"},
	    {no_bias, LLM_EDATA, "blk.1.attn_k.bias is missing"},
	    {more, LLM_EUNSUPPORTED, "blk.0.ffn_gate.weight"},
	    {beyond, LLM_EUNSUPPORTED, "blk.2.attn_q.bias"},
	    {causal, LLM_EUNSUPPORTED, "causal"},
	    {heads, LLM_EDATA, "over 5 heads"},
	    {pooling, LLM_EUNSUPPORTED, "pooling_type is 4"},
	    {long_texts, LLM_EDATA, "max_seq_length is 129"},
	    {no_eps, LLM_EDATA, "layer_norm_epsilon is missing"},
	    {more_words, LLM_EDATA, "rows, but the vocabulary"},
	    {wide_bias, LLM_EDATA, "blk.0.ffn_up.bias is 64"},
	    {half_norm, LLM_EUNSUPPORTED, "type F16, expected F32"},
	};
	struct encoder_shape shape = {2, 64, 4, 160, 128, LLM_DTYPE_F32};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct llm_err err = {0};
		int rc = encoder_try(&shape, rows[i].change, &err);
		tap_ok(rc == rows[i].code && strstr(err.msg, rows[i].what) != NULL,
		    "refused: %s", rc < 0 ? err.msg : "(nothing)");
	}
	struct llm_encoder *e = encoder_made(&shape, not_a_number);
	struct llm_encoding_params params = {.n_thread = 1};
	struct llm_encoding *p = encoding_new(e, &params);
	struct llm_encode_text text = {ids, 3};
	const float *x;
	struct llm_err err;
	tap_ok(llm_encode(&x, p, &text, 1, &err) == LLM_ENOTFINITE,
	    "weights that are no numbers are found out: %s", err.msg);
	llm_token bad[2] = {0, encoder_n_tokens()};
	text = (struct llm_encode_text){bad, 2};
	tap_ok(llm_encode(&x, p, &text, 1, &err) == LLM_EDATA, "refused: %s", err.msg);
	text = (struct llm_encode_text){ids, 129};
	tap_ok(llm_encode(&x, p, &text, 1, &err) == LLM_EUSAGE, "refused: %s", err.msg);
	llm_encoding_free(p);
	llm_encoder_close(e);
}

int
main(void)
{
	ids_fill();
	test_reference();
	test_same(LLM_DTYPE_F32, "F32");
	test_same(LLM_DTYPE_F16, "F16");
	test_same(LLM_DTYPE_Q8_0, "Q8_0");
	test_same(LLM_DTYPE_Q4_1, "Q4_1");
	test_refusals();
	return tap_done();
}
