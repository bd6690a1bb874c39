/*
 * SPDX-License-Identifier: ISC
 *
 * Byte-level BPE: the merges of a GGUF file and the tokens of one pre-token.  A merge is kept as the
 * token that it makes and the place where that is divided, so that no map from pairs is needed: the
 * bytes of two neighbours stand side by side in the text and are looked up together.
 */
#ifndef LLM_BPE_H
#define LLM_BPE_H

#include "tokenize/merge.h"
#include "tokenize/vocab.h"

/* Line i of the merges: how many bytes of what it makes are its left side.  Private. */
struct llm_bpe_line {
	uint32_t left;
	uint32_t next; /* the next line that makes the same token, or LLM_MERGE_NONE */
};

/* Read-only once read. */
struct llm_bpe {
	const struct llm_vocab *vocab;
	uint32_t *first; /* private: the first line that makes a token, or LLM_MERGE_NONE */
	struct llm_bpe_line *line; /* private */
};

/*
 * llm_bpe_read - the merges of g over its vocabulary v, which outlives b.
 * LLM_EDATA: malformed, a merge that stands twice, or of or to what is no token; LLM_ENOMEM.
 */
int llm_bpe_read(struct llm_bpe *b, const struct llm_vocab *v, const struct llm_gguf *g,
    struct llm_err *err);
void llm_bpe_free(struct llm_bpe *b);

/*
 * llm_bpe_merge - merge the bytes piece[0..n), each of which has a token, into m->sym[0..m->n), for
 * which m has room.
 */
void llm_bpe_merge(struct llm_merge *m, const struct llm_bpe *b, struct llm_gguf_str piece);

#endif
