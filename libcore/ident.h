/*
 * SPDX-License-Identifier: ISC
 *
 * The identity of a model: a hash of all that its keys and values are computed from and of nothing
 * else, so that what was computed once may be used again.  A model has the same identity packed and
 * plain, split and whole, under any name.
 *
 * What is hashed (XXH3, 128 bits; integers little-endian; a string is its length as u64, then its bytes):
 *	"llm-ident 1\n"
 *	the string general.architecture, here ARCH
 *	of each key whose name begins with "ARCH.", shorter names first, then by their bytes:
 *	    string name, u32 type, u32 type of an item, u64 number of items, the value as a string of
 *	    the bytes that the file has (of an array its items; of a string its bytes)
 *	u64 number of tensors
 *	of each tensor, in the order of the file (a split set: part after part):
 *	    string name, u32 number of its plain type in GGUF, u32 n_dim, u64 ne[4], and the 16 bytes
 *	    of the hash of its data in GGUF's plain order
 * Left out are the names and licences of general.*, the vocabulary and chat template of tokenizer.*
 * (what is computed depends on ids, not on their text), split.*, alignment and padding.
 */
#ifndef LLM_IDENT_H
#define LLM_IDENT_H

#include "libcore/gguf.h"
#include "libcore/hash.h"

/*
 * llm_ident - the identity of g; reads all of it, by n_thread threads (0: as many as there may be).
 * Errors: LLM_EDATA no architecture; LLM_EUNSUPPORTED a packed matrix of more than INT_MAX columns;
 * LLM_ENOMEM, LLM_ESYSTEM.
 */
int llm_ident(
    struct llm_hash *out, const struct llm_gguf *g, int n_thread, struct llm_err *err);

/*
 * llm_ident_stamp - what tells the files of g, as they were opened, from others and from themselves once written
 * to: a hash of size and time of change of each part; with place of its device and inode too.
 */
struct llm_hash llm_ident_stamp(const struct llm_gguf *g, bool place);

/*
 * A record is a file of lines "STAMP IDENTITY", in hexadecimal, newest first, at most
 * LLM_IDENT_RECORDS of them.
 * llm_ident_recall - the identity that was kept for a stamp; false where there is none, or no such file,
 * or it is not the caller's or root's, or others may write to it.
 * llm_ident_keep - put a line first, in a new file of this mode.  LLM_EIO, LLM_ENOMEM.
 */
enum { LLM_IDENT_RECORDS = 256 };
bool llm_ident_recall(struct llm_hash *out, const char *record, const struct llm_hash *stamp);
int llm_ident_keep(const char *record, const struct llm_hash *stamp, const struct llm_hash *id,
    unsigned mode, struct llm_err *err);

#endif
