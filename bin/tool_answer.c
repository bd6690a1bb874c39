/*
 * SPDX-License-Identifier: ISC
 *
 * An answer computed here or by the daemon; see tool_answer.h.
 */
#include "bin/tool_answer.h"
#include "bin/tool_daemon.h"
#include "generate/decode.h"

#include <stdlib.h>
#include <string.h>

void
tool_answer_open(struct tool_answer *a, struct tool_engine *e)
{
	*a = (struct tool_answer){.engine = e};
	a->daemon = tool_daemon_open(e->model->gguf, tool_run.verbose);
}

void
tool_answer_close(struct tool_answer *a)
{
	tool_prefix_close(&a->prefix);
	llm_generate_free(a->generate);
	tool_daemon_close(a->daemon);
}

int
tool_answer_n_ctx(const struct tool_answer *a)
{
	return a->engine->model->config.n_ctx;
}

/* By the daemon. */

/* A request on its way. */
struct asked {
	const struct llm_generate_request *request;
	struct llm_generate_result *result;
	size_t n_keep;
	bool prompt_done; /* progress was told of all of the prompt */
	bool begun;       /* a part was handed on */
};

static void
put_sampling(struct llm_wire_out *o, const struct llm_sampling *s)
{
	llm_wire_put_float(o, "temp", (double)s->temp);
	llm_wire_put_int(o, "top_k", s->top_k);
	llm_wire_put_float(o, "top_p", s->top_p);
	llm_wire_put_float(o, "min_p", s->min_p);
	llm_wire_put_float(o, "repeat_penalty", (double)s->repeat_penalty);
	llm_wire_put_uint(o, "seed", s->seed);
	llm_wire_put_uint(o, "choice", s->choice);
	if (s->n_bias == 0)
		return;
	llm_wire_open_array(o, "bias");
	for (int i = 0; i < s->n_bias; i++) {
		llm_wire_open_array(o, NULL);
		llm_wire_put_int(o, NULL, s->bias[i].id);
		llm_wire_put_float(o, NULL, (double)s->bias[i].add);
		llm_wire_close(o);
	}
	llm_wire_close(o);
}

static void
put(void *context, struct llm_wire_out *o)
{
	const struct asked *q = context;
	const struct llm_generate_request *r = q->request;
	const struct llm_answer_params *p = r->answer;
	llm_wire_put_ids(o, "ids", r->prompt, r->n_prompt);
	llm_wire_put_int(o, "n", r->n_max < 0 ? -1 : r->n_max);
	llm_wire_put_int(o, "draft", r->n_draft);
	put_sampling(o, p->sampling);
	if (p->n_stop > 0) {
		llm_wire_open_array(o, "stop");
		for (int i = 0; i < p->n_stop; i++)
			llm_wire_put_bin(o, NULL, p->stop[i], strlen(p->stop[i]));
		llm_wire_close(o);
	}
	if (p->n_end > 0)
		llm_wire_put_ids(o, "end", p->end, (size_t)p->n_end);
	llm_wire_put_bool(o, "drop_space", p->drop_space);
	tool_daemon_put_run(o);
	llm_wire_put_bool(o, "cache", !tool_prefix_off());
	if (q->n_keep < r->n_prompt)
		llm_wire_put_int(o, "keep", (int64_t)q->n_keep);
}

static void
on_progress(void *context, int done)
{
	struct asked *q = context;
	const struct llm_generate_request *r = q->request;
	if (r->progress != NULL && !q->prompt_done)
		r->progress(r->context, done);
	q->prompt_done = q->prompt_done || (size_t)done >= r->n_prompt;
}

static bool
on_cancel(void *context)
{
	const struct asked *q = context;
	return q->request->cancel(q->request->context);
}

static bool
has_begun(void *context)
{
	const struct asked *q = context;
	return q->begun;
}

