/*
 * SPDX-License-Identifier: ISC
 *
 * How fast llm-fold's library folds, on one thread, and how well it groups, on the logs of the shared
 * data: MB/s of processor time, templates, and the share of lines whose group is just that of their
 * label (Zhu et al. 2019).
 * usage: fold [directory of NAME.log and NAME.events]; TSV on stdout.
 */
#define _POSIX_C_SOURCE 200809L
#include "tokenize/fold.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REPEAT = 5, BYTES = 20 << 20, MAX_LINE = 4000, MAX_LABEL = 32 };

static const char *const names[] = {"Apache", "Linux", "OpenSSH"};

/* Processor time, which neighbours disturb less than the clock. */
static double
now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static char *
read_file(size_t *n, const char *dir, const char *name, const char *suffix)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s%s", dir, name, suffix);
	FILE *f = fopen(path, "rb");
	char *buf = malloc(BYTES);
	if (f == NULL || buf == NULL) {
		fprintf(stderr, "fold: %s: cannot be read\n", path);
		exit(66);
	}
	*n = fread(buf, 1, BYTES - 1, f);
	buf[*n] = '\0';
	fclose(f);
	return buf;
}

/* Adds each line; the shapes of the first MAX_LINE are kept.  Returns how many lines there were. */
static int
add_lines(struct llm_fold *f, uint32_t *shape, const char *s, size_t n)
{
	int n_line = 0;
	for (const char *end = s + n; s < end; n_line++) {
		uint32_t one;
		const char *e = memchr(s, '\n', (size_t)(end - s));
		size_t length = (size_t)((e != NULL ? e : end) - s);
		llm_fold_add(f, &one, s, length - (length > 0 && s[length - 1] == '\r'), NULL);
		if (shape != NULL && n_line < MAX_LINE)
			shape[n_line] = one;
		s += length + 1;
	}
	return n_line;
}

/* The share of lines whose group has the lines of their label and no others. */
static double
accuracy(const char (*label)[MAX_LABEL], const uint32_t *group, int n)
{
	int good = 0;
	for (int i = 0; i < n; i++) {
		bool same = true;
		for (int k = 0; k < n && same; k++)
			same = (group[i] == group[k]) == (strcmp(label[i], label[k]) == 0);
		good += same;
	}
	return n > 0 ? (double)good / n : 0;
}

static double
run_log(const char *dir, const char *name)
{
	static uint32_t shape[MAX_LINE];
	static char label[MAX_LINE][MAX_LABEL];
	size_t n, n_events, total = 0;
	char *s = read_file(&n, dir, name, ".log"),
	     *events = read_file(&n_events, dir, name, ".events");
	struct llm_fold *f = llm_fold_new(NULL);
	int n_line = add_lines(f, shape, s, n), n_label = 0;
	int n_template = llm_fold_settle(f, NULL);
	for (char *e = strtok(events, "\r\n"); e != NULL && n_label < MAX_LINE;
	     e = strtok(NULL, "\r\n"))
		snprintf(label[n_label++], MAX_LABEL, "%s", e);
	for (int i = 0; i < n_line && i < MAX_LINE; i++)
		shape[i] = llm_fold_number(f, shape[i]);
	double grouped = accuracy(
		   (const char(*)[MAX_LABEL])label, shape, n_line < n_label ? n_line : n_label),
	       best = 0;
	for (int i = 0; i < REPEAT; i++) {
		double start = now();
		for (total = 0; total < BYTES; total += n)
			add_lines(f, NULL, s, n);
		double rate = (double)total / (now() - start) / 1e6;
		best = rate > best ? rate : best;
	}
	printf("%s\t%d\t%d\t%.3f\t%.0f\n", name, n_line, n_template, grouped, best);
	llm_fold_free(f);
	free(s);
	free(events);
	return grouped;
}

int
main(int argc, char **argv)
{
	const char *shared = getenv("LLM_TEST_SHARED");
	char dir[2048];
	double sum = 0;
	int n = (int)(sizeof names / sizeof names[0]);
	if (argc < 2 && shared != NULL && shared[0] == '\0') {
		printf("# fold: no shared data\n");
		return 0;
	}
	snprintf(dir, sizeof dir, "%s%s",
	    argc > 1         ? argv[1]
	    : shared != NULL ? shared
			     : "../shared/data",
	    argc > 1 ? "" : "/logs");
	printf("log\tlines\ttemplates\taccuracy\tMB/s\n");
	for (int i = 0; i < n; i++)
		sum += run_log(dir, names[i]);
	printf("# accuracy on average %.3f; wanted 0.80, and 100 MB/s\n", sum / n);
	return 0;
}
