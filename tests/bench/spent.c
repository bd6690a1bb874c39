/*
 * SPDX-License-Identifier: ISC
 *
 * usage: spent N CMD [ARG...] - run a program N times; prints the median of its seconds on the clock, the
 * fastest and the slowest, and the most memory that one was resident with, in bytes.  Its output goes
 * nowhere, its input is empty.  Status 1 where it failed.
 */
#define _DEFAULT_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX = 101 };

static double
now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int
order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static int
run(char **argv, struct rusage *used)
{
	int status, null;
	pid_t pid = fork();
	if (pid == 0) {
		null = open("/dev/null", O_RDWR);
		dup2(null, 0);
		dup2(null, 1);
		execvp(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, used) < 0)
		return -1;
	return WIFEXITED(status) && WEXITSTATUS(status) <= 2 ? 0 : -1;
}

int
main(int argc, char **argv)
{
	int n = argc > 2 ? (int)strtol(argv[1], NULL, 10) : 0;
	double s[MAX], bytes = 0;
	if (n < 1 || n > MAX)
		return 64;
	for (int i = 0; i < n; i++) {
		struct rusage used;
		double start = now();
		if (run(argv + 2, &used) < 0)
			return 1;
		s[i] = now() - start;
		bytes = (double)used.ru_maxrss * 1024 > bytes ? (double)used.ru_maxrss * 1024
							      : bytes;
	}
	qsort(s, (size_t)n, sizeof *s, order);
	printf("%.6f\t%.6f\t%.6f\t%.0f\n", s[n / 2], s[0], s[n - 1], bytes);
	return 0;
}
