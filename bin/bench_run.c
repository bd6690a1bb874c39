/*
 * SPDX-License-Identifier: ISC
 *
 * The runs of llm-bench: passes timed one by one, the machine's limits measured between them.
 */
#include "bin/bench.h"
#include "libcore/clock.h"

#include <stdlib.h>
#include <string.h>

enum {
	FILL = 512, /* positions that are computed; beyond them a sequence repeats */
	PEAKS = 3,  /* multiply peaks taken together: each takes a millisecond or two */
};

/* Longest time between two measurements of the read rate. */
static const double AGAIN_S = 0.1;

static void *
take(size_t n, size_t size)
{
	void *p = calloc(n, size);
	if (p == NULL)
		tool_fail(
		    LLM_ENOMEM, "out of memory: %zu x %zu bytes could not be had", n, size);
	return p;
}

/* Any token; the same at each run. */
static llm_token
token_at(const struct bench *b, int i)
{
	uint32_t n_vocab = (uint32_t)b->engine.model->config.n_vocab;
	return (llm_token)(((uint64_t)((uint32_t)(i + 1) * 2654435761u) * n_vocab) >> 32);
}

static void
reserve(struct bench *b, int seq, int n_pos)
{
	struct llm_err err = {0};
	if (llm_seq_reserve(b->seq[seq], n_pos, &err) < 0)
		tool_die(&err);
}

static void
forward(struct bench *b, int n_row)
{
	struct llm_err err = {0};
	if (llm_forward(b->engine.pass, b->row, n_row, b->logits, &err) < 0)
		tool_die(&err);
}

/* Rows [pos, pos + n) of one sequence. */
static void
rows_set(struct bench *b, int seq, int pos, int n)
{
	for (int i = 0; i < n; i++)
		b->row[i] = (struct llm_row){
		    .seq = b->seq[seq], .token = token_at(b, pos + i), .pos = pos + i};
}

/* Copies the slots of one page of the first sequence to another. */
static void
page_copy(struct bench *b, int to, int from)
{
	const struct llm_config *c = &b->engine.model->config;
	size_t bytes = llm_kv_slot_bytes(b->seq[0]->type, c->d_head);
	for (int layer = 0; layer < c->n_layer; layer++)
		for (int head = 0; head < c->n_head_kv; head++)
			memcpy(llm_seq_slot(b->seq[0], layer, head, to),
			    llm_seq_slot(b->seq[0], layer, head, from), bytes);
}

/*
 * Brings the first sequence to depth positions.  How long attention takes does not depend on what
 * keys and values are, so those past FILL are copies; and what once stood in a page serves again.
 */
static void
fill(struct bench *b, int depth)
{
	struct llm_seq *seq = b->seq[0];
	int max = llm_pass_max_rows(b->engine.pass), n_page = (depth - 1) / LLM_KV_PAGE + 1;
	while (b->filled < depth && b->filled < FILL) {
		int n = FILL - b->filled < max ? FILL - b->filled : max;
		if (n > depth - b->filled)
			n = depth - b->filled;
		llm_seq_truncate(seq, b->filled);
		llm_seq_extend(seq, b->filled);
		rows_set(b, 0, b->filled, n);
		forward(b, n);
		b->filled += n;
	}
	if (b->filled < depth) {
		for (int page = b->filled / LLM_KV_PAGE; page < n_page; page++)
			page_copy(b, page, page % (FILL / LLM_KV_PAGE));
		b->filled = depth;
	}
	llm_seq_truncate(seq, depth);
	llm_seq_extend(seq, depth);
}

/* Sets the rows of pass i of a case; returns how many. */
static int
pass_rows(struct bench *b, const struct bench_case *c, int i)
{
	int max = llm_pass_max_rows(b->engine.pass), n = 1, pos = c->depth + i;
	switch (c->test) {
	case BENCH_BATCH:
		for (int s = 0; s < c->batch; s++)
			b->row[s] = (struct llm_row){.seq = b->seq[s],
			    .token = token_at(b, pos + s),
			    .pos = pos,
			    .logits = true};
		return c->batch;
	case BENCH_PREFILL:
		pos = i * max;
		n = c->n - pos < max ? c->n - pos : max;
		break;
	case BENCH_VERIFY:
		pos = c->depth;
		n = c->n;
		break;
	default:
		break;
	}
	rows_set(b, 0, pos, n);
	for (int r = 0; r < n; r++)
		b->row[r].logits = c->test != BENCH_PREFILL || b->row[r].pos == c->n - 1;
	return n;
}

