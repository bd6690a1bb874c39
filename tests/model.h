/*
 * SPDX-License-Identifier: ISC
 *
 * Made models for tests of the forward pass: written to a file, opened, and the file gone again.
 */
#ifndef LLM_TESTS_MODEL_H
#define LLM_TESTS_MODEL_H

#include "libcore/model.h"
#include "tests/mkmodel.h"

/*
 * test_model - a model of a shape of mkmodel_shape, or of one of those that are hard on kernels:
 *	crowd	132 heads on 2, of 18 dims: groups wider than a kernel's call, dims no multiple of 16
 *	wide	2 heads on 1, of 512 dims, the most there are
 *	least	1 layer of 1, 1 head of 2 dims, 1 hidden, 3 tokens: F32 and halves only
 * rope_factor as in struct mkmodel; change may be NULL, or spoil the file before it is written.
 * Ends the test program where it cannot be made.
 */
struct llm_model *test_model(
    const char *shape, const char *type, double rope_factor, void (*change)(struct mkfile *f));

/* test_model_poison - a change: the embedding of one token is no number, so that who reads that token fails. */
enum { TEST_POISON = 9 };
void test_model_poison(struct mkfile *f);

#endif
