/*
 * SPDX-License-Identifier: ISC
 *
 * Writing an index, from nothing or from an older one and lines to add.  All goes to a file beside the
 * one that is wanted; commit puts it in its place.  One thread, one writer; writers of other processes
 * that add to the same index wait for one another.
 */
#ifndef LLM_CORPUS_WRITE_H
#define LLM_CORPUS_WRITE_H

#include "embed/corpus.h"

struct llm_corpus_writer; /* opaque */

/*
 * llm_corpus_writer_new - begin path anew, or where adding is set with what the index at path holds; its
 * maker must be the same then, else LLM_EDATA.  An index that is to be added to and is not there is
 * LLM_ENOINPUT; what cannot be written LLM_EIO; what is there and neither an index nor empty LLM_EDATA.  *out is the caller's to free.
 */
int llm_corpus_writer_new(struct llm_corpus_writer **out, const char *path,
    const struct llm_corpus_maker *maker, bool adding, struct llm_err *err);

/* Where a line went. */
enum llm_corpus_put {
	LLM_CORPUS_NEW, /* a record whose vector is wanted: llm_corpus_writer_vector */
	LLM_CORPUS_AGAIN, /* a record equal to one of this writer that has, or will have, a vector */
	LLM_CORPUS_THERE, /* no new record: the old index holds it */
	LLM_CORPUS_EMPTY, /* a record without a vector */
};

/*
 * llm_corpus_writer_put - the next line, n bytes.  *record: its number, from 0; of LLM_CORPUS_AGAIN its
 * own all the same.  A line that the old index holds k times is met k times before it counts as new, so
 * that a file may be given again after it has grown.  Returns an enum llm_corpus_put, or LLM_ENOMEM.
 */
int llm_corpus_writer_put(size_t *record, struct llm_corpus_writer *w, const char *text,
    size_t n, struct llm_err *err);

/*
 * llm_corpus_writer_vector - the vector of a record, f32 [n_embd], or NULL: it has none.  Lines equal
 * to it have the same.  A value that is not finite is LLM_ENOTFINITE.
 */
int llm_corpus_writer_vector(
    struct llm_corpus_writer *w, size_t record, const float *vector, struct llm_err *err);

/* Records so far, those of the old index included. */
size_t llm_corpus_writer_n(const struct llm_corpus_writer *w);

/*
 * llm_corpus_writer_commit - write the rest, sync, rename.  Every new record must have been given its
 * vector.  After an error the index at path is as it was.
 */
int llm_corpus_writer_commit(struct llm_corpus_writer *w, struct llm_err *err);

/* Without a commit nothing is left of it. */
void llm_corpus_writer_free(struct llm_corpus_writer *w);

#endif
