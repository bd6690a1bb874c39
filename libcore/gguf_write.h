/*
 * SPDX-License-Identifier: ISC
 *
 * Making a GGUF file, version 3: keys and tensors are told first, then the header is made, and the data of
 * the tensors follows it in their order, each begun at a multiple of LLM_GGUF_WRITE_ALIGN.
 */
#ifndef LLM_GGUF_WRITE_H
#define LLM_GGUF_WRITE_H

#include "libcore/gguf.h"

enum { LLM_GGUF_WRITE_ALIGN = 32 };

/* Bytes that grow. */
struct llm_gguf_bytes {
	unsigned char *b;
	size_t n, cap;
};

/* Zero-initialised it is empty; llm_gguf_writer_free.  Fields are private. */
struct llm_gguf_writer {
	struct llm_gguf_bytes keys, tensors;
	uint64_t n_key, n_tensor;
	uint64_t offset; /* of the next tensor's data */
	bool failed;     /* no memory: found out by llm_gguf_writer_header */
};

/* Each adds a key; names are not looked at. */
void llm_gguf_writer_u32(struct llm_gguf_writer *w, const char *name, uint32_t v);
void llm_gguf_writer_f32(struct llm_gguf_writer *w, const char *name, float v);
void llm_gguf_writer_bool(struct llm_gguf_writer *w, const char *name, bool v);
void llm_gguf_writer_str(struct llm_gguf_writer *w, const char *name, const char *s, size_t n);
void llm_gguf_writer_i32s(
    struct llm_gguf_writer *w, const char *name, const int32_t *v, size_t n);
void llm_gguf_writer_strs(
    struct llm_gguf_writer *w, const char *name, const struct llm_gguf_str *s, size_t n);

/* A tensor of columns ne0 and rows ne1 (1: a vector); returns the bytes of its data, 0 where it has none. */
size_t llm_gguf_writer_tensor(
    struct llm_gguf_writer *w, const char *name, enum llm_dtype type, int64_t ne0, int64_t ne1);

/*
 * llm_gguf_writer_header - all up to the first tensor's data, padding included, in *out (empty before),
 * whose b is the caller's to free.  LLM_ENOMEM.
 */
int llm_gguf_writer_header(
    struct llm_gguf_bytes *out, const struct llm_gguf_writer *w, struct llm_err *err);
void llm_gguf_writer_free(struct llm_gguf_writer *w);

/*
 * llm_gguf_quantize - n values as data of a type at dst: F32, F16 (to nearest even) or Q8_0 (of each 32, scale
 * d = amax / 127 as f16, q = round(x * 127 / amax), halves away from zero).  n is a multiple of the block.
 * False where a value is not finite, or too large for the type.
 */
bool llm_gguf_quantize(void *dst, enum llm_dtype type, const float *x, size_t n);

#endif
