/*
 * SPDX-License-Identifier: ISC
 *
 * mkvocab RANKS OUT.gguf: a GGUF file with the Llama 3 vocabulary of the published rank file and no
 * weights.
 */
#include "tests/ranks.h"

#include <stdio.h>

int
main(int argc, char **argv)
{
	if (argc != 3) {
		fputs("usage: mkvocab RANKS OUT.gguf\n", stderr);
		return 64;
	}
	struct mkfile *f = ranks_read(argv[1]);
	if (f == NULL)
		return 66;
	int rc = mkfile_write(f, argv[2], 1);
	if (rc < 0)
		perror(argv[2]);
	mkfile_free(f);
	return rc < 0 ? 74 : 0;
}
