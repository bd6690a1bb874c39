/*
 * SPDX-License-Identifier: ISC
 *
 * llm-split: text into NUL-ended records of at most N tokens, for programs that take one at a time.
 */
#include "bin/tool.h"
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

/* What is read and not yet written; base bytes of the input were. */
struct input {
	struct tool_input in;
	char *buf;
	size_t n, cap, base;
	bool end;
};

/* Reads until want bytes or the end are there. */
static void
input_fill(struct input *in, size_t want)
{
	while (!in->end && in->n < want) {
		if (in->cap == in->n) {
			size_t cap = in->cap == 0 ? 1 << 16 : in->cap * 2;
			char *buf = in->cap > SIZE_MAX / 2 ? NULL : realloc(in->buf, cap);
			if (buf == NULL)
				tool_fail(LLM_ENOMEM, "out of memory: %zu bytes of text", cap);
			in->buf = buf;
			in->cap = cap;
		}
		size_t got = tool_read(&in->in, in->buf + in->n, in->cap - in->n);
		const char *nul = memchr(in->buf + in->n, '\0', got);
		if (nul != NULL)
			tool_fail(LLM_EDATA,
			    "%s: a NUL at byte %zu, where records are ended by one",
			    in->in.name, in->base + (size_t)(nul - in->buf));
		in->n += got;
		in->end = got == 0;
	}
}

static void
split(struct llm_records *r, struct input *in)
{
	struct llm_err err;
	size_t want = 1;
	for (;;) {
		input_fill(in, want);
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
		memmove(in->buf, in->buf + at, in->n - at);
		in->n -= at;
		in->base += at;
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
	struct llm_tokenizer *t;
	struct input in = {0};
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
	if (llm_tokenizer_open(&t, g, &err) < 0)
		tool_die(&err);
	tool_open(&in.in, argv[at]);
	struct llm_records r = {.tokenizer = t, .n_tok = opt.n_tok, .at = place};
	split(&r, &in);
	tool_flush();
	llm_records_free(&r);
	free(in.buf);
	llm_tokenizer_close(t);
	tool_unguard(g);
	llm_gguf_close(g);
	free(path);
	tool_exit(0);
}
