/*
 * SPDX-License-Identifier: ISC
 *
 * Options by one table: getopt_long does the walking, the rows say what an argument may be and where
 * it goes, and the usage text is printed from the same rows.
 */
#include "bin/tool.h"
#include "bin/tool_private.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_ROWS = 64,
	FIRST_LONG = 256, /* getopt's value of row i is FIRST_LONG + i: no letter has it */
	HELP_COLUMN = 26,
};

static const struct tool_option common[] = {
    {'h', "help", NULL, "print this and exit", TOOL_FLAG, 0, 0, NULL, NULL},
    {'V', "version", NULL, "print the version and exit", TOOL_FLAG, 0, 0, NULL, NULL},
    {0},
};

/* The rows of all tables of a program, and what getopt wants of them. */
struct rows {
	const struct tool_option *row[MAX_ROWS];
	int n;
	struct option longs[MAX_ROWS + 1];
	char letters[3 * MAX_ROWS + 2];
};

static void
rows_add(struct rows *r, const struct tool_option *table)
{
	for (; table != NULL && (table->letter != 0 || table->name != NULL); table++) {
		if (r->n == MAX_ROWS)
			abort();
		r->row[r->n++] = table;
	}
}

static bool
takes_argument(const struct tool_option *o)
{
	return o->kind != TOOL_FLAG;
}

static void
rows_collect(struct rows *r, const struct tool *t)
{
	memset(r, 0, sizeof *r);
	rows_add(r, t->options);
	for (size_t i = 0; i < sizeof t->more / sizeof t->more[0] && t->more[i] != NULL; i++)
		rows_add(r, t->more[i]);
	rows_add(r, common);
	char *p = r->letters;
	struct option *l = r->longs;
	*p++ = ':'; /* a missing argument is told from an unknown letter */
	for (int i = 0; i < r->n; i++) {
		const struct tool_option *o = r->row[i];
		bool may = o->kind == TOOL_OPTIONAL;
		if (o->letter != 0) {
			*p++ = o->letter;
			for (int colons = may ? 2 : takes_argument(o); colons > 0; colons--)
				*p++ = ':';
		}
		if (o->name != NULL)
			*l++ = (struct option){.name = o->name,
			    .has_arg = may                 ? optional_argument
				       : takes_argument(o) ? required_argument
							   : no_argument,
			    .val = FIRST_LONG + i};
	}
}

/* The row of getopt's value: a letter, or FIRST_LONG + i. */
static const struct tool_option *
rows_find(const struct rows *r, int value)
{
	if (value >= FIRST_LONG)
		return value - FIRST_LONG < r->n ? r->row[value - FIRST_LONG] : NULL;
	for (int i = 0; i < r->n; i++)
		if (value != 0 && r->row[i]->letter == value)
			return r->row[i];
	return NULL;
}

/* "-n" or "--name", as messages call a row. */
static const char *
spelled(char buf[static 80], const struct tool_option *o)
{
	if (o->name != NULL)
		snprintf(buf, 80, "--%s", o->name);
	else
		snprintf(buf, 80, "-%c", o->letter);
	return buf;
}

bool
tool_int(int *out, const char *s, int min, int max)
{
	const char *digits = s + (s[0] == '-');
	if (digits[0] < '0' || digits[0] > '9')
		return false;
	char *end;
	errno = 0;
	long v = strtol(s, &end, 10);
	if (*end != '\0' || errno != 0 || v < min || v > max)
		return false;
	*out = (int)v;
	return true;
}

bool
tool_number(double *out, const char *s, double min, double max)
{
	if (s[0] == '\0' || s[strspn(s, "0123456789.eE+-")] != '\0')
		return false;
	char *end;
	double v = strtod(s, &end);
	if (end == s || *end != '\0' || !isfinite(v) || v < min || v > max)
		return false;
	*out = v;
	return true;
}

