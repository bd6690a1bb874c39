/*
 * SPDX-License-Identifier: ISC
 *
 * What the daemon says of itself.
 */
#include "bin/daemon/peer.h"
#include "bin/daemon/request.h"
#include "bin/daemon/stats.h"

#include <unistd.h>

static void
model_put(struct llm_wire_out *o, const struct model *x)
{
	const struct resident *r = x->state == MODEL_READY ? x->resident : NULL;
	char name[MODEL_NAME];
	llm_wire_open_map(o, NULL);
	llm_wire_put_str(o, "name", model_name(name, x));
	llm_wire_put_str(o, "path", x->path);
	if (x->has_ident)
		llm_wire_put_bin(o, "id", x->ident.b, sizeof x->ident.b);
	llm_wire_put_uint(o, "bytes", r != NULL ? r->bytes : atomic_load(&x->watch.of_bytes));
	llm_wire_put_uint(o, "kv_bytes", r != NULL ? atomic_load(&r->kv_bytes) : 0);
	llm_wire_put_bool(o, "locked", x->locked);
	llm_wire_put_str(o, "shared", r != NULL && r->memory >= 0 ? "memory" : "file");
	llm_wire_put_str(o, "state",
	    r != NULL                   ? "ready"
	    : x->state == MODEL_LEAVING ? "leaving"
					: "opening");
	llm_wire_put_int(o, "jobs", x->n_use);
	llm_wire_close(o);
}

static void
client_put(struct llm_wire_out *o, const struct peer *p)
{
	llm_wire_open_map(o, NULL);
	llm_wire_put_int(o, "pid", (int64_t)p->pid);
	llm_wire_put_str(o, "name", p->name);
	llm_wire_put_str(o, "class", stats_class_name(p->class));
	llm_wire_put_int(o, "jobs", p->n_request);
	llm_wire_put_uint(o, "tokens", p->n_token);
	llm_wire_close(o);
}

void
run_status(struct request *r)
{
	struct daemon *d = r->daemon;
	uint64_t now = loop_now_ms(d->loop), kv = 0;
	int running = 0, waiting = 0;
	struct llm_wire_out *o = request_reply(r);
	llm_wire_open_map(o, "done");
	llm_wire_put_int(o, "pid", (int64_t)getpid());
	llm_wire_put_uint(o, "uptime_ms", now - d->start_ms);
	llm_wire_open_array(o, "models");
	for (const struct model *x = models_first(d->models); x != NULL; x = x->next) {
		model_put(o, x);
		if (x->state != MODEL_READY)
			continue;
		kv += atomic_load(&x->resident->kv_bytes);
		running += atomic_load(&x->resident->n_running);
		waiting += atomic_load(&x->resident->n_waiting);
	}
	llm_wire_close(o);
	llm_wire_open_array(o, "clients");
	for (const struct peer *p = d->peers; p != NULL; p = p->next)
		if (p->greeted && !p->dead)
			client_put(o, p);
	llm_wire_close(o);
	llm_wire_put_uint(o, "memory_bytes", models_bytes(d->models) + kv);
	llm_wire_put_uint(o, "budget_bytes", d->memory_bytes);
	llm_wire_put_int(o, "queue", waiting);
	llm_wire_put_int(o, "running", running);
	llm_wire_put_float(o, "tok_s", stats_rate(d->stats, now));
	llm_wire_close(o);
	peer_send(r->peer);
	request_end(r);
}

void
run_stats(struct request *r)
{
	struct llm_wire_out *o = request_reply(r);
	llm_wire_open_map(o, "done");
	stats_put(o, r->daemon->stats);
	llm_wire_close(o);
	peer_send(r->peer);
	request_end(r);
}
