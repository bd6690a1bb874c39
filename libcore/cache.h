/*
 * SPDX-License-Identifier: ISC
 *
 * Keys and values computed so far, by pages of 64 positions, and the sequences that own them.
 * A page holds all layers; it grows to what a request needs, never to the model's maximum.
 */
#ifndef LLM_CACHE_H
#define LLM_CACHE_H

#include "libcore/config.h"
#include "libcore/kernels/attention.h"

/*
 * One sequence of tokens and its pages.  Owned by one thread at a time.
 */
struct llm_seq {
	enum llm_kv_type type; /* read-only */
	int n_pos;             /* read-only: positions computed so far */
	int n_page, cap_page;  /* private */
	void **page;           /* private: page k holds positions [64k, 64k + 64) */
	size_t slot_bytes;     /* private: one layer and KV head */
	size_t page_bytes;     /* private: [n_layer][n_head_kv] slots */
	int n_head_kv;         /* private */
	int n_ctx;             /* read-only: positions it may ever hold */
	int run;               /* private: where its rows begin in the pass under way */
	int failed; /* read-only: not 0 where its last pass met a value that is not finite */
	int n_shared; /* read-only: its first pages, which are another sequence's: never written */
	const struct llm_seq *from; /* private: that sequence */
	int n_same; /* private: positions that are known to hold what from holds */
};

/* An empty sequence for a model of this configuration, of at most n_ctx positions. */
int llm_seq_new(struct llm_seq **out, const struct llm_config *c, enum llm_kv_type type,
    int n_ctx, struct llm_err *err);
void llm_seq_free(struct llm_seq *s);

/*
 * llm_seq_reserve - have pages for n_pos positions.  LLM_ETOOLONG beyond n_ctx, LLM_ENOMEM.
 */
int llm_seq_reserve(struct llm_seq *s, int n_pos, struct llm_err *err);

/* Forget everything from position n_pos on (a rejected guess, a new turn); frees no page. */
void llm_seq_truncate(struct llm_seq *s, int n_pos);

/*
 * llm_seq_extend - count the positions before n_pos as computed: the caller has reserved their pages
 * and filled their slots, by the store kernel or with the bytes of others of the same type.
 */
void llm_seq_extend(struct llm_seq *s, int n_pos);

/*
 * llm_seq_share - make s the first n_pos positions of from, whatever it held: whole pages are from's own,
 * of the one after them s has a copy, which is not made again where the one that it has still holds.
 * from must hold n_pos positions, and keep them for as long as s is used: until llm_seq_free(s), or until
 * s shares another's.  Rows of s before its own pages are refused by the pass.
 * LLM_EUSAGE: they are not of one type and shape, or from holds less; LLM_ENOMEM, and s is empty.
 */
int llm_seq_share(
    struct llm_seq *s, const struct llm_seq *from, int n_pos, struct llm_err *err);

/* The slot of one layer, KV head and page. */
void *llm_seq_slot(const struct llm_seq *s, int layer, int head, int page);

/* Page k whole, the slots of all layers and KV heads, and its bytes: to keep it, or to fill it again. */
void *llm_seq_page(const struct llm_seq *s, int page);
size_t llm_seq_page_bytes(const struct llm_seq *s);

/* Bytes of pages that n_pos positions take. */
size_t llm_seq_bytes(const struct llm_config *c, enum llm_kv_type type, int n_pos);

#endif
