/*
 * SPDX-License-Identifier: ISC
 *
 * Jobs in shared passes on a made model: each gets what it gets alone, whoever runs beside it, whatever a store
 * gives or is guessed; who goes before whom; what is refused, given up, or fails; and nothing is left behind.
 */
#include "generate/scheduler.h"
#include "generate/scheduler_private.h"
#include "tests/mkmodel.h"
#include "tests/tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N_JOB = 20, MAX_PROMPT = 400, MAX_OUT = 600, MAX_BYTES = 8192, MAX_PAGES = 512 };

static struct llm_err err;
static struct llm_model *model;
static struct llm_tokenizer *tokenizer;
static int steps; /* of the scheduler under test */

static void
must(int rc)
{
	if (rc >= 0)
		return;
	printf("Bail out! %s\n", err.msg);
	exit(1);
}

/* A store of whole pages, as the scheduler's hooks want one. */
struct store {
	struct kept {
		void *page;
		llm_token ids[MAX_PROMPT + MAX_OUT];
		int n; /* up to the page's end */
	} kept[MAX_PAGES];
	int n;
};

static struct kept *
store_find(struct store *s, const llm_token *ids, int n)
{
	for (int i = 0; i < s->n; i++)
		if (s->kept[i].n == n &&
		    memcmp(s->kept[i].ids, ids, (size_t)n * sizeof *ids) == 0)
			return &s->kept[i];
	return NULL;
}

/* Returns whether nobody else has its pages any more. */
static bool
store_free(struct store *s)
{
	bool only = true;
	for (int i = 0; i < s->n; i++) {
		only = only && llm_page_n_owner(s->kept[i].page) == 1;
		llm_page_drop(s->kept[i].page);
	}
	free(s);
	return only;
}

/* What a job asks for, and what its hooks saw. */
struct seen {
	llm_token prompt[MAX_PROMPT], ids[MAX_OUT];
	char bytes[MAX_BYTES];
	int n_prompt, n_max, n_draft, n_ctx, from_logits;
	struct llm_sampling sampling;
	struct store *store; /* NULL: none */
	int n, n_bytes;
	int progress, queued, first_step, prompt_step, done_step;
	int n_done, rc;
	struct llm_job_result result;
	struct llm_err err;
	int n_scored;
	float *scored; /* [n_prompt][n_vocab] or NULL */
};

static void
on_part(void *context, const struct llm_answer_part *part)
{
	struct seen *s = context;
	for (size_t i = 0; i < part->n_ids && s->n < MAX_OUT; i++)
		s->ids[s->n++] = part->ids[i];
	if (s->n_bytes + (int)part->n_bytes > MAX_BYTES)
		return;
	memcpy(s->bytes + s->n_bytes, part->bytes, part->n_bytes);
	s->n_bytes += (int)part->n_bytes;
}

static void
on_progress(void *context, int done)
{
	struct seen *s = context;
	if (s->progress == 0)
		s->first_step = steps;
	if (done == s->n_prompt)
		s->prompt_step = steps;
	if (done <= s->progress || done > s->n_prompt)
		tap_ok(false, "progress goes on: %d after %d of %d", done, s->progress,
		    s->n_prompt);
	s->progress = done;
}

static void
on_queued(void *context, int position)
{
	((struct seen *)context)->queued = position;
}

static void
on_warm(void *context, struct llm_seq *seq, const llm_token *ids, int n)
{
	struct seen *s = context;
	while (s->store != NULL && seq->n_pos % LLM_KV_PAGE == 0 &&
	       seq->n_pos + LLM_KV_PAGE <= n) {
		struct kept *k = store_find(s->store, ids, seq->n_pos + LLM_KV_PAGE);
		if (k == NULL || llm_seq_adopt(seq, k->page, &err) < 0)
			return;
	}
}

