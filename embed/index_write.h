/*
 * SPDX-License-Identifier: ISC
 *
 * Writing an index, from nothing or from an older one and lines to add.  All goes to a file beside the
 * one that is wanted; commit puts it in its place.  One thread, one writer; writers of other processes
 * that add to the same index wait for one another.
 */
#ifndef LLM_INDEX_WRITE_H
#define LLM_INDEX_WRITE_H

#include "embed/index.h"

struct llm_index_writer; /* opaque */

/*
 * llm_index_writer_new - begin path anew, or where adding is set with what the index at path holds; its
 * maker must be the same then, else LLM_EDATA.  An index that is to be added to and is not there is
 * LLM_ENOINPUT; what cannot be written LLM_EIO.  *out is the caller's to free.
 */
int llm_index_writer_new(struct llm_index_writer **out, const char *path,
    const struct llm_index_maker *maker, bool adding, struct llm_err *err);

/* Where a line went. */
enum llm_index_put {
	LLM_INDEX_NEW, /* a record whose vector is wanted: llm_index_writer_vector */
	LLM_INDEX_AGAIN, /* a record equal to one of this writer that has, or will have, a vector */
	LLM_INDEX_THERE, /* no new record: the old index holds it */
	LLM_INDEX_EMPTY, /* a record without a vector */
};

/*
 * llm_index_writer_put - the next line, n bytes.  *record: its number, from 0; of LLM_INDEX_AGAIN its
 * own all the same.  A line that the old index holds k times is met k times before it counts as new, so
 * that a file may be given again after it has grown.  Returns an enum llm_index_put, or LLM_ENOMEM.
 */
int llm_index_writer_put(size_t *record, struct llm_index_writer *w, const char *text, size_t n,
    struct llm_err *err);

/*
 * llm_index_writer_vector - the vector of a record, f32 [n_embd], or NULL: it has none.  Lines equal
 * to it have the same.  A value that is not finite is LLM_ENOTFINITE.
 */
int llm_index_writer_vector(
    struct llm_index_writer *w, size_t record, const float *vector, struct llm_err *err);

/* Records so far, those of the old index included. */
size_t llm_index_writer_n(const struct llm_index_writer *w);

/*
 * llm_index_writer_commit - write the rest, sync, rename.  Every new record must have been given its
 * vector.  After an error the index at path is as it was.
 */
int llm_index_writer_commit(struct llm_index_writer *w, struct llm_err *err);

/* Without a commit nothing is left of it. */
void llm_index_writer_free(struct llm_index_writer *w);

#endif
