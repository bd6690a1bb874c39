/*
 * SPDX-License-Identifier: ISC
 *
 * Rate of the tokenizer on English text, one thread, in MB/s of processor time: the Llama 3 vocabulary
 * of the published ranks beside tiktoken with the same, and the small model's.  The peer runs between
 * two rounds of ours.  Also milliseconds to open a vocabulary.  TSV on stdout.
 */
#define _POSIX_C_SOURCE 200809L
#include "tests/ranks.h"
#include "tests/vocab.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { REPEAT = 11 };

static double
now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const char *
shared(char path[512], const char *name)
{
	const char *folder = getenv("LLM_TEST_SHARED");
	snprintf(path, 512, "%s/%s",
	    folder != NULL && *folder != '\0' ? folder : "../shared/data", name);
	return path;
}

static char *
text_read(const char *path, size_t *n)
{
	FILE *f = fopen(path, "rb");
	char *text = f == NULL ? NULL : malloc(1 << 24);
	*n = text == NULL ? 0 : fread(text, 1, 1 << 24, f);
	if (f != NULL)
		fclose(f);
	return text;
}

/* MB/s, the best of some; the number of ids in *n_id. */
static double
rate(const struct llm_tokenizer *t, const char *text, size_t n, size_t *n_id)
{
	struct llm_ids ids = {0};
	double best = 1e9;
	for (int i = 0; i < REPEAT; i++) {
		double start = now();
		ids.n = 0;
		if (llm_tokenizer_encode(&ids, t, text, n, 0, NULL) < 0)
			return 0;
		double s = now() - start;
		best = s < best ? s : best;
	}
	*n_id = ids.n;
	llm_ids_free(&ids);
	return (double)n / best / 1e6;
}

/* tiktoken's MB/s and ids, as tests/bench/peer-tiktoken.py prints them; 0 where it is not installed. */
static double
peer(const char *ranks, const char *text, size_t *n_id)
{
	const char *python = getenv("LLM_TEST_PYTHON");
	char line[2048];
	double mb_s = 0;
	if (python == NULL)
		python = access(".cache/venv/bin/python", X_OK) == 0 ? ".cache/venv/bin/python"
								     : "python3";
	snprintf(line, sizeof line, "'%s' tests/bench/peer-tiktoken.py '%s' '%s' 2>/dev/null",
	    python, ranks, text);
	FILE *f = popen(line, "r");
	*n_id = 0;
	if (f != NULL && fscanf(f, "%lf %zu", &mb_s, n_id) != 2)
		mb_s = 0;
	if (f != NULL)
		pclose(f);
	return mb_s;
}

/* Milliseconds to open the vocabulary of an open file, the best of some. */
static double
open_ms(const struct llm_gguf *g)
{
	double best = 1e9;
	for (int i = 0; i < REPEAT; i++) {
		struct llm_tokenizer *t;
		double start = now();
		if (llm_tokenizer_open(&t, g, NULL) < 0)
			return 0;
		double s = now() - start;
		best = s < best ? s : best;
		llm_tokenizer_close(t);
	}
	return best * 1e3;
}

static void
report(const char *name, const char *figure, double value, const char *verdict)
{
	printf("%s\t%s\t%.4g\t%s\n", name, figure, value, verdict);
	fflush(stdout);
}

int
main(void)
{
	char ranks_path[512], text_path[512];
	size_t n, n_id, n_peer;
	struct vocab_open v;
	struct llm_err err = {0};
	char *text = text_read(shared(text_path, "text/wikitext2-test.txt"), &n);
	struct mkfile *f =
	    text == NULL ? NULL : ranks_read(shared(ranks_path, "llama3/tokenizer.model"));
	puts("vocabulary\tfigure\tvalue\ttarget");
	if (f != NULL && vocab_open(&v, f, &err) == 0) {
		double ours = rate(v.tokenizer, text, n, &n_id);
		double theirs = peer(ranks_path, text_path, &n_peer);
		double again = rate(v.tokenizer, text, n, &n_id);
		ours = again > ours ? again : ours;
		report("llama3", "MB/s", ours, ours >= 20 ? ">= 20: met" : ">= 20: missed");
		report("llama3", "tiktoken MB/s", theirs, theirs > 0 ? "-" : "not installed");
		if (theirs > 0)
			report("llama3", "times tiktoken", ours / theirs,
			    n_id != n_peer       ? "not the same ids"
			    : ours >= 2 * theirs ? ">= 2: met"
						 : ">= 2: missed");
		report("llama3", "ms to open", open_ms(v.gguf), "-");
		vocab_close(&v);
	}
	mkfile_free(f);
	const char *model = getenv("LLM_TEST_MODEL");
	struct llm_gguf *g = NULL;
	struct llm_tokenizer *t = NULL;
	if (text != NULL && model != NULL && *model != '\0' &&
	    llm_gguf_open(&g, model, &err) == 0 && llm_tokenizer_open(&t, g, &err) == 0) {
		double ours = rate(t, text, n, &n_id);
		report(
		    "small model", "MB/s", ours, ours >= 20 ? ">= 20: met" : ">= 20: missed");
		report("small model", "ms to open", open_ms(g), "-");
	}
	llm_tokenizer_close(t);
	llm_gguf_close(g);
	free(text);
	return 0;
}
