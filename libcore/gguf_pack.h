/*
 * SPDX-License-Identifier: ISC
 *
 * Packing a GGUF file: the matrices that have a packed layout (packed.h) are moved into it and take its
 * type numbers; every other byte, and the place of every tensor, stays as it is.  So the way back
 * gives the file that there was, byte for byte.
 */
#ifndef LLM_GGUF_PACK_H
#define LLM_GGUF_PACK_H

#include "libcore/err.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * llm_gguf_pack - write the file at path, packed, to fd from its place on; with back: unpacked.  What is
 * packed (or not) already stays.  One part of a split set is a file like others.
 * Errors: those of llm_gguf_open; LLM_EDATA, the file changed meanwhile; LLM_EIO; LLM_ENOMEM.
 */
int llm_gguf_pack(int fd, const char *path, bool back, struct llm_err *err);

/*
 * llm_gguf_pack_watched - the same, that calls progress between stretches of the work with how many bytes of how
 * many are written.
 */
typedef void llm_gguf_pack_progress(void *context, size_t done, size_t total);
struct llm_gguf_pack_watch {
	llm_gguf_pack_progress *progress;
	void *context;
};
int llm_gguf_pack_watched(int fd, const char *path, bool back,
    const struct llm_gguf_pack_watch *watch, struct llm_err *err);

#endif
