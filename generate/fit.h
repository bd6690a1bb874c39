/*
 * SPDX-License-Identifier: ISC
 *
 * Which part of an input that is too long is kept, when its owner has said so.
 */
#ifndef LLM_FIT_H
#define LLM_FIT_H

#include <stddef.h>

enum llm_fit { LLM_FIT_NONE, LLM_FIT_HEAD, LLM_FIT_TAIL, LLM_FIT_MIDDLE };

/* "head", "tail", "middle", or NULL for NONE; and back, NONE for any other name. */
const char *llm_fit_name(enum llm_fit fit);
enum llm_fit llm_fit_named(const char *name);

/*
 * llm_fit_room - tokens of a context of n_ctx that the prompt may take: what an answer of n_max tokens
 * (< 0: no limit) leaves, at least half; without a limit three quarters.
 */
int llm_fit_room(int n_ctx, int n_max);

/* First of the room tokens that are kept of n > room. */
size_t llm_fit_from(enum llm_fit fit, size_t n, size_t room);

#endif