static int
n_pass(const struct bench *b, const struct bench_case *c)
{
	int max = llm_pass_max_rows(b->engine.pass);
	return c->test == BENCH_PREFILL  ? (c->n - 1) / max + 1
	       : c->test == BENCH_VERIFY ? b->n_verify
					 : c->n;
}

/* What a pass must do at least: bytes to read, multiplications and sums to make. */
struct work {
	double bytes, int8, f32;
};

static void
work_product(struct work *w, const struct llm_matrix *m, int n_row)
{
	bool exact = tool_run.precise || llm_dtype_info(m->type)->act == LLM_ACT_F32;
	*(exact ? &w->f32 : &w->int8) += 2.0 * m->n_row * m->n_col * n_row;
}

/* Adds the pass whose rows are set; in the last layer only rows with logits go past the values. */
static void
work_add(struct work *w, const struct bench *b, int n_row)
{
	const struct llm_config *c = &b->engine.model->config;
	const struct llm_weights *m = &b->engine.model->weights;
	double kv_bytes = (double)llm_seq_bytes(c, b->seq[0]->type, LLM_KV_PAGE) / LLM_KV_PAGE;
	int n_live = 0;
	w->bytes += (double)llm_limits_bytes(b->limits);
	for (int i = 0; i < n_row; i++) {
		const struct llm_row *r = &b->row[i];
		double seen = 4.0 * c->n_head * c->d_head * (r->pos + 1.0);
		n_live += r->logits;
		w->f32 += seen * (c->n_layer - !r->logits);
		if (i + 1 == n_row || b->row[i + 1].seq != r->seq)
			w->bytes += kv_bytes * (r->pos + 1);
	}
	for (int i = 0; i < c->n_layer; i++) {
		const struct llm_layer *l = &m->layer[i];
		int n = i + 1 < c->n_layer ? n_row : n_live;
		work_product(w, &l->q, n_row);
		work_product(w, &l->k, n_row);
		work_product(w, &l->v, n_row);
		work_product(w, &l->o, n);
		work_product(w, &l->gate, n);
		work_product(w, &l->up, n);
		work_product(w, &l->down, n);
	}
	work_product(w, &m->output, n_live);
}

/*
 * Limits as they are taken within one sample: seconds for a byte or an operation, summed, so that their
 * mean is that of the time it took, as a sample's own is.
 */
struct limits {
	double read, int8, f32;
	int n_read, n_peak;
	double last; /* when the rate was read */
};

static void
limits_read(struct bench *b, struct limits *l)
{
	double rate = llm_limits_read(b->limits);
	l->read += rate > 0 ? 1 / rate : 0;
	l->n_read++;
	l->last = llm_clock_s();
}

static void
limits_peak(struct bench *b, struct limits *l)
{
	for (int i = 0; i < PEAKS; i++) {
		l->int8 += 1 / llm_limits_int8(b->limits);
		l->f32 += 1 / llm_limits_f32(b->limits);
		l->n_peak++;
	}
}

