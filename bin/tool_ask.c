/*
 * SPDX-License-Identifier: ISC
 *
 * Texts to prompts, prompts to batches; see tool_ask.h.
 */
#include "bin/tool_ask.h"
#include "libcore/clock.h"
#include "tokenize/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	FIRST_ROWS = 96, /* of the first run: the first answer is to come soon */
	LEAST_ROWS = 64,
	SPELLINGS = 8,
};

/* A run longer than SLOW is halved, one shorter than FAST is doubled: seconds. */
static const double slow = 1.0, fast = 0.4;

struct tool_ask {
	const struct tool_ask_params *params;
	struct tool_engine *engine;
	struct llm_template *template;
	struct llm_labels labels;
	struct tool_batch *batch;
	struct llm_message *message; /* params', and the text's */
	struct llm_prompt head;      /* a prompt; up to part n_head all are alike */
	size_t n_head;
	struct llm_ids head_ids, ids;
	char *text; /* of the last message */
	size_t cap_text;
	double *nats, *base; /* [n_label]; of an empty text, where params->calibrate */
	int max_rows;        /* of the next run */
};

static void
check(int rc, const struct llm_err *err)
{
	if (rc < 0)
		tool_die(err);
}

/* The prompt for a text. */
static int
render(struct llm_prompt *p, struct tool_ask *a, const char *s, size_t n, struct llm_err *err)
{
	size_t before = strlen(a->params->before), after = strlen(a->params->after);
	size_t all = before + n + after;
	if (all > a->cap_text) {
		char *more = realloc(a->text, all);
		if (more == NULL)
			return llm_err_nomem(err, all);
		a->text = more;
		a->cap_text = all;
	}
	memcpy(a->text, a->params->before, before);
	if (n > 0)
		memcpy(a->text + before, s, n);
	memcpy(a->text + before + n, a->params->after, after);
	a->message[a->params->n_message] =
	    (struct llm_message){.role = LLM_ROLE_USER, .text = a->text, .n_text = all};
	p->n = p->n_part = 0;
	return llm_template_render(p, a->template, a->message, a->params->n_message + 1, err);
}

/* Whether p begins with the parts that head does, up to n_head. */
static bool
has_head(const struct tool_ask *a, const struct llm_prompt *p)
{
	const struct llm_prompt *h = &a->head;
	if (p->n_part < a->n_head)
		return false;
	for (size_t i = 0; i < a->n_head; i++)
		if (p->part[i].kind != h->part[i].kind || p->part[i].end != h->part[i].end)
			return false;
	return a->n_head == 0 || memcmp(p->bytes, h->bytes, h->part[a->n_head - 1].end) == 0;
}

/* The ids of a prompt into a->ids; the head's are at hand. */
static int
encode(struct tool_ask *a, const struct llm_prompt *p, struct llm_err *err)
{
	struct llm_prompt rest = *p;
	int rc = 0;
	a->ids.n = 0;
	if (has_head(a, p)) {
		rest.part += a->n_head;
		rest.n_part -= a->n_head;
		for (size_t i = 0; rc >= 0 && i < a->head_ids.n; i++)
			rc = llm_ids_push(&a->ids, a->head_ids.v[i], err);
	}
	return rc < 0 ? rc : llm_prompt_encode(&a->ids, &rest, a->engine->tokenizer, err);
}

/* The same text with U+FFFD for each byte that is no UTF-8 and for what controls a terminal. */
static char *
tame(size_t *n_out, const char *s, size_t n)
{
	char *out = malloc(3 * n + 1);
	size_t at = 0, len;
	uint32_t c;
	if (out == NULL)
		tool_fail(LLM_ENOMEM, "out of memory: a record of %zu bytes", n);
	for (size_t i = 0; i < n; i += len) {
		len = llm_utf8_decode(&c, s + i, n - i);
		bool wild = c == UINT32_MAX || c == 0x7F ||
			    (c < 0x20 && c != '\t' && c != '\n' && c != '\r');
		memcpy(out + at, wild ? "\xEF\xBF\xBD" : s + i, wild ? 3 : len);
		at += wild ? 3 : len;
	}
	*n_out = at;
	return out;
}

/* The ids of the prompt for a text; bytes that the vocabulary has no token for are U+FFFD. */
static int
ids_of(struct tool_ask *a, const char *s, size_t n, struct llm_err *err)
{
	struct llm_prompt p = {0};
	int rc = render(&p, a, s, n, err);
	if (rc >= 0)
		rc = encode(a, &p, err);
	if (rc == LLM_EDATA) {
		char *other = tame(&n, s, n);
		rc = render(&p, a, other, n, err);
		if (rc >= 0)
			rc = encode(a, &p, err);
		free(other);
	}
	llm_prompt_free(&p);
	return rc;
}

