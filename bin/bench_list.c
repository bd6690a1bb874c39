/*
 * SPDX-License-Identifier: ISC
 *
 * Lists of numbers in options of llm-bench: 1..2048, or 0,1k,4k.
 */
#include "bin/bench.h"

#include <limits.h>
#include <string.h>

/* A number, with a k 1024 times itself. */
static bool
number_take(int *out, const char *s, size_t n)
{
	char digits[16];
	int v;
	bool k = n > 1 && (s[n - 1] == 'k' || s[n - 1] == 'K');
	n -= k;
	if (n == 0 || n >= sizeof digits)
		return false;
	memcpy(digits, s, n);
	digits[n] = '\0';
	if (!tool_int(&v, digits, 0, k ? INT_MAX / 1024 : INT_MAX))
		return false;
	*out = k ? v * 1024 : v;
	return true;
}

static bool
push(struct bench_list *list, int v)
{
	if (list->n == BENCH_LIST)
		return false;
	list->v[list->n++] = v;
	return true;
}

static bool
range_take(struct bench_list *list, const char *s, const char *dots, const char *end)
{
	int a, b;
	if (!number_take(&a, s, (size_t)(dots - s)) ||
	    !number_take(&b, dots + 2, (size_t)(end - dots - 2)) || a < 1 || a > b)
		return false;
	for (; a < b; a = a <= b / 2 ? 2 * a : b)
		if (!push(list, a))
			return false;
	return push(list, b);
}

int
bench_list_take(const char *arg, void *context)
{
	struct bench_list *list = context;
	list->n = 0;
	for (const char *s = arg;; s++) {
		const char *end = s + strcspn(s, ","), *dots = strstr(s, "..");
		int v;
		if (dots != NULL && dots < end) {
			if (!range_take(list, s, dots, end))
				return -1;
		} else if (!number_take(&v, s, (size_t)(end - s)) || !push(list, v)) {
			return -1;
		}
		if (*end == '\0')
			return 0;
		s = end;
	}
}

void
bench_list_limit(struct bench_list *list, int max)
{
	int n = 0;
	for (int i = 0; i < list->n; i++)
		if (list->v[i] <= max)
			list->v[n++] = list->v[i];
	list->n = n;
}
