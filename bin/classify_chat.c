/*
 * SPDX-License-Identifier: ISC
 *
 * llm-classify by a chat model: the instruction and the examples as turns of a conversation, the labels as
 * its possible answers; see classify.h.
 */
#include "bin/classify.h"
#include "bin/tool_ask.h"
#include "bin/tool_buffer.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char text_mark[] = "Text: ";

/* What stands before the first text. */
static char *
instruction(const struct classify *c, const char *prompt)
{
	struct tool_buffer t = {0};
	bool described = false;
	for (int i = 0; i < c->n_label; i++)
		described = described || c->description[i] != NULL;
	tool_buffer_puts(&t, prompt != NULL ? prompt : "Which label fits the text?");
	tool_buffer_puts(&t, " Answer with one of these labels and nothing else:");
	for (int i = 0; i < c->n_label; i++) {
		tool_buffer_puts(&t, described ? "\n- " : i > 0 ? ", " : " ");
		tool_buffer_puts(&t, c->label[i]);
		if (c->description[i] != NULL) {
			tool_buffer_puts(&t, ": ");
			tool_buffer_puts(&t, c->description[i]);
		}
	}
	tool_buffer_puts(&t, described ? "\n\n" : ".\n\n");
	tool_buffer_puts(&t, text_mark);
	return t.s;
}

/* The examples as turns; before is what stands before the first text. */
static struct llm_message *
turns(const struct classify *c, const char *before)
{
	size_t n = 2 * (size_t)c->n_example;
	struct llm_message *m = calloc(n + 1, sizeof *m);
	if (m == NULL)
		tool_fail(LLM_ENOMEM, "out of memory: %d examples", c->n_example);
	for (int i = 0; i < c->n_example; i++) {
		const struct classify_example *e = &c->example[i];
		struct tool_buffer t = {0};
		tool_buffer_puts(&t, i == 0 ? before : text_mark);
		tool_buffer_puts(&t, e->text);
		m[2 * i] =
		    (struct llm_message){.role = LLM_ROLE_USER, .text = t.s, .n_text = t.n};
		m[2 * i + 1] = (struct llm_message){.role = LLM_ROLE_ASSISTANT,
		    .text = c->label[e->label],
		    .n_text = strlen(c->label[e->label])};
	}
	return m;
}

struct chat {
	struct tool_ask *ask;
	const struct classify_run_params *params;
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
	c->params->emit(NULL, rec, value);
}

void
classify_chat(
    const struct classify *c, struct tool_records *r, const struct classify_run_params *params)
{
	struct tool_engine engine;
	char *before = instruction(c, params->prompt);
	struct llm_message *message = turns(c, before);
	tool_engine_open(&engine);
	struct tool_ask_params ask_params = {.message = message,
	    .n_message = 2 * (size_t)c->n_example,
	    .before = c->n_example == 0 ? before : text_mark,
	    .after = "",
	    .label = c->label,
	    .n_label = c->n_label,
	    .template = params->template,
	    .max_prompts = params->max_prompts,
	    .calibrate = params->calibrate};
	struct chat chat = {tool_ask_open(&engine, &ask_params), params};
	struct tool_queue *queue =
	    tool_queue_new(&(struct tool_queue_maker){.n_value = c->n_label + 1,
		.add = chat_add,
		.run = chat_run,
		.value = chat_value,
		.emit = chat_emit,
		.context = &chat});
	tool_queue_pump(queue, r, NULL);
	tool_queue_free(queue);
	tool_ask_close(chat.ask);
	tool_engine_close(&engine);
	for (int i = 0; i < c->n_example; i++)
		free((char *)(uintptr_t)message[2 * i].text);
	free(message);
	free(before);
}
