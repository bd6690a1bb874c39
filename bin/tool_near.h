/*
 * SPDX-License-Identifier: ISC
 *
 * How near records are in meaning to some texts, by a sentence encoder: the cosines of their vectors.
 */
#ifndef LLM_TOOL_NEAR_H
#define LLM_TOOL_NEAR_H

#include "bin/tool_queue.h"
#include "bin/tool_run.h"

/* Whether the model that -m (or the environment) means is an encoder; dies as tool_model does. */
bool tool_near_is(void);

struct tool_near; /* opaque */

/*
 * tool_near_open - that encoder, and the vectors of text[0..n).  max_texts: of a run; 0: as many as serve.
 * Dies where one of them is longer than the encoder takes.
 */
struct tool_near *tool_near_open(const char *const *text, int n, int max_texts);
void tool_near_close(struct tool_near *a);

/* For struct tool_queue_maker: numbers of a record are its cosines with each of the texts. */
int tool_near_add(
    struct tool_near *a, const struct tool_record *rec, int n, struct llm_err *err);
void tool_near_run(struct tool_near *a);
int tool_near_value(struct tool_near *a, int i, double *value, struct llm_err *err);

#endif
