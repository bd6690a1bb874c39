/*
 * SPDX-License-Identifier: ISC
 *
 * Small vocabularies for tests of the tokenizer, opened from a file that is gone at once.
 */
#ifndef LLM_TESTS_VOCAB_H
#define LLM_TESTS_VOCAB_H

#include "tests/mkmodel_file.h"
#include "tokenize/tokenizer.h"

struct vocab_open {
	struct llm_gguf *gguf;
	struct llm_tokenizer *tokenizer;
};

/*
 * vocab_open - write f, open it and its tokenizer: the first error's code, or 0.
 */
int vocab_open(struct vocab_open *out, const struct mkfile *f, struct llm_err *err);
void vocab_close(struct vocab_open *v);

/* A BPE file: the 256 bytes as tokens 0 to 255, then n merges "LEFT RIGHT" and what they make. */
struct mkfile *vocab_bpe(const char *pre, const char *const *merges, size_t n);
/*
 * A SentencePiece file: <unk> <s> </s>, the 256 bytes as tokens 3 to 258, then n pieces and their
 * scores.
 */
struct mkfile *vocab_spm(const char *const *pieces, const float *scores, size_t n);

/* Whether text has just these ids, the last followed by -1; a diagnostic where not. */
bool vocab_encodes(const struct llm_tokenizer *t, const char *text, size_t n, unsigned flags,
    const llm_token *want);

#endif
