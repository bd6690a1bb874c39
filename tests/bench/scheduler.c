/*
 * SPDX-License-Identifier: ISC
 *
 * Jobs in shared passes: answers of sixteen against one; what a step takes beyond its pass; how long an interactive
 * job waits for its first token, and for its eighth, while eight clients send prompts of 1,500 tokens.
 *	tests/bench/scheduler [MODEL.gguf [THREADS [PARTS]]]	without one, $LLM_TEST_MODEL
 * PARTS are letters: a(nswers) s(tep) p(rompts) i(nteractive); all of them unless told.
 */
#include "generate/scheduler.h"
#include "libcore/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHORT = 32, LONG = 1500, CLIENTS = 8, ANSWER = 8, ASKS = 20, ROUNDS = 2, BARE = 30 };

/* A figure takes no longer than that, if it can be helped. */
static const double patience = 3;

static struct llm_err err;
static struct llm_model *model;
static struct llm_tokenizer *tokenizer;
static struct llm_pass *pass;

static void
must(int rc)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "scheduler: %s\n", err.msg);
	exit(1);
}

static int
compare(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static double
median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof *v, compare);
	return v[n / 2];
}

/* What came of a job. */
struct seen {
	int n_token;
	double first;
	int first_step, done_step;
	bool done;
	struct llm_job_result result;
};

static int steps;
static float temp;               /* of what is sampled */
static struct llm_bias ends[64]; /* no answer ends of itself */
static int n_end;

static void
on_part(void *context, const struct llm_answer_part *part)
{
	struct seen *s = context;
	if (s->n_token == 0 && part->n_ids > 0) {
		s->first = llm_clock_s();
		s->first_step = steps;
	}
	s->n_token += (int)part->n_ids;
}

static void
on_done(void *context, int rc, const struct llm_job_result *result, const struct llm_err *e)
{
	struct seen *s = context;
	if (rc < 0 && rc != LLM_EBUSY) /* given up at the end */
		fprintf(stderr, "scheduler: %s\n", e->msg);
	s->done = true;
	s->done_step = steps;
	s->result = *result;
}

static const struct llm_job_hooks hooks = {.done = on_done};

static struct llm_job *
add(struct llm_scheduler *sched, struct seen *s, int n_prompt, int n_max, int seed,
    enum llm_job_class class)
{
	struct llm_sampling sampling = {.temp = temp,
	    .top_p = temp > 0 ? 0.95 : 1,
	    .repeat_penalty = 1,
	    .seed = 1,
	    .bias = ends,
	    .n_bias = n_end};
	llm_token ids[LONG];
	struct llm_job *job;
	const struct llm_kernels *kernels;
	must(llm_kernels_get(&kernels, getenv("LLM_KERNELS"), &err));
	struct llm_answer_params answer = {.tokenizer = tokenizer,
	    .sampling = &sampling,
	    .vector = kernels->vector,
	    .emit = on_part,
	    .context = s};
	for (int i = 0; i < n_prompt; i++)
		ids[i] = (i * 131 + 7 + seed * 977) % 20000;
	struct llm_job_params params = {.prompt = ids,
	    .n_prompt = (size_t)n_prompt,
	    .n_max = n_max,
	    .answer = &answer,
	    .class = class,
	    .client = (uint64_t)seed,
	    .hooks = &hooks,
	    .context = s};
	*s = (struct seen){0};
	must(llm_scheduler_add(&job, sched, &params, &err));
	return job;
}

