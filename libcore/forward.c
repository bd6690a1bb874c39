/*
 * SPDX-License-Identifier: ISC
 *
 * The forward pass of the Llama family: Touvron et al. 2023 (arXiv:2302.13971), grouped queries of
 * Ainslie et al. 2023, scaled RoPE of Llama 3.1.  Reads weights from the mapping and keys and values
 * from pages, writes logits.  Every float operation on the way to a logit is a kernel's, or stands
 * here as NUMERICS has it; threads share whole output elements.
 */
#include "libcore/forward.h"

#include "libcore/fmath.h"
#include "libcore/pages.h"
#include "libcore/pass.h"
#include "libcore/size.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	DEFAULT_ROWS = 512,
	MAX_ROWS = 16384,
	ROW_GRAIN = 4,      /* rows a chunk of row-wise work */
	FINITE_UNIT = 8192, /* logits looked through at once */
};

/* Row-wise work. */

struct rows {
	struct llm_pass *p;
	int layer;
	bool add;       /* x += delta first */
	const float *g; /* gain of the norm */
	struct llm_input *in;
};

/* x from the embedding, and the rotation of each row's position. */
static void
embed_work(void *arg, int begin, int end, int thread)
{
	struct llm_pass *p = ((struct rows *)arg)->p;
	const struct llm_config *c = &p->model->config;
	const struct llm_matrix *w = &p->model->weights.embd;
	size_t half = (size_t)c->d_head / 2;
	(void)thread;
	for (int i = begin; i < end; i++) {
		llm_dtype_row(p->scratch.x + (size_t)i * (size_t)c->n_embd, w->data, w->type,
		    w->n_col, p->row[i].token);
		for (size_t j = 0; j < half; j++) {
			double sine, cosine;
			llm_sincos(&sine, &cosine, (double)p->row[i].pos * p->freq[j]);
			p->scratch.sine[(size_t)i * half + j] = (float)sine;
			p->scratch.cosine[(size_t)i * half + j] = (float)cosine;
		}
	}
}

static void
norm_work(void *arg, int begin, int end, int thread)
{
	const struct rows *a = arg;
	struct llm_pass *p = a->p;
	int n = p->model->config.n_embd;
	(void)thread;
	for (int i = begin; i < end; i++) {
		size_t at = (size_t)i * (size_t)n;
		if (a->add)
			p->kernels->vector->add(p->scratch.x + at, p->scratch.delta + at, n);
		p->kernels->vector->rmsnorm(p->scratch.norm + at, p->scratch.x + at, a->g, n,
		    p->model->config.norm_eps);
	}
	llm_input_fill(p, a->in, begin, end);
}

/* Rotates keys and stores them with the values; rotates, scales and sorts the queries of live rows. */
static void
rotate_work(void *arg, int begin, int end, int thread)
{
	const struct rows *a = arg;
	struct llm_pass *p = a->p;
	const struct llm_vector_kernels *vec = p->kernels->vector;
	const struct llm_config *c = &p->model->config;
	size_t d = (size_t)c->d_head;
	int group = c->n_head / c->n_head_kv, n_live = *p->live;
	float scale = (float)(1.0 / sqrt((double)c->d_head));
	(void)thread;
	for (int i = begin; i < end; i++) {
		const struct llm_row *row = &p->row[i];
		const float *cosine = p->scratch.cosine + (size_t)i * d / 2;
		const float *sine = p->scratch.sine + (size_t)i * d / 2;
		for (int h = 0; h < c->n_head_kv; h++) {
			size_t at = ((size_t)i * (size_t)c->n_head_kv + (size_t)h) * d;
			void *slot =
			    llm_seq_slot(row->seq, a->layer, h, row->pos / LLM_KV_PAGE);
			vec->rope(p->scratch.k + at, cosine, sine, c->d_head);
			p->kernels->attention->store(slot, row->seq->type, c->d_head,
			    row->pos % LLM_KV_PAGE, p->scratch.k + at, p->scratch.v + at);
		}
		int live = p->live[1 + i];
		for (int h = 0; live >= 0 && h < c->n_head; h++) {
			size_t from = ((size_t)i * (size_t)c->n_head + (size_t)h) * d;
			size_t to = ((size_t)(h / group) * (size_t)n_live + (size_t)live) *
					(size_t)group +
				    (size_t)(h % group);
			float *q = p->scratch.query + to * d;
			memcpy(q, p->scratch.q + from, d * sizeof *q);
			vec->rope(q, cosine, sine, c->d_head);
			vec->scale(q, scale, c->d_head);
		}
	}
}

