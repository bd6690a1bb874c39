/*
 * SPDX-License-Identifier: ISC
 *
 * The one thread that computes: it owns the passes, the schedulers, the pages of keys and values.  Jobs go to it
 * and notices come back by two queues, and nothing else is shared: what is handed over changes its owner.
 */
#ifndef LLMD_ENGINE_H
#define LLMD_ENGINE_H

#include "bin/daemon/resident.h"
#include "embed/embedder.h"
#include "generate/labels.h"
#include "generate/scheduler.h"
#include "kvstore/page.h"
#include "libcore/wire.h"

#include <stdatomic.h>

struct engine; /* opaque */
struct job;
struct lane;

enum job_kind { JOB_GENERATE, JOB_SCORE, JOB_LABELS, JOB_EMBED };

/* Computed positions of a prompt, for the store on disk; given back by engine_spent. */
struct kept {
	struct kept *next;
	struct llm_kvpage_key key;
	struct llm_seq *seq;
	llm_token *ids;
	int n;
};

/* What the thread has to say.  Freed by who took it, but for DONE, which is a part of its job. */
struct notice {
	struct notice *next;
	enum {
		NOTICE_FRAMES, /* for the job's client */
		NOTICE_DONE,   /* the job has ended; it is its owner's again */
		NOTICE_KEPT,   /* to be kept on disk */
		NOTICE_DROPPED /* nothing of the model is in use any more */
	} kind;
	struct job *job;
	struct kept *kept;
	struct resident *resident;
	int n_token; /* of an answer, in these frames */
	size_t n_bytes;
	char *bytes; /* whole frames */
};

/* Prompts one after another: i is ids.v[end[i - 1] .. end[i]). */
struct job_prompts {
	struct llm_ids ids;
	size_t *end;
	int n;
};

/*
 * One request to compute.  The owner sets the fields down to `cancel', and keeps what they point to, until the DONE;
 * meanwhile the job is the engine's.
 */
struct job {
	enum job_kind kind;
	void *owner;
	uint32_t id; /* of the request, in replies */
	uint64_t client;
	enum llm_job_class class;
	struct resident *resident;
	struct llm_hash ident; /* of the model, where it is known */
	bool has_ident;
	bool precise;
	enum llm_kv_type kv;

	/* GENERATE and SCORE.  Of the latter the last token is not computed, only predicted. */
	struct llm_ids prompt;
	int n_max, n_draft, n_ctx;
	bool cache; /* prefixes that are kept may be used, and of its own */
	int keep;   /* tokens at most */
	struct llm_sampling sampling;
	const char **stop;
	int n_stop;
	struct llm_ids end;
	bool drop_space;
	int from, n_top; /* SCORE */

	/* LABELS */
	struct llm_labels labels;
	struct llm_ids prefix;
	struct job_prompts prompts;

	/* EMBED */
	struct llm_embedder *embedder;
	struct llm_embed_text *text;
	int n_text;

	atomic_bool cancel; /* set by engine_cancel */

	/* Read by the owner after the DONE. */
	int rc;
	struct llm_err err;
	struct llm_job_result result;
	double nats; /* SCORE: the sum */

	/* The engine's alone. */
	struct engine *engine;
	struct lane *lane;
	struct job *next; /* in the queue that it is in */
	struct job *next_live, *prev_live;
	struct llm_job *running;
	struct llm_score_choice *top;
	struct llm_wire_out
	    *out; /* SCORE: its messages, which stay open while others have theirs */
	struct llm_batch *batch;
	struct kept *kept; /* so far */
	double pass_s;     /* when its last pass began */
	int at;            /* prompts or texts done */
	int n_item;        /* in the message that is open */
	int failed;        /* in one of its hooks: why it is to end */
	struct notice done;
};

struct engine_params {
	const struct llm_kernels *kernels;
	int n_thread;
	const char *kv_dir; /* of the store of prefixes; NULL: none.  Outlives the engine. */
	uint64_t kv_budget; /* of its files */
	void (*wake)(void *context); /* there are notices; called by the engine's thread */
	void *context;
};

int engine_new(struct engine **out, const struct engine_params *params, struct llm_err *err);
/* Ends the thread; jobs that are left are cancelled, and what it has still to say is lost. */
void engine_free(struct engine *e);

/* engine_submit - cannot fail: what is wrong with a job its DONE says. */
void engine_submit(struct engine *e, struct job *j);
/* engine_cancel - the job ends within a step, with LLM_GENERATE_CANCEL, unless it has ended. */
void engine_cancel(struct engine *e, struct job *j);
/* engine_expect - a model is to be used: what will say that it no longer is.  LLM_ENOMEM. */
int engine_expect(struct resident *r, struct llm_err *err);
/* engine_drop - let go of a model, of which no job is there and none will come; cannot fail. */
void engine_drop(struct engine *e, struct resident *r);
/* engine_spent - what a KEPT gave. */
void engine_spent(struct engine *e, struct kept *k);
/* Bytes that keys and values may take. */
void engine_limit(struct engine *e, uint64_t kv_bytes);
/* engine_turn - for an embedder: between two of its passes the engine does what else there is; context: the engine. */
void engine_turn(void *context);

/* engine_notices - all that there are, oldest first; NULL for none. */
struct notice *engine_notices(struct engine *e);

#endif
