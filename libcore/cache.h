/*
 * SPDX-License-Identifier: ISC
 *
 * Keys and values computed so far, by pages of 64 positions, and the sequences that own them.
 * A page holds all layers; it grows to what a request needs, never to the model's maximum.
 *
 * A page may have several owners: sequences that begin alike, and whatever keeps pages.  It lives until the
 * last of them lets go, and is written only while there is one: rows into a page of several are refused by
 * the pass, and llm_seq_reserve gives the sequence a copy of its own of what it is going to write.  Owners
 * are counted without atomics: all of a page are of one thread at a time.
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
};

/* An empty sequence for a model of this configuration, of at most n_ctx positions. */
int llm_seq_new(struct llm_seq **out, const struct llm_config *c, enum llm_kv_type type,
    int n_ctx, struct llm_err *err);
void llm_seq_free(struct llm_seq *s);

/*
 * llm_seq_reserve - have pages for n_pos positions, of its own from s->n_pos on: of a page with other owners it
 * makes a copy.  LLM_ETOOLONG beyond n_ctx, LLM_ENOMEM.
 */
int llm_seq_reserve(struct llm_seq *s, int n_pos, struct llm_err *err);

/* Forget everything from position n_pos on (a rejected guess, a new turn); frees no page. */
void llm_seq_truncate(struct llm_seq *s, int n_pos);

/* Forget everything, and let go of all pages. */
void llm_seq_clear(struct llm_seq *s);

/*
 * llm_seq_extend - count the positions before n_pos as computed: the caller has reserved their pages
 * and filled their slots, by the store kernel or with the bytes of others of the same type.
 */
void llm_seq_extend(struct llm_seq *s, int n_pos);

/*
 * llm_seq_share - make s the first n_pos positions of from, whatever it held: of whole pages it becomes an owner
 * more, of the one after them it has a copy.  Neither sequence needs the other from then on.
 * LLM_EUSAGE: they are not of one type and shape, or from holds less; LLM_ENOMEM, and s is empty.
 */
int llm_seq_share(
    struct llm_seq *s, const struct llm_seq *from, int n_pos, struct llm_err *err);

/*
 * llm_page_hold - one owner more of a page (llm_seq_page) whose positions are all computed; returns it.
 * llm_page_drop - one less; NULL is no page.
 */
void *llm_page_hold(void *page);
void llm_page_drop(void *page);
int llm_page_n_owner(const void *page);

/*
 * llm_seq_adopt - the page's positions are the sequence's next 64: it becomes an owner of it.  s->n_pos is a
 * multiple of 64 and leaves room, else LLM_EUSAGE; the page is of a sequence of the same type and shape, and
 * of the same tokens up to there.  LLM_ENOMEM, and s is as it was.
 */
int llm_seq_adopt(struct llm_seq *s, void *page, struct llm_err *err);

/* Whether it has a page for position pos that is nobody else's; how many of its pages are nobody else's. */
bool llm_seq_writable(const struct llm_seq *s, int pos);
int llm_seq_n_own(const struct llm_seq *s);

/* The slot of one layer, KV head and page. */
void *llm_seq_slot(const struct llm_seq *s, int layer, int head, int page);

/* Page k whole, the slots of all layers and KV heads, and its bytes: to keep it, or to fill it again. */
void *llm_seq_page(const struct llm_seq *s, int page);
size_t llm_seq_page_bytes(const struct llm_seq *s);

/* Bytes of pages that n_pos positions take. */
size_t llm_seq_bytes(const struct llm_config *c, enum llm_kv_type type, int n_pos);

#endif
