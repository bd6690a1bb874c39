/*
 * SPDX-License-Identifier: ISC
 *
 * One turn of a conversation: messages to ids, ids to an answer, the answer to standard output and back
 * into the messages as the very ids that were generated.  See chat.h.
 */
#include "bin/chat.h"
#include "bin/tool_sampling.h"
#include "libcore/size.h"
#include "libcore/clock.h"

#include <stdlib.h>
#include <string.h>

void
chat_open(struct chat *c, const struct chat_options *options)
{
	struct llm_template_params params = {.name = options->template, .date = options->date};
	struct llm_err err = {0};
	const char *end;
	*c = (struct chat){.options = options};
	tool_sampling_get(&c->sampling);
	tool_engine_open(&c->engine);
	tool_answer_open(&c->by, &c->engine);
	if (llm_template_open(&c->template, c->engine.model->gguf, &params, &err) < 0)
		tool_die(&err);
	end = llm_template_end(c->template);
	c->end = end == NULL ? -1 : llm_tokenizer_control(c->engine.tokenizer, end);
	chat_reset(c);
	if (tool_run.verbose)
		tool_note("template %s", llm_template_name(c->template));
}

static void
drop_last(struct chat *c)
{
	struct llm_message *m = &c->message[--c->n];
	free((char *)(uintptr_t)m->text);
	free((llm_token *)(uintptr_t)m->ids);
}

void
chat_close(struct chat *c)
{
	while (c->n > 0)
		drop_last(c);
	free(c->message);
	llm_ids_free(&c->answer);
	llm_ids_free(&c->prompt);
	tool_answer_close(&c->by);
	llm_template_close(c->template);
	tool_engine_close(&c->engine);
}

static void
push(struct chat *c, struct llm_message m)
{
	size_t bytes;
	if (c->n == c->cap) {
		size_t cap = c->cap < 16 ? 16 : 2 * c->cap;
		struct llm_message *more = NULL;
		if (!llm_size_mul(&bytes, cap, sizeof m) ||
		    (more = realloc(c->message, bytes)) == NULL)
			tool_fail(LLM_ENOMEM, "out of memory after %zu messages", c->n);
		c->message = more;
		c->cap = cap;
	}
	c->message[c->n++] = m;
}

static void
push_text(struct chat *c, enum llm_role role, const char *text, size_t n)
{
	char *copy = malloc(n + 1);
	if (copy == NULL)
		tool_fail(LLM_ENOMEM, "out of memory: a message of %zu bytes", n);
	memcpy(copy, text, n);
	push(c, (struct llm_message){.role = role, .text = copy, .n_text = n});
	/* cppcheck-suppress memleak ; the message owns it */
}

void
chat_add(struct chat *c, enum llm_role role, const char *text, size_t n, struct llm_ids *ids)
{
	if (ids == NULL || ids->n == 0) {
		push_text(c, role, text, n);
		return;
	}
	push(c, (struct llm_message){.role = role, .ids = ids->v, .n_ids = ids->n});
	*ids = (struct llm_ids){0};
}

void
chat_drop(struct chat *c)
{
	drop_last(c);
}

bool
chat_take_system(struct chat *c)
{
	const struct llm_message *a = &c->message[0], *b = &c->message[1];
	if (a->role != LLM_ROLE_SYSTEM || b->role != LLM_ROLE_SYSTEM ||
	    a->n_text != b->n_text || memcmp(a->text, b->text, a->n_text) != 0)
		return false;
	free((char *)(uintptr_t)a->text);
	memmove(c->message, c->message + 1, --c->n * sizeof *c->message);
	return true;
}

void
chat_reset(struct chat *c)
{
	/* That of a session stays too. */
	size_t keep = c->n > 0 && c->message[0].role == LLM_ROLE_SYSTEM ? 1 : 0;
	while (c->n > keep)
		drop_last(c);
	if (c->n == 0 && c->options->system != NULL)
		push_text(c, LLM_ROLE_SYSTEM, c->options->system, strlen(c->options->system));
}

/* The ids of all messages and of the beginning of an answer. */
static void
encode(struct llm_ids *ids, const struct chat *c)
{
	struct llm_prompt p = {0};
	struct llm_err err = {0};
	if (llm_template_render(&p, c->template, c->message, c->n, &err) < 0 ||
	    llm_prompt_encode(ids, &p, c->engine.tokenizer, &err) < 0)
		tool_die(&err);
	llm_prompt_free(&p);
}

/* The beginning that the last turn's prompt would have with this text in place of the user's. */
static size_t
shared(struct chat *c, const char *text)
{
	struct llm_ids ids = {0};
	size_t n = 0;
	push_text(c, LLM_ROLE_USER, text, strlen(text));
	encode(&ids, c);
	drop_last(c);
	while (n < ids.n && n < c->prompt.n && ids.v[n] == c->prompt.v[n])
		n++;
	llm_ids_free(&ids);
	return n;
}

