/*
 * SPDX-License-Identifier: ISC
 *
 * Text to token ids and back, from the vocabulary of a GGUF file: byte-level BPE with the Llama 3 or
 * the GPT-2/SmolLM pre-token rule, and SentencePiece (Llama 2, Mistral).  Total over bytes: any input
 * round-trips.  Text never yields a special token unless LLM_TOKENIZE_SPECIAL asks.
 */
#ifndef LLM_TOKENIZER_H
#define LLM_TOKENIZER_H

#include "libcore/gguf.h"
#include "libcore/hash.h"
#include "libcore/map.h"
#include "tokenize/ids.h"

#include <stdbool.h>

struct llm_tokenizer; /* opaque; read-only after opening, safe for several threads */

enum llm_tokenizer_kind { LLM_TOKENIZER_BPE, LLM_TOKENIZER_SPM };

enum {
	LLM_TOKENIZE_SPECIAL = 1, /* the text of a control token is that token */
	LLM_TOKENIZE_INNER = 2,   /* not the start of a text: no SentencePiece space prefix */
	LLM_TOKENIZE_REPLACE =
	    4, /* a byte that has no token becomes U+FFFD instead of an error */
};

/*
 * llm_tokenizer_open - reads the vocabulary of g, whose mapping must outlive *out.
 * LLM_EDATA: malformed; LLM_EUNSUPPORTED: a model or pre-token rule that is not known, by its name.
 */
int llm_tokenizer_open(
    struct llm_tokenizer **out, const struct llm_gguf *g, struct llm_err *err);
void llm_tokenizer_close(struct llm_tokenizer *t);

/*
 * A large vocabulary takes its time to read: an index (tokenize/index.h) keeps what came of it in a file.
 * llm_tokenizer_open_index - 1 and the same as llm_tokenizer_open gives, sooner, where the file at index is one
 * that was made of just this vocabulary; 0 and nothing where it is another, or damaged, or not there.
 * llm_tokenizer_indexed - the mapping of the index in use, which t closes; NULL where there is none.
 * llm_tokenizer_index - write one, whole or not at all; mode is the file's.  Errors: LLM_EIO, LLM_ENOMEM.
 * llm_tokenizer_index_name - a hash of g's vocabulary, to call its index by; false where it has none.
 */
int llm_tokenizer_open_index(struct llm_tokenizer **out, const struct llm_gguf *g,
    const char *index, struct llm_err *err);
const struct llm_map *llm_tokenizer_indexed(const struct llm_tokenizer *t);
int llm_tokenizer_index(
    const struct llm_tokenizer *t, const char *path, unsigned mode, struct llm_err *err);
bool llm_tokenizer_index_name(struct llm_hash *out, const struct llm_gguf *g);

/*
 * llm_tokenizer_encode - append the ids of text[0..n) to ids.
 * LLM_EDATA: a byte for which the vocabulary has no token (some BPE vocabularies, the small model's
 * among them, lack bytes that valid text hardly has), by its offset, unless LLM_TOKENIZE_REPLACE;
 * LLM_ETOOLONG: 4 GiB that no rule divides; LLM_ENOMEM.
 */
int llm_tokenizer_encode(struct llm_ids *ids, const struct llm_tokenizer *t, const char *text,
    size_t n, unsigned flags, struct llm_err *err);

/*
 * llm_tokenizer_cut - a place in text[0..n), more of which may follow, as far right as it is cheaply
 * known, where the ids of what stands before and those of what follows (encoded with
 * LLM_TOKENIZE_INNER) are together those of the whole; 0 where none is found.
 */
size_t llm_tokenizer_cut(
    const struct llm_tokenizer *t, const char *text, size_t n, unsigned flags);

/*
 * llm_tokenizer_piece - the bytes that one token stands for.  Of a control token these are its name,
 * (a caller that wants text alone asks llm_tokenizer_is_control first).  False for an id out of range.
 * The bytes live as long as t.  A decoder of SentencePiece drops the one leading space of the
 * first piece of a text: llm_tokenizer_space_prefix says whether encode had put one.
 */
bool llm_tokenizer_piece(struct llm_gguf_str *out, const struct llm_tokenizer *t, llm_token id);
/* Control, unknown and unused tokens: none of them is text. */
bool llm_tokenizer_is_control(const struct llm_tokenizer *t, llm_token id);
bool llm_tokenizer_space_prefix(const struct llm_tokenizer *t);

enum llm_tokenizer_kind llm_tokenizer_kind(const struct llm_tokenizer *t);
int llm_tokenizer_n_vocab(const struct llm_tokenizer *t);
/* -1 where the file names none. */
llm_token llm_tokenizer_bos(const struct llm_tokenizer *t);
llm_token llm_tokenizer_eos(const struct llm_tokenizer *t);
/* Whether raw text starts with bos: the file's add_bos_token, or the Llama 3 vocabulary's custom. */
bool llm_tokenizer_adds_bos(const struct llm_tokenizer *t);
/* Ends an answer: eos, eot, eom as the file names them, and the Llama 3 stop set. */
bool llm_tokenizer_is_end(const struct llm_tokenizer *t, llm_token id);
/* The control token of exactly this name, or -1. */
llm_token llm_tokenizer_control(const struct llm_tokenizer *t, const char *name);

#endif