/* Puts an argument where its row says. */
static void
row_take(const struct tool_option *o, const char *arg)
{
	char name[80], found[80];
	if (arg != NULL)
		llm_err_quote(found, sizeof found, arg, strlen(arg));
	switch (o->kind) {
	case TOOL_FLAG:
		*(bool *)o->dest = true;
		break;
	case TOOL_INT:
		if (!tool_int(o->dest, arg, (int)o->min, (int)o->max))
			tool_usage("%s %s: expected a whole number from %.0f to %.0f",
			    spelled(name, o), found, o->min, o->max);
		break;
	case TOOL_NUMBER:
		if (!tool_number(o->dest, arg, o->min, o->max))
			tool_usage("%s %s: expected a number from %g to %g", spelled(name, o),
			    found, o->min, o->max);
		break;
	case TOOL_STRING:
		*(const char **)o->dest = arg;
		break;
	case TOOL_OPTIONAL:
		*(const char **)o->dest = arg != NULL ? arg : "";
		break;
	case TOOL_EACH:
		if (o->each(arg, o->dest) < 0)
			tool_usage("%s %s: expected %s", spelled(name, o), found, o->metavar);
		break;
	}
}

/* One row of the usage text; help starts in its column, or on a line of its own. */
static void
row_print(const struct tool_option *o)
{
	char left[120];
	int n = 0;
	n += o->letter != 0 ? snprintf(left, sizeof left, "  -%c", o->letter)
			    : snprintf(left, sizeof left, "    ");
	if (o->name != NULL)
		n += snprintf(left + n, sizeof left - (size_t)n, "%s--%s",
		    o->letter != 0 ? ", " : "  ", o->name);
	if (o->metavar != NULL) {
		const char *form =
		    o->kind == TOOL_OPTIONAL ? (o->name != NULL ? "[=%s]" : "[%s]") : " %s";
		n += snprintf(left + n, sizeof left - (size_t)n, form, o->metavar);
	}
	if (n + 2 > HELP_COLUMN)
		tool_printf("%s\n%*s%s\n", left, HELP_COLUMN, "", o->help);
	else
		tool_printf("%-*s%s\n", HELP_COLUMN, left, o->help);
}

static void
usage_print(const struct tool *t, const struct rows *r)
{
	tool_printf("usage: %s [options]%s%s\n%s\n\n", t->name,
	    t->operands != NULL && t->operands[0] != '\0' ? " " : "",
	    t->operands != NULL ? t->operands : "", t->purpose);
	for (int i = 0; i < r->n; i++)
		row_print(r->row[i]);
}

/* What getopt refused, in our words. */
_Noreturn static void
refuse(const struct rows *r, int value, char *const *argv)
{
	char name[80], found[80];
	const struct tool_option *o = rows_find(r, optopt);
	const char *arg = argv[optind - 1];
	llm_err_quote(found, sizeof found, arg, strcspn(arg, "="));
	if (value == ':' && o != NULL)
		tool_usage("%s needs an argument: %s", spelled(name, o), o->metavar);
	if (o != NULL && optopt >= FIRST_LONG)
		tool_usage("%s takes no argument", spelled(name, o));
	if (optopt != 0 && optopt < FIRST_LONG) {
		char letter = (char)optopt;
		llm_err_quote(found, sizeof found, &letter, 1);
		tool_usage("no option -%s", found);
	}
	tool_usage("no option %s, or more than one that begins so", found);
}

int
tool_start(const struct tool *t, int argc, char **argv)
{
	static struct rows r;
	static char *no_args[] = {"llm", NULL};
	tool_name_set(t->name);
	tool_streams();
	rows_collect(&r, t);
	if (argc < 1) { /* execve may pass no name at all */
		argc = 1;
		argv = no_args;
	}
	opterr = 0;
	for (int value; (value = getopt_long(argc, argv, r.letters, r.longs, NULL)) != -1;) {
		const struct tool_option *o = rows_find(&r, value);
		if (value == '?' || value == ':' || o == NULL)
			refuse(&r, value, argv);
		if (o->dest == NULL && o->kind == TOOL_FLAG) {
			tool_stdout_check();
			if (o->letter == 'h')
				usage_print(t, &r);
			else
				tool_printf("%s %s\n", t->name, LLM_VERSION);
			tool_exit(0);
		}
		row_take(o, optarg);
	}
	tool_stdout_check();
	return optind;
}

void
tool_operands(int argc, int optind_, int max)
{
	if (argc - optind_ > max)
		tool_usage("%d operands, expected at most %d", argc - optind_, max);
}
