/*
 * SPDX-License-Identifier: ISC
 *
 * The bytes of an index file's head and where its parts lie, for corpus.c and corpus_write.c.
 */
#ifndef LLM_CORPUS_FILE_H
#define LLM_CORPUS_FILE_H

#include "embed/corpus.h"

enum { LLM_CORPUS_VERSION = 1, LLM_CORPUS_HEAD = 64 };

struct llm_corpus_head {
	char magic[8];
	uint32_t version, numeric_version;
	unsigned char model[16];
	uint32_t n_embd, pooling, normalized;
	float longest;
	uint64_t n_record, n_text;
};

/* Where the ends and the texts begin, and the file's size; false where that is no size. */
bool llm_corpus_layout(
    size_t *ends, size_t *texts, size_t *n_bytes, const struct llm_corpus_head *h);

#endif
