/*
 * SPDX-License-Identifier: ISC
 *
 * Many short prompts that begin alike, weighed against one set of labels: what they share is computed once,
 * the rest of them goes through the model together.  What a prompt gets does not depend on the others,
 * nor on what was shared (the numeric contract).
 */
#ifndef LLM_BATCH_H
#define LLM_BATCH_H

#include "generate/labels.h"
#include "libcore/forward.h"

struct llm_batch; /* opaque; used by one thread at a time */

struct llm_batch_params {
	const struct llm_labels *labels;         /* outlive the batch, and do not change */
	const struct llm_vector_kernels *vector; /* NULL: generic */
	/* What the prompts begin with, computed by the first run; a prompt may agree with less of it. */
	const llm_token *prefix;
	size_t n_prefix;
	int max_prompts; /* at once, each with pages of its own; 0: 64 */
	int max_rows;    /* of one pass; 0: as many as the pass takes */
	/* Called before each pass, for who has other things to do meanwhile: negative, it ends the run. */
	int (*between)(void *context);
	void *context;
};

/*
 * llm_batch_new - pass must outlive it; the prefix is copied.  LLM_ETOOLONG where that alone fills the
 * context.
 */
int llm_batch_new(struct llm_batch **out, struct llm_pass *pass,
    const struct llm_batch_params *params, struct llm_err *err);
void llm_batch_free(struct llm_batch *b);

/*
 * What new and add refuse, asked without a pass: the parameters of a batch; a prompt of n tokens.
 */
int llm_batch_possible(
    const struct llm_model *m, const struct llm_batch_params *params, struct llm_err *err);
int llm_batch_admits(
    const struct llm_model *m, const struct llm_labels *labels, size_t n, struct llm_err *err);

/* Tokens that a prompt may have, and its labels still fit behind it. */
int llm_batch_max_tokens(const struct llm_batch *b);

/*
 * llm_batch_add - one more prompt, whose ids are copied.  Returns its index; LLM_EBUSY, with no message,
 * where there are max_prompts, or it would make more than max_rows tokens to compute (and is not the
 * first): run, clear, and add it again.  LLM_ETOOLONG with both numbers; LLM_EDATA where it is empty.
 */
int llm_batch_add(
    struct llm_batch *b, const llm_token *ids, size_t n, int max_rows, struct llm_err *err);
/* Prompts added since the last clear. */
int llm_batch_n(const struct llm_batch *b);

/*
 * llm_batch_run - compute all prompts.  Errors: those of llm_forward; LLM_ENOTFINITE where it is of a prompt
 * fails that one alone: the others have their numbers.
 * llm_batch_failure - after a run: what failed prompt i, 0 where nothing did.
 */
int llm_batch_run(struct llm_batch *b, struct llm_err *err);
int llm_batch_failure(const struct llm_batch *b, int i, struct llm_err *err);
/* Tokens that went through the model so far, those of labels and prefix included. */
size_t llm_batch_n_row(const struct llm_batch *b);

/* llm_batch_nats - llm_labels_nats of prompt i, after a run. */
void llm_batch_nats(double *nats, struct llm_batch *b, int i);
/* Forget all prompts. */
void llm_batch_clear(struct llm_batch *b);

#endif
