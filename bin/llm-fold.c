/*
 * SPDX-License-Identifier: ISC
 *
 * llm-fold: a log in, the templates of its lines and their counts out; or its lines, with the numbers
 * of their templates or only the rare ones; or, of a log that grows, the lines of a new shape.
 */
#include "bin/tool.h"
#include "bin/tool_follow.h"
#include "bin/tool_spool.h"
#include "tokenize/fold.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool examples, json, all, follow;
static int rare;

static const struct tool_option options[] = {
    {.letter = 'e',
	.name = "example",
	.help = "add the first line of each template",
	.kind = TOOL_FLAG,
	.dest = &examples},
    {.letter = 'r',
	.name = "rare",
	.metavar = "N",
	.help = "print the lines of templates seen at most N times",
	.kind = TOOL_INT,
	.min = 1,
	.max = INT_MAX,
	.dest = &rare},
    {.letter = 'j',
	.name = "json",
	.help = "print JSON Lines",
	.kind = TOOL_FLAG,
	.dest = &json},
    {.letter = 'a',
	.name = "all",
	.help = "print each line with the number of its template",
	.kind = TOOL_FLAG,
	.dest = &all},
    {.letter = 'f',
	.name = "follow",
	.help = "follow one file as it grows, and print lines of a new shape",
	.kind = TOOL_FLAG,
	.dest = &follow},
    {0},
};

static const struct tool tool = {.name = "llm-fold",
    .operands = "[file ...]",
    .purpose = "Fold a log into templates and counts.",
    .options = options};

enum {
	CHUNK = 1 << 18,
	KEPT = 1 << 16,       /* of a line that ends in another chunk; fold looks at less */
	KEPT_FOLLOW = 1 << 20 /* the same, where the line may be printed */
};

/* Bytes to lines: what a chunk leaves unfinished is kept, its first `max` bytes. */
struct lines {
	char *kept;
	size_t n, max;
	bool open; /* a line has begun */
	bool cut;  /* and is longer than max */
	void (*take)(const char *line, size_t n, bool cut);
};

static struct llm_fold *fold;
static struct llm_err err;
static struct tool_spool shapes = TOOL_SPOOL_EMPTY; /* of each line, the key of its shape */
static struct tool_spool copy = TOOL_SPOOL_EMPTY;   /* of what can be read only once */

static void
lines_keep(struct lines *l, const char *s, size_t n)
{
	size_t room = l->max - l->n, some = n < room ? n : room;
	memcpy(l->kept + l->n, s, some);
	l->n += some;
	l->open = true;
	l->cut |= some < n;
}

/* The kept line is whole. */
static void
lines_end(struct lines *l)
{
	size_t n = l->n;
	if (!l->open)
		return;
	if (!l->cut && n > 0 && l->kept[n - 1] == '\r')
		n--;
	l->take(l->kept, n, l->cut);
	l->n = 0;
	l->open = l->cut = false;
}

/* A last line without a newline is one as it is, its carriage return too. */
static void
lines_finish(struct lines *l)
{
	if (l->open)
		l->take(l->kept, l->n, l->cut);
	l->n = 0;
	l->open = l->cut = false;
}

static void
lines_feed(struct lines *l, const char *s, size_t n)
{
	for (const char *end = s + n, *newline; s < end; s = newline + 1) {
		newline = memchr(s, '\n', (size_t)(end - s));
		if (newline == NULL) {
			lines_keep(l, s, (size_t)(end - s));
			return;
		}
		if (l->open) {
			lines_keep(l, s, (size_t)(newline - s));
			lines_end(l);
			continue;
		}
		size_t length = (size_t)(newline - s);
		l->take(s, length - (length > 0 && s[length - 1] == '\r'), false);
	}
}

static int
add(uint32_t *shape, const char *line, size_t n)
{
	int fresh = llm_fold_add(fold, shape, line, n, &err);
	if (fresh < 0)
		tool_die(&err);
	return fresh;
}

static void
take_line(const char *line, size_t n, bool cut)
{
	uint32_t shape;
	(void)cut;
	add(&shape, line, n);
	if (all || rare > 0)
		tool_spool_put(&shapes, &shape, sizeof shape);
}

/* Following: a template has the number that it had when its first line came. */
static void
take_new(const char *line, size_t n, bool cut)
{
	static uint64_t number;
	uint32_t shape;
	if (add(&shape, line, n) == 0)
		return;
	tool_printf("%" PRIu64 "\t", ++number);
	tool_write(line, n);
	tool_write("\n", 1);
	if (cut)
		tool_note(
		    "line %" PRIu64 " of a new shape is longer than 1 MiB, and cut", number);
}

/* An input, and what of it a second reading reads. */
struct source {
	struct tool_input in;
	uint64_t from, n; /* of a regular file */
	bool copied;      /* in the copy instead */
};

static void
source_read(struct source *s, struct lines *l, char *buf)
{
	struct stat st;
	off_t at = lseek(s->in.fd, 0, SEEK_CUR);
	bool again = all || rare > 0;
	s->copied = at < 0 || fstat(s->in.fd, &st) != 0 || !S_ISREG(st.st_mode);
	s->from = at > 0 ? (uint64_t)at : 0;
	for (size_t got; (got = tool_read(&s->in, buf, CHUNK)) > 0;) {
		lines_feed(l, buf, got);
		s->n += got;
		if (again && s->copied)
			tool_spool_put(&copy, buf, got);
	}
	lines_finish(l);
}

