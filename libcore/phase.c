/*
 * SPDX-License-Identifier: ISC
 *
 * The phase clock; see phase.h.
 */
#include "libcore/phase.h"
#include "libcore/clock.h"

#include <string.h>

static const char *const names[LLM_PHASE_N] = {
    [LLM_PHASE_BETWEEN] = "between",
    [LLM_PHASE_OTHER] = "other",
    [LLM_PHASE_EMBED] = "embed",
    [LLM_PHASE_PREPARE] = "prepare",
    [LLM_PHASE_QKV] = "qkv",
    [LLM_PHASE_ROTATE] = "rotate",
    [LLM_PHASE_ATTEND] = "attend",
    [LLM_PHASE_OUT] = "out",
    [LLM_PHASE_GATE_UP] = "gate_up",
    [LLM_PHASE_DOWN] = "down",
    [LLM_PHASE_HEAD] = "head",
    [LLM_PHASE_FINITE] = "finite",
};

const char *
llm_phase_name(enum llm_phase phase)
{
	return names[phase];
}

void
llm_phase_start(struct llm_phases *p, bool on)
{
	memset(p, 0, sizeof *p);
	p->on = on;
	if (on)
		p->at = (uint64_t)llm_clock_ns();
}

void
llm_phase_look(struct llm_phases *p, bool waited)
{
	uint64_t now = (uint64_t)llm_clock_ns();
	(waited ? p->wait_ns : p->work_ns)[p->now] += now - p->at;
	p->at = now;
}
