/*
 * SPDX-License-Identifier: ISC
 *
 * Attention over keys and values kept in pages of 64 positions (one block of the softmax).  A page
 * holds, for each layer and KV head, one "slot": 64 keys, then 64 values, in an order that the
 * kernels of every instruction set share.
 *	K: four tiles of 16 positions, each [d_head][16] (lane = position)
 *	V: [64][d_head]
 *	Q8_0: int8 in that order, each half followed by its f16 scales [d_head/32][64]: of a group of
 *	      32 dims, those of all positions
 * What is not finite never vanishes: a NaN in q or in a key or value in sight makes the output NaN,
 * and so does a score of +infinity, or -infinity for all positions of a segment's first block.  (A
 * score of -infinity beside finite ones has weight 0, as the formula says.)
 */
#ifndef LLM_KERNELS_ATTENTION_H
#define LLM_KERNELS_ATTENTION_H

#include <stdbool.h>
#include <stddef.h>

enum llm_kv_type { LLM_KV_F16, LLM_KV_Q8_0, LLM_KV_F32 };

/* "f16", "q8_0" or "f32"; and back: false where it is no such name. */
const char *llm_kv_name(enum llm_kv_type type);
bool llm_kv_named(enum llm_kv_type *type, const char *name);

enum {
	LLM_KV_PAGE = 64,      /* positions a page: one block of the softmax */
	LLM_KV_SEGMENT = 1024, /* positions a segment: 16 pages */
};

/*
 * llm_kv_slot_bytes - bytes of one slot, a multiple of 64.  d_head is even, and for Q8_0 a multiple
 * of 32; at most LLM_ATTENTION_D_HEAD.
 */
size_t llm_kv_slot_bytes(enum llm_kv_type type, int d_head);

/*
 * One segment of one KV head, for n_q queries (heads of its group, tokens, or both).
 * Query i sees positions [0, n_pos[i]) of the segment (0: none; then m = -INFINITY, l = 0,
 * acc = 0); what the slots hold past that enters none of its sums.
 */
struct llm_attention {
	enum llm_kv_type type;
	int d_head, n_q;
	const float *q;   /* [n_q][d_head], times 1/sqrt(d_head) already */
	const int *n_pos; /* [n_q], 0..1024 */
	const void *const
	    *slot;    /* [ceil(max n_pos / 64)] slots of the segment's pages, 64-aligned */
	float *m, *l; /* out [n_q]: running maximum (never NaN, never -0) and sum */
	float *acc;   /* out [n_q][d_head]: not yet divided by l */
};

struct llm_attention_kernels {
	/* Writes position pos (0..63) of a slot: k, v [d_head] f32, rounded to the type.  In Q8_0 a
	 * block of 32 with a value that is not finite gets the scale NaN. */
	void (*store)(void *slot, enum llm_kv_type type, int d_head, int pos, const float *k,
	    const float *v);
	/* scratch: 64-byte aligned, LLM_ATTENTION_SCRATCH bytes, this thread's own.  n_q <=
	 * LLM_ATTENTION_QUERIES; many queries a call share each load: the more the faster. */
	void (*segment)(const struct llm_attention *a, void *scratch);
	/* Left fold of segment b into a, one query: m, l, acc of a are changed.  An empty b (m_b =
	 * -INFINITY, l_b = 0) changes nothing. */
	void (*merge)(float *m, float *l, float *acc, float m_b, float l_b, const float *acc_b,
	    int d_head);
	/* y = acc / l; y may be acc */
	void (*finish)(float *y, const float *acc, float l, int d_head);
};

enum {
	LLM_ATTENTION_QUERIES = 64,
	LLM_ATTENTION_D_HEAD = 512, /* the widest head that scratch is sized for */
	LLM_ATTENTION_SCRATCH = 256 * 1024,
};

extern const struct llm_attention_kernels llm_attention_generic;
extern const struct llm_attention_kernels llm_attention_avx2;
extern const struct llm_attention_kernels llm_attention_avx512;
extern const struct llm_attention_kernels llm_attention_neon;

#endif
