/*
 * SPDX-License-Identifier: ISC
 *
 * The encoder's forward pass: Devlin et al. 2018, after Vaswani et al. 2017, norms behind the blocks.
 * Rows of tokens in, the last layer's vectors out.  Every float operation is a kernel's, or stands here as
 * NUMERICS has it; threads share whole output elements.
 */
#include "libcore/encoder_pass.h"

#include "libcore/pages.h"
#include "libcore/size.h"

#include <stdlib.h>
#include <string.h>

enum {
	DEFAULT_TOK = 1024,
	MAX_TOK = 1 << 17,
	ROW_GRAIN = 4,   /* rows a chunk of row-wise work */
	UNIT = 8,        /* rows of a matrix that kernels take together */
	PANEL_UNITS = 4, /* and that a panel of many tokens unpacks: 32 rows */
};

/* Inputs of products. */

static enum llm_act_kind
act_kind(const struct llm_encoding *p, const struct llm_matrix *w)
{
	return p->params.precise ? LLM_ACT_F32 : llm_dtype_info(w->type)->act;
}

/* Lays out vectors x [n_row][n_col] in the kinds that these matrices want (the second may be NULL). */
static void
input_init(struct llm_encoding *p, struct llm_encoder_input *in,
    const struct llm_encoder_linear *const w[], int n_w, const float *x, int n_row)
{
	memset(in, 0, sizeof *in);
	for (int i = 0; i < n_w; i++)
		in->want[act_kind(p, &w[i]->w)] = true;
	for (int kind = 0; kind < 3; kind++)
		if (in->want[kind])
			llm_act_init(&in->act[kind], p->act[kind], (enum llm_act_kind)kind,
			    w[0]->w.n_col, n_row, x, (size_t)w[0]->w.n_col);
}

static void
input_fill(struct llm_encoding *p, struct llm_encoder_input *in, int t0, int t1)
{
	for (int kind = LLM_ACT_Q32; kind <= LLM_ACT_Q256; kind++)
		if (in->want[kind] && !p->kernels->product->quantize(&in->act[kind], t0, t1))
			atomic_store_explicit(&p->not_finite, true, memory_order_relaxed);
}

/* Products of one input with one to three matrices, as one region. */

struct products {
	struct llm_encoding *p;
	struct llm_product product[3];
	int unit0[4]; /* units of 8 rows before each, and in all */
	int n;
};

static void
products_work(void *arg, int begin, int end, int thread)
{
	const struct products *a = arg;
	void *scratch = llm_encoding_scratch(a->p, thread);
	for (int i = 0; i < a->n; i++) {
		int b = begin > a->unit0[i] ? begin : a->unit0[i];
		int e = end < a->unit0[i + 1] ? end : a->unit0[i + 1];
		if (b >= e)
			continue;
		const struct llm_product *product = &a->product[i];
		int row1 = (e - a->unit0[i]) * UNIT;
		a->p->kernels->product->run(product, (b - a->unit0[i]) * UNIT,
		    row1 < product->n_row ? row1 : product->n_row, scratch);
	}
}

/* y[i] [n_row][w[i].n_row] = W[i] x; the biases are added where y is used next. */
static void
products_run(struct llm_encoding *p, struct llm_encoder_input *in,
    const struct llm_encoder_linear *const w[], float *const y[], int n_w)
{
	struct products a = {.p = p, .n = n_w};
	for (int i = 0; i < n_w; i++) {
		const struct llm_matrix *m = &w[i]->w;
		a.product[i] = (struct llm_product){.w = m->data,
		    .type = m->type,
		    .n_row = m->n_row,
		    .n_col = m->n_col,
		    .x = &in->act[act_kind(p, m)],
		    .y = y[i],
		    .y_stride = (size_t)m->n_row};
		a.unit0[i + 1] = a.unit0[i] + (m->n_row + UNIT - 1) / UNIT;
	}
	llm_pool_run(p->pool, products_work, &a, a.unit0[n_w], PANEL_UNITS);
}

/* Row-wise work. */

