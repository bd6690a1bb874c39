/*
 * SPDX-License-Identifier: ISC
 *
 * A window of a text scored here or by the daemon; see score.h.
 */
#include "bin/score.h"
#include "bin/tool_daemon.h"

#include <stdlib.h>

void
score_open(struct score *s, struct tool_engine *e, const struct llm_score_params *params)
{
	*s = (struct score){.engine = e, .params = *params};
	s->daemon = tool_daemon_open(e->model->gguf, tool_run.verbose);
}

void
score_close(struct score *s)
{
	llm_score_free(s->score);
	tool_daemon_close(s->daemon);
}

/* A window on its way. */
struct asked {
	const struct score *score;
	const llm_token *ids;
	size_t n, from;
	size_t n_taken; /* items that came */
};

static void
put(void *context, struct llm_wire_out *o)
{
	const struct asked *q = context;
	llm_wire_put_ids(o, "ids", q->ids, q->n);
	llm_wire_put_int(o, "from", (int64_t)q->from);
	llm_wire_put_int(o, "top", q->score->params.n_top);
	tool_daemon_put_run(o);
}

static int
strange(struct llm_err *err)
{
	return llm_err_set(
	    err, LLM_EPROTOCOL, "the daemon's scores are not those of this text");
}

/* [[id, nats], ..] */
static int
take_top(struct llm_score_item *item, struct llm_score_choice *top, int cap,
    const struct llm_wire_value *v)
{
	size_t n = llm_wire_n(v);
	int64_t id;
	if (!llm_wire_is_array(v) || n > (size_t)cap)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const struct llm_wire_value *one = llm_wire_item(v, i);
		if (!llm_wire_is_array(one) || llm_wire_n(one) != 2 ||
		    !llm_wire_as_int(&id, llm_wire_item(one, 0)) || id < 0 || id > INT32_MAX ||
		    !llm_wire_as_float(&top[i].nats, llm_wire_item(one, 1)))
			return -1;
		top[i].id = (llm_token)id;
	}
	item->top = top;
	item->n_top = (int)n;
	return 0;
}

/* [id, nats or nil] or [id, nats, top]: the next token of the window. */
static int
take_item(struct asked *q, struct llm_score_choice *top, const struct llm_wire_value *v,
    struct llm_err *err)
{
	const struct llm_score_params *params = &q->score->params;
	size_t n = llm_wire_n(v);
	int64_t id;
	if (!llm_wire_is_array(v) || n < 2 || n > 3 || q->n_taken == q->n ||
	    !llm_wire_as_int(&id, llm_wire_item(v, 0)) || id != q->ids[q->n_taken])
		return strange(err);
	struct llm_score_item item = {.id = (llm_token)id};
	if (!llm_wire_is_nil(llm_wire_item(v, 1))) {
		item.scored = true;
		if (!llm_wire_as_float(&item.nats, llm_wire_item(v, 1)) ||
		    (n == 3 && take_top(&item, top, params->n_top, llm_wire_item(v, 2)) < 0))
			return strange(err);
	}
	q->n_taken++;
	params->emit(params->context, &item);
	return 0;
}

static int
take(void *context, const struct llm_wire_value *m, struct llm_err *err)
{
	struct asked *q = context;
	const struct llm_wire_value *items = NULL, *done = NULL;
	int rc = llm_wire_get_array(&items, m, "items", err);
	if (rc >= 0)
		rc = llm_wire_get_map(&done, m, "done", err);
	if (rc < 0)
		return rc;
	struct llm_score_choice *top =
	    malloc(((size_t)q->score->params.n_top + 1) * sizeof *top);
	if (top == NULL)
		return llm_err_nomem(err, sizeof *top);
	for (size_t i = 0; rc >= 0 && items != NULL && i < llm_wire_n(items); i++)
		rc = take_item(q, top, llm_wire_item(items, i), err);
	free(top);
	if (rc >= 0 && done != NULL && q->n_taken != q->n)
		rc = strange(err);
	return rc < 0 ? rc : 0;
}

static bool
begun(void *context)
{
	const struct asked *q = context;
	return q->n_taken > 0;
}

int
score_window(struct score *s, const llm_token *ids, size_t n, size_t from, struct llm_err *err)
{
	struct asked asked = {.score = s, .ids = ids, .n = n, .from = from > 0 ? from : 1};
	const struct tool_daemon_request request = {
	    .op = "score", .put = put, .take = take, .begun = begun, .context = &asked};
	int rc = llm_score_check(s->engine->model, n, err);
	if (rc >= 0 && n > 1) /* of one token nothing is computed */
		rc = tool_daemon_ask(s->daemon, &request, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	if (s->score == NULL &&
	    (rc = llm_score_new(&s->score, tool_engine_pass(s->engine), &s->params, err)) < 0)
		return rc;
	return llm_score_window(s->score, ids, n, from, err);
}
