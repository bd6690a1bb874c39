/*
 * SPDX-License-Identifier: ISC
 *
 * Requests to the daemon, and what it says of itself; see ctl.h.
 */
#include "bin/ctl.h"
#include "libcore/clock.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Escape sequence: clear the line from the cursor on. */
#define CLEAR "\r\033[K"

enum { LOOK_MS = 200 }; /* between looks at what ends the wait */

const double ctl_quantiles[CTL_QUANTILES] = {0.5, 0.9, 0.99};

static void
show(const char *line)
{
	/* There is nobody to tell when this fails. */
	ssize_t ignored = write(STDERR_FILENO, line, strlen(line));
	(void)ignored;
}

/* One line on the terminal, written over again and again. */
static void
draw(const struct llm_wire_value *m)
{
	const struct llm_wire_value *p = NULL;
	int64_t done = 0, of = 0;
	char line[120];
	struct llm_err err;
	if (llm_wire_get_map(&p, m, "progress", &err) != 1 ||
	    llm_wire_get_int(&done, p, "done", 0, INT64_MAX, &err) != 1 ||
	    llm_wire_get_int(&of, p, "of", 1, INT64_MAX, &err) != 1)
		return;
	snprintf(line, sizeof line, CLEAR "llmctl: %" PRId64 " of %" PRId64 " MiB", done >> 20,
	    of >> 20);
	show(line);
}

/* A message: 1 where it has ended the request. */
static int
take(const struct llm_wire_value **done, const struct llm_wire_value *m, uint32_t id,
    struct llm_err *err)
{
	struct llm_err said;
	int64_t of = -1;
	int rc = llm_wire_get_err(&said, m, "error", err);
	if (rc < 0 || llm_wire_get_int(&of, m, "id", 0, UINT32_MAX, err) < 0)
		return LLM_EPROTOCOL;
	if (rc > 0 && (of == id || of < 0))
		return llm_err_set(err, said.code, "%s", said.msg);
	return of == id ? llm_wire_get_map(done, m, "done", err) : 0;
}

int
ctl_ask(const struct llm_wire_value **done, struct llm_client *c, const struct ctl_request *r,
    struct llm_err *err)
{
	const struct llm_wire_value *m;
	bool drawn = false, draws = r->progress && isatty(STDERR_FILENO);
	uint32_t id;
	struct llm_wire_out *o = llm_client_request(c, &id, r->op);
	if (r->model != NULL)
		llm_wire_put_str(o, "model", r->model);
	if (r->now)
		llm_wire_put_bool(o, "now", true);
	int rc = llm_client_send(c, err);
	for (int64_t until = llm_clock_ms() + r->timeout_ms; rc == 0;) {
		rc = llm_client_receive(&m, c, LOOK_MS, err);
		if (rc == 0 && ((r->timeout_ms >= 0 && llm_clock_ms() > until) ||
				   (r->over != NULL && *r->over != 0)))
			rc = llm_err_set(err, LLM_EUNAVAILABLE, "the daemon does not answer");
		if (rc != 1)
			continue;
		if (draws) {
			draw(m);
			drawn = true;
		}
		rc = take(done, m, id, err);
	}
	if (drawn)
		show(CLEAR);
	return rc < 0 ? rc : 0;
}

/* A number that is 0 where it is absent. */
static int
number(int64_t *out, const struct llm_wire_value *map, const char *key, struct llm_err *err)
{
	*out = 0;
	return llm_wire_get_int(out, map, key, INT64_MIN, INT64_MAX, err);
}

static int
text(struct llm_wire_bytes *out, const struct llm_wire_value *map, const char *key,
    struct llm_err *err)
{
	*out = (struct llm_wire_bytes){"", 0};
	return llm_wire_get_bytes(out, map, key, err);
}

static int
model_read(struct ctl_model *m, const struct llm_wire_value *v, struct llm_err *err)
{
	if (text(&m->name, v, "name", err) < 0 || text(&m->path, v, "path", err) < 0 ||
	    text(&m->shared, v, "shared", err) < 0 || text(&m->state, v, "state", err) < 0 ||
	    number(&m->n_bytes, v, "bytes", err) < 0 ||
	    number(&m->kv_bytes, v, "kv_bytes", err) < 0 ||
	    number(&m->jobs, v, "jobs", err) < 0 ||
	    llm_wire_get_bool(&m->locked, v, "locked", err) < 0)
		return LLM_EPROTOCOL;
	return 0;
}

