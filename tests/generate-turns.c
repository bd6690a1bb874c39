/*
 * SPDX-License-Identifier: ISC
 *
 * Jobs in shared passes: who goes before whom, what is refused, what waits for room, and how long steps are.
 */
#include "generate/scheduler_private.h"
#include "tests/jobs.h"
#include "tests/tap.h"

#include <math.h>
#include <string.h>

/* Classes, clients and coming, in passes of at most 16 rows. */
static void
turns(void)
{
	enum { A1, A2, A3, B1, C1, BATCH, NOW, N };
	struct job *s = calloc(N, sizeof *s);
	struct llm_pass *pass = jobs_pass(16);
	struct llm_scheduler *sched = jobs_scheduler(pass, 0, 0);
	for (int i = 0; i < N; i++) {
		jobs_prompt(&s[i], i == NOW ? 6 : 200, (unsigned)i + 50);
		s[i].n_max = 4;
		s[i].from_logits = MAX_PROMPT;
		s[i].sampling = (struct llm_sampling)LLM_SAMPLING_GREEDY;
	}
	jobs_add(sched, &s[BATCH], LLM_JOB_BATCH, 4);
	jobs_add(sched, &s[A1], LLM_JOB_PIPE, 1);
	jobs_add(sched, &s[A2], LLM_JOB_PIPE, 1);
	jobs_add(sched, &s[A3], LLM_JOB_PIPE, 1);
	jobs_add(sched, &s[B1], LLM_JOB_PIPE, 2);
	tap_ok(s[BATCH].queued == 4 && s[A1].queued == 0 && s[A2].queued == 2 &&
		   s[A3].queued == 3 && s[B1].queued == 1,
	    "who waits is told how many are before");
	jobs_step(sched);
	tap_ok(s[A1].first_step == 1 && s[B1].queued == 0 && s[BATCH].queued == 3,
	    "and again when that changes");
	tap_ok(llm_scheduler_n_running(sched) == 1 && llm_scheduler_n_waiting(sched) == 4,
	    "one runs, the others wait");
	while (s[A1].prompt_step < 0)
		jobs_step(sched);
	int before = jobs_steps;
	jobs_add(sched, &s[NOW], LLM_JOB_INTERACTIVE, 5);
	jobs_add(sched, &s[C1], LLM_JOB_PIPE, 3);
	jobs_step(sched);
	tap_ok(s[NOW].prompt_step == before + 1 && s[NOW].n == 1,
	    "an interactive job goes before all prompts, and has its first token in the next "
	    "step");
	while (s[NOW].n_done == 0)
		jobs_step(sched);
	tap_ok(s[NOW].done_step == before + 4, "and then one a step");
	while (jobs_step(sched) > 0)
		;
	tap_ok(s[A1].prompt_step < s[B1].prompt_step && s[B1].prompt_step < s[A2].prompt_step &&
		   s[A2].prompt_step < s[A3].prompt_step,
	    "clients take turns, and jobs of one go as they came");
	tap_ok(s[C1].prompt_step < s[A3].prompt_step, "a client that comes later has its turn");
	tap_ok(s[BATCH].first_step >= s[A3].prompt_step, "batch jobs go after all others");
	llm_scheduler_free(sched);
	llm_pass_free(pass);
	free(s);
}

static void
refusals(void)
{
	struct job *s = jobs_new(false);
	struct llm_pass *pass = jobs_pass(64);
	uint64_t page = llm_seq_bytes(&jobs_model->config, llm_pass_kv_type(pass), LLM_KV_PAGE);
	struct llm_scheduler *sched = jobs_scheduler(pass, 4 * page, 3);
	char both[2][64];
	s[2].n_max = 64 * 3 - 150;
	tap_ok(
	    jobs_add(sched, &s[2], 0, 1) != NULL && llm_scheduler_kv_bytes(sched) == 3 * page,
	    "a job's pages are reserved when it is taken");
	snprintf(both[0], sizeof both[0], "%llu bytes", 3 * (unsigned long long)page);
	snprintf(both[1], sizeof both[1], "%llu of %llu are free", (unsigned long long)page,
	    4 * (unsigned long long)page);
	s[7].n_max = 64;
	tap_ok(jobs_add(sched, &s[7], 0, 1) == NULL && s[7].rc == LLM_EBUSY &&
		   s[7].n_done == 0 && strstr(jobs_err.msg, both[0]) != NULL &&
		   strstr(jobs_err.msg, both[1]) != NULL,
	    "what does not fit is refused with both numbers: %s", jobs_err.msg);
	s[0].n_max = s[1].n_max = s[3].n_max = 0;
	s[1].n_prompt = 0;
	tap_ok(jobs_add(sched, &s[1], 0, 1) == NULL && s[1].rc == LLM_EDATA,
	    "an empty prompt is refused");
	tap_ok(
	    jobs_add(sched, &s[0], 0, 1) != NULL && llm_scheduler_kv_bytes(sched) == 4 * page,
	    "all room may be taken");
	s[5].prompt[3] = jobs_model->config.n_vocab;
	tap_ok(jobs_add(sched, &s[5], 0, 1) == NULL && s[5].rc == LLM_EDATA,
	    "a token that there is not is refused");
	s[8].n_ctx = s[8].n_prompt;
	tap_ok(jobs_add(sched, &s[8], 0, 1) == NULL && s[8].rc == LLM_ETOOLONG,
	    "so is a prompt that fills the context");
	while (jobs_step(sched) > 0)
		;
	for (int i = 0; i < 3; i++) {
		s[9 + i].n_max = 1;
		jobs_add(sched, &s[9 + i], 0, 1);
	}
	tap_ok(jobs_add(sched, &s[3], 0, 1) == NULL && s[3].rc == LLM_EBUSY &&
		   strstr(jobs_err.msg, "3 jobs") != NULL,
	    "and more jobs than may be: %s", jobs_err.msg);
	llm_scheduler_free(sched);
	llm_pass_free(pass);
	free(s);
}

