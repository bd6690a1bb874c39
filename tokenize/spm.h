/*
 * SPDX-License-Identifier: ISC
 *
 * SentencePiece BPE (Llama 2, Mistral): characters merge by the score of what they make, highest
 * first; what is no token in the end falls back to the tokens of its bytes.
 */
#ifndef LLM_SPM_H
#define LLM_SPM_H

#include "tokenize/merge.h"
#include "tokenize/vocab.h"

/* Read-only once read. */
struct llm_spm {
	const struct llm_vocab *vocab;
	uint32_t *rank; /* of each token: the higher its score, the lower */
	bool words;     /* no token has a space after another character: words merge alone */
};

/* llm_spm_read - the scores of g over its vocabulary v, which outlives s.  LLM_EDATA, LLM_ENOMEM. */
int llm_spm_read(struct llm_spm *s, const struct llm_vocab *v, const struct llm_gguf *g,
    struct llm_err *err);
void llm_spm_free(struct llm_spm *s);

/* The end of the stretch that starts at text[from] and that no merge leaves. */
size_t llm_spm_next(const struct llm_spm *s, const char *text, size_t n, size_t from);

/* llm_spm_merge - merge piece[0..n) into m->sym[0..m->n); an id of -1 stands for its bytes. */
void llm_spm_merge(struct llm_merge *m, const struct llm_spm *s, struct llm_gguf_str piece);

#endif
