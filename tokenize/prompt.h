/*
 * SPDX-License-Identifier: ISC
 *
 * A prompt as a chat template writes it: text, control tokens by name, and ids that were generated
 * before.  Keeping them apart is what makes a conversation control-safe: text never becomes a control
 * token, whatever it spells.
 */
#ifndef LLM_PROMPT_H
#define LLM_PROMPT_H

#include "tokenize/ids.h"
#include "tokenize/tokenizer.h"

#include <stddef.h>

enum llm_prompt_kind {
	LLM_PROMPT_TEXT,    /* tokenised as one with the text beside it */
	LLM_PROMPT_BREAK,   /* text beside this is tokenised apart from it */
	LLM_PROMPT_CONTROL, /* the control token of this name */
	LLM_PROMPT_MARK, /* the control token of this name where the vocabulary has it, else text */
	LLM_PROMPT_BOS, /* the file's begin token; its name as published, for the text form */
	LLM_PROMPT_EOS, /* the file's end token; likewise */
	LLM_PROMPT_IDS, /* tokens as they are */
};

struct llm_prompt_part {
	enum llm_prompt_kind kind;
	size_t begin, end;    /* of bytes: text or name */
	const llm_token *ids; /* of IDS: borrowed */
	size_t n_ids;
};

/* Zero-initialised is empty.  All fields read-only outside of prompt.c but for inner. */
struct llm_prompt {
	char *bytes; /* of all parts, in order */
	size_t n, cap;
	struct llm_prompt_part *part;
	size_t n_part, cap_part;
	bool
	    inner; /* public: no SentencePiece space before text that follows a control token */
};

/* Append; LLM_ENOMEM. */
int llm_prompt_add(struct llm_prompt *p, enum llm_prompt_kind kind, const char *bytes, size_t n,
    struct llm_err *err);
int llm_prompt_add_ids(
    struct llm_prompt *p, const llm_token *ids, size_t n, struct llm_err *err);
/* Shorten the prompt's bytes to n; what lies past it must be text. */
void llm_prompt_cut(struct llm_prompt *p, size_t n);
void llm_prompt_free(struct llm_prompt *p);

/*
 * llm_prompt_encode - append the ids of p.
 * LLM_EUNSUPPORTED: a control token that the vocabulary lacks, by its name.
 */
int llm_prompt_encode(struct llm_ids *ids, const struct llm_prompt *p,
    const struct llm_tokenizer *t, struct llm_err *err);

#endif
