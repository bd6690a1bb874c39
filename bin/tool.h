/*
 * SPDX-License-Identifier: ISC
 *
 * What every program shares: the option table, messages, exit statuses, standard streams, the model
 * that -m means.  Only bin/ prints, exits, or reads argv and the environment.
 */
#ifndef LLM_TOOL_H
#define LLM_TOOL_H

#include "libcore/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Exit statuses that are no errors: a true "no", and an answer cut by a limit. */
enum { TOOL_NO = 1, TOOL_CUT = 2 };

enum tool_kind {
	TOOL_FLAG,   /* bool *: set true */
	TOOL_INT,    /* int *: within [min, max] */
	TOOL_NUMBER, /* double *: finite, within [min, max] */
	TOOL_STRING, /* const char ** */
	TOOL_EACH, /* int (*)(const char *arg, void *context): called for each use; a negative return is
	                a usage error that the callback has reported with tool_usage or tool_die itself */
	TOOL_OPTIONAL, /* const char **: the argument may be absent ("" then); long: --name[=ARG];
	                  short: -fARG */
};

/* One row; a table ends with a row of neither letter nor name.  -h and -V are in every program. */
struct tool_option {
	char letter;         /* 0: long only */
	const char *name;    /* long name without dashes; NULL: letter only */
	const char *metavar; /* NULL for flags */
	const char *help;    /* one line */
	enum tool_kind kind;
	double min, max; /* of INT and NUMBER, inclusive */
	void *dest;
	int (*each)(const char *arg, void *context); /* of EACH; dest is its context */
};

struct tool {
	const char *name;                  /* "llm-tokenize" */
	const char *operands;              /* "[file]" */
	const char *purpose;               /* one line */
	const struct tool_option *options; /* the program's own */
	const struct tool_option
	    *more[4]; /* shared tables besides (running, sampling); NULL-ended */
};

/*
 * tool_start - first call of main: names the program, sets signals, makes descriptors 0-2 sane,
 * parses options (getopt_long semantics, clusters, --, --name=value), answers -h and -V itself.
 * Returns the index of the first operand.  Does not return on a usage error (64).
 */
int tool_start(const struct tool *t, int argc, char **argv);

/*
 * Strict numbers for TOOL_EACH and operands: the whole of s, decimal, in [min, max]; no white space, no
 * "inf", "nan" or hexadecimal.  False where it is not.
 */
bool tool_int(int *out, const char *s, int min, int max);
bool tool_number(double *out, const char *s, double min, double max);

/* "tool: message" to stderr, one line of at most 300 bytes, and exit with the error's status. */
_Noreturn void tool_die(const struct llm_err *err);
_Noreturn void tool_fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A usage error: the message, then "try 'NAME -h'" on the same line; exit 64. */
_Noreturn void tool_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* "tool: message" to stderr, and go on. */
void tool_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Dies by a usage error when there are operands past max. */
void tool_operands(int argc, int optind_, int max);

/* Bytes to stdout; a failure ends the program (74), a reader that went away ends it by SIGPIPE. */
void tool_write(const void *bytes, size_t n);
void tool_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void tool_flush(void);
/* Flushes and closes stdout, and checks: who reads it has all, while the program still puts things away. */
void tool_close(void);
/* The same, and exits with status. */
_Noreturn void tool_exit(int status);

/*
 * tool_read_all - the whole of a file, or of stdin for NULL or "-".  *out is the caller's to free,
 * with a NUL after the n bytes.  Dies: 66 missing or a directory, 74 read error, 71 memory.
 */
void tool_read_all(char **out, size_t *n, const char *path);

enum { TOOL_NAME = 120 };
/* A file as messages name it: printable, of a long path its end; "standard input" for NULL or "-". */
char *tool_name_of(char buf[static TOOL_NAME], const char *path);

/* Opens a file for streaming, or stdin for NULL or "-"; name for messages. */
struct tool_input {
	int fd;
	char name[TOOL_NAME];
};
void tool_open(struct tool_input *in, const char *path);
/* read(2) that retries and dies (74); 0 at the end. */
size_t tool_read(const struct tool_input *in, void *buf, size_t n);

/*
 * tool_model - the path of the model that -m (NULL where not given) means: with a '/' a path,
 * otherwise a name in the store; else $LLM_MODEL, else the store's default.  Dies with 66 and the
 * next step when there is none.  The result is the caller's to free.
 */
char *tool_model(const char *m);
/* The same for a program that wants an encoder: $LLM_ENCODER, the link default-encoder. */
char *tool_encoder(const char *m);
/*
 * tool_model_find - the path that tool_model gives, for who goes on where there is none: LLM_ENOINPUT with the same
 * message, LLM_ENOMEM.
 */
int tool_model_find(char **out, const char *m, struct llm_err *err);
/* What is named where a file shrinks while its header is read: a path, or NULL for none any more. */
void tool_opening(const char *path);
/* Whether a file lies in one of the stores that names are looked up in. */
bool tool_model_stored(const char *path);
/* Watch a mapping: a SIGBUS inside it ends the program with 74 and one line that names the file. */
struct llm_gguf;
void tool_guard(const struct llm_gguf *g);
/* Watch no longer: before the mapping is closed. */
void tool_unguard(const struct llm_gguf *g);
/* The same for a mapping that is no model, until it is closed. */
struct llm_map;
void tool_guard_map(const struct llm_map *m);
void tool_unguard_map(const struct llm_map *m);

/* JSON: a string with its quotes; bytes that are no UTF-8 become U+FFFD (returns false then). */
bool tool_json(const char *bytes, size_t n);
/* "key":"text", and where the bytes are no UTF-8 also ,"bytes":[..]. */
void tool_json_text(const char *key, const char *bytes, size_t n);
/* TSV: text with \t \n \r \\ escaped and bytes that are no UTF-8 as \xHH. */
void tool_tsv(const char *bytes, size_t n);

#endif
