/*
 * SPDX-License-Identifier: ISC
 *
 * Jobs for tests; see jobs.h.
 */
#include "tests/jobs.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct llm_err jobs_err;
struct llm_model *jobs_model;
int jobs_steps;
static struct llm_tokenizer *jobs_tokenizer;

void
jobs_must(int rc)
{
	if (rc >= 0)
		return;
	printf("Bail out! %s\n", jobs_err.msg);
	exit(1);
}

static struct kept *
store_find(struct job_store *s, const llm_token *ids, int n)
{
	for (int i = 0; i < s->n; i++)
		if (s->kept[i].n == n &&
		    memcmp(s->kept[i].ids, ids, (size_t)n * sizeof *ids) == 0)
			return &s->kept[i];
	return NULL;
}

/* Returns whether nobody else has its pages any more. */
bool
jobs_store_free(struct job_store *s)
{
	bool only = true;
	for (int i = 0; i < s->n; i++) {
		only = only && llm_page_n_owner(s->kept[i].page) == 1;
		llm_page_drop(s->kept[i].page);
	}
	free(s);
	return only;
}

static void
on_part(void *context, const struct llm_answer_part *part)
{
	struct job *s = context;
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
	struct job *s = context;
	if (s->progress == 0)
		s->first_step = jobs_steps;
	if (done == s->n_prompt)
		s->prompt_step = jobs_steps;
	s->astray = s->astray || done <= s->progress || done > s->n_prompt;
	s->progress = done;
}

static void
on_queued(void *context, int position)
{
	((struct job *)context)->queued = position;
}

static void
on_warm(void *context, struct llm_seq *seq, const llm_token *ids, int n)
{
	struct job *s = context;
	while (s->store != NULL && seq->n_pos % LLM_KV_PAGE == 0 &&
	       seq->n_pos + LLM_KV_PAGE <= n) {
		struct kept *k = store_find(s->store, ids, seq->n_pos + LLM_KV_PAGE);
		if (k == NULL || llm_seq_adopt(seq, k->page, &jobs_err) < 0)
			return;
	}
}

static void
on_keep(void *context, const struct llm_seq *seq, const llm_token *ids, int n)
{
	struct job_store *s = ((struct job *)context)->store;
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
	struct job *s = context;
	size_t n = (size_t)jobs_model->config.n_vocab;
	(void)e;
	if (s->scored != NULL)
		memcpy(s->scored + (size_t)pos * n, logits, n * sizeof *logits);
	s->n_scored++;
	return 0;
}

