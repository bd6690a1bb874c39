/*
 * SPDX-License-Identifier: ISC
 *
 * Room for keys and values.  A job has its pages reserved when it is taken, all that it can come to need; of an
 * answer without a limit those of its prompt and one more, and then one at a time: where there is none it waits.
 * While somebody waits, what is free is his before it is a new job's.  Where all wait, the one that came last of
 * the lowest class gives its pages back and is computed again when there is room: its bytes are the same, only
 * later.  One that is left alone and still has no room has grown past all there is: LLM_EBUSY.
 */
#include "generate/scheduler_private.h"

static int64_t
pages(int64_t n_pos)
{
	return (n_pos + LLM_KV_PAGE - 1) / LLM_KV_PAGE;
}

/* Pages that it has to have to go on. */
static int64_t
need(const struct llm_job *j)
{
	const struct llm_decode *d = &j->decode;
	int64_t n = d->n_max >= 0 ? (int64_t)d->n_prompt + d->n_max
				  : (pages((int64_t)j->ids.n) + 1) * LLM_KV_PAGE;
	/* One that runs grows by one page; one that gave way begins with all that it had, and one. */
	if (d->n_max < 0 && j->n_page > 0)
		n = ((int64_t)j->n_page + 1) * LLM_KV_PAGE;
	return pages(n < d->seq->n_ctx ? n : d->seq->n_ctx);
}

static unsigned long long
bytes(const struct llm_job *j, int64_t n_page)
{
	return (unsigned long long)n_page * llm_seq_page_bytes(j->decode.seq);
}

int
llm_room_reserve(struct llm_scheduler *s, struct llm_job *j, struct llm_err *err)
{
	int64_t n = need(j), taken = s->n_page + s->n_wanted;
	if (taken + n > s->max_page)
		return llm_err_set(err, LLM_EBUSY,
		    "%llu bytes of keys and values, and %llu of %llu are free: try again later",
		    bytes(j, n), bytes(j, taken < s->max_page ? s->max_page - taken : 0),
		    bytes(j, s->max_page));
	j->n_page = (int)n;
	s->n_page += n;
	return 0;
}

/* It no longer waits. */
static void
wait_end(struct llm_scheduler *s, struct llm_job *j)
{
	if (j->waits)
		s->n_wanted -= need(j) - j->n_page;
	j->waits = false;
}

void
llm_room_release(struct llm_scheduler *s, struct llm_job *j)
{
	wait_end(s, j);
	s->n_page -= j->n_page;
	j->n_page = 0;
}

void
llm_room_grow(struct llm_scheduler *s, struct llm_job *j)
{
	if (pages((int64_t)j->ids.n) <= j->n_page)
		return;
	j->waits = true;
	s->n_wanted += need(j) - j->n_page;
}

/* Among those that wait, or that wait and have pages: the first or the last by class and coming. */
static struct llm_job *
waiting(const struct llm_scheduler *s, bool with_pages, bool last)
{
	struct llm_job *found = NULL;
	for (int i = 0; i < s->n_job; i++) {
		struct llm_job *j = s->job[i];
		if (!j->waits || (with_pages && j->n_page == 0))
			continue;
		if (found == NULL ||
		    (last ? j->class >= found->class : j->class < found->class))
			found = j;
	}
	return found;
}

void
llm_room_grant(struct llm_scheduler *s)
{
	while (s->n_wanted > 0) {
		struct llm_job *j = waiting(s, false, false);
		int64_t n = need(j);
		/* Not the next one that would fit: who needs much would wait for ever. */
		if (s->n_page + n - j->n_page > s->max_page)
			return;
		wait_end(s, j);
		s->n_page += n - j->n_page;
		j->n_page = (int)n;
	}
}

void
llm_room_make(struct llm_scheduler *s)
{
	struct llm_job *first = waiting(s, false, false), *last = waiting(s, true, true);
	struct llm_err err;
	if (last != NULL && last != first) {
		wait_end(s, last);
		s->n_page -= last->n_page;
		last->n_page = 0;
		llm_seq_clear(last->decode.seq);
		last->waits = true;
		s->n_wanted += need(last);
		return;
	}
	/* Nobody else has pages, or only the one that is first. */
	llm_err_set(&err, LLM_EBUSY,
	    "an answer of %d tokens so far has no room to grow: %llu bytes of keys and values "
	    "are all there is",
	    llm_answer_n(first->decode.answer), bytes(first, s->max_page));
	llm_job_end(s, first, LLM_EBUSY, LLM_GENERATE_LIMIT, &err);
}
