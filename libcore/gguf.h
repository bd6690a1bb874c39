/*
 * SPDX-License-Identifier: ISC
 *
 * GGUF files, versions 2 and 3, little-endian, single or split: header, keys, tensor directory.
 * The file is hostile: every count, length, offset, alignment and dimension is checked (size.h)
 * before it is used, and a refused file costs little.  Data stays in the shared read-only mapping.
 */
#ifndef LLM_GGUF_H
#define LLM_GGUF_H

#include "libcore/dtype.h"
#include "libcore/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Types of values, as the file numbers them. */
enum llm_gguf_type {
	LLM_GGUF_U8,
	LLM_GGUF_I8,
	LLM_GGUF_U16,
	LLM_GGUF_I16,
	LLM_GGUF_U32,
	LLM_GGUF_I32,
	LLM_GGUF_F32,
	LLM_GGUF_BOOL,
	LLM_GGUF_STRING,
	LLM_GGUF_ARRAY,
	LLM_GGUF_U64,
	LLM_GGUF_I64,
	LLM_GGUF_F64,
};

struct llm_map_stamp;
struct llm_gguf; /* opaque; safe to read from several threads */

/* Bytes in the mapping; no terminating NUL. */
struct llm_gguf_str {
	const char *s;
	size_t n;
};

/* One key; data points into the mapping.  All fields read-only. */
struct llm_gguf_key {
	struct llm_gguf_str name;
	enum llm_gguf_type type; /* LLM_GGUF_ARRAY for arrays */
	enum llm_gguf_type
	    item_type;   /* of an array; never ARRAY itself (nested arrays are refused) */
	uint64_t n_item; /* of an array; else 1 */
	const unsigned char *data; /* unaligned; items of an array one after another */
	size_t n_bytes;
};

/* One tensor, located and checked: data[0..n_bytes) lies inside the mapping.  Read-only. */
struct llm_gguf_tensor {
	struct llm_gguf_str name;
	enum llm_dtype type;
	int n_dim;     /* 1..4 */
	int64_t ne[4]; /* ne[0] = columns (fastest), ne[1] = rows; 1 beyond n_dim */
	size_t n_bytes;
	const void *data; /* aligned to the file's general.alignment */
	int part;         /* index of the file of a split set */
};

/*
 * llm_gguf_open - map a GGUF file, and where it is one part of a split set (split.count > 1, names
 * ending in -00001-of-00003.gguf) all its parts, whichever was named.
 * On success *out is the caller's until llm_gguf_close.  Errors: LLM_ENOINPUT missing, unreadable
 * or a directory; LLM_EDATA malformed; LLM_EUNSUPPORTED a tensor type that does not compute, by its
 * name; LLM_ENOMEM.
 */
int llm_gguf_open(struct llm_gguf **out, const char *path, struct llm_err *err);
void llm_gguf_close(struct llm_gguf *g);

/* The path that was given, for messages: printable, and of a long one its end. */
const char *llm_gguf_path(const struct llm_gguf *g);
/* Format version 2 or 3; number of files; bytes of part i, its path, and its stamp (map.h). */
int llm_gguf_version(const struct llm_gguf *g);
int llm_gguf_n_part(const struct llm_gguf *g);
size_t llm_gguf_part_bytes(const struct llm_gguf *g, int part);
const char *llm_gguf_part_path(const struct llm_gguf *g, int part);
const struct llm_map_stamp *llm_gguf_part_stamp(const struct llm_gguf *g, int part);

/* Part i as it is mapped, n bytes from the start of a page. */
const void *llm_gguf_part_data(size_t *n, const struct llm_gguf *g, int part);
/* llm_gguf_call - of one that has no path of its own: what messages call it, in one part; before it is shared. */
void llm_gguf_call(struct llm_gguf *g, const char *path);

/* All keys (of the first part), in file order; the pointers live as long as g. */
size_t llm_gguf_n_key(const struct llm_gguf *g);
const struct llm_gguf_key *llm_gguf_key_at(const struct llm_gguf *g, size_t i);
const struct llm_gguf_key *llm_gguf_key(const struct llm_gguf *g, const char *name);

/*
 * Getters take the wanted type: 1 and *out set when the key is there, 0 and *out untouched when it
 * is absent, LLM_EDATA when it has another type or does not fit (any integer type may be read as
 * u32 where the value fits; F64 as f32).
 */
int llm_gguf_u32(
    uint32_t *out, const struct llm_gguf *g, const char *name, struct llm_err *err);
int llm_gguf_f32(float *out, const struct llm_gguf *g, const char *name, struct llm_err *err);
int llm_gguf_bool(bool *out, const struct llm_gguf *g, const char *name, struct llm_err *err);
int llm_gguf_str(
    struct llm_gguf_str *out, const struct llm_gguf *g, const char *name, struct llm_err *err);
/* An array of exactly this item type. */
int llm_gguf_array(const struct llm_gguf_key **out, const struct llm_gguf *g, const char *name,
    enum llm_gguf_type item_type, struct llm_err *err);

/*
 * llm_gguf_next_str - walk an array of strings: *cursor starts at 0; returns false at the end.
 * Lengths were checked at open, so the walk cannot leave the mapping.
 */
bool llm_gguf_next_str(
    struct llm_gguf_str *out, const struct llm_gguf_key *array, size_t *cursor);
/* Item i < n_item of an array of numbers of fixed size, unaligned in the file. */
float llm_gguf_item_f32(const struct llm_gguf_key *array, uint64_t i);
int32_t llm_gguf_item_i32(const struct llm_gguf_key *array, uint64_t i);
/*
 * Item i, or a scalar with i = 0: of F32 or F64; of any integer type or BOOL.  item_int is false for
 * another type, and for a U64 above INT64_MAX, whose bits *out then has.
 */
double llm_gguf_item_f64(const struct llm_gguf_key *key, uint64_t i);
bool llm_gguf_item_int(int64_t *out, const struct llm_gguf_key *key, uint64_t i);
/* "u32", "string", ... static; bytes of a number, 0 of strings and arrays. */
const char *llm_gguf_type_name(enum llm_gguf_type type);
size_t llm_gguf_type_bytes(enum llm_gguf_type type);

/* All tensors of all parts, in file order. */
size_t llm_gguf_n_tensor(const struct llm_gguf *g);
const struct llm_gguf_tensor *llm_gguf_tensor_at(const struct llm_gguf *g, size_t i);
const struct llm_gguf_tensor *llm_gguf_tensor(const struct llm_gguf *g, const char *name);

/*
 * llm_gguf_covers - the name of the mapped file that holds address p, as in messages, or NULL: for the
 * program's SIGBUS handler, so that a file which shrank while mapped is named.  Async-signal-safe.
 */
const char *llm_gguf_covers(const struct llm_gguf *g, const void *p);

#endif
