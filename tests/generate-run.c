/*
 * SPDX-License-Identifier: ISC
 *
 * Answers on a made model: what a sequence already holds is not computed again and changes nothing, chunks
 * of any size give the same tokens, hooks are called as generate.h says.
 */
#include "generate/generate.h"
#include "tests/mkmodel.h"
#include "tests/tap.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_OUT = 256 };

static struct llm_err err;
static struct llm_model *model;
static struct llm_tokenizer *tokenizer;

/* What the hooks saw. */
struct seen {
	llm_token ids[MAX_OUT];
	int n, n_call, n_empty;
	int progress[MAX_OUT], n_progress;
	int cancel_after; /* calls of the cancel hook until it says so; 0: never */
	int n_cancel;
};

static void
on_part(void *context, const struct llm_answer_part *part)
{
	struct seen *s = context;
	for (size_t i = 0; i < part->n_ids && s->n < MAX_OUT; i++)
		s->ids[s->n++] = part->ids[i];
	s->n_empty += part->n_ids == 0 && part->n_bytes == 0;
	s->n_call++;
}

static void
on_progress(void *context, int done)
{
	struct seen *s = context;
	if (s->n_progress < MAX_OUT)
		s->progress[s->n_progress++] = done;
}

static bool
on_cancel(void *context)
{
	struct seen *s = context;
	return ++s->n_cancel == s->cancel_after;
}

static int
answer(struct llm_generate_result *r, struct seen *s, struct llm_generate *g,
    const llm_token *prompt, int n_prompt)
{
	struct llm_sampling sampling = {
	    .temp = 2, .top_p = 0.99, .repeat_penalty = 1.05f, .seed = 11};
	struct llm_answer_params params = {
	    .tokenizer = tokenizer, .sampling = &sampling, .emit = on_part, .context = s};
	struct llm_generate_request request = {.prompt = prompt,
	    .n_prompt = (size_t)n_prompt,
	    .n_max = 20,
	    .answer = &params,
	    .cancel = on_cancel,
	    .progress = on_progress,
	    .context = s};
	int cancel_after = s->cancel_after;
	memset(s, 0, sizeof *s);
	s->cancel_after = cancel_after;
	return llm_generate_run(r, g, &request, &err);
}

static struct llm_generate *
fresh(struct llm_pass **pass, int max_rows, int n_ctx)
{
	struct llm_generate *g = NULL;
	struct llm_pass_params params = {.n_thread = 2, .max_rows = max_rows};
	if (llm_pass_new(pass, model, &params, &err) < 0 ||
	    llm_generate_new(&g, *pass, n_ctx, &err) < 0) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	return g;
}

/* An answer by a sequence that knows nothing, in chunks of max_rows. */
static void
alone(
    struct llm_generate_result *r, struct seen *s, int max_rows, const llm_token *prompt, int n)
{
	struct llm_pass *pass;
	struct llm_generate *g = fresh(&pass, max_rows, 0);
	if (answer(r, s, g, prompt, n) < 0)
		printf("# %s\n", err.msg);
	llm_generate_free(g);
	llm_pass_free(pass);
}

static bool
equal(const struct seen *a, const struct seen *b)
{
	return a->n == b->n && memcmp(a->ids, b->ids, (size_t)a->n * sizeof *a->ids) == 0;
}

static void
chunks(const llm_token *prompt, int n)
{
	static const int sizes[] = {1, 2, 7, 64, 100, 512};
	struct llm_generate_result r;
	struct seen whole = {0}, s = {0};
	alone(&r, &whole, 512, prompt, n);
	tap_ok(
	    r.stop == LLM_GENERATE_LIMIT && r.n_out == 20 && whole.n == 20 && r.n_prompt == n,
	    "an answer has as many tokens as it may");
	tap_ok(whole.n_empty == 0 && whole.n_call <= 21, "no part of it is empty");
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		alone(&r, &s, sizes[i], prompt, n);
		bool rises = s.n_progress == (n + sizes[i] - 1) / sizes[i] &&
			     s.progress[s.n_progress - 1] == n;
		tap_ok(equal(&s, &whole) && rises,
		    "a prompt in chunks of %d gives the same answer, and reports each chunk",
		    sizes[i]);
	}
}

