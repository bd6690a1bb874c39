/*
 * SPDX-License-Identifier: ISC
 *
 * Broken models, each wrong in one field: what a reader must refuse in one line, and why.
 */
#ifndef LLM_TESTS_MKMODEL_BROKEN_H
#define LLM_TESTS_MKMODEL_BROKEN_H

#include "tests/mkmodel.h"

/* Who is to refuse it. */
enum mkbroken_stage {
	MKBROKEN_FILE,  /* llm_gguf_open */
	MKBROKEN_MODEL, /* llm_model_open: hyper-parameters and tensors */
	MKBROKEN_VOCAB, /* llm_tokenizer_open */
	MKBROKEN_RUN,   /* the pass itself: the weights are no numbers */
};

struct mkbroken {
	const char *name; /* "the magic is wrong" */
	enum mkbroken_stage stage;
	int status;         /* the exit status, as in sysexits.h */
	const char *reason; /* stands in the message */
};

/* The i-th, or NULL past the end. */
const struct mkbroken *mkbroken_at(int i);

/* Writes it (and other parts of its set) into folder; returns the path to open, to be freed. */
char *mkbroken_write(const char *folder, int i);

/* The good model that all are made from. */
struct mkfile *mkbroken_base(void);

#endif
