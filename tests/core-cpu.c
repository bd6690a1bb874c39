/*
 * SPDX-License-Identifier: ISC
 *
 * How many threads a process may use, from control groups of both versions in a directory of our own,
 * and the choice of kernels by name.
 */
#define _POSIX_C_SOURCE 200809L
#include "libcore/cpu.h"
#include "libcore/kernels/kernels.h"

#include "tests/tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char root[] = "/tmp/llm-cpu-XXXXXX";

/* Writes text to root/name, making the directories on the way. */
static void
put(const char *name, const char *text)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%s", root, name);
	for (char *p = path + sizeof root; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
	FILE *f = fopen(path, "w");
	if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0) {
		perror(path);
		exit(71);
	}
}

static int
quota(const char *self)
{
	char path[512], mount[512];
	put("self", self);
	snprintf(path, sizeof path, "%s/self", root);
	snprintf(mount, sizeof mount, "%s/cg", root);
	return llm_cpu_quota(path, mount);
}

static void
test_version2(void)
{
	put("cg/a/b/cpu.max", "max 100000\n");
	tap_ok(quota("0::/a/b\n") == 0, "a group without a limit has no quota");
	put("cg/a/b/cpu.max", "200000 100000\n");
	tap_ok(quota("0::/a/b\n") == 2, "a quota of two periods is two threads");
	put("cg/a/b/cpu.max", "150000 100000\n");
	tap_ok(quota("0::/a/b\n") == 2, "one and a half are rounded up");
	put("cg/a/b/cpu.max", "1000 100000\n");
	tap_ok(quota("0::/a/b\n") == 1, "a hundredth is one thread");
	put("cg/a/b/cpu.max", "400000 100000\n");
	put("cg/a/cpu.max", "300000 100000\n");
	tap_ok(quota("0::/a/b\n") == 3, "a group above limits those below");
	put("cg/cpu.max", "100000 100000\n");
	tap_ok(quota("0::/a/b\n") == 1, "the mount itself limits all");
	tap_ok(
	    quota("0::/nowhere/at/all\n") == 1, "a group that is not seen leaves those above");
	put("cg/cpu.max", "max 100000\n");
	static const char *const bad[] = {
	    "", "\n", "many few\n", "-5 100000\n", "100000\n", "100000 0\n"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		put("cg/x/cpu.max", bad[i]);
		tap_ok(
		    quota("0::/x\n") == 0, "a cpu.max that says nothing is no quota (%zu)", i);
	}
}

static void
test_version1(void)
{
	put("cg/cpu,cpuacct/d/cpu.cfs_quota_us", "250000\n");
	put("cg/cpu,cpuacct/d/cpu.cfs_period_us", "100000\n");
	tap_ok(quota("5:cpu,cpuacct:/d\n1:name=systemd:/d\n") == 3, "version 1 has two files");
	put("cg/cpu,cpuacct/d/cpu.cfs_quota_us", "-1\n");
	tap_ok(quota("5:cpu,cpuacct:/d\n") == 0, "minus one is no quota");
	put("cg/cpu/e/cpu.cfs_quota_us", "100000\n");
	put("cg/cpu/e/cpu.cfs_period_us", "50000\n");
	tap_ok(
	    quota("7:cpuset:/e\n4:cpu:/e\n") == 2, "the controller's own directory is found");
	tap_ok(quota("7:cpuset:/e\n9:cpuacct:/e\n") == 0, "other controllers do not count");
	put("cg/h/cpu.max", "100000 100000\n");
	tap_ok(quota("4:cpu:/e\n0::/h\n") == 1, "of both versions the smaller counts");
	tap_ok(
	    quota("") == 0 && quota("nonsense\n:\n") == 0, "a list without sense is no quota");
	tap_ok(llm_cpu_quota("/nonexistent", "/nonexistent") == 0, "no list is no quota");
	tap_ok(llm_cpu_count() >= 1, "there is always one thread to use (%d)", llm_cpu_count());
}

static void
test_kernels(void)
{
	const struct llm_kernels *k = NULL, *best = NULL, *at;
	struct llm_err err = {0, ""};
	int n = 0;
	while ((at = llm_kernels_at(n)) != NULL) {
		best = at;
		n++;
		tap_ok(llm_kernels_get(&k, at->name, &err) == 0 && k == at,
		    "kernels %s are found by name", at->name);
	}
	tap_ok(n > 0 && strcmp(llm_kernels_at(0)->name, "generic") == 0, "plain C comes first");
	tap_ok(llm_kernels_get(&k, NULL, &err) == 0 && k == best, "no name is the best");
	tap_ok(llm_kernels_get(&k, "", &err) == 0 && k == best, "an empty name is the best");
	int code = llm_kernels_get(&k, "m68k\n", &err);
	tap_ok(code == LLM_ENOCPU && strstr(err.msg, "generic") &&
		   strstr(err.msg, best->name) && strchr(err.msg, '\n') == NULL,
	    "an unknown name is refused in one line with those there are: %s", err.msg);
	struct llm_cpu cpu = llm_cpu_detect();
	tap_ok(!cpu.avx512 || cpu.avx2, "AVX-512 never comes without AVX2");
	tap_ok(!cpu.amx || cpu.avx512, "tiles never come without AVX-512");
}

int
main(void)
{
	if (mkdtemp(root) == NULL) {
		perror(root);
		return 71;
	}
	test_version2();
	test_version1();
	test_kernels();
	char command[64];
	snprintf(command, sizeof command, "rm -rf %s", root);
	if (system(command) != 0)
		perror(command);
	return tap_done();
}
