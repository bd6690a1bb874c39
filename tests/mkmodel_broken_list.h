/*
 * SPDX-License-Identifier: ISC
 *
 * The list of broken models, for mkmodel_broken.c alone: what each is called and how it comes about.
 */
#ifndef LLM_TESTS_MKMODEL_BROKEN_LIST_H
#define LLM_TESTS_MKMODEL_BROKEN_LIST_H

#include "tests/mkmodel_broken.h"

enum mkbroken_kind {
	NONE,
	SET,    /* key where = text */
	UNSET,  /* key where is left out */
	ADD,    /* a tensor where of text "TYPE NE0 [NE1]" */
	DROP,   /* tensor where is left out */
	RETYPE, /* tensor where has the type text */
	RENAME, /* tensor where is called text */
	SPREAD, /* tensor where has the standard deviation text */
	PUT,    /* at mark where + at: n bytes of value */
	CUT,    /* the file ends at mark where + at; where "" counts from its end */
	SPLIT,  /* three parts, spoilt as text says */
};

struct mkbroken_change {
	enum mkbroken_kind kind;
	const char *where, *text;
	long at;
	int n;
	uint64_t value;
};

struct mkbroken_row {
	struct mkbroken about;
	struct mkbroken_change change[2];
};

/* The i-th, or NULL past the end. */
const struct mkbroken_row *mkbroken_row(int i);

#endif