static int
peer_read(struct ctl_peer *p, const struct llm_wire_value *v, struct llm_err *err)
{
	if (text(&p->name, v, "name", err) < 0 || text(&p->class, v, "class", err) < 0 ||
	    number(&p->pid, v, "pid", err) < 0 || number(&p->jobs, v, "jobs", err) < 0 ||
	    number(&p->tokens, v, "tokens", err) < 0)
		return LLM_EPROTOCOL;
	return 0;
}

/* Room for the items of the list at key, zeroed, or NULL where there are none. */
static int
list(void **out, const struct llm_wire_value **items, const struct llm_wire_value *map,
    const char *key, size_t size, struct llm_err *err)
{
	*items = NULL;
	*out = NULL;
	int rc = llm_wire_get_array(items, map, key, err);
	if (rc < 0 || llm_wire_n(*items) == 0)
		return rc < 0 ? rc : 0;
	*out = calloc(llm_wire_n(*items), size);
	return *out != NULL ? 0 : llm_err_nomem(err, llm_wire_n(*items) * size);
}

int
ctl_status_read(struct ctl_status *s, const struct llm_wire_value *done, struct llm_err *err)
{
	const struct llm_wire_value *models, *peers;
	*s = (struct ctl_status){.tok_s = 0};
	int rc = list((void **)&s->model, &models, done, "models", sizeof *s->model, err);
	if (rc == 0)
		rc = list((void **)&s->peer, &peers, done, "clients", sizeof *s->peer, err);
	if (rc < 0)
		goto out;
	for (; rc == 0 && s->n_model < llm_wire_n(models); s->n_model++)
		rc = model_read(&s->model[s->n_model], llm_wire_item(models, s->n_model), err);
	for (; rc == 0 && s->n_peer < llm_wire_n(peers); s->n_peer++)
		rc = peer_read(&s->peer[s->n_peer], llm_wire_item(peers, s->n_peer), err);
	if (rc < 0 || (rc = number(&s->pid, done, "pid", err)) < 0 ||
	    (rc = number(&s->uptime_ms, done, "uptime_ms", err)) < 0 ||
	    (rc = number(&s->memory_bytes, done, "memory_bytes", err)) < 0 ||
	    (rc = number(&s->budget_bytes, done, "budget_bytes", err)) < 0 ||
	    (rc = number(&s->queue, done, "queue", err)) < 0 ||
	    (rc = number(&s->running, done, "running", err)) < 0)
		goto out;
	rc = llm_wire_get_float(&s->tok_s, done, "tok_s", err);
out:
	if (rc < 0)
		ctl_status_free(s);
	return rc < 0 ? rc : 0;
}

void
ctl_status_free(struct ctl_status *s)
{
	free(s->model);
	free(s->peer);
	*s = (struct ctl_status){.tok_s = 0};
}

/* Three numbers; none where nothing was measured. */
static int
quantiles(double out[CTL_QUANTILES], const struct llm_wire_value *map, const char *key,
    struct llm_err *err)
{
	const struct llm_wire_value *a = NULL;
	int rc = llm_wire_get_array(&a, map, key, err);
	for (size_t i = 0; i < CTL_QUANTILES; i++) {
		out[i] = NAN;
		if (rc == 1 && i < llm_wire_n(a) &&
		    !llm_wire_as_float(&out[i], llm_wire_item(a, i)))
			out[i] = NAN;
	}
	return rc < 0 ? rc : 0;
}

int
ctl_stats_read(struct ctl_stats *s, const struct llm_wire_value *done, struct llm_err *err)
{
	const struct llm_wire_value *classes = NULL;
	*s = (struct ctl_stats){.n_class = 0};
	if (llm_wire_get_array(&classes, done, "classes", err) < 0 ||
	    llm_wire_get_map(&s->counters, done, "counters", err) < 0)
		return LLM_EPROTOCOL;
	for (; s->n_class < llm_wire_n(classes) && s->n_class < CTL_CLASSES; s->n_class++) {
		struct ctl_class *c = &s->class[s->n_class];
		const struct llm_wire_value *v = llm_wire_item(classes, s->n_class);
		struct llm_wire_bytes name;
		if (text(&name, v, "class", err) < 0 || number(&c->n, v, "n", err) < 0 ||
		    number(&c->tokens, v, "tokens", err) < 0 ||
		    quantiles(c->queue_ms, v, "queue", err) < 0 ||
		    quantiles(c->prefill_ms, v, "prefill", err) < 0 ||
		    quantiles(c->decode_ms, v, "decode", err) < 0)
			return LLM_EPROTOCOL;
		llm_err_quote(c->name, sizeof c->name, name.s, name.n);
		for (int k = 0; c->n == 0 && k < CTL_QUANTILES; k++)
			c->queue_ms[k] = c->prefill_ms[k] = c->decode_ms[k] = NAN;
	}
	return 0;
}
