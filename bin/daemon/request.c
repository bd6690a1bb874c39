/*
 * SPDX-License-Identifier: ISC
 *
 * The way of a request; see request.h.
 */
#include "bin/daemon/request.h"

#include "bin/daemon/peer.h"
#include "bin/daemon/stats.h"
#include "bin/tool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	QUICK_BYTES = 8192
}; /* of text: its ids are made in less than it takes to ask another thread */

struct llm_wire_out *
request_reply(struct request *r)
{
	return r->peer != NULL ? peer_reply(r->peer, r->id) : NULL;
}

static void
request_free(struct request *r)
{
	struct daemon *d = r->daemon;
	d->held_bytes -= r->n_frame;
	ask_free(r);
	llm_wire_msg_free(r->msg);
	free(r->frame);
	free(r);
	d->n_under_way--;
	daemon_ended(d);
}

void
request_end(struct request *r)
{
	if (r->peer != NULL) {
		struct request **at = &r->peer->requests;
		while (*at != r)
			at = &(*at)->next;
		*at = r->next;
		r->peer->n_request--;
	}
	if (r->model != NULL)
		models_release(r->model);
	request_free(r);
}

void
request_failed(struct request *r, const struct llm_err *err)
{
	if (r->peer != NULL)
		peer_error(r->peer, r->id, err);
	request_end(r);
}

static void
result_put(struct llm_wire_out *o, const struct llm_job_result *x)
{
	llm_wire_put_str(o, "stop", llm_generate_stop_name(x->answer.stop));
	llm_wire_put_int(o, "n_prompt", x->answer.n_prompt);
	llm_wire_put_int(o, "n_kept", x->answer.n_kept);
	llm_wire_put_int(o, "n_out", x->answer.n_out);
	llm_wire_put_int(o, "n_draft", x->answer.n_draft);
	llm_wire_put_int(o, "n_right", x->answer.n_right);
	llm_wire_put_int(o, "queue_us", x->queue_us);
	llm_wire_put_int(o, "prefill_us", x->prefill_us);
	llm_wire_put_int(o, "decode_us", x->decode_us);
}

/* The last reply of one that was cancelled before it was computed. */
static void
cancelled_end(struct request *r)
{
	struct llm_wire_out *o = request_reply(r);
	stats_count(r->daemon->stats, STATS_CANCELLED);
	if (o != NULL) {
		const struct llm_job_result none = {.answer.stop = LLM_GENERATE_CANCEL};
		llm_wire_open_map(o, "done");
		result_put(o, &none);
		llm_wire_close(o);
		peer_send(r->peer);
	}
	request_end(r);
}

void
request_cancel(struct request *r)
{
	bool waits = r->state == REQUEST_WAITS;
	if (r->cancelled)
		return;
	r->cancelled = true;
	if (r->state == REQUEST_COMPUTES)
		engine_cancel(r->daemon->engine, &r->job);
	if (waits) {
		models_forget(r->model, r);
		cancelled_end(r);
	}
}

struct request *
request_orphan(struct request *r)
{
	struct request *next = r->next;
	r->peer = NULL;
	r->next = NULL;
	request_cancel(r);
	return next;
}

struct request *
request_find(const struct request *r, uint32_t id)
{
	if (r->peer == NULL)
		return NULL;
	for (struct request *x = r->peer->requests; x != NULL; x = x->next)
		if (x != r && x->id == id)
			return x;
	return NULL;
}

/* With its model. */

void
request_progress(struct request *r, uint64_t done, uint64_t of)
{
	if (r->peer == NULL || strcmp(r->op->name, "load") != 0)
		return;
	struct llm_wire_out *o = request_reply(r);
	llm_wire_open_map(o, "progress");
	llm_wire_put_uint(o, "done", done);
	llm_wire_put_uint(o, "of", of);
	llm_wire_close(o);
	peer_send(r->peer);
}

static void
prepare_work(void *context)
{
	struct request *r = context;
	r->rc = r->op->prepare(r, &r->err);
}

static void
prepared(void *context)
{
	struct request *r = context;
	r->state = REQUEST_NEW;
	if (r->cancelled)
		cancelled_end(r);
	else if (r->rc < 0)
		request_failed(r, &r->err);
	else
		r->op->run(r);
}

/* Whether the model is the one that the client means, where it says so. */
static bool
is_same(struct request *r, struct llm_err *err)
{
	if (r->ident.s == NULL || (r->model->has_ident && r->ident.n == LLM_HASH_BYTES &&
				      memcmp(r->ident.s, r->model->ident.b, r->ident.n) == 0))
		return true;
	llm_err_set(
	    err, LLM_EUNAVAILABLE, "another model: the daemon's file is not the client's");
	return false;
}

