/*
 * SPDX-License-Identifier: ISC
 *
 * One file of the store: the keys and values of at most 64 positions of one model, and all that they
 * were computed from.  llm-kvstore(5) has the format.
 */
#ifndef LLM_KVSTORE_PAGE_H
#define LLM_KVSTORE_PAGE_H

#include "libcore/cache.h"
#include "libcore/hash.h"
#include "libcore/token.h"

#include <stdint.h>

/* What a page is of, besides its tokens.  Plain data. */
struct llm_kvpage_key {
	struct llm_hash model;    /* libcore/ident.h */
	uint32_t numeric_version; /* libcore/forward.h */
	uint32_t kv_type;         /* enum llm_kv_type; F32 is --precise */
	uint32_t n_layer, n_head_kv, d_head;
	struct llm_hash before; /* the name of the page before it; of the first page zeros */
};

/*
 * llm_kvpage_key_of - the key of pages that a pass of this program computes: of the model with this identity and
 * configuration, with keys and values of this type.  before is that of a first page.
 */
struct llm_kvpage_key llm_kvpage_key_of(
    const struct llm_hash *model, const struct llm_config *c, enum llm_kv_type type);

/* A page without its keys and values.  Plain data. */
struct llm_kvpage {
	struct llm_kvpage_key key;
	int n_tok; /* 1..64 */
	llm_token token[LLM_KV_PAGE];
};

enum { LLM_KVPAGE_NAME = 2 + 1 + 32 + 1 + 32 + 1 }; /* with its NUL */

/* The name of a page: a hash of its key and its tokens. */
struct llm_hash llm_kvpage_hash(const struct llm_kvpage *p);

/*
 * llm_kvpage_name - where it lies below the store's directory: XX/BEFORE-NAME, BEFORE a hash of the key and
 * XX its first byte.  So all pages that may follow another lie in one folder, under one beginning.
 */
char *llm_kvpage_name(char buf[LLM_KVPAGE_NAME], const struct llm_kvpage *p);

/*
 * llm_kvpage_read_head - what the file `name` in the directory dir_fd says it is; false where it is no page,
 * has another size than it should, or cannot be read.
 * llm_kvpage_read - the same, and data, n_bytes of slots, where the file is whole: of this key, these
 * tokens and the sum that it names.  data is changed either way.
 */
bool llm_kvpage_read_head(struct llm_kvpage *out, int dir_fd, const char *name);
bool llm_kvpage_read(
    struct llm_kvpage *out, void *data, size_t n_bytes, int dir_fd, const char *name);

/*
 * llm_kvpage_write - a new file at this path; LLM_EIO, LLM_ENOMEM.
 */
int llm_kvpage_write(const char *path, const struct llm_kvpage *p, const void *data,
    size_t n_bytes, struct llm_err *err);

/* Bytes of a file with n_bytes of slots. */
uint64_t llm_kvpage_file_bytes(size_t n_bytes);

#endif