static void
activate_work(void *arg, int begin, int end, int thread)
{
	const struct rows *a = arg;
	struct llm_pass *p = a->p;
	int n = p->model->config.n_ff;
	(void)thread;
	for (int i = begin; i < end; i++) {
		float *gate = p->scratch.gate + (size_t)i * (size_t)n;
		p->kernels->vector->swiglu(
		    gate, gate, p->scratch.up + (size_t)i * (size_t)n, n);
	}
	llm_input_fill(p, a->in, begin, end);
}

/* x += delta where a block came before, then the norm, prepared as in. */
static void
norm(struct llm_pass *p, const float *g, bool add, struct llm_input *in, int n_row)
{
	struct rows a = {.p = p, .g = g, .add = add, .in = in};
	llm_phase_enter(&p->phases, LLM_PHASE_PREPARE);
	llm_input_init(p, in, p->scratch.norm, p->model->config.n_embd, n_row);
	llm_pool_run(p->pool, norm_work, &a, n_row, ROW_GRAIN);
}

/* Sequences that met a value that is not finite. */

int
llm_pass_failure(const struct llm_pass *p, const struct llm_seq *s, struct llm_err *err)
{
	const char *path = llm_gguf_path(p->model->gguf);
	int n_layer = p->model->config.n_layer;
	if (s->failed == 0)
		return 0;
	if (s->failed > n_layer)
		return llm_err_set(err, LLM_ENOTFINITE, "%s: %s are not finite numbers", path,
		    s->failed == n_layer + 1 ? "the activations before the output"
					     : "the logits");
	return llm_err_set(err, LLM_ENOTFINITE,
	    "%s: the activations of layer %d are not finite numbers", path, s->failed - 1);
}

/* The sequences of the rows marked in this stage (a layer, or past them) fail; true when none is left. */
static bool
failed_take(struct llm_pass *p, int stage, int n_row)
{
	if (!atomic_load_explicit(&p->not_finite, memory_order_relaxed))
		return false;
	for (int i = 0; i < n_row; i++) {
		struct llm_seq *seq = p->row[i].seq;
		if (!atomic_load_explicit(&p->bad[i], memory_order_relaxed))
			continue;
		atomic_store_explicit(&p->bad[i], false, memory_order_relaxed);
		p->n_good -= seq->failed == 0;
		seq->failed = seq->failed != 0 ? seq->failed : 1 + stage;
	}
	atomic_store_explicit(&p->not_finite, false, memory_order_relaxed);
	return p->n_good == 0;
}

/* Layers. */

/* Marks which rows stay alive; live[0] is their count, live[1 + i] the index of row i or -1. */
static int
live_mark(struct llm_pass *p, int n_row, bool all)
{
	int n = 0;
	for (int i = 0; i < n_row; i++)
		p->live[1 + i] = all || p->row[i].logits ? n++ : -1;
	return p->live[0] = n;
}

/* Moves the rows that stay alive together. */
static void
live_keep(struct llm_pass *p, int n_row)
{
	size_t n_embd = (size_t)p->model->config.n_embd;
	for (int i = 0; i < n_row; i++) {
		int to = p->live[1 + i];
		if (to < 0 || to == i)
			continue;
		p->row[to] = p->row[i];
		memcpy(p->scratch.x + (size_t)to * n_embd, p->scratch.x + (size_t)i * n_embd,
		    n_embd * sizeof(float));
	}
}

