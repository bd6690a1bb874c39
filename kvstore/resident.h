/*
 * SPDX-License-Identifier: ISC
 *
 * The prefix store of a process that stays: pages in memory, shared with the sequences that computed them and
 * those that go on from them, found by the chain of names that the store on disk has, and that store beneath.
 * A hit is what a recomputation would be, to the bit: every token from the first on is compared.
 */
#ifndef LLM_RESIDENT_H
#define LLM_RESIDENT_H

#include "kvstore/store.h"

struct llm_resident; /* opaque; used by one thread at a time: that of its sequences */

struct llm_resident_params {
	struct llm_kvpage_key key; /* before is not looked at */
	/* Of all its pages, also of those that a sequence has too: with them it takes no memory more. */
	uint64_t budget_bytes;
	struct llm_kvstore *disk; /* of the same key; or NULL.  Must outlive it */
};

/* LLM_ENOMEM. */
int llm_resident_new(
    struct llm_resident **out, const struct llm_resident_params *params, struct llm_err *err);
/* Sequences keep the pages that they have. */
void llm_resident_free(struct llm_resident *r);

/*
 * llm_resident_warm - put into seq, which holds the first seq->n_pos of ids[0..n_ids), what is kept of those after
 * them: whole pages, shared, as far as they go; those that only the disk has, where seq ends with a page; then of
 * the page that agrees for longest a copy.  Returns how many positions seq holds then; of a failure, of memory too,
 * as many as were good.
 */
int llm_resident_warm(
    struct llm_resident *r, struct llm_seq *seq, const llm_token *ids, int n_ids);

/*
 * llm_resident_keep - keep the first n_ids <= seq->n_pos positions of seq, which are those of ids: it becomes an
 * owner of their pages.  A last page in part is kept too, for which a sequence that goes on makes itself a copy:
 * keep whole pages while it does, and all of it when it ends.  Where the budget is full, what was used least
 * lately goes, of one prompt its end first; never what is being kept.  Returns pages that are new.
 */
int llm_resident_keep(
    struct llm_resident *r, const struct llm_seq *seq, const llm_token *ids, int n_ids);

/* Another budget, at once; 0 lets go of everything. */
void llm_resident_limit(struct llm_resident *r, uint64_t budget_bytes);
uint64_t llm_resident_bytes(const struct llm_resident *r);

#endif
