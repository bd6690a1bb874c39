/*
 * SPDX-License-Identifier: ISC
 *
 * What is asked for, made ready with the model: text to ids by its tokenizer, messages by its template; ids are of
 * its vocabulary.  Any thread's work.
 */
#include "bin/daemon/request.h"

#include <stdlib.h>
#include <string.h>

enum { EMBED_ROWS = 128 }; /* of a pass: others wait while it lasts */

/* Ids that a model of n_vocab has. */
static int
ids_check(const struct llm_ids *ids, int n_vocab, struct llm_err *err)
{
	for (size_t i = 0; i < ids->n; i++)
		if (ids->v[i] < 0 || ids->v[i] >= n_vocab)
			return llm_err_set(err, LLM_EDATA,
			    "id %d (number %zu) is not of the vocabulary, which has %d",
			    (int)ids->v[i], i + 1, n_vocab);
	return 0;
}

/* Text as a raw prompt has it: behind the begin token where the model wants one. */
static int
encode(struct llm_ids *ids, const struct llm_tokenizer *t, struct llm_wire_bytes text,
    struct llm_err *err)
{
	if (llm_tokenizer_adds_bos(t) && llm_tokenizer_bos(t) >= 0) {
		int rc = llm_ids_push(ids, llm_tokenizer_bos(t), err);
		if (rc < 0)
			return rc;
	}
	return llm_tokenizer_encode(ids, t, text.s, text.n, 0, err);
}

int
make_prompt(struct request *r, struct llm_err *err)
{
	struct job *j = &r->job;
	const struct resident *x = j->resident;
	int rc = r->has_text ? encode(&j->prompt, x->tokenizer, r->text, err) : 0;
	if (rc >= 0)
		rc = ids_check(&j->prompt, x->model->config.n_vocab, err);
	if (rc < 0)
		return rc;
	if (!r->has_drop)
		j->drop_space = llm_tokenizer_space_prefix(x->tokenizer);
	if (j->kind == JOB_SCORE && j->prompt.n == 0)
		return llm_err_set(err, LLM_EDATA, "an empty text: there is nothing to score");
	if (j->kind == JOB_SCORE && j->prompt.n > (size_t)x->model->config.n_ctx)
		return llm_err_set(err, LLM_ETOOLONG,
		    "the text has %zu tokens, and the context of %s holds %d", j->prompt.n,
		    llm_gguf_path(x->gguf), x->model->config.n_ctx);
	return 0;
}

/* The token that ends a turn, besides the vocabulary's. */
static int
end_add(struct job *j, const struct llm_template *t, struct llm_err *err)
{
	const char *name = llm_template_end(t);
	llm_token id = name != NULL ? llm_tokenizer_control(j->resident->tokenizer, name) : -1;
	return id >= 0 ? llm_ids_push(&j->end, id, err) : 0;
}

int
make_chat(struct request *r, struct llm_err *err)
{
	struct job *j = &r->job;
	const struct resident *x = j->resident;
	const struct llm_template_params params = {.name = r->template, .date = r->date};
	struct llm_template *t = NULL;
	struct llm_prompt prompt = {0};
	int rc = llm_template_open(&t, x->gguf, &params, err);
	if (rc >= 0)
		rc = llm_template_render(&prompt, t, r->message, r->n_message, err);
	if (rc >= 0)
		rc = llm_prompt_encode(&j->prompt, &prompt, x->tokenizer, err);
	if (rc >= 0)
		rc = ids_check(&j->prompt, x->model->config.n_vocab, err);
	if (rc >= 0)
		rc = end_add(j, t, err);
	if (!r->has_drop)
		j->drop_space = llm_tokenizer_kind(x->tokenizer) == LLM_TOKENIZER_SPM;
	llm_prompt_free(&prompt);
	llm_template_close(t);
	return rc;
}

int
make_labels(struct request *r, struct llm_err *err)
{
	struct job *j = &r->job;
	int n_vocab = j->resident->model->config.n_vocab;
	int rc = ids_check(&j->prefix, n_vocab, err);
	if (rc >= 0)
		rc = ids_check(&j->prompts.ids, n_vocab, err);
	for (int i = 1; rc >= 0 && i < j->labels.n_node; i++)
		if (j->labels.node[i].token >= n_vocab)
			rc = llm_err_set(err, LLM_EDATA,
			    "a label's id %d is not of the vocabulary, which has %d",
			    (int)j->labels.node[i].token, n_vocab);
	return rc;
}

int
make_embedder(struct request *r, struct llm_err *err)
{
	const struct resident *x = r->job.resident;
	char place[RESIDENT_PLACE];
	if (r->job.embedder != NULL)
		return 0;
	r->embed.kernels = r->daemon->kernels;
	r->embed.n_thread = r->daemon->n_thread;
	r->embed.max_rows = EMBED_ROWS;
	r->embed.between = engine_turn;
	r->embed.context = r->daemon->engine;
	int rc = llm_embedder_open(&r->opened, resident_place(place, x), &r->embed, err);
	return rc < 0 ? rc : llm_embedder_start(r->opened, err);
}

int
make_ids(struct request *r, struct llm_err *err)
{
	const struct llm_tokenizer *t = r->job.resident->tokenizer;
	int rc = 0;
	if (r->bos && llm_tokenizer_adds_bos(t) && llm_tokenizer_bos(t) >= 0)
		rc = llm_ids_push(&r->ids, llm_tokenizer_bos(t), err);
	return rc < 0 ? rc
		      : llm_tokenizer_encode(&r->ids, t, r->text.s, r->text.n,
			    r->special ? LLM_TOKENIZE_SPECIAL : 0, err);
}

int
make_text(struct request *r, struct llm_err *err)
{
	const struct llm_tokenizer *t = r->job.resident->tokenizer;
	struct llm_gguf_str piece;
	size_t n = 0, at = 0;
	int rc = ids_check(&r->ids, llm_tokenizer_n_vocab(t), err);
	for (size_t i = 0; rc >= 0 && i < r->ids.n; i++)
		if (llm_tokenizer_piece(&piece, t, r->ids.v[i]))
			n += piece.n;
	if (rc < 0 || (r->out = malloc(n + 1)) == NULL)
		return rc < 0 ? rc : llm_err_nomem(err, n + 1);
	for (size_t i = 0; i < r->ids.n; i++) {
		llm_token id = r->ids.v[i];
		if ((!r->special && llm_tokenizer_is_control(t, id)) ||
		    !llm_tokenizer_piece(&piece, t, id))
			continue;
		/* The space that encoding puts before a text. */
		size_t drop = at == 0 && llm_tokenizer_space_prefix(t) && piece.n > 0 &&
			      piece.s[0] == ' ';
		memcpy(r->out + at, piece.s + drop, piece.n - drop);
		at += piece.n - drop;
	}
	r->n_out = at;
	return 0;
}
