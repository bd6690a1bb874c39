/*
 * SPDX-License-Identifier: ISC
 *
 * llm-grep by an encoder: records whose meaning is near to that of a phrase; see grep.h.
 */
#include "bin/grep.h"
#include "bin/tool_near.h"

/* Where --margin says nothing. */
static const double usual = 0.3;

struct search {
	struct tool_near *near;
	struct tool_records *records;
	struct grep_output *output;
	double least;
};

static int
search_add(void *context, const struct tool_record *rec, int n, struct llm_err *err)
{
	const struct search *s = context;
	return tool_near_add(s->near, rec, n, err);
}

static void
search_run(void *context)
{
	const struct search *s = context;
	tool_near_run(s->near);
}

static int
search_value(void *context, int i, double *value, struct llm_err *err)
{
	const struct search *s = context;
	return tool_near_value(s->near, i, value, err);
}

static void
search_emit(void *context, const struct tool_record *rec, const double *value)
{
	const struct search *s = context;
	grep_output_record(s->output, rec, value != NULL && value[0] >= s->least);
	tool_records_progress(s->records, rec->n, rec->end_byte);
}

static bool
search_more(void *context)
{
	const struct search *s = context;
	return grep_output_go_on(s->output);
}

void
grep_near(const char *phrase, struct tool_records *r, struct grep_output *o,
    const struct grep_options *options)
{
	struct search s = {.near = tool_near_open(&phrase, 1, options->max_prompts),
	    .records = r,
	    .output = o,
	    .least = options->margin >= 0 ? options->margin : usual};
	struct tool_queue *queue = tool_queue_new(&(struct tool_queue_maker){.n_value = 1,
	    .add = search_add,
	    .run = search_run,
	    .value = search_value,
	    .emit = search_emit,
	    .context = &s});
	tool_queue_pump(queue, r, search_more);
	tool_queue_free(queue);
	tool_near_close(s.near);
}
