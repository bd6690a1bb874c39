/*
 * SPDX-License-Identifier: ISC
 *
 * What prompt lookup gains where an answer copies, and costs where it does not.  The answer is forced:
 * the tokens of a text, whatever the model would have said, so that a model of random weights does too;
 * passes and guesses are those that generation makes.  Plain decode and lookup take turns, part by part.
 *	copy	the text stands in the prompt, one word in forty is another in the answer
 *	fresh	the prompt does not have the text: what repeats in it is chance
 * usage: copy MODEL [TEXT [threads]]; TSV on stdout: test, tokens, passes with lookup, guesses, right
 * ones, tokens a second plain, with lookup, their ratio, and its spread over the repetitions.
 */
#define _POSIX_C_SOURCE 200809L
#include "generate/lookup.h"
#include "libcore/clock.h"
#include "libcore/forward.h"
#include "tokenize/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPEAT = 3, PART = 48, FRESH = 4 * PART, EVERY = 40, MAX_TEXT = 1 << 16 };

struct bench {
	struct llm_model *model;
	struct llm_tokenizer *tokenizer;
	struct llm_pass *pass;
	struct llm_seq *seq;
	struct llm_ids ids; /* prompt and answer */
	size_t n_prompt;
	float *logits;
	llm_token chosen; /* the model's own, which nobody asks for */
};

/* What one way through the answer came to. */
struct way {
	int n_pass, n_guess, n_right;
	double s;
};

_Noreturn static void
die(const struct llm_err *err)
{
	fprintf(stderr, "copy: %s\n", err->msg);
	exit(llm_err_status(err->code));
}

static char *
text_read(const char *path)
{
	FILE *f = fopen(path, "rb");
	char *text = calloc(1, MAX_TEXT);
	if (f == NULL || text == NULL || fread(text, 1, MAX_TEXT - 1, f) == 0) {
		fprintf(stderr, "copy: %s: cannot be read\n", path);
		exit(66);
	}
	fclose(f);
	return text;
}

/* The text with one word in EVERY another. */
static char *
text_change(const char *text)
{
	static const char *const words[] = {"northern", "carefully", "seven", "lantern"};
	char *out = malloc(2 * MAX_TEXT), *to = out;
	int n = 0;
	if (out == NULL)
		exit(71);
	while (*text != '\0') {
		size_t space = strspn(text, " \n"), word = strcspn(text + space, " \n");
		memcpy(to, text, space);
		to += space;
		if (word > 0 && ++n % EVERY == 0)
			to = stpcpy(to, words[n / EVERY % 4]);
		else
			to = (char *)memcpy(to, text + space, word) + word;
		text += space + word;
	}
	*to = '\0';
	return out;
}

static void
ids_add(struct bench *b, const char *text)
{
	struct llm_err err;
	if (llm_tokenizer_encode(&b->ids, b->tokenizer, text, strlen(text), 0, &err) < 0)
		die(&err);
}

/* Tokens [pos, pos + n), and those that follow from them by the logits of the last n_logits. */
static void
forward(struct bench *b, const llm_token *token, int pos, int n, int n_logits)
{
	struct llm_row row[512];
	struct llm_err err;
	int n_vocab = b->model->config.n_vocab;
	for (int i = 0; i < n; i++)
		row[i] = (struct llm_row){b->seq, token[i], pos + i, i >= n - n_logits};
	if (llm_forward(b->pass, row, n, b->logits, &err) < 0)
		die(&err);
	for (int r = 0; r < n_logits; r++) {
		const float *x = b->logits + (size_t)r * (size_t)n_vocab;
		b->chosen = 0;
		for (int i = 1; i < n_vocab; i++)
			b->chosen = x[i] > x[b->chosen] ? i : b->chosen;
	}
}

static void
plain(struct bench *b, struct way *w, int from, int to)
{
	double start = llm_clock_s();
	for (int pos = from; pos < to; pos++)
		forward(b, b->ids.v + pos, pos, 1, 1);
	w->s += llm_clock_s() - start;
	w->n_pass += to - from;
}

/* The same, guessing; ids before pos and the one at pos are known. */
static void
guessing(struct bench *b, struct way *w, struct llm_lookup *lookup, int from, int to)
{
	llm_token token[1 + LLM_LOOKUP_MAX];
	double start = llm_clock_s();
	for (int pos = from; pos < to;) {
		int right = 0, room = to - pos - 1;
		room = room < LLM_LOOKUP_MAX ? room : LLM_LOOKUP_MAX;
		token[0] = b->ids.v[pos];
		int n = room > 0 ? llm_lookup_guess(
				       lookup, token + 1, room, b->ids.v, (size_t)pos + 1)
				 : 0;
		double pass = llm_clock_s();
		forward(b, token, pos, 1 + n, 1 + n);
		llm_lookup_cost(lookup, 1 + n, llm_clock_s() - pass);
		while (right < n && token[1 + right] == b->ids.v[pos + 1 + right])
			right++;
		if (n > 0)
			llm_lookup_result(lookup, n, right);
		pos += 1 + right;
		llm_seq_truncate(b->seq, pos);
		w->n_pass++;
		w->n_guess += n;
		w->n_right += right;
	}
	w->s += llm_clock_s() - start;
}

