/*
 * SPDX-License-Identifier: ISC
 *
 * Bytes of a GGUF file as numbers and text: private to libcore/gguf*.c.  Nothing in a file is
 * aligned but tensor data, so that numbers are put together from bytes (one load, to a compiler).
 */
#ifndef LLM_GGUF_VALUE_H
#define LLM_GGUF_VALUE_H

#include "libcore/gguf.h"

static inline uint32_t
llm_gguf_load_u32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

static inline uint64_t
llm_gguf_load_u64(const unsigned char *p)
{
	return (uint64_t)llm_gguf_load_u32(p) | (uint64_t)llm_gguf_load_u32(p + 4) << 32;
}

/* True where s is well-formed UTF-8 without control characters. */
bool llm_gguf_is_text(struct llm_gguf_str s);

#endif
