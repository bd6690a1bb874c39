/*
 * SPDX-License-Identifier: ISC
 *
 * Records in, one after another, from files or standard input: lines, texts ended by a NUL, or a field of
 * JSON Lines; with their numbers, so that what goes wrong is told by number and the run goes on.  Besides:
 * a run that goes on where an earlier one ended (--resume), and progress on a terminal.
 *
 *	tool_records_open(&r, argv + first, 0);
 *	while ((got = tool_records_next(&rec, &r, n_batch == 0)) != TOOL_RECORDS_END) {
 *		if (got == TOOL_RECORDS_WAIT) ...	(compute and print what there is, then ask again)
 *		else if (rec.bad != NULL) tool_records_bad(&r, &rec, "%s", rec.bad);
 *		else ...				(copy rec.text: it lives until the next call)
 *	}
 *	tool_exit(tool_records_close(&r));
 */
#ifndef LLM_TOOL_RECORDS_H
#define LLM_TOOL_RECORDS_H

#include "bin/tool.h"

#include <stdint.h>

/* What the options set; a program may read it after tool_start. */
struct tool_records_said {
	bool nul;          /* -0 */
	const char *field; /* --field */
	const char *
	    resume; /* --resume: its lines begin with {"n":NUMBER, so the program wants -j too */
};
extern struct tool_records_said tool_records_said;

/* For tool.more: -0 --field, and with --resume. */
extern const struct tool_option tool_records_options[];
extern const struct tool_option tool_records_resume_options[];

enum {
	TOOL_RECORDS_MAX_BYTES = 16 << 20, /* a longer record is bad, and is not kept */
	/* For tool_records_open: a file that cannot be read is told, and the others are read; the status
	 * is that of the last one that could not. */
	TOOL_RECORDS_GO_ON = 1,
};

/* All fields read-only; text and raw live until the next call. */
struct tool_record {
	uintmax_t n;      /* its number in the whole input, from 1 */
	uintmax_t line;   /* and in its file */
	int file;         /* index of its file among the paths */
	const char *text; /* the record, or with --field the field's text */
	size_t n_text;
	const char *
	    raw; /* the record as it stood, its end left out; of one that is too long, nothing */
	size_t n_raw;
	const char *bad;    /* NULL, or why there is no text (then empty) */
	uintmax_t end_byte; /* of all input, where this record ends: for progress */
};

enum tool_records_got {
	TOOL_RECORDS_END,
	TOOL_RECORDS_ONE,
	TOOL_RECORDS_WAIT /* the next is not there yet; only where wait is false */
};

/* All fields private. */
struct tool_records {
	char *const *path; /* NULL-ended */
	unsigned flags;
	int file; /* index of the open one */
	bool open, end_of_file, too_long;
	struct tool_input in;
	char *buf, *text;
	size_t n_buf, cap, from, looked, cap_text;
	uintmax_t n, line, skip;
	uintmax_t end_byte, left_at,
	    n_byte; /* read, before this file, of all inputs (0: not known) */
	uintmax_t n_bad;
	int status;
	bool draws; /* progress is shown */
	double begin,
	    drawn; /* seconds (libcore/clock.h): of the run, of the last progress shown */
};

/*
 * tool_records_open - records of the files that paths (NULL-ended, as operands are) name, one file after
 * another, "-" and none at all being standard input.  paths must outlive *r.
 * With --resume OUT: standard output is from now on the end of OUT, and as many records of the input as
 * lines stand there are left out; a last line without its end is cut away.  Dies: 65 where OUT is not
 * the output of such a run, 75 where another one is writing it.
 */
void tool_records_open(struct tool_records *r, char *const *paths, unsigned flags);

/*
 * tool_records_next - the next record.  With wait false it returns TOOL_RECORDS_WAIT rather than wait for a
 * pipe or a terminal.  Memory: the longest record, TOOL_RECORDS_MAX_BYTES at most.
 */
enum tool_records_got tool_records_next(
    struct tool_record *out, struct tool_records *r, bool wait);

/* Index of the file that the next record comes from, if it has one more. */
int tool_records_file(const struct tool_records *r);
/* No more records of that file: the next one is the first of the file after it. */
void tool_records_leave(struct tool_records *r);

/* The record's file as messages name it. */
char *tool_records_name(
    char buf[static TOOL_NAME], const struct tool_records *r, const struct tool_record *record);

/*
 * tool_records_bad - "tool: NAME, record N: message" to stderr; tool_records_close returns 65.
 * For a record told of later than it was read: the same by its number (and line, file) alone.
 */
void tool_records_bad(struct tool_records *r, const struct tool_record *record, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));

/*
 * tool_records_progress - n records, up to byte end_byte of the input, are done: shown twice a second, as
 * records, records a second and time left, where stderr is a terminal and stdout is not.
 */
void tool_records_progress(struct tool_records *r, uintmax_t n, uintmax_t end_byte);

/* Takes the progress shown away, before something else is written to stderr. */
void tool_records_clear(struct tool_records *r);

/* The same at the end; returns the exit status: 0, 65 after a bad record, 66 or 74 (GO_ON). */
int tool_records_close(struct tool_records *r);

/*
 * tool_json_field - the text of the string that stands by this name in the object json[0..n), which is
 * checked whole (RFC 8259; a name that comes twice means its last value), into text (n bytes of room).
 * Returns NULL, or why there is none.
 */
const char *tool_json_field(
    char *text, size_t *n_text, const char *name, const char *json, size_t n);

#endif