static void
on_done(void *context, int rc, const struct llm_job_result *result, const struct llm_err *e)
{
	struct job *s = context;
	s->n_done++;
	s->rc = rc;
	s->result = *result;
	s->done_step = jobs_steps;
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
answer_params(struct job *s)
{
	static const char *const stop[] = {"zq", "\n\n\n"};
	return (struct llm_answer_params){.tokenizer = jobs_tokenizer,
	    .sampling = &s->sampling,
	    .stop = stop,
	    .n_stop = 2,
	    .emit = on_part,
	    .context = s};
}

static void
job_reset(struct job *s)
{
	s->n = s->n_bytes = s->progress = s->n_done = s->n_scored = s->rc = 0;
	s->astray = false;
	s->first_step = s->prompt_step = s->done_step = s->queued = -1;
	s->result = (struct llm_job_result){0};
}

struct llm_job *
jobs_add(struct llm_scheduler *s, struct job *j, enum llm_job_class class, uint64_t client)
{
	struct llm_job *job = NULL;
	struct llm_answer_params answer = answer_params(j);
	struct llm_job_params params = {.prompt = j->prompt,
	    .n_prompt = (size_t)j->n_prompt,
	    .n_max = j->n_max,
	    .n_draft = j->n_draft,
	    .n_ctx = j->n_ctx,
	    .from_logits = j->from_logits,
	    .answer = &answer,
	    .class = class,
	    .client = client,
	    .hooks = &hooks,
	    .context = j};
	job_reset(j);
	int rc = llm_scheduler_add(&job, s, &params, &jobs_err);
	if (rc < 0)
		j->rc = rc;
	return rc < 0 ? NULL : job;
}

/* Any tokens, of which some repeat, so that there is something to guess from. */
void
jobs_prompt(struct job *s, int n, unsigned seed)
{
	for (int i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		s->prompt[i] =
		    i % 9 > 4 ? s->prompt[i - 5] : (llm_token)(20 + (seed >> 16) % 300);
	}
	s->n_prompt = n;
}

struct job *
jobs_new(bool sampled)
{
	static const int lengths[N_JOB] = {
	    1, 3, 150, 64, 65, 9, 300, 128, 20, 33, 40, 63, 390, 2, 77, 100, 7, 200, 129, 12};
	struct job *s = calloc(N_JOB, sizeof *s);
	for (int i = 0; i < N_JOB; i++) {
		jobs_prompt(&s[i], lengths[i], (unsigned)i + 1);
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

struct llm_pass *
jobs_pass(int max_rows)
{
	struct llm_pass *pass;
	struct llm_pass_params params = {.n_thread = 2, .max_rows = max_rows};
	jobs_must(llm_pass_new(&pass, jobs_model, &params, &jobs_err));
	return pass;
}

struct llm_scheduler *
jobs_scheduler(struct llm_pass *pass, uint64_t kv_bytes, int max_jobs)
{
	struct llm_scheduler *s;
	struct llm_scheduler_params params = {.kv_bytes = kv_bytes, .max_jobs = max_jobs};
	jobs_must(llm_scheduler_new(&s, pass, &params, &jobs_err));
	jobs_steps = 0;
	return s;
}

int
jobs_step(struct llm_scheduler *s)
{
	jobs_steps++;
	return llm_scheduler_step(s);
}

void
jobs_alone(struct job *s, struct llm_pass *pass)
{
	struct llm_generate *g;
	struct llm_generate_result r;
	struct llm_answer_params answer = answer_params(s);
	struct llm_generate_request request = {.prompt = s->prompt,
	    .n_prompt = (size_t)s->n_prompt,
	    .n_max = s->n_max,
	    .answer = &answer};
	job_reset(s);
	jobs_must(llm_generate_new(&g, pass, s->n_ctx, &jobs_err));
	jobs_must(llm_generate_run(&r, g, &request, &jobs_err));
	s->result.answer = r;
	llm_generate_free(g);
}

bool
jobs_same(const struct job *a, const struct job *b)
{
	return a->n == b->n && a->n_bytes == b->n_bytes && b->n_done == 1 && b->rc == 0 &&
	       !b->astray && memcmp(a->ids, b->ids, (size_t)a->n * sizeof *a->ids) == 0 &&
	       memcmp(a->bytes, b->bytes, (size_t)a->n_bytes) == 0 &&
	       a->result.answer.stop == b->result.answer.stop &&
	       a->result.answer.n_out == b->result.answer.n_out;
}

bool
jobs_open(const char *shape, void (*change)(struct mkfile *f))
{
	char path[] = "/tmp/llm-test-jobs.XXXXXX";
	struct mkmodel m;
	mkmodel_shape(&m, shape);
	struct mkfile *f = mkmodel_new(&m);
	int fd = mkstemp(path);
	if (f != NULL && change != NULL)
		change(f);
	bool good = fd >= 0 && f != NULL && mkfile_write(f, path, 1) >= 0 &&
		    llm_model_open(&jobs_model, path, &jobs_err) >= 0 &&
		    llm_tokenizer_open(&jobs_tokenizer, jobs_model->gguf, &jobs_err) >= 0;
	mkfile_free(f);
	if (fd >= 0)
		close(fd);
	unlink(path);
	if (!good)
		printf("Bail out! no model: %s\n", jobs_err.msg);
	return good;
}

void
jobs_close(void)
{
	llm_tokenizer_close(jobs_tokenizer);
	llm_model_close(jobs_model);
}
