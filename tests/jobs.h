/*
 * SPDX-License-Identifier: ISC
 *
 * Jobs of a scheduler for tests: on a made model, with hooks that note what they see, and a store of pages.
 */
#ifndef LLM_TESTS_JOBS_H
#define LLM_TESTS_JOBS_H

#include "generate/scheduler.h"
#include "tests/mkmodel.h"

enum { N_JOB = 20, MAX_PROMPT = 400, MAX_OUT = 600, MAX_BYTES = 8192, MAX_PAGES = 512 };

extern struct llm_err jobs_err;
extern struct llm_model *jobs_model;
extern int jobs_steps; /* of the scheduler that was made last */

/* A store of whole pages, as the scheduler's hooks want one. */
struct job_store {
	struct kept {
		void *page;
		llm_token ids[MAX_PROMPT + MAX_OUT];
		int n; /* up to the page's end */
	} kept[MAX_PAGES];
	int n;
};

/* What a job asks for, and what its hooks saw. */
struct job {
	llm_token prompt[MAX_PROMPT], ids[MAX_OUT];
	char bytes[MAX_BYTES];
	int n_prompt, n_max, n_draft, n_ctx, from_logits;
	struct llm_sampling sampling;
	struct job_store *store; /* NULL: none */
	int n, n_bytes;
	int progress, queued, first_step, prompt_step, done_step;
	int n_done, rc;
	bool astray; /* its progress went back, or too far */
	struct llm_job_result result;
	struct llm_err err;
	int n_scored;
	float *scored; /* [n_prompt][n_vocab] or NULL */
};

/* The model of a shape of mkmodel_shape, which change (may be NULL) may spoil; false: none, and that is said. */
bool jobs_open(const char *shape, void (*change)(struct mkfile *f));
void jobs_close(void);
/* Ends the program where rc is an error. */
void jobs_must(int rc);

/* Any n tokens of a seed, of which some repeat, so that there is something to guess from. */
void jobs_prompt(struct job *j, int n, unsigned seed);
/* N_JOB of them, of which some begin alike. */
struct job *jobs_new(bool sampled);

struct llm_pass *jobs_pass(int max_rows);
struct llm_scheduler *jobs_scheduler(struct llm_pass *pass, uint64_t kv_bytes, int max_jobs);
int jobs_step(struct llm_scheduler *s);
/* NULL where it is refused: j->rc, jobs_err. */
struct llm_job *jobs_add(
    struct llm_scheduler *s, struct job *j, enum llm_job_class class, uint64_t client);

/* The job by llm_generate_run; whether another way gave the same, and ended well. */
void jobs_alone(struct job *j, struct llm_pass *pass);
bool jobs_same(const struct job *alone, const struct job *j);

/* Returns whether nobody else has its pages any more. */
bool jobs_store_free(struct job_store *s);

#endif
