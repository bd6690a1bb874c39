/*
 * SPDX-License-Identifier: ISC
 *
 * Made encoders and the pass in doubles; see encoder.h.
 */
#include "tests/encoder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define W "\xE2\x96\x81" /* U+2581: begins a word */

const char *const encoder_tokens[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", W "a",
    W "b", W "c", W "d", W "e", W "f", W "g", W "h", W "i", W "j", W "k", W "l", W "m", W "n",
    W "o", W "p", W "q", W "r", W "s", W "t", W "u", W "v", W "w", W "x", W "y", W "z", W "0",
    W "1", W "2", W "3", W "4", W "5", W "6", W "7", W "8", W "9", "a", "b", "c", "d", "e", "f",
    "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w", "x",
    "y", "z", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", W "the", W "disk", W "is",
    W "full", W "un", W ".", W ",", W "!", W "[", W "]", W "#", "able", "aff", W "\xE6\x97\xA5",
    W "caf", W "ab"};

int
encoder_n_tokens(void)
{
	return (int)(sizeof encoder_tokens / sizeof encoder_tokens[0]);
}

static void
matrix(struct mkfile *f, const char *name, enum llm_dtype type, int n_col, int n_row)
{
	struct mkfile_tensor *t = mkfile_add(f, name, type, (uint64_t)n_col, (uint64_t)n_row);
	t->std = 1.5 / sqrt((double)n_col);
	t->encode = true;
}

static void
vector(struct mkfile *f, const char *name, int n, double mean)
{
	struct mkfile_tensor *t = mkfile_add(f, name, LLM_DTYPE_F32, (uint64_t)n, 0);
	t->mean = mean;
	t->std = 0.2;
}

/* A matrix or norm of a layer, and its bias. */
static void
pair(struct mkfile *f, int layer, const char *what, enum llm_dtype type, int n_col, int n_row)
{
	char name[64];
	snprintf(name, sizeof name, "blk.%d.%s.weight", layer, what);
	if (n_col > 0)
		matrix(f, name, type, n_col, n_row);
	else
		vector(f, name, n_row, 1);
	snprintf(name, sizeof name, "blk.%d.%s.bias", layer, what);
	vector(f, name, n_row, 0);
}

struct mkfile *
encoder_file(const struct encoder_shape *s)
{
	struct mkfile *f = mkfile_new();
	f->seed = 11;
	mkfile_str(f, "general.architecture", "bert");
	mkfile_u32(f, "bert.block_count", (uint32_t)s->n_layer);
	mkfile_u32(f, "bert.context_length", (uint32_t)s->n_ctx);
	mkfile_u32(f, "bert.embedding_length", (uint32_t)s->n_embd);
	mkfile_u32(f, "bert.feed_forward_length", (uint32_t)s->n_ff);
	mkfile_u32(f, "bert.attention.head_count", (uint32_t)s->n_head);
	mkfile_f32(f, "bert.attention.layer_norm_epsilon", 1e-12f);
	mkfile_bool(f, "bert.attention.causal", false);
	mkfile_u32(f, "bert.pooling_type", LLM_POOLING_MEAN);
	mkfile_str(f, "tokenizer.ggml.model", "bert");
	mkfile_strs(f, "tokenizer.ggml.tokens", (char *const *)(uintptr_t)encoder_tokens,
	    (size_t)encoder_n_tokens());
	mkfile_u32(f, "tokenizer.ggml.unknown_token_id", ENCODER_UNK);
	mkfile_u32(f, "tokenizer.ggml.cls_token_id", ENCODER_CLS);
	mkfile_u32(f, "tokenizer.ggml.seperator_token_id", ENCODER_SEP);
	matrix(f, "token_embd.weight", s->type, s->n_embd, encoder_n_tokens());
	matrix(f, "position_embd.weight", LLM_DTYPE_F32, s->n_embd, s->n_ctx);
	matrix(f, "token_types.weight", LLM_DTYPE_F32, s->n_embd, 2);
	vector(f, "token_embd_norm.weight", s->n_embd, 1);
	vector(f, "token_embd_norm.bias", s->n_embd, 0);
	for (int layer = 0; layer < s->n_layer; layer++) {
		pair(f, layer, "attn_q", s->type, s->n_embd, s->n_embd);
		pair(f, layer, "attn_k", s->type, s->n_embd, s->n_embd);
		pair(f, layer, "attn_v", s->type, s->n_embd, s->n_embd);
		pair(f, layer, "attn_output", s->type, s->n_embd, s->n_embd);
		pair(f, layer, "attn_output_norm", s->type, 0, s->n_embd);
		pair(f, layer, "ffn_up", s->type, s->n_embd, s->n_ff);
		pair(f, layer, "ffn_down", s->type, s->n_ff, s->n_embd);
		pair(f, layer, "layer_output_norm", s->type, 0, s->n_embd);
	}
	return f;
}

static int
open_spoilt(struct llm_encoder **out, const struct encoder_shape *shape,
    void (*change)(struct mkfile *f), struct llm_err *err)
{
	struct llm_gguf *g = NULL;
	char path[] = "/tmp/llm-encoder-XXXXXX";
	int fd = mkstemp(path);
	struct mkfile *f = encoder_file(shape);
	if (change != NULL)
		change(f);
	if (fd < 0 || mkfile_write(f, path, 1) < 0) {
		printf("# no encoder can be written\n");
		exit(1);
	}
	mkfile_free(f);
	close(fd);
	int rc = llm_gguf_open(&g, path, err);
	unlink(path);
	if (rc == 0 && (rc = llm_encoder_open(out, g, err)) < 0)
		llm_gguf_close(g);
	return rc;
}

