/*
 * SPDX-License-Identifier: ISC
 *
 * llm-search: lines kept with their vectors, and asked for the nearest.
 */
#ifndef LLM_SEARCH_H
#define LLM_SEARCH_H

#include "bin/tool_embed.h"
#include "embed/corpus.h"

struct search {
	const char *index; /* its path */
	int n_best;        /* -n */
	double min;        /* --min: a lower score is no hit */
	bool json;
	bool verbose;
	struct tool_embed *embed;
	const struct llm_embedder *embedder; /* its facts */
};

/* What the embedder's vectors are made by. */
struct llm_corpus_maker search_maker(const struct search *s);

/* Puts the records of the files (NULL-ended, none: standard input) into the
 * index; the exit status. */
int search_build(const struct search *s, char *const *paths, bool adding);

/* Asks the words, or where there are none each record of standard input; the
 * exit status. */
int search_ask(const struct search *s, char *const *words);

#endif