struct rows {
	struct llm_encoding *p;
	const struct llm_encoder_norm *norm;
	const float *bias; /* of the product that made delta or ff */
	struct llm_encoder_input
	    *in; /* of the products to come, or NULL: the last layer is done */
};

/* x = norm(token + type 0 + position) */
static void
embed_work(void *arg, int begin, int end, int thread)
{
	const struct rows *a = arg;
	struct llm_encoding *p = a->p;
	const struct llm_encoder_config *c = &p->encoder->config;
	const struct llm_encoder_weights *w = &p->encoder->weights;
	const struct llm_vector_kernels *vec = p->kernels->vector;
	(void)thread;
	for (int i = begin; i < end; i++) {
		const struct llm_encoder_run *run = &p->run[p->row_run[i]];
		float *x = p->x + (size_t)i * (size_t)c->n_embd;
		float *t = p->delta + (size_t)i * (size_t)c->n_embd;
		int pos = i - run->row0;
		llm_dtype_row(x, w->embd.data, w->embd.type, c->n_embd, run->id[pos]);
		llm_dtype_row(t, w->type.data, w->type.type, c->n_embd, 0);
		vec->add(x, t, c->n_embd);
		llm_dtype_row(t, w->position.data, w->position.type, c->n_embd, pos);
		vec->add(x, t, c->n_embd);
		vec->layernorm(x, x, w->norm.g, w->norm.b, c->n_embd, c->norm_eps);
	}
	input_fill(p, a->in, begin, end);
}

/* Whether all of x [n] are finite. */
static bool
finite(const float *x, int n)
{
	uint32_t bad = 0;
	for (int i = 0; i < n; i++) {
		uint32_t bits;
		memcpy(&bits, &x[i], sizeof bits);
		bad |= (bits & 0x7f800000u) == 0x7f800000u;
	}
	return bad == 0;
}

/* x = norm(x + delta + bias) */
static void
norm_work(void *arg, int begin, int end, int thread)
{
	const struct rows *a = arg;
	struct llm_encoding *p = a->p;
	const struct llm_vector_kernels *vec = p->kernels->vector;
	int n = p->encoder->config.n_embd;
	(void)thread;
	for (int i = begin; i < end; i++) {
		float *x = p->x + (size_t)i * (size_t)n;
		vec->add(x, p->delta + (size_t)i * (size_t)n, n);
		vec->add(x, a->bias, n);
		vec->layernorm(x, x, a->norm->g, a->norm->b, n, p->encoder->config.norm_eps);
		if (a->in == NULL && !finite(x, n))
			atomic_store_explicit(&p->not_finite, true, memory_order_relaxed);
	}
	if (a->in != NULL)
		input_fill(p, a->in, begin, end);
}

/* ff = gelu(ff + bias) */
static void
activate_work(void *arg, int begin, int end, int thread)
{
	const struct rows *a = arg;
	struct llm_encoding *p = a->p;
	int n = p->encoder->config.n_ff;
	(void)thread;
	for (int i = begin; i < end; i++) {
		float *y = p->ff + (size_t)i * (size_t)n;
		p->kernels->vector->add(y, a->bias, n);
		p->kernels->vector->gelu(y, y, n);
	}
	input_fill(p, a->in, begin, end);
}

static void
fill_work(void *arg, int begin, int end, int thread)
{
	const struct rows *a = arg;
	(void)thread;
	input_fill(a->p, a->in, begin, end);
}

