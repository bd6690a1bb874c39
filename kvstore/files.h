/*
 * SPDX-License-Identifier: ISC
 *
 * The files of a store, whatever they are pages of: counted, listed, removed.
 */
#ifndef LLM_KVSTORE_FILES_H
#define LLM_KVSTORE_FILES_H

#include "kvstore/page.h"

#include <limits.h>
#include <time.h>

/*
 * llm_kvfiles_open - the store's directory, which must be the caller's own and closed to others.
 * LLM_ENOINPUT where there is none; LLM_EDATA where it is not so; LLM_EIO.
 */
int llm_kvfiles_open(int *dir_fd, const char *dir, struct llm_err *err);

/* One file of the store. */
struct llm_kvfile {
	char name[LLM_KVPAGE_NAME];
	uint64_t n_bytes;
	struct timespec used; /* last */
};

/* The files of a store, those used least lately first; v is the caller's to free. */
struct llm_kvfiles {
	struct llm_kvfile *v;
	size_t n, cap;
	uint64_t n_bytes; /* of all of them */
};

/* LLM_ENOMEM; what cannot be looked at is left out, and so is what is not the store's. */
int llm_kvfiles_list(struct llm_kvfiles *out, int dir_fd, struct llm_err *err);

/*
 * llm_kvfiles_trim - remove those used least lately until at most budget bytes are left, and what writers
 * that were killed have left.  *removed (may be NULL): how many, and their bytes.  LLM_ENOMEM.
 */
struct llm_kvfiles_removed {
	size_t n;
	uint64_t n_bytes;
};
int llm_kvfiles_trim(
    struct llm_kvfiles_removed *removed, int dir_fd, uint64_t budget, struct llm_err *err);

#endif
