/*
 * SPDX-License-Identifier: ISC
 *
 * Rates of the products, for each instruction set and type: one token in GB/s beside a plain read
 * of the same memory, many tokens in GFLOP/s beside the multiply peaks, all in the same run.
 * usage: kernels [threads [set [type [columns]]]]; TSV on stdout.
 */
#define _POSIX_C_SOURCE 200809L
#include "libcore/cpu.h"
#include "libcore/kernels/kernels.h"
#include "libcore/pool.h"
#include "tests/blocks.h"
#include "tests/products.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_THREAD = 64, REPEAT = 9, BIG_BYTES = 160 << 20, MANY = 512 };

/* With one thread its own time, which other programs disturb less; else the clock's. */
static clockid_t clock_id = CLOCK_THREAD_CPUTIME_ID;

static double
now(void)
{
	struct timespec t;
	clock_gettime(clock_id, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *
take(size_t n)
{
	void *p = aligned_alloc(64, (n + 127) & ~(size_t)63);
	if (p == NULL) {
		fprintf(stderr, "kernels: out of memory\n");
		exit(71);
	}
	return p;
}

/* Best and median of seconds. */
struct timing {
	double best, median;
};

static int
order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

struct work {
	const struct llm_product_kernels *k;
	struct llm_product *p;
	char *scratch;
	const char *memory;
	void (*peak)(long);
};

static void
multiply(void *arg, int begin, int end, int thread)
{
	struct work *w = arg;
	w->k->run(w->p, begin, end, w->scratch + (size_t)thread * LLM_PRODUCT_SCRATCH);
}

/* Reads units of 64 KB, by plain loads. */
static void
read_memory(void *arg, int begin, int end, int thread)
{
	struct work *w = arg;
	const uint64_t *p = (const uint64_t *)(const void *)(w->memory + (size_t)begin * 65536);
	size_t n = (size_t)(end - begin) * 8192;
	uint64_t sum[8] = {0};
	for (size_t i = 0; i < n; i += 8)
		for (int j = 0; j < 8; j++)
			sum[j] |= p[i + (size_t)j];
	for (int j = 1; j < 8; j++)
		sum[0] |= sum[j];
	__asm__ volatile("" : : "r"(sum[0]));
	(void)thread;
}

static void
reach_peak(void *arg, int begin, int end, int thread)
{
	struct work *w = arg;
	for (int i = begin; i < end; i++)
		w->peak(2000000);
	(void)thread;
}

static struct timing
measure(struct llm_pool *pool, llm_pool_work f, struct work *w, int n, int grain)
{
	double t[REPEAT];
	llm_pool_run(pool, f, w, n, grain);
	for (int i = 0; i < REPEAT; i++) {
		double t0 = now();
		llm_pool_run(pool, f, w, n, grain);
		t[i] = now() - t0;
	}
	qsort(t, REPEAT, sizeof t[0], order);
	return (struct timing){t[0], t[REPEAT / 2]};
}

#if defined(__x86_64__)
/* Twelve independent chains, in asm so that no compiler spills or reorders them. */
#define CHAINS(op, r)                                                                        \
	op " %%" r "14, %%" r "15, %%" r "0\n\t" op " %%" r "14, %%" r "15, %%" r "1\n\t" op \
	   " %%" r "14, %%" r "15, %%" r "2\n\t" op " %%" r "14, %%" r "15, %%" r "3\n\t" op \
	   " %%" r "14, %%" r "15, %%" r "4\n\t" op " %%" r "14, %%" r "15, %%" r "5\n\t" op \
	   " %%" r "14, %%" r "15, %%" r "6\n\t" op " %%" r "14, %%" r "15, %%" r "7\n\t" op \
	   " %%" r "14, %%" r "15, %%" r "8\n\t" op " %%" r "14, %%" r "15, %%" r "9\n\t" op \
	   " %%" r "14, %%" r "15, %%" r "10\n\t" op " %%" r "14, %%" r "15, %%" r "11\n\t"
#define PEAK(name, isa, op, r)                                                              \
	__attribute__((target(isa))) static void name(long n)                               \
	{                                                                                   \
		__asm__ volatile("vzeroall\n1:\n\t" CHAINS(op, r) "dec %0\n\tjnz 1b\n\t"    \
								  "vzeroupper"              \
				 : "+r"(n)                                                  \
				 :                                                          \
				 : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",    \
				 "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm14", \
				 "xmm15");                                                  \
	}
PEAK(peak_fma256, "avx2,fma", "vfmadd231ps", "ymm")
PEAK(peak_maddubs256, "avx2,fma", "vpmaddubsw", "ymm")
PEAK(peak_fma512, "avx512f", "vfmadd231ps", "zmm")
PEAK(peak_dpbusd512, "avx512f,avx512vnni", "vpdpbusd", "zmm")

struct peak {
	const char *name;
	void (*run)(long);
	int ops; /* an instruction: 2 a multiplication */
	bool here;
};

static void
print_peaks(struct llm_pool *pool)
{
	struct llm_cpu cpu = llm_cpu_detect();
	const struct peak peaks[] = {
	    {"f32 FMA ymm", peak_fma256, 16, cpu.avx2},
	    {"int8 vpmaddubsw ymm", peak_maddubs256, 64, cpu.avx2},
	    {"f32 FMA zmm", peak_fma512, 32, cpu.avx512},
	    {"int8 vpdpbusd zmm", peak_dpbusd512, 128, cpu.avx512},
	};
	int n = llm_pool_n_thread(pool);
	for (size_t i = 0; i < sizeof peaks / sizeof peaks[0]; i++) {
		if (!peaks[i].here)
			continue;
		struct work w = {.peak = peaks[i].run};
		struct timing t = measure(pool, reach_peak, &w, n, 1);
		double ops = 2e6 * 12 * peaks[i].ops * n;
		printf("peak\t%s\t\t%.0f\t%.0f\tG/s\n", peaks[i].name, ops / t.median / 1e9,
		    ops / t.best / 1e9);
	}
}
#else
static void
print_peaks(struct llm_pool *pool)
{
	(void)pool;
}
#endif

/*
 * Weights of a type: floats as in a model, for a subnormal one costs some processors a hundred cycles;
 * else random bytes with every half finite, so that no format meets NaN: the top bits stay clear.
 */
static void
fill_memory(unsigned char *memory, enum llm_dtype type)
{
	uint64_t state = 7;
	if (llm_dtype_info(type)->act == LLM_ACT_F32)
		test_weights(memory, type,
		    (1 << 20) / (size_t)llm_dtype_info(type)->block_bytes, TEST_PLAIN, &state);
	else
		for (size_t i = 0; i < 1 << 20; i++)
			memory[i] = (unsigned char)(test_random(&state) >> 56) & 0xbb;
	for (size_t i = 1 << 20; i < BIG_BYTES; i += 1 << 20)
		memcpy(memory + i, memory, 1 << 20);
}

/* Rates of one type by one set: tokens 1 from memory, then some from the cache. */
static void
bench_type(
    struct llm_pool *pool, struct work *w, const char *set, enum llm_dtype type, int n_col)
{
	static const int counts[] = {1, 2, 3, 4, 6, 8, 12, 16, 32, MANY};
	const struct llm_dtype_info *info = llm_dtype_info(type);
	size_t row_bytes = llm_dtype_row_bytes(type, n_col);
	int n_big = (int)(BIG_BYTES / row_bytes) & ~63;
	for (int precise = 0; precise <= (info->block > 1); precise++) {
		for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
			int n_tok = counts[i], n_row = n_tok == 1      ? n_big
						       : n_tok == MANY ? 1024
								       : 8192;
			enum llm_act_kind kind = precise ? LLM_ACT_F32 : info->act;
			struct llm_act a;
			float *x = take((size_t)n_tok * (size_t)n_col * 4);
			float *y = take((size_t)n_tok * (size_t)n_row * 4);
			void *mem = take(llm_act_bytes(kind, n_col, n_tok));
			uint64_t state = 1;
			if (strcmp(set, "generic") == 0)
				n_row = n_row < 512 ? n_row : 512;
			test_activations(x, n_tok * n_col, TEST_PLAIN, &state);
			llm_act_init(&a, mem, kind, n_col, n_tok, x, (size_t)n_col);
			double t0 = now();
			if (kind != LLM_ACT_F32)
				w->k->quantize(&a, 0, n_tok);
			double quantize_s = now() - t0;
			struct llm_product p = {.w = w->memory,
			    .type = type,
			    .n_row = n_row,
			    .n_col = n_col,
			    .x = &a,
			    .y = y,
			    .y_stride = (size_t)n_row};
			w->p = &p;
			struct timing t = measure(pool, multiply, w, n_row, 64);
			double bytes = (double)n_row * (double)row_bytes;
			double flop = 2.0 * n_row * n_col * n_tok;
			printf("%s\t%s%s\t%d\t%.1f\t%.1f\tGFLOP/s\t%.1f\tGB/s", set, info->name,
			    precise ? "+f32" : "", n_tok, flop / t.median / 1e9,
			    flop / t.best / 1e9, bytes / t.median / 1e9);
			if (n_tok == 1) {
				struct timing r =
				    measure(pool, read_memory, w, BIG_BYTES >> 16, 16);
				printf("\tread %.1f", BIG_BYTES / r.median / 1e9);
			} else {
				printf("\tquantize %.1f us", quantize_s * 1e6);
			}
			putchar('\n');
			fflush(stdout);
			free(x);
			free(y);
			free(mem);
		}
	}
}

int
main(int argc, char **argv)
{
	int n_thread = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 1;
	int n_col = argc > 4 ? (int)strtol(argv[4], NULL, 10) : 2048;
	const struct llm_kernels *k;
	struct llm_pool *pool;
	struct llm_err err;
	if (llm_pool_new(&pool, n_thread, &err) < 0) {
		fprintf(stderr, "kernels: %s\n", err.msg);
		return llm_err_status(err.code);
	}
	if (llm_pool_n_thread(pool) > 1)
		clock_id = CLOCK_MONOTONIC;
	printf("set\ttype\ttokens\tmedian\tbest\n");
	print_peaks(pool);
	unsigned char *memory = take(BIG_BYTES + 4096);
	char *scratch = take((size_t)llm_pool_n_thread(pool) * LLM_PRODUCT_SCRATCH);
	for (int s = 0; (k = llm_kernels_at(s)) != NULL; s++) {
		if (argc > 2 ? strcmp(argv[2], k->name) != 0 : s == 0)
			continue;
		for (int i = 0; i < TEST_N_PRODUCT; i++) {
			enum llm_dtype type = test_product_type(i);
			struct work w = {
			    .k = k->product, .scratch = scratch, .memory = (char *)memory};
			if (argc > 3 && strcmp(argv[3], llm_dtype_info(type)->name) != 0)
				continue;
			fill_memory(memory, type);
			bench_type(pool, &w, k->name, type, n_col);
		}
	}
	free(scratch);
	free(memory);
	llm_pool_free(pool);
	return 0;
}
