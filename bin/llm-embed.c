/*
 * SPDX-License-Identifier: ISC
 *
 * llm-embed: records in, the vector of each out, in their order.
 */
#include "bin/embed.h"
#include "bin/tool.h"
#include "bin/tool_daemon.h"
#include "bin/tool_embed.h"
#include "bin/tool_records.h"
#include "embed/vectors.h"
#include "libcore/forward.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	FIRST_BATCH = 16, /* records of the first batch, whose vectors are to come soon */
	BATCH = 256,      /* records that are computed together at most */
	BATCH_BYTES = 256 << 10, /* of text, past which a batch is full */
	MAX_THREADS = 1024,
};

static struct {
	const char *model;
	int n_thread;
	enum llm_pooling pooling;
	bool json, raw, plain, cut, precise, verbose;
} opt;

static int
pooling_take(const char *arg, void *context)
{
	static const char *const names[] = {"mean", "first", "last"};
	for (int i = 0; i < 3; i++)
		if (strcmp(arg, names[i]) == 0) {
			*(enum llm_pooling *)context = (enum llm_pooling)(LLM_POOLING_MEAN + i);
			return 0;
		}
	return -1;
}

static int
fit_take(const char *arg, void *context)
{
	*(bool *)context = true;
	return strcmp(arg, "head") == 0 ? 0 : -1;
}

static const struct tool_option options[] = {
    {.letter = 'm',
	.name = "model",
	.metavar = "MODEL",
	.help = "an encoder, or a chat model: of the store by name, or a file",
	.kind = TOOL_STRING,
	.dest = &opt.model},
    {.letter = 'j',
	.name = "json",
	.help = "print JSON Lines: {\"n\":RECORD,\"embedding\":[...]}",
	.kind = TOOL_FLAG,
	.dest = &opt.json},
    {.name = "raw",
	.help = "print a file of vectors: a head of 64 bytes, then floats",
	.kind = TOOL_FLAG,
	.dest = &opt.raw},
    {.name = "pooling",
	.metavar = "mean|first|last",
	.help = "what of a text's tokens its vector is; as the model says, else the mean",
	.kind = TOOL_EACH,
	.dest = &opt.pooling,
	.each = pooling_take},
    {.name = "no-normalize",
	.help = "leave vectors the length that they have",
	.kind = TOOL_FLAG,
	.dest = &opt.plain},
    {.name = "fit",
	.metavar = "head",
	.help = "of a record longer than the model takes keep the head, and say so",
	.kind = TOOL_EACH,
	.dest = &opt.cut,
	.each = fit_take},
    {.letter = 't',
	.name = "threads",
	.metavar = "N",
	.help = "threads; as many as the processors at hand unless told",
	.kind = TOOL_INT,
	.min = 1,
	.max = MAX_THREADS,
	.dest = &opt.n_thread},
    {.name = "precise",
	.help = "keep activations in 32 bits: slower, for evaluation",
	.kind = TOOL_FLAG,
	.dest = &opt.precise},
    {.letter = 'v',
	.name = "verbose",
	.help = "say on standard error what is at work",
	.kind = TOOL_FLAG,
	.dest = &opt.verbose},
    {0},
};

static const struct tool tool = {.name = "llm-embed",
    .operands = "[file ...]",
    .purpose = "Print a vector for each line: near in meaning, near in direction.",
    .options = options,
    .more = {tool_records_resume_options, tool_daemon_options}};

/* Records waiting for their vectors. */
struct batch {
	struct tool_embed *embed;
	const struct llm_embedder *embedder; /* its facts */
	struct tool_records *records;
	struct tool_record record[BATCH];
	struct llm_embed_text text[BATCH];
	char *bytes; /* of all texts, copied */
	size_t n_bytes, cap;
	int n, limit; /* records of this one; full */
	float *y;     /* [BATCH][n_embd] */
	bool begun;   /* something was printed */
};

static void
batch_add(struct batch *b, const struct tool_record *record)
{
	if (record->n_text >= b->cap - b->n_bytes) {
		size_t cap = b->cap + record->n_text + BATCH_BYTES;
		char *more = realloc(b->bytes, cap);
		if (more == NULL)
			tool_fail(LLM_ENOMEM, "out of memory: a batch of %zu bytes", cap);
		b->bytes = more;
		b->cap = cap;
	}
	memcpy(b->bytes + b->n_bytes, record->text, record->n_text);
	b->n_bytes += record->n_text;
	b->record[b->n] = *record;
	b->text[b->n] = (struct llm_embed_text){.n = record->n_text};
	b->n++;
}

/* Why a record has no vector; "" where it has one. */
static const char *
why_not(char buf[static 120], const struct batch *b, int i)
{
	const struct llm_embed_text *t = &b->text[i];
	if (b->record[i].bad != NULL)
		return b->record[i].bad;
	switch (t->status) {
	case 0:
		return "";
	case LLM_ETOOLONG:
		snprintf(buf, 120, "%d tokens, the model takes %d (--fit head cuts)", t->n_tok,
		    llm_embedder_n_ctx(b->embedder));
		return buf;
	case LLM_ENOTFINITE:
		return "its vector is not of finite numbers";
	default:
		return "no tokens";
	}
}