static int
order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void
measure(struct bench *b, const char *name)
{
	struct way one[REPEAT] = {{0}}, many[REPEAT] = {{0}};
	struct llm_lookup lookup[REPEAT] = {{0}};
	double ratio[REPEAT], a[REPEAT], c[REPEAT];
	struct llm_err err;
	int n = (int)b->ids.n, n_prompt = (int)b->n_prompt;
	llm_seq_truncate(b->seq, 0);
	if (llm_seq_reserve(b->seq, n, &err) < 0)
		die(&err);
	for (int pos = 0, step; pos < n_prompt; pos += step) {
		step = n_prompt - pos < 512 ? n_prompt - pos : 512;
		forward(b, b->ids.v + pos, pos, step, 1);
	}
	for (int from = n_prompt; from < n; from += PART) {
		int to = from + PART < n ? from + PART : n;
		for (int r = 0; r < REPEAT; r++) {
			llm_seq_truncate(b->seq, from);
			plain(b, &one[r], from, to);
			llm_seq_truncate(b->seq, from);
			guessing(b, &many[r], &lookup[r], from, to);
		}
	}
	for (int r = 0; r < REPEAT; r++) {
		a[r] = (n - n_prompt) / one[r].s;
		c[r] = (n - n_prompt) / many[r].s;
		ratio[r] = one[r].s / many[r].s;
	}
	qsort(a, REPEAT, sizeof *a, order);
	qsort(c, REPEAT, sizeof *c, order);
	qsort(ratio, REPEAT, sizeof *ratio, order);
	printf("%s\t%d\t%d\t%d\t%d\t%.5g\t%.5g\t%.5g\t%.3g\n", name, n - n_prompt,
	    many[0].n_pass, many[0].n_guess, many[0].n_right, a[REPEAT / 2], c[REPEAT / 2],
	    ratio[REPEAT / 2], (ratio[REPEAT - 1] - ratio[0]) / ratio[REPEAT / 2]);
	fflush(stdout);
}

static void
bench_open(struct bench *b, const char *path, int n_thread)
{
	struct llm_err err;
	struct llm_pass_params params = {.n_thread = n_thread};
	if (llm_kernels_get(&params.kernels, getenv("LLM_KERNELS"), &err) < 0 ||
	    llm_model_open(&b->model, path, &err) < 0 ||
	    llm_tokenizer_open(&b->tokenizer, b->model->gguf, &err) < 0 ||
	    llm_pass_new(&b->pass, b->model, &params, &err) < 0 ||
	    llm_seq_new(&b->seq, &b->model->config, llm_pass_kv_type(b->pass),
		b->model->config.n_ctx, &err) < 0)
		die(&err);
	b->logits =
	    malloc((1 + LLM_LOOKUP_MAX) * sizeof(float) * (size_t)b->model->config.n_vocab);
	if (b->logits == NULL)
		exit(71);
}

int
main(int argc, char **argv)
{
	struct bench b = {0};
	const char *path = argc > 1 ? argv[1] : getenv("LLM_TEST_MODEL");
	if (path == NULL || *path == '\0') {
		printf("# copy: no model\n");
		return 0;
	}
	char *text = text_read(argc > 2 ? argv[2] : "tests/bench/copy.txt");
	char *changed = text_change(text);
	bench_open(&b, path, argc > 3 ? (int)strtol(argv[3], NULL, 10) : 0);
	ids_add(&b, "Write this again and mend what is wrong with it:\n\n");
	ids_add(&b, text);
	ids_add(&b, "\n\nHere it is:\n\n");
	b.n_prompt = b.ids.n;
	ids_add(&b, changed);
	measure(&b, "copy");
	b.ids.n = 0;
	ids_add(
	    &b, "Write a story about the sea, four hundred words long, for a newspaper.\n\n");
	b.n_prompt = b.ids.n;
	ids_add(&b, text);
	if (b.ids.n > b.n_prompt + FRESH)
		b.ids.n = b.n_prompt + FRESH;
	measure(&b, "fresh");
	llm_ids_free(&b.ids);
	free(b.logits);
	llm_seq_free(b.seq);
	llm_pass_free(b.pass);
	llm_tokenizer_close(b.tokenizer);
	llm_model_close(b.model);
	free(text);
	free(changed);
	return 0;
}