static int
take_part(struct asked *q, const struct llm_wire_value *part, struct llm_err *err)
{
	struct llm_wire_bytes text = {.s = ""};
	llm_token *ids = NULL;
	size_t n = 0;
	int rc = llm_wire_get_bytes(&text, part, "text", err);
	if (rc >= 0)
		rc = llm_wire_get_ids(&ids, &n, part, "ids", err);
	if (rc < 0)
		return rc;
	on_progress(q, (int)q->request->n_prompt);
	const struct llm_answer_part p = {
	    .bytes = text.s, .n_bytes = text.n, .ids = ids, .n_ids = n};
	if (q->request->answer->emit != NULL && (text.n > 0 || n > 0))
		q->request->answer->emit(q->request->answer->context, &p);
	q->begun = true;
	free(ids);
	return 0;
}

static int
take_result(struct asked *q, const struct llm_wire_value *done, struct llm_err *err)
{
	static const char *const names[] = {
	    "n_prompt", "n_kept", "n_out", "n_draft", "n_right"};
	struct llm_generate_result *r = q->result;
	int *const to[] = {&r->n_prompt, &r->n_kept, &r->n_out, &r->n_draft, &r->n_right};
	struct llm_wire_bytes stop = {0};
	int rc = llm_wire_get_bytes(&stop, done, "stop", err);
	*r = (struct llm_generate_result){.n_prompt = (int)q->request->n_prompt};
	for (int i = 0; rc >= 0 && i < 5; i++) {
		int64_t v = *to[i];
		rc = llm_wire_get_int(&v, done, names[i], 0, INT32_MAX, err);
		*to[i] = (int)v;
	}
	if (rc < 0)
		return rc;
	for (int i = 0; i <= LLM_GENERATE_CANCEL; i++) {
		const char *name = llm_generate_stop_name((enum llm_generate_stop)i);
		if (stop.n == strlen(name) && memcmp(stop.s, name, stop.n) == 0) {
			r->stop = (enum llm_generate_stop)i;
			return 0;
		}
	}
	return llm_err_set(err, LLM_EPROTOCOL, "the daemon does not say why the answer ended");
}

static int
take(void *context, const struct llm_wire_value *m, struct llm_err *err)
{
	struct asked *q = context;
	const struct llm_wire_value *part = NULL, *done = NULL;
	int rc = llm_wire_get_map(&part, m, "part", err);
	if (rc > 0)
		rc = take_part(q, part, err);
	if (rc >= 0)
		rc = llm_wire_get_map(&done, m, "done", err);
	if (rc > 0)
		rc = take_result(q, done, err);
	return rc;
}

/* Here. */

static int
run(struct llm_generate_result *out, struct tool_answer *a,
    const struct llm_generate_request *r, struct llm_err *err)
{
	if (a->generate == NULL) {
		int rc = llm_generate_new(&a->generate, tool_engine_pass(a->engine), 0, err);
		if (rc < 0)
			return rc;
		tool_prefix_load(&a->prefix, a->engine, a->generate, r->prompt, r->n_prompt);
	}
	return llm_generate_run(out, a->generate, r, err);
}

int
tool_answer_run(struct llm_generate_result *out, struct tool_answer *a,
    const struct llm_generate_request *r, size_t n_keep, struct llm_err *err)
{
	struct asked asked = {.request = r, .result = out, .n_keep = n_keep};
	const struct tool_daemon_request request = {.op = "generate",
	    .put = put,
	    .take = take,
	    .begun = has_begun,
	    .cancel = r->cancel != NULL ? on_cancel : NULL,
	    .progress = on_progress,
	    .context = &asked};
	int rc = llm_decode_check(r->n_prompt, tool_answer_n_ctx(a), a->engine->name, err);
	if (rc >= 0 && r->n_max != 0) /* of nothing there is nothing to ask */
		rc = tool_daemon_ask(a->daemon, &request, err);
	return rc < 0 ? rc : rc > 0 ? 0 : run(out, a, r, err);
}

void
tool_answer_keep(struct tool_answer *a, const llm_token *ids, size_t n)
{
	tool_close();
	if (a->generate == NULL)
		return;
	if (ids == NULL)
		ids = llm_generate_done(&n, a->generate);
	tool_prefix_keep(&a->prefix, a->generate, ids, n);
}
