/*
 * SPDX-License-Identifier: ISC
 *
 * What programs keep of a model so as not to find it out twice: the index of a large vocabulary, and the
 * model's identity.  Of a model in the store both stand beside it, put there by `llm-model'; of any
 * other in the cache ($XDG_CACHE_HOME/llm, else ~/.cache/llm).  Nothing rests on either: without a
 * place to keep them, all works as before, later.
 */
#ifndef LLM_TOOL_CACHE_H
#define LLM_TOOL_CACHE_H

#include "libcore/hash.h"
#include "tokenize/tokenizer.h"

/*
 * tool_cache - the path of a name in the cache, whose directories are made, for the user alone; NULL where there
 * is no cache.  The caller's to free.
 */
char *tool_cache(const char *name);

/*
 * tool_tokenizer - the tokenizer of g, by an index where there is a good one; where there is none, and the
 * vocabulary is large, one is left in the cache.  Its mapping is watched.  Dies where the vocabulary is bad.
 */
struct llm_tokenizer *tool_tokenizer(const struct llm_gguf *g);
/* tool_tokenizer_open - the same for who goes on: its errors are returned, its mapping is the caller's to watch. */
int tool_tokenizer_open(
    struct llm_tokenizer **out, const struct llm_gguf *g, struct llm_err *err);
/* Closes it; NULL is none. */
void tool_tokenizer_close(struct llm_tokenizer *t);

/* tool_ident - the identity of g (libcore/ident.h): kept, or found out, which takes a while, and kept.  Dies. */
struct llm_hash tool_ident(const struct llm_gguf *g);
/* The same where it is kept already; else false. */
bool tool_ident_known(struct llm_hash *id, const struct llm_gguf *g);

/* tool_keep - leave both beside the files of g, as `llm-model' does for what it installs.  Dies. */
void tool_keep(const struct llm_gguf *g);

#endif
