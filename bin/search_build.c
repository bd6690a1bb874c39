/*
 * SPDX-License-Identifier: ISC
 *
 * llm-search -b and -a: records in, an index out.  Records are taken by
 * batches; equal ones are computed once, and of a grown file only what is new.
 */
#include "bin/search.h"
#include "bin/tool_records.h"
#include "embed/corpus_write.h"
#include "libcore/forward.h"
#include "libcore/size.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH = 1024, BATCH_BYTES = 1 << 20 };

/* A record that waits for its vector. */
struct waiting {
	size_t record;           /* in the index */
	struct tool_record told; /* for messages */
	size_t at;               /* of its text in the batch's bytes */
};

struct build {
	const struct search *search;
	struct llm_corpus_writer *writer;
	struct tool_records records;
	struct waiting waiting[BATCH];
	struct llm_embed_text text[BATCH];
	int n;
	char *bytes;
	size_t n_bytes, cap;
	float *vectors; /* [BATCH][n_embd] */
	uintmax_t n_read, n_there, n_cut;
};

/* What a text that has no vector is told by. */
static void
tell(struct build *b, const struct waiting *w, const struct llm_embed_text *t)
{
	if (t->status == LLM_ETOOLONG)
		tool_records_bad(&b->records, &w->told,
		    "%d tokens, and the model takes %d: it has no vector "
		    "(--fit head keeps the "
		    "beginning)",
		    t->n_tok, llm_embedder_n_ctx(b->search->embedder));
	else
		tool_records_bad(
		    &b->records, &w->told, "it has no vector: %s", llm_err_sentence(t->status));
}

static void
flush(struct build *b)
{
	struct llm_err err = {0};
	int n_embd = llm_embedder_n_embd(b->search->embedder);
	for (int i = 0; i < b->n; i++)
		b->text[i].s = b->bytes + b->waiting[i].at;
	tool_embed_run(b->vectors, b->search->embed, b->text, b->n);
	for (int i = 0; i < b->n; i++) {
		const struct llm_embed_text *t = &b->text[i];
		const float *v = b->vectors + (size_t)i * (size_t)n_embd;
		if (t->status < 0)
			tell(b, &b->waiting[i], t);
		else
			b->n_cut += t->n_tok > llm_embedder_n_ctx(b->search->embedder);
		if (llm_corpus_writer_vector(
			b->writer, b->waiting[i].record, t->status < 0 ? NULL : v, &err) < 0)
			tool_die(&err);
	}
	b->n = 0;
	b->n_bytes = 0;
}

static void
keep_text(struct build *b, const struct tool_record *r)
{
	size_t want;
	if (!llm_size_add(&want, b->n_bytes, r->n_text + 1))
		tool_fail(LLM_ENOMEM, "out of memory: a record of %zu bytes", r->n_text);
	if (want > b->cap) {
		size_t cap = want < BATCH_BYTES ? BATCH_BYTES : want;
		char *more = realloc(b->bytes, cap);
		if (more == NULL)
			tool_fail(LLM_ENOMEM, "out of memory: %zu bytes of records", cap);
		b->bytes = more;
		b->cap = cap;
	}
	memcpy(b->bytes + b->n_bytes, r->text, r->n_text);
	b->waiting[b->n].at = b->n_bytes;
	b->text[b->n] = (struct llm_embed_text){.n = r->n_text};
	b->n_bytes += r->n_text;
}

static void
take(struct build *b, const struct tool_record *r)
{
	struct llm_err err = {0};
	size_t record;
	b->n_read++;
	/* A record that cannot be read keeps its number, as an empty one. */
	if (r->bad != NULL)
		tool_records_bad(&b->records, r, "%s", r->bad);
	int rc = llm_corpus_writer_put(&record, b->writer, r->text, r->n_text, &err);
	if (rc < 0)
		tool_die(&err);
	b->n_there += rc == LLM_CORPUS_THERE;
	if (rc != LLM_CORPUS_NEW)
		return;
	keep_text(b, r);
	b->waiting[b->n].record = record;
	b->waiting[b->n].told = *r;
	b->n++;
	if (b->n == BATCH || b->n_bytes >= BATCH_BYTES)
		flush(b);
}

struct llm_corpus_maker
search_maker(const struct search *s)
{
	struct llm_hash id = tool_embed_id(s->embed);
	struct llm_corpus_maker m = {.numeric_version = LLM_NUMERIC_VERSION,
	    .n_embd = llm_embedder_n_embd(s->embedder),
	    .pooling = (int)llm_embedder_pooling(s->embedder),
	    .normalized = llm_embedder_normalized(s->embedder)};
	memcpy(m.model, id.b, sizeof m.model);
	return m;
}

int
search_build(const struct search *s, char *const *paths, bool adding)
{
	struct build *b = calloc(1, sizeof *b);
	struct llm_corpus_maker maker = search_maker(s);
	struct llm_err err = {0};
	struct tool_record r;
	size_t n_vector;
	if (b == NULL ||
	    !llm_size_mul(&n_vector, BATCH * sizeof(float), (size_t)maker.n_embd) ||
	    (b->vectors = malloc(n_vector)) == NULL)
		tool_fail(LLM_ENOMEM, "out of memory: %d vectors of %d", BATCH, maker.n_embd);
	b->search = s;
	if (llm_corpus_writer_new(&b->writer, s->index, &maker, adding, &err) < 0)
		tool_die(&err);
	tool_records_open(&b->records, paths, 0);
	while (tool_records_next(&r, &b->records, true) != TOOL_RECORDS_END) {
		take(b, &r);
		tool_records_progress(&b->records, b->n_read, r.end_byte);
	}
	flush(b);
	tool_records_clear(&b->records);
	if (llm_corpus_writer_commit(b->writer, &err) < 0)
		tool_die(&err);
	if (b->n_cut > 0)
		tool_note("%ju of %ju records were longer than the model takes: their head "
			  "is kept",
		    b->n_cut, b->n_read);
	if (s->verbose)
		tool_note("%ju records read, %ju of them there before; the index has %zu",
		    b->n_read, b->n_there, llm_corpus_writer_n(b->writer));
	llm_corpus_writer_free(b->writer);
	int status = tool_records_close(&b->records);
	free(b->bytes);
	free(b->vectors);
	free(b);
	return status;
}
