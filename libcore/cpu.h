/*
 * SPDX-License-Identifier: ISC
 *
 * What this processor can do and how much of the machine this process may use.
 */
#ifndef LLM_CPU_H
#define LLM_CPU_H

#include <stdbool.h>

/* Instruction sets that the kernels ask for; true only where the system saves their registers too. */
struct llm_cpu {
	bool avx2;    /* AVX2, FMA, F16C */
	bool avxvnni; /* the same, and VPDPBUSD on 256 bits without AVX-512 */
	bool avx512;  /* all of avx2, and AVX-512 F BW VL DQ VNNI */
	bool amx;     /* all of avx512, AMX-TILE and AMX-INT8; this process may use tiles */
	bool neon;    /* 64-bit ARM, which always has it */
	bool dotprod; /* the same, and SDOT */
};

/* llm_cpu_detect - ask the processor, and the system for tiles.  Cannot fail: what is not known is false. */
struct llm_cpu llm_cpu_detect(void);

/*
 * llm_cpu_count - threads that this process may keep busy, >= 1: the processors of its affinity
 * mask, and no more than the CPU quota of its control group and those above it, rounded up.
 */
int llm_cpu_count(void);

/*
 * llm_cpu_quota - the quota part of that, 0 where there is none.  self: a file as
 * /proc/self/cgroup; mount: where control groups are mounted, as /sys/fs/cgroup; versions 1 and 2.
 */
int llm_cpu_quota(const char *self, const char *mount);

#endif