static void
on_keep(void *context, const struct llm_seq *seq, const llm_token *ids, int n)
{
	struct store *s = ((struct seen *)context)->store;
	for (int k = 0; s != NULL && (k + 1) * LLM_KV_PAGE <= n; k++) {
		int end = (k + 1) * LLM_KV_PAGE;
		if (end > MAX_PROMPT + MAX_OUT || s->n == MAX_PAGES || store_find(s, ids, end))
			continue;
		struct kept *new = &s->kept[s->n++];
		new->page = llm_page_hold(llm_seq_page(seq, k));
		memcpy(new->ids, ids, (size_t)end * sizeof *ids);
		new->n = end;
	}
}

static int
on_logits(void *context, int pos, float *logits, struct llm_err *e)
{
	struct seen *s = context;
	size_t n = (size_t)model->config.n_vocab;
	(void)e;
	if (s->scored != NULL)
		memcpy(s->scored + (size_t)pos * n, logits, n * sizeof *logits);
	s->n_scored++;
	return 0;
}

static void
on_done(void *context, int rc, const struct llm_job_result *result, const struct llm_err *e)
{
	struct seen *s = context;
	s->n_done++;
	s->rc = rc;
	s->result = *result;
	s->done_step = steps;
	if (e != NULL)
		s->err = *e;
}

static const struct llm_job_hooks hooks = {.progress = on_progress,
    .queued = on_queued,
    .warm = on_warm,
    .keep = on_keep,
    .logits = on_logits,
    .done = on_done};

static struct llm_answer_params
answer_params(struct seen *s)
{
	static const char *const stop[] = {"zq", "\n\n\n"};
	return (struct llm_answer_params){.tokenizer = tokenizer,
	    .sampling = &s->sampling,
	    .stop = stop,
	    .n_stop = 2,
	    .emit = on_part,
	    .context = s};
}

static void
seen_reset(struct seen *s)
{
	s->n = s->n_bytes = s->progress = s->n_done = s->n_scored = s->rc = 0;
	s->first_step = s->prompt_step = s->done_step = s->queued = -1;
	s->result = (struct llm_job_result){0};
}

static struct llm_job *
add(struct llm_scheduler *sched, struct seen *s, enum llm_job_class class, uint64_t client)
{
	struct llm_job *job = NULL;
	struct llm_answer_params answer = answer_params(s);
	struct llm_job_params params = {.prompt = s->prompt,
	    .n_prompt = (size_t)s->n_prompt,
	    .n_max = s->n_max,
	    .n_draft = s->n_draft,
	    .n_ctx = s->n_ctx,
	    .from_logits = s->from_logits,
	    .answer = &answer,
	    .class = class,
	    .client = client,
	    .hooks = &hooks,
	    .context = s};
	seen_reset(s);
	int rc = llm_scheduler_add(&job, sched, &params, &err);
	if (rc < 0)
		s->rc = rc;
	return rc < 0 ? NULL : job;
}

/* Any tokens, of which some repeat, so that there is something to guess from. */
static void
prompt_make(struct seen *s, int n, unsigned seed)
{
	for (int i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		s->prompt[i] =
		    i % 9 > 4 ? s->prompt[i - 5] : (llm_token)(20 + (seed >> 16) % 300);
	}
	s->n_prompt = n;
}

static struct seen *
jobs_make(bool sampled)
{
	static const int lengths[N_JOB] = {
	    1, 3, 150, 64, 65, 9, 300, 128, 20, 33, 40, 63, 390, 2, 77, 100, 7, 200, 129, 12};
	struct seen *s = calloc(N_JOB, sizeof *s);
	for (int i = 0; i < N_JOB; i++) {
		prompt_make(&s[i], lengths[i], (unsigned)i + 1);
		/* Some begin alike. */
		if (i % 4 == 3)
			memcpy(
			    s[i].prompt, s[6].prompt, (size_t)lengths[i] * sizeof(llm_token));
		s[i].from_logits = MAX_PROMPT;
		s[i].n_max = i % 5 == 4 ? 1 : 10 + 3 * i;
		s[i].sampling = (struct llm_sampling)LLM_SAMPLING_GREEDY;
		if (sampled)
			s[i].sampling = (struct llm_sampling){.temp = 1.5f,
			    .top_p = 0.98,
			    .repeat_penalty = 1.1f,
			    .seed = 100 + (unsigned)i};
	}
	return s;
}

