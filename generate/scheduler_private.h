/*
 * SPDX-License-Identifier: ISC
 *
 * Inside of the scheduler, shared by scheduler*.c alone: jobs, whose turn it is, room for pages, and what passes
 * are expected to take.
 */
#ifndef LLM_SCHEDULER_PRIVATE_H
#define LLM_SCHEDULER_PRIVATE_H

#include "generate/decode.h"
#include "generate/scheduler.h"
#include "libcore/clock.h"

/* Whose turn it is within a class. */
struct llm_turn {
	uint64_t id;
	enum llm_job_class class;
	uint64_t turn; /* the lower goes first; given anew when a turn ends */
	int spent;     /* rows of prompts in this turn */
	int n_job;
	int n_seen; /* while jobs are sorted */
};

struct llm_job {
	struct llm_decode decode;
	struct llm_ids ids;
	llm_token *end;
	struct llm_job_hooks hooks;
	void *context;
	enum llm_job_class class;
	struct llm_turn *client;
	uint64_t number; /* in the order of coming */
	int from_logits; /* of a job that scores, else past its prompt */
	int n_page;      /* reserved */
	int n_kept;
	bool started, prompted; /* has had rows; its prompt is all there */
	bool waits;             /* for room */
	int64_t came_us, started_us, prompted_us;
	int position;     /* told last; -1 */
	int round;        /* while jobs are sorted: which of its client's it is */
	uint64_t decoded; /* the step in which a token of its answer last went along */

	/* Of the step under way. */
	int n_row, n_logits;
	bool has_stretch; /* its rows are of a prompt */
	float *logits;
	int failure;
	struct llm_err why;
};

enum { LLM_RATE_EXACT = 16, LLM_RATE_SIZES = 28 };

/*
 * What passes are expected to take.  Zero-initialised knows nothing.  Rows of prompts are counted in units: a row at
 * the beginning of a context whose logits are not wanted.
 */
struct llm_rate {
	double row_s; /* of a unit, beside rows of answers */
	double token_s
	    [1 +
		LLM_RATE_SIZES]; /* of a pass of so many rows of answers, larger ones together */
	double stretch;          /* units that row_s was last seen with */
	double head, depth;      /* units of a row's logits, of a position before it */
};

struct llm_scheduler {
	struct llm_pass *pass;
	const struct llm_model *model;
	struct llm_job **job; /* [n_job] in the order of coming */
	int n_job, max_job;
	struct llm_turn **client; /* [n_client] */
	int n_client;
	uint64_t n_come, n_turn, n_step;
	double step_s;
	int64_t n_page, max_page, n_wanted; /* reserved; at most; that those who wait want */
	bool moved;                         /* who waits before whom may have changed */

	struct llm_rate rate;
	struct llm_lookup price; /* what passes of few rows took */
	struct llm_scheduler_step last;

	/* Of the step under way. */
	struct llm_row *rows; /* [max_rows] */
	float *logits;        /* [max_logits][n_vocab] */
	int n_rows, max_rows, n_logits, max_logits;
	int n_decode; /* rows of answers */
	double units; /* rows of prompts, those with logits counted by what they cost */
	struct llm_job **pick; /* [n_pick] who has rows, in their order */
	int n_pick;
	struct llm_job **order; /* [max_job] */
};

/* scheduler_job.c: one job's life. */
int llm_job_new(struct llm_job **out, const struct llm_scheduler *s,
    const struct llm_job_params *params, struct llm_err *err);
void llm_job_free(struct llm_job *j);
/* Tokens of it that are to be computed, and those that a store may give. */
int llm_job_goal(const struct llm_job *j);
int llm_job_warm_most(const struct llm_job *j);
/* Whether the next row is that of a token of the answer. */
bool llm_job_decodes(const struct llm_job *j);
/* It leaves the scheduler, and its hook is told. */
void llm_job_end(struct llm_scheduler *s, struct llm_job *j, int rc,
    enum llm_generate_stop stop, const struct llm_err *err);

/* scheduler_order.c: who goes before whom. */
struct llm_turn *llm_turn_join(struct llm_scheduler *s, uint64_t id, enum llm_job_class class);
void llm_turn_leave(struct llm_scheduler *s, struct llm_turn *c);
/* Rows of a prompt went along; done: it is all there. */
void llm_turn_spend(struct llm_scheduler *s, struct llm_turn *c, int n_row, bool done);
/* Jobs with a prompt to compute, into s->order; returns how many. */
int llm_order_prompts(struct llm_scheduler *s);
/* Jobs with an answer under way, likewise: those first that have waited for longest. */
int llm_order_answers(struct llm_scheduler *s);
/* Tells those that have not begun how many are before them. */
void llm_order_tell(struct llm_scheduler *s);

/* scheduler_room.c: pages. */
int llm_room_reserve(struct llm_scheduler *s, struct llm_job *j, struct llm_err *err);
void llm_room_release(struct llm_scheduler *s, struct llm_job *j);
/* A token more is known: there is a page for it, or it waits for one. */
void llm_room_grow(struct llm_scheduler *s, struct llm_job *j);
/* Who waits gets what there is. */
void llm_room_grant(struct llm_scheduler *s);
/* All wait: one of them gives way. */
void llm_room_make(struct llm_scheduler *s);

/* scheduler_rate.c: what passes take. */
void llm_rate_init(struct llm_rate *r, const struct llm_config *c);
/* A pass with so many rows of answers and units of prompts took so long. */
void llm_rate_learn(struct llm_rate *r, int n_decode, double units, double seconds);
/* Units of a row of a prompt. */
double llm_rate_row(const struct llm_rate *r, int pos, bool logits);
/* Rows of answers that a step may have; units of prompts beside n_decode of them. */
int llm_rate_tokens(const struct llm_rate *r, int most, double step_s);
double llm_rate_units(const struct llm_rate *r, int n_decode, double step_s);

/* scheduler_rows.c: a step's rows, and what becomes of their logits. */
int llm_rows_gather(struct llm_scheduler *s);
void llm_rows_take(struct llm_scheduler *s, int rc, const struct llm_err *err);

#endif
