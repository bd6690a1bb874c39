/*
 * SPDX-License-Identifier: ISC
 *
 * SentencePiece BPE; see spm.h.  The vocabulary holds spaces as spaces, so text is merged as it
 * stands and a U+2581 in it, which is no token then, falls back to bytes and comes back as it was.
 */
#include "tokenize/spm.h"

#include "tokenize/utf8.h"

#include <math.h>
#include <stdlib.h>

/* A finite score as a number that is lower where the score is higher, equal where it is equal. */
static uint32_t
score_rank(float score)
{
	uint32_t bits;
	score += 0.0f; /* -0 is 0 */
	memcpy(&bits, &score, sizeof bits);
	uint32_t ascending = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
	return ~ascending;
}

/* Whether some text token has a space right after a byte that is none. */
static bool
space_inside(const struct llm_vocab *v)
{
	for (int id = 0; id < v->n; id++) {
		if (v->type[id] != LLM_VOCAB_NORMAL)
			continue;
		for (uint32_t i = v->off[id] + 1; i < v->off[id + 1]; i++)
			if (v->bytes[i] == ' ' && v->bytes[i - 1] != ' ')
				return true;
	}
	return false;
}

int
llm_spm_read(
    struct llm_spm *s, const struct llm_vocab *v, const struct llm_gguf *g, struct llm_err *err)
{
	const struct llm_gguf_key *scores;
	*s = (struct llm_spm){.vocab = v};
	int rc = llm_vocab_array(&scores, g, "tokenizer.ggml.scores", LLM_GGUF_F32, err);
	if (rc < 0)
		return rc;
	if (scores->n_item != (uint64_t)v->n)
		return llm_err_set(err, LLM_EDATA,
		    "%s: tokenizer.ggml.scores has %llu items, the vocabulary %d",
		    llm_gguf_path(g), (unsigned long long)scores->n_item, v->n);
	s->rank = malloc((size_t)v->n * sizeof *s->rank);
	if (s->rank == NULL)
		return llm_err_nomem(err, (size_t)v->n * sizeof *s->rank);
	for (int id = 0; id < v->n; id++) {
		float score = llm_gguf_item_f32(scores, (uint64_t)id);
		if (!isfinite(score))
			return llm_err_set(err, LLM_EDATA,
			    "%s: the score of token %d is not finite", llm_gguf_path(g), id);
		s->rank[id] = score_rank(score);
	}
	s->words = !space_inside(v);
	return 0;
}

void
llm_spm_free(struct llm_spm *s)
{
	free(s->rank);
	*s = (struct llm_spm){0};
}

size_t
llm_spm_next(const struct llm_spm *s, const char *text, size_t n, size_t from)
{
	if (!s->words)
		return n;
	while (from < n && text[from] == ' ')
		from++;
	const char *space = memchr(text + from, ' ', n - from);
	return space == NULL ? n : (size_t)(space - text);
}

struct context {
	const struct llm_spm *spm;
	const char *text;
};

static uint32_t
pair_rank(llm_token *id, const void *context, const struct llm_merge_sym *left,
    const struct llm_merge_sym *right)
{
	const struct context *c = context;
	*id = llm_strmap_find(
	    &c->spm->vocab->text, c->text + left->start, right->end - left->start);
	return *id < 0 ? LLM_MERGE_NONE : c->spm->rank[*id];
}

void
llm_spm_merge(struct llm_merge *m, const struct llm_spm *s, struct llm_gguf_str piece)
{
	const struct context c = {s, piece.s};
	uint32_t cp;
	m->n = 0;
	for (size_t i = 0, len; i < piece.n; i += len) {
		len = llm_utf8_decode(&cp, piece.s + i, piece.n - i);
		llm_token id = llm_strmap_find(&s->vocab->text, piece.s + i, len);
		m->sym[m->n++] = (struct llm_merge_sym){id, (uint32_t)i, (uint32_t)(i + len)};
	}
	llm_merge_run(m, pair_rank, &c);
}
