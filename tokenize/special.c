/*
 * SPDX-License-Identifier: ISC
 *
 * Names of special tokens in text; see special.h.
 */
#include "tokenize/special.h"

#include <stdlib.h>
#include <string.h>

static bool
is_in(const struct llm_special *s, llm_token id)
{
	return s->vocab->type[id] == LLM_VOCAB_USER ||
	       (s->control && s->vocab->type[id] == LLM_VOCAB_CONTROL);
}

static bool
has_space(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] == ' ' || (s[i] >= '\t' && s[i] <= '\r'))
			return true;
	return false;
}

/* The first id from here on that is no plain token: of a large vocabulary nearly all are plain. */
static llm_token
skip_normal(const struct llm_vocab *v, llm_token id)
{
	static const uint8_t normal[8] = {LLM_VOCAB_NORMAL, LLM_VOCAB_NORMAL, LLM_VOCAB_NORMAL,
	    LLM_VOCAB_NORMAL, LLM_VOCAB_NORMAL, LLM_VOCAB_NORMAL, LLM_VOCAB_NORMAL,
	    LLM_VOCAB_NORMAL};
	while (v->n - id >= 8 && memcmp(v->type + id, normal, 8) == 0)
		id += 8;
	while (id < v->n && v->type[id] == LLM_VOCAB_NORMAL)
		id++;
	return id;
}

int
llm_special_new(
    struct llm_special *s, const struct llm_vocab *v, bool control, struct llm_err *err)
{
	*s = (struct llm_special){.vocab = v, .control = control};
	bool *seen = NULL;
	uint32_t longest = 0;
	for (llm_token id = skip_normal(v, 0); id < v->n; id = skip_normal(v, id + 1)) {
		uint32_t len = v->off[id + 1] - v->off[id];
		if (len == 0 || !is_in(s, id))
			continue;
		if (seen == NULL && (seen = calloc(LLM_VOCAB_MAX_TOKEN + 1, 1)) == NULL)
			return llm_err_nomem(err, LLM_VOCAB_MAX_TOKEN + 1);
		s->first[(unsigned char)v->bytes[v->off[id]]] = true;
		s->spaced |= has_space(v->bytes + v->off[id], len);
		s->n_len += !seen[len];
		seen[len] = true;
		longest = len > longest ? len : longest;
	}
	if (s->n_len == 0)
		return 0;
	s->len = malloc(s->n_len * sizeof *s->len);
	size_t n = 0;
	for (uint32_t len = longest; s->len != NULL && len > 0; len--)
		if (seen[len])
			s->len[n++] = len;
	free(seen);
	return s->len == NULL ? llm_err_nomem(err, s->n_len * sizeof *s->len) : 0;
}

void
llm_special_free(struct llm_special *s)
{
	free(s->len);
	*s = (struct llm_special){0};
}

size_t
llm_special_find(
    llm_token *id, const struct llm_special *s, const char *text, size_t n, size_t from)
{
	if (s->n_len == 0)
		return n;
	for (size_t i = from; i < n; i++) {
		if (!s->first[(unsigned char)text[i]])
			continue;
		for (size_t k = 0; k < s->n_len; k++) {
			if (s->len[k] > n - i)
				continue;
			*id = llm_strmap_find(&s->vocab->special, text + i, s->len[k]);
			if (*id >= 0 && is_in(s, *id))
				return i;
		}
	}
	return n;
}
