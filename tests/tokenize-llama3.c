/*
 * SPDX-License-Identifier: ISC
 *
 * The Llama 3 vocabulary, made of the published ranks: the published cases, the known ids, control
 * tokens, and time that grows with the text and not faster.
 */
#include "tests/ranks.h"
#include "tests/tap.h"
#include "tests/vocab.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A file of the shared data, with a NUL after its bytes; NULL where it is not there. */
static char *
shared_read(const char *name, size_t *n)
{
	const char *shared = getenv("LLM_TEST_SHARED");
	char path[512];
	snprintf(path, sizeof path, "%s/%s",
	    shared != NULL && *shared != '\0' ? shared : "../shared/data", name);
	FILE *f = fopen(path, "rb");
	char *text = f == NULL ? NULL : malloc(1 << 22);
	*n = text == NULL ? 0 : fread(text, 1, (1 << 22) - 1, f);
	if (text != NULL)
		text[*n] = '\0';
	if (f != NULL)
		fclose(f);
	return text;
}

/* The published cases: inputs between separators, ids a line. */
static void
test_cases(const struct llm_tokenizer *t)
{
	static const char separator[] = "\n__ggml_vocab_test__\n";
	size_t n, n_out;
	char *in = shared_read("llama3/tokenizer-cases.inp", &n);
	char *out = shared_read("llama3/tokenizer-cases.out", &n_out);
	if (in == NULL || out == NULL) {
		tap_skip("the published cases", "no shared data: the cases are not there");
		free(in);
		free(out);
		return;
	}
	char *line = out;
	int count = 0;
	for (char *text = in, *end; text != NULL; text = end, count++) {
		end = strstr(text, separator);
		size_t len = end == NULL ? (size_t)(in + n - text) : (size_t)(end - text);
		llm_token want[1024];
		size_t n_want = 0;
		char *stop = line + strcspn(line, "\n");
		for (char *p = line; p < stop && n_want < 1023;) {
			want[n_want++] = (llm_token)strtol(p, &p, 10);
			p += strspn(p, " ");
		}
		want[n_want] = -1;
		tap_ok(vocab_encodes(t, text, len, 0, want), "published case %d has its ids",
		    count);
		line = stop + (*stop == '\n');
		end = end == NULL ? NULL : end + sizeof separator - 1;
	}
	tap_ok(count == 47 && line == out + n_out,
	    "there are 47 of them, and as many lines of ids");
	free(in);
	free(out);
}

#define ENCODES(flags, text, ...) \
	vocab_encodes(t, text, sizeof(text) - 1, flags, (const llm_token[]){__VA_ARGS__, -1})

static void
test_ids(const struct llm_tokenizer *t)
{
	tap_ok(ENCODES(0, "This is a test sentence.", 2028, 374, 264, 1296, 11914, 13),
	    "the publisher's sentence has the publisher's ids");
	tap_ok(ENCODES(0, "system", 9125) && ENCODES(0, "user", 882) &&
		   ENCODES(0, "assistant", 78191) && ENCODES(0, "ipython", 23799, 4690) &&
		   ENCODES(0, "\n\n", 271),
	    "roles and the blank line of the chat format have the published ids");
	tap_ok(llm_tokenizer_n_vocab(t) == 128256 && llm_tokenizer_bos(t) == 128000 &&
		   llm_tokenizer_adds_bos(t),
	    "there are 128256 tokens, and text starts with the begin token");
	bool good = true;
	for (llm_token id = 0; id < 128256; id++) {
		bool end = id == 128001 || id == 128008 || id == 128009;
		good &= llm_tokenizer_is_end(t, id) == end;
		good &= llm_tokenizer_is_control(t, id) == (id >= 128000);
	}
	tap_ok(
	    good, "the stop set is the published one, control tokens are those from 128000 on");
	tap_ok(llm_tokenizer_control(t, "<|eot_id|>") == 128009 &&
		   llm_tokenizer_control(t, "<|eot_id|") == -1 &&
		   llm_tokenizer_control(t, "hello") == -1,
	    "a control token is found by its whole name, a text token is not");
	tap_ok(ENCODES(LLM_TOKENIZE_SPECIAL, "<|eot_id|>a<|eot_id|", 128009, 64, 27, 91, 68,
		   354, 851, 91),
	    "with the flag the name of a control token is that token, and part of it is text");
	struct llm_ids ids = {0};
	good = true;
	for (llm_token id = 128000; id < 128256; id++) {
		struct llm_gguf_str name;
		ids.n = 0;
		good &= llm_tokenizer_piece(&name, t, id) &&
			llm_tokenizer_encode(&ids, t, name.s, name.n, 0, NULL) == 0;
		for (size_t i = 0; i < ids.n; i++)
			good &= ids.v[i] < 128000;
	}
	tap_ok(good, "no name of a control token yields one without the flag");
	struct llm_gguf_str piece;
	tap_ok(!llm_tokenizer_piece(&piece, t, -1) && !llm_tokenizer_piece(&piece, t, 128256),
	    "there is no token below 0 or beyond the last");
	llm_ids_free(&ids);
}