static void
sample_take(struct bench *b, const struct bench_case *c, struct bench_sample *s)
{
	struct limits l = {0};
	struct work w = {0};
	*s = (struct bench_sample){.n_pass = n_pass(b, c)};
	for (int i = 0; i < (c->test == BENCH_BATCH ? c->batch : 1); i++)
		llm_seq_truncate(b->seq[i], 0);
	if (c->depth > 0)
		fill(b, c->depth);
	llm_phase_start(llm_pass_phases(b->engine.pass), tool_run.verbose);
	limits_read(b, &l);
	limits_peak(b, &l);
	for (int i = 0; i < s->n_pass; i++) {
		int n = pass_rows(b, c, i);
		if (llm_clock_s() - l.last > AGAIN_S)
			limits_read(b, &l);
		double start = llm_clock_s();
		forward(b, n);
		s->s += llm_clock_s() - start;
		s->n_tok += n;
		work_add(&w, b, n);
	}
	limits_read(b, &l);
	limits_peak(b, &l);
	s->read = l.read > 0 ? l.n_read / l.read : 0;
	s->int8 = l.n_peak / l.int8;
	s->f32 = l.n_peak / l.f32;
	double read_s = s->read > 0 ? w.bytes / s->read : 0;
	double multiply_s = w.int8 / s->int8 + w.f32 / s->f32;
	s->share = (read_s > multiply_s ? read_s : multiply_s) / s->s;
	if (b->seq[0]->n_pos > b->filled)
		b->filled = b->seq[0]->n_pos;
}

/* The clock by phase, for -v, of all samples of a case. */
static void
phases_add(struct bench *b, struct llm_phases *sum)
{
	struct llm_phases *p = llm_pass_phases(b->engine.pass);
	for (int i = 0; i < LLM_PHASE_N; i++) {
		sum->work_ns[i] += p->work_ns[i];
		sum->wait_ns[i] += p->wait_ns[i];
	}
	sum->n_region += p->n_region;
}

static void
progress(const struct bench *b, const struct bench_case *c, int rep)
{
	if (!b->terminal)
		return;
	fprintf(stderr, "\r%s: n %d, depth %d, batch %d: %d of %d\033[K",
	    bench_test_name(c->test), c->n, c->depth, c->batch, rep + 1, b->n_rep);
	fflush(stderr);
}

void
bench_run(struct bench *b, struct bench_case *c, int n_case)
{
	struct bench_sample warm;
	for (int i = 0; i < n_case; i++) {
		struct bench_case first = c[i];
		int end = first.test == BENCH_PREFILL ? first.n : first.depth + first.n;
		for (int s = 0; s < (first.test == BENCH_BATCH ? first.batch : 1); s++)
			reserve(b, s, end);
	}
	/* Scratch and pages are touched once before the clock runs. */
	progress(b, &c[n_case - 1], 0);
	struct bench_case last = c[n_case - 1];
	if (last.test == BENCH_DECODE || last.test == BENCH_BATCH)
		last.n = 1;
	sample_take(b, &last, &warm);
	for (int rep = 0; rep < b->n_rep; rep++)
		for (int i = 0; i < n_case; i++) {
			progress(b, &c[i], rep);
			sample_take(b, &c[i], &c[i].sample[rep]);
			phases_add(b, &c[i].phases);
		}
	if (b->terminal)
		fputs("\r\033[K", stderr);
}

void
bench_open(struct bench *b, const struct bench_case *c, int n_case)
{
	struct llm_err err = {0};
	const struct llm_config *config = &b->engine.model->config;
	struct llm_pass *pass = b->engine.pass;
	int n_logits = 1;
	b->n_seq = 1;
	for (int i = 0; i < n_case; i++) {
		int n = c[i].test == BENCH_VERIFY ? c[i].n : c[i].batch;
		n_logits = n > n_logits ? n : n_logits;
		b->n_seq = c[i].batch > b->n_seq ? c[i].batch : b->n_seq;
	}
	b->seq = take((size_t)b->n_seq, sizeof *b->seq);
	b->row = take((size_t)llm_pass_max_rows(pass), sizeof *b->row);
	b->logits = take((size_t)n_logits * (size_t)config->n_vocab, sizeof *b->logits);
	for (int i = 0; i < b->n_seq; i++)
		if (llm_seq_new(
			&b->seq[i], config, llm_pass_kv_type(pass), config->n_ctx, &err) < 0)
			tool_die(&err);
	if (llm_limits_of_pass(&b->limits, pass, &err) < 0)
		tool_die(&err);
}

void
bench_close(struct bench *b)
{
	for (int i = 0; i < b->n_seq; i++)
		llm_seq_free(b->seq[i]);
	free(b->seq);
	free(b->row);
	free(b->logits);
	llm_limits_free(b->limits);
}
