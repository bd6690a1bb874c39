/*
 * SPDX-License-Identifier: ISC
 *
 * Jobs in shared passes on a made model: each gets what it gets alone, whoever runs beside it, whatever a store
 * gives or is guessed, when others are given up or fail.
 */
#include "tests/jobs.h"
#include "tests/model.h"
#include "tests/tap.h"

#include <string.h>

/* All jobs, one more every other step, beside as many others that go on for long: how many get what they get
 * alone. */
static int
together(struct job *jobs, const struct job *want, struct llm_pass *pass, bool store, int draft)
{
	struct llm_scheduler *sched = jobs_scheduler(pass, 0, 0);
	struct job_store *kept = store ? calloc(1, sizeof *kept) : NULL;
	struct job *others = jobs_new(true);
	int good = 0, most = 0, n = 0, more = 1;
	for (int i = 0; i < N_JOB; i++) {
		jobs[i].store = others[i].store = kept;
		jobs[i].n_draft = draft;
		others[i].n_max = 90;
		jobs_add(sched, &others[i], i % 3, (uint64_t)i % 5);
	}
	for (; more > 0 || n < N_JOB; more = jobs_step(sched)) {
		int running = llm_scheduler_n_running(sched);
		most = running > most ? running : most;
		if (n < N_JOB && jobs_steps % 2 == 0) {
			jobs_add(sched, &jobs[n], n % 3, (uint64_t)n % 7);
			n++;
		}
	}
	for (int i = 0; i < N_JOB; i++)
		good += jobs_same(&want[i], &jobs[i]);
	bool empty = llm_scheduler_kv_bytes(sched) == 0 && (!store || jobs_store_free(kept));
	tap_ok(empty && most >= 16,
	    "all run together (%d at once), and their memory is free again", most);
	llm_scheduler_free(sched);
	free(others);
	return good;
}

static void
same_bytes(bool sampled)
{
	static const int max_rows[] = {512, 64, 24};
	struct job *want = jobs_new(sampled), *got = jobs_new(sampled);
	struct llm_pass *pass = jobs_pass(512);
	for (int i = 0; i < N_JOB; i++)
		jobs_alone(&want[i], pass);
	llm_pass_free(pass);
	for (int k = 0; k < 3; k++) {
		pass = jobs_pass(max_rows[k]);
		for (int way = 0; way < 4; way++) {
			int good = together(got, want, pass, way & 1, way & 2 ? 15 : 0);
			tap_ok(good == N_JOB,
			    "%d of %d %s answers are what they are alone, passes of %d%s%s",
			    good, N_JOB, sampled ? "sampled" : "greedy", max_rows[k],
			    way & 1 ? ", with a store" : "", way & 2 ? ", guessing" : "");
		}
		llm_pass_free(pass);
	}
	free(want);
	free(got);
}

/* A job given up before, between or after any of its jobs_steps, beside two others. */
static void
cancelling(void)
{
	struct job *want = jobs_new(false), *got = jobs_new(false);
	struct llm_pass *pass = jobs_pass(24);
	int good = 0, early = 0, midway = 0, runs = 0;
	/* Prompts of 150, 65 and 300 tokens. */
	jobs_alone(&want[2], pass);
	jobs_alone(&want[4], pass);
	for (int after = 0; after < 60; after += after < 3 ? 1 : 3, runs++) {
		struct llm_scheduler *sched = jobs_scheduler(pass, 0, 0);
		struct job_store *store = got[6].store = calloc(1, sizeof *store);
		got[6].n_draft = 8;
		jobs_add(sched, &got[2], LLM_JOB_PIPE, 1);
		struct llm_job *job = jobs_add(sched, &got[6], LLM_JOB_PIPE, 2);
		jobs_add(sched, &got[4], LLM_JOB_PIPE, 3);
		while (jobs_steps < after)
			jobs_step(sched);
		if (got[6].n_done == 0) {
			llm_scheduler_cancel(sched, job);
			early += got[6].progress < 300;
			midway += got[6].n > 0;
			good += got[6].n_done == 1 && got[6].rc == 0 &&
				got[6].result.answer.stop == LLM_GENERATE_CANCEL &&
				got[6].result.answer.n_out == got[6].n;
		} else {
			good++;
		}
		while (jobs_step(sched) > 0)
			;
		good += jobs_same(&want[2], &got[2]) && jobs_same(&want[4], &got[4]) &&
			got[6].n_done == 1 && llm_scheduler_kv_bytes(sched) == 0;
		llm_scheduler_free(sched);
		good += jobs_store_free(store);
	}
	tap_ok(good == 3 * runs && early > 2 && midway > 2,
	    "a job may be given up at any time, and no other is the worse for it");
	struct llm_scheduler *sched = jobs_scheduler(pass, 0, 0);
	jobs_add(sched, &got[2], LLM_JOB_PIPE, 1);
	jobs_step(sched);
	got[6].store = NULL;
	jobs_add(sched, &got[6], LLM_JOB_PIPE, 2);
	llm_scheduler_free(sched);
	tap_ok(got[2].n_done == 1 && got[2].rc == LLM_EBUSY && got[6].rc == LLM_EBUSY,
	    "a scheduler that ends ends its jobs: busy");
	llm_pass_free(pass);
	free(want);
	free(got);
}