/* n values, and between them a mark. */
static void
print_values(const float *y, int n, char mark)
{
	char text[EMBED_VALUE + 1];
	for (int i = 0; i < n; i++) {
		text[0] = mark;
		size_t used = embed_value(text + 1, y[i]);
		tool_write(text + (i == 0), used + (i > 0));
	}
}

static void
print_json(uintmax_t number, const float *y, int n, const char *why)
{
	tool_printf("{\"n\":%ju,", number);
	if (why[0] != '\0') {
		tool_printf("\"error\":");
		tool_json(why, strlen(why));
		tool_printf("}\n");
		return;
	}
	tool_printf("\"embedding\":[");
	print_values(y, n, ',');
	tool_printf("]}\n");
}

/* A record's line, or floats; where it has none, what pairs up with it. */
static void
print_one(struct batch *b, int i)
{
	char buf[120];
	int n = llm_embedder_n_embd(b->embedder);
	float *y = b->y + (size_t)i * (size_t)n;
	const char *why = why_not(buf, b, i);
	if (why[0] != '\0')
		tool_records_bad(b->records, &b->record[i], "%s", why);
	else if (b->text[i].n_tok > llm_embedder_n_ctx(b->embedder)) {
		char name[TOOL_NAME];
		tool_records_clear(b->records);
		tool_note("%s, record %ju: %d tokens, the first %d are kept",
		    tool_records_name(name, b->records, &b->record[i]), b->record[i].line,
		    b->text[i].n_tok, llm_embedder_n_ctx(b->embedder));
	}
	if (opt.json) {
		print_json(b->record[i].n, y, n, why);
	} else if (opt.raw) {
		for (int k = 0; k < n && why[0] != '\0'; k++)
			y[k] = NAN;
		tool_write(y, (size_t)n * sizeof *y);
	} else if (why[0] != '\0') {
		tool_printf("\n");
	} else {
		print_values(y, n, '\t');
		tool_printf("\n");
	}
}

/* What a file of vectors begins with. */
static void
head_print(const struct batch *b)
{
	unsigned char head[LLM_VECTORS_HEAD];
	struct llm_hash id = tool_embed_id(b->embed);
	struct llm_vectors_head h = {.numeric_version = LLM_NUMERIC_VERSION,
	    .n_embd = llm_embedder_n_embd(b->embedder),
	    .pooling = llm_embedder_pooling(b->embedder),
	    .normalized = llm_embedder_normalized(b->embedder)};
	memcpy(h.model, id.b, sizeof h.model);
	llm_vectors_put(head, &h);
	tool_write(head, sizeof head);
}

/* Computes and prints what there is. */
static void
batch_run(struct batch *b)
{
	const char *at = b->bytes;
	if (b->n == 0)
		return;
	for (int i = 0; i < b->n; i++) {
		b->text[i].s = at;
		at += b->text[i].n;
	}
	tool_embed_run(b->y, b->embed, b->text, b->n);
	if (opt.raw && !b->begun)
		head_print(b);
	b->begun = true;
	for (int i = 0; i < b->n; i++)
		print_one(b, i);
	tool_flush();
	const struct tool_record *last = &b->record[b->n - 1];
	tool_records_progress(b->records, last->n, last->end_byte);
	if (b->n == b->limit && b->limit < BATCH)
		b->limit *= 2;
	b->n = 0;
	b->n_bytes = 0;
}

static struct tool_embed *
embed_open(void)
{
	const struct tool_embed_params params = {.n_thread = opt.n_thread,
	    .precise = opt.precise,
	    .pooling = opt.pooling,
	    .plain = opt.plain,
	    .cut = opt.cut,
	    .verbose = opt.verbose};
	char *path = tool_encoder(opt.model);
	struct tool_embed *e = tool_embed_open(path, &params);
	free(path);
	return e;
}

int
main(int argc, char **argv)
{
	struct tool_records records;
	struct tool_record record;
	static struct batch b;
	int first = tool_start(&tool, argc, argv);
	if (opt.json && opt.raw)
		tool_usage("-j and --raw are two forms of the output: give one");
	if (tool_records_said.resume != NULL && !opt.json)
		tool_usage("--resume goes on with JSON Lines: give -j too");
	b.embed = embed_open();
	b.embedder = tool_embed_embedder(b.embed);
	b.records = &records;
	b.limit = FIRST_BATCH;
	b.y = calloc((size_t)BATCH * (size_t)llm_embedder_n_embd(b.embedder), sizeof *b.y);
	if (b.y == NULL)
		tool_fail(LLM_ENOMEM, "out of memory");
	tool_records_open(&records, argv + first, 0);
	enum tool_records_got got;
	while ((got = tool_records_next(&record, &records, b.n == 0)) != TOOL_RECORDS_END) {
		if (got == TOOL_RECORDS_ONE)
			batch_add(&b, &record);
		if (got == TOOL_RECORDS_WAIT || b.n == b.limit || b.n_bytes >= BATCH_BYTES)
			batch_run(&b);
	}
	batch_run(&b);
	if (opt.raw && !b.begun)
		head_print(&b);
	int status = tool_records_close(&records);
	tool_flush();
	free(b.bytes);
	free(b.y);
	tool_embed_close(b.embed);
	tool_exit(status);
}
