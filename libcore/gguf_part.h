/*
 * SPDX-License-Identifier: ISC
 *
 * One file of a GGUF set, parsed and checked: private to libcore/gguf*.c.
 * Names are looked up in a sorted array: no order of names that a file may choose makes building
 * or searching it slow.
 */
#ifndef LLM_GGUF_PART_H
#define LLM_GGUF_PART_H

#include "libcore/gguf.h"
#include "libcore/map.h"

/*
 * What a file may at most ask for, far above any model there is; a set of files shares one budget.
 * With 24 MiB of header, twice what the largest vocabularies take, the walk over it stays within
 * what a refusal may cost.
 */
enum {
	LLM_GGUF_MAX_KEYS = 16384,
	LLM_GGUF_MAX_TENSORS = 16384,
	LLM_GGUF_MAX_HEADER = 24 << 20,
	LLM_GGUF_MAX_STRINGS = 1 << 20, /* in arrays: four times a large vocabulary */
	LLM_GGUF_MAX_PARTS = 1024,
	LLM_GGUF_MAX_KEY_NAME = 256,
	LLM_GGUF_MAX_TENSOR_NAME = 64, /* by the format */
	LLM_GGUF_MIN_ALIGNMENT = 8,    /* by the format: "a multiple of 8" */
	LLM_GGUF_MAX_ALIGNMENT = 1 << 24,
};

/* What is left of those limits. */
struct llm_gguf_budget {
	size_t n_tensor, header_bytes;
};

/* A name and the place of its owner in the array that the index was made of. */
struct llm_gguf_name {
	struct llm_gguf_str name;
	size_t i;
};

struct llm_gguf_part {
	struct llm_map map;
	char *path;
	int version;
	size_t alignment;
	size_t data_start;          /* of the tensors, in the file */
	struct llm_gguf_key *key;   /* [n_key] in file order */
	struct llm_gguf_name *name; /* [n_key] sorted */
	size_t n_key;
	struct llm_gguf_tensor *tensor; /* [n_tensor] in file order; part is left 0 */
	size_t n_tensor;
};

/*
 * llm_gguf_part_open - map and check one file; on failure p is closed and empty.
 */
int llm_gguf_part_open(struct llm_gguf_part *p, const char *path, struct llm_gguf_budget *left,
    struct llm_err *err);
void llm_gguf_part_close(struct llm_gguf_part *p);

const struct llm_gguf_key *llm_gguf_part_key(const struct llm_gguf_part *p, const char *name);

/* The getters of gguf.h on one part. */
int llm_gguf_part_u32(
    uint32_t *out, const struct llm_gguf_part *p, const char *name, struct llm_err *err);
int llm_gguf_part_f32(
    float *out, const struct llm_gguf_part *p, const char *name, struct llm_err *err);
int llm_gguf_part_bool(
    bool *out, const struct llm_gguf_part *p, const char *name, struct llm_err *err);
int llm_gguf_part_str(struct llm_gguf_str *out, const struct llm_gguf_part *p, const char *name,
    struct llm_err *err);
int llm_gguf_part_array(const struct llm_gguf_key **out, const struct llm_gguf_part *p,
    const char *name, enum llm_gguf_type item_type, struct llm_err *err);

/*
 * llm_gguf_names_sort - order an index; returns a name that stands twice in it, or NULL.
 * llm_gguf_names_find - the entry of a name, or NULL.
 */
const struct llm_gguf_name *llm_gguf_names_sort(struct llm_gguf_name *names, size_t n);
const struct llm_gguf_name *llm_gguf_names_find(
    const struct llm_gguf_name *names, size_t n, const char *name);

/* The name of a key or tensor, printable, for a message. */
#define LLM_GGUF_QUOTE(name) llm_err_quote((char[88]){0}, 88, (name).s, (name).n)

#endif
