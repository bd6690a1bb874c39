/*
 * SPDX-License-Identifier: ISC
 *
 * How likely a model finds each token of a text, given those before it.
 */
#ifndef LLM_SCORE_H
#define LLM_SCORE_H

#include "libcore/forward.h"

#include <stdbool.h>

struct llm_score; /* one sequence and rows of logits; opaque; used by one thread at a time */

/* A token and the natural log of its probability. */
struct llm_score_choice {
	llm_token id;
	double nats;
};

/* One token of a text, in order.  Lives during the call. */
struct llm_score_item {
	llm_token id;
	bool
	    scored; /* false: nothing predicts it, or it is context only; then the rest is empty */
	double nats;                        /* ln p(id | tokens before it), <= 0 */
	const struct llm_score_choice *top; /* [n_top] likeliest first, ties by lower id */
	int n_top;
};

/*
 * llm_score_row - the same of one token, for who computes the rows himself: item->id given the tokens that logits
 * [n_vocab] are of; the rest of item is set.  top: room for n_top.  LLM_ENOTFINITE, naming the model.
 */
struct llm_score_of {
	const struct llm_model *model;
	const struct llm_vector_kernels *vector;
	int n_top; /* 0..n_vocab */
};
int llm_score_row(struct llm_score_item *item, struct llm_score_choice *top,
    const float *logits, const struct llm_score_of *of, struct llm_err *err);

struct llm_score_params {
	const struct llm_vector_kernels *vector; /* NULL: generic */
	int n_top;                               /* 0..1000, and n_vocab at most */
	void (*emit)(void *context, const struct llm_score_item *item);
	void *context;
};

/*
 * llm_score_rows - rows of logits that scoring keeps at once: what 64 MiB hold, 8 to 256.  The pass is to
 * be made for as many.
 */
int llm_score_rows(int n_vocab);

/* pass must outlive *out; params are copied.  LLM_EUSAGE: n_top out of range. */
int llm_score_new(struct llm_score **out, struct llm_pass *pass,
    const struct llm_score_params *params, struct llm_err *err);
void llm_score_free(struct llm_score *s);

/* llm_score_check - LLM_ETOOLONG, with both numbers, where m's context does not hold n tokens. */
int llm_score_check(const struct llm_model *m, size_t n, struct llm_err *err);

/*
 * llm_score_window - emits ids[0..n), scoring those from index from on (1 where from is 0).
 *	nats = l[id] - (max + ln sum exp(l - max))
 * LLM_ETOOLONG, with both numbers, before anything is computed; LLM_ENOTFINITE, naming the model.
 */
int llm_score_window(
    struct llm_score *s, const llm_token *ids, size_t n, size_t from, struct llm_err *err);

#endif