void
request_ready(struct request *r)
{
	struct llm_err err;
	bool encoder = r->model->resident->encoder != NULL;
	r->state = REQUEST_NEW;
	if (encoder && r->op->prepare != NULL && r->op->prepare != make_embedder) {
		llm_err_set(&err, LLM_EUNSUPPORTED, "%s is an encoder: it makes vectors only",
		    llm_gguf_path(r->model->resident->gguf));
		request_failed(r, &err);
		return;
	}
	if (!is_same(r, &err)) {
		request_failed(r, &err);
		return;
	}
	r->job.resident = r->model->resident;
	r->job.ident = r->model->ident;
	r->job.has_ident = r->model->has_ident;
	if (r->job.kind == JOB_EMBED)
		r->job.embedder = model_embedder(r->model, &r->embed);
	if (r->op->prepare == NULL || r->job.embedder != NULL) {
		r->op->run(r);
		return;
	}
	if (r->op->slow || r->n_frame > QUICK_BYTES) {
		r->state = REQUEST_PREPARES;
		if (loop_work(r->daemon->loop, prepare_work, prepared, r, &err) < 0) {
			r->state = REQUEST_NEW;
			request_failed(r, &err);
		}
		return;
	}
	prepare_work(r);
	prepared(r);
}

void
request_compute(struct request *r)
{
	r->state = REQUEST_COMPUTES;
	r->job.owner = r;
	r->job.id = r->id;
	r->job.client = r->peer != NULL ? r->peer->number : 0;
	atomic_init(&r->job.cancel, false);
	engine_submit(r->daemon->engine, &r->job);
}

/* From the engine. */

static void
done_put(struct llm_wire_out *o, const struct request *r)
{
	const struct job *j = &r->job;
	bool cancelled = j->result.answer.stop == LLM_GENERATE_CANCEL;
	llm_wire_open_map(o, "done");
	if (j->kind == JOB_GENERATE)
		result_put(o, &j->result);
	else if (cancelled)
		llm_wire_put_str(o, "stop", llm_generate_stop_name(LLM_GENERATE_CANCEL));
	if (j->kind == JOB_SCORE) {
		llm_wire_put_uint(o, "n", j->prompt.n);
		llm_wire_put_float(o, "nats", j->nats);
	}
	if (j->kind == JOB_EMBED) {
		static const char *const pooling[] = {[LLM_POOLING_MEAN] = "mean",
		    [LLM_POOLING_FIRST] = "first",
		    [LLM_POOLING_LAST] = "last"};
		llm_wire_put_int(o, "n_embd", llm_embedder_n_embd(j->embedder));
		llm_wire_put_bin(o, "model", j->ident.b, sizeof j->ident.b);
		llm_wire_put_str(o, "pooling", pooling[llm_embedder_pooling(j->embedder)]);
		llm_wire_put_bool(o, "normalized", llm_embedder_normalized(j->embedder));
	}
	llm_wire_close(o);
}

static void
done(struct request *r)
{
	struct job *j = &r->job;
	struct stats *s = r->daemon->stats;
	bool cancelled = j->result.answer.stop == LLM_GENERATE_CANCEL;
	if (j->rc >= 0 && cancelled)
		stats_count(s, STATS_CANCELLED);
	else if (j->rc >= 0 && (j->kind == JOB_GENERATE || j->kind == JOB_SCORE))
		stats_job(s, j->class, &j->result);
	if (r->daemon->verbose)
		event("client %d: %s %u: %s, %d tokens and %d, %.1f ms", (int)r->client_pid,
		    r->op->name, r->id,
		    j->rc < 0 ? llm_err_name(j->rc)
			      : llm_generate_stop_name(j->result.answer.stop),
		    j->result.answer.n_prompt, j->result.answer.n_out,
		    (double)(j->result.queue_us + j->result.prefill_us + j->result.decode_us) /
			1000);
	if (j->rc < 0) {
		request_failed(r, &j->err);
		return;
	}
	struct llm_wire_out *o = request_reply(r);
	if (o != NULL) {
		done_put(o, r);
		peer_send(r->peer);
	}
	request_end(r);
}

