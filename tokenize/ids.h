/*
 * SPDX-License-Identifier: ISC
 *
 * A growing list of token ids, owned by whoever declared it.  Zero-initialised is empty.
 */
#ifndef LLM_IDS_H
#define LLM_IDS_H

#include "libcore/err.h"
#include "libcore/token.h"

#include <stddef.h>

struct llm_ids {
	llm_token *v;
	size_t n, cap;
};

/* Makes room for n more; LLM_ENOMEM. */
int llm_ids_reserve(struct llm_ids *ids, size_t n, struct llm_err *err);
/* Appends. */
int llm_ids_push(struct llm_ids *ids, llm_token id, struct llm_err *err);
void llm_ids_free(struct llm_ids *ids);

#endif
