/*
 * SPDX-License-Identifier: ISC
 *
 * Which part of an input is kept; see fit.h.
 */
#include "generate/fit.h"

#include <string.h>

static const char *const names[] = {
    [LLM_FIT_HEAD] = "head", [LLM_FIT_TAIL] = "tail", [LLM_FIT_MIDDLE] = "middle"};

const char *
llm_fit_name(enum llm_fit fit)
{
	return names[fit];
}

enum llm_fit
llm_fit_named(const char *name)
{
	for (int fit = LLM_FIT_HEAD; fit <= LLM_FIT_MIDDLE; fit++)
		if (strcmp(name, names[fit]) == 0)
			return (enum llm_fit)fit;
	return LLM_FIT_NONE;
}

int
llm_fit_room(int n_ctx, int n_max)
{
	int answer = n_max < 0 ? n_ctx / 4 : n_max;
	if (answer > n_ctx / 2)
		answer = n_ctx / 2;
	return n_ctx - (answer > 0 ? answer : 1);
}

size_t
llm_fit_from(enum llm_fit fit, size_t n, size_t room)
{
	if (n <= room || fit == LLM_FIT_HEAD || fit == LLM_FIT_NONE)
		return 0;
	return fit == LLM_FIT_TAIL ? n - room : (n - room) / 2;
}
