/*
 * SPDX-License-Identifier: ISC
 *
 * The size of what attention keeps: one slot of a page, whatever the instruction set.
 */
#include "libcore/kernels/attention.h"

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
