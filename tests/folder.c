/*
 * SPDX-License-Identifier: ISC
 *
 * A folder of a unit test's own; see folder.h.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "tests/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char test_folder[] = "/tmp/llm-test.XXXXXX";

void
test_folder_new(void)
{
	if (mkdtemp(test_folder) == NULL) {
		perror(test_folder);
		exit(1);
	}
}

bool
test_folder_remove(void)
{
	char command[64];
	snprintf(command, sizeof command, "rm -rf %s", test_folder);
	return system(command) == 0;
}

char *
test_folder_path(const char *name)
{
	static char path[4][128];
	static int i;
	i = (i + 1) % 4;
	snprintf(path[i], sizeof path[i], "%s/%s", test_folder, name);
	return path[i];
}

void
test_folder_write(const char *path, const void *bytes, size_t n)
{
	FILE *out = fopen(path, "wb");
	if (out == NULL || fwrite(bytes, 1, n, out) != n || fclose(out) != 0) {
		perror(path);
		exit(1);
	}
}

bool
test_message_good(int status, const struct llm_err *err)
{
	return status < 0 && err->code == status && err->msg[0] != '\0' &&
	       strlen(err->msg) < sizeof err->msg && strchr(err->msg, '\n') == NULL &&
	       strchr(err->msg, '\033') == NULL;
}
