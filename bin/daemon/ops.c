/*
 * SPDX-License-Identifier: ISC
 *
 * What a request may ask for, and the answers that need no computing; see request.h.
 */
#include "bin/daemon/peer.h"
#include "bin/daemon/request.h"
#include "bin/tool.h"

#include <string.h>

/* The embedder that was made is the model's, unless another request has made one meanwhile. */
static void
run_embed(struct request *r)
{
	struct llm_err err;
	if (r->opened != NULL)
		r->job.embedder = model_embedder(r->model, &r->embed);
	if (r->opened != NULL && r->job.embedder == NULL) {
		if (model_embedder_add(r->model, &r->embed, r->opened, &err) < 0) {
			request_failed(r, &err);
			return;
		}
		r->job.embedder = r->opened;
		r->opened = NULL;
	}
	request_compute(r);
}

static void
run_load(struct request *r)
{
	struct llm_wire_out *o = request_reply(r);
	llm_wire_open_map(o, "done");
	llm_wire_put_uint(o, "bytes", r->model->resident->bytes);
	llm_wire_close(o);
	peer_send(r->peer);
	request_end(r);
}

static void
run_unload(struct request *r)
{
	struct llm_err err;
	struct llm_wire_bytes name = {0};
	uint64_t bytes = 0;
	char path[4096];
	int rc = llm_wire_get_bytes(&name, r->map, "model", &err);
	if (rc == 0 || (rc > 0 && (name.n >= sizeof path || memchr(name.s, '\0', name.n))))
		rc = llm_err_set(&err, LLM_ENOINPUT, "unload: no model is named");
	if (rc > 0) {
		memcpy(path, name.s, name.n);
		path[name.n] = '\0';
		rc = models_unload(&bytes, r->daemon->models, path, &err);
	}
	if (rc < 0) {
		request_failed(r, &err);
		return;
	}
	struct llm_wire_out *o = request_reply(r);
	llm_wire_open_map(o, "done");
	llm_wire_put_uint(o, "bytes", bytes);
	llm_wire_close(o);
	peer_send(r->peer);
	request_end(r);
}

static void
run_weights(struct request *r)
{
	struct llm_err err;
	const struct resident *x = r->model->resident;
	if (!peer_passes(r->peer)) {
		llm_err_set(&err, LLM_EBUSY,
		    "%d descriptors are on their way to this client, and no more may be",
		    PEER_PASSING);
		request_failed(r, &err);
		return;
	}
	int fd = resident_fd(x);
	if (fd < 0) {
		llm_err_set(&err, LLM_EUNAVAILABLE,
		    "%s: no one descriptor has all of its weights", llm_gguf_path(x->gguf));
		request_failed(r, &err);
		return;
	}
	peer_pass(r->peer, fd);
	struct llm_wire_out *o = request_reply(r);
	llm_wire_open_map(o, "done");
	llm_wire_put_uint(o, "bytes", x->bytes);
	llm_wire_put_bool(o, "packed", x->memory >= 0);
	llm_wire_close(o);
	peer_send(r->peer);
	request_end(r);
}

static void
run_tokenize(struct request *r)
{
	struct llm_wire_out *o = request_reply(r);
	llm_wire_open_map(o, "done");
	llm_wire_put_ids(o, "ids", r->ids.v, r->ids.n);
	llm_wire_close(o);
	peer_send(r->peer);
	request_end(r);
}

static void
run_detokenize(struct request *r)
{
	struct llm_wire_out *o = request_reply(r);
	llm_wire_open_map(o, "done");
	llm_wire_put_bin(o, "text", r->out, r->n_out);
	llm_wire_close(o);
	peer_send(r->peer);
	request_end(r);
}

static void
run_cancel(struct request *r)
{
	struct llm_err err;
	int64_t id = -1;
	int rc = llm_wire_get_int(&id, r->map, "target", 0, UINT32_MAX, &err);
	if (rc == 0)
		rc = llm_err_set(&err, LLM_EPROTOCOL, "cancel: no target is named");
	if (rc < 0) {
		request_failed(r, &err);
		return;
	}
	struct request *target = request_find(r, (uint32_t)id);
	if (target != NULL)
		request_cancel(target);
	struct llm_wire_out *o = request_reply(r);
	llm_wire_open_map(o, "done");
	llm_wire_put_bool(o, "found", target != NULL);
	llm_wire_close(o);
	peer_send(r->peer);
	request_end(r);
}

static void
run_stop(struct request *r)
{
	struct daemon *d = r->daemon;
	bool now = false;
	struct llm_err err;
	if (llm_wire_get_bool(&now, r->map, "now", &err) < 0) {
		request_failed(r, &err);
		return;
	}
	struct llm_wire_out *o = request_reply(r);
	llm_wire_open_map(o, "done");
	llm_wire_close(o);
	peer_send(r->peer);
	event("stop: client %d asks", (int)r->client_pid);
	request_end(r);
	daemon_stop(d, now);
}

static const struct op ops[] = {
    {"generate", ask_generate, make_prompt, request_compute, true, false},
    {"chat", ask_chat, make_chat, request_compute, true, false},
    {"score", ask_score, make_prompt, request_compute, true, false},
    {"labels", ask_labels, make_labels, request_compute, true, false},
    {"embed", ask_embed, make_embedder, run_embed, true, true},
    {"tokenize", ask_text, make_ids, run_tokenize, true, false},
    {"detokenize", ask_ids, make_text, run_detokenize, true, false},
    {"status", NULL, NULL, run_status, false, false},
    {"stats", NULL, NULL, run_stats, false, false},
    {"load", NULL, NULL, run_load, true, false},
    {"unload", NULL, NULL, run_unload, false, false},
    {"weights", NULL, NULL, run_weights, true, false},
    {"stop", NULL, NULL, run_stop, false, false},
    {"cancel", NULL, NULL, run_cancel, false, false},
};

const struct op *
op_find(const char *name, size_t n)
{
	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
		if (strlen(ops[i].name) == n && memcmp(ops[i].name, name, n) == 0)
			return &ops[i];
	return NULL;
}
