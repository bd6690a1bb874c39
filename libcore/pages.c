/*
 * SPDX-License-Identifier: ISC
 *
 * Large memory in large pages; see pages.h.
 */
#define _DEFAULT_SOURCE /* madvise */
#include "libcore/pages.h"

#include "libcore/size.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { LARGE = 2 << 20, LEAST = 2 * LARGE, ALIGNED = 64 };

void *
llm_pages_new(size_t n_bytes)
{
	size_t unit = n_bytes < LEAST ? ALIGNED : LARGE, more;
	if (!llm_size_add(&more, n_bytes, unit - 1))
		return NULL;
	void *p = aligned_alloc(unit, more - more % unit);
#ifdef MADV_HUGEPAGE
	if (p != NULL && unit == LARGE)
		(void)madvise(p, more - more % unit, MADV_HUGEPAGE); /* a wish */
#endif
	return p;
}
