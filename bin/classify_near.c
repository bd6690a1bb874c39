/*
 * SPDX-License-Identifier: ISC
 *
 * llm-classify by an encoder: the nearest examples vote; see classify.h.
 */
#include "bin/classify.h"
#include "bin/tool_near.h"
#include "libcore/fmath.h"

#include <stdlib.h>
#include <string.h>

/* What sentence encoders multiply cosines by when they are trained to choose. */
static const double scale = 20;

struct vote {
	struct tool_near *near;
	const struct classify *classify;
	const struct classify_run_params *params;
	int *label; /* [n] of each example */
	int n;
	double *cosine; /* [n] */
};

static int
vote_add(void *context, const struct tool_record *rec, int n, struct llm_err *err)
{
	const struct vote *v = context;
	return tool_near_add(v->near, rec, n, err);
}

static void
vote_run(void *context)
{
	const struct vote *v = context;
	tool_near_run(v->near);
}

/* The nearest that was not taken yet, of equals the first; taken ones are below any cosine. */
static int
nearest(const struct vote *v)
{
	int best = 0;
	for (int i = 1; i < v->n; i++)
		if (v->cosine[i] > v->cosine[best])
			best = i;
	return best;
}

static int
vote_value(void *context, int i, double *value, struct llm_err *err)
{
	const struct vote *v = context;
	int rc = tool_near_value(v->near, i, v->cosine, err), n_label = v->classify->n_label;
	/* Without examples every label has a voice. */
	int voices =
	    v->classify->n_example == 0 || v->n < CLASSIFY_NEAREST ? v->n : CLASSIFY_NEAREST;
	double sum = 0, top = 0;
	for (int k = 0; k <= n_label; k++)
		value[k] = 0;
	for (int k = 0; rc >= 0 && k < voices; k++) {
		int best = nearest(v);
		if (k == 0)
			top = v->cosine[best];
		double weight = llm_exp(scale * (v->cosine[best] - top));
		value[v->label[best]] += weight;
		sum += weight;
		v->cosine[best] = -2;
	}
	for (int k = 0; rc >= 0 && k < n_label; k++)
		value[k] /= sum;
	value[n_label] = top;
	return rc;
}

static void
vote_emit(void *context, const struct tool_record *rec, const double *value)
{
	const struct vote *v = context;
	v->params->emit(NULL, rec, value);
}

void
classify_near(
    const struct classify *c, struct tool_records *r, const struct classify_run_params *params)
{
	size_t most = (size_t)c->n_example + (size_t)c->n_label;
	const char **text = calloc(most, sizeof *text);
	struct vote v = {.classify = c,
	    .params = params,
	    .label = calloc(most, sizeof *v.label),
	    .cosine = calloc(most, sizeof *v.cosine)};
	if (text == NULL || v.label == NULL || v.cosine == NULL)
		tool_fail(LLM_ENOMEM, "out of memory: %zu examples", most);
	for (int i = 0; i < c->n_example; i++) {
		v.label[v.n] = c->example[i].label;
		text[v.n++] = c->example[i].text;
	}
	for (int i = 0; i < c->n_label; i++) {
		int k = 0;
		while (k < c->n_example && c->example[k].label != i)
			k++;
		if (k < c->n_example)
			continue;
		v.label[v.n] = i;
		text[v.n++] = c->description[i] != NULL ? c->description[i] : c->label[i];
	}
	v.near = tool_near_open(text, v.n, params->max_prompts);
	struct tool_queue *queue =
	    tool_queue_new(&(struct tool_queue_maker){.n_value = c->n_label + 1,
		.add = vote_add,
		.run = vote_run,
		.value = vote_value,
		.emit = vote_emit,
		.context = &v});
	tool_queue_pump(queue, r, NULL);
	tool_queue_free(queue);
	tool_near_close(v.near);
	free(text);
	free(v.label);
	free(v.cosine);
}
