/*
 * SPDX-License-Identifier: ISC
 *
 * The reference forward pass; see reference.h.
 */
#include "tests/reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/* Only for time: the values may differ in the last bits of a double, which no test looks at. */
#define FASTER __attribute__((target_clones("avx512f", "avx2,fma", "default"), optimize("O3")))
#else
#define FASTER
#endif

struct ref {
	const struct llm_gguf *g;
	int n_tok, n_layer, n_embd, n_head, n_head_kv, d_head, n_ff, n_vocab;
	double eps, theta;
};

FASTER static double
dot(const double *a, const double *b, int n)
{
	double s[16] = {0}, sum = 0;
	int i = 0;
	for (; i + 16 <= n; i += 16)
		for (int j = 0; j < 16; j++)
			s[j] += a[i + j] * b[i + j];
	for (; i < n; i++)
		sum += a[i] * b[i];
	for (int j = 0; j < 16; j++)
		sum += s[j];
	return sum;
}

/* One row of a matrix as doubles. */
static void
row_get(double *y, float *f32, const struct llm_gguf_tensor *t, int64_t row)
{
	int n = (int)t->ne[0];
	size_t bytes = llm_dtype_row_bytes(t->type, n);
	llm_dtype_info(t->type)->to_f32(f32, (const char *)t->data + (size_t)row * bytes, n);
	for (int i = 0; i < n; i++)
		y[i] = (double)f32[i];
}

/* y[tok][row] = sum over columns of w[row][col] x[tok][col] */
static int
matmul(double *y, const struct ref *r, const char *name, const double *x)
{
	const struct llm_gguf_tensor *t = llm_gguf_tensor(r->g, name);
	if (t == NULL)
		return -1;
	int n_col = (int)t->ne[0], n_row = (int)t->ne[1];
	double *w = malloc((size_t)n_col * sizeof *w);
	float *f32 = malloc((size_t)n_col * sizeof *f32);
	if (w == NULL || f32 == NULL)
		abort();
	for (int row = 0; row < n_row; row++) {
		row_get(w, f32, t, row);
		for (int tok = 0; tok < r->n_tok; tok++)
			y[(size_t)tok * (size_t)n_row + (size_t)row] =
			    dot(w, x + (size_t)tok * (size_t)n_col, n_col);
	}
	free(w);
	free(f32);
	return 0;
}

static int
layer_matmul(double *y, const struct ref *r, int layer, const char *what, const double *x)
{
	char name[64];
	snprintf(name, sizeof name, "blk.%d.%s.weight", layer, what);
	return matmul(y, r, name, x);
}

static int
rmsnorm(double *y, const struct ref *r, const char *name, const double *x)
{
	const struct llm_gguf_tensor *t = llm_gguf_tensor(r->g, name);
	if (t == NULL)
		return -1;
	const float *g = t->data;
	int n = r->n_embd;
	for (int tok = 0; tok < r->n_tok; tok++) {
		const double *from = x + (size_t)tok * (size_t)n;
		double scale = 1 / sqrt(dot(from, from, n) / n + r->eps);
		for (int i = 0; i < n; i++)
			y[(size_t)tok * (size_t)n + (size_t)i] = from[i] * scale * (double)g[i];
	}
	return 0;
}

/* Rotates pairs (2i, 2i+1) of every head of x [n_tok][heads][d_head] by pos * theta^(-2i/d). */
static void
rope(double *x, const struct ref *r, int heads)
{
	const struct llm_gguf_tensor *t = llm_gguf_tensor(r->g, "rope_freqs.weight");
	for (int tok = 0; tok < r->n_tok; tok++)
		for (int h = 0; h < heads; h++)
			for (int i = 0; i < r->d_head / 2; i++) {
				double *p = x +
					    ((size_t)tok * (size_t)heads + (size_t)h) *
						(size_t)r->d_head +
					    2 * (size_t)i;
				double divisor =
				    t != NULL ? (double)((const float *)t->data)[i] : 1;
				double angle =
				    tok * pow(r->theta, -2.0 * i / r->d_head) / divisor;
				double a = p[0], b = p[1];
				p[0] = a * cos(angle) - b * sin(angle);
				p[1] = b * cos(angle) + a * sin(angle);
			}
}

