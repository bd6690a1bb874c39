/*
 * SPDX-License-Identifier: ISC
 *
 * Large memory in large pages.
 */
#ifndef LLM_PAGES_H
#define LLM_PAGES_H

#include <stddef.h>

/*
 * llm_pages_new - n_bytes, 64-byte aligned, not cleared; of some megabytes or more in pages of 2 MB where the
 * system has them.  A kernel that writes a few values to each of hundreds of rows, as products of many tokens
 * do, finds every row in another page of 4 KB, and waits for the tables more than for the memory.
 * Pages come when they are touched.  For free(); NULL without memory.
 */
void *llm_pages_new(size_t n_bytes);

#endif