/* One layer over n_row rows, whose x is prepared as in; then so for the next layer, where there is one. */
static void
layer_run(struct llm_encoding *p, int layer, struct llm_encoder_input *in, int n_row)
{
	const struct llm_encoder_layer *w = &p->encoder->weights.layer[layer];
	bool last = layer == p->encoder->config.n_layer - 1;
	const struct llm_encoder_linear *o[] = {&w->o}, *up[] = {&w->up}, *down[] = {&w->down};

	/* x = norm(x + Wo attend(Wq x + bq, Wk x + bk, Wv x + bv) + bo) */
	products_run(p, in, (const struct llm_encoder_linear *const[]){&w->q, &w->k, &w->v},
	    (float *const[]){p->q, p->k, p->v}, 3);
	llm_encoder_attend(p, w);
	struct llm_encoder_input att, ff, hidden;
	input_init(p, &att, o, 1, p->q, n_row);
	llm_pool_run(p->pool, fill_work, &(struct rows){.p = p, .in = &att}, n_row, ROW_GRAIN);
	products_run(p, &att, o, (float *const[]){p->delta}, 1);
	input_init(p, &ff, up, 1, p->x, n_row);
	struct rows norm1 = {.p = p, .norm = &w->attn_norm, .bias = w->o.b, .in = &ff};
	llm_pool_run(p->pool, norm_work, &norm1, n_row, ROW_GRAIN);

	/* x = norm(x + Wdown gelu(Wup x + bup) + bdown) */
	products_run(p, &ff, up, (float *const[]){p->ff}, 1);
	input_init(p, &hidden, down, 1, p->ff, n_row);
	struct rows activate = {.p = p, .bias = w->up.b, .in = &hidden};
	llm_pool_run(p->pool, activate_work, &activate, n_row, ROW_GRAIN);
	products_run(p, &hidden, down, (float *const[]){p->delta}, 1);
	if (!last)
		input_init(p, in,
		    (const struct llm_encoder_linear *const[]){&w[1].q, &w[1].k, &w[1].v}, 3,
		    p->x, n_row);
	struct rows norm2 = {
	    .p = p, .norm = &w->ffn_norm, .bias = w->down.b, .in = last ? NULL : in};
	llm_pool_run(p->pool, norm_work, &norm2, n_row, ROW_GRAIN);
}

/* A caller's mistake, and ids that the model does not have. */
static int
texts_take(
    struct llm_encoding *p, const struct llm_encode_text *text, int n_text, struct llm_err *err)
{
	const struct llm_encoder_config *c = &p->encoder->config;
	int row = 0;
	for (int i = 0; i < n_text; i++) {
		if (text[i].n < 1 || text[i].n > c->n_ctx ||
		    text[i].n > p->params.max_tok - row)
			return llm_err_set(err, LLM_EUSAGE,
			    "a text of %d tokens: expected 1 to %d, and %d in one pass",
			    text[i].n, c->n_ctx, p->params.max_tok);
		for (int k = 0; k < text[i].n; k++)
			if (text[i].id[k] < 0 || text[i].id[k] >= c->n_vocab)
				return llm_err_set(err, LLM_EDATA,
				    "token id %d: expected 0 to %d", (int)text[i].id[k],
				    c->n_vocab - 1);
		p->run[i] = (struct llm_encoder_run){text[i].id, row, text[i].n};
		for (int k = 0; k < text[i].n; k++)
			p->row_run[row++] = i;
	}
	p->n_run = n_text;
	return row;
}

int
llm_encode(const float **x, struct llm_encoding *p, const struct llm_encode_text *text,
    int n_text, struct llm_err *err)
{
	const struct llm_encoder_layer *w = p->encoder->weights.layer;
	int n_row = texts_take(p, text, n_text, err);
	*x = p->x;
	if (n_row <= 0)
		return n_row;
	atomic_store_explicit(&p->not_finite, false, memory_order_relaxed);
	struct llm_encoder_input in;
	input_init(p, &in, (const struct llm_encoder_linear *const[]){&w->q, &w->k, &w->v}, 3,
	    p->x, n_row);
	struct rows embed = {.p = p, .in = &in};
	llm_pool_run(p->pool, embed_work, &embed, n_row, ROW_GRAIN);
	for (int layer = 0; layer < p->encoder->config.n_layer; layer++)
		layer_run(p, layer, &in, n_row);
	if (atomic_load_explicit(&p->not_finite, memory_order_relaxed))
		return llm_err_set(err, LLM_ENOTFINITE,
		    "%s: the activations are not finite numbers",
		    llm_gguf_path(p->encoder->gguf));
	return 0;
}

/* Making a pass. */

/* Places one buffer after another; good turns false when a size cannot be counted. */
struct arena {
	char *base;
	size_t used;
	bool good;
};

