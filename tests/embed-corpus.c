/*
 * SPDX-License-Identifier: ISC
 *
 * The index file: what goes in comes out, a grown file adds only its new lines, and whatever goes wrong
 * the old index stays whole.
 */
#include "embed/corpus_write.h"
#include "tests/tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { N_EMBD = 5 };

static const struct llm_corpus_maker maker = {
    .model = "a model's id 16", .numeric_version = 1, .n_embd = N_EMBD, .normalized = false};
static char path[] = "/tmp/llm-test-index.XXXXXX";
static struct llm_err err;

/* A vector that a text determines. */
static void
vector_of(float v[N_EMBD], const char *text)
{
	for (int i = 0; i < N_EMBD; i++)
		v[i] = (float)((unsigned char)text[0] * (i + 1) + (int)strlen(text));
}

/* Puts lines that are separated by '|'; returns how many vectors were wanted, or the error. */
static int
put_lines(struct llm_corpus_writer *w, const char *lines)
{
	int wanted = 0;
	for (const char *s = lines, *end; *s != '\0'; s = end + 1) {
		char text[64] = "";
		size_t record;
		end = strchr(s, '|');
		memcpy(text, s, (size_t)(end - s));
		int rc = llm_corpus_writer_put(&record, w, text, strlen(text), &err);
		if (rc < 0)
			return rc;
		if (rc == LLM_CORPUS_NEW) {
			float v[N_EMBD];
			vector_of(v, text);
			wanted++;
			if ((rc = llm_corpus_writer_vector(
				 w, record, strcmp(text, "long") == 0 ? NULL : v, &err)) < 0)
				return rc;
		}
	}
	return wanted;
}

static int
write_index(const char *lines, bool adding)
{
	struct llm_corpus_writer *w;
	int rc = llm_corpus_writer_new(&w, path, &maker, adding, &err);
	if (rc < 0)
		return rc;
	int wanted = put_lines(w, lines);
	rc = wanted < 0 ? wanted : llm_corpus_writer_commit(w, &err);
	llm_corpus_writer_free(w);
	return rc < 0 ? rc : wanted;
}

/* Whether the index holds just these lines, each with the vector that it should have. */
static bool
holds(const char *lines)
{
	struct llm_corpus ix;
	size_t i = 0;
	bool good = llm_corpus_open(&ix, path, &err) == 0;
	if (!good)
		return false;
	for (const char *s = lines, *end; *s != '\0' && good; s = end + 1, i++) {
		const char *text;
		size_t n;
		float v[N_EMBD];
		end = strchr(s, '|');
		good = i < ix.n_record && llm_corpus_text(&text, &n, &ix, i, &err) == 0 &&
		       n == (size_t)(end - s) && memcmp(text, s, n) == 0;
		if (!good)
			break;
		char copy[64] = "";
		memcpy(copy, text, n);
		vector_of(v, copy);
		bool has = n > 0 && strcmp(copy, "long") != 0;
		good = llm_corpus_has(&ix, i) == has &&
		       (!has || memcmp(v, ix.vector + i * N_EMBD, sizeof v) == 0) &&
		       (!has || ix.longest >= v[0]);
	}
	good = good && i == ix.n_record;
	llm_corpus_close(&ix);
	return good;
}

static void
lines_and_vectors(void)
{
	tap_ok(write_index("one|two||one|three|long|long|", false) == 4,
	    "equal lines are computed once, empty ones never");
	tap_ok(holds("one|two||one|three|long|long|"),
	    "each line has its place and its vector, equal lines the same");
	tap_ok(write_index("one|two||one|three|long|long|", true) == 0 &&
		   holds("one|two||one|three|long|long|"),
	    "the same file given again adds nothing");
	tap_ok(write_index("one|two||one|three|long|long|one||four|two|", true) == 1 &&
		   holds("one|two||one|three|long|long|one||four|two|"),
	    "a grown file adds what is new, under its line numbers");
	tap_ok(write_index("five|", true) == 1 &&
		   holds("one|two||one|three|long|long|one||four|two|five|"),
	    "new lines alone are added after the old");
	tap_ok(write_index("", false) == 0 && holds(""), "an index may be empty");
	tap_ok(write_index("six|", true) == 1 && holds("six|"), "and be added to");
}

