/*
 * SPDX-License-Identifier: ISC
 *
 * llm-grep: records about which a model says yes to a question.
 */
#include "bin/grep.h"
#include "bin/tool_daemon.h"
#include "bin/tool_near.h"

#include <stdlib.h>
#include <string.h>

static struct grep_options grep = {.margin = -1};
static int context = -1, before = -1, after = -1;

enum { MAX_CONTEXT = 100000 };

static const struct tool_option options[] = {
    {.letter = 'v',
	.name = "invert-match",
	.help = "select the records to which the answer is not yes",
	.kind = TOOL_FLAG,
	.dest = &grep.invert},
    {.letter = 'c',
	.name = "count",
	.help = "print for each file how many records were selected",
	.kind = TOOL_FLAG,
	.dest = &grep.count},
    {.letter = 'n',
	.name = "line-number",
	.help = "print the number of each record before it",
	.kind = TOOL_FLAG,
	.dest = &grep.number},
    {.letter = 'q',
	.name = "quiet",
	.help = "print nothing; end at the first match",
	.kind = TOOL_FLAG,
	.dest = &grep.quiet},
    {.letter = 'l',
	.name = "files-with-matches",
	.help = "print only the names of files with a match",
	.kind = TOOL_FLAG,
	.dest = &grep.list},
    {.letter = 'A',
	.name = "after-context",
	.metavar = "N",
	.help = "print N records after each match, too",
	.kind = TOOL_INT,
	.min = 0,
	.max = MAX_CONTEXT,
	.dest = &after},
    {.letter = 'B',
	.name = "before-context",
	.metavar = "N",
	.help = "print N records before each match, too",
	.kind = TOOL_INT,
	.min = 0,
	.max = MAX_CONTEXT,
	.dest = &before},
    {.letter = 'C',
	.name = "context",
	.metavar = "N",
	.help = "both",
	.kind = TOOL_INT,
	.min = 0,
	.max = MAX_CONTEXT,
	.dest = &context},
    {.name = "max-count",
	.metavar = "N",
	.help = "of each file select at most N records",
	.kind = TOOL_INT,
	.min = 1,
	.max = 1000000000,
	.dest = &grep.max_count},
    {.name = "margin",
	.metavar = "X",
	.help = "yes is to be more probable than no by X; of an encoder: the least cosine",
	.kind = TOOL_NUMBER,
	.min = 0,
	.max = 1,
	.dest = &grep.margin},
    {.name = "calibrate",
	.help = "divide by what an empty text gets: less of what a model says anyway",
	.kind = TOOL_FLAG,
	.dest = &grep.calibrate},
    {.name = "batch",
	.metavar = "N",
	.help = "texts computed together at most; the result is the same",
	.kind = TOOL_INT,
	.min = 1,
	.max = 64,
	.dest = &grep.max_prompts},
    {.name = "template",
	.metavar = "NAME",
	.help = "the chat template, where not the file's own: see llm-chat(1)",
	.kind = TOOL_STRING,
	.dest = &grep.template},
    {0},
};

/* tool_run_options without the letter that is grep's own: filled in before it is read. */
static struct tool_option run_options[16];

static const struct tool tool = {.name = "llm-grep",
    .operands = "question|phrase [file ...]",
    .purpose = "Print the records to which the answer is yes, or that mean something near to a "
	       "phrase.",
    .options = options,
    .more = {tool_records_options, run_options, tool_daemon_options}};

int
main(int argc, char **argv)
{
	struct tool_records records;
	for (size_t i = 0; i < 15 && tool_run_options[i].name != NULL; i++) {
		run_options[i] = tool_run_options[i];
		if (run_options[i].letter == 'v')
			run_options[i].letter = 0;
	}
	int first = tool_start(&tool, argc, argv);
	if (argv[first] == NULL)
		tool_usage("no question");
	if (argv[first][strspn(argv[first], " \t\n")] == '\0')
		tool_usage("the question is empty");
	grep.before = before >= 0 ? before : context > 0 ? context : 0;
	grep.after = after >= 0 ? after : context > 0 ? context : 0;
	grep.grouped = before >= 0 || after >= 0 || context >= 0;
	bool near = tool_near_is();
	if (near && (grep.template != NULL || grep.calibrate))
		tool_usage("an encoder is asked nothing: %s is for a chat model",
		    grep.template != NULL ? "--template" : "--calibrate");
	tool_records_open(&records, argv + first + 1, TOOL_RECORDS_GO_ON);
	struct grep_output *output = grep_output_new(&grep, &records, argv + first + 1);
	if (near)
		grep_near(argv[first], &records, output, &grep);
	else
		grep_chat(argv[first], &records, output, &grep);
	grep_output_end(output);
	bool any = grep_output_any(output);
	grep_output_free(output);
	int status = tool_records_close(&records);
	tool_exit(any && (grep.quiet || status == 0) ? 0 : status != 0 ? status : TOOL_NO);
}
