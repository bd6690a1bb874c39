/*
 * SPDX-License-Identifier: ISC
 *
 * Fuzz target: an index of any bytes is refused in a line, or all of its records can be read, asked about
 * and copied into an index that grows from it.
 */
#include "embed/corpus_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char dir[] = "/dev/shm/llm-fuzz.XXXXXX", path[64];

static void
must_be_line(const struct llm_err *err)
{
	if (strchr(err->msg, '\n') != NULL || err->msg[0] == '\0')
		abort();
}

/* Records and vectors from end to end. */
static void
use(const struct llm_corpus *ix)
{
	float sum = 0;
	unsigned bytes = 0;
	for (size_t i = 0; i < ix->n_record; i++) {
		const float *v = ix->vector + i * (size_t)ix->maker.n_embd;
		struct llm_err err;
		const char *text;
		size_t len;
		sum += v[0] + v[ix->maker.n_embd - 1] + (llm_corpus_has(ix, i) ? 1.0f : 0.0f);
		if (llm_corpus_text(&text, &len, ix, i, &err) < 0)
			must_be_line(&err);
		else if (len > 0)
			bytes += (unsigned char)text[0] + (unsigned char)text[len - 1];
	}
	if (sum == 12345.0f && bytes == 54321) /* so that nothing is left out as unused */
		fputs("", stderr);
}

/* Adds a line to it by who made it. */
static void
grow(const struct llm_corpus_maker *maker, size_t n_record)
{
	struct llm_corpus_writer *w = NULL;
	struct llm_corpus ix;
	struct llm_err err;
	size_t record;
	int rc = llm_corpus_writer_new(&w, path, maker, true, &err);
	float *v = calloc((size_t)maker->n_embd, sizeof *v);
	if (v == NULL)
		abort();
	if (rc == 0)
		rc = llm_corpus_writer_put(&record, w, "one more", 8, &err);
	if (rc == LLM_CORPUS_NEW)
		rc = llm_corpus_writer_vector(w, record, v, &err);
	if (rc >= 0)
		rc = llm_corpus_writer_commit(w, &err);
	llm_corpus_writer_free(w);
	free(v);
	if (rc < 0) {
		must_be_line(&err);
		return;
	}
	if (llm_corpus_open(&ix, path, &err) < 0 || ix.n_record < n_record)
		abort();
	use(&ix);
	llm_corpus_close(&ix);
}

static void
clean(void)
{
	unlink(path);
	rmdir(dir);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct llm_corpus ix;
	struct llm_err err;
	if (path[0] == '\0') {
		if (mkdtemp(dir) == NULL)
			abort();
		atexit(clean);
		snprintf(path, sizeof path, "%s/index", dir);
	}
	FILE *f = fopen(path, "wb");
	if (f == NULL || fwrite(data, 1, n, f) != n || fclose(f) != 0)
		abort();
	if (llm_corpus_open(&ix, path, &err) < 0) {
		must_be_line(&err);
		return 0;
	}
	use(&ix);
	struct llm_corpus_maker maker = ix.maker;
	size_t n_record = ix.n_record;
	llm_corpus_close(&ix);
	grow(&maker, n_record);
	return 0;
}
