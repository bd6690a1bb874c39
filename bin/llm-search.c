/*
 * SPDX-License-Identifier: ISC
 *
 * llm-search: the lines of a file that mean what a query means, by vectors kept
 * in an index.
 */
#include "bin/search.h"
#include "bin/tool_daemon.h"
#include "bin/tool_records.h"
#include "generate/fit.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static struct {
	const char *model, *build, *add, *fit;
	int n_thread;
} opt;
static struct search search = {.n_best = 10, .min = -1e30};

static const struct tool_option options[] = {
    {'b', "build", "INDEX", "build the index from the records of the files", TOOL_STRING, 0, 0,
	&opt.build, NULL},
    {'a', "add", "INDEX", "add the records that it does not have yet", TOOL_STRING, 0, 0,
	&opt.add, NULL},
    {'n', "count", "N", "the N nearest records of each query (default 10)", TOOL_INT, 1,
	1000000, &search.n_best, NULL},
    {0, "min", "X", "leave out records that score less", TOOL_NUMBER, -1e30, 1e30, &search.min,
	NULL},
    {'m', "model", "MODEL", "a model of the store by name, or a file (a path with a '/')",
	TOOL_STRING, 0, 0, &opt.model, NULL},
    {'t', "threads", "N", "threads; as many as the processors at hand unless told", TOOL_INT, 1,
	1024, &opt.n_thread, NULL},
    {'j', "json", NULL, "JSON Lines out", TOOL_FLAG, 0, 0, &search.json, NULL},
    {0, "fit", "head", "of a text longer than the model takes keep the head, and say so",
	TOOL_STRING, 0, 0, &opt.fit, NULL},
    {'v', "verbose", NULL, "say on standard error what was done", TOOL_FLAG, 0, 0,
	&search.verbose, NULL},
    {0},
};

static const struct tool tool = {
    .name = "llm-search",
    .operands = "-b|-a INDEX [file...] | INDEX [query...]",
    .purpose = "the records of an index that are nearest in meaning to a query",
    .options = options,
    .more = {tool_records_options, tool_daemon_options},
};

static void
check(int first, int argc)
{
	if (opt.build != NULL && opt.add != NULL)
		tool_usage("-b builds and -a adds: one of them");
	const char *index = opt.build != NULL ? opt.build : opt.add;
	if (index != NULL && (index[0] == '\0' || strcmp(index, "-") == 0))
		tool_usage("'%s': an index is a file: give its name", index);
	if (opt.fit != NULL && strcmp(opt.fit, "head") != 0)
		tool_usage("--fit is 'head' here");
	if (opt.build == NULL && opt.add == NULL && first == argc)
		tool_usage("no index: give its file, or build one by -b");
}

int
main(int argc, char **argv)
{
	int first = tool_start(&tool, argc, argv), status;
	check(first, argc);
	const struct tool_embed_params params = {
	    .n_thread = opt.n_thread, .cut = opt.fit != NULL, .verbose = search.verbose};
	char *path = tool_encoder(opt.model);
	search.embed = tool_embed_open(path, &params);
	search.embedder = tool_embed_embedder(search.embed);
	if (opt.build != NULL || opt.add != NULL) {
		search.index = opt.build != NULL ? opt.build : opt.add;
		status = search_build(&search, argv + first, opt.add != NULL);
	} else {
		search.index = argv[first];
		status = search_ask(&search, argv + first + 1);
	}
	tool_embed_close(search.embed);
	free(path);
	tool_exit(status);
}
