/*
 * SPDX-License-Identifier: ISC
 *
 * Large memory in large pages: aligned, all there, and the wish is told to the system.
 */
#include "libcore/pages.h"
#include "tests/tap.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Does the system know of the wish for the mapping that holds p?  -1: it does not say. */
static int
wished(const void *p)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512];
	unsigned long begin, end, at = (unsigned long)(uintptr_t)p;
	int found = -1;
	bool here = false;
	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
			here = begin <= at && at < end;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, " hg") != NULL;
	}
	if (f != NULL)
		fclose(f);
	return found;
}

int
main(void)
{
	static const size_t sizes[] = {1, 4096, (4 << 20) - 1, 4 << 20, (9 << 20) + 5};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		char *p = llm_pages_new(sizes[i]);
		size_t align = sizes[i] < 4 << 20 ? 64 : 2 << 20;
		tap_ok(p != NULL && (uintptr_t)p % align == 0, "%zu bytes begin at a page",
		    sizes[i]);
		if (p != NULL)
			memset(p, 1, sizes[i]);
		int wish = align == 64 || p == NULL ? -1 : wished(p);
		if (wish < 0)
			tap_skip("and the system knows of them", "small, or it does not say");
		else
			tap_ok(wish == 1, "and the system knows of them");
		free(p);
	}
	tap_ok(llm_pages_new(SIZE_MAX) == NULL, "what cannot be had is not there");
	return tap_done();
}