/* Answers without limit in little room. */
static void
growing(void)
{
	enum { N = 4, CTX = 320, PAGES = 9 };
	struct job *s = calloc(N, sizeof *s), *want = calloc(N, sizeof *s), more;
	struct llm_pass *pass = jobs_pass(64);
	uint64_t page = llm_seq_bytes(&jobs_model->config, llm_pass_kv_type(pass), LLM_KV_PAGE);
	int good = 0, full = 0;
	for (int i = 0; i < N; i++) {
		jobs_prompt(&s[i], 20 + 9 * i, (unsigned)i + 90);
		s[i].n_max = -1;
		s[i].n_ctx = CTX;
		s[i].n_draft = i % 2 ? 6 : 0;
		s[i].from_logits = MAX_PROMPT;
		s[i].sampling = (struct llm_sampling){
		    .temp = 0.8f, .top_p = 1, .repeat_penalty = 1, .seed = 5 + (unsigned)i};
		want[i] = s[i];
		jobs_alone(&want[i], pass);
		full += want[i].result.answer.stop == LLM_GENERATE_CONTEXT;
	}
	for (int store = 0; store < 2; store++) {
		struct llm_scheduler *sched = jobs_scheduler(pass, PAGES * page, 0);
		struct job_store *kept = store ? calloc(1, sizeof *kept) : NULL;
		bool within = true, refused = false;
		for (int i = 0; i < N; i++) {
			s[i].store = kept;
			jobs_add(sched, &s[i], i == 3 ? LLM_JOB_INTERACTIVE : LLM_JOB_PIPE, 1);
		}
		good = 0;
		for (int go = 1; go > 0;) {
			go = jobs_step(sched);
			within =
			    within && llm_scheduler_kv_bytes(sched) <= (uint64_t)PAGES * page;
			jobs_prompt(&more, 3, 1);
			more = (struct job){
			    .n_prompt = 3, .n_max = 5, .n_ctx = CTX, .sampling = s[0].sampling};
			if (!refused && jobs_steps > 100)
				refused = jobs_add(sched, &more, 0, 9) == NULL &&
					  more.rc == LLM_EBUSY;
		}
		for (int i = 0; i < N; i++)
			good += jobs_same(&want[i], &s[i]);
		tap_ok(good == N && full == N && within && refused,
		    "answers that outgrow the room wait for it, and end as ever: %d of %d%s",
		    good, N, store ? ", with a store" : "");
		llm_scheduler_free(sched);
		if (store)
			jobs_store_free(kept);
	}
	s[0].store = NULL;
	struct llm_scheduler *sched = jobs_scheduler(pass, 3 * page, 0);
	jobs_add(sched, &s[0], LLM_JOB_PIPE, 1);
	while (jobs_step(sched) > 0)
		;
	tap_ok(s[0].rc == LLM_EBUSY && s[0].n > 100 && s[0].n < want[0].n &&
		   memcmp(s[0].ids, want[0].ids, (size_t)s[0].n * sizeof(llm_token)) == 0,
	    "one that outgrows all of it ends: %s", s[0].err.msg);
	llm_scheduler_free(sched);
	llm_pass_free(pass);
	free(s);
	free(want);
}

/* Expectations of a machine whose pass takes base + row * rows: how long jobs_steps come to take. */
static double
settled(double base, double row, int n_decode, double step_s, double *longest)
{
	struct llm_rate r = {0};
	double s = 0;
	*longest = 0;
	for (int i = 0; i < 30; i++) {
		if (n_decode > 0 && i % 5 == 0)
			llm_rate_learn(&r, n_decode, 0, base + row * n_decode);
		double units = floor(llm_rate_units(&r, n_decode, step_s));
		s = base + row * (n_decode + units);
		*longest = s > *longest ? s : *longest;
		llm_rate_learn(&r, n_decode, units, s);
	}
	return s;
}

static void
rates(void)
{
	double longest, s = settled(0.02, 0.001, 0, 0.1, &longest);
	tap_ok(
	    s > 0.08 && longest <= 0.1, "stretches grow until a step takes its time (%.3f)", s);
	s = settled(0.02, 0.0001, 0, 0.1, &longest);
	tap_ok(s > 0.08 && longest <= 0.1, "on a fast machine too (%.3f)", s);
	s = settled(0.05, 0.002, 16, 0.1, &longest);
	tap_ok(s > 0.13 && longest <= 2 * 0.082 + 1e-9,
	    "two jobs_steps without prompts where those take longer (%.3f)", s);
	s = settled(0.05, 0.1, 1, 0.1, &longest);
	tap_ok(s > 0.8 && longest < 4, "and on the slowest a few rows (%.3f)", s);
	struct llm_rate r = {0};
	tap_ok(llm_rate_units(&r, 0, 0.1) == 32 && llm_rate_tokens(&r, 500, 0.1) > 15,
	    "what is not known begins small");
	for (int n = 1; n <= 64; n++)
		llm_rate_learn(&r, n, 0, 0.02 + 0.004 * n);
	int n = llm_rate_tokens(&r, 500, 0.1);
	tap_ok(n >= 16 && n <= 24,
	    "of many answers a step takes those that it has time for (%d)", n);
}

int
main(void)
{
	if (!jobs_open("tiny", NULL))
		return 1;
	turns();
	refusals();
	growing();
	rates();
	jobs_close();
	return tap_done();
}
