/*
 * SPDX-License-Identifier: ISC
 *
 * llm-split: text into NUL-ended records of at most N tokens, for programs that take one at a time.
 */
#include "bin/tool.h"
#include "bin/tool_cache.h"
#include "bin/tool_stretch.h"
#include "tokenize/records.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static struct {
	const char *model, *at;
	int n_tok;
} opt;

static const struct tool_option options[] = {
    {'m', "model", "MODEL", "model: a file with a / in its name, or a name in the store",
	TOOL_STRING, 0, 0, &opt.model, NULL},
    {'n', "tokens", "N", "at most N tokens a record (required)", TOOL_INT, 1, INT_MAX,
	&opt.n_tok, NULL},
    {0, "at", "PLACE", "cut at each line or paragraph (default line)", TOOL_STRING, 0, 0,
	&opt.at, NULL},
    {0},
};

static const struct tool tool = {
    .name = "llm-split",
    .operands = "[file]",
    .purpose = "text into NUL-ended records of at most so many tokens",
    .options = options,
};

/* Reads until want bytes or the end are there. */
static void
fill(struct tool_stretch *in, size_t want)
{
	while (!in->end && in->n < want) {
		size_t seen = in->n;
		tool_stretch_fill(in);
		const char *nul = memchr(in->buf + seen, '\0', in->n - seen);
		if (nul != NULL)
			tool_fail(LLM_EDATA,
			    "%s: a NUL at byte %zu, where records are ended by one",
			    in->in.name, in->base + (size_t)(nul - in->buf));
	}
}

static void
split(struct llm_records *r, struct tool_stretch *in)
{
	struct llm_err err;
	size_t want = 1;
	for (;;) {
		fill(in, want);
		size_t at = 0, len = 0;
		while (at < in->n) {
			if (llm_records_next(&len, r, in->buf + at, in->n - at, in->end, &err) <
			    0)
				tool_fail(err.code, "%s: byte %zu: %s", in->in.name,
				    in->base + at, err.msg);
			if (len == 0)
				break;
			tool_write(in->buf + at, len);
			tool_write("", 1);
			at += len;
		}
		tool_stretch_drop(in, at);
		if (in->end)
			return;
		/* What is too little for a record is looked at again when it has doubled. */
		want = in->n > SIZE_MAX / 2 ? SIZE_MAX : in->n * 2 + 1;
	}
}

int
main(int argc, char **argv)
{
	struct llm_err err;
	struct llm_gguf *g;
	struct tool_stretch in;
	char found[80];
	int at = tool_start(&tool, argc, argv);
	tool_operands(argc, at, 1);
	if (opt.n_tok == 0)
		tool_usage("-n is required: the most tokens of a record");
	enum llm_records_at place = LLM_RECORDS_LINE;
	if (opt.at != NULL && strcmp(opt.at, "paragraph") == 0)
		place = LLM_RECORDS_PARAGRAPH;
	else if (opt.at != NULL && strcmp(opt.at, "line") != 0)
		tool_usage("--at is 'line' or 'paragraph', not '%s'",
		    llm_err_quote(found, sizeof found, opt.at, strlen(opt.at)));
	char *path = tool_model(opt.model);
	if (llm_gguf_open(&g, path, &err) < 0)
		tool_die(&err);
	tool_guard(g);
	struct llm_tokenizer *t = tool_tokenizer(g);
	tool_stretch_open(&in, argv[at]);
	struct llm_records r = {.tokenizer = t, .n_tok = opt.n_tok, .at = place};
	split(&r, &in);
	tool_flush();
	llm_records_free(&r);
	tool_stretch_free(&in);
	tool_tokenizer_close(t);
	tool_unguard(g);
	llm_gguf_close(g);
	free(path);
	tool_exit(0);
}
