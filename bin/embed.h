/*
 * SPDX-License-Identifier: ISC
 *
 * llm-embed's own parts.
 */
#ifndef LLM_EMBED_H
#define LLM_EMBED_H

#include <stddef.h>

enum { EMBED_VALUE = 24 }; /* bytes of any value, its NUL included */

/* embed_value - x as printf's "%.9g" writes it, the bytes alone; returns how many. */
size_t embed_value(char out[EMBED_VALUE], float x);

#endif
