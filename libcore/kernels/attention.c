/*
 * SPDX-License-Identifier: ISC
 *
 * What attention keeps, whatever the instruction set: the names of its types, the size of a slot.
 */
#include "libcore/kernels/attention.h"

#include <string.h>

static const char *const names[] = {
    [LLM_KV_F16] = "f16",
    [LLM_KV_Q8_0] = "q8_0",
    [LLM_KV_F32] = "f32",
};

const char *
llm_kv_name(enum llm_kv_type type)
{
	return names[type];
}

bool
llm_kv_named(enum llm_kv_type *type, const char *name)
{
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(name, names[i]) == 0) {
			*type = (enum llm_kv_type)i;
			return true;
		}
	}
	return false;
}

size_t
llm_kv_slot_bytes(enum llm_kv_type type, int d_head)
{
	size_t n = 2 * (size_t)LLM_KV_PAGE * (size_t)d_head; /* keys and values */
	switch (type) {
	case LLM_KV_F16:
		return n * 2;
	case LLM_KV_Q8_0:
		return n + n / 32 * 2;
	case LLM_KV_F32:
		break;
	}
	return n * 4;
}
