/*
 * SPDX-License-Identifier: ISC
 *
 * An index: the vectors of a file's lines, the lines themselves, and what made them.  One file, mapped
 * read-only; written anew and renamed, so that it is there whole or not at all.
 *
 * The file, little-endian, version 1:
 *	0	"LLMINDEX"
 *	8	u32 version 1; u32 numeric version of the vectors
 *	16	the model's id, 16 bytes
 *	32	u32 n_embd; u32 pooling; u32 normalized (0 or 1); f32 no less than any vector's length
 *	48	u64 n_record; u64 n_text, bytes of all texts
 *	64	f32 [n_record][n_embd]
 *	then	u64 [n_record], the end of each text among the texts; its highest bit: no vector
 *	then	the texts, n_text bytes, and nothing after them
 * Integers of 8 bytes begin at a multiple of 8: after an odd number of floats stand 4 bytes of zero.
 */
#ifndef LLM_CORPUS_H
#define LLM_CORPUS_H

#include "libcore/map.h"

#include <stdbool.h>
#include <stdint.h>

/* What made the vectors; plain data. */
struct llm_corpus_maker {
	unsigned char model[16];
	uint32_t numeric_version;
	int n_embd, pooling; /* pooling: the number that the embedder has for it */
	bool normalized;
};

/* All fields read-only. */
struct llm_corpus {
	struct llm_map map;
	struct llm_corpus_maker maker;
	size_t n_record;
	float longest;       /* no vector is longer */
	const float *vector; /* [n_record][n_embd] */
	const uint64_t *end; /* private */
	const char *text;    /* private */
	size_t n_text;       /* private */
};

/*
 * llm_corpus_open - map path.  Errors: those of llm_map_open; LLM_EDATA where it is no index, is of
 * another version or is cut short.  Used by any number of threads.
 */
int llm_corpus_open(struct llm_corpus *ix, const char *path, struct llm_err *err);
void llm_corpus_close(struct llm_corpus *ix);

/* The text of record i < n_record, n bytes without a newline; LLM_EDATA where the file is damaged. */
int llm_corpus_text(
    const char **text, size_t *n, const struct llm_corpus *ix, size_t i, struct llm_err *err);

/* Whether record i has a vector: an empty line has none. */
static inline bool
llm_corpus_has(const struct llm_corpus *ix, size_t i)
{
	return ix->end[i] >> 63 == 0;
}

#endif
