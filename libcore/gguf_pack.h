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

/*
 * llm_gguf_pack - write the file at path, packed, to fd from its place on; with back: unpacked.  What is
 * packed (or not) already stays.  One part of a split set is a file like others.
 * Errors: those of llm_gguf_open; LLM_EDATA, the file changed meanwhile; LLM_EIO; LLM_ENOMEM.
 */
int llm_gguf_pack(int fd, const char *path, bool back, struct llm_err *err);

#endif
