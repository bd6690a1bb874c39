/*
 * SPDX-License-Identifier: ISC
 *
 * Jobs that no scheduler runs, by slices of a step's time: labels and vectors.
 */
#include "bin/daemon/lane.h"

int
slice_start(struct job *j, struct llm_err *err)
{
	(void)j;
	return llm_err_set(err, LLM_EUNSUPPORTED, "not yet");
}

int
slice_turn(struct job *j, struct llm_err *err)
{
	(void)j;
	(void)err;
	return 0;
}

void
slice_free(struct job *j)
{
	(void)j;
}
