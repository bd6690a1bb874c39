/*
 * SPDX-License-Identifier: ISC
 *
 * Guessing ahead: what is guessed, when it is given up, and that no answer changes by it.
 */
#include "generate/generate.h"
#include "generate/lookup.h"
#include "tests/mkmodel.h"
#include "tests/tap.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N_PROMPT = 60, N_OUT = 150 };

static struct llm_err err;

static void
guesses(void)
{
	const llm_token ids[] = {1, 2, 3, 9, 5, 2, 3, 7, 8, 6, 1, 2, 3};
	size_t n = sizeof ids / sizeof ids[0];
	llm_token guess[LLM_LOOKUP_MAX];
	struct llm_lookup l = {0};
	int k = llm_lookup_guess(&l, guess, LLM_LOOKUP_MAX, ids, n);
	tap_ok(k >= 2 && guess[0] == 9 && guess[1] == 5,
	    "the longest run that agrees is followed, not the latest");
	l = (struct llm_lookup){0};
	k = llm_lookup_guess(&l, guess, LLM_LOOKUP_MAX, ids, 7);
	tap_ok(k >= 1 && guess[0] == 9, "two tokens are enough");
	tap_ok(llm_lookup_guess(&l, guess, LLM_LOOKUP_MAX, ids, 5) == 0,
	    "where nothing repeats nothing is guessed");
	tap_ok(llm_lookup_guess(&l, guess, 0, ids, n) == 0, "nor where there is no room");
	tap_ok(llm_lookup_guess(&l, guess, LLM_LOOKUP_MAX, ids, 1) == 0 &&
		   llm_lookup_guess(&l, guess, LLM_LOOKUP_MAX, ids, 0) == 0,
	    "nor after one token or none");
	llm_token same[12] = {4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4};
	l = (struct llm_lookup){0};
	k = llm_lookup_guess(&l, guess, LLM_LOOKUP_MAX, same, 12);
	tap_ok(k >= 1 && guess[0] == 4, "a run of one token goes on");
}

/*
 * A text of n tokens of which each stands in it once, then its copy with one token in `every` changed, put in or
 * left out in turn; the answer is the copy.
 */
struct copy {
	llm_token ids[2 * 600];
	size_t n_prompt, n;
};

static void
copy_make(struct copy *c, int n, int every)
{
	*c = (struct copy){0};
	for (int i = 0; i < n; i++)
		c->ids[c->n++] = 1000 + i;
	c->ids[c->n++] = 1;
	c->n_prompt = c->n;
	for (int i = 0; i < n; i++) {
		int change = i % every == every - 1 ? i / every % 3 : -1;
		if (change == 0 || change == 1)
			c->ids[c->n++] = 2000 + i;
		if (change != 0 && change != 2)
			c->ids[c->n++] = 1000 + i;
	}
}

/* Passes that a copy takes, with costs as told: row_cost of a pass of one for each row more. */
static int
copy_passes(const struct copy *c, double row_cost, int *n_guess)
{
	struct llm_lookup l = {0};
	llm_token guess[LLM_LOOKUP_MAX];
	int passes = 0;
	*n_guess = 0;
	for (size_t n = c->n_prompt + 1; n < c->n; passes++) {
		int right = 0, k = llm_lookup_guess(&l, guess, LLM_LOOKUP_MAX, c->ids, n);
		while (right < k && n + (size_t)right < c->n &&
		       guess[right] == c->ids[n + (size_t)right])
			right++;
		if (k > 0)
			llm_lookup_result(&l, k, right);
		llm_lookup_cost(&l, 1 + k, 0.02 * (1 + k * row_cost));
		*n_guess += k;
		n += 1 + (size_t)right;
	}
	return passes;
}

static void
copies(void)
{
	struct copy c;
	int n_guess, dear;
	copy_make(&c, 500, 40);
	int n = copy_passes(&c, 0.1, &n_guess);
	tap_ok(n < 500 / 5,
	    "a copy with few changes takes a pass for more than five tokens: %d", n);
	n = copy_passes(&c, 0.4, &dear);
	tap_ok(n < 500 / 2 && dear < n_guess,
	    "where rows are dear fewer are guessed: %d, not %d", dear, n_guess);
	copy_make(&c, 500, 5);
	n = copy_passes(&c, 0.1, &n_guess);
	tap_ok(
	    n < 500 * 3 / 5, "changes in one of five are found their way around: %d passes", n);
}

