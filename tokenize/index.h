/*
 * SPDX-License-Identifier: ISC
 *
 * The tables of a vocabulary in a file, as they stand in memory once the vocabulary has been read: mapped
 * read-only, so that opening a large one costs a look over it instead of making its tables.
 * Private to tokenize/tokenizer*.c.
 *
 * An index is used only where it is beyond doubt: the arrays that it was made of stand in it and equal those
 * of the model's file byte for byte; a checksum covers the rest; it belongs to the caller or to root and
 * nobody else may write to it; and every number in it that is an index or a length is checked, so that even
 * one made by an enemy reads no memory but its own.  Anything else is no index, and the vocabulary is read.
 */
#ifndef LLM_INDEX_H
#define LLM_INDEX_H

#include "libcore/hash.h"
#include "libcore/map.h"
#include "tokenize/bpe.h"
#include "tokenize/spm.h"
#include "tokenize/vocab.h"

/* What an index holds the tables of; spm is NULL for byte-level BPE, and bpe for SentencePiece. */
struct llm_index_tables {
	struct llm_vocab *vocab;
	struct llm_bpe *bpe;
	struct llm_spm *spm;
};

/*
 * llm_index_open - fill the tables from the index at path: true, and they point into *map, which the caller
 * closes instead of freeing them.  False where there is no good index; then nothing is changed.
 */
bool llm_index_open(struct llm_map *map, const struct llm_index_tables *t,
    const struct llm_gguf *g, enum llm_vocab_spelling spelling, const char *path);

/*
 * llm_index_write - the index of tables that were read from g, at path, of this mode.  Errors: LLM_EIO;
 * LLM_ENOMEM; LLM_EUNSUPPORTED: larger than any that would be read.
 */
int llm_index_write(const char *path, const struct llm_index_tables *t,
    const struct llm_gguf *g, unsigned mode, struct llm_err *err);

/* A hash of what an index is made of: a name for it.  False where g has no vocabulary. */
bool llm_index_name(struct llm_hash *out, const struct llm_gguf *g);

#endif
