/*
 * SPDX-License-Identifier: ISC
 *
 * Inside of generate/: one sequence on its way from prompt to answer, whoever puts its rows into passes.
 * ids are all tokens that are known, seq holds the first seq->n_pos of them: what is left of a prompt is the
 * tokens past those, and an answer under way has one, the token chosen last.  Guesses follow it in the same
 * pass; one is kept where it is what would have been chosen anyway, so guessing changes no byte: each row's logits
 * depend on the tokens before it alone, and the sampler sees them in order.
 */
#ifndef LLM_DECODE_H
#define LLM_DECODE_H

#include "generate/generate.h"
#include "generate/lookup.h"

/* The caller sets the first part, and the rest to zeros. */
struct llm_decode {
	struct llm_seq *seq;    /* not its own, */
	struct llm_ids *ids;    /* nor these: [0, n_prompt) and the answer's so far */
	const char *model_name; /* for messages */
	int n_vocab;
	int n_prompt;
	int n_max;   /* tokens of the answer; < 0: no such limit */
	int n_draft; /* tokens guessed ahead at most */
	struct llm_answer *answer;

	/* Read-only. */
	int n_guess;        /* in the pass under way */
	int n_all, n_right; /* guesses of the whole answer */
	bool sure;          /* no guesses the next time: the last ones met what is not finite */
	bool priced; /* the pass under way may have guesses: what it takes is of interest */
	struct llm_lookup lookup;
	llm_token guess[LLM_LOOKUP_MAX];
	bool has_choice; /* llm_decode_choose */
	llm_token choice;
	int choice_rc;
	struct llm_err choice_err;
};

/*
 * llm_decode_check - LLM_EDATA: an empty prompt; LLM_ETOOLONG, with both numbers: no room for an answer.
 */
int llm_decode_check(size_t n_prompt, int n_ctx, const char *model_name, struct llm_err *err);

/*
 * llm_decode_stretch - the rows of the next n known tokens, with logits from position from_logits on; their
 * pages are reserved.  Errors: those of llm_seq_reserve.
 */
int llm_decode_stretch(
    struct llm_row *rows, struct llm_decode *d, int n, int from_logits, struct llm_err *err);

/*
 * llm_decode_next - the rows of the token chosen last and of what is guessed after it, max_rows >= 1 at most, all with
 * logits.  beside: rows that the pass has anyway.  Returns how many; errors: those of llm_seq_reserve.
 */
int llm_decode_next(
    struct llm_row *rows, struct llm_decode *d, int max_rows, int beside, struct llm_err *err);

/*
 * llm_decode_choose - what llm_decode_take does first, and takes the time: of several sequences it may be done at
 * once.  Optional; what it finds is told by the take that follows.
 */
void llm_decode_choose(struct llm_decode *d, float *logits);

/*
 * llm_decode_take - choose and accept from logits f32 [1 + n_guess][n_vocab] of those rows, or of the last row of a prompt.
 * Returns 1: it goes on; 0: *stop says why it has ended; LLM_E*.
 */
int llm_decode_take(
    enum llm_generate_stop *stop, struct llm_decode *d, float *logits, struct llm_err *err);

/*
 * llm_decode_failed - the pass failed the sequence.  True where that may have been for a guess that would never
 * have been chosen: the next rows are to be tried.
 */
bool llm_decode_failed(struct llm_decode *d);

#endif
