/*
 * SPDX-License-Identifier: ISC
 *
 * Byte-pair merging; see merge.h.
 */
#include "tokenize/merge.h"

#include "libcore/size.h"

#include <stdlib.h>
#include <string.h>

/* Up to here scanning for the lowest rank beats a heap. */
#define SHORT 40

/* Bytes of scratch a symbol: sym, rank, made, next, prev, two heap entries. */
#define PER_SYM (2 * sizeof(uint64_t) + sizeof(struct llm_merge_sym) + 4 * sizeof(uint32_t))

int
llm_merge_reserve(struct llm_merge *m, size_t n, struct llm_err *err)
{
	if (n <= m->cap)
		return 0;
	size_t cap = n < 64 ? 64 : n, bytes;
	if (n >= UINT32_MAX)
		return llm_err_set(err, LLM_ETOOLONG,
		    "%zu bytes of text that no rule divides, at most %u", n,
		    (unsigned)UINT32_MAX - 1);
	if (!llm_size_mul(&bytes, cap, PER_SYM))
		return llm_err_nomem(err, SIZE_MAX);
	uint64_t *block = malloc(bytes);
	if (block == NULL)
		return llm_err_nomem(err, bytes);
	free(m->heap);
	*m = (struct llm_merge){.heap = block, .cap = cap};
	m->sym = (struct llm_merge_sym *)(block + 2 * cap);
	m->rank = (uint32_t *)(m->sym + cap);
	m->made = (llm_token *)(m->rank + cap);
	m->next = (uint32_t *)(m->made + cap);
	m->prev = m->next + cap;
	return 0;
}

void
llm_merge_free(struct llm_merge *m)
{
	free(m->heap);
	*m = (struct llm_merge){0};
}

static void
run_short(struct llm_merge *m, llm_merge_rank *rank, const void *context)
{
	struct llm_merge_sym *sym = m->sym;
	size_t n = m->n;
	for (size_t i = 0; i + 1 < n; i++)
		m->rank[i] = rank(&m->made[i], context, &sym[i], &sym[i + 1]);
	while (n > 1) {
		size_t at = 0;
		for (size_t i = 1; i + 1 < n; i++)
			if (m->rank[i] < m->rank[at])
				at = i;
		if (m->rank[at] == LLM_MERGE_NONE)
			break;
		sym[at].id = m->made[at];
		sym[at].end = sym[at + 1].end;
		n--;
		for (size_t i = at + 1; i < n; i++) {
			sym[i] = sym[i + 1];
			m->rank[i] = m->rank[i + 1];
			m->made[i] = m->made[i + 1];
		}
		if (at > 0)
			m->rank[at - 1] =
			    rank(&m->made[at - 1], context, &sym[at - 1], &sym[at]);
		if (at + 1 < n)
			m->rank[at] = rank(&m->made[at], context, &sym[at], &sym[at + 1]);
	}
	m->n = n;
}

/* Lets entry i sink until no child is lower. */
static void
heap_sink(struct llm_merge *m, size_t i)
{
	uint64_t x = m->heap[i];
	for (size_t child; (child = 2 * i + 1) < m->n_heap; i = child) {
		if (child + 1 < m->n_heap && m->heap[child + 1] < m->heap[child])
			child++;
		if (m->heap[child] >= x)
			break;
		m->heap[i] = m->heap[child];
	}
	m->heap[i] = x;
}

static void
heap_push(struct llm_merge *m, uint64_t x)
{
	size_t i = m->n_heap++;
	for (; i > 0 && m->heap[(i - 1) / 2] > x; i = (i - 1) / 2)
		m->heap[i] = m->heap[(i - 1) / 2];
	m->heap[i] = x;
}

static uint64_t
heap_pop(struct llm_merge *m)
{
	uint64_t x = m->heap[0];
	m->heap[0] = m->heap[--m->n_heap];
	if (m->n_heap > 0)
		heap_sink(m, 0);
	return x;
}

/* Ranks symbol i with the one after it, anew. */
static void
rank_again(struct llm_merge *m, uint32_t i, llm_merge_rank *rank, const void *context)
{
	uint32_t next = m->next[i];
	m->rank[i] = LLM_MERGE_NONE;
	if (next == UINT32_MAX)
		return;
	m->rank[i] = rank(&m->made[i], context, &m->sym[i], &m->sym[next]);
	if (m->rank[i] != LLM_MERGE_NONE)
		heap_push(m, (uint64_t)m->rank[i] << 32 | i);
}

/*
 * An entry is stale when its symbol's rank has changed since; a symbol that was swallowed has none.
 * The heap holds at most n - 1 entries at first, and a merge takes one out and puts in two.
 */
static void
run_long(struct llm_merge *m, llm_merge_rank *rank, const void *context)
{
	uint32_t n = (uint32_t)m->n;
	m->n_heap = 0;
	for (uint32_t i = 0; i < n; i++) {
		m->next[i] = i + 1 < n ? i + 1 : UINT32_MAX;
		m->prev[i] = i > 0 ? i - 1 : UINT32_MAX;
		m->rank[i] = LLM_MERGE_NONE;
		if (i + 1 < n)
			m->rank[i] = rank(&m->made[i], context, &m->sym[i], &m->sym[i + 1]);
		if (m->rank[i] != LLM_MERGE_NONE)
			m->heap[m->n_heap++] = (uint64_t)m->rank[i] << 32 | i;
	}
	for (size_t i = m->n_heap / 2; i-- > 0;)
		heap_sink(m, i);
	while (m->n_heap > 0) {
		uint64_t top = heap_pop(m);
		uint32_t i = (uint32_t)top;
		if (m->rank[i] != top >> 32)
			continue;
		uint32_t gone = m->next[i];
		m->sym[i].id = m->made[i];
		m->sym[i].end = m->sym[gone].end;
		m->rank[gone] = LLM_MERGE_NONE;
		m->next[i] = m->next[gone];
		if (m->next[i] != UINT32_MAX)
			m->prev[m->next[i]] = i;
		rank_again(m, i, rank, context);
		if (m->prev[i] != UINT32_MAX)
			rank_again(m, m->prev[i], rank, context);
	}
	m->n = 0;
	for (uint32_t i = 0; i != UINT32_MAX; i = m->next[i])
		m->sym[m->n++] = m->sym[i];
}

void
llm_merge_run(struct llm_merge *m, llm_merge_rank *rank, const void *context)
{
	if (m->n <= SHORT)
		run_short(m, rank, context);
	else
		run_long(m, rank, context);
}