/* Bytes of s[0..n) that its first n_tok tokens stand for, about: no character is cut. */
static size_t
head_bytes(
    const struct tool_ask *a, const struct llm_ids *ids, size_t n_tok, const char *s, size_t n)
{
	struct llm_gguf_str piece;
	size_t sum = 0;
	for (size_t i = 0; i < n_tok && i < ids->n; i++)
		if (llm_tokenizer_piece(&piece, a->engine->tokenizer, ids->v[i]))
			sum += piece.n;
	return llm_utf8_floor(s, n, sum < n ? sum : n);
}

/* The ids of the prompt for the part of a text that --fit names. */
static int
ids_fit(struct tool_ask *a, const struct tool_record *rec, struct llm_err *err)
{
	const char *s = rec->text;
	size_t n = rec->n_text, room = (size_t)tool_batch_max_tokens(a->batch), excess;
	struct llm_ids all = {0};
	int rc =
	    llm_tokenizer_encode(&all, a->engine->tokenizer, s, n, LLM_TOKENIZE_REPLACE, err);
	size_t kept = all.n, from = 0, to = n;
	while (rc >= 0 && a->ids.n > room && kept > 0) {
		excess = a->ids.n - room;
		kept = kept > excess ? kept - excess : 0;
		size_t at = llm_fit_from(tool_run.fit, all.n, kept);
		from = head_bytes(a, &all, at, s, n);
		to = tool_run.fit == LLM_FIT_TAIL ? n : head_bytes(a, &all, at + kept, s, n);
		rc = ids_of(a, s + from, to > from ? to - from : 0, err);
	}
	if (rc >= 0)
		tool_note("record %ju has %zu tokens: kept %zu, its %s", rec->n, all.n, kept,
		    llm_fit_name(tool_run.fit));
	llm_ids_free(&all);
	return rc;
}

int
tool_ask_add(struct tool_ask *a, const struct tool_record *rec, struct llm_err *err)
{
	int rc = ids_of(a, rec->text, rec->n_text, err);
	if (rc >= 0 && tool_run.fit != LLM_FIT_NONE &&
	    a->ids.n > (size_t)tool_batch_max_tokens(a->batch))
		rc = ids_fit(a, rec, err);
	if (rc >= 0)
		rc = tool_batch_add(a->batch, a->ids.v, a->ids.n, a->max_rows, err);
	return rc < 0 ? rc : 0;
}

void
tool_ask_run(struct tool_ask *a)
{
	struct llm_err err = {0};
	double begin = llm_clock_s();
	check(tool_batch_run(a->batch, &err), &err);
	double spent = llm_clock_s() - begin;
	int most = tool_batch_max_rows(a->batch);
	if (spent > slow)
		a->max_rows /= 2;
	else if (spent < fast)
		a->max_rows *= 2;
	a->max_rows = a->max_rows > most         ? most
		      : a->max_rows < LEAST_ROWS ? LEAST_ROWS
						 : a->max_rows;
}

void
tool_ask_value(struct tool_ask *a, int i, double *value)
{
	int n = a->params->n_label;
	tool_batch_nats(a->nats, a->batch, i);
	value[n] = llm_labels_normalise(value, a->nats, n);
	for (int k = 0; a->params->calibrate && k < n; k++)
		a->nats[k] -= isfinite(a->base[k]) ? a->base[k] : 0;
	if (a->params->calibrate)
		llm_labels_normalise(value, a->nats, n);
	if (i + 1 == tool_batch_n(a->batch))
		tool_batch_clear(a->batch);
}

/* Opening. */

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/*
 * Spelling k of a label: 0 as given, then with another first letter, in capitals, in small letters; the
 * other half after a space.
 */
static void
spelling(char *out, const char *label, int k)
{
	size_t n = strlen(label);
	if (k >= SPELLINGS / 2)
		*out++ = ' ';
	memcpy(out, label, n + 1);
	if (k % 4 == 1)
		out[0] = (char)(is_letter(out[0]) ? out[0] ^ 0x20 : out[0]);
	for (size_t i = 0; k % 4 == 2 && i < n; i++)
		out[i] = (char)(is_letter(out[i]) ? out[i] & ~0x20 : out[i]);
	for (size_t i = 0; k % 4 == 3 && i < n; i++)
		out[i] = (char)(is_letter(out[i]) ? out[i] | 0x20 : out[i]);
}

/*
 * One spelling of all labels.  Of SentencePiece, whose answers begin with a space that is none, the space
 * is what a label has as it is given.
 */