static struct llm_scheduler *
scheduler_new(void)
{
	struct llm_scheduler *s;
	struct llm_scheduler_params params = {0};
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

/* Tokens a second of n answers at once, in the steps that carry all of them and nothing else. */
static double
answers(int n)
{
	static struct seen seen[64];
	struct llm_scheduler *s = scheduler_new();
	double spent = 0;
	int tokens = 0;
	for (int i = 0; i < n; i++)
		add(s, &seen[i], SHORT, 200, i, LLM_JOB_PIPE);
	while (spent < patience && step(s) > 0) {
		struct llm_scheduler_step last = llm_scheduler_last(s);
		if (last.n_prefill > 0 || last.n_decode < n)
			continue;
		spent += last.seconds;
		tokens += last.n_decode;
	}
	llm_scheduler_free(s);
	return tokens / spent;
}

/* The bare pass of one token in turn with a step of one answer: the medians' difference. */
static void
overhead(void)
{
	struct seen seen;
	struct llm_seq *seq;
	double bare[BARE], steps_s[BARE], worst = 0;
	struct llm_scheduler *s = scheduler_new();
	float *logits = malloc((size_t)model->config.n_vocab * sizeof *logits);
	must(llm_seq_new(&seq, &model->config, llm_pass_kv_type(pass), 1000, &err));
	must(llm_seq_reserve(seq, SHORT + BARE, &err));
	for (int i = 0; i < SHORT; i++)
		must(llm_forward(pass, &(struct llm_row){seq, i, i, false}, 1, NULL, &err));
	add(s, &seen, SHORT, BARE + 1, 1, LLM_JOB_PIPE);
	while (llm_scheduler_last(s).n_prefill == 0 || seen.n_token == 0)
		step(s);
	int n = 0;
	for (; n < BARE && !seen.done; n++) {
		double begin = llm_clock_s();
		must(llm_forward(
		    pass, &(struct llm_row){seq, n, SHORT + n, true}, 1, logits, &err));
		bare[n] = llm_clock_s() - begin;
		begin = llm_clock_s();
		step(s);
		steps_s[n] = llm_clock_s() - begin;
	}
	for (int i = 0; i < n; i++)
		worst = steps_s[i] - bare[i] > worst ? steps_s[i] - bare[i] : worst;
	double m = median(bare, n), of_steps = median(steps_s, n);
	printf("a step of one token\t%.3f ms\t%.3f ms beyond its pass\n", 1e3 * of_steps,
	    1e3 * (of_steps - m));
	llm_scheduler_free(s);
	llm_seq_free(seq);
	free(logits);
}

/* An interactive job now and then, while each of the others sends prompt after prompt. */
static void
interactive(int n_prompt)
{
	static struct seen batch[CLIENTS];
	struct llm_scheduler *s = scheduler_new();
	double first[ASKS], done[ASKS], longest_step = 0;
	int most_steps = 0, first_steps = 0, rows = 0;
	struct llm_job_result worst = {0};
	for (int i = 0; i < CLIENTS; i++)
		add(s, &batch[i], LONG, 16, 100 + i, LLM_JOB_BATCH);
	for (int i = 0; i < 20; i++)
		step(s);
	for (int k = 0; k < ASKS; k++) {
		struct seen ask;
		double begin = llm_clock_s();
		int at = steps;
		add(s, &ask, n_prompt, ANSWER, 1000 + k, LLM_JOB_INTERACTIVE);
		while (!ask.done) {
			step(s);
			struct llm_scheduler_step last = llm_scheduler_last(s);
			longest_step =
			    last.seconds > longest_step ? last.seconds : longest_step;
			rows = last.n_prefill > rows ? last.n_prefill : rows;
			for (int i = 0; i < CLIENTS; i++)
				if (batch[i].done)
					add(s, &batch[i], LONG, 16, 200 + i + steps,
					    LLM_JOB_BATCH);
		}
		first[k] = ask.first - begin;
		done[k] = llm_clock_s() - begin;
		if (ask.done_step - at > most_steps)
			most_steps = ask.done_step - at;
		if (ask.first_step - at > first_steps)
			first_steps = ask.first_step - at;
		if (ask.result.prefill_us > worst.prefill_us)
			worst = ask.result;
		for (int i = 0; i < k % 3; i++)
			step(s);
	}
	double m = median(first, ASKS), d = median(done, ASKS);
	printf("interactive, %d tokens, beside %d prompts of %d\tfirst token %.3f s, longest "
	       "%.3f s "
	       "(%d steps)\t%d tokens %.3f s, longest %.3f s (%d steps)\tlongest step %.3f s, "
	       "prompt rows at most %d\n",
	    n_prompt, CLIENTS, LONG, m, first[ASKS - 1], first_steps, ANSWER, d, done[ASKS - 1],
	    most_steps, longest_step, rows);
	llm_scheduler_free(s);
}

/* Prompts alone: what bounded steps cost against passes as large as can be. */
static void
prompts(void)
{
	struct seen seen;
	struct llm_scheduler *s = scheduler_new();
	struct llm_seq *seq;
	static struct llm_row rows[LONG];
	double best = 1e9, bare = 1e9, longest = 0;
	int n_steps = 0;
	for (int round = 0; round < ROUNDS - 1; round++) {
		add(s, &seen, LONG, 1, 7, LLM_JOB_PIPE);
		double begin = llm_clock_s();
		int from = steps;
		while (step(s) > 0)
			if (round > 0 && llm_scheduler_last(s).seconds > longest)
				longest = llm_scheduler_last(s).seconds;
		double spent = llm_clock_s() - begin;
		best = spent < best ? spent : best;
		n_steps = steps - from;
	}
	must(llm_seq_new(&seq, &model->config, llm_pass_kv_type(pass), LONG, &err));
	must(llm_seq_reserve(seq, LONG, &err));
	for (int i = 0; i < LONG; i++)
		rows[i] = (struct llm_row){seq, (i * 131 + 7) % 20000, i, false};
	double begin = llm_clock_s();
	for (int i = 0; i < LONG; i += 500)
		must(llm_forward(pass, rows + i, 500, NULL, &err));
	bare = llm_clock_s() - begin;
	printf(
	    "a prompt of %d\t%.0f tok/s in %d steps, longest %.3f s\t%.0f tok/s in passes of "
	    "500\t%.2f\n",
	    LONG, LONG / best, n_steps, longest, LONG / bare, bare / best);
	llm_seq_free(seq);
	llm_scheduler_free(s);
}

int
main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : getenv("LLM_TEST_MODEL");
	struct llm_pass_params pp = {.n_thread = argc > 2 ? atoi(argv[2]) : 0};
	const char *parts = argc > 3 ? argv[3] : "aspi";
	if (path == NULL || path[0] == '\0') {
		puts("scheduler: skipped, no model");
		return 0;
	}
	must(llm_kernels_get(&pp.kernels, getenv("LLM_KERNELS"), &err));
	must(llm_model_open(&model, path, &err));
	must(llm_tokenizer_open(&tokenizer, model->gguf, &err));
	must(llm_pass_new(&pass, model, &pp, &err));
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (llm_token id = 0; id < model->config.n_vocab && n_end < 64; id++)
		if (llm_tokenizer_is_end(tokenizer, id))
			ends[n_end++] = (struct llm_bias){id, -INFINITY};
	for (int sampled = 0; sampled < 2 && strchr(parts, 'a') != NULL; sampled++) {
		double one = 0, many = 0;
		temp = sampled ? 0.8f : 0;
		for (int i = 0; i < ROUNDS; i++) {
			double rate = answers(1);
			one = rate > one ? rate : one;
			rate = answers(16);
			many = rate > many ? rate : many;
		}
		printf("%s answers\t1: %.1f tok/s\t16: %.1f tok/s\t%.2f times\n",
		    sampled ? "sampled" : "greedy", one, many, many / one);
	}
	temp = 0;
	if (strchr(parts, 's') != NULL)
		overhead();
	if (strchr(parts, 'p') != NULL)
		prompts();
	if (strchr(parts, 'i') != NULL)
		interactive(SHORT);
	llm_pass_free(pass);
	llm_tokenizer_close(tokenizer);
	llm_model_close(model);
	return 0;
}
