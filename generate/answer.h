/*
 * SPDX-License-Identifier: ISC
 *
 * One answer while it grows: what was accepted, what the sampler and the stop strings make of it, what
 * may be printed.  It knows no model and no pass: whoever drives one sequence or many, guessing ahead or
 * not, asks it to choose from a row of logits and tells it what was accepted.
 */
#ifndef LLM_ANSWER_H
#define LLM_ANSWER_H

#include "generate/sampler.h"
#include "tokenize/tokenizer.h"

#include <stdbool.h>
#include <stddef.h>

struct llm_answer; /* opaque; used by one thread at a time */

/* Part of an answer, ready to print: whole UTF-8 characters (at the end of an answer, whatever bytes
 * there are), and the tokens whose bytes are all out by now.  Both live during the call. */
struct llm_answer_part {
	const char *bytes;
	size_t n_bytes;
	const llm_token *ids;
	size_t n_ids;
};

/* Pointers must outlive the answer; sampling and stop strings are copied. */
struct llm_answer_params {
	const struct llm_tokenizer *tokenizer;
	int n_vocab; /* of the logits */
	const struct llm_sampling *sampling;
	const struct llm_vector_kernels *vector; /* NULL: generic */
	const char *const *stop;
	int n_stop;
	/* Tokens that end this answer besides the vocabulary's: the one after a chat template's turn. */
	const llm_token *end;
	int n_end;
	/* SentencePiece: the answer's first space is the one that begins any text, and is dropped. */
	bool drop_space;
	/* Called when something became ready; may be NULL. */
	void (*emit)(void *context, const struct llm_answer_part *part);
	void *context;
};

enum llm_answer_state {
	LLM_ANSWER_OPEN,   /* goes on */
	LLM_ANSWER_END,    /* an end token came; it is not part of the answer */
	LLM_ANSWER_STRING, /* a stop string came; it is not part of the answer */
	LLM_ANSWER_CUT,    /* llm_answer_cut */
};

/* Errors: those of llm_sampler_new and llm_stop_new. */
int llm_answer_new(
    struct llm_answer **out, const struct llm_answer_params *params, struct llm_err *err);
void llm_answer_free(struct llm_answer *a);

/* llm_answer_choose - llm_sampler_choose, for the answer's next token. */
int llm_answer_choose(
    llm_token *out, struct llm_answer *a, float *logits, int pos, struct llm_err *err);
/* llm_answer_accept - the token is the answer's next: emits what becomes ready. */
int llm_answer_accept(struct llm_answer *a, llm_token token, struct llm_err *err);
/* No token follows, for a reason of the caller's: emits what still waits. */
void llm_answer_cut(struct llm_answer *a);

enum llm_answer_state llm_answer_state(const struct llm_answer *a);
/* Tokens accepted, the end token not among them. */
int llm_answer_n(const struct llm_answer *a);
/* Tokens emitted: of an answer that ended in a stop string, those that end before it. */
int llm_answer_n_out(const struct llm_answer *a);

#endif
