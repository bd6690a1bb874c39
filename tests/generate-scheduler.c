/*
 * SPDX-License-Identifier: ISC
 *
 * Jobs in shared passes on a made model: each gets what it gets alone, whoever runs beside it, whatever a store
 * gives or is guessed; who goes before whom; what is refused, given up, or fails; and nothing is left behind.
 */
#include "generate/scheduler.h"
#include "tests/mkmodel.h"
#include "tests/tap.h"

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

static void
store_free(struct store *s)
{
	for (int i = 0; i < s->n; i++)
		llm_page_drop(s->kept[i].page);
	free(s);
}

/* What a job asks for, and what its hooks saw. */
struct seen {
	llm_token prompt[MAX_PROMPT], ids[MAX_OUT];
	char bytes[MAX_BYTES];
	int n_prompt, n_max, n_draft, from_logits;
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
	must(llm_generate_new(&g, pass, 0, &err));
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
	tap_ok(llm_scheduler_kv_bytes(sched) == 0 && most >= 16,
	    "all run together (%d at once), and their memory is free again", most);
	llm_scheduler_free(sched);
	if (store)
		store_free(kept);
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

int
main(void)
{
	char path[] = "/tmp/llm-generate-scheduler.XXXXXX";
	struct mkmodel m;
	int fd = mkstemp(path);
	mkmodel_shape(&m, "tiny");
	struct mkfile *f = mkmodel_new(&m);
	if (fd < 0 || f == NULL || mkfile_write(f, path, 1) < 0 ||
	    llm_model_open(&model, path, &err) < 0 ||
	    llm_tokenizer_open(&tokenizer, model->gguf, &err) < 0) {
		printf("Bail out! no model: %s\n", err.msg);
		return 1;
	}
	mkfile_free(f);
	same_bytes(false);
	same_bytes(true);
	llm_tokenizer_close(tokenizer);
	llm_model_close(model);
	close(fd);
	unlink(path);
	return tap_done();
}
