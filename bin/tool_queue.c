/*
 * SPDX-License-Identifier: ISC
 *
 * The queue of records, and what is known of their texts; see tool_queue.h.
 */
#include "bin/tool_queue.h"

#include <stdlib.h>
#include <string.h>

enum {
	TABLE = 1 << 17,       /* places of the memo, at most half of them taken */
	MEMO_BYTES = 32 << 20, /* of texts and numbers; then all is forgotten */
	WAIT_MOST = 4096,      /* records that wait at most, */
	WAIT_BYTES = 16 << 20, /* and their bytes, when another one comes */
};

/* What a text became. */
struct known {
	uint64_t hash;
	size_t n;
	int pending; /* index in the next run, or -1: value is there */
	char *text;
	char *bad; /* why it became nothing, or NULL */
	double value[];
};

struct item {
	struct tool_record rec;    /* raw and bad are owned */
	const struct known *known; /* NULL: bad */
};

struct tool_queue {
	struct tool_queue_maker maker;
	struct known *table[TABLE];
	size_t n_known, known_bytes;
	struct known **pending; /* [cap_pending] of the next run */
	int n_pending, cap_pending;
	struct item item[WAIT_MOST];
	int n_item;
	size_t item_bytes;
};

_Noreturn static void
no_memory(size_t n)
{
	tool_fail(LLM_ENOMEM, "out of memory: %zu bytes for a record", n);
}

static void *
must_copy(const void *bytes, size_t n)
{
	char *copy = malloc(n + 1);
	if (copy == NULL)
		no_memory(n);
	if (n > 0)
		memcpy(copy, bytes, n);
	copy[n] = '\0';
	return copy;
}

/* FNV-1a, stirred once more. */
static uint64_t
hash_of(const char *s, size_t n)
{
	uint64_t h = 0xCBF29CE484222325u;
	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)s[i]) * 0x100000001B3u;
	return (h ^ h >> 32) * 0x9E3779B97F4A7C15u;
}

/* The place of a text: its own, or the one that it would take. */
static struct known **
place_of(struct tool_queue *q, uint64_t hash, const char *s, size_t n)
{
	size_t i = hash >> 40 & (TABLE - 1);
	for (; q->table[i] != NULL; i = (i + 1) & (TABLE - 1)) {
		struct known *k = q->table[i];
		if (k->hash == hash && k->n == n && memcmp(k->text, s, n) == 0)
			break;
	}
	return &q->table[i];
}

static void
forget(struct tool_queue *q)
{
	for (size_t i = 0; q->n_known > 0 && i < TABLE; i++) {
		if (q->table[i] == NULL)
			continue;
		free(q->table[i]->text);
		free(q->table[i]->bad);
		free(q->table[i]);
		q->table[i] = NULL;
	}
	q->n_known = q->known_bytes = 0;
}

struct tool_queue *
tool_queue_new(const struct tool_queue_maker *maker)
{
	struct tool_queue *q = calloc(1, sizeof *q);
	if (q == NULL)
		no_memory(sizeof *q);
	q->maker = *maker;
	return q;
}

void
tool_queue_free(struct tool_queue *q)
{
	if (q == NULL)
		return;
	for (int i = 0; i < q->n_item; i++) {
		free((char *)(uintptr_t)q->item[i].rec.raw);
		free((char *)(uintptr_t)q->item[i].rec.bad);
	}
	forget(q);
	free(q->pending);
	free(q);
}

static void
pending_add(struct tool_queue *q, struct known *k)
{
	if (q->n_pending == q->cap_pending) {
		int cap = q->cap_pending < 64 ? 64 : 2 * q->cap_pending;
		struct known **more = realloc(q->pending, (size_t)cap * sizeof *more);
		if (more == NULL)
			no_memory((size_t)cap * sizeof *more);
		q->pending = more;
		q->cap_pending = cap;
	}
	k->pending = q->n_pending;
	q->pending[q->n_pending++] = k;
}

/* What is known of the record's text, or will be after the next run; NULL, and why, where it is bad. */
static const struct known *
known_of(struct tool_queue *q, const struct tool_record *rec, struct llm_err *err)
{
	size_t n = rec->n_text, n_value = (size_t)q->maker.n_value;
	uint64_t hash = hash_of(rec->text, n);
	struct known **place = place_of(q, hash, rec->text, n);
	if (*place != NULL)
		return *place;
	int rc = q->maker.add(q->maker.context, rec, q->n_pending, err);
	if (rc == LLM_EBUSY) {
		tool_queue_run(q);
		rc = q->maker.add(q->maker.context, rec, 0, err);
		place = place_of(q, hash, rec->text, n);
	}
	if (rc < 0)
		return NULL;
	struct known *k = malloc(sizeof *k + n_value * sizeof *k->value);
	if (k == NULL)
		no_memory(sizeof *k);
	*k = (struct known){.hash = hash, .n = n, .text = must_copy(rec->text, n)};
	*place = k;
	q->n_known++;
	q->known_bytes += sizeof *k + n_value * sizeof *k->value + n;
	pending_add(q, k);
	return k;
}

void
tool_queue_run(struct tool_queue *q)
{
	if (q->n_pending > 0)
		q->maker.run(q->maker.context);
	for (int i = 0; i < q->n_pending; i++) {
		struct known *k = q->pending[i];
		struct llm_err err = {0};
		if (q->maker.value(q->maker.context, i, k->value, &err) < 0)
			k->bad = must_copy(err.msg, strlen(err.msg));
		k->pending = -1;
	}
	q->n_pending = 0;
	for (int i = 0; i < q->n_item; i++) {
		struct item *it = &q->item[i];
		char *bad = (char *)(uintptr_t)it->rec.bad;
		if (it->known != NULL)
			it->rec.bad = it->known->bad;
		q->maker.emit(
		    q->maker.context, &it->rec, it->rec.bad == NULL ? it->known->value : NULL);
		free((char *)(uintptr_t)it->rec.raw);
		free(bad);
	}
	if (q->n_item > 0)
		tool_flush();
	q->n_item = 0;
	q->item_bytes = 0;
	if (q->n_known > TABLE / 2 - WAIT_MOST || q->known_bytes > MEMO_BYTES)
		forget(q);
}

void
tool_queue_add(struct tool_queue *q, const struct tool_record *rec)
{
	struct llm_err err = {0};
	const char *bad = rec->bad;
	if (q->n_item == WAIT_MOST || q->item_bytes > WAIT_BYTES)
		tool_queue_run(q);
	const struct known *k = bad != NULL ? NULL : known_of(q, rec, &err);
	if (k == NULL && bad == NULL)
		bad = err.msg;
	struct item *it = &q->item[q->n_item++];
	it->rec = *rec;
	it->known = k;
	it->rec.raw = must_copy(rec->raw, rec->n_raw);
	it->rec.bad = bad != NULL ? must_copy(bad, strlen(bad)) : NULL;
	it->rec.text = NULL;
	it->rec.n_text = 0;
	q->item_bytes += rec->n_raw;
	if (q->n_pending == 0)
		tool_queue_run(q);
}

void
tool_queue_pump(struct tool_queue *q, struct tool_records *r, bool (*more)(void *context))
{
	struct tool_record rec;
	enum tool_records_got got;
	while (more == NULL || more(q->maker.context)) {
		got = tool_records_next(&rec, r, q->n_item == 0);
		if (got == TOOL_RECORDS_END)
			break;
		if (got == TOOL_RECORDS_WAIT)
			tool_queue_run(q);
		else
			tool_queue_add(q, &rec);
	}
	tool_queue_run(q);
}
