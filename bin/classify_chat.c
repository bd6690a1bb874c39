/*
 * SPDX-License-Identifier: ISC
 *
 * llm-classify by a chat model: the instruction and the examples as turns of a conversation, the labels as
 * its possible answers; see classify.h.
 */
#include "bin/classify.h"
#include "bin/tool_ask.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Text that grows. */
struct text {
	char *s;
	size_t n, cap;
};

static void
add(struct text *t, const char *s)
{
	size_t n = strlen(s);
	if (t->n + n + 1 > t->cap) {
		size_t cap = 2 * (t->n + n + 1);
		char *more = realloc(t->s, cap);
		if (more == NULL)
			tool_fail(
			    LLM_ENOMEM, "out of memory: an instruction of %zu bytes", cap);
		t->s = more;
		t->cap = cap;
	}
	memcpy(t->s + t->n, s, n + 1);
	t->n += n;
}

static const char text_mark[] = "Text: ";

/* What stands before the first text. */
static char *
instruction(const struct classify *c, const char *prompt)
{
	struct text t = {0};
	bool described = false;
	for (int i = 0; i < c->n_label; i++)
		described = described || c->description[i] != NULL;
	add(&t, prompt != NULL ? prompt : "Which label fits the text?");
	add(&t, " Answer with one of these labels and nothing else:");
	for (int i = 0; i < c->n_label; i++) {
		add(&t, described ? "\n- " : i > 0 ? ", " : " ");
		add(&t, c->label[i]);
		if (c->description[i] != NULL) {
			add(&t, ": ");
			add(&t, c->description[i]);
		}
	}
	add(&t, described ? "\n\n" : ".\n\n");
	add(&t, text_mark);
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
		struct text t = {0};
		add(&t, i == 0 ? before : text_mark);
		add(&t, e->text);
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