static void
labels_spell(struct tool_ask *a, int k)
{
	const struct llm_tokenizer *t = a->engine->tokenizer;
	bool spm = llm_tokenizer_kind(t) == LLM_TOKENIZER_SPM;
	struct llm_err err = {0};
	struct llm_ids ids = {0};
	char quoted[80];
	for (int i = 0; i < a->params->n_label; i++) {
		const char *label = a->params->label[i];
		char *s = malloc(strlen(label) + 2);
		if (s == NULL)
			tool_fail(LLM_ENOMEM, "out of memory: a label");
		spelling(s, label, spm ? (k + SPELLINGS / 2) % SPELLINGS : k);
		ids.n = 0;
		check(llm_tokenizer_encode(&ids, t, s, strlen(s), LLM_TOKENIZE_INNER, &err),
		    &err);
		free(s);
		if (k > 0 && !llm_labels_costs_nothing(&a->labels, ids.v, ids.n))
			continue;
		int rc = llm_labels_add(&a->labels, i, ids.v, ids.n, &err);
		check(rc, &err);
		if (k == 0 && rc == 0)
			tool_usage("label '%s' is there twice",
			    llm_err_quote(quoted, sizeof quoted, label, strlen(label)));
	}
	llm_ids_free(&ids);
}

/* What all prompts begin with: the parts before the last control token before the text, and their ids. */
static void
head_find(struct tool_ask *a)
{
	struct llm_prompt other = {0};
	struct llm_err err = {0};
	check(render(&a->head, a, "x", 1, &err), &err);
	check(render(&other, a, "0123", 4, &err), &err);
	size_t same = 0, n = 0;
	while (same < a->head.n && same < other.n && a->head.bytes[same] == other.bytes[same])
		same++;
	for (size_t i = 0; i < a->head.n_part && a->head.part[i].end <= same; i++) {
		enum llm_prompt_kind kind = a->head.part[i].kind;
		if (kind == LLM_PROMPT_CONTROL || kind == LLM_PROMPT_BOS ||
		    kind == LLM_PROMPT_EOS)
			n = i;
	}
	struct llm_prompt first = a->head;
	first.n_part = n;
	first.n = n > 0 ? first.part[n - 1].end : 0;
	check(llm_prompt_encode(&a->head_ids, &first, a->engine->tokenizer, &err), &err);
	a->n_head = n;
	llm_prompt_free(&other);
}

/* The tokens that all prompts begin with, but for those whose text's beginning joins them. */
static void
prefix_find(struct llm_ids *prefix, struct tool_ask *a)
{
	struct llm_err err = {0};
	check(ids_of(a, "x", 1, &err), &err);
	for (size_t i = 0; i < a->ids.n; i++)
		check(llm_ids_push(prefix, a->ids.v[i], &err), &err);
	check(ids_of(a, "0123", 4, &err), &err);
	size_t n = 0;
	while (n < prefix->n && n < a->ids.n && prefix->v[n] == a->ids.v[n])
		n++;
	prefix->n = n;
}

/* What the labels have without a text. */
static void
calibrate(struct tool_ask *a)
{
	struct llm_err err = {0};
	check(ids_of(a, "", 0, &err), &err);
	check(tool_batch_add(a->batch, a->ids.v, a->ids.n, a->max_rows, &err), &err);
	check(tool_batch_run(a->batch, &err), &err);
	tool_batch_nats(a->base, a->batch, 0);
	tool_batch_clear(a->batch);
}

struct tool_ask *
tool_ask_open(struct tool_engine *e, const struct tool_ask_params *params)
{
	struct llm_template_params tp = {.name = params->template};
	struct llm_err err = {0};
	struct llm_ids prefix = {0};
	struct tool_ask *a = calloc(1, sizeof *a);
	size_t n_label = (size_t)params->n_label;
	if (a == NULL ||
	    (a->message = calloc(params->n_message + 1, sizeof *a->message)) == NULL ||
	    (a->nats = calloc(n_label, sizeof *a->nats)) == NULL ||
	    (a->base = calloc(n_label, sizeof *a->base)) == NULL)
		tool_fail(LLM_ENOMEM, "out of memory: %zu labels", n_label);
	a->params = params;
	a->engine = e;
	a->max_rows = FIRST_ROWS;
	for (size_t i = 0; i < params->n_message; i++)
		a->message[i] = params->message[i];
	check(llm_template_open(&a->template, e->model->gguf, &tp, &err), &err);
	for (int k = 0; k < SPELLINGS; k++)
		labels_spell(a, k);
	head_find(a);
	prefix_find(&prefix, a);
	struct llm_batch_params bp = {.labels = &a->labels,
	    .prefix = prefix.v,
	    .n_prefix = prefix.n,
	    .max_prompts = params->max_prompts};
	check(tool_batch_open(&a->batch, e, &bp, &err), &err);
	llm_ids_free(&prefix);
	if (params->calibrate)
		calibrate(a);
	return a;
}

void
tool_ask_close(struct tool_ask *a)
{
	if (a == NULL)
		return;
	tool_batch_close(a->batch);
	llm_labels_free(&a->labels);
	llm_template_close(a->template);
	llm_prompt_free(&a->head);
	llm_ids_free(&a->head_ids);
	llm_ids_free(&a->ids);
	free(a->message);
	free(a->nats);
	free(a->base);
	free(a->text);
	free(a);
}
