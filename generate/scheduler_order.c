/*
 * SPDX-License-Identifier: ISC
 *
 * Who goes before whom: classes, then clients by turns, then jobs as they came.  A turn lasts until a prompt
 * is all there, or TURN rows: one after the other clients wait less in the mean than all at once, and a prompt
 * of any length holds up nobody for longer.
 */
#include "generate/scheduler_private.h"

#include <stdlib.h>

enum { TURN = 2048 };

struct llm_turn *
llm_turn_join(struct llm_scheduler *s, uint64_t id, enum llm_job_class class)
{
	for (int i = 0; i < s->n_client; i++)
		if (s->client[i]->id == id && s->client[i]->class == class) {
			s->client[i]->n_job++;
			return s->client[i];
		}
	struct llm_turn *c = calloc(1, sizeof *c);
	if (c == NULL)
		return NULL;
	/* After those who wait for their turn. */
	*c = (struct llm_turn){.id = id, .class = class, .turn = ++s->n_turn, .n_job = 1};
	return s->client[s->n_client++] = c;
}

void
llm_turn_leave(struct llm_scheduler *s, struct llm_turn *c)
{
	if (--c->n_job > 0)
		return;
	for (int i = 0; i < s->n_client; i++)
		if (s->client[i] == c)
			s->client[i] = s->client[--s->n_client];
	free(c);
}

void
llm_turn_spend(struct llm_scheduler *s, struct llm_turn *c, int n_row, bool done)
{
	c->spent += n_row;
	if (!done && c->spent < TURN)
		return;
	c->spent = 0;
	c->turn = ++s->n_turn;
}

static int
by_number(const struct llm_job *a, const struct llm_job *b)
{
	return (a->number > b->number) - (a->number < b->number);
}

static int
by_turn(const void *x, const void *y)
{
	const struct llm_job *a = *(struct llm_job *const *)x, *b = *(struct llm_job *const *)y;
	if (a->class != b->class)
		return a->class < b->class ? -1 : 1;
	if (a->round != b->round)
		return a->round < b->round ? -1 : 1;
	if (a->client->turn != b->client->turn)
		return a->client->turn < b->client->turn ? -1 : 1;
	return by_number(a, b);
}

int
llm_order_prompts(struct llm_scheduler *s)
{
	int n = 0;
	for (int i = 0; i < s->n_client; i++)
		s->client[i]->n_seen = 0;
	for (int i = 0; i < s->n_job; i++) {
		struct llm_job *j = s->job[i];
		if (j->waits || llm_job_decodes(j))
			continue;
		j->round = j->client->n_seen++;
		s->order[n++] = j;
	}
	qsort(s->order, (size_t)n, sizeof(struct llm_job *), by_turn);
	return n;
}

static int
by_wait(const void *x, const void *y)
{
	const struct llm_job *a = *(struct llm_job *const *)x, *b = *(struct llm_job *const *)y;
	if (a->class != b->class)
		return a->class < b->class ? -1 : 1;
	if (a->decoded != b->decoded)
		return a->decoded < b->decoded ? -1 : 1;
	return by_number(a, b);
}

int
llm_order_answers(struct llm_scheduler *s)
{
	int n = 0;
	for (int i = 0; i < s->n_job; i++)
		if (!s->job[i]->waits && llm_job_decodes(s->job[i]))
			s->order[n++] = s->job[i];
	qsort(s->order, (size_t)n, sizeof(struct llm_job *), by_wait);
	return n;
}

void
llm_order_tell(struct llm_scheduler *s)
{
	if (!s->moved)
		return;
	s->moved = false;
	int n = llm_order_prompts(s), before = 0;
	for (int i = 0; i < n; i++) {
		struct llm_job *j = s->order[i];
		if (j->started)
			continue;
		if (j->position != before && j->hooks.queued != NULL)
			j->hooks.queued(j->context, before);
		j->position = before++;
	}
}
