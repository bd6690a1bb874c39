/*
 * SPDX-License-Identifier: ISC
 *
 * Prompts in shared passes; see batch.h.  Each prompt is a sequence that shares the prefix's pages.  In the
 * first round go its own tokens and behind them the first way down the tree of labels, in each further
 * round the next way from where it leaves the one before: every inner node is one row.
 */
#include "generate/batch.h"
#include "generate/score.h"
#include "libcore/fmath.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_PROMPTS = 64,
	KEEP_PAGES =
	    16, /* a sequence that has grown past that is not kept for the next prompt */
};

struct prompt {
	struct llm_seq *seq;
	llm_token *ids; /* those past what it shares */
	size_t cap_ids;
	int n_ids, n_kept;      /* its tokens are the prefix's first n_kept, then ids */
	int n_held;             /* positions of seq that hold the prefix's */
	double *edge;           /* [n_node] */
	bool in_pass;           /* has rows in the one that is being gathered */
	struct llm_err failure; /* its code 0: none */
};

/* A row of logits, and whose it is. */
struct want {
	struct prompt *prompt;
	int node;
};

struct llm_batch {
	const struct llm_labels *labels;
	const struct llm_vector_kernels *vector;
	struct llm_pass *pass;
	const struct llm_model *model;
	struct llm_seq *prefix;
	llm_token *prefix_ids;
	int n_prefix;
	bool has_prefix;       /* computed */
	struct prompt *prompt; /* [max_prompts] */
	int n, max_prompts;
	int n_new;            /* tokens of the prompts that are to be computed */
	struct llm_row *rows; /* [max_rows] */
	struct want *want;    /* [max_logits] */
	float *logits;        /* [max_logits][n_vocab] */
	int n_rows, max_rows, n_want, max_logits;
	int (*between)(void *context);
	void *context;
	double *edges, *work; /* [max_prompts][n_node], [2 * n_node] */
	size_t n_row;         /* computed so far */
};

/* The probabilities of a node's children, from the logits of its row. */
static void
edges_take(const struct llm_batch *b, const struct want *w, const float *logits)
{
	int n_vocab = b->model->config.n_vocab;
	float max = b->vector->max(logits, n_vocab);
	float sum = isfinite(max) ? b->vector->sumexp(logits, max, n_vocab) : NAN;
	if (!isfinite(sum)) {
		llm_err_set(&w->prompt->failure, LLM_ENOTFINITE,
		    "%s: a logit is not finite: the file is broken",
		    llm_gguf_path(b->model->gguf));
		return;
	}
	double lse = (double)max + llm_log((double)sum);
	const struct llm_label_node *node = b->labels->node;
	for (int i = node[w->node].child; i >= 0; i = node[i].next)
		w->prompt->edge[i] = (double)logits[node[i].token] - lse;
}

/* Computes the rows gathered so far; a prompt of which they fail fails alone. */
static int
flush(struct llm_batch *b, struct llm_err *err)
{
	size_t n_vocab = (size_t)b->model->config.n_vocab;
	int rc = 0;
	if (b->n_rows == 0)
		return 0;
	if (b->between != NULL && (rc = b->between(b->context)) < 0)
		return rc;
	rc = llm_forward(b->pass, b->rows, b->n_rows, b->logits, err);
	if (rc < 0 && (rc != LLM_ENOTFINITE || b->rows[0].seq == b->prefix))
		return rc;
	for (int i = 0; i < b->n; i++) {
		struct prompt *p = &b->prompt[i];
		if (p->in_pass)
			llm_pass_failure(b->pass, p->seq, &p->failure);
		p->in_pass = false;
	}
	for (int i = 0; i < b->n_want; i++)
		if (b->want[i].prompt->failure.code == 0)
			edges_take(b, &b->want[i], b->logits + (size_t)i * n_vocab);
	b->n_row += (size_t)b->n_rows;
	b->n_rows = b->n_want = 0;
	return 0;
}

/* One row more of a sequence; node: whose children's probabilities it gives, or -1. */
static int
row_add(
    struct llm_batch *b, struct llm_row row, struct prompt *p, int node, struct llm_err *err)
{
	int rc;
	if (p != NULL && p->failure.code < 0)
		return 0;
	if ((b->n_rows == b->max_rows || (node >= 0 && b->n_want == b->max_logits)) &&
	    (rc = flush(b, err)) < 0)
		return rc;
	/* The rows before may have failed it. */
	if (p != NULL && p->failure.code < 0)
		return 0;
	if (p != NULL)
		p->in_pass = true;
	row.logits = node >= 0;
	b->rows[b->n_rows++] = row;
	if (node >= 0)
		b->want[b->n_want++] = (struct want){p, node};
	return 0;
}

