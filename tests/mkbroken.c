/*
 * SPDX-License-Identifier: ISC
 *
 * mkbroken FOLDER: writes the broken models there, and prints a line for each: stage (file, model,
 * vocab, run), exit status, path, what stands in the message, name; separated by tabs.
 */
#include "tests/mkmodel_broken.h"

#include <stdlib.h>

int
main(int argc, char **argv)
{
	static const char *const stages[] = {"file", "model", "vocab", "run"};
	if (argc != 2) {
		fprintf(stderr, "usage: mkbroken FOLDER\n");
		return 64;
	}
	for (int i = 0; mkbroken_at(i) != NULL; i++) {
		const struct mkbroken *b = mkbroken_at(i);
		char *path = mkbroken_write(argv[1], i);
		printf("%s\t%d\t%s\t%s\t%s\n", stages[b->stage], b->status, path, b->reason,
		    b->name);
		free(path);
	}
	return 0;
}
