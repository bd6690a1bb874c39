/*
 * SPDX-License-Identifier: ISC
 *
 * What a tokenizer holds, for the files that are one: opening and facts, and encoding.
 */
#ifndef LLM_TOKENIZER_PRIVATE_H
#define LLM_TOKENIZER_PRIVATE_H

#include "libcore/map.h"
#include "tokenize/bpe.h"
#include "tokenize/special.h"
#include "tokenize/split.h"
#include "tokenize/spm.h"
#include "tokenize/tokenizer.h"
#include "tokenize/vocab.h"

#include <stdatomic.h>

/* Whether merging the bytes of a token gives just that token. */
enum { WHOLE_UNKNOWN, WHOLE_YES, WHOLE_NO };

struct llm_tokenizer {
	const struct llm_gguf *gguf; /* for its path, in messages */
	struct llm_vocab vocab;
	enum llm_tokenizer_kind kind;
	enum llm_split_rule rule; /* of BPE */
	struct llm_bpe bpe;
	struct llm_spm spm;
	struct llm_map index;          /* open: vocab, bpe and spm point into it */
	struct llm_special added, all; /* names that are always tokens; with control tokens */
	bool space_prefix, adds_bos;
	bool llama3; /* the Llama 3 vocabulary: its control tokens are known by their ids */
	/*
	 * WHOLE_* of each token, found out when first asked for.  Threads that find out together write
	 * the same, so relaxed order is enough.
	 */
	atomic_uchar *whole;
};

#endif