static int
prefix_run(struct llm_batch *b, struct llm_err *err)
{
	int rc = 0;
	if (b->has_prefix)
		return 0;
	rc = llm_seq_reserve(b->prefix, b->n_prefix, err);
	for (int i = 0; rc >= 0 && i < b->n_prefix; i++)
		rc = row_add(b,
		    (struct llm_row){.seq = b->prefix, .token = b->prefix_ids[i], .pos = i},
		    NULL, -1, err);
	if (rc >= 0)
		rc = flush(b, err);
	b->has_prefix = rc >= 0;
	return rc;
}

/* A prompt's own tokens; the last one gives the probabilities of what begins a label. */
static int
tokens_add(struct llm_batch *b, struct prompt *p, struct llm_err *err)
{
	int rc = 0;
	if (p->n_held < p->n_kept)
		rc = llm_seq_share(p->seq, b->prefix, p->n_kept, err);
	else
		llm_seq_truncate(p->seq, p->n_kept);
	p->n_held = rc < 0 ? 0 : p->n_kept;
	if (rc >= 0)
		rc = llm_seq_reserve(p->seq, p->n_kept + p->n_ids + b->labels->depth, err);
	for (int i = 0; rc >= 0 && i < p->n_ids; i++)
		rc = row_add(b,
		    (struct llm_row){.seq = p->seq, .token = p->ids[i], .pos = p->n_kept + i},
		    p, i + 1 == p->n_ids ? 0 : -1, err);
	return rc;
}

/* The inner nodes [from, to), each the child of the one before. */
static int
way_add(struct llm_batch *b, struct prompt *p, int from, int to, struct llm_err *err)
{
	int rc = 0;
	for (int i = from; rc >= 0 && i < to; i++) {
		int at = b->labels->inner[i];
		const struct llm_label_node *node = &b->labels->node[at];
		rc = row_add(b,
		    (struct llm_row){.seq = p->seq,
			.token = node->token,
			.pos = p->n_kept + p->n_ids + node->depth - 1},
		    p, at, err);
	}
	return rc;
}

int
llm_batch_run(struct llm_batch *b, struct llm_err *err)
{
	const struct llm_labels *l = b->labels;
	int rc = prefix_run(b, err);
	for (int from = 1, to, round = 0; rc >= 0 && (round == 0 || from < l->n_inner);
	     round++, from = to) {
		for (to = from; to < l->n_inner; to++)
			if (to > from && l->node[l->inner[to]].parent != l->inner[to - 1])
				break;
		for (int i = 0; rc >= 0 && i < b->n; i++) {
			struct prompt *p = &b->prompt[i];
			if (round == 0)
				rc = tokens_add(b, p, err);
			if (rc >= 0)
				rc = way_add(b, p, from, to, err);
		}
		if (rc >= 0)
			rc = flush(b, err);
	}
	b->n_rows = b->n_want = 0;
	for (int i = 0; i < b->n; i++) {
		b->prompt[i].in_pass = false;
		if (rc >= 0)
			rc = llm_batch_failure(b, i, err);
	}
	return rc;
}

int
llm_batch_failure(const struct llm_batch *b, int i, struct llm_err *err)
{
	const struct llm_err *failure = &b->prompt[i].failure;
	if (failure->code < 0 && err != NULL)
		*err = *failure;
	return failure->code;
}

int
llm_batch_max_tokens(const struct llm_batch *b)
{
	return b->model->config.n_ctx - b->labels->depth;
}

int
llm_batch_admits(
    const struct llm_model *m, const struct llm_labels *labels, size_t n, struct llm_err *err)
{
	if (n == 0)
		return llm_err_set(err, LLM_EDATA, "an empty prompt");
	if (n > (size_t)(m->config.n_ctx - labels->depth))
		return llm_err_set(err, LLM_ETOOLONG,
		    "%zu tokens with the question, and the context of %s holds %d with the "
		    "answer",
		    n, llm_gguf_path(m->gguf), m->config.n_ctx);
	return 0;
}

int
llm_batch_add(
    struct llm_batch *b, const llm_token *ids, size_t n, int max_rows, struct llm_err *err)
{
	int rc = llm_batch_admits(b->model, b->labels, n, err);
	if (rc < 0)
		return rc;
	int kept = 0;
	/* The last token is always computed: its logits are wanted. */
	while (kept < b->n_prefix && (size_t)kept + 1 < n && ids[kept] == b->prefix_ids[kept])
		kept++;
	int n_new = (int)n - kept;
	if (b->n == b->max_prompts || (b->n > 0 && b->n_new + n_new > max_rows))
		return LLM_EBUSY;
	struct prompt *p = &b->prompt[b->n];
	if (p->seq != NULL && llm_seq_n_own(p->seq) > KEEP_PAGES) {
		llm_seq_free(p->seq);
		p->seq = NULL;
		p->n_held = 0;
	}
	rc = p->seq != NULL ? 0
			    : llm_seq_new(&p->seq, &b->model->config, llm_pass_kv_type(b->pass),
				  b->model->config.n_ctx, err);
	if (rc < 0)
		return rc;
	if ((size_t)n_new > p->cap_ids) {
		llm_token *more = realloc(p->ids, (size_t)n_new * sizeof *more);
		if (more == NULL)
			return llm_err_nomem(err, (size_t)n_new * sizeof *more);
		p->ids = more;
		p->cap_ids = (size_t)n_new;
	}
	memcpy(p->ids, ids + kept, (size_t)n_new * sizeof *ids);
	p->n_ids = n_new;
	p->n_kept = kept;
	p->failure.code = 0;
	b->n_new += n_new;
	return b->n++;
}

