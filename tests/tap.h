/*
 * SPDX-License-Identifier: ISC
 *
 * The little that a unit test needs to speak TAP: ok, skip, done.  A test's name is a sentence.
 */
#ifndef LLM_TESTS_TAP_H
#define LLM_TESTS_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static int tap_count, tap_failed;

/* Reports one test; on failure the place goes out as a diagnostic.  Returns good. */
#define tap_ok(good, ...) tap_report((good), __FILE__, __LINE__, __VA_ARGS__)

__attribute__((format(printf, 4, 5), unused)) static bool
tap_report(bool good, const char *file, int line, const char *fmt, ...)
{
	va_list ap;
	printf("%sok %d - ", good ? "" : "not ", ++tap_count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	if (!good) {
		tap_failed++;
		printf("# failed at %s:%d\n", file, line);
	}
	fflush(stdout);
	return good;
}

/* Is a part of the shapes enough?  Under an emulator all of them take minutes. */
__attribute__((unused)) static bool
tap_quick(void)
{
	return getenv("LLM_TEST_QUICK") != NULL;
}

/* One skipped test, with the reason: counted and shown by the runner. */
__attribute__((unused)) static void
tap_skip(const char *name, const char *why)
{
	printf("ok %d - %s # SKIP %s\n", ++tap_count, name, why);
	fflush(stdout);
}

/* Last line of a test's main: prints the plan, returns the exit status. */
__attribute__((unused)) static int
tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed != 0;
}

#endif
