/*
 * SPDX-License-Identifier: ISC
 *
 * What this machine can do at most, measured: how fast memory is read and how fast numbers are
 * multiplied, by the threads of a pool.  A program that times something takes these between its own
 * timings, since a shared machine's limits change within seconds.
 */
#ifndef LLM_LIMITS_H
#define LLM_LIMITS_H

#include "libcore/forward.h"
#include "libcore/pool.h"

struct llm_limits; /* opaque; used by one thread at a time, while its pool does nothing else */

/*
 * llm_limits_new - limits for the threads of pool and the instructions of a set of kernels (of "generic"
 * the best that the processor has).  pool must outlive it.
 */
int llm_limits_new(struct llm_limits **out, struct llm_pool *pool,
    const struct llm_kernels *kernels, struct llm_err *err);
void llm_limits_free(struct llm_limits *l);

/*
 * llm_limits_of_pass - the same with the threads and kernels of a pass, which must outlive it and compute
 * nothing meanwhile; to be read are the matrices that one token reads, as they lie in the mapping
 * of the model: so the rate is that of the very memory, with its share of cache hits.
 */
int llm_limits_of_pass(struct llm_limits **out, struct llm_pass *pass, struct llm_err *err);

/* llm_limits_add - let n_bytes at data be read, after what was added before; data must outlive l. */
int llm_limits_add(struct llm_limits *l, const void *data, size_t n_bytes, struct llm_err *err);

/* Bytes of all that was added. */
size_t llm_limits_bytes(const struct llm_limits *l);

/*
 * llm_limits_read - bytes a second of reading all that was added, in order, once (a small amount:
 * several times) by the loop that is the fastest of several.  All are tried in the first call and after
 * something was added, one now and then later, since which is the fastest may change.
 * 0 where nothing was added.
 */
double llm_limits_read(struct llm_limits *l);
/* The loop that is the fastest, as "zmm, prefetch 4 KB"; static string. */
const char *llm_limits_loop(const struct llm_limits *l);

/*
 * llm_limits_int8, llm_limits_f32 - operations a second (two a multiplication, with the sum) of the
 * fastest instruction that the kernels multiply int8 with, and of f32 fused multiply-adds, in some
 * milliseconds of independent chains in registers.
 */
double llm_limits_int8(struct llm_limits *l);
double llm_limits_f32(struct llm_limits *l);

#endif
