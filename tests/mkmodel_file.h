/*
 * SPDX-License-Identifier: ISC
 *
 * A writer of GGUF files for tests: keys and tensors in, a valid file out, in memory (where a test
 * then spoils one field, found by its mark) or streamed to a path without holding the weights.
 * Not the reader turned round: it shares nothing with libcore/gguf*.c, so that each checks the other.
 */
#ifndef LLM_TESTS_MKMODEL_FILE_H
#define LLM_TESTS_MKMODEL_FILE_H

#include "libcore/gguf.h"

#include <stdio.h>

/* A key; value is what stands after its type in the file (for an array: item type, count, items). */
struct mkfile_key {
	char *name;
	uint32_t type;
	unsigned char *value;
	size_t n;
};

/*
 * A tensor; its data is random with mean and std, from the file's seed and its name, so that it is
 * the same in whatever order or part it stands.
 */
struct mkfile_tensor {
	char name[80];
	int n_dim;
	uint64_t ne[4];
	enum llm_dtype type;
	double mean, std;
	bool encode;   /* quantise the values of F32, where mkfile_encode can: the same model */
	float *values; /* [ne] instead of random ones, F32 only; owned by the file; or NULL */
};

/* Public fields: version, alignment, seed.  Begin with mkfile_new. */
struct mkfile {
	uint32_t version;
	uint32_t alignment;
	uint64_t seed;
	struct mkfile_key *key;
	size_t n_key;
	struct mkfile_tensor *tensor;
	size_t n_tensor;
};

/* Running out of memory ends the test program. */
struct mkfile *mkfile_new(void);
void mkfile_free(struct mkfile *f);

/* Each sets a key, in place of one of that name; bytes are copied. */
void mkfile_raw(struct mkfile *f, const char *name, uint32_t type, const void *value, size_t n);
void mkfile_int(struct mkfile *f, const char *name, enum llm_gguf_type type, int64_t value);
void mkfile_u32(struct mkfile *f, const char *name, uint32_t value);
void mkfile_f32(struct mkfile *f, const char *name, float value);
void mkfile_f64(struct mkfile *f, const char *name, double value);
void mkfile_bool(struct mkfile *f, const char *name, bool value);
void mkfile_str(struct mkfile *f, const char *name, const char *value);
void mkfile_i32s(struct mkfile *f, const char *name, const int32_t *items, size_t n);
void mkfile_f32s(struct mkfile *f, const char *name, const float *items, size_t n);
void mkfile_strs(struct mkfile *f, const char *name, char *const *items, size_t n);
/* Copies a key as it stands in another file. */
void mkfile_copy(struct mkfile *f, const struct llm_gguf_key *k);
/*
 * "TYPE:VALUE" as text: a type of gguf.h, or "[TYPE]" with values separated by commas.  False where
 * it makes no sense.
 */
bool mkfile_set_text(struct mkfile *f, const char *name, const char *text);
bool mkfile_unset(struct mkfile *f, const char *name);

/* Adds a tensor of n_dim 1 (ne1 0) or 2; the result may be changed until the next is added. */
struct mkfile_tensor *mkfile_add(
    struct mkfile *f, const char *name, enum llm_dtype type, uint64_t ne0, uint64_t ne1);
struct mkfile_tensor *mkfile_find(struct mkfile *f, const char *name);
bool mkfile_drop(struct mkfile *f, const char *name);
uint64_t mkfile_tensor_bytes(const struct mkfile_tensor *t);

/*
 * Places in the header: "magic" "version" "n_tensor" "n_key"; "key NAME" (its length, before the
 * bytes) "type NAME" "value NAME"; "tensor NAME" "n_dim NAME" "ne NAME" "dtype NAME" "offset NAME"; "data".
 */
struct mkfile_mark {
	char what[112];
	size_t at;
};
struct mkfile_image {
	unsigned char *bytes;
	size_t n;
	struct mkfile_mark *mark;
	size_t n_mark;
};

/* The whole file in memory (with_data) or its header alone, padding included. */
void mkfile_image(struct mkfile_image *out, const struct mkfile *f, bool with_data);
void mkfile_image_free(struct mkfile_image *image);
/* The place of a mark; a mark that is not there ends the test program. */
size_t mkfile_at(const struct mkfile_image *image, const char *what);

/* Writes a file; with n_part > 1 a split set, whose names are made of path without ".gguf".  0 or -1
   with errno. */
int mkfile_write(const struct mkfile *f, const char *path, int n_part);

/* Fills n_bytes, a whole number of blocks, of t's data from the state of a generator. */
struct mkfile_random {
	uint64_t s[4];
};
void mkfile_random_seed(struct mkfile_random *r, uint64_t seed, const char *name);
uint64_t mkfile_random_next(struct mkfile_random *r);
/* Uniform in [0, 1). */
double mkfile_random_unit(struct mkfile_random *r);
void mkfile_fill(
    unsigned char *out, size_t n_bytes, const struct mkfile_tensor *t, struct mkfile_random *r);

/*
 * mkfile_encode - quantise n floats (whole blocks) to nearest, for F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0.
 * False for other types.
 */
bool mkfile_encode(unsigned char *out, enum llm_dtype type, const float *x, int n);

#endif
