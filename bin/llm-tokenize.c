/*
 * SPDX-License-Identifier: ISC
 *
 * llm-tokenize: text in, token ids out, and back.  Text is read in stretches that end where no token
 * can cross, so that input of any length streams.
 */
#include "bin/tool.h"
#include "bin/tool_cache.h"
#include "bin/tool_stretch.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static struct {
	const char *model;
	bool lines, nul, decode, count, bos, special;
} opt;

static const struct tool_option options[] = {
    {'m', "model", "MODEL", "model: a file with a / in its name, or a name in the store",
	TOOL_STRING, 0, 0, &opt.model, NULL},
    {'l', "lines", NULL, "each line is a record, its ids one line", TOOL_FLAG, 0, 0, &opt.lines,
	NULL},
    {'0', "null", NULL, "the same with records that a NUL ends", TOOL_FLAG, 0, 0, &opt.nul,
	NULL},
    {'d', "decode", NULL, "ids in, text out", TOOL_FLAG, 0, 0, &opt.decode, NULL},
    {'c', "count", NULL, "print how many ids instead of the ids", TOOL_FLAG, 0, 0, &opt.count,
	NULL},
    {0, "bos", NULL, "begin token first, where the model's text has one", TOOL_FLAG, 0, 0,
	&opt.bos, NULL},
    {0, "special", NULL, "names of control tokens in text are these tokens", TOOL_FLAG, 0, 0,
	&opt.special, NULL},
    {0},
};

static const struct tool tool = {
    .name = "llm-tokenize",
    .operands = "[file]",
    .purpose = "text to token ids and back",
    .options = options,
};

/* Ids as digits, each followed by end, the last by last. */
static void
ids_print(const struct llm_ids *ids, char end, char last)
{
	char buf[4096];
	size_t at = sizeof buf;
	/* Digits come out backwards, so ids are written from the end of a stretch to its start. */
	for (size_t from = 0, to; from < ids->n; from = to) {
		to = ids->n - from > 256 ? from + 256 : ids->n;
		at = sizeof buf;
		for (size_t i = to; i-- > from;) {
			uint32_t x = (uint32_t)ids->v[i];
			buf[--at] = i + 1 == ids->n ? last : end;
			do
				buf[--at] = (char)('0' + x % 10);
			while ((x /= 10) > 0);
		}
		tool_write(buf + at, sizeof buf - at);
	}
}

/* Ids of text that stands base + at bytes into the input. */
static void
encode(struct llm_ids *ids, const struct llm_tokenizer *t, const struct tool_stretch *in,
    size_t n, unsigned flags)
{
	struct llm_err err;
	if (llm_tokenizer_encode(ids, t, in->buf, n, flags, &err) >= 0)
		return;
	if (err.code == LLM_EDATA && in->base > 0)
		tool_fail(
		    err.code, "%s, which begins at byte %zu of the input", err.msg, in->base);
	tool_die(&err);
}

static void
bos_push(struct llm_ids *ids, const struct llm_tokenizer *t)
{
	struct llm_err err;
	if (opt.bos && llm_tokenizer_adds_bos(t) &&
	    llm_ids_push(ids, llm_tokenizer_bos(t), &err) < 0)
		tool_die(&err);
}

/* All of the input as one text, one id a line. */
static void
text_encode(const struct llm_tokenizer *t, struct tool_stretch *in, unsigned flags)
{
	struct llm_ids ids = {0};
	uintmax_t total = 0;
	size_t tried = 0;
	bos_push(&ids, t);
	do {
		tool_stretch_fill(in);
		size_t n = in->n;
		if (!in->end) {
			/* A text with no place to cut is looked at again when it has doubled. */
			n = n < tried * 2 ? 0 : llm_tokenizer_cut(t, in->buf, n, flags);
			tried = n == 0 && tried * 2 <= in->n ? in->n : n > 0 ? 0 : tried;
		}
		if (n > 0) {
			encode(&ids, t, in, n, flags);
			flags |= LLM_TOKENIZE_INNER;
			tool_stretch_drop(in, n);
		}
		total += ids.n;
		if (!opt.count)
			ids_print(&ids, '\n', '\n');
		ids.n = 0;
	} while (!in->end);
	if (opt.count)
		tool_printf("%ju\n", total);
	llm_ids_free(&ids);
}

/* One record: its ids on a line, or their number. */
static void
record_encode(struct llm_ids *ids, const struct llm_tokenizer *t, const struct tool_stretch *in,
    size_t n, unsigned flags)
{
	ids->n = 0;
	bos_push(ids, t);
	encode(ids, t, in, n, flags);
	if (opt.count)
		tool_printf("%zu\n", ids->n);
	else if (ids->n == 0)
		tool_write("\n", 1);
	else
		ids_print(ids, ' ', '\n');
}

