/*
 * SPDX-License-Identifier: ISC
 *
 * Matches, their neighbours, counts and names, as grep prints them; see grep.h.
 */
#include "bin/grep.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A record that may become what stands before a match. */
struct line {
	char *raw;
	size_t n;
	uintmax_t line;
};

/* No line follows it, not even a file's first: what another file printed stands apart. */
#define NONE_PRINTED UINTMAX_MAX

struct grep_output {
	const struct grep_options *options;
	struct tool_records *records;
	char *const *paths;
	bool names;        /* each line begins with its file's */
	struct line *ring; /* [before] the latest that were not printed */
	int n_ring, at;
	int file;          /* of the record at hand; those before are done */
	uintmax_t n_match; /* in this file */
	uintmax_t printed; /* line of this file that was printed last; NONE_PRINTED: none */
	int after;         /* records still to be printed behind a match */
	bool any, group;   /* something was selected; was printed */
	bool done;         /* nothing more of this file */
};

struct grep_output *
grep_output_new(const struct grep_options *options, struct tool_records *r, char *const *paths)
{
	struct grep_output *o = calloc(1, sizeof *o);
	if (o == NULL ||
	    (o->ring = calloc((size_t)options->before + 1, sizeof *o->ring)) == NULL)
		tool_fail(LLM_ENOMEM, "out of memory: -B %d", options->before);
	o->options = options;
	o->records = r;
	o->paths = paths;
	o->printed = NONE_PRINTED;
	o->names = paths[0] != NULL && paths[1] != NULL;
	return o;
}

/* Forgets the lines that could have become context. */
static void
ring_clear(struct grep_output *o)
{
	for (int i = 0; i < o->n_ring; i++)
		free(o->ring[(o->at + i) % o->options->before].raw);
	o->n_ring = o->at = 0;
}

void
grep_output_free(struct grep_output *o)
{
	if (o == NULL)
		return;
	ring_clear(o);
	free(o->ring);
	free(o);
}

static void
ring_add(struct grep_output *o, const struct tool_record *rec)
{
	int cap = o->options->before;
	if (cap == 0)
		return;
	if (o->n_ring == cap) {
		free(o->ring[o->at].raw);
		o->at = (o->at + 1) % cap;
		o->n_ring--;
	}
	struct line *l = &o->ring[(o->at + o->n_ring++) % cap];
	*l = (struct line){.raw = malloc(rec->n_raw + 1), .n = rec->n_raw, .line = rec->line};
	if (l->raw == NULL)
		tool_fail(LLM_ENOMEM, "out of memory: a record of %zu bytes", rec->n_raw);
	if (rec->n_raw > 0)
		memcpy(l->raw, rec->raw, rec->n_raw);
}

/* A file's name as grep has it. */
static const char *
name_of(const struct grep_output *o, int file)
{
	const char *path = o->paths[0] == NULL ? "-" : o->paths[file];
	return strcmp(path, "-") == 0 ? "(standard input)" : path;
}

/* sep: ':' of a match, '-' of context. */
static void
line_print(struct grep_output *o, const char *raw, size_t n, uintmax_t line, char sep)
{
	const struct grep_options *opt = o->options;
	if (o->group && opt->grouped && line != o->printed + 1)
		tool_printf("--\n");
	if (o->names)
		tool_printf("%s%c", name_of(o, o->file), sep);
	if (opt->number)
		tool_printf("%ju%c", line, sep);
	tool_write(raw, n);
	tool_write(tool_records_said.nul ? "" : "\n", 1);
	o->printed = line;
	o->group = true;
}

static void
match_print(struct grep_output *o, const struct tool_record *rec)
{
	for (; o->n_ring > 0; o->n_ring--) {
		struct line *l = &o->ring[o->at];
		line_print(o, l->raw, l->n, l->line, '-');
		free(l->raw);
		o->at = (o->at + 1) % o->options->before;
	}
	line_print(o, rec->raw, rec->n_raw, rec->line, ':');
	o->after = o->options->after;
}

/* The end of the file at hand: its count, and the next one begins. */
static void
file_end(struct grep_output *o)
{
	const char *path = o->paths[0] == NULL ? "-" : o->paths[o->file];
	bool there = strcmp(path, "-") == 0 || access(path, R_OK) == 0;
	if (o->options->count && !o->options->quiet && !o->options->list && there) {
		if (o->names)
			tool_printf("%s:", name_of(o, o->file));
		tool_printf("%ju\n", o->n_match);
	}
	ring_clear(o);
	o->n_match = 0;
	o->printed = NONE_PRINTED;
	o->after = 0;
	o->done = false;
	o->file++;
}

/* A record that was selected. */
static void
select_record(struct grep_output *o, const struct tool_record *rec)
{
	const struct grep_options *opt = o->options;
	o->any = true;
	o->n_match++;
	if (opt->list && !opt->quiet)
		tool_printf("%s%c", name_of(o, o->file), '\n');
	else if (!opt->quiet && !opt->count)
		match_print(o, rec);
	bool full = opt->max_count > 0 && o->n_match >= (uintmax_t)opt->max_count;
	o->done = opt->list || opt->quiet || (full && (o->after == 0 || opt->count));
}

void
grep_output_record(struct grep_output *o, const struct tool_record *rec, bool match)
{
	const struct grep_options *opt = o->options;
	while (o->file < rec->file)
		file_end(o);
	if (o->done || (opt->quiet && o->any))
		return;
	if (rec->bad != NULL)
		tool_records_bad(o->records, rec, "%s", rec->bad);
	bool full = opt->max_count > 0 && o->n_match >= (uintmax_t)opt->max_count;
	if (rec->bad == NULL && match != opt->invert && !full) {
		select_record(o, rec);
	} else if (o->after > 0) {
		line_print(o, rec->raw, rec->n_raw, rec->line, '-');
		o->done = --o->after == 0 && full;
	} else {
		ring_add(o, rec);
	}
}

void
grep_output_end(struct grep_output *o)
{
	int n = 0;
	while (o->paths[n] != NULL)
		n++;
	for (n = n == 0 ? 1 : n; o->file < n && !(o->options->quiet && o->any);)
		file_end(o);
}

bool
grep_output_any(const struct grep_output *o)
{
	return o->any;
}

bool
grep_output_go_on(struct grep_output *o)
{
	if (o->done && tool_records_file(o->records) == o->file)
		tool_records_leave(o->records);
	return !(o->options->quiet && o->any);
}
