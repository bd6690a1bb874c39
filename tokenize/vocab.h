/*
 * SPDX-License-Identifier: ISC
 *
 * The vocabulary of a GGUF file: the bytes that each token stands for, its type, and the map from
 * the bytes of text tokens to their ids.  Everything in the file is checked here.
 */
#ifndef LLM_VOCAB_H
#define LLM_VOCAB_H

#include "libcore/gguf.h"
#include "tokenize/strmap.h"

/* tokenizer.ggml.token_type. */
enum llm_vocab_type {
	LLM_VOCAB_NORMAL = 1,
	LLM_VOCAB_UNKNOWN,
	LLM_VOCAB_CONTROL,
	LLM_VOCAB_USER,
	LLM_VOCAB_UNUSED,
	LLM_VOCAB_BYTE
};

/* How the file spells the bytes of a text token. */
enum llm_vocab_spelling {
	LLM_VOCAB_GPT2, /* each byte as one of 256 printable characters */
	LLM_VOCAB_SPM   /* as they are, a space as U+2581, single bytes as <0xHH> */
};

enum {
	LLM_VOCAB_MAX = 1 << 24,         /* tokens in a vocabulary */
	LLM_VOCAB_MAX_TOKEN = UINT16_MAX /* bytes of a token */
};

/* Token i is bytes[off[i] .. off[i + 1]).  All read-only once read. */
struct llm_vocab {
	int n;
	enum llm_vocab_spelling spelling;
	char *bytes;
	uint32_t *off;
	unsigned char *type;
	struct llm_strmap text;       /* NORMAL tokens: what merging makes */
	struct llm_strmap special;    /* CONTROL and USER tokens, by name */
	llm_token byte[256];          /* the token of a single byte, or -1 */
	llm_token bos, eos, eot, eom; /* -1 where the file names none */
};

/*
 * llm_vocab_read - the vocabulary of g, spelt so.  The begin and end tokens that the file names are
 * CONTROL whatever their type says, and so is a USER token named <|...|>: no text may yield them.
 * LLM_EDATA: malformed; LLM_ENOMEM.
 */
int llm_vocab_read(struct llm_vocab *v, const struct llm_gguf *g,
    enum llm_vocab_spelling spelling, struct llm_err *err);
void llm_vocab_free(struct llm_vocab *v);

/* llm_vocab_ids - bos, eos, eot and eom as g names them, of v->n tokens.  LLM_EDATA: out of range. */
int llm_vocab_ids(struct llm_vocab *v, const struct llm_gguf *g, struct llm_err *err);

/*
 * llm_vocab_unspell - write the bytes that s[0..n), in GPT-2's spelling, stands for to out, which has
 * room for n: their number, or -1 where it is no spelling.
 */
int llm_vocab_unspell(char *out, const char *s, size_t n);

/* A required key of array type; a missing one is LLM_EDATA. */
int llm_vocab_array(const struct llm_gguf_key **out, const struct llm_gguf *g, const char *name,
    enum llm_gguf_type item_type, struct llm_err *err);

#endif
