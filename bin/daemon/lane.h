/*
 * SPDX-License-Identifier: ISC
 *
 * What the engine's files share: a lane is one model with one type of keys and values, its pass and its
 * scheduler.  All of it is the engine's thread's.
 */
#ifndef LLMD_LANE_H
#define LLMD_LANE_H

#include "bin/daemon/engine.h"
#include "generate/score.h"
#include "kvstore/store.h"

struct llm_resident;

struct lane {
	struct lane *next;
	struct resident *resident;
	bool precise;
	enum llm_kv_type kv;
	struct llm_pass *pass;
	struct llm_scheduler *scheduler;
	struct llm_resident
	    *pages;           /* prefixes in memory, once one was asked for; may be NULL */
	uint64_t pages_limit; /* bytes of them */
	struct llm_kvstore
	    *store;     /* those on disk, once the model's identity is known; or NULL */
	bool has_ident; /* it is known to both */
	int n_job;      /* that are on it */
	int slice_rows; /* what a slice computes in its time */
	uint64_t used;  /* the engine's count of jobs when last used */
};

/* In engine.c, for the others: */

/* A message for the job's client: engine_reply begins it, engine_send ends it. */
struct llm_wire_out *engine_reply(struct job *j);
void engine_send(struct job *j, int n_token);
/* Puts a notice into the queue. */
void engine_tell(struct engine *e, struct notice *n);
/* The job is its owner's again. */
void engine_end(struct job *j, int rc, const struct llm_err *err);
struct llm_wire_out *engine_out(struct job *j); /* the message of the job that is open */
const struct engine_params *engine_params(const struct engine *e);
/*
 * engine_between - for who computes long, between two passes: let the schedulers have a step, and see what has come.
 */
void engine_between(struct engine *e);

/* lane_get - the lane of a job, made where there is none. */
int lane_get(struct lane **out, struct lane **all, const struct job *j, struct llm_err *err);
void lane_free(struct lane *l);

/* tokens_start - a GENERATE or SCORE goes to its lane's scheduler; its end comes by that. */
int tokens_start(struct job *j, struct llm_err *err);

/* slice_start - what a LABELS or EMBED needs; slice_turn - some of it: 1: there is more; 0: it is done. */
int slice_start(struct job *j, struct llm_err *err);
int slice_turn(struct job *j, struct llm_err *err);
void slice_free(struct job *j);

/*
 * prefix_warm, prefix_keep: hooks of the scheduler; context: a job.  prefix_done - it has ended well: what is to
 * be kept on disk is told; prefix_forget - or not.
 */
void prefix_warm(void *context, struct llm_seq *seq, const llm_token *ids, int n);
void prefix_keep(void *context, const struct llm_seq *seq, const llm_token *ids, int n);
void prefix_done(struct job *j);
void prefix_forget(struct job *j);
/* Bytes that a lane's prefixes may have in memory; it goes. */
void prefix_limit(struct lane *l, uint64_t bytes);
uint64_t prefix_bytes(const struct lane *l);
void prefix_close(struct lane *l);
void kept_free(struct kept *k);

#endif