void
requests_notice(struct daemon *d)
{
	for (struct notice *n = engine_notices(d->engine), *next; n != NULL; n = next) {
		next = n->next;
		struct request *r = n->job != NULL ? n->job->owner : NULL;
		switch (n->kind) {
		case NOTICE_FRAMES:
			stats_tokens(d->stats, (uint64_t)n->n_token, loop_now_ms(d->loop));
			if (r->peer != NULL) {
				r->peer->n_token += (uint64_t)n->n_token;
				peer_frames(r->peer, n->bytes, n->n_bytes);
			}
			break;
		case NOTICE_DONE:
			done(r);
			continue; /* it was a part of the job */
		case NOTICE_KEPT:
			keep_start(d, n->kept);
			break;
		case NOTICE_DROPPED:
			models_dropped(d->models, n->resident);
			break;
		}
		free(n);
	}
}

/* Coming. */

/* The fields that all have: 0, and *id set; without an id it is no request. */
static int
head_read(struct request *r, struct llm_err *err)
{
	int64_t id = -1;
	struct llm_wire_bytes op;
	int rc = llm_wire_get_int(&id, r->map, "id", 0, UINT32_MAX, err);
	if (rc == 0)
		rc = llm_err_set(err, LLM_EPROTOCOL, "a request without an id");
	if (rc >= 0 && (rc = llm_wire_get_bytes(&op, r->map, "op", err)) == 0)
		rc = llm_err_set(err, LLM_EPROTOCOL, "a request without an op");
	if (rc < 0)
		return rc;
	r->id = (uint32_t)id;
	if (request_find(r, r->id) != NULL)
		return llm_err_set(
		    err, LLM_EPROTOCOL, "request %u is under way already", r->id);
	r->op = op_find(op.s, op.n);
	return 0;
}

static void
model_get(struct request *r)
{
	struct llm_err err;
	struct llm_wire_bytes name = {0};
	int rc = llm_wire_get_bytes(&name, r->map, "model", &err);
	if (rc == 0)
		rc = llm_err_set(&err, LLM_EPROTOCOL, "%s: no model is named", r->op->name);
	else if (rc > 0 && memchr(name.s, '\0', name.n) != NULL)
		rc = llm_err_set(&err, LLM_ENOINPUT, "a model's name with a NUL in it");
	char *s = rc >= 0 ? malloc(name.n + 1) : NULL;
	if (rc >= 0 && s == NULL)
		rc = llm_err_nomem(&err, name.n);
	if (rc < 0) {
		request_failed(r, &err);
		return;
	}
	memcpy(s, name.s, name.n);
	s[name.n] = '\0';
	r->wants_ident |= llm_wire_get_bytes(&r->ident, r->map, "ident", NULL) > 0;
	/* All has been read; it may wait for long, and the tree is many times as large as the frame. */
	llm_wire_msg_free(r->msg);
	r->msg = NULL;
	r->map = NULL;
	r->state = REQUEST_WAITS;
	models_want(r->daemon->models, r, s);
	free(s);
}

static void
start(struct request *r)
{
	struct llm_err err;
	struct peer *p = r->peer;
	int rc = 0;
	if (r->op == NULL)
		rc = llm_err_set(&err, LLM_EPROTOCOL, "no such op");
	else if (r->op->model && p->n_request > MAX_REQUESTS)
		rc = llm_err_set(&err, LLM_EBUSY,
		    "%d requests of this client are under way, and no more may be",
		    MAX_REQUESTS);
	else if (r->daemon->stopping && r->op->model)
		rc = llm_err_set(&err, LLM_EUNAVAILABLE, "the daemon is stopping");
	else if (r->op->read != NULL)
		rc = r->op->read(r, &err);
	if (rc < 0)
		request_failed(r, &err);
	else if (r->op->model)
		model_get(r);
	else
		r->op->run(r);
}

void
request_take(struct peer *p, const char *bytes, size_t n)
{
	struct llm_err err;
	struct daemon *d = p->daemon;
	struct request *r = calloc(1, sizeof *r);
	char *frame = malloc(n);
	if (r == NULL || frame == NULL) {
		free(r);
		free(frame);
		llm_err_nomem(&err, n);
		peer_refuse(p, &err);
		return;
	}
	memcpy(frame, bytes, n);
	r->daemon = d;
	r->peer = p;
	r->client_pid = p->pid;
	r->frame = frame;
	r->n_frame = n;
	r->next = p->requests;
	p->requests = r;
	p->n_request++;
	d->held_bytes += n;
	d->n_under_way++;
	stats_count(d->stats, STATS_REQUESTS);
	int rc = llm_wire_parse(&r->msg, frame, n, &err);
	if (rc >= 0) {
		r->map = llm_wire_root(r->msg);
		rc = head_read(r, &err);
	}
	if (rc < 0) {
		request_end(r);
		peer_refuse(p, &err);
		return;
	}
	start(r);
}
