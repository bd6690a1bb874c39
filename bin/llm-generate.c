/*
 * SPDX-License-Identifier: ISC
 *
 * llm-generate: text or ids in, what the model puts after them out, as it is and nothing more.
 */
#include "bin/tool.h"
#include "bin/tool_answer.h"
#include "bin/tool_buffer.h"
#include "bin/tool_daemon.h"
#include "bin/tool_ids.h"
#include "bin/tool_run.h"
#include "bin/tool_sampling.h"
#include "libcore/clock.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static int n_max = -1;
static bool ids_in, ids_out, json;

static const struct tool_option options[] = {
    {.letter = 'n',
	.name = "count",
	.metavar = "N",
	.help = "at most N tokens; else until the text or the context ends",
	.kind = TOOL_INT,
	.min = 0,
	.max = INT_MAX,
	.dest = &n_max},
    {.letter = 'i',
	.name = "ids-in",
	.help = "the input is token ids, taken as they are",
	.kind = TOOL_FLAG,
	.dest = &ids_in},
    {.letter = 'o',
	.name = "ids-out",
	.help = "print token ids, one a line",
	.kind = TOOL_FLAG,
	.dest = &ids_out},
    {.letter = 'j',
	.name = "json",
	.help = "print one JSON object: text, ids, counts, why it ended",
	.kind = TOOL_FLAG,
	.dest = &json},
    {0},
};

static const struct tool tool = {.name = "llm-generate",
    .operands = "[file]",
    .purpose = "Continue text from a file or standard input.",
    .options = options,
    .more = {
	tool_run_options, tool_prefix_options, tool_sampling_options, tool_daemon_options}};

/* What is kept for -j, and the clock for -v. */
struct answer {
	struct tool_buffer text;
	struct llm_ids ids;
	double begin, first; /* seconds (libcore/clock.h) */
};

static void
on_part(void *context, const struct llm_answer_part *part)
{
	struct answer *a = context;
	struct llm_err err;
	if (json) {
		tool_buffer_add(&a->text, part->bytes, part->n_bytes);
		for (size_t i = 0; i < part->n_ids; i++)
			if (llm_ids_push(&a->ids, part->ids[i], &err) < 0)
				tool_die(&err);
		return;
	}
	if (ids_out)
		for (size_t i = 0; i < part->n_ids; i++)
			tool_printf("%d\n", (int)part->ids[i]);
	else
		tool_write(part->bytes, part->n_bytes);
	tool_flush();
}

static void
on_progress(void *context, int done)
{
	struct answer *a = context;
	(void)done;
	a->first = llm_clock_s();
}

static void
json_print(const struct answer *a, const struct llm_generate_result *r)
{
	tool_printf("{");
	tool_json_text("text", a->text.s, a->text.n);
	tool_printf(",\"ids\":[");
	for (size_t i = 0; i < a->ids.n; i++)
		tool_printf("%s%d", i > 0 ? "," : "", (int)a->ids.v[i]);
	tool_printf("],\"n_prompt\":%d,\"n_out\":%d,\"stop\":\"%s\"}\n", r->n_prompt, r->n_out,
	    llm_generate_stop_name(r->stop));
}

static void
report(const struct answer *a, const struct llm_generate_result *r)
{
	double now = llm_clock_s();
	tool_note("prompt %d tokens, %d of them kept, %.1f tok/s; answer %d tokens, %.1f "
		  "tok/s, %d of %d "
		  "guesses right; "
		  "stop: %s",
	    r->n_prompt, r->n_kept, r->n_prompt / (a->first - a->begin), r->n_out,
	    r->n_out / (now - a->first), r->n_right, r->n_draft,
	    llm_generate_stop_name(r->stop));
}

/* The prompt, from text or ids; returns how many tokens stand before the input itself. */
static size_t
prompt_read(struct llm_ids *ids, const struct llm_tokenizer *t, const char *path)
{
	if (!ids_in)
		return tool_text_ids(ids, t, path);
	tool_read_ids(ids, path, llm_tokenizer_n_vocab(t));
	return 0;
}

int
main(int argc, char **argv)
{
	struct tool_engine e;
	struct llm_ids prompt = {0};
	struct llm_sampling sampling;
	struct llm_generate_result result;
	struct llm_err err = {0};
	struct answer answer = {0};
	struct tool_answer by;
	int first = tool_start(&tool, argc, argv);
	tool_operands(argc, first, 1);
	if (json && ids_out)
		tool_usage("-j and -o are two forms of output: give one");
	tool_sampling_get(&sampling);
	tool_engine_open(&e);
	tool_answer_open(&by, &e);
	size_t n_head = prompt_read(&prompt, e.tokenizer, argv[first]);
	tool_fit(&prompt, n_head, tool_answer_n_ctx(&by), n_max);
	struct llm_answer_params params = {.tokenizer = e.tokenizer,
	    .sampling = &sampling,
	    .vector = e.kernels->vector,
	    .stop = tool_sampling.stop,
	    .n_stop = tool_sampling.n_stop,
	    .drop_space = llm_tokenizer_space_prefix(e.tokenizer),
	    .emit = on_part,
	    .context = &answer};
	struct llm_generate_request request = {.prompt = prompt.v,
	    .n_prompt = prompt.n,
	    .n_max = n_max,
	    .n_draft = tool_sampling.draft,
	    .answer = &params,
	    .progress = on_progress,
	    .context = &answer};
	answer.begin = llm_clock_s();
	if (tool_answer_run(&result, &by, &request, prompt.n, &err) < 0)
		tool_die(&err);
	if (json)
		json_print(&answer, &result);
	tool_flush();
	if (tool_run.verbose)
		report(&answer, &result);
	if (result.stop == LLM_GENERATE_CONTEXT)
		tool_note("the context of %d tokens is full: the answer is cut after %d tokens",
		    tool_answer_n_ctx(&by), result.n_out);
	tool_answer_keep(&by, prompt.v, prompt.n);
	tool_answer_close(&by);
	tool_engine_close(&e);
	llm_ids_free(&prompt);
	llm_ids_free(&answer.ids);
	free(answer.text.s);
	tool_exit(result.stop == LLM_GENERATE_CONTEXT ? TOOL_CUT : 0);
}
