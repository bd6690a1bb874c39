/*
 * SPDX-License-Identifier: ISC
 *
 * Asks the processor and the kernel what there is to use: instruction sets for the choice of
 * kernels, affinity and control groups for the number of threads.
 */
#define _GNU_SOURCE /* sched_getaffinity */
#include "libcore/cpu.h"

#include <limits.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>

/* Which register states the system saves on a switch (XCR0). */
static uint64_t
saved_states(void)
{
	uint32_t low, high;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (uint64_t)high << 32 | low;
}

/* True where all bits of mask are set. */
static bool
has(uint64_t bits, uint64_t mask)
{
	return (bits & mask) == mask;
}

/* The tiles of AMX are eight KB that a system saves only for processes that asked. */
static bool
tiles_allowed(void)
{
	enum { ARCH_REQ_XCOMP_PERM = 0x1023, XTILEDATA = 18 };
	return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA) == 0;
}

struct llm_cpu
llm_cpu_detect(void)
{
	const uint64_t ymm = 0x6, zmm = 0xe6, tiles = 0x60000;            /* of XCR0 */
	const uint32_t fma = 1u << 12, xsave = 1u << 27, f16c = 1u << 29; /* leaf 1, ecx */
	const uint32_t avx2 = 1u << 5;                                    /* leaf 7, ebx */
	const uint32_t f_dq_bw_vl = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
	const uint32_t avx512vnni = 1u << 11;     /* leaf 7, ecx */
	const uint32_t amx = 1u << 24 | 1u << 25; /* leaf 7, edx: TILE, INT8 */
	const uint32_t avxvnni = 1u << 4;         /* leaf 7.1, eax */
	struct llm_cpu cpu = {0};
	uint32_t a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !has(c, fma | xsave | f16c))
		return cpu;
	uint64_t states = saved_states();
	if (!has(states, ymm) || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !has(b, avx2))
		return cpu;
	cpu.avx2 = true;
	cpu.avx512 = has(states, zmm) && has(b, f_dq_bw_vl) && has(c, avx512vnni);
	cpu.amx = cpu.avx512 && has(states, tiles) && has(d, amx) && tiles_allowed();
	if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d))
		cpu.avxvnni = has(a, avxvnni);
	return cpu;
}

#elif defined(__aarch64__)
#include <sys/auxv.h>

struct llm_cpu
llm_cpu_detect(void)
{
	const unsigned long asimddp = 1ul << 20; /* HWCAP_ASIMDDP of the kernel's interface */
	return (struct llm_cpu){.neon = true, .dotprod = getauxval(AT_HWCAP) & asimddp};
}

#else

struct llm_cpu
llm_cpu_detect(void)
{
	return (struct llm_cpu){0};
}

#endif

/* The first bytes of a small file as text; false where it cannot be read. */
static bool
read_text(char *buf, size_t size, const char *dir, const char *name)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof path, "%s%s%s", dir, *name ? "/" : "", name);
	if (n < 0 || (size_t)n >= sizeof path)
		return false;
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return false;
	size_t len = fread(buf, 1, size - 1, f);
	buf[len] = '\0';
	fclose(f);
	return len > 0;
}

/* ceil(quota / period) as a count of processors; 0 where either says nothing. */
static int
share(long quota, long period)
{
	if (quota <= 0 || period <= 0)
		return 0;
	long n = quota / period + (quota % period != 0);
	return n > INT_MAX ? INT_MAX : (int)n;
}

/* The smaller of two counts, of which 0 says nothing. */
static int
least(int a, int b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

/* Quota of one directory: version 2 writes "max 100000" or "150000 100000", version 1 two files. */
static int
quota_of(const char *dir)
{
	char text[64], *end;
	if (read_text(text, sizeof text, dir, "cpu.max")) {
		long quota = strtol(text, &end, 10);
		return end == text ? 0 : share(quota, strtol(end, NULL, 10));
	}
	if (!read_text(text, sizeof text, dir, "cpu.cfs_quota_us"))
		return 0;
	long quota = strtol(text, NULL, 10);
	if (!read_text(text, sizeof text, dir, "cpu.cfs_period_us"))
		return 0;
	return share(quota, strtol(text, NULL, 10));
}

/* The least quota of mount/group and of every directory above it, down to the mount itself. */
static int
quota_upward(const char *mount, const char *group)
{
	char dir[PATH_MAX];
	int n = snprintf(dir, sizeof dir, "%s%s", mount, group);
	if (n < 0 || (size_t)n >= sizeof dir)
		return quota_of(mount);
	int quota = 0;
	for (size_t top = strlen(mount);;) {
		quota = least(quota, quota_of(dir));
		char *slash = strrchr(dir, '/');
		if (slash == NULL || (size_t)(slash - dir) < top)
			return quota;
		*slash = '\0';
	}
}

/* True where the comma-separated list names the controller "cpu". */
static bool
lists_cpu(const char *list)
{
	for (const char *p = list;; p++) {
		size_t n = strcspn(p, ",");
		if (n == 3 && memcmp(p, "cpu", 3) == 0)
			return true;
		p += n;
		if (*p == '\0')
			return false;
	}
}

int
llm_cpu_quota(const char *self, const char *mount)
{
	char text[8192], dir[PATH_MAX], *save = NULL;
	int quota = 0;
	if (!read_text(text, sizeof text, self, ""))
		return 0;
	/* Lines are "number:controllers:group"; the one hierarchy of version 2 lists none. */
	for (char *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *list = strchr(line, ':');
		char *group = list ? strchr(list + 1, ':') : NULL;
		if (group == NULL)
			continue;
		*group++ = '\0';
		list++;
		if (*list == '\0') {
			quota = least(quota, quota_upward(mount, group));
		} else if (lists_cpu(list)) {
			snprintf(dir, sizeof dir, "%s/%s", mount, list);
			if (access(dir, F_OK) != 0)
				snprintf(dir, sizeof dir, "%s/cpu", mount);
			quota = least(quota, quota_upward(dir, group));
		}
	}
	return quota;
}

/* Processors of the affinity mask, however many the machine has; 0 where it cannot be told. */
static int
affinity_count(void)
{
	for (int n_cpu = 1024; n_cpu <= 1 << 20; n_cpu *= 4) {
		cpu_set_t *set = CPU_ALLOC((size_t)n_cpu);
		size_t size = CPU_ALLOC_SIZE((size_t)n_cpu);
		if (set == NULL)
			return 0;
		int n = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
		CPU_FREE(set);
		if (n > 0)
			return n;
	}
	return 0;
}

int
llm_cpu_count(void)
{
	int n = affinity_count();
	if (n == 0) {
		long online = sysconf(_SC_NPROCESSORS_ONLN);
		n = online > 0 && online < INT_MAX ? (int)online : 1;
	}
	return least(n, llm_cpu_quota("/proc/self/cgroup", "/sys/fs/cgroup"));
}
