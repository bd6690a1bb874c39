/*
 * SPDX-License-Identifier: ISC
 *
 * A new file is there whole under its name, or not at all, and nothing else is left.
 */
#define _GNU_SOURCE
#include "libcore/newfile.h"
#include "tests/tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/llm-test-newfile.XXXXXX";
static struct llm_err err;

/* Whether the directory holds one file, "x", with this text. */
static bool
holds(const char *text)
{
	char got[64] = "";
	int n = 0;
	DIR *d = opendir(".");
	for (const struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.';
	closedir(d);
	FILE *f = fopen("x", "r");
	if (f == NULL)
		return text == NULL && n == 0;
	got[fread(got, 1, sizeof got - 1, f)] = '\0';
	fclose(f);
	return n == 1 && text != NULL && strcmp(got, text) == 0;
}

static int
write_file(const char *text, unsigned mode, bool keep)
{
	struct llm_newfile f;
	int rc = llm_newfile_open(&f, "x", mode, &err);
	if (rc >= 0 && (rc = llm_newfile_put(&f, text, strlen(text), &err)) >= 0 && keep)
		return llm_newfile_keep(&f, true, &err);
	llm_newfile_drop(&f);
	return rc;
}

int
main(void)
{
	struct llm_newfile none = {0}, f;
	struct stat st;
	if (mkdtemp(dir) == NULL || chdir(dir) < 0)
		return 1;
	tap_ok(write_file("one", 0600, false) == 0 && holds(NULL),
	    "what is dropped was never there");
	tap_ok(write_file("one", 0640, true) == 0 && holds("one"), "what is kept is there");
	tap_ok(stat("x", &st) == 0 && (st.st_mode & 0777) == 0640, "with the rights asked for");
	tap_ok(
	    write_file("two", 0600, true) == 0 && holds("two"), "in place of what was there");
	tap_ok(write_file("three", 0600, false) == 0 && holds("two"),
	    "which stays while the new one is not kept");
	pid_t child = fork();
	if (child == 0) {
		if (llm_newfile_open(&f, "x", 0600, &err) == 0)
			(void)llm_newfile_put(&f, "four", 4, &err);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	int nameless = open(".", O_TMPFILE | O_RDWR, 0600);
	if (nameless >= 0)
		tap_ok(holds("two"), "a process that ends before leaves nothing");
	else
		tap_skip("a process that ends before leaves nothing",
		    "no files without a name on this file system");
	close(nameless);
	tap_ok(llm_newfile_open(&f, "/nonexistent/x", 0600, &err) == LLM_EIO &&
		   strstr(err.msg, "/nonexistent/x") != NULL,
	    "a directory that is not there is named");
	llm_newfile_drop(&none);
	unlink("x");
	return (chdir("/") | rmdir(dir)) != 0 ? 1 : tap_done();
}
