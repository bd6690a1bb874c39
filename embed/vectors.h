/*
 * SPDX-License-Identifier: ISC
 *
 * A file of vectors, as llm-embed --raw writes it: what made them, then the vectors of all records, one
 * after another to the end of the file.  Little-endian:
 *	0	"LLMVECTR"
 *	8	u32 version, 1; u32 numeric version of the vectors
 *	16	the model's identity, 16 bytes
 *	32	u32 dimensions; u32 pooling, 1 mean, 2 first, 3 last; u32 normalised, 0 or 1; u32 0
 *	48	16 bytes of 0
 *	64	f32 [record][dimensions]; of a record that has no vector each is NaN
 */
#ifndef LLM_VECTORS_H
#define LLM_VECTORS_H

#include "libcore/encoder.h"

enum { LLM_VECTORS_HEAD = 64, LLM_VECTORS_VERSION = 1 };

struct llm_vectors_head {
	uint32_t numeric_version;
	unsigned char model[16];
	int n_embd;
	enum llm_pooling pooling;
	bool normalized;
};

void llm_vectors_put(unsigned char out[LLM_VECTORS_HEAD], const struct llm_vectors_head *h);

/* The other way; LLM_EDATA where the bytes are no such head, with a message that names no file. */
int llm_vectors_get(
    struct llm_vectors_head *h, const unsigned char in[LLM_VECTORS_HEAD], struct llm_err *err);

#endif