/* Up to n bytes of the second reading. */
static size_t
source_again(struct source *s, char *buf, size_t n)
{
	if ((uint64_t)n > s->n)
		n = (size_t)s->n;
	size_t got = 0;
	if (n > 0)
		got = s->copied ? tool_spool_get(&copy, buf, n) : tool_read(&s->in, buf, n);
	if (got == 0 && s->n > 0)
		tool_fail(LLM_EIO, "%s: shorter than when it was read first", s->in.name);
	s->n -= got;
	return got;
}

/* Printing a line of the second reading: its number, and whether at all. */
static bool
line_begin(void)
{
	uint32_t shape;
	if (tool_spool_get(&shapes, &shape, sizeof shape) < sizeof shape)
		tool_fail(LLM_EIO, "the input has more lines than when it was read first");
	if (all)
		tool_printf("%" PRIu32 "\t", llm_fold_number(fold, shape));
	return all || llm_fold_count(fold, shape) <= (uint64_t)rare;
}

/* Prints the lines of a source that are asked for, of any length. */
static void
source_print(struct source *s, char *buf)
{
	bool open = false, wanted = false,
	     held = false; /* held: a return, a newline may follow */
	for (size_t got; (got = source_again(s, buf, CHUNK)) > 0;) {
		for (const char *p = buf, *end = buf + got, *e; p < end; p = e) {
			const char *newline = memchr(p, '\n', (size_t)(end - p));
			e = newline != NULL ? newline + 1 : end;
			if (!open)
				wanted = line_begin();
			open = newline == NULL;
			size_t n = (size_t)(e - p) - !open;
			if (wanted && held && n > 0)
				tool_write("\r", 1);
			if (n > 0 || !open)
				held = n > 0 && p[n - 1] == '\r';
			if (wanted)
				tool_write(p, n - held);
			if (!open) {
				held = false;
				if (wanted)
					tool_write("\n", 1);
			}
		}
	}
	if (open && wanted)
		tool_write(held ? "\r\n" : "\n", 1 + (size_t)held);
}

static void
print_lines(struct source *source, int n, char *const *path, char *buf)
{
	tool_spool_rewind(&shapes);
	tool_spool_rewind(&copy);
	for (int i = 0; i < n; i++) {
		struct source *s = &source[i];
		if (!s->copied) {
			tool_open(&s->in, path[i]);
			if (lseek(s->in.fd, (off_t)s->from, SEEK_SET) < 0)
				tool_fail(LLM_EIO, "%s: %s", s->in.name, strerror(errno));
		}
		source_print(s, buf);
		if (!s->copied && s->in.fd != STDIN_FILENO)
			close(s->in.fd);
	}
}

static void
print_templates(int n)
{
	struct llm_fold_template t;
	for (int i = 0; i < n; i++) {
		if (llm_fold_nth(&t, fold, i, &err) < 0)
			tool_die(&err);
		if (json) {
			tool_printf("{\"n\":%" PRIu32 ",\"count\":%" PRIu64 ",", t.n, t.count);
			tool_json_text("template", t.text, t.n_text);
			tool_printf(",\"example\":");
			tool_json(t.example, t.n_example);
			tool_printf("}\n");
			continue;
		}
		tool_printf("%" PRIu64 "\t", t.count);
		tool_tsv(t.text, t.n_text);
		if (examples) {
			tool_write("\t", 1);
			tool_tsv(t.example, t.n_example);
		}
		tool_write("\n", 1);
	}
}

static void
run_follow(struct lines *l, char *buf, const char *path)
{
	struct tool_follow w;
	tool_follow_open(&w, path);
	l->take = take_new;
	l->max = KEPT_FOLLOW;
	for (size_t got; (got = tool_follow_read(&w, buf, CHUNK, tool_flush)) > 0;) {
		if (w.anew)
			lines_finish(l);
		lines_feed(l, buf, got);
	}
	lines_finish(l);
}

static void
run_fold(struct lines *l, char *buf, int n, char *const *path)
{
	struct source *source = calloc((size_t)n, sizeof *source);
	if (source == NULL)
		tool_fail(LLM_ENOMEM, "out of memory");
	for (int i = 0; i < n; i++) {
		tool_open(&source[i].in, path[i]);
		source_read(&source[i], l, buf);
		if (source[i].in.fd != STDIN_FILENO)
			close(source[i].in.fd);
	}
	int n_template = llm_fold_settle(fold, &err);
	if (n_template < 0)
		tool_die(&err);
	if (all || rare > 0)
		print_lines(source, n, path, buf);
	else
		print_templates(n_template);
	free(source);
}

int
main(int argc, char **argv)
{
	static char std[] = "-";
	char *standard[] = {std};
	int first = tool_start(&tool, argc, argv), n = argc - first;
	if (all + follow + (rare > 0) + (examples || json) > 1)
		tool_usage("-a, -f, -r and -e or -j exclude each other");
	if (follow)
		tool_operands(argc, first, 1);
	struct lines lines = {.take = take_line, .max = KEPT};
	char *buf = malloc(CHUNK);
	lines.kept = malloc(KEPT_FOLLOW);
	fold = llm_fold_new(NULL);
	if (buf == NULL || lines.kept == NULL || fold == NULL)
		tool_fail(LLM_ENOMEM, "out of memory");
	if (follow)
		run_follow(&lines, buf, n > 0 ? argv[first] : NULL);
	else
		run_fold(&lines, buf, n > 0 ? n : 1, n > 0 ? argv + first : standard);
	llm_fold_free(fold);
	tool_spool_free(&shapes);
	tool_spool_free(&copy);
	free(lines.kept);
	free(buf);
	tool_exit(0);
}