int
llm_batch_n(const struct llm_batch *b)
{
	return b->n;
}

size_t
llm_batch_n_row(const struct llm_batch *b)
{
	return b->n_row;
}

void
llm_batch_nats(double *nats, struct llm_batch *b, int i)
{
	llm_labels_nats(nats, b->labels, b->prompt[i].edge, b->work);
}

void
llm_batch_clear(struct llm_batch *b)
{
	b->n = b->n_new = 0;
}

static int
allocate(struct llm_batch *b, const struct llm_batch_params *params, struct llm_err *err)
{
	size_t n_node = (size_t)b->labels->n_node, n_vocab = (size_t)b->model->config.n_vocab;
	size_t bytes = (size_t)b->max_logits * n_vocab * sizeof *b->logits;
	b->rows = calloc((size_t)b->max_rows, sizeof *b->rows);
	b->want = calloc((size_t)b->max_logits, sizeof *b->want);
	b->logits = malloc(bytes);
	b->prompt = calloc((size_t)b->max_prompts, sizeof *b->prompt);
	b->edges = calloc((size_t)b->max_prompts, n_node * sizeof *b->edges);
	b->work = calloc(2 * n_node, sizeof *b->work);
	b->prefix_ids = malloc((params->n_prefix + 1) * sizeof *b->prefix_ids);
	if (b->rows == NULL || b->want == NULL || b->logits == NULL || b->prompt == NULL ||
	    b->edges == NULL || b->work == NULL || b->prefix_ids == NULL)
		return llm_err_nomem(err, bytes);
	for (int i = 0; i < b->max_prompts; i++)
		b->prompt[i].edge = b->edges + (size_t)i * n_node;
	if (params->n_prefix > 0)
		memcpy(
		    b->prefix_ids, params->prefix, params->n_prefix * sizeof *params->prefix);
	return llm_seq_new(&b->prefix, &b->model->config, llm_pass_kv_type(b->pass),
	    b->model->config.n_ctx, err);
}

int
llm_batch_possible(
    const struct llm_model *m, const struct llm_batch_params *params, struct llm_err *err)
{
	if (params->labels->n_inner == 0)
		return llm_err_set(err, LLM_EUSAGE, "no labels");
	if (params->n_prefix >= (size_t)m->config.n_ctx)
		return llm_err_set(err, LLM_ETOOLONG,
		    "the question has %zu tokens, and the context of %s holds %d",
		    params->n_prefix, llm_gguf_path(m->gguf), m->config.n_ctx);
	return 0;
}

int
llm_batch_new(struct llm_batch **out, struct llm_pass *pass,
    const struct llm_batch_params *params, struct llm_err *err)
{
	const struct llm_model *m = llm_pass_model(pass);
	int rc = llm_batch_possible(m, params, err);
	if (rc < 0)
		return rc;
	struct llm_batch *b = calloc(1, sizeof *b);
	if (b == NULL)
		return llm_err_nomem(err, sizeof *b);
	b->labels = params->labels;
	b->vector = params->vector != NULL ? params->vector : &llm_vector_generic;
	b->pass = pass;
	b->model = m;
	b->n_prefix = (int)params->n_prefix;
	b->max_prompts = params->max_prompts > 0 ? params->max_prompts : MAX_PROMPTS;
	b->max_rows = llm_pass_max_rows(pass);
	if (params->max_rows > 0 && params->max_rows < b->max_rows)
		b->max_rows = params->max_rows;
	b->between = params->between;
	b->context = params->context;
	b->max_logits = llm_score_rows(m->config.n_vocab);
	if (b->max_logits > b->max_rows)
		b->max_logits = b->max_rows;
	rc = allocate(b, params, err);
	if (rc < 0) {
		llm_batch_free(b);
		return rc;
	}
	*out = b;
	return 0;
}

void
llm_batch_free(struct llm_batch *b)
{
	if (b == NULL)
		return;
	for (int i = 0; b->prompt != NULL && i < b->max_prompts; i++) {
		llm_seq_free(b->prompt[i].seq);
		free(b->prompt[i].ids);
	}
	llm_seq_free(b->prefix);
	free(b->prompt);
	free(b->prefix_ids);
	free(b->rows);
	free(b->want);
	free(b->logits);
	free(b->edges);
	free(b->work);
	free(b);
}