/* Turn upon turn, each prompt holding the last one and its answer, as a conversation does. */
static void
conversation(const llm_token *words, int n_word)
{
	struct llm_pass *pass;
	struct llm_generate *g = fresh(&pass, 32, 0);
	struct llm_generate_result r, r_alone;
	struct seen s = {0}, s_alone = {0};
	llm_token all[MAX_OUT];
	int n = 0, n_before = 0, good = 0, kept = 0;
	for (int turn = 0; turn < 4; turn++) {
		memcpy(all + n, words, (size_t)n_word * sizeof *all);
		n += n_word;
		if (answer(&r, &s, g, all, n) < 0)
			break;
		alone(&r_alone, &s_alone, 512, all, n);
		good += equal(&s, &s_alone);
		/* All of the last answer but its last token had been computed. */
		kept += r.n_kept == (turn == 0 ? 0 : n_before - 1);
		memcpy(all + n, s.ids, (size_t)s.n * sizeof *all);
		n_before = n += s.n;
	}
	tap_ok(good == 4, "a conversation's answers are those of prompts computed anew");
	tap_ok(kept == 4, "and nothing is computed twice but the last token");
	all[5] ^= 1;
	answer(&r, &s, g, all, 40);
	alone(&r_alone, &s_alone, 512, all, 40);
	tap_ok(r.n_kept == 5 && equal(&s, &s_alone),
	    "a prompt that differs early keeps only what agrees");
	answer(&r, &s, g, all, 40);
	tap_ok(r.n_kept == 39 && equal(&s, &s_alone),
	    "the same prompt again gives the same answer");
	llm_generate_free(g);
	llm_pass_free(pass);
}

static void
cancelling(const llm_token *prompt, int n)
{
	struct llm_pass *pass;
	struct llm_generate *g = fresh(&pass, 16, 0);
	struct llm_generate_result r;
	struct seen s = {.cancel_after = 2}, whole = {0}, again = {0};
	alone(&r, &whole, 512, prompt, n);
	answer(&r, &s, g, prompt, n);
	tap_ok(r.stop == LLM_GENERATE_CANCEL && s.n == 0 && s.progress[0] == 16,
	    "a prompt is given up between chunks");
	s.cancel_after = 10;
	answer(&r, &s, g, prompt, n);
	tap_ok(r.stop == LLM_GENERATE_CANCEL && s.n > 0 && s.n < 20 &&
		   memcmp(s.ids, whole.ids, (size_t)s.n * sizeof *s.ids) == 0,
	    "an answer is given up between tokens, and what there is is right");
	answer(&r, &again, g, prompt, n);
	tap_ok(equal(&again, &whole), "what was given up leaves no trace");
	llm_generate_free(g);
	llm_pass_free(pass);
}

static void
context(const llm_token *prompt, int n)
{
	struct llm_pass *pass;
	struct llm_generate *g = fresh(&pass, 512, n + 8);
	struct llm_generate_result r;
	struct seen s = {0};
	answer(&r, &s, g, prompt, n);
	tap_ok(r.stop == LLM_GENERATE_CONTEXT && s.n == 8, "a full context ends an answer");
	llm_generate_free(g);
	llm_pass_free(pass);
	g = fresh(&pass, 512, n);
	tap_ok(answer(&r, &s, g, prompt, n) == LLM_ETOOLONG && s.n_progress == 0,
	    "a prompt without room for an answer is refused before anything is computed");
	tap_ok(answer(&r, &s, g, prompt, 0) == LLM_EDATA, "an empty prompt is refused");
	llm_generate_free(g);
	llm_pass_free(pass);
}

int
main(void)
{
	char path[] = "/tmp/llm-generate-run.XXXXXX";
	struct mkmodel m;
	llm_token prompt[100];
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
	for (int i = 0; i < 100; i++)
		prompt[i] = 20 + i * 37 % 400;
	chunks(prompt, 100);
	conversation(prompt, 30);
	cancelling(prompt, 100);
	context(prompt, 100);
	llm_tokenizer_close(tokenizer);
	llm_model_close(model);
	close(fd);
	unlink(path);
	return tap_done();
}
