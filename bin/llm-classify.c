/*
 * SPDX-License-Identifier: ISC
 *
 * llm-classify: records in, for each the label that fits best and its probability among the labels.
 */
#include "bin/classify.h"
#include "bin/tool_daemon.h"
#include "bin/tool_near.h"
#include "libcore/fmath.h"

#include <stdlib.h>
#include <string.h>

static const char *list, *label_file, *example_file, *prompt, *template;
static double margin;
static bool json, calibrate;
static int max_prompts;

static const struct tool_option options[] = {
    {.letter = 'l',
	.name = "labels",
	.metavar = "A,B,...",
	.help = "the labels",
	.kind = TOOL_STRING,
	.dest = &list},
    {.letter = 'L',
	.name = "label-file",
	.metavar = "FILE",
	.help = "the labels, one a line: label, tab, what it means",
	.kind = TOOL_STRING,
	.dest = &label_file},
    {.letter = 'e',
	.name = "examples",
	.metavar = "FILE",
	.help = "texts whose label is known, one a line: label, tab, text",
	.kind = TOOL_STRING,
	.dest = &example_file},
    {.letter = 'p',
	.name = "prompt",
	.metavar = "TEXT",
	.help = "what a chat model is asked instead of 'Which label fits the text?'",
	.kind = TOOL_STRING,
	.dest = &prompt},
    {.name = "margin",
	.metavar = "X",
	.help = "print 'unsure' where the best two differ by less than X",
	.kind = TOOL_NUMBER,
	.min = 0,
	.max = 1,
	.dest = &margin},
    {.letter = 'j',
	.name = "json",
	.help = "print JSON Lines, with all probabilities",
	.kind = TOOL_FLAG,
	.dest = &json},
    {.name = "calibrate",
	.help = "divide by what an empty text gets: less of what a model says anyway",
	.kind = TOOL_FLAG,
	.dest = &calibrate},
    {.name = "batch",
	.metavar = "N",
	.help = "texts computed together at most; the result is the same",
	.kind = TOOL_INT,
	.min = 1,
	.max = 64,
	.dest = &max_prompts},
    {.name = "template",
	.metavar = "NAME",
	.help = "the chat template, where not the file's own: see llm-chat(1)",
	.kind = TOOL_STRING,
	.dest = &template},
    {0},
};

static const struct tool tool = {.name = "llm-classify",
    .operands = "[file ...]",
    .purpose = "Print for each record the label that fits it best, and its probability.",
    .options = options,
    .more = {tool_records_resume_options, tool_run_options, tool_daemon_options}};

static struct classify classify;
static struct tool_records records;
static bool near; /* by an encoder */

/* The labels in the order of their probability: the best, and the one after it. */
static void
best_two(int best[2], const double *p)
{
	best[0] = best[1] = -1;
	for (int i = 0; i < classify.n_label; i++) {
		if (best[0] < 0 || p[i] > p[best[0]]) {
			best[1] = best[0];
			best[0] = i;
		} else if (best[1] < 0 || p[i] > p[best[1]]) {
			best[1] = i;
		}
	}
}

static void
print_json(uintmax_t n, const char *label, const double *value, double p)
{
	tool_printf("{\"n\":%ju,\"label\":", n);
	tool_json(label, strlen(label));
	tool_printf(",\"p\":%.9g,\"labels\":{", p);
	for (int i = 0; i < classify.n_label; i++) {
		tool_printf("%s", i > 0 ? "," : "");
		tool_json(classify.label[i], strlen(classify.label[i]));
		tool_printf(":%.9g", value[i]);
	}
	if (near)
		tool_printf("},\"cosine\":%.9g}\n", value[classify.n_label]);
	else
		tool_printf("},\"mass\":%.9g}\n", llm_exp(value[classify.n_label]));
}

/* A bad record has its line too, so that lines pair up. */
static void
print_bad(const struct tool_record *rec)
{
	tool_records_bad(&records, rec, "%s", rec->bad);
	if (json) {
		tool_printf("{\"n\":%ju,\"error\":", rec->n);
		tool_json(rec->bad, strlen(rec->bad));
		tool_printf("}");
	}
	tool_printf("\n");
}

static void
on_record(void *context, const struct tool_record *rec, const double *value)
{
	int best[2];
	(void)context;
	if (value == NULL) {
		print_bad(rec);
	} else {
		best_two(best, value);
		bool unsure = value[best[0]] - value[best[1]] < margin;
		const char *label = unsure ? "unsure" : classify.label[best[0]];
		if (json) {
			print_json(rec->n, label, value, value[best[0]]);
		} else {
			tool_tsv(label, strlen(label));
			tool_printf("\t%.9g\n", value[best[0]]);
		}
	}
	tool_records_progress(&records, rec->n, rec->end_byte);
}

int
main(int argc, char **argv)
{
	int first = tool_start(&tool, argc, argv);
	if ((list == NULL) == (label_file == NULL))
		tool_usage("%s", list == NULL ? "no labels: -l a,b,c or -L FILE says which"
					      : "-l and -L exclude each other");
	if (tool_records_said.resume != NULL && !json)
		tool_usage("--resume goes on with JSON Lines: give -j too");
	classify_read(&classify, list, label_file, example_file);
	for (int i = 0; margin > 0 && i < classify.n_label; i++)
		if (strcmp(classify.label[i], "unsure") == 0)
			tool_usage("--margin prints 'unsure', which is a label here");
	tool_records_open(&records, argv + first, 0);
	struct classify_run_params params = {.prompt = prompt,
	    .template = template,
	    .max_prompts = max_prompts,
	    .calibrate = calibrate,
	    .emit = on_record};
	near = tool_near_is();
	if (near && (prompt != NULL || template != NULL || calibrate))
		tool_usage("an encoder is asked nothing: %s is for a chat model",
		    prompt != NULL     ? "-p"
		    : template != NULL ? "--template"
				       : "--calibrate");
	if (near)
		classify_near(&classify, &records, &params);
	else
		classify_chat(&classify, &records, &params);
	classify_free(&classify);
	tool_exit(tool_records_close(&records));
}