static struct llm_pass *
pass_new(int max_rows)
{
	struct llm_pass *pass;
	struct llm_pass_params params = {.n_thread = 2, .max_rows = max_rows};
	must(llm_pass_new(&pass, model, &params, &err));
	return pass;
}

static struct llm_scheduler *
scheduler_new(struct llm_pass *pass, uint64_t kv_bytes, int max_jobs)
{
	struct llm_scheduler *s;
	struct llm_scheduler_params params = {.kv_bytes = kv_bytes, .max_jobs = max_jobs};
	must(llm_scheduler_new(&s, pass, &params, &err));
	steps = 0;
	return s;
}

static int
step(struct llm_scheduler *s)
{
	steps++;
	return llm_scheduler_step(s);
}

static void
alone(struct seen *s, struct llm_pass *pass)
{
	struct llm_generate *g;
	struct llm_generate_result r;
	struct llm_answer_params answer = answer_params(s);
	struct llm_generate_request request = {.prompt = s->prompt,
	    .n_prompt = (size_t)s->n_prompt,
	    .n_max = s->n_max,
	    .answer = &answer};
	seen_reset(s);
	must(llm_generate_new(&g, pass, s->n_ctx, &err));
	must(llm_generate_run(&r, g, &request, &err));
	s->result.answer = r;
	llm_generate_free(g);
}

static bool
same(const struct seen *a, const struct seen *b)
{
	return a->n == b->n && a->n_bytes == b->n_bytes && b->n_done == 1 && b->rc == 0 &&
	       memcmp(a->ids, b->ids, (size_t)a->n * sizeof *a->ids) == 0 &&
	       memcmp(a->bytes, b->bytes, (size_t)a->n_bytes) == 0 &&
	       a->result.answer.stop == b->result.answer.stop &&
	       a->result.answer.n_out == b->result.answer.n_out;
}

/* All jobs, one more every other step, beside as many others that go on for long: how many get what they get
 * alone. */
