/*
 * SPDX-License-Identifier: ISC
 *
 * A file mapped shared and read-only: one copy in memory for every process that has it open.
 */
#ifndef LLM_MAP_H
#define LLM_MAP_H

#include "libcore/err.h"

#include <stddef.h>
#include <stdint.h>

/* What tells a file from another, and from itself once it has been written to; of when it was opened. */
struct llm_map_stamp {
	uint64_t device, inode;
	int64_t mtime_ns;
	uint32_t owner, mode;
};

/* Plain data; zero-initialised it is an empty map, which llm_map_close takes. */
struct llm_map {
	const unsigned char *data;  /* read-only: page-aligned; NULL when closed */
	size_t n_bytes;             /* read-only */
	struct llm_map_stamp stamp; /* read-only */
	char name[120]; /* read-only: the end of its path, printable, for messages */
};

/*
 * llm_map_open - map a regular file; its pages are read when they are touched.
 * Errors: LLM_ENOINPUT missing, unreadable, a directory or no regular file; LLM_EDATA empty;
 * LLM_ENOMEM no room in the address space.
 */
int llm_map_open(struct llm_map *m, const char *path, struct llm_err *err);
/* llm_map_call - change its name, as messages have it, to that of path. */
void llm_map_call(struct llm_map *m, const char *path);
void llm_map_close(struct llm_map *m);

#endif
