/*
 * SPDX-License-Identifier: ISC
 *
 * WordPiece, as BERT's uncased models have it (Devlin et al. 2018; Wu et al. 2016): text is cleaned, Chinese
 * characters stand alone, accents are stripped, letters made small; words are cut at spaces and around
 * punctuation, and taken apart into the longest pieces of the vocabulary from the left.  Lossy: text does
 * not come back from ids.  Bytes that are no UTF-8 count as U+FFFD, which cleaning takes away.
 */
#ifndef LLM_WORDPIECE_H
#define LLM_WORDPIECE_H

#include "libcore/gguf.h"
#include "tokenize/ids.h"

#include <stdbool.h>

struct llm_wordpiece; /* opaque; read-only after opening, safe for several threads */

/* Whether the file's tokenizer is of this kind (tokenizer.ggml.model is "bert"). */
bool llm_wordpiece_is(const struct llm_gguf *g);

/*
 * llm_wordpiece_open - read the vocabulary of g, spelt as llama.cpp writes it: U+2581 before what begins a
 * word, nothing before what goes on, names in brackets for tokens that no text yields.
 * LLM_EDATA: malformed; LLM_ENOMEM.
 */
int llm_wordpiece_open(
    struct llm_wordpiece **out, const struct llm_gguf *g, struct llm_err *err);
void llm_wordpiece_close(struct llm_wordpiece *w);

/*
 * llm_wordpiece_encode - append [CLS], the ids of text[0..n) and [SEP] to ids.  A word that cannot be made of
 * pieces, or of more than 100 characters, is [UNK].  Linear in n.  LLM_ENOMEM.
 */
int llm_wordpiece_encode(struct llm_ids *ids, const struct llm_wordpiece *w, const char *text,
    size_t n, struct llm_err *err);

/* Tokens in the vocabulary. */
int llm_wordpiece_n_vocab(const struct llm_wordpiece *w);

/*
 * What the published rule makes of a character of a text, before any other step; and of one that came of
 * decomposing it.  For the tests: every code point is compared.
 */
enum llm_wordpiece_class {
	LLM_WORDPIECE_KEEP,
	LLM_WORDPIECE_DROP,  /* no part of any word, and ends none */
	LLM_WORDPIECE_SPACE, /* ends a word */
	LLM_WORDPIECE_ALONE, /* a word of its own: Chinese characters, punctuation */
};
enum llm_wordpiece_class llm_wordpiece_clean(uint32_t cp);
enum llm_wordpiece_class llm_wordpiece_split(uint32_t cp);

#endif