/* One layer over n_row rows; returns how many are left, all but in the last layer. */
static int
layer_run(struct llm_pass *p, int layer, int n_row)
{
	const struct llm_config *c = &p->model->config;
	const struct llm_layer *w = &p->model->weights.layer[layer];
	struct llm_scratch *s = &p->scratch;

	/* Attention: x += Wo attend(rope(Wq norm(x)), rope(Wk norm(x)), Wv norm(x)) */
	struct llm_input in = {0};
	llm_input_want(p, &in, &w->q);
	llm_input_want(p, &in, &w->k);
	llm_input_want(p, &in, &w->v);
	norm(p, w->attn_norm, layer > 0, &in, n_row);
	if (p->params.tap != NULL)
		p->params.tap(p->params.tap_context, layer - 1, s->x, n_row);
	llm_phase_enter(&p->phases, LLM_PHASE_QKV);
	struct llm_products qkv = {.p = p};
	llm_products_add(&qkv, &in, &w->q, s->q); /* [n_row][n_head * d_head] */
	llm_products_add(&qkv, &in, &w->k, s->k); /* [n_row][n_head_kv * d_head] */
	llm_products_add(&qkv, &in, &w->v, s->v);
	llm_products_run(&qkv, n_row);

	/* Only what leads to wanted logits goes on past the last layer's keys and values. */
	int n_live = live_mark(p, n_row, layer < c->n_layer - 1);
	struct rows rotate = {.p = p, .layer = layer};
	llm_phase_enter(&p->phases, LLM_PHASE_ROTATE);
	llm_pool_run(p->pool, rotate_work, &rotate, n_row, ROW_GRAIN);
	if (n_live < n_row)
		failed_take(p, layer, n_row); /* rows are numbered anew */
	live_keep(p, n_row);
	if (n_live == 0)
		return 0;

	llm_phase_enter(&p->phases, LLM_PHASE_ATTEND);
	struct llm_input att = {0};
	llm_input_want(p, &att, &w->o);
	llm_input_init(p, &att, s->q, c->n_head * c->d_head, n_live);
	llm_attend(p, layer, p->row, n_live, &att);
	llm_phase_enter(&p->phases, LLM_PHASE_OUT);
	struct llm_products o = {.p = p};
	llm_products_add(&o, &att, &w->o, s->delta);
	llm_products_run(&o, n_live);

	/* Feed-forward: x += Wdown(swiglu(Wgate norm(x), Wup norm(x))) */
	struct llm_input ff = {0};
	llm_input_want(p, &ff, &w->gate);
	llm_input_want(p, &ff, &w->up);
	norm(p, w->ffn_norm, true, &ff, n_live);
	llm_phase_enter(&p->phases, LLM_PHASE_GATE_UP);
	struct llm_products gate_up = {.p = p};
	llm_products_add(&gate_up, &ff, &w->gate, s->gate); /* [n_live][n_ff] */
	llm_products_add(&gate_up, &ff, &w->up, s->up);
	llm_products_run(&gate_up, n_live);

	llm_phase_enter(&p->phases, LLM_PHASE_PREPARE);
	struct llm_input hidden = {0};
	llm_input_want(p, &hidden, &w->down);
	llm_input_init(p, &hidden, s->gate, c->n_ff, n_live);
	struct rows activate = {.p = p, .in = &hidden};
	llm_pool_run(p->pool, activate_work, &activate, n_live, ROW_GRAIN);
	llm_phase_enter(&p->phases, LLM_PHASE_DOWN);
	struct llm_products down = {.p = p};
	llm_products_add(&down, &hidden, &w->down, s->delta);
	llm_products_run(&down, n_live);
	return n_live;
}

/* Logits that are looked through for what is not finite. */
struct finite {
	struct llm_pass *p;
	const float *x; /* [n_row][n] */
	int n, n_unit;  /* of a row */
};

/* Units of FINITE_UNIT logits of a row. */
static void
finite_work(void *arg, int begin, int end, int thread)
{
	const struct finite *a = arg;
	(void)thread;
	for (int i = begin; i < end; i++) {
		int row = i / a->n_unit, from = i % a->n_unit * FINITE_UNIT;
		int n = a->n - from < FINITE_UNIT ? a->n - from : FINITE_UNIT;
		llm_row_check(a->p, a->x + (size_t)row * (size_t)a->n + from, n, row);
	}
}

/* Logits of n_row live rows. */
static void
output_run(struct llm_pass *p, float *logits, int n_row)
{
	const struct llm_weights *w = &p->model->weights;
	const struct llm_config *c = &p->model->config;
	struct llm_input in = {0};
	llm_input_want(p, &in, &w->output);
	norm(p, w->output_norm, true, &in, n_row);
	if (p->params.tap != NULL)
		p->params.tap(p->params.tap_context, c->n_layer - 1, p->scratch.x, n_row);
	if (failed_take(p, c->n_layer, n_row))
		return;
	if (p->hidden != NULL) {
		memcpy(p->hidden, p->scratch.norm,
		    (size_t)n_row * (size_t)c->n_embd * sizeof *p->hidden);
		return;
	}
	llm_phase_enter(&p->phases, LLM_PHASE_HEAD);
	struct llm_products out = {.p = p};
	llm_products_add(&out, &in, &w->output, logits); /* [n_row][n_vocab] */
	llm_products_run(&out, n_row);
	llm_phase_enter(&p->phases, LLM_PHASE_FINITE);
	int n_unit = (c->n_vocab - 1) / FINITE_UNIT + 1;
	struct finite all = {.p = p, .x = logits, .n = c->n_vocab, .n_unit = n_unit};
	llm_pool_run(p->pool, finite_work, &all, n_row * n_unit, 4);
	failed_take(p, c->n_layer + 1, n_row);
}

