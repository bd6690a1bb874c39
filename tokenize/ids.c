/*
 * SPDX-License-Identifier: ISC
 *
 * A growing list of token ids; see ids.h.
 */
#include "tokenize/ids.h"

#include "libcore/size.h"

#include <stdlib.h>

int
llm_ids_reserve(struct llm_ids *ids, size_t n, struct llm_err *err)
{
	size_t want, bytes;
	if (!llm_size_add(&want, ids->n, n) || !llm_size_mul(&bytes, want, 2 * sizeof *ids->v))
		return llm_err_nomem(err, SIZE_MAX);
	if (want <= ids->cap)
		return 0;
	llm_token *v = realloc(ids->v, bytes);
	if (v == NULL)
		return llm_err_nomem(err, bytes);
	ids->v = v;
	ids->cap = want * 2;
	return 0;
}

int
llm_ids_push(struct llm_ids *ids, llm_token id, struct llm_err *err)
{
	if (ids->n == ids->cap) {
		int rc = llm_ids_reserve(ids, 16, err);
		if (rc < 0)
			return rc;
	}
	ids->v[ids->n++] = id;
	return 0;
}

void
llm_ids_free(struct llm_ids *ids)
{
	free(ids->v);
	*ids = (struct llm_ids){0};
}
