/*
 * SPDX-License-Identifier: ISC
 *
 * Inside of llm-bench: the tests that its options ask for (llm-bench.c), the lists in them
 * (bench_list.c), the runs (bench_run.c) and what is made of their times (bench_report.c).
 */
#ifndef LLM_BENCH_H
#define LLM_BENCH_H

#include "bin/tool_run.h"
#include "libcore/limits.h"

enum { BENCH_LIST = 64 }; /* most numbers of one option */

struct bench_list {
	int v[BENCH_LIST];
	int n;
};

/*
 * bench_list_take - for TOOL_EACH, context a struct bench_list: numbers separated by commas, each with
 * a k for 1024 or not, or A..B: A, its doubles below B, and B.  -1 where arg is none.
 */
int bench_list_take(const char *arg, void *context);
/* Takes out the numbers above max. */
void bench_list_limit(struct bench_list *list, int max);

enum bench_test { BENCH_PREFILL, BENCH_DECODE, BENCH_BATCH, BENCH_VERIFY, BENCH_N_TEST };

/* One timing of one case, and the limits taken in the midst of it. */
struct bench_sample {
	double s;          /* seconds of its passes */
	int n_pass, n_tok; /* passes, and tokens in them */
	double read;       /* bytes a second */
	double int8, f32;  /* operations a second */
	double share;      /* the least time that those allow, over s */
};

/*
 * One line of the output.
 *	prefill	n tokens of one sequence, 512 a pass
 *	decode	n passes of one token after depth others
 *	batch	n passes of one token of each of batch sequences
 *	verify	passes of n tokens of one sequence after depth others, logits of all
 */
struct bench_case {
	enum bench_test test;
	int n, depth, batch;
	struct bench_sample *sample; /* [n_rep] */
	struct llm_phases phases;    /* with -v: of all its passes, summed */
};

struct bench {
	struct tool_engine engine;
	struct llm_limits *limits;
	struct llm_seq **seq; /* [n_seq]; the first is the one that grows deep */
	int n_seq, filled;    /* positions of the first whose slots hold something */
	struct llm_row *row;
	float *logits;
	int n_rep, n_verify; /* passes of one verify sample */
	bool json;
	bool terminal; /* progress is shown */
};

/* Room for the cases: sequences, rows, logits; dies where there is none. */
void bench_open(struct bench *b, const struct bench_case *c, int n_case);
void bench_close(struct bench *b);

/*
 * bench_run - all cases of one test in turn, n_rep times, so that what changes meanwhile changes all
 * of them; fills their samples.
 */
void bench_run(struct bench *b, struct bench_case *c, int n_case);

/* A line for each of these cases to stdout; with -v lines to stderr too. */
void bench_report(const struct bench *b, const struct bench_case *c, int n_case);

const char *bench_test_name(enum bench_test test);

#endif