/* Guesses are tried in a text where they are always wrong. */
static void
gives_up(void)
{
	const llm_token ids[] = {1, 2, 3, 9, 5, 1, 2, 3};
	llm_token guess[LLM_LOOKUP_MAX];
	struct llm_lookup l = {0};
	int guessed = 0;
	for (int i = 0; i < 1000; i++) {
		int k = llm_lookup_guess(&l, guess, LLM_LOOKUP_MAX, ids, 8);
		guessed += k;
		if (k > 0)
			llm_lookup_result(&l, k, 0);
	}
	tap_ok(guessed > 0 && guessed <= 25, "vain guesses become rare: %d in 1000 tokens",
	    guessed);
	l.wait = 0;
	int k = llm_lookup_guess(&l, guess, LLM_LOOKUP_MAX, ids, 8);
	for (int i = 0; i < 8; i++)
		llm_lookup_result(&l, 1, 1);
	tap_ok(k == 1 && llm_lookup_guess(&l, guess, LLM_LOOKUP_MAX, ids, 8) > 1,
	    "right ones bring them back");
}

struct seen {
	llm_token ids[N_OUT];
	int n;
};

static void
on_part(void *context, const struct llm_answer_part *part)
{
	struct seen *s = context;
	for (size_t i = 0; i < part->n_ids && s->n < N_OUT; i++)
		s->ids[s->n++] = part->ids[i];
}

/* One answer of a fresh sequence. */
static bool
answer(struct seen *s, struct llm_generate_result *r, struct llm_pass *pass,
    const struct llm_tokenizer *t, const struct llm_sampling *sampling, int n_draft)
{
	struct llm_generate *g = NULL;
	llm_token prompt[N_PROMPT];
	for (int i = 0; i < N_PROMPT; i++)
		prompt[i] = 40 + i % 13;
	struct llm_answer_params params = {
	    .tokenizer = t, .sampling = sampling, .emit = on_part, .context = s};
	struct llm_generate_request request = {.prompt = prompt,
	    .n_prompt = N_PROMPT,
	    .n_max = N_OUT,
	    .n_draft = n_draft,
	    .answer = &params};
	*s = (struct seen){0};
	bool good = llm_generate_new(&g, pass, 0, &err) == 0 &&
		    llm_generate_run(r, g, &request, &err) == 0;
	llm_generate_free(g);
	return good;
}

static void
same_answers(const struct llm_model *m, const struct llm_tokenizer *t, enum llm_kv_type kv)
{
	struct llm_pass *pass = NULL;
	struct llm_pass_params params = {.n_thread = 2, .max_rows = 32, .kv = kv};
	struct llm_generate_result r = {0};
	struct seen *want = malloc(sizeof *want), *got = malloc(sizeof *got);
	int same = 0, right = 0, n = 0;
	/* Heavy biases make a random model repeat itself, as real text does. */
	float x = kv == LLM_KV_F16 ? 3 : 9; /* of "odd", whose logits are larger */
	const struct llm_bias bias[] = {{41, x}, {42, x}, {43, x}, {44, x - 1}};
	if (want == NULL || got == NULL || llm_pass_new(&pass, m, &params, &err) < 0)
		abort();
	for (int seed = 0; seed < 6; seed++)
		for (int n_draft = 1; n_draft <= LLM_LOOKUP_MAX; n_draft += 3) {
			struct llm_sampling s = {.temp = seed == 0 ? 0 : 0.3f * (float)seed,
			    .top_p = seed < 4 ? 1 : 0.9,
			    .repeat_penalty = seed == 5 ? 1.05f : 1,
			    .seed = (uint64_t)seed,
			    .bias = bias,
			    .n_bias = 4};
			bool good = answer(want, &r, pass, t, &s, 0) && r.n_draft == 0 &&
				    answer(got, &r, pass, t, &s, n_draft);
			right += r.n_right;
			same += good && want->n == got->n && want->n > 0 &&
				memcmp(want->ids, got->ids,
				    (size_t)want->n * sizeof want->ids[0]) == 0;
			n++;
		}
	tap_ok(same == n, "greedy or drawn, penalised or not, guessing changes no token (%s)",
	    llm_kv_name(kv));
	tap_ok(right > 100, "and many guesses were right: %d", right);
	free(want);
	free(got);
	llm_pass_free(pass);
}

/* Answers of a made model, with keys and values kept in this type. */
static void
guessing(const char *shape, enum llm_kv_type kv)
{
	struct mkmodel made;
	struct llm_model *m = NULL;
	struct llm_tokenizer *t = NULL;
	char path[] = "/tmp/llm-lookup-XXXXXX";
	int fd = mkstemp(path);
	mkmodel_shape(&made, shape);
	struct mkfile *f = mkmodel_new(&made);
	if (fd < 0 || f == NULL || mkfile_write(f, path, 1) < 0 ||
	    llm_model_open(&m, path, &err) < 0 || llm_tokenizer_open(&t, m->gguf, &err) < 0) {
		printf("# %s\n", err.msg);
		exit(1);
	}
	mkfile_free(f);
	close(fd);
	unlink(path);
	same_answers(m, t, kv);
	llm_tokenizer_close(t);
	llm_model_close(m);
}

int
main(void)
{
	guesses();
	copies();
	gives_up();
	guessing("tiny", LLM_KV_F16);
	guessing("odd", LLM_KV_Q8_0);
	return tap_done();
}