/* Every token's bytes are looked up whole: the id comes back, whatever merging would give. */
static void
test_whole(const struct llm_tokenizer *t)
{
	struct llm_ids ids = {0};
	int other = 0, lossy = 0;
	for (llm_token id = 0; id < 128000; id++) {
		struct llm_gguf_str piece;
		char back[512];
		size_t n = 0;
		ids.n = 0;
		llm_tokenizer_piece(&piece, t, id);
		other += llm_tokenizer_encode(&ids, t, piece.s, piece.n, 0, NULL) < 0 ||
			 ids.n != 1 || ids.v[0] != id;
		for (size_t i = 0; i < ids.n; i++) {
			struct llm_gguf_str part;
			llm_tokenizer_piece(&part, t, ids.v[i]);
			if (n + part.n <= sizeof back)
				memcpy(back + n, part.s, part.n);
			n += part.n;
		}
		lossy += n != piece.n || n > sizeof back || memcmp(back, piece.s, n) != 0;
	}
	tap_ok(lossy == 0, "the bytes of every token come back");
	/* Some tokens hold what the rule divides, such as a number after a letter: those differ. */
	tap_ok(other < 1500, "nearly every token's bytes are that token (%d are not)", other);
	llm_ids_free(&ids);
}

/* Processor seconds for n bytes of text, the best of two: others may be in the caches. */
static double
encode_s(const struct llm_tokenizer *t, struct llm_ids *ids, const char *text, size_t n)
{
	double best = 1e9;
	for (int i = 0; i < 2; i++) {
		struct timespec a, b;
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
		ids->n = 0;
		if (llm_tokenizer_encode(ids, t, text, n, 0, NULL) < 0)
			return 1e9;
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
		double s =
		    (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
		if (s < best)
			best = s;
	}
	return best;
}

/* Eight times as much may take eight times as long, and more where the caches end; not sixty-four times. */
static void
test_time(const struct llm_tokenizer *t)
{
	static const char *const units[] = {
	    "a", " ", "\n", "7", "!", "\xF0\x9F\x98\x80", "\xD0\xB6", "\xFF", "'s", "ab "};
	const size_t n = 1 << 20;
	char *text = malloc(n);
	struct llm_ids ids = {0};
	for (size_t k = 0; k < sizeof units / sizeof units[0]; k++) {
		size_t len = strlen(units[k]);
		for (size_t i = 0; i < n; i++)
			text[i] = units[k][i % len];
		double part = encode_s(t, &ids, text, n / 8), all = encode_s(t, &ids, text, n);
		tap_ok(ids.n > 0 && all < 48 * part + 0.1,
		    "1 MiB of unit %zu takes time as an eighth of it does (%.3f s, %.3f s)", k,
		    all, part);
	}
	llm_ids_free(&ids);
	free(text);
}

int
main(void)
{
	const char *shared = getenv("LLM_TEST_SHARED");
	char path[512];
	snprintf(path, sizeof path, "%s/llama3/tokenizer.model",
	    shared != NULL && *shared != '\0' ? shared : "../shared/data");
	FILE *f = fopen(path, "rb");
	if (f == NULL) {
		printf("1..0 # SKIP no shared data: the published ranks are not there\n");
		return 0;
	}
	fclose(f);
	struct mkfile *ranks = ranks_read(path);
	struct vocab_open v;
	struct llm_err err = {0};
	if (!tap_ok(ranks != NULL && vocab_open(&v, ranks, &err) == 0,
		"the published ranks make a vocabulary that opens"))
		return printf("# %s\n", err.msg), tap_done();
	mkfile_free(ranks);
	test_cases(v.tokenizer);
	test_ids(v.tokenizer);
	test_whole(v.tokenizer);
	test_time(v.tokenizer);
	vocab_close(&v);
	return tap_done();
}