static void *
take(struct arena *a, size_t n, size_t each, size_t item)
{
	size_t bytes, at = a->used;
	a->good = a->good && llm_size_mul(&bytes, n, each) &&
		  llm_size_mul(&bytes, bytes, item) && llm_size_align(&bytes, bytes, 64) &&
		  llm_size_add(&a->used, a->used, bytes);
	return a->good && a->base != NULL ? a->base + at : NULL;
}

/* Places every buffer from base on, or counts their bytes where it is NULL; false where it cannot. */
static bool
layout(struct llm_encoding *p, size_t *bytes, char *base)
{
	const struct llm_encoder_config *c = &p->encoder->config;
	struct arena a = {base, 0, true};
	size_t r = (size_t)p->params.max_tok, embd = (size_t)c->n_embd, f = sizeof(float);
	p->x = take(&a, r, embd, f);
	p->delta = take(&a, r, embd, f);
	p->q = take(&a, r, embd, f);
	p->k = take(&a, r, embd, f);
	p->v = take(&a, r, embd, f);
	p->ff = take(&a, r, (size_t)c->n_ff, f);
	int widest = ((c->n_ff > c->n_embd ? c->n_ff : c->n_embd) + 255) / 256 * 256;
	for (int kind = LLM_ACT_Q32; kind <= LLM_ACT_Q256; kind++)
		p->act[kind] = take(&a, 1,
		    llm_act_bytes((enum llm_act_kind)kind, widest, p->params.max_tok), 1);
	p->run = take(&a, r, 1, sizeof *p->run);
	p->row_run = take(&a, r, 1, sizeof *p->row_run);
	size_t attend = llm_encoder_attend_bytes(c);
	a.good = a.good && attend != 0 &&
		 llm_size_add(&p->thread_bytes, attend, LLM_PRODUCT_SCRATCH) &&
		 llm_size_align(&p->thread_bytes, p->thread_bytes, 4096);
	p->thread = take(&a, (size_t)llm_pool_n_thread(p->pool), p->thread_bytes, 1);
	*bytes = a.used;
	return a.good;
}

static int
allocate(struct llm_encoding *p, struct llm_err *err)
{
	size_t bytes;
	if (!layout(p, &bytes, NULL))
		return llm_err_nomem(err, SIZE_MAX);
	p->memory = llm_pages_new(bytes);
	if (p->memory == NULL)
		return llm_err_nomem(err, bytes);
	layout(p, &bytes, p->memory);
	return 0;
}

int
llm_encoding_new(struct llm_encoding **out, const struct llm_encoder *e,
    const struct llm_encoding_params *params, struct llm_err *err)
{
	struct llm_encoding *p = calloc(1, sizeof *p);
	if (p == NULL)
		return llm_err_nomem(err, sizeof *p);
	p->encoder = e;
	p->params = *params;
	p->kernels = params->kernels;
	int rc = 0, n_ctx = e->config.n_ctx;
	if (p->params.max_tok == 0)
		p->params.max_tok = n_ctx > DEFAULT_TOK ? n_ctx : DEFAULT_TOK;
	if (p->params.max_tok < n_ctx || p->params.max_tok > MAX_TOK)
		rc = llm_err_set(err, LLM_EUSAGE, "passes of %d tokens: expected %d to %d",
		    p->params.max_tok, n_ctx, MAX_TOK);
	if (rc == 0 && p->kernels == NULL)
		rc = llm_kernels_get(&p->kernels, NULL, err);
	if (rc == 0)
		rc = llm_pool_new(&p->pool, p->params.n_thread, err);
	if (rc == 0)
		rc = allocate(p, err);
	if (rc < 0) {
		llm_encoding_free(p);
		return rc;
	}
	*out = p;
	return 0;
}

void
llm_encoding_free(struct llm_encoding *p)
{
	if (p == NULL)
		return;
	llm_pool_free(p->pool);
	free(p->memory);
	free(p);
}

int
llm_encoding_max_tok(const struct llm_encoding *p)
{
	return p->params.max_tok;
}

int
llm_encoding_n_thread(const struct llm_encoding *p)
{
	return llm_pool_n_thread(p->pool);
}
