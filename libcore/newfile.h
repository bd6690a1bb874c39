/*
 * SPDX-License-Identifier: ISC
 *
 * A file that appears under its name whole or not at all: written without a name, or beside it where the
 * file system has no such files, then renamed.
 */
#ifndef LLM_NEWFILE_H
#define LLM_NEWFILE_H

#include "libcore/err.h"

#include <stdbool.h>
#include <stddef.h>

/* Zero-initialised it is none, which llm_newfile_drop takes. */
struct llm_newfile {
	int fd;          /* read-only: to write to, and to read */
	char *path;      /* private */
	char *temporary; /* read-only: PATH.XXXXXX, what it is called before it is kept */
	bool named;      /* read-only: it is called so already */
};

/*
 * llm_newfile_open - an empty file of this mode, whatever the umask.  The caller keeps or drops it; where the
 * process ends first, nothing is left of a file without a name.  Errors: LLM_EIO, LLM_ENOMEM.
 */
int llm_newfile_open(
    struct llm_newfile *f, const char *path, unsigned mode, struct llm_err *err);
/* llm_newfile_put - write all of n bytes at the end.  LLM_EIO. */
int llm_newfile_put(struct llm_newfile *f, const void *bytes, size_t n, struct llm_err *err);
/*
 * llm_newfile_keep - close it and give it its name, in place of what had it; with sync both outlive a crash of
 * the machine.  On failure (LLM_EIO) it is dropped.
 */
int llm_newfile_keep(struct llm_newfile *f, bool sync, struct llm_err *err);
void llm_newfile_drop(struct llm_newfile *f);

#endif
