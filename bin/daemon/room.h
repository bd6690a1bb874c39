/*
 * SPDX-License-Identifier: ISC
 *
 * Memory for weights: what the models of a list take, what could be had, and who would go for it.
 */
#ifndef LLMD_ROOM_H
#define LLMD_ROOM_H

#include "bin/daemon/models.h"

/* Bytes of weights that are there or being packed. */
uint64_t room_used(const struct model *first);
/* Bytes of a budget that are free once all have gone that nobody uses. */
uint64_t room_possible(const struct model *first, uint64_t budget);
/* The one that goes first: of those that nobody uses it has rested for longest.  NULL: none. */
struct model *room_oldest(struct model *first);
/* Whether one goes as soon as the work on it is done, and makes room then. */
bool room_coming(const struct model *first);

#endif
