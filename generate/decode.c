/*
 * SPDX-License-Identifier: ISC
 *
 * Rows that a sequence wants, and what becomes of their logits; see decode.h.
 */
#include "generate/decode.h"

#include <string.h>

int
llm_decode_check(size_t n_prompt, int n_ctx, const char *model_name, struct llm_err *err)
{
	if (n_prompt == 0)
		return llm_err_set(
		    err, LLM_EDATA, "an empty prompt: there is nothing to go on from");
	if (n_prompt >= (size_t)n_ctx)
		return llm_err_set(err, LLM_ETOOLONG,
		    "the prompt has %zu tokens, and the context of %s holds %d, the answer "
		    "included; "
		    "--fit head, tail or middle keeps a part",
		    n_prompt, model_name, n_ctx);
	return 0;
}

int
llm_decode_stretch(
    struct llm_row *rows, struct llm_decode *d, int n, int from_logits, struct llm_err *err)
{
	int pos = d->seq->n_pos, rc = llm_seq_reserve(d->seq, pos + n, err);
	for (int i = 0; rc >= 0 && i < n; i++)
		rows[i] = (struct llm_row){.seq = d->seq,
		    .token = d->ids->v[pos + i],
		    .pos = pos + i,
		    .logits = pos + i >= from_logits};
	d->n_guess = 0;
	d->priced = false;
	return rc;
}

/* How many guesses the next pass may carry. */
static int
room(const struct llm_decode *d, int max_rows)
{
	int n = d->n_draft < LLM_LOOKUP_MAX ? d->n_draft : LLM_LOOKUP_MAX;
	if (n > max_rows - 1)
		n = max_rows - 1;
	if (n > d->seq->n_ctx - d->seq->n_pos - 2)
		n = d->seq->n_ctx - d->seq->n_pos - 2;
	if (d->n_max >= 0 && n > d->n_max - llm_answer_n(d->answer) - 1)
		n = d->n_max - llm_answer_n(d->answer) - 1;
	return d->sure || n < 0 ? 0 : n;
}

int
llm_decode_next(
    struct llm_row *rows, struct llm_decode *d, int max_rows, int beside, struct llm_err *err)
{
	int max = room(d, max_rows), pos = d->seq->n_pos, n = 0;
	d->lookup.beside = beside;
	if (max > 0)
		n = llm_lookup_guess(&d->lookup, d->guess, max, d->ids->v, d->ids->n);
	int rc = llm_seq_reserve(d->seq, pos + 1 + n, err);
	if (rc < 0)
		return rc;
	for (int i = 0; i <= n; i++)
		rows[i] = (struct llm_row){.seq = d->seq,
		    .token = i == 0 ? d->ids->v[pos] : d->guess[i - 1],
		    .pos = pos + i,
		    .logits = true};
	d->n_guess = n;
	d->n_all += n;
	d->priced = max > 0;
	d->sure = false;
	return 1 + n;
}

/* A message that does not say which model it was about is made to. */
static int
name_model(const struct llm_decode *d, struct llm_err *err)
{
	char found[sizeof err->msg];
	if (err == NULL || strstr(err->msg, d->model_name) != NULL)
		return LLM_ENOTFINITE;
	memcpy(found, err->msg, sizeof found);
	return llm_err_set(err, LLM_ENOTFINITE, "%s: %.150s", d->model_name, found);
}

void
llm_decode_choose(struct llm_decode *d, float *logits)
{
	d->choice_rc =
	    llm_answer_choose(&d->choice, d->answer, logits, (int)d->ids->n, &d->choice_err);
	d->has_choice = true;
}

/* One token more.  1: it goes on; 0: *stop; LLM_E*. */
static int
token_take(llm_token *token, enum llm_generate_stop *stop, struct llm_decode *d, float *logits,
    struct llm_err *err)
{
	struct llm_answer *a = d->answer;
	if (!d->has_choice)
		llm_decode_choose(d, logits);
	d->has_choice = false;
	*token = d->choice;
	int rc = d->choice_rc;
	if (rc < 0 && err != NULL)
		*err = d->choice_err;
	if (rc >= 0)
		rc = llm_answer_accept(a, *token, err);
	if (rc < 0)
		return rc == LLM_ENOTFINITE ? name_model(d, err) : rc;
	if (llm_answer_state(a) == LLM_ANSWER_END) {
		*stop = LLM_GENERATE_END;
		return 0;
	}
	if ((rc = llm_ids_push(d->ids, *token, err)) < 0)
		return rc;
	if (llm_answer_state(a) == LLM_ANSWER_STRING)
		*stop = LLM_GENERATE_STRING;
	else if (d->n_max >= 0 && llm_answer_n(a) >= d->n_max)
		*stop = LLM_GENERATE_LIMIT;
	else if (d->n_prompt + llm_answer_n(a) >= d->seq->n_ctx)
		*stop = LLM_GENERATE_CONTEXT;
	else
		return 1;
	return 0;
}

int
llm_decode_take(
    enum llm_generate_stop *stop, struct llm_decode *d, float *logits, struct llm_err *err)
{
	int right = 0, rc;
	llm_token token;
	while ((rc = token_take(&token, stop, d, logits, err)) > 0 && right < d->n_guess &&
	       d->guess[right] == token) {
		logits += d->n_vocab;
		right++;
	}
	if (d->n_guess > 0)
		llm_lookup_result(&d->lookup, d->n_guess, right);
	llm_seq_truncate(d->seq, d->seq->n_pos - (d->n_guess - right));
	d->n_right += right;
	d->n_guess = 0;
	return rc;
}

bool
llm_decode_failed(struct llm_decode *d)
{
	bool again = d->n_guess > 0;
	d->n_all -= d->n_guess;
	d->n_guess = 0;
	d->sure = again;
	return again;
}