/* Prompts that begin alike and come together. */
static void
prefixes(void)
{
	enum { N = 8, ALIKE = 300, OWN = 10 };
	struct job *s = calloc(2 * N, sizeof *s), *want = calloc(2 * N, sizeof *s);
	struct job_store *store = calloc(1, sizeof *store);
	struct llm_pass *pass = jobs_pass(48);
	struct llm_scheduler *sched = jobs_scheduler(pass, 0, 0);
	int rows = 0, kept = 0, good = 0;
	for (int i = 0; i < N; i++) {
		jobs_prompt(&s[i], ALIKE + OWN, 7);
		for (int k = ALIKE; k < ALIKE + OWN; k++)
			s[i].prompt[k] = 30 + i + k % 5;
		s[i].n_max = 5;
		s[i].from_logits = MAX_PROMPT;
		s[i].sampling = (struct llm_sampling)LLM_SAMPLING_GREEDY;
		want[i] = s[i];
		jobs_alone(&want[i], pass);
		s[i].store = store;
	}
	for (int i = 0; i < N; i++)
		jobs_add(sched, &s[i], i % 2, (uint64_t)i);
	for (int more = 1; more > 0; rows += llm_scheduler_last(sched).n_prefill)
		more = jobs_step(sched);
	for (int i = 0; i < N; i++) {
		kept += s[i].result.answer.n_kept;
		good += jobs_same(&want[i], &s[i]);
	}
	int whole = ALIKE / LLM_KV_PAGE * LLM_KV_PAGE;
	tap_ok(rows == ALIKE + OWN + (N - 1) * (ALIKE + OWN - whole) &&
		   kept == (N - 1) * whole && good == N,
	    "prompts that begin alike and come together compute that once: %d rows", rows);
	llm_scheduler_free(sched);
	jobs_store_free(store);
	llm_pass_free(pass);
	free(s);
	free(want);
}

/* Rows of logits of prompts, as many as are asked for, beside an answer. */
static void
scoring(void)
{
	enum { N = 390 };
	size_t n_vocab = (size_t)jobs_model->config.n_vocab;
	struct job *s = jobs_new(false);
	struct llm_pass *pass = jobs_pass(40);
	struct llm_seq *seq;
	float *want = calloc(2 * N * n_vocab, sizeof *want);
	jobs_must(llm_seq_new(&seq, &jobs_model->config, llm_pass_kv_type(pass), N, &jobs_err));
	jobs_must(llm_seq_reserve(seq, N, &jobs_err));
	for (int i = 0; i < N; i++)
		jobs_must(llm_forward(pass, &(struct llm_row){seq, s[12].prompt[i], i, true}, 1,
		    want + (size_t)i * n_vocab, &jobs_err));
	llm_seq_free(seq);
	struct llm_scheduler *sched = jobs_scheduler(pass, 0, 0);
	struct job *scored = &s[12];
	scored->from_logits = 170;
	scored->n_max = 0;
	scored->store = calloc(1, sizeof *scored->store);
	scored->scored = want + N * n_vocab;
	jobs_add(sched, &s[6], LLM_JOB_PIPE, 1);
	for (int round = 0; round < 2; round++) {
		jobs_add(sched, scored, LLM_JOB_PIPE, 2);
		while (jobs_step(sched) > 0)
			;
		size_t from = 170 * n_vocab, n = (N - 170) * n_vocab;
		tap_ok(scored->n_scored == N - 170 && scored->rc == 0 && scored->n_done == 1 &&
			   scored->result.answer.n_kept == (round == 0 ? 0 : 128) &&
			   memcmp(want + from, scored->scored + from, n * sizeof *want) == 0,
		    "the logits of a prompt from a position on%s",
		    round > 0 ? ", though a store has all of it" : "");
	}
	scored->from_logits = N;
	jobs_add(sched, scored, LLM_JOB_PIPE, 2);
	jobs_step(sched);
	tap_ok(scored->n_done == 1 && scored->n_scored == 0 &&
		   scored->result.answer.n_kept == N / LLM_KV_PAGE * LLM_KV_PAGE,
	    "a prompt that is only computed need not be where a store has it");
	llm_scheduler_free(sched);
	jobs_store_free(scored->store);
	llm_pass_free(pass);
	free(want);
	free(s);
}

/* Of a model with a token that is no number: who has it in a prompt fails. */
static void
not_finite(void)
{
	struct job *want = jobs_new(false), *got = jobs_new(false);
	struct llm_pass *pass = jobs_pass(64);
	struct llm_scheduler *sched = jobs_scheduler(pass, 0, 0);
	int good = 0;
	got[2].prompt[140] = got[6].prompt[0] = got[13].prompt[1] = TEST_POISON;
	got[17].n_max = 0;
	got[17].prompt[50] = TEST_POISON;
	for (int i = 0; i < N_JOB; i++) {
		bool bad = i == 2 || i == 6 || i == 13 || i == 17;
		if (!bad)
			jobs_alone(&want[i], pass);
	}
	for (int i = 0; i < N_JOB; i++)
		jobs_add(sched, &got[i], i % 3, (uint64_t)i);
	while (jobs_step(sched) > 0)
		;
	for (int i = 0; i < N_JOB; i++) {
		bool bad = i == 2 || i == 6 || i == 13 || i == 17;
		good += bad ? got[i].n_done == 1 && got[i].rc == LLM_ENOTFINITE &&
				  strstr(got[i].err.msg, "layer 0") != NULL && got[i].n == 0
			    : jobs_same(&want[i], &got[i]);
	}
	tap_ok(good == N_JOB, "a value that is no number fails its own job alone");
	llm_scheduler_free(sched);
	llm_pass_free(pass);
	free(want);
	free(got);
}

int
main(void)
{
	if (!jobs_open("tiny", NULL))
		return 1;
	same_bytes(false);
	same_bytes(true);
	cancelling();
	prefixes();
	scoring();
	jobs_close();
	if (!jobs_open("odd", test_model_poison))
		return 1;
	not_finite();
	jobs_close();
	return tap_done();
}
