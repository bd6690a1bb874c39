/*
 * SPDX-License-Identifier: ISC
 *
 * The packed weights of a product as streams: four runs of units of eight rows, each read from its start to
 * its end, a span of each in turn.  Memory gives more to four streams than to one, if what each will want
 * is asked for in time, evenly beside the arithmetic: a burst of prefetches would hold it up.
 */
#ifndef LLM_KERNELS_X86_PRODUCT_STREAMS_H
#define LLM_KERNELS_X86_PRODUCT_STREAMS_H

#include "libcore/kernels/x86/product_packed.h"

enum {
	LLM_STREAMS = 4,
	/* Bytes from a read to its prefetch: from 1 to 3 KB of each stream there is little between them. */
	LLM_STREAM_AHEAD = 1792,
};

struct llm_streams {
	const uint8_t *w[LLM_STREAMS]; /* the span in work of each */
	int row[LLM_STREAMS];          /* the first row of the unit in work of each */
	int n; /* units in work: less than LLM_STREAMS in the last round, the last again */
};

/* Bytes of a span of a format: a block of 256, or four of 32. */
LLM_INLINE int
llm_stream_span(struct llm_format f)
{
	return (f.block == 32 ? 4 : 1) * 8 * f.bytes;
}

/*
 * Begins round i of rows [row0, row1): a unit of each stream, or what is left over.  False past the last.
 */
LLM_INLINE bool
llm_streams_begin(struct llm_streams *s, const struct llm_product *p, struct llm_format f,
    int row0, int row1, int i)
{
	const int n = (row1 - row0) / 8, each = n / LLM_STREAMS, left = n % LLM_STREAMS;
	const size_t unit = (size_t)p->x->n_block * 8 * (size_t)f.bytes;
	if (i > each || (i == each && left == 0))
		return false;
	s->n = i < each ? LLM_STREAMS : left;
	for (int u = 0; u < LLM_STREAMS; u++) {
		int at = i < each ? u * each + i : n - left + (u < left ? u : left - 1);
		s->row[u] = row0 + 8 * at;
		s->w[u] = (const uint8_t *)p->w + (size_t)(s->row[u] / 8) * unit;
	}
	return true;
}

/* Asks for the share [i, i + 1) of n of a later span of units [u, u + n_u).  All but s and u constants. */
LLM_INLINE void
llm_streams_fetch(const struct llm_streams *s, struct llm_format f, int u, const int n_u,
    const int i, const int n)
{
	const int span = llm_stream_span(f);
	/* Compilers would put the prefetches of many shares together, and spill what they read early. */
	__asm__ volatile("" ::: "memory");
	for (int at = (span * i / n + 63) / 64 * 64; at < span * (i + 1) / n; at += 64)
		for (int k = 0; k < n_u; k++)
			_mm_prefetch(
			    (const char *)s->w[u + k] + LLM_STREAM_AHEAD + at, _MM_HINT_T0);
}

LLM_INLINE void
llm_streams_next(struct llm_streams *s, struct llm_format f)
{
	for (int u = 0; u < LLM_STREAMS; u++)
		s->w[u] += llm_stream_span(f);
}

/* Block i of a span of n of the units that vector v of floats takes. */
LLM_INLINE struct llm_packed_block
llm_streams_rows(const struct llm_streams *s, struct llm_format f, int v, int i, int n)
{
	const uint8_t *w = s->w[v * LLM_V_UNITS], *next = s->w[(v + 1) * LLM_V_UNITS - 1];
	return llm_packed_at(f, w, (size_t)(next - w), i, n);
}

/* start[tok][b_stride] = -zero * (sum of the activations of each sub). */
LLM_INLINE void
llm_streams_starts(int32_t *start, const int16_t *bsum, size_t n, const int zero)
{
	for (size_t i = 0; i < n; i += 8) {
		__m256i v = _mm256_cvtepi16_epi32(llm_load128(bsum + i));
		v = _mm256_slli_epi32(v, __builtin_ctz((unsigned)zero));
		_mm256_store_si256(
		    (__m256i *)(start + i), _mm256_sub_epi32(_mm256_setzero_si256(), v));
	}
}

#endif