/* True where row i goes on with the sequence of the row before it. */
static bool
row_joins(const struct llm_row *rows, int i)
{
	return i > 0 && rows[i - 1].seq == rows[i].seq;
}

static int
row_check(const struct llm_pass *p, const struct llm_row *rows, int i, struct llm_err *err)
{
	const struct llm_row *row = &rows[i];
	int n_vocab = p->model->config.n_vocab;
	if (row->token < 0 || row->token >= n_vocab)
		return llm_err_set(err, LLM_EDATA, "token id %d: expected 0 to %d",
		    (int)row->token, n_vocab - 1);
	if (row_joins(rows, i) ? row->pos != rows[i - 1].pos + 1
			       : row->pos < 0 || row->pos > row->seq->n_pos)
		return llm_err_set(err, LLM_EUSAGE,
		    "a row at position %d does not follow its sequence", row->pos);
	if (row->pos >= row->seq->n_ctx || row->pos / LLM_KV_PAGE >= row->seq->n_page ||
	    row->seq->type != llm_pass_kv_type(p))
		return llm_err_set(err, LLM_EUSAGE,
		    "a row at position %d has no page of the pass's type", row->pos);
	if (!llm_seq_writable(row->seq, row->pos))
		return llm_err_set(err, LLM_EUSAGE,
		    "a row at position %d would change another sequence's page", row->pos);
	return 0;
}

/* A caller's mistake, never a file's: rows that this pass or their sequences cannot take. */
static int
rows_check(const struct llm_pass *p, const struct llm_row *rows, int n_row, const float *logits,
    struct llm_err *err)
{
	int rc;
	if (n_row < 1 || n_row > p->params.max_rows)
		return llm_err_set(err, LLM_EUSAGE, "%d rows in one pass: expected 1 to %d",
		    n_row, p->params.max_rows);
	for (int i = 0; i < n_row; i++)
		if (!row_joins(rows, i))
			rows[i].seq->run = i;
	for (int i = 0, run = 0; i < n_row; i++) {
		run = row_joins(rows, i) ? run : i;
		if (rows[i].seq->run != run)
			return llm_err_set(err, LLM_EUSAGE,
			    "rows %d and %d are of one sequence, but stand apart", run,
			    rows[i].seq->run);
		if (rows[i].logits && logits == NULL)
			return llm_err_set(
			    err, LLM_EUSAGE, "row %d wants logits, which have no place", i);
		if ((rc = row_check(p, rows, i, err)) < 0)
			return rc;
	}
	return 0;
}

/* The rows in p->row, from the embedding to the logits, or until no sequence is left unharmed. */
static void
rows_run(struct llm_pass *p, int n_row, float *logits)
{
	struct rows embed = {.p = p};
	llm_phase_enter(&p->phases, LLM_PHASE_EMBED);
	llm_pool_run(p->pool, embed_work, &embed, n_row, ROW_GRAIN);
	int n_live = n_row;
	for (int layer = 0; layer < p->model->config.n_layer; layer++) {
		n_live = layer_run(p, layer, n_live);
		if (failed_take(p, layer, n_live))
			return;
	}
	if (n_live > 0)
		output_run(p, logits, n_live);
}

/* Where the rows of one sequence begin, it ends there; and counts as unharmed. */
static void
seqs_begin(struct llm_pass *p, const struct llm_row *rows, int n_row)
{
	p->n_good = 0;
	for (int i = 0; i < n_row; i++) {
		if (row_joins(rows, i))
			continue;
		llm_seq_truncate(rows[i].seq, rows[i].pos);
		rows[i].seq->failed = 0;
		p->n_good++;
	}
}

int
llm_forward(struct llm_pass *p, const struct llm_row *rows, int n_row, float *logits,
    struct llm_err *err)
{
	int rc = rows_check(p, rows, n_row, logits, err);
	if (rc < 0)
		return rc;
	llm_phase_enter(&p->phases, LLM_PHASE_OTHER);
	llm_pool_watch(p->pool);
	seqs_begin(p, rows, n_row);
	memcpy(p->row, rows, (size_t)n_row * sizeof *rows);
	rows_run(p, n_row, logits);
	for (int i = 0; i < n_row; i++)
		if (rows[i].seq->failed == 0)
			rows[i].seq->n_pos = rows[i].pos + 1;
		else if (rc == 0)
			rc = llm_pass_failure(p, rows[i].seq, err);
	llm_phase_enter(&p->phases, LLM_PHASE_BETWEEN);
	return rc;
}