static void
records_encode(const struct llm_tokenizer *t, struct tool_stretch *in, unsigned flags)
{
	struct llm_ids ids = {0};
	size_t from = 0, looked = 0;
	while (!in->end) {
		tool_stretch_drop(in, from);
		looked -= from;
		from = 0;
		tool_stretch_fill(in);
		const char *end;
		while ((end = memchr(
			    in->buf + looked, opt.nul ? '\0' : '\n', in->n - looked)) != NULL) {
			struct tool_stretch record = *in;
			record.buf += from;
			record.base += from;
			size_t n = (size_t)(end - record.buf);
			record_encode(&ids, t, &record, n, flags);
			from += n + 1;
			looked = from;
		}
		looked = in->n;
	}
	tool_stretch_drop(in, from);
	if (in->n > 0)
		record_encode(&ids, t, in, in->n, flags);
	llm_ids_free(&ids);
}

/* Text being made of ids. */
struct decoder {
	const struct llm_tokenizer *t;
	const char *name; /* of the input */
	uintmax_t line;
	char word[32]; /* the digits of an id so far */
	size_t n_word; /* how many there were, even where they did not fit */
	bool start;    /* nothing of this text has been written */
	bool open;     /* something of this line has been read */
};

static void
decoder_word(struct decoder *d)
{
	size_t n = d->n_word < sizeof d->word ? d->n_word : sizeof d->word - 1;
	int id, n_vocab = llm_tokenizer_n_vocab(d->t);
	struct llm_gguf_str piece;
	d->word[n] = '\0';
	d->n_word = 0;
	if (strlen(d->word) != n || !tool_int(&id, d->word, 0, n_vocab - 1)) {
		char found[64];
		tool_fail(LLM_EDATA, "%s, line %ju: found '%s', expected a token id, 0 to %d",
		    d->name, d->line, llm_err_quote(found, sizeof found, d->word, n),
		    n_vocab - 1);
	}
	bool control = llm_tokenizer_is_control(d->t, id);
	bool prefix = d->start && !control && llm_tokenizer_space_prefix(d->t);
	d->start = control && (d->start || opt.special);
	if ((control && !opt.special) || !llm_tokenizer_piece(&piece, d->t, id))
		return;
	/* The space that encoding put before the text. */
	prefix = prefix && piece.n > 0 && piece.s[0] == ' ';
	tool_write(piece.s + prefix, piece.n - prefix);
}

static void
decoder_line(struct decoder *d)
{
	if (opt.lines || opt.nul) {
		tool_write(opt.nul ? "" : "\n", 1);
		d->start = true;
	}
	d->open = false;
	d->line++;
}

static void
ids_decode(const struct llm_tokenizer *t, struct tool_stretch *in)
{
	struct decoder d = {.t = t, .name = in->in.name, .line = 1, .start = true};
	do {
		tool_stretch_drop(in, in->n);
		tool_stretch_fill(in);
		for (size_t i = 0; i < in->n; i++) {
			char c = in->buf[i];
			bool blank = c == ' ' || c == '\t' || c == '\r' || c == '\n';
			if (!blank && d.n_word < sizeof d.word)
				d.word[d.n_word] = c;
			d.n_word += !blank;
			d.open = true;
			if (blank && d.n_word > 0)
				decoder_word(&d);
			if (c == '\n')
				decoder_line(&d);
		}
	} while (!in->end);
	if (d.n_word > 0)
		decoder_word(&d);
	if (d.open)
		decoder_line(&d);
}

int
main(int argc, char **argv)
{
	struct llm_err err;
	struct llm_gguf *g;
	struct tool_stretch in;
	int at = tool_start(&tool, argc, argv);
	tool_operands(argc, at, 1);
	if (opt.lines && opt.nul)
		tool_usage("-l and -0 exclude each other");
	if (opt.decode && (opt.count || opt.bos))
		tool_usage("-d goes with neither -c nor --bos");
	char *path = tool_model(opt.model);
	if (llm_gguf_open(&g, path, &err) < 0)
		tool_die(&err);
	tool_guard(g);
	struct llm_tokenizer *t = tool_tokenizer(g);
	tool_stretch_open(&in, argv[at]);
	unsigned flags = opt.special ? LLM_TOKENIZE_SPECIAL : 0;
	if (opt.decode)
		ids_decode(t, &in);
	else if (opt.lines || opt.nul)
		records_encode(t, &in, flags);
	else
		text_encode(t, &in, flags);
	tool_flush();
	tool_stretch_free(&in);
	tool_tokenizer_close(t);
	tool_unguard(g);
	llm_gguf_close(g);
	free(path);
	tool_exit(0);
}
