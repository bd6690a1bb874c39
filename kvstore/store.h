/*
 * SPDX-License-Identifier: ISC
 *
 * The prefix store: keys and values that were computed once, by pages of 64 tokens on disk, so that no
 * program computes the beginning of a prompt twice.  A hit is what a recomputation would be, to the bit;
 * whatever is in doubt is a miss.  It holds what was read in prompts: it is its owner's alone.
 *
 *	llm_kvstore_open(&s, &params, &err);		(on failure: do without)
 *	n = llm_kvstore_load(s, seq, ids, n_ids);	seq now holds the first n of them
 *	... compute the others, print, close standard output ...
 *	llm_kvstore_save(s, seq, ids, n_computed, &err);
 */
#ifndef LLM_KVSTORE_H
#define LLM_KVSTORE_H

#include "kvstore/page.h"

struct llm_kvstore; /* opaque; used by one thread at a time, by any number of processes */

struct llm_kvstore_params {
	const char *dir;           /* made where it is not there; 0700, the caller's own */
	uint64_t budget_bytes;     /* of all files; 0: nothing is kept or used */
	struct llm_kvpage_key key; /* before is not looked at */
};

/*
 * llm_kvstore_open - errors: LLM_EIO where the directory cannot be made or opened; LLM_EDATA where it is
 * another user's, or others may look into it; LLM_ENOMEM.
 */
int llm_kvstore_open(
    struct llm_kvstore **out, const struct llm_kvstore_params *params, struct llm_err *err);
void llm_kvstore_close(struct llm_kvstore *s);

/*
 * llm_kvstore_load - put into seq, which is of the same key and holds the first seq->n_pos of ids[0..n_ids), what is
 * kept of those after them: whole pages as far as they go, then of those that follow the one that agrees for
 * longest.  Nothing where seq does not end with a whole page.  Returns how many positions seq holds then; of a
 * failure, of memory too, as many as were good.
 */
int llm_kvstore_load(
    struct llm_kvstore *s, struct llm_seq *seq, const llm_token *ids, int n_ids);

/*
 * llm_kvstore_save - keep the first n_ids <= seq->n_pos positions of seq, which are those of ids, where they are
 * not kept yet; first pages first, and an eighth of the budget at most.  A page that the last one goes on from
 * goes away.  Then what was used least lately goes until the budget holds, of one prompt its end first.  Returns pages written; LLM_EIO
 * where one could not be (those before it are there), LLM_ENOMEM.
 */
int llm_kvstore_save(struct llm_kvstore *s, const struct llm_seq *seq, const llm_token *ids,
    int n_ids, struct llm_err *err);

/* Tokens that a last page must have to be worth a file. */
enum { LLM_KVSTORE_LEAST = 8 };

#endif
