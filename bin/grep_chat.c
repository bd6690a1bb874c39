/*
 * SPDX-License-Identifier: ISC
 *
 * llm-grep by a chat model: a question about each record, and whether its answer begins with yes or with
 * no; see grep.h.
 */
#include "bin/grep.h"
#include "bin/tool_ask.h"

#include <stdlib.h>
#include <string.h>

static const char *const answers[] = {"Yes", "No"};

struct chat {
	struct tool_ask *ask;
	struct tool_records *records;
	struct grep_output *output;
	double margin;
};

static int
chat_add(void *context, const struct tool_record *rec, int n, struct llm_err *err)
{
	const struct chat *c = context;
	(void)n;
	return tool_ask_add(c->ask, rec, err);
}

static void
chat_run(void *context)
{
	const struct chat *c = context;
	tool_ask_run(c->ask);
}

static int
chat_value(void *context, int i, double *value, struct llm_err *err)
{
	const struct chat *c = context;
	(void)err;
	tool_ask_value(c->ask, i, value);
	return 0;
}

static void
chat_emit(void *context, const struct tool_record *rec, const double *value)
{
	const struct chat *c = context;
	double lead = value != NULL ? value[0] - value[1] : 0;
	grep_output_record(c->output, rec, lead > 0 && lead >= c->margin);
	tool_records_progress(c->records, rec->n, rec->end_byte);
}

static bool
chat_more(void *context)
{
	const struct chat *c = context;
	return grep_output_go_on(c->output);
}

static const char before_question[] = "Answer Yes or No. ", before_line[] = "\n\nLine: ";

void
grep_chat(const char *question, struct tool_records *r, struct grep_output *o,
    const struct grep_options *options)
{
	struct tool_engine engine;
	size_t n = strlen(question) + sizeof before_question + sizeof before_line;
	char *before = malloc(n);
	if (before == NULL)
		tool_fail(LLM_ENOMEM, "out of memory: a question of %zu bytes", n);
	snprintf(before, n, "%s%s%s", before_question, question, before_line);
	tool_engine_open(&engine);
	struct tool_ask_params params = {.before = before,
	    .after = "",
	    .label = answers,
	    .n_label = 2,
	    .template = options->template,
	    .max_prompts = options->max_prompts,
	    .calibrate = options->calibrate};
	struct chat chat = {.ask = tool_ask_open(&engine, &params),
	    .records = r,
	    .output = o,
	    .margin = options->margin};
	struct tool_queue *queue = tool_queue_new(&(struct tool_queue_maker){.n_value = 3,
	    .add = chat_add,
	    .run = chat_run,
	    .value = chat_value,
	    .emit = chat_emit,
	    .context = &chat});
	tool_queue_pump(queue, r, chat_more);
	tool_queue_free(queue);
	tool_ask_close(chat.ask);
	tool_engine_close(&engine);
	free(before);
}
