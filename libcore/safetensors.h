/*
 * SPDX-License-Identifier: ISC
 *
 * Models as published in safetensors: a file, or a directory of one (model.safetensors) or of shards
 * named by model.safetensors.index.json.  Format: eight bytes of header length, little-endian; the header,
 * a JSON object of name: {dtype, shape, data_offsets}; the tensors' bytes, without gap or overlap.
 * The files are hostile: every length, offset, shape and name is checked before it is used.  Data stays in
 * shared read-only mappings.
 */
#ifndef LLM_SAFETENSORS_H
#define LLM_SAFETENSORS_H

#include "libcore/dtype.h"
#include "libcore/err.h"

#include <stdint.h>

enum {
	LLM_SAFETENSORS_DIM = 8,
	LLM_SAFETENSORS_MAX_HEADER = 16 << 20, /* bytes, of a file: far above any there is */
	LLM_SAFETENSORS_MAX_TENSORS = 1 << 17, /* of all files together */
	LLM_SAFETENSORS_MAX_SHARDS = 1024,
	LLM_SAFETENSORS_MAX_NAME = 256,
};

struct llm_safetensors; /* opaque; safe to read from several threads */

/* One tensor, located and checked: data[0..n_bytes) lies inside the mapping.  Read-only. */
struct llm_safetensors_tensor {
	const char *name;
	const char *dtype;   /* as the file has it: "F32" */
	enum llm_dtype type; /* F32, F16, BF16; or LLM_DTYPE_MAX, which does not compute */
	int n_dim;           /* 0..8 */
	int64_t shape[LLM_SAFETENSORS_DIM]; /* slowest first; 1 beyond n_dim */
	size_t n;                           /* elements */
	size_t n_bytes;
	const unsigned char *data; /* of no alignment */
};

/*
 * llm_safetensors_open - map and check a file, or all of a directory.  On success *out is the caller's until
 * llm_safetensors_close.  Errors: LLM_ENOINPUT missing or unreadable; LLM_EDATA malformed, or shards that
 * do not agree with their index; LLM_EUNSUPPORTED a dtype that is not known, by its name; LLM_ENOMEM.
 */
int llm_safetensors_open(struct llm_safetensors **out, const char *path, struct llm_err *err);
void llm_safetensors_close(struct llm_safetensors *s);

/* Tensors, sorted by name. */
size_t llm_safetensors_n(const struct llm_safetensors *s);
const struct llm_safetensors_tensor *llm_safetensors_at(
    const struct llm_safetensors *s, size_t i);
const struct llm_safetensors_tensor *llm_safetensors_find(
    const struct llm_safetensors *s, const char *name);

/*
 * llm_safetensors_f32 - y[0..n) = elements [from, from + n) of a tensor, exactly.
 * LLM_EUNSUPPORTED: a dtype that does not compute, by its name and the tensor's.
 */
int llm_safetensors_f32(float *y, const struct llm_safetensors_tensor *t, size_t from, size_t n,
    struct llm_err *err);

/* llm_safetensors_covers - as llm_gguf_covers: the file that holds address p, or NULL. */
const char *llm_safetensors_covers(const struct llm_safetensors *s, const void *p);

#endif
