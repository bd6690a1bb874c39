/*
 * SPDX-License-Identifier: ISC
 *
 * llm-pack: a model's file in, the same with packed matrices out, and back.  A file appears under its
 * name whole or not at all.
 */
#define _XOPEN_SOURCE 700
#include "bin/tool.h"
#include "libcore/gguf.h"
#include "libcore/gguf_pack.h"
#include "libcore/newfile.h"
#include "libcore/packed.h"
#include "libcore/clock.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
	bool back, query;
} opt;

static const struct tool_option options[] = {
    {'x', "unpack", NULL, "give the plain file back, byte for byte", TOOL_FLAG, 0, 0, &opt.back,
	NULL},
    {'q', "query", NULL, "say whether FILE is 'packed' or 'plain', and make nothing", TOOL_FLAG,
	0, 0, &opt.query, NULL},
    {0},
};

static const struct tool tool = {
    .name = "llm-pack",
    .operands = "FILE.gguf OUT.gguf",
    .purpose = "lay out a model's weights as this machine reads them fastest",
    .options = options,
};

/* The file in the making, for the handler. */
static struct llm_newfile made;

static void
on_signal(int number)
{
	if (made.named)
		unlink(made.temporary);
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

/* What the terminal shows of a long run. */
struct shown {
	int64_t begin; /* ms (libcore/clock.h) */
	int percent;   /* shown last; -1: nothing yet */
};

static void
progress(void *context, size_t done, size_t total)
{
	struct shown *s = context;
	char line[64];
	int percent = (int)(100.0 * (double)done / (double)total);
	/* What is over within a second needs no word. */
	if (percent == s->percent || llm_clock_ms() - s->begin < 1000)
		return;
	s->percent = percent;
	int n = snprintf(line, sizeof line, "\r%s: %d %%", tool.name, percent);
	ssize_t ignored = write(STDERR_FILENO, line, (size_t)n);
	(void)ignored;
}

static int
pack(int fd, const char *from, struct llm_err *err)
{
	static const char clear[] = "\r\033[K";
	struct shown s = {.percent = -1};
	struct llm_gguf_pack_watch told = {progress, &s};
	s.begin = llm_clock_ms();
	int rc = llm_gguf_pack_watched(
	    fd, from, opt.back, isatty(STDERR_FILENO) ? &told : NULL, err);
	ssize_t ignored = s.percent < 0 ? 0 : write(STDERR_FILENO, clear, sizeof clear - 1);
	(void)ignored;
	return rc;
}

static void
to_file(const char *from, const char *path)
{
	struct llm_err err;
	mode_t mask = umask(0);
	umask(mask);
	if (llm_newfile_open(&made, path, 0666 & ~mask, &err) < 0)
		tool_die(&err);
	watch();
	if (pack(made.fd, from, &err) < 0) {
		llm_newfile_drop(&made);
		tool_die(&err);
	}
	if (llm_newfile_keep(&made, true, &err) < 0)
		tool_die(&err);
}

/* A model is packed where one of its tensors is. */
static void
query(const char *path)
{
	struct llm_err err;
	struct llm_gguf *g;
	bool packed = false;
	if (llm_gguf_open(&g, path, &err) < 0)
		tool_die(&err);
	for (size_t i = 0; i < llm_gguf_n_tensor(g); i++)
		packed |= llm_packed_is(llm_gguf_tensor_at(g, i)->type);
	llm_gguf_close(g);
	tool_printf(packed ? "packed\n" : "plain\n");
}

int
main(int argc, char **argv)
{
	struct llm_err err;
	int at = tool_start(&tool, argc, argv);
	tool_operands(argc, at, opt.query ? 1 : 2);
	if (opt.query && (opt.back || argc - at != 1))
		tool_usage("-q wants one file, and no -x");
	if (!opt.query && argc - at != 2)
		tool_usage("two files are wanted: the one to read, and the one to make");
	if (opt.query)
		query(argv[at]);
	else if (strcmp(argv[at + 1], "-") != 0)
		to_file(argv[at], argv[at + 1]);
	else if (pack(STDOUT_FILENO, argv[at], &err) < 0)
		tool_die(&err);
	tool_exit(0);
}
