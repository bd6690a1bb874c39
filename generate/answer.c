/*
 * SPDX-License-Identifier: ISC
 *
 * One answer while it grows; see answer.h.  Tokens wait beside their bytes: each goes out with the last of
 * its bytes, and those that a stop string cuts off never do.
 */
#include "generate/answer.h"
#include "generate/stop.h"

#include <stdlib.h>
#include <string.h>

/* Longest run of bytes handed to the stop strings at once; a longer piece goes in several. */
enum { PIECE_BYTES = 1024 };

/* A token that waits, and where in the answer its bytes end. */
struct waiting {
	llm_token *id;
	size_t *end;
	size_t n, cap;
};

struct llm_answer {
	struct llm_answer_params params;
	struct llm_sampler *sampler;
	struct llm_stop *stop;
	struct waiting wait;
	size_t n_bytes; /* of all pieces so far */
	int n, n_out;
	enum llm_answer_state state;
};

static int
waiting_push(struct waiting *w, llm_token id, size_t end, struct llm_err *err)
{
	if (w->n == w->cap) {
		size_t cap = w->cap == 0 ? 256 : 2 * w->cap;
		llm_token *ids = realloc(w->id, cap * sizeof *ids);
		if (ids == NULL)
			return llm_err_nomem(err, cap * sizeof *ids);
		w->id = ids;
		size_t *ends = realloc(w->end, cap * sizeof *ends);
		if (ends == NULL)
			return llm_err_nomem(err, cap * sizeof *ends);
		w->end = ends;
		w->cap = cap;
	}
	w->id[w->n] = id;
	w->end[w->n++] = end;
	return 0;
}

/* Hands out what is ready. */
static void
release(struct llm_answer *a)
{
	struct llm_answer_part part = {0};
	struct waiting *w = &a->wait;
	part.n_bytes = llm_stop_ready(&part.bytes, a->stop);
	part.ids = w->id;
	while (part.n_ids < w->n && w->end[part.n_ids] <= llm_stop_printed(a->stop))
		part.n_ids++;
	if (part.n_bytes == 0 && part.n_ids == 0)
		return;
	a->n_out += (int)part.n_ids;
	if (a->params.emit != NULL)
		a->params.emit(a->params.context, &part);
	w->n -= part.n_ids;
	if (w->n > 0) {
		memmove(w->id, w->id + part.n_ids, w->n * sizeof *w->id);
		memmove(w->end, w->end + part.n_ids, w->n * sizeof *w->end);
	}
}

/* The bytes that a token adds to the text: none of a control token. */
static struct llm_gguf_str
piece_of(const struct llm_answer *a, llm_token token)
{
	struct llm_gguf_str piece = {0};
	if (llm_tokenizer_is_control(a->params.tokenizer, token) ||
	    !llm_tokenizer_piece(&piece, a->params.tokenizer, token))
		return (struct llm_gguf_str){0};
	if (a->params.drop_space && a->n_bytes == 0 && a->n == 0 && piece.n > 0 &&
	    piece.s[0] == ' ') {
		piece.s++;
		piece.n--;
	}
	return piece;
}

int
llm_answer_choose(
    llm_token *out, struct llm_answer *a, float *logits, int pos, struct llm_err *err)
{
	return llm_sampler_choose(out, a->sampler, logits, pos, err);
}

static bool
is_end(const struct llm_answer *a, llm_token token)
{
	for (int i = 0; i < a->params.n_end; i++)
		if (a->params.end[i] == token)
			return true;
	return llm_tokenizer_is_end(a->params.tokenizer, token);
}

int
llm_answer_accept(struct llm_answer *a, llm_token token, struct llm_err *err)
{
	if (a->state != LLM_ANSWER_OPEN)
		return 0;
	if (is_end(a, token)) {
		a->state = LLM_ANSWER_END;
		llm_stop_end(a->stop);
		release(a);
		return 0;
	}
	struct llm_gguf_str piece = piece_of(a, token);
	int rc = waiting_push(&a->wait, token, a->n_bytes + piece.n, err);
	if (rc < 0)
		return rc;
	llm_sampler_accept(a->sampler, token);
	a->n_bytes += piece.n;
	a->n++;
	do {
		size_t n = piece.n < PIECE_BYTES ? piece.n : PIECE_BYTES;
		if (llm_stop_add(a->stop, piece.s, n))
			a->state = LLM_ANSWER_STRING;
		release(a);
		piece.s += n;
		piece.n -= n;
	} while (piece.n > 0 && a->state == LLM_ANSWER_OPEN);
	return 0;
}

void
llm_answer_cut(struct llm_answer *a)
{
	if (a->state != LLM_ANSWER_OPEN)
		return;
	a->state = LLM_ANSWER_CUT;
	llm_stop_end(a->stop);
	release(a);
}

enum llm_answer_state
llm_answer_state(const struct llm_answer *a)
{
	return a->state;
}

int
llm_answer_n(const struct llm_answer *a)
{
	return a->n;
}

int
llm_answer_n_out(const struct llm_answer *a)
{
	return a->n_out;
}

int
llm_answer_new(
    struct llm_answer **out, const struct llm_answer_params *params, struct llm_err *err)
{
	struct llm_answer *a = calloc(1, sizeof *a);
	if (a == NULL)
		return llm_err_nomem(err, sizeof *a);
	a->params = *params;
	int rc = llm_sampler_new(
	    &a->sampler, params->sampling, params->n_vocab, params->vector, err);
	if (rc >= 0)
		rc = llm_stop_new(&a->stop, params->stop, params->n_stop, PIECE_BYTES, err);
	if (rc < 0) {
		llm_answer_free(a);
		return rc;
	}
	*out = a;
	return 0;
}

void
llm_answer_free(struct llm_answer *a)
{
	if (a == NULL)
		return;
	llm_sampler_free(a->sampler);
	llm_stop_free(a->stop);
	free(a->wait.id);
	free(a->wait.end);
	free(a);
}
