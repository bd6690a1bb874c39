/*
 * SPDX-License-Identifier: ISC
 *
 * Made sentence encoders for tests, of any shape, with random weights and a small vocabulary; and the
 * encoder's forward pass in double precision, written from the paper and from nothing in libcore but the
 * file reader and the exact values of weights.
 */
#ifndef LLM_TESTS_ENCODER_H
#define LLM_TESTS_ENCODER_H

#include "libcore/encoder.h"
#include "tests/mkmodel_file.h"

struct encoder_shape {
	int n_layer, n_embd, n_head, n_ff, n_ctx;
	enum llm_dtype type; /* of matrices */
};

/* The vocabulary: 5 named tokens, letters and digits that begin a word, then that go on, then words. */
enum { ENCODER_PAD, ENCODER_UNK, ENCODER_CLS, ENCODER_SEP, ENCODER_MASK };
extern const char *const encoder_tokens[];
int encoder_n_tokens(void);

/* The file; the caller's to change, write and free. */
struct mkfile *encoder_file(const struct encoder_shape *shape);

/* The same opened; or the test program ends.  change may be NULL, or spoil the file. */
struct llm_encoder *encoder_made(
    const struct encoder_shape *shape, void (*change)(struct mkfile *f));
/* Opens what a spoilt file is: the error, or 0. */
int encoder_try(
    const struct encoder_shape *shape, void (*change)(struct mkfile *f), struct llm_err *err);

/* x [n][n_embd]: the last layer's vectors of n tokens. */
void encoder_reference(double *x, const struct llm_encoder *e, const llm_token *id, int n);

#endif
