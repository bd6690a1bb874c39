/*
 * SPDX-License-Identifier: ISC
 *
 * Prompt in, answer out, one sequence: computes what is new of the prompt in chunks, then token after
 * token until something ends the answer.  What was computed stays for the next turn.
 */
#ifndef LLM_GENERATE_H
#define LLM_GENERATE_H

#include "generate/answer.h"
#include "libcore/forward.h"

/* One sequence and the tokens computed in it; opaque; used by one thread at a time. */
struct llm_generate;

enum llm_generate_stop {
	LLM_GENERATE_END,     /* the model ended its answer */
	LLM_GENERATE_STRING,  /* a stop string */
	LLM_GENERATE_LIMIT,   /* n_max tokens */
	LLM_GENERATE_CONTEXT, /* prompt and answer fill the context */
	LLM_GENERATE_CANCEL,  /* the cancel hook said so */
};

/* The hooks may be NULL. */
struct llm_generate_request {
	const llm_token *prompt; /* the whole sequence so far, earlier turns included */
	size_t n_prompt;
	int n_max; /* tokens at most; < 0: no such limit */
	int n_draft; /* tokens guessed ahead at most (lookup.h); 0: none.  Never changes the answer */
	const struct llm_answer_params *answer; /* n_vocab is filled in */
	bool (*cancel)(void *context);          /* asked before each pass; true stops */
	void (*progress)(
	    void *context, int done); /* prompt tokens computed; done = n_prompt at the end */
	void *context;                /* of cancel and progress */
};

struct llm_generate_result {
	enum llm_generate_stop stop;
	int n_prompt; /* tokens of the prompt */
	int n_kept;   /* of those, computed before this call */
	int n_out;    /* tokens emitted */
	int n_draft;  /* tokens guessed ahead, */
	int n_right;  /* and of those, right */
};

/*
 * llm_generate_new - an empty sequence of at most n_ctx positions (0, or more than the model's: the
 * model's).  pass must outlive it.
 */
int llm_generate_new(
    struct llm_generate **out, struct llm_pass *pass, int n_ctx, struct llm_err *err);
void llm_generate_free(struct llm_generate *g);

/* Positions that prompt and answer may fill together. */
int llm_generate_n_ctx(const struct llm_generate *g);

/*
 * llm_generate_check - LLM_ETOOLONG, with both numbers, where a prompt leaves no room for a token of
 * the answer; LLM_EDATA where it is empty.  Run asks the same before it computes anything.
 */
int llm_generate_check(const struct llm_generate *g, size_t n_prompt, struct llm_err *err);

/*
 * llm_generate_run - answer one prompt.  The beginning of the prompt that agrees with what the
 * sequence already holds is not computed again, so a conversation passes all of its tokens each time.
 * Errors: those of llm_generate_check, llm_forward and llm_answer_new; LLM_ENOTFINITE names the model.
 */
int llm_generate_run(struct llm_generate_result *out, struct llm_generate *g,
    const struct llm_generate_request *request, struct llm_err *err);

/*
 * llm_generate_seq - the sequence, for what keeps computed tokens elsewhere (kvstore).
 * llm_generate_warm - after positions were put into an empty one: that they are those of ids[0..seq->n_pos).
 * LLM_ENOMEM, and the sequence is empty.
 */
struct llm_seq *llm_generate_seq(struct llm_generate *g);
int llm_generate_warm(struct llm_generate *g, const llm_token *ids, struct llm_err *err);
/* The tokens of all positions that are computed, n of them; the sequence's own until it goes on. */
const llm_token *llm_generate_done(size_t *n, const struct llm_generate *g);

/* "end", "string", "limit", "context", "cancel". */
const char *llm_generate_stop_name(enum llm_generate_stop stop);

#endif
