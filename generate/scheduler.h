/*
 * SPDX-License-Identifier: ISC
 *
 * Many jobs in shared passes: each step carries the next token of every answer that runs and, beside
 * them, a stretch of somebody's prompt.  A job joins and leaves between steps; what it gets does not depend
 * on the others (the numeric contract), only how soon.  It knows no socket and no clock but the monotonic
 * one: who owns it calls step while there is work.
 *
 * Order: interactive before pipe before batch; within a class clients take turns, and jobs of one client go
 * in the order of their coming; a turn lasts until a prompt is all there, or 2,048 rows.  A step is bounded: the
 * stretch of prompt is what the measured rate lets through in max(step_ms, two steps without it).
 */
#ifndef LLM_SCHEDULER_H
#define LLM_SCHEDULER_H

#include "generate/generate.h"

enum llm_job_class {
	LLM_JOB_INTERACTIVE,
	LLM_JOB_PIPE,
	LLM_JOB_BATCH,
	LLM_JOB_CLASSES,
};

struct llm_scheduler; /* opaque; used by one thread at a time */
struct llm_job;       /* opaque; the scheduler's */

/* How a job went; times in microseconds. */
struct llm_job_result {
	struct llm_generate_result answer; /* n_kept: positions that were not computed for it */
	int64_t queue_us;                  /* from its coming to its first row in a pass */
	int64_t prefill_us; /* from there to the logits of its last prompt token */
	int64_t decode_us;  /* from there to its end */
};

/*
 * What becomes of the job; every hook may be NULL, and is called within llm_scheduler_step, add or cancel, by
 * their caller's thread.  None may call the scheduler.
 */
struct llm_job_hooks {
	/* Prompt tokens computed, of n_prompt, after each stretch. */
	void (*progress)(void *context, int done);
	/* Jobs before it that do not run yet, when that changed. */
	void (*queued)(void *context, int position);
	/*
	 * Rows of logits of prompt positions from `from_logits' on, f32 [n_vocab], that may be changed: of
	 * position pos, in order; where an answer follows, not the last one, which is the answer's.  For
	 * scoring.  Negative ends the job with this error.
	 */
	int (*logits)(void *context, int pos, float *logits, struct llm_err *err);
	/*
	 * How a store of prefixes is used.  warm, before a stretch of the prompt is computed: put more of its
	 * beginning into seq, which holds the first seq->n_pos tokens of ids, but at most n.  keep, after it: seq
	 * holds n of them, whole pages, which may be kept; and once more before done where it ended well, of all
	 * that was computed, the answer too.  A job whose next page is in the pass for another that has
	 * begun alike goes after that one, and finds it by warm.
	 */
	void (*warm)(void *context, struct llm_seq *seq, const llm_token *ids, int n);
	void (*keep)(void *context, const struct llm_seq *seq, const llm_token *ids, int n);
	/* It has ended, well (rc >= 0) or not; the job is gone after the call.  Called once for each job that add took. */
	void (*done)(void *context, int rc, const struct llm_job_result *result,
	    const struct llm_err *err);
};

/* As llm_generate_request; ids, stop strings and all that answer points to are copied, but its tokenizer. */
struct llm_job_params {
	const llm_token *prompt;
	size_t n_prompt;
	int n_max; /* tokens at most; < 0: no such limit; 0: the prompt alone is computed */
	int n_draft;
	int n_ctx;       /* of prompt and answer; 0: the model's */
	int from_logits; /* first prompt position for hooks.logits; its token predicts the next one */
	const struct llm_answer_params
	    *answer; /* emit and its context among them; n_vocab is filled in */
	enum llm_job_class class;
	uint64_t client; /* whose it is */
	const struct llm_job_hooks *hooks;
	void *context; /* of the hooks */
};

struct llm_scheduler_params {
	uint64_t kv_bytes; /* of pages of all jobs together; 0: no limit */
	int max_jobs;      /* 0: 1024 */
	int step_ms;       /* 0: 100 */
};

/* pass must outlive it. */
int llm_scheduler_new(struct llm_scheduler **out, struct llm_pass *pass,
    const struct llm_scheduler_params *params, struct llm_err *err);
/* Another limit on the pages of all jobs, from now on; what is reserved stays so.  0: none. */
void llm_scheduler_limit(struct llm_scheduler *s, uint64_t kv_bytes);
/* Jobs that are left end with LLM_EBUSY. */
void llm_scheduler_free(struct llm_scheduler *s);

/*
 * llm_scheduler_add - take a job.  Its memory is reserved here: the pages of its prompt and of n_max tokens (of an
 * answer without limit: of its prompt and a page, and more as it grows, for which it may have to wait).
 * LLM_EBUSY, with both numbers: there is no room now, or others wait for what there is.  LLM_ETOOLONG: as
 * llm_generate_check (a prompt alone may fill the context); LLM_EDATA: that, and a token that the model does not
 * have; LLM_EUSAGE: those of llm_answer_new, and a job without class or answer.
 *
 * Where all jobs wait for room the one that came last of the lowest class gives its pages back, and is computed
 * again when there is room: the same bytes, later.  An answer that alone outgrows all there is ends with LLM_EBUSY.
 */
int llm_scheduler_add(struct llm_job **out, struct llm_scheduler *s,
    const struct llm_job_params *params, struct llm_err *err);
/* End a job with LLM_GENERATE_CANCEL now, between steps. */
void llm_scheduler_cancel(struct llm_scheduler *s, struct llm_job *job);

/*
 * llm_scheduler_step - one pass.  1: there is more to do; 0: no job is left.  What fails a job is told its hook;
 * the scheduler goes on.
 */
int llm_scheduler_step(struct llm_scheduler *s);

/* For status: jobs that run (have a row in passes), that wait, bytes of KV pages that they hold. */
int llm_scheduler_n_running(const struct llm_scheduler *s);
int llm_scheduler_n_waiting(const struct llm_scheduler *s);
uint64_t llm_scheduler_kv_bytes(const struct llm_scheduler *s);
/* Seconds that the last step took, and its rows: tokens of answers and of prompts. */
struct llm_scheduler_step {
	double seconds;
	int n_decode, n_prefill;
};
struct llm_scheduler_step llm_scheduler_last(const struct llm_scheduler *s);

#endif