/* Causal softmax attention, one query at a time. */
static void
attend(double *out, const struct ref *r, const double *q, const double *k, const double *v)
{
	int d = r->d_head, group = r->n_head / r->n_head_kv;
	size_t q_row = (size_t)r->n_head * (size_t)d, kv_row = (size_t)r->n_head_kv * (size_t)d;
	double *p = malloc((size_t)r->n_tok * sizeof *p);
	if (p == NULL)
		abort();
	for (int tok = 0; tok < r->n_tok; tok++)
		for (int h = 0; h < r->n_head; h++) {
			size_t head = (size_t)(h / group) * (size_t)d;
			const double *query = q + (size_t)tok * q_row + (size_t)h * (size_t)d;
			double *y = out + (size_t)tok * q_row + (size_t)h * (size_t)d;
			double most = -INFINITY, sum = 0;
			for (int s = 0; s <= tok; s++) {
				p[s] = dot(query, k + (size_t)s * kv_row + head, d) / sqrt(d);
				most = fmax(most, p[s]);
			}
			for (int s = 0; s <= tok; s++)
				sum += p[s] = exp(p[s] - most);
			memset(y, 0, (size_t)d * sizeof *y);
			for (int s = 0; s <= tok; s++)
				for (int i = 0; i < d; i++)
					y[i] += p[s] / sum *
						v[(size_t)s * kv_row + head + (size_t)i];
		}
	free(p);
}

/* x += y */
static void
add(double *x, const double *y, size_t n)
{
	for (size_t i = 0; i < n; i++)
		x[i] += y[i];
}

static int
layer_run(const struct ref *r, int layer, double *x, double *buf[6])
{
	char name[64];
	size_t n = (size_t)r->n_tok * (size_t)r->n_embd,
	       n_ff = (size_t)r->n_tok * (size_t)r->n_ff;
	double *h = buf[0], *q = buf[1], *k = buf[2], *v = buf[3], *a = buf[4], *b = buf[5];
	snprintf(name, sizeof name, "blk.%d.attn_norm.weight", layer);
	if (rmsnorm(h, r, name, x) < 0 || layer_matmul(q, r, layer, "attn_q", h) < 0 ||
	    layer_matmul(k, r, layer, "attn_k", h) < 0 ||
	    layer_matmul(v, r, layer, "attn_v", h) < 0)
		return -1;
	rope(q, r, r->n_head);
	rope(k, r, r->n_head_kv);
	attend(a, r, q, k, v);
	if (layer_matmul(h, r, layer, "attn_output", a) < 0)
		return -1;
	add(x, h, n);
	snprintf(name, sizeof name, "blk.%d.ffn_norm.weight", layer);
	if (rmsnorm(h, r, name, x) < 0 || layer_matmul(a, r, layer, "ffn_gate", h) < 0 ||
	    layer_matmul(b, r, layer, "ffn_up", h) < 0)
		return -1;
	for (size_t i = 0; i < n_ff; i++)
		a[i] = a[i] / (1 + exp(-a[i])) * b[i];
	if (layer_matmul(h, r, layer, "ffn_down", a) < 0)
		return -1;
	add(x, h, n);
	return 0;
}

static int
key_int(int *out, const struct llm_gguf *g, const char *name)
{
	uint32_t v;
	if (llm_gguf_u32(&v, g, name, NULL) <= 0)
		return -1;
	*out = (int)v;
	return 0;
}