int
llm_forward_hidden(struct llm_pass *p, const struct llm_row *rows, int n_row, float *hidden,
    struct llm_err *err)
{
	p->hidden = hidden;
	int rc = llm_forward(p, rows, n_row, hidden, err);
	p->hidden = NULL;
	return rc;
}

void
llm_pass_share(struct llm_pass *p, void (*work)(void *arg, int begin, int end, int thread),
    void *arg, int n)
{
	llm_pool_run(p->pool, work, arg, n, 1);
}

/* Making a pass. */

/* freq[i] = theta^(-2i / d_head) / divisor, in double; the angle is pos times this. */
static void
freq_work(void *arg, int begin, int end, int thread)
{
	struct llm_pass *p = arg;
	const struct llm_config *c = &p->model->config;
	const float *divisor = p->model->weights.rope_freqs;
	(void)thread;
	for (int i = begin; i < end; i++) {
		double freq = llm_pow(c->rope_theta, -2.0 * i / c->d_head);
		p->freq[i] =
		    freq / (divisor != NULL ? (double)divisor[i] : 1.0) / c->rope_factor;
	}
}

static int
pass_allocate(struct llm_pass *p, struct llm_err *err)
{
	const struct llm_config *c = &p->model->config;
	int n_thread = llm_pool_n_thread(p->pool), rows = p->params.max_rows;
	size_t bytes;
	if (!llm_scratch_layout(&p->scratch, &bytes, NULL, c, rows, n_thread))
		return llm_err_nomem(err, SIZE_MAX);
	p->memory = llm_pages_new(bytes);
	p->freq = calloc((size_t)c->d_head / 2, sizeof *p->freq);
	p->row = calloc((size_t)rows, sizeof *p->row);
	p->live = calloc((size_t)rows + 1, sizeof *p->live);
	p->bad = calloc((size_t)rows, sizeof *p->bad);
	if (p->memory == NULL || p->freq == NULL || p->row == NULL || p->live == NULL ||
	    p->bad == NULL)
		return llm_err_nomem(err, bytes);
	llm_scratch_layout(&p->scratch, &bytes, p->memory, c, rows, n_thread);
	return 0;
}

int
llm_pass_new(struct llm_pass **out, const struct llm_model *m,
    const struct llm_pass_params *params, struct llm_err *err)
{
	struct llm_pass *p = calloc(1, sizeof *p);
	if (p == NULL)
		return llm_err_nomem(err, sizeof *p);
	p->model = m;
	p->params = *params;
	p->kernels = params->kernels;
	int rc = 0;
	if (p->params.max_rows == 0)
		p->params.max_rows = DEFAULT_ROWS;
	if (p->params.max_rows < 0 || p->params.max_rows > MAX_ROWS)
		rc = llm_err_set(err, LLM_EUSAGE, "passes of %d rows: expected 1 to %d",
		    p->params.max_rows, MAX_ROWS);
	if (rc == 0 && p->kernels == NULL)
		rc = llm_kernels_get(&p->kernels, NULL, err);
	if (rc == 0)
		rc = llm_pool_new(&p->pool, p->params.n_thread, err);
	if (rc == 0)
		rc = pass_allocate(p, err);
	if (rc < 0) {
		llm_pass_free(p);
		return rc;
	}
	llm_pool_clock(p->pool, &p->phases);
	/* As a region, though for one thread: regions round as the contract says. */
	llm_pool_run(p->pool, freq_work, p, m->config.d_head / 2, m->config.d_head / 2);
	*out = p;
	return 0;
}

void
llm_pass_free(struct llm_pass *p)
{
	if (p == NULL)
		return;
	llm_pool_free(p->pool);
	free(p->memory);
	free(p->freq);
	free(p->row);
	free(p->live);
	free(p->bad);
	free(p);
}

struct llm_phases *
llm_pass_phases(struct llm_pass *p)
{
	return &p->phases;
}

const struct llm_model *
llm_pass_model(const struct llm_pass *p)
{
	return p->model;
}

int
llm_pass_max_rows(const struct llm_pass *p)
{
	return p->params.max_rows;
}

int
llm_pass_n_thread(const struct llm_pass *p)
{
	return llm_pool_n_thread(p->pool);
}

enum llm_kv_type
llm_pass_kv_type(const struct llm_pass *p)
{
	return p->params.precise ? LLM_KV_F32 : p->params.kv;
}
