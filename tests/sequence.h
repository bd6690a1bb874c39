/*
 * SPDX-License-Identifier: ISC
 *
 * Tokens of a seed, and sequences that compute them, for tests of what is kept of sequences.  Whatever cannot be done
 * ends the test program.
 */
#ifndef LLM_TESTS_SEQUENCE_H
#define LLM_TESTS_SEQUENCE_H

#include "libcore/forward.h"

/* A pass of one thread that keeps keys and values as named: "f16", "q8_0", or "precise". */
struct llm_pass *test_pass(const struct llm_model *m, const char *kv);

/* An empty sequence for it. */
struct llm_seq *test_seq(const struct llm_pass *p, int n_ctx);

/* Any n of the first tokens of a vocabulary; another seed, others. */
void test_ids(llm_token *ids, int n, unsigned seed);

/* Computes ids[s->n_pos..n), in one call.  logits: of the last, f32 [n_vocab]. */
void test_compute(
    float *logits, struct llm_pass *p, struct llm_seq *s, const llm_token *ids, int n);

#endif