static int
ref_read(struct ref *r, const struct llm_gguf *g, int n_tok)
{
	float eps, theta = 10000;
	const struct llm_gguf_tensor *embd = llm_gguf_tensor(g, "token_embd.weight");
	*r = (struct ref){.g = g, .n_tok = n_tok};
	if (embd == NULL || key_int(&r->n_layer, g, "llama.block_count") < 0 ||
	    key_int(&r->n_embd, g, "llama.embedding_length") < 0 ||
	    key_int(&r->n_head, g, "llama.attention.head_count") < 0 ||
	    key_int(&r->n_ff, g, "llama.feed_forward_length") < 0 ||
	    llm_gguf_f32(&eps, g, "llama.attention.layer_norm_rms_epsilon", NULL) <= 0)
		return -1;
	if (key_int(&r->n_head_kv, g, "llama.attention.head_count_kv") < 0)
		r->n_head_kv = r->n_head;
	if (key_int(&r->d_head, g, "llama.attention.key_length") < 0)
		r->d_head = r->n_embd / r->n_head;
	llm_gguf_f32(&theta, g, "llama.rope.freq_base", NULL);
	r->n_vocab = (int)embd->ne[1];
	r->eps = (double)eps;
	r->theta = (double)theta;
	return 0;
}

int
reference_run(double *logits, const struct llm_gguf *g, const int32_t *token, int n_tok,
    reference_tap tap, void *context)
{
	struct ref r;
	if (ref_read(&r, g, n_tok) < 0)
		return -1;
	int widest = r.n_ff > r.n_head * r.d_head ? r.n_ff : r.n_head * r.d_head;
	widest = widest > r.n_embd ? widest : r.n_embd;
	size_t n = (size_t)n_tok * (size_t)widest;
	double *x = malloc(n * 7 * sizeof *x), *buf[6];
	float *f32 = malloc((size_t)r.n_embd * sizeof *f32);
	if (x == NULL || f32 == NULL)
		abort();
	for (int i = 0; i < 6; i++)
		buf[i] = x + n * (size_t)(i + 1);

	const struct llm_gguf_tensor *embd = llm_gguf_tensor(g, "token_embd.weight");
	for (int tok = 0; tok < n_tok; tok++)
		row_get(x + (size_t)tok * (size_t)r.n_embd, f32, embd, token[tok]);
	if (tap != NULL)
		tap(context, -1, x);
	int rc = 0;
	for (int layer = 0; rc == 0 && layer < r.n_layer; layer++) {
		rc = layer_run(&r, layer, x, buf);
		if (rc == 0 && tap != NULL)
			tap(context, layer, x);
	}
	if (rc == 0)
		rc = rmsnorm(buf[0], &r, "output_norm.weight", x);
	const char *output =
	    llm_gguf_tensor(g, "output.weight") != NULL ? "output.weight" : "token_embd.weight";
	if (rc == 0)
		rc = matmul(logits, &r, output, buf[0]);
	free(x);
	free(f32);
	return rc;
}

static double
log_sum_exp(const double *x, int n)
{
	double most = -INFINITY, sum = 0;
	for (int i = 0; i < n; i++)
		most = fmax(most, x[i]);
	for (int i = 0; i < n; i++)
		sum += exp(x[i] - most);
	return most + log(sum);
}

static double
log_sum_exp_f32(const float *x, int n)
{
	double most = -INFINITY, sum = 0;
	for (int i = 0; i < n; i++)
		most = fmax(most, (double)x[i]);
	for (int i = 0; i < n; i++)
		sum += exp((double)x[i] - most);
	return most + log(sum);
}

double
reference_nll(const double *logits, int n, int id)
{
	return log_sum_exp(logits, n) - logits[id];
}

double
reference_nll_f32(const float *logits, int n, int id)
{
	return log_sum_exp_f32(logits, n) - (double)logits[id];
}

double
reference_kl(const double *p, const float *q, int n)
{
	double zp = log_sum_exp(p, n), zq = log_sum_exp_f32(q, n), kl = 0;
	for (int i = 0; i < n; i++)
		kl += exp(p[i] - zp) * ((p[i] - zp) - ((double)q[i] - zq));
	return kl;
}
