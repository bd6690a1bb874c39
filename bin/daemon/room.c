/*
 * SPDX-License-Identifier: ISC
 *
 * Sums and choices over the list of models; see room.h.
 */
#include "bin/daemon/room.h"

uint64_t
room_used(const struct model *first)
{
	uint64_t sum = 0;
	for (const struct model *x = first; x != NULL; x = x->next)
		if (x->state == MODEL_READY)
			sum += x->resident->bytes;
		else if (x->state == MODEL_OPENING)
			sum += atomic_load(&x->watch.of_bytes);
	return sum;
}

uint64_t
room_possible(const struct model *first, uint64_t budget)
{
	uint64_t used = 0;
	for (const struct model *x = first; x != NULL; x = x->next)
		if (x->state == MODEL_READY && x->n_use > 0)
			used += x->resident->bytes;
	return budget > used ? budget - used : 0;
}

struct model *
room_oldest(struct model *first)
{
	struct model *oldest = NULL;
	for (struct model *x = first; x != NULL; x = x->next)
		if (x->state == MODEL_READY && x->n_use == 0 && !x->stale &&
		    (oldest == NULL || x->used < oldest->used))
			oldest = x;
	return oldest;
}

bool
room_coming(const struct model *first)
{
	for (const struct model *x = first; x != NULL; x = x->next)
		if (x->stale && x->working && x->n_use == 0)
			return true;
	return false;
}