/* How much of the last turn's prompt may be kept. */
static size_t
keepable(struct chat *c)
{
	enum chat_scope scope = c->options->scope;
	size_t n = c->n, first = n > 0 && c->message[0].role == LLM_ROLE_SYSTEM ? 1 : 0;
	struct llm_message user = {0};
	if (scope == CHAT_KEEP_ALL)
		return c->prompt.n;
	/* The conversation without what was said in it, for as long as this takes. */
	if (n > first)
		user = c->message[first];
	c->n = first;
	size_t kept = shared(c, scope == CHAT_KEEP_PROMPT ? c->options->prompt : "");
	if (n > first)
		c->message[first] = user;
	c->n = n;
	return kept;
}

void
chat_keep(struct chat *c)
{
	tool_close();
	tool_answer_keep(&c->by, c->prompt.v, c->n_keep);
}

void
chat_keep_all(struct chat *c)
{
	tool_answer_keep(&c->by, NULL, 0);
}

size_t
chat_count(struct chat *c, const char *text, size_t n)
{
	struct llm_ids ids = {0};
	push_text(c, LLM_ROLE_USER, text, n);
	encode(&ids, c);
	n = ids.n;
	llm_ids_free(&ids);
	drop_last(c);
	return n;
}

/* Prints all but the newlines at the end, and keeps the ids. */
static void
on_part(void *context, const struct llm_answer_part *part)
{
	struct chat *c = context;
	struct llm_err err;
	size_t n = part->n_bytes;
	for (size_t i = 0; i < part->n_ids; i++)
		if (llm_ids_push(&c->answer, part->ids[i], &err) < 0)
			tool_die(&err);
	while (n > 0 && part->bytes[n - 1] == '\n')
		n--;
	if (n > 0) {
		for (; c->newlines > 0; c->newlines--)
			tool_write("\n", 1);
		tool_write(part->bytes, n);
		tool_flush();
	}
	c->newlines += part->n_bytes - n;
}

static void
on_progress(void *context, int done)
{
	struct chat *c = context;
	(void)done;
	c->first = llm_clock_s();
}

static void
report(const struct chat *c, const struct llm_generate_result *r)
{
	tool_note(
	    "prompt %d tokens, %d of them computed before, the others in %.3f s; answer %d "
	    "tokens in %.3f s; stop: %s",
	    r->n_prompt, r->n_kept, c->first - c->begin, r->n_out, llm_clock_s() - c->first,
	    llm_generate_stop_name(r->stop));
}

/* The answer becomes a message; a question without an answer is taken back. */
static void
keep_answer(struct chat *c, enum llm_generate_stop stop)
{
	struct llm_err err;
	if (c->answer.n == 0 && stop == LLM_GENERATE_CANCEL) {
		drop_last(c);
		return;
	}
	/* Never NULL, which would mean text. */
	if (llm_ids_reserve(&c->answer, 1, &err) < 0)
		tool_die(&err);
	push(c, (struct llm_message){
		    .role = LLM_ROLE_ASSISTANT, .ids = c->answer.v, .n_ids = c->answer.n});
	c->answer = (struct llm_ids){0};
}

static int
run(enum llm_generate_stop *stop, struct chat *c, const struct llm_ids *prompt,
    bool (*cancel)(void *), struct llm_err *err)
{
	struct llm_generate_result result;
	struct llm_answer_params params = {.tokenizer = c->engine.tokenizer,
	    .sampling = &c->sampling,
	    .vector = c->engine.kernels->vector,
	    .stop = tool_sampling.stop,
	    .n_stop = tool_sampling.n_stop,
	    .end = &c->end,
	    .n_end = c->end >= 0,
	    .drop_space = llm_tokenizer_kind(c->engine.tokenizer) == LLM_TOKENIZER_SPM,
	    .emit = on_part,
	    .context = c};
	struct llm_generate_request request = {.prompt = prompt->v,
	    .n_prompt = prompt->n,
	    .n_max = c->options->n_max,
	    .n_draft = tool_sampling.draft,
	    .answer = &params,
	    .cancel = cancel,
	    .progress = on_progress,
	    .context = c};
	c->begin = llm_clock_s();
	c->first = c->begin;
	c->n_keep = keepable(c);
	int r = tool_answer_run(&result, &c->by, &request, c->n_keep, err);
	if (r < 0)
		return r;
	*stop = result.stop;
	tool_write("\n", 1);
	tool_flush();
	if (tool_run.verbose)
		report(c, &result);
	return 0;
}

int
chat_ask(enum llm_generate_stop *stop, struct chat *c, const char *text, size_t n,
    bool (*cancel)(void *context), struct llm_err *err)
{
	int r;
	push_text(c, LLM_ROLE_USER, text, n);
	c->prompt.n = 0;
	encode(&c->prompt, c);
	c->answer.n = c->newlines = 0;
	r = run(stop, c, &c->prompt, cancel, err);
	if (r >= 0)
		keep_answer(c, *stop);
	else if (r == LLM_ETOOLONG)
		drop_last(c);
	else
		tool_die(err);
	return r;
}

bool
chat_tell_cut(const struct chat *c, enum llm_generate_stop stop)
{
	if (stop == LLM_GENERATE_LIMIT)
		tool_note("the answer is cut after %d tokens (-n)", c->options->n_max);
	else if (stop == LLM_GENERATE_CONTEXT)
		tool_note("the answer is cut: the context of %d tokens is full",
		    tool_answer_n_ctx(&c->by));
	return stop == LLM_GENERATE_LIMIT || stop == LLM_GENERATE_CONTEXT;
}
