/*
 * SPDX-License-Identifier: ISC
 *
 * The table of kernel sets, slowest first, and the choice among those that this processor runs.
 */
#include "libcore/kernels/kernels.h"

#include "libcore/cpu.h"

#include <stdio.h>
#include <string.h>

static const struct llm_kernels generic = {
    .name = "generic",
    .product = &llm_product_generic,
    .vector = &llm_vector_generic,
    .attention = &llm_attention_generic,
};

#if defined(__x86_64__)
static const struct llm_kernels avx2 = {
    .name = "avx2",
    .product = &llm_product_avx2,
    .vector = &llm_vector_avx2,
    .attention = &llm_attention_avx2,
};

static const struct llm_kernels avxvnni = {
    .name = "avxvnni",
    .product = &llm_product_avxvnni,
    .vector = &llm_vector_avx2,
    .attention = &llm_attention_avx2,
};

static const struct llm_kernels avx512 = {
    .name = "avx512",
    .product = &llm_product_avx512,
    .vector = &llm_vector_avx512,
    .attention = &llm_attention_avx512,
};

static const struct llm_kernels amx = {
    .name = "amx",
    .product = &llm_product_amx,
    .vector = &llm_vector_avx512,
    .attention = &llm_attention_avx512,
};
#elif defined(__aarch64__)
static const struct llm_kernels neon = {
    .name = "neon",
    .product = &llm_product_neon,
    .vector = &llm_vector_neon,
    .attention = &llm_attention_neon,
};

static const struct llm_kernels dotprod = {
    .name = "dotprod",
    .product = &llm_product_dotprod,
    .vector = &llm_vector_neon,
    .attention = &llm_attention_neon,
};
#endif

/* Every set of this build, generic first and the best last. */
static const struct llm_kernels *const built[] = {
    &generic,
#if defined(__x86_64__)
    &avx2,
    &avxvnni,
    &avx512,
    &amx,
#elif defined(__aarch64__)
    &neon,
    &dotprod,
#endif
};

enum { N_BUILT = sizeof built / sizeof built[0] };

static bool
runs_here(const struct llm_kernels *k, const struct llm_cpu *cpu)
{
	if (strcmp(k->name, "avx2") == 0)
		return cpu->avx2;
	if (strcmp(k->name, "avxvnni") == 0)
		return cpu->avxvnni;
	if (strcmp(k->name, "avx512") == 0)
		return cpu->avx512;
	if (strcmp(k->name, "amx") == 0)
		return cpu->amx;
	if (strcmp(k->name, "neon") == 0)
		return cpu->neon;
	if (strcmp(k->name, "dotprod") == 0)
		return cpu->dotprod;
	return true;
}

/* Set i of those that cpu runs. */
static const struct llm_kernels *
usable(const struct llm_cpu *cpu, int i)
{
	for (int b = 0; b < N_BUILT; b++)
		if (runs_here(built[b], cpu) && i-- == 0)
			return built[b];
	return NULL;
}

const struct llm_kernels *
llm_kernels_at(int i)
{
	struct llm_cpu cpu = llm_cpu_detect();
	return usable(&cpu, i);
}

int
llm_kernels_get(const struct llm_kernels **out, const char *name, struct llm_err *err)
{
	struct llm_cpu cpu = llm_cpu_detect();
	bool any = name == NULL || *name == '\0';
	char names[64] = "", quoted[64];
	const struct llm_kernels *k, *found = NULL;
	for (int i = 0; (k = usable(&cpu, i)) != NULL; i++) {
		size_t n = strlen(names);
		snprintf(names + n, sizeof names - n, "%s%s", i ? " " : "", k->name);
		if (any || strcmp(name, k->name) == 0)
			found = k;
	}
	if (found != NULL) {
		*out = found;
		return 0;
	}
	llm_err_quote(quoted, sizeof quoted, name, strlen(name));
	return llm_err_set(err, LLM_ENOCPU,
	    "no kernels '%s' in this build or processor: there are %s", quoted, names);
}