static int
together(
    struct seen *jobs, const struct seen *want, struct llm_pass *pass, bool store, int draft)
{
	struct llm_scheduler *sched = scheduler_new(pass, 0, 0);
	struct store *kept = store ? calloc(1, sizeof *kept) : NULL;
	struct seen *others = jobs_make(true);
	int good = 0, most = 0, n = 0, more = 1;
	for (int i = 0; i < N_JOB; i++) {
		jobs[i].store = others[i].store = kept;
		jobs[i].n_draft = draft;
		others[i].n_max = 90;
		add(sched, &others[i], i % 3, (uint64_t)i % 5);
	}
	for (; more > 0 || n < N_JOB; more = step(sched)) {
		int running = llm_scheduler_n_running(sched);
		most = running > most ? running : most;
		if (n < N_JOB && steps % 2 == 0) {
			add(sched, &jobs[n], n % 3, (uint64_t)n % 7);
			n++;
		}
	}
	for (int i = 0; i < N_JOB; i++)
		good += same(&want[i], &jobs[i]);
	bool empty = llm_scheduler_kv_bytes(sched) == 0 && (!store || store_free(kept));
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
	struct seen *want = jobs_make(sampled), *got = jobs_make(sampled);
	struct llm_pass *pass = pass_new(512);
	for (int i = 0; i < N_JOB; i++)
		alone(&want[i], pass);
	llm_pass_free(pass);
	for (int k = 0; k < 3; k++) {
		pass = pass_new(max_rows[k]);
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

/* A job given up before, between or after any of its steps, beside two others. */
static void
cancelling(void)
{
	struct seen *want = jobs_make(false), *got = jobs_make(false);
	struct llm_pass *pass = pass_new(24);
	int good = 0, early = 0, midway = 0, runs = 0;
	/* Prompts of 150, 65 and 300 tokens. */
	alone(&want[2], pass);
	alone(&want[4], pass);
	for (int after = 0; after < 60; after += after < 3 ? 1 : 3, runs++) {
		struct llm_scheduler *sched = scheduler_new(pass, 0, 0);
		struct store *store = got[6].store = calloc(1, sizeof *store);
		got[6].n_draft = 8;
		add(sched, &got[2], LLM_JOB_PIPE, 1);
		struct llm_job *job = add(sched, &got[6], LLM_JOB_PIPE, 2);
		add(sched, &got[4], LLM_JOB_PIPE, 3);
		while (steps < after)
			step(sched);
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
		while (step(sched) > 0)
			;
		good += same(&want[2], &got[2]) && same(&want[4], &got[4]) &&
			got[6].n_done == 1 && llm_scheduler_kv_bytes(sched) == 0;
		llm_scheduler_free(sched);
		good += store_free(store);
	}
	tap_ok(good == 3 * runs && early > 2 && midway > 2,
	    "a job may be given up at any time, and no other is the worse for it");
	struct llm_scheduler *sched = scheduler_new(pass, 0, 0);
	add(sched, &got[2], LLM_JOB_PIPE, 1);
	step(sched);
	got[6].store = NULL;
	add(sched, &got[6], LLM_JOB_PIPE, 2);
	llm_scheduler_free(sched);
	tap_ok(got[2].n_done == 1 && got[2].rc == LLM_EBUSY && got[6].rc == LLM_EBUSY,
	    "a scheduler that ends ends its jobs: busy");
	llm_pass_free(pass);
	free(want);
	free(got);
}

/* Classes, clients and coming, in passes of at most 16 rows. */
static void
turns(void)
{
	enum { A1, A2, A3, B1, C1, BATCH, NOW, N };
	struct seen *s = calloc(N, sizeof *s);
	struct llm_pass *pass = pass_new(16);
	struct llm_scheduler *sched = scheduler_new(pass, 0, 0);
	for (int i = 0; i < N; i++) {
		prompt_make(&s[i], i == NOW ? 6 : 200, (unsigned)i + 50);
		s[i].n_max = 4;
		s[i].from_logits = MAX_PROMPT;
		s[i].sampling = (struct llm_sampling)LLM_SAMPLING_GREEDY;
	}
	add(sched, &s[BATCH], LLM_JOB_BATCH, 4);
	add(sched, &s[A1], LLM_JOB_PIPE, 1);
	add(sched, &s[A2], LLM_JOB_PIPE, 1);
	add(sched, &s[A3], LLM_JOB_PIPE, 1);
	add(sched, &s[B1], LLM_JOB_PIPE, 2);
	tap_ok(s[BATCH].queued == 4 && s[A1].queued == 0 && s[A2].queued == 2 &&
		   s[A3].queued == 3 && s[B1].queued == 1,
	    "who waits is told how many are before");
	step(sched);
	tap_ok(s[A1].first_step == 1 && s[B1].queued == 0 && s[BATCH].queued == 3,
	    "and again when that changes");
	tap_ok(llm_scheduler_n_running(sched) == 1 && llm_scheduler_n_waiting(sched) == 4,
	    "one runs, the others wait");
	while (s[A1].prompt_step < 0)
		step(sched);
	int before = steps;
	add(sched, &s[NOW], LLM_JOB_INTERACTIVE, 5);
	add(sched, &s[C1], LLM_JOB_PIPE, 3);
	step(sched);
	tap_ok(s[NOW].prompt_step == before + 1 && s[NOW].n == 1,
	    "an interactive job goes before all prompts, and has its first token in the next "
	    "step");
	while (s[NOW].n_done == 0)
		step(sched);
	tap_ok(s[NOW].done_step == before + 4, "and then one a step");
	while (step(sched) > 0)
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
	struct seen *s = jobs_make(false);
	struct llm_pass *pass = pass_new(64);
	uint64_t page = llm_seq_bytes(&model->config, llm_pass_kv_type(pass), LLM_KV_PAGE);
	struct llm_scheduler *sched = scheduler_new(pass, 4 * page, 3);
	char both[2][64];
	s[2].n_max = 64 * 3 - 150;
	tap_ok(add(sched, &s[2], 0, 1) != NULL && llm_scheduler_kv_bytes(sched) == 3 * page,
	    "a job's pages are reserved when it is taken");
	snprintf(both[0], sizeof both[0], "%llu bytes", 3 * (unsigned long long)page);
	snprintf(both[1], sizeof both[1], "%llu of %llu are free", (unsigned long long)page,
	    4 * (unsigned long long)page);
	s[7].n_max = 64;
	tap_ok(add(sched, &s[7], 0, 1) == NULL && s[7].rc == LLM_EBUSY && s[7].n_done == 0 &&
		   strstr(err.msg, both[0]) != NULL && strstr(err.msg, both[1]) != NULL,
	    "what does not fit is refused with both numbers: %s", err.msg);
	s[0].n_max = s[1].n_max = s[3].n_max = 0;
	s[1].n_prompt = 0;
	tap_ok(add(sched, &s[1], 0, 1) == NULL && s[1].rc == LLM_EDATA,
	    "an empty prompt is refused");
	tap_ok(add(sched, &s[0], 0, 1) != NULL && llm_scheduler_kv_bytes(sched) == 4 * page,
	    "all room may be taken");
	s[5].prompt[3] = model->config.n_vocab;
	tap_ok(add(sched, &s[5], 0, 1) == NULL && s[5].rc == LLM_EDATA,
	    "a token that there is not is refused");
	s[8].n_ctx = s[8].n_prompt;
	tap_ok(add(sched, &s[8], 0, 1) == NULL && s[8].rc == LLM_ETOOLONG,
	    "so is a prompt that fills the context");
	while (step(sched) > 0)
		;
	for (int i = 0; i < 3; i++) {
		s[9 + i].n_max = 1;
		add(sched, &s[9 + i], 0, 1);
	}
	tap_ok(add(sched, &s[3], 0, 1) == NULL && s[3].rc == LLM_EBUSY &&
		   strstr(err.msg, "3 jobs") != NULL,
	    "and more jobs than may be: %s", err.msg);
	llm_scheduler_free(sched);
	llm_pass_free(pass);
	free(s);
}

/* Prompts that begin alike and come together. */
static void
prefixes(void)
{
	enum { N = 8, ALIKE = 300, OWN = 10 };
	struct seen *s = calloc(2 * N, sizeof *s), *want = calloc(2 * N, sizeof *s);
	struct store *store = calloc(1, sizeof *store);
	struct llm_pass *pass = pass_new(48);
	struct llm_scheduler *sched = scheduler_new(pass, 0, 0);
	int rows = 0, kept = 0, good = 0;
	for (int i = 0; i < N; i++) {
		prompt_make(&s[i], ALIKE + OWN, 7);
		for (int k = ALIKE; k < ALIKE + OWN; k++)
			s[i].prompt[k] = 30 + i + k % 5;
		s[i].n_max = 5;
		s[i].from_logits = MAX_PROMPT;
		s[i].sampling = (struct llm_sampling)LLM_SAMPLING_GREEDY;
		want[i] = s[i];
		alone(&want[i], pass);
		s[i].store = store;
	}
	for (int i = 0; i < N; i++)
		add(sched, &s[i], i % 2, (uint64_t)i);
	for (int more = 1; more > 0; rows += llm_scheduler_last(sched).n_prefill)
		more = step(sched);
	for (int i = 0; i < N; i++) {
		kept += s[i].result.answer.n_kept;
		good += same(&want[i], &s[i]);
	}
	int whole = ALIKE / LLM_KV_PAGE * LLM_KV_PAGE;
	tap_ok(rows == ALIKE + OWN + (N - 1) * (ALIKE + OWN - whole) &&
		   kept == (N - 1) * whole && good == N,
	    "prompts that begin alike and come together compute that once: %d rows", rows);
	llm_scheduler_free(sched);
	store_free(store);
	llm_pass_free(pass);
	free(s);
	free(want);
}

/* Answers without limit in little room. */
static void
growing(void)
{
	enum { N = 4, CTX = 320, PAGES = 9 };
	struct seen *s = calloc(N, sizeof *s), *want = calloc(N, sizeof *s), more;
	struct llm_pass *pass = pass_new(64);
	uint64_t page = llm_seq_bytes(&model->config, llm_pass_kv_type(pass), LLM_KV_PAGE);
	int good = 0, full = 0;
	for (int i = 0; i < N; i++) {
		prompt_make(&s[i], 20 + 9 * i, (unsigned)i + 90);
		s[i].n_max = -1;
		s[i].n_ctx = CTX;
		s[i].n_draft = i % 2 ? 6 : 0;
		s[i].from_logits = MAX_PROMPT;
		s[i].sampling = (struct llm_sampling){
		    .temp = 0.8f, .top_p = 1, .repeat_penalty = 1, .seed = 5 + (unsigned)i};
		want[i] = s[i];
		alone(&want[i], pass);
		full += want[i].result.answer.stop == LLM_GENERATE_CONTEXT;
	}
	for (int store = 0; store < 2; store++) {
		struct llm_scheduler *sched = scheduler_new(pass, PAGES * page, 0);
		struct store *kept = store ? calloc(1, sizeof *kept) : NULL;
		bool within = true, refused = false;
		for (int i = 0; i < N; i++) {
			s[i].store = kept;
			add(sched, &s[i], i == 3 ? LLM_JOB_INTERACTIVE : LLM_JOB_PIPE, 1);
		}
		good = 0;
		for (int go = 1; go > 0;) {
			go = step(sched);
			within =
			    within && llm_scheduler_kv_bytes(sched) <= (uint64_t)PAGES * page;
			prompt_make(&more, 3, 1);
			more = (struct seen){
			    .n_prompt = 3, .n_max = 5, .n_ctx = CTX, .sampling = s[0].sampling};
			if (!refused && steps > 100)
				refused =
				    add(sched, &more, 0, 9) == NULL && more.rc == LLM_EBUSY;
		}
		for (int i = 0; i < N; i++)
			good += same(&want[i], &s[i]);
		tap_ok(good == N && full == N && within && refused,
		    "answers that outgrow the room wait for it, and end as ever: %d of %d%s",
		    good, N, store ? ", with a store" : "");
		llm_scheduler_free(sched);
		if (store)
			store_free(kept);
	}
	s[0].store = NULL;
	struct llm_scheduler *sched = scheduler_new(pass, 3 * page, 0);
	add(sched, &s[0], LLM_JOB_PIPE, 1);
	while (step(sched) > 0)
		;
	tap_ok(s[0].rc == LLM_EBUSY && s[0].n > 100 && s[0].n < want[0].n &&
		   memcmp(s[0].ids, want[0].ids, (size_t)s[0].n * sizeof(llm_token)) == 0,
	    "one that outgrows all of it ends: %s", s[0].err.msg);
	llm_scheduler_free(sched);
	llm_pass_free(pass);
	free(s);
	free(want);
}

/* Rows of logits of prompts, as many as are asked for, beside an answer. */
static void
scoring(void)
{
	enum { N = 390 };
	size_t n_vocab = (size_t)model->config.n_vocab;
	struct seen *s = jobs_make(false);
	struct llm_pass *pass = pass_new(40);
	struct llm_seq *seq;
	float *want = calloc(2 * N * n_vocab, sizeof *want);
	must(llm_seq_new(&seq, &model->config, llm_pass_kv_type(pass), N, &err));
	must(llm_seq_reserve(seq, N, &err));
	for (int i = 0; i < N; i++)
		must(llm_forward(pass, &(struct llm_row){seq, s[12].prompt[i], i, true}, 1,
		    want + (size_t)i * n_vocab, &err));
	llm_seq_free(seq);
	struct llm_scheduler *sched = scheduler_new(pass, 0, 0);
	struct seen *scored = &s[12];
	scored->from_logits = 170;
	scored->n_max = 0;
	scored->store = calloc(1, sizeof *scored->store);
	scored->scored = want + N * n_vocab;
	add(sched, &s[6], LLM_JOB_PIPE, 1);
	for (int round = 0; round < 2; round++) {
		add(sched, scored, LLM_JOB_PIPE, 2);
		while (step(sched) > 0)
			;
		size_t from = 170 * n_vocab, n = (N - 170) * n_vocab;
		tap_ok(scored->n_scored == N - 170 && scored->rc == 0 && scored->n_done == 1 &&
			   scored->result.answer.n_kept == (round == 0 ? 0 : 128) &&
			   memcmp(want + from, scored->scored + from, n * sizeof *want) == 0,
		    "the logits of a prompt from a position on%s",
		    round > 0 ? ", though a store has all of it" : "");
	}
	scored->from_logits = N;
	add(sched, scored, LLM_JOB_PIPE, 2);
	step(sched);
	tap_ok(scored->n_done == 1 && scored->n_scored == 0 &&
		   scored->result.answer.n_kept == N / LLM_KV_PAGE * LLM_KV_PAGE,
	    "a prompt that is only computed need not be where a store has it");
	llm_scheduler_free(sched);
	store_free(scored->store);
	llm_pass_free(pass);
	free(want);
	free(s);
}

/* A model with a token that is no number: who has it in a prompt fails. */
enum { POISON = 9 };

static void
not_finite(void)
{
	struct seen *want = jobs_make(false), *got = jobs_make(false);
	struct llm_pass *pass = pass_new(64);
	struct llm_scheduler *sched = scheduler_new(pass, 0, 0);
	int good = 0;
	got[2].prompt[140] = got[6].prompt[0] = got[13].prompt[1] = POISON;
	got[17].n_max = 0;
	got[17].prompt[50] = POISON;
	for (int i = 0; i < N_JOB; i++) {
		bool bad = i == 2 || i == 6 || i == 13 || i == 17;
		if (!bad)
			alone(&want[i], pass);
	}
	for (int i = 0; i < N_JOB; i++)
		add(sched, &got[i], i % 3, (uint64_t)i);
	while (step(sched) > 0)
		;
	for (int i = 0; i < N_JOB; i++) {
		bool bad = i == 2 || i == 6 || i == 13 || i == 17;
		good += bad ? got[i].n_done == 1 && got[i].rc == LLM_ENOTFINITE &&
				  strstr(got[i].err.msg, "layer 0") != NULL && got[i].n == 0
			    : same(&want[i], &got[i]);
	}
	tap_ok(good == N_JOB, "a value that is no number fails its own job alone");
	llm_scheduler_free(sched);
	llm_pass_free(pass);
	free(want);
	free(got);
}

/* Expectations of a machine whose pass takes base + row * rows: how long steps come to take. */
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
	    "two steps without prompts where those take longer (%.3f)", s);
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

static bool
open_model(struct mkfile *f)
{
	char path[] = "/tmp/llm-generate-scheduler.XXXXXX";
	int fd = mkstemp(path);
	bool good = fd >= 0 && f != NULL && mkfile_write(f, path, 1) >= 0 &&
		    llm_model_open(&model, path, &err) >= 0 &&
		    llm_tokenizer_open(&tokenizer, model->gguf, &err) >= 0;
	mkfile_free(f);
	if (fd >= 0)
		close(fd);
	unlink(path);
	return good;
}

static void
close_model(void)
{
	llm_tokenizer_close(tokenizer);
	llm_model_close(model);
}

int
main(void)
{
	struct mkmodel m;
	mkmodel_shape(&m, "tiny");
	if (!open_model(mkmodel_new(&m))) {
		printf("Bail out! no model: %s\n", err.msg);
		return 1;
	}
	same_bytes(false);
	same_bytes(true);
	cancelling();
	turns();
	refusals();
	prefixes();
	growing();
	scoring();
	rates();
	close_model();
	mkmodel_shape(&m, "odd");
	struct mkfile *f = mkmodel_new(&m);
	struct mkfile_tensor *t = mkfile_find(f, "token_embd.weight");
	size_t n = t->ne[0] * t->ne[1];
	t->type = LLM_DTYPE_F32;
	t->values = calloc(n, sizeof *t->values);
	for (size_t i = 0; i < n; i++)
		t->values[i] = (float)(i * 2654435761u % 1000) / 500 - 1;
	t->values[POISON * t->ne[0] + 5] = NAN;
	if (open_model(f)) {
		not_finite();
		close_model();
	}
	return tap_done();
}