static void
whole_or_not(void)
{
	struct llm_corpus_writer *w;
	struct llm_corpus_maker other = maker;
	float bad[N_EMBD] = {1, 2, NAN, 4, 5};
	size_t record;
	write_index("one|two|", false);
	llm_corpus_writer_new(&w, path, &maker, true, &err);
	put_lines(w, "three|");
	llm_corpus_writer_free(w);
	tap_ok(holds("one|two|"), "without a commit the old index stays as it is");
	llm_corpus_writer_new(&w, path, &maker, false, &err);
	llm_corpus_writer_put(&record, w, "x", 1, &err);
	tap_ok(llm_corpus_writer_vector(w, record, bad, &err) == LLM_ENOTFINITE,
	    "a vector that is not finite is refused");
	llm_corpus_writer_free(w);
	other.model[0] = 'A';
	tap_ok(llm_corpus_writer_new(&w, path, &other, true, &err) == LLM_EDATA &&
		   strstr(err.msg, "another model") != NULL,
	    "an index of another model is not added to");
	other = maker;
	other.pooling = 2;
	tap_ok(llm_corpus_writer_new(&w, path, &other, true, &err) == LLM_EDATA &&
		   strstr(err.msg, "pooling") != NULL,
	    "nor one of another pooling");
	chmod(path, 0640);
	write_index("one|", true);
	struct stat st;
	tap_ok(stat(path, &st) == 0 && (st.st_mode & 0777) == 0640,
	    "an index keeps its rights when it is added to");
	unlink(path);
	tap_ok(llm_corpus_writer_new(&w, path, &maker, true, &err) == LLM_ENOINPUT,
	    "what is not there cannot be added to");
	tap_ok(llm_corpus_writer_new(&w, "/dev/null/x", &maker, false, &err) == LLM_EIO,
	    "a directory that is not there is an output error");
}

/* The index with one byte changed, or cut to n bytes: opened, and all of it read. */
static int
opened(const char *whole, size_t n, size_t at, int change)
{
	struct llm_corpus ix;
	FILE *f = fopen(path, "w");
	int rc = 0;
	for (size_t i = 0; i < n; i++)
		fputc(whole[i] ^ (i == at ? change : 0), f);
	fclose(f);
	if ((rc = llm_corpus_open(&ix, path, &err)) < 0)
		return rc;
	for (size_t i = 0; i < ix.n_record && rc >= 0; i++) {
		const char *text;
		size_t len;
		rc = llm_corpus_text(&text, &len, &ix, i, &err);
		for (size_t k = 0; rc >= 0 && k < len; k++)
			rc += text[k] == '\1';
	}
	llm_corpus_close(&ix);
	return rc;
}

static void
damaged(void)
{
	char whole[1024];
	write_index("one|two||three|", false);
	FILE *f = fopen(path, "r");
	size_t n = fread(whole, 1, sizeof whole, f), cut = 0, refused = 0, n_bit = 0;
	fclose(f);
	for (size_t i = 0; i < n; i++)
		cut += opened(whole, i, n, 0) == LLM_EDATA;
	tap_ok(cut == n, "an index cut short anywhere is refused: %zu of %zu", cut, n);
	/* Under a sanitizer a read outside of the file would end the test. */
	for (size_t i = 0; i < n; i++)
		for (int bit = 0; bit < 8; bit++, n_bit++)
			refused += opened(whole, n, i, 1 << bit) < 0;
	tap_ok(refused > 8 * 30 && refused < n_bit,
	    "of %zu single bits changed %zu are found, and none reads outside", n_bit, refused);
	tap_ok(opened(whole, n, n, 0) == 0, "the index as it was is read");
}

int
main(void)
{
	int fd = mkstemp(path);
	close(fd);
	lines_and_vectors();
	whole_or_not();
	damaged();
	unlink(path);
	return tap_done();
}
