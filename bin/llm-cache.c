/*
 * SPDX-License-Identifier: ISC
 *
 * llm-cache: what the prefix store holds, and less of it.
 */
#include "bin/tool.h"
#include "bin/tool_prefix.h"
#include "kvstore/files.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool json;

static const struct tool_option options[] = {
    {.letter = 'j', .name = "json", .help = "JSON Lines out", .kind = TOOL_FLAG, .dest = &json},
    {0},
};

static const struct tool tool = {.name = "llm-cache",
    .operands = "list | size | trim [BYTES] | wipe",
    .purpose = "The computed beginnings of prompts that are kept on disk.",
    .options = options};

/* The store's directory, or -1 where there is none. */
static int
store_open(void)
{
	struct llm_err err = {0};
	char *dir = tool_prefix_dir();
	int fd = -1, rc;
	if (dir == NULL)
		tool_fail(LLM_ENOINPUT, "no store: neither HOME nor XDG_CACHE_HOME is set");
	rc = llm_kvfiles_open(&fd, dir, &err);
	free(dir);
	if (rc < 0 && rc != LLM_ENOINPUT)
		tool_die(&err);
	return fd;
}

static struct llm_kvfiles
files_of(int fd)
{
	struct llm_kvfiles f = {.v = NULL};
	struct llm_err err = {0};
	if (fd >= 0 && llm_kvfiles_list(&f, fd, &err) < 0)
		tool_die(&err);
	return f;
}

static void
list(int fd)
{
	struct llm_kvfiles f = files_of(fd);
	for (size_t i = 0; i < f.n; i++) {
		const struct llm_kvfile *one = &f.v[i];
		struct llm_kvpage page;
		char used[32], model[LLM_HASH_HEX] = "";
		struct tm tm = {0}; /* of a time that no calendar has */
		const char *kv = "";
		int n_tok = 0;
		gmtime_r(&one->used.tv_sec, &tm);
		strftime(used, sizeof used, "%Y-%m-%dT%H:%M:%SZ", &tm);
		if (llm_kvpage_read_head(&page, fd, one->name)) {
			llm_hash_hex(model, &page.key.model);
			kv = page.key.kv_type <= LLM_KV_F32
				 ? llm_kv_name((enum llm_kv_type)page.key.kv_type)
				 : "";
			n_tok = page.n_tok;
		}
		if (json)
			tool_printf(
			    "{\"used\":\"%s\",\"bytes\":%" PRIu64
			    ",\"tokens\":%d,\"kv\":\"%s\",\"model\":\"%s\",\"file\":\"%s\"}\n",
			    used, one->n_bytes, n_tok, kv, model, one->name);
		else
			tool_printf("%s\t%" PRIu64 "\t%d\t%s\t%s\t%s\n", used, one->n_bytes,
			    n_tok, kv, model, one->name);
	}
	free(f.v);
}

static void
size(int fd)
{
	struct llm_kvfiles f = files_of(fd);
	uint64_t budget = tool_prefix_budget();
	if (json)
		tool_printf("{\"bytes\":%" PRIu64 ",\"pages\":%zu,\"budget\":%" PRIu64 "}\n",
		    f.n_bytes, f.n, budget);
	else
		tool_printf("%" PRIu64 "\t%zu\t%" PRIu64 "\n", f.n_bytes, f.n, budget);
	free(f.v);
}

static void
trim(int fd, uint64_t budget)
{
	struct llm_kvfiles_removed removed = {0};
	struct llm_err err = {0};
	if (fd >= 0 && llm_kvfiles_trim(&removed, fd, budget, &err) < 0)
		tool_die(&err);
	if (json)
		tool_printf("{\"removed_bytes\":%" PRIu64 ",\"removed_pages\":%zu}\n",
		    removed.n_bytes, removed.n);
	else
		tool_printf("%" PRIu64 "\t%zu\n", removed.n_bytes, removed.n);
}

int
main(int argc, char **argv)
{
	int first = tool_start(&tool, argc, argv);
	const char *what = argv[first], *bytes = what == NULL ? NULL : argv[first + 1];
	char quoted[60];
	uint64_t budget = tool_prefix_budget();
	if (what == NULL)
		tool_usage("one of list, size, trim and wipe was expected");
	bool takes_bytes = strcmp(what, "trim") == 0;
	tool_operands(argc, first, takes_bytes ? 2 : 1);
	if (bytes != NULL && !tool_prefix_bytes(&budget, bytes))
		tool_usage("'%s': expected bytes, as 500M or 4G",
		    llm_err_quote(quoted, sizeof quoted, bytes, strlen(bytes)));
	int fd = store_open();
	if (takes_bytes)
		trim(fd, budget);
	else if (strcmp(what, "list") == 0)
		list(fd);
	else if (strcmp(what, "size") == 0)
		size(fd);
	else if (strcmp(what, "wipe") == 0)
		trim(fd, 0);
	else
		tool_usage("'%s': one of list, size, trim and wipe was expected",
		    llm_err_quote(quoted, sizeof quoted, what, strlen(what)));
	if (fd >= 0)
		close(fd);
	tool_exit(0);
}