struct llm_encoder *
encoder_made(const struct encoder_shape *shape, void (*change)(struct mkfile *f))
{
	struct llm_encoder *e;
	struct llm_err err = {0};
	if (open_spoilt(&e, shape, change, &err) < 0) {
		printf("# no encoder: %s\n", err.msg);
		exit(1);
	}
	return e;
}

int
encoder_try(
    const struct encoder_shape *shape, void (*change)(struct mkfile *f), struct llm_err *err)
{
	struct llm_encoder *e;
	int rc = open_spoilt(&e, shape, change, err);
	if (rc == 0)
		llm_encoder_close(e);
	return rc;
}

/* The reference. */

static double *
doubles(size_t n)
{
	double *x = calloc(n, sizeof *x);
	if (x == NULL)
		exit(1);
	return x;
}

static void
row_of(double *y, const struct llm_matrix *w, int row)
{
	float *x = malloc((size_t)w->n_col * sizeof *x);
	if (x == NULL)
		exit(1);
	llm_dtype_row(x, w->data, w->type, w->n_col, row);
	for (int i = 0; i < w->n_col; i++)
		y[i] = (double)x[i];
	free(x);
}

/* y [n][n_row] = W x + b */
static void
linear(double *y, const double *x, const struct llm_encoder_linear *l, int n)
{
	double *w = doubles((size_t)l->w.n_col);
	for (int r = 0; r < l->w.n_row; r++) {
		row_of(w, &l->w, r);
		for (int t = 0; t < n; t++) {
			double sum = (double)l->b[r];
			for (int i = 0; i < l->w.n_col; i++)
				sum += w[i] * x[t * l->w.n_col + i];
			y[t * l->w.n_row + r] = sum;
		}
	}
	free(w);
}

static void
normalize(double *x, const struct llm_encoder_norm *norm, int n_embd, int n, double eps)
{
	for (int t = 0; t < n; t++, x += n_embd) {
		double mean = 0, variance = 0;
		for (int i = 0; i < n_embd; i++)
			mean += x[i] / n_embd;
		for (int i = 0; i < n_embd; i++)
			variance += (x[i] - mean) * (x[i] - mean) / n_embd;
		for (int i = 0; i < n_embd; i++)
			x[i] = (x[i] - mean) / sqrt(variance + eps) * (double)norm->g[i] +
			       (double)norm->b[i];
	}
}

/* y = the values v of all n tokens, weighed by their scores: one head of one token's query. */
static void
attend(double *y, const double *q, const double *k, const double *v, int n, int n_embd, int d)
{
	double *p = doubles((size_t)n), top = -INFINITY, sum = 0;
	for (int j = 0; j < n; j++) {
		for (int i = 0; i < d; i++)
			p[j] += q[i] * k[j * n_embd + i];
		p[j] /= sqrt((double)d);
		top = fmax(top, p[j]);
	}
	for (int j = 0; j < n; j++)
		sum += p[j] = exp(p[j] - top);
	for (int i = 0; i < d; i++) {
		y[i] = 0;
		for (int j = 0; j < n; j++)
			y[i] += p[j] / sum * v[j * n_embd + i];
	}
	free(p);
}

static void
layer_run(double *x, const struct llm_encoder *e, const struct llm_encoder_layer *w, int n)
{
	int embd = e->config.n_embd, d = e->config.d_head;
	size_t all = (size_t)n * (size_t)embd, hidden = (size_t)n * (size_t)e->config.n_ff;
	double *q = doubles(all), *k = doubles(all), *v = doubles(all), *y = doubles(all);
	double *ff = doubles(hidden), eps = (double)e->config.norm_eps;
	linear(q, x, &w->q, n);
	linear(k, x, &w->k, n);
	linear(v, x, &w->v, n);
	for (int t = 0; t < n; t++)
		for (int h = 0; h < e->config.n_head; h++)
			attend(y + t * embd + h * d, q + t * embd + h * d, k + h * d, v + h * d,
			    n, embd, d);
	linear(q, y, &w->o, n);
	for (size_t i = 0; i < all; i++)
		x[i] += q[i];
	normalize(x, &w->attn_norm, embd, n, eps);
	linear(ff, x, &w->up, n);
	for (size_t i = 0; i < hidden; i++)
		ff[i] = 0.5 * ff[i] * (1 + erf(ff[i] / sqrt(2.0)));
	linear(q, ff, &w->down, n);
	for (size_t i = 0; i < all; i++)
		x[i] += q[i];
	normalize(x, &w->ffn_norm, embd, n, eps);
	free(q);
	free(k);
	free(v);
	free(y);
	free(ff);
}

void
encoder_reference(double *x, const struct llm_encoder *e, const llm_token *id, int n)
{
	int embd = e->config.n_embd;
	double *t = doubles((size_t)embd);
	for (int i = 0; i < n; i++) {
		row_of(x + i * embd, &e->weights.embd, id[i]);
		row_of(t, &e->weights.position, i);
		for (int k = 0; k < embd; k++)
			x[i * embd + k] += t[k];
		row_of(t, &e->weights.type, 0);
		for (int k = 0; k < embd; k++)
			x[i * embd + k] += t[k];
	}
	free(t);
	normalize(x, &e->weights.norm, embd, n, (double)e->config.norm_eps);
	for (int layer = 0; layer < e->config.n_layer; layer++)
		layer_run(x, e, &e->weights.layer[layer], n);
}
