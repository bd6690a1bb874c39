/*
 * SPDX-License-Identifier: ISC
 *
 * llm-pack: a model's file in, the same with packed matrices out, and back.  A file appears under its
 * name whole or not at all.
 */
#include "bin/tool.h"
#include "libcore/gguf_pack.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
	bool back;
} opt;

static const struct tool_option options[] = {
    {'x', "unpack", NULL, "give the plain file back, byte for byte", TOOL_FLAG, 0, 0, &opt.back,
	NULL},
    {0},
};

static const struct tool tool = {
    .name = "llm-pack",
    .operands = "FILE.gguf OUT.gguf",
    .purpose = "lay out a model's weights as this machine reads them fastest",
    .options = options,
};

/* The file in the making, for the handler. */
static char *temporary;

static void
on_signal(int number)
{
	unlink(temporary);
	raise(number); /* its default again, once the handler returns */
}

static void
watch(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND}, was;
	sigemptyset(&sa.sa_mask);
	for (int i = 0; i < 3; i++)
		if (sigaction(signals[i], NULL, &was) == 0 && was.sa_handler != SIG_IGN)
			sigaction(signals[i], &sa, NULL);
}

_Noreturn static void
fail(const char *path)
{
	int number = errno;
	if (temporary != NULL)
		unlink(temporary);
	tool_fail(LLM_EIO, "%s: %s", path, strerror(number));
}

/* Opens a new file beside path. */
static int
temporary_open(const char *path)
{
	static const char suffix[] = ".XXXXXX";
	size_t n = strlen(path);
	char *name = malloc(n + sizeof suffix);
	if (name == NULL)
		tool_fail(LLM_ENOMEM, "out of memory");
	memcpy(name, path, n);
	memcpy(name + n, suffix, sizeof suffix);
	int fd = mkstemp(name);
	if (fd < 0)
		fail(path);
	temporary = name;
	watch();
	mode_t mask = umask(0);
	umask(mask);
	if (fchmod(fd, 0666 & ~mask) < 0)
		fail(path);
	return fd;
}

/* The directory of path, synced, so that the new name outlives a crash. */
static void
directory_sync(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = strdup(slash == NULL ? "." : path);
	if (dir == NULL)
		return;
	if (slash != NULL)
		dir[slash == path ? 1 : slash - path] = '\0';
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(dir);
	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

static void
to_file(const char *from, const char *path)
{
	struct llm_err err;
	int fd = temporary_open(path);
	if (llm_gguf_pack(fd, from, opt.back, &err) < 0) {
		unlink(temporary);
		tool_die(&err);
	}
	if (fsync(fd) < 0 || close(fd) < 0 || rename(temporary, path) < 0)
		fail(path);
	directory_sync(path);
	free(temporary);
	temporary = NULL;
}

int
main(int argc, char **argv)
{
	struct llm_err err;
	int at = tool_start(&tool, argc, argv);
	tool_operands(argc, at, 2);
	if (argc - at != 2)
		tool_usage("two files are wanted: the one to read, and the one to make");
	if (strcmp(argv[at + 1], "-") != 0)
		to_file(argv[at], argv[at + 1]);
	else if (llm_gguf_pack(STDOUT_FILENO, argv[at], opt.back, &err) < 0)
		tool_die(&err);
	tool_exit(0);
}
