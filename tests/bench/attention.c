/*
 * SPDX-License-Identifier: ISC
 *
 * Rates of attention for each instruction set and KV type: few queries over much memory (a
 * token's decode) in GB/s beside a plain read, many queries (a prompt's chunk) in GFLOP/s beside
 * the f32 FMA peak; the yardsticks are taken between the repeats.
 * usage: attention [threads [set [d_head]]]; TSV on stdout.
 */
#define _POSIX_C_SOURCE 200809L
#include "libcore/cpu.h"
#include "libcore/kernels/kernels.h"
#include "libcore/pool.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	MAX_THREAD = 64,
	REPEAT = 9,
	N_HEAD = 8, /* KV heads whose slots lie between two pages of one */
	MAX_BYTES = 160 << 20,
	PEAK_ROUNDS = 1000000,
};

struct work {
	const struct llm_attention_kernels *k;
	enum llm_kv_type type;
	int d_head, n_q, n_pos;
	char *memory; /* [page][N_HEAD] slots */
	char *scratch;
	const float *q;
	float *out; /* a thread: m, l, acc */
};

/* Processor time where it is one thread's, which neighbours disturb less; else the clock's. */
static clockid_t source = CLOCK_MONOTONIC;

static double
now(void)
{
	struct timespec t;
	clock_gettime(source, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *
take(size_t n)
{
	void *p = aligned_alloc(64, (n + 127) & ~(size_t)63);
	if (p == NULL) {
		fprintf(stderr, "attention: out of memory\n");
		exit(71);
	}
	return p;
}

/* A unit is a segment of one KV head. */
static void
attend(void *arg, int begin, int end, int thread)
{
	const struct work *w = arg;
	size_t slot_bytes = llm_kv_slot_bytes(w->type, w->d_head);
	float *out = w->out + (size_t)thread * (64 * 1024);
	int n_pos[LLM_ATTENTION_QUERIES];
	for (int i = 0; i < w->n_q; i++)
		n_pos[i] = w->n_pos;
	for (int u = begin; u < end; u++) {
		const void *slot[LLM_KV_SEGMENT / LLM_KV_PAGE];
		for (int p = 0; p < LLM_KV_SEGMENT / LLM_KV_PAGE; p++) {
			size_t page = (size_t)(u / N_HEAD * 16 + p);
			slot[p] =
			    w->memory + (page * N_HEAD + (size_t)(u % N_HEAD)) * slot_bytes;
		}
		struct llm_attention a = {.type = w->type,
		    .d_head = w->d_head,
		    .n_q = w->n_q,
		    .q = w->q,
		    .n_pos = n_pos,
		    .slot = slot,
		    .m = out,
		    .l = out + 64,
		    .acc = out + 128};
		w->k->segment(&a, w->scratch + (size_t)thread * LLM_ATTENTION_SCRATCH);
	}
}

/* Reads units of 64 KB, by plain loads. */
static void
read_memory(void *arg, int begin, int end, int thread)
{
	const struct work *w = arg;
	const uint64_t *p = (const uint64_t *)(const void *)(w->memory + (size_t)begin * 65536);
	uint64_t sum[8] = {0};
	for (size_t i = 0; i < (size_t)(end - begin) * 8192; i += 8)
		for (size_t j = 0; j < 8; j++)
			sum[j] |= p[i + j];
	for (int j = 1; j < 8; j++)
		sum[0] |= sum[j];
	__asm__ volatile("" : : "r"(sum[0]));
	(void)thread;
}

#if defined(__x86_64__)
#define FMA(r, i) "vfmadd231ps %%" r "14, %%" r "15, %%" r #i "\n\t"
#define CHAINS(r) \
	FMA(r, 0) \
	FMA(r, 1) \
	FMA(r, 2) \
	FMA(r, 3) \
	FMA(r, 4) FMA(r, 5) FMA(r, 6) FMA(r, 7) FMA(r, 8) FMA(r, 9) FMA(r, 10) FMA(r, 11)
#define SPIN(r, n)                                                                       \
	__asm__ volatile("vzeroall\n1:\n\t" CHAINS(r) "dec %0\n\tjnz 1b\n\tvzeroupper"   \
			 : "+r"(n)                                                       \
			 :                                                               \
			 : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", \
			 "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm14", "xmm15")

/* Twelve independent chains, as wide as the set's registers. */
__attribute__((target("avx2,fma"))) static double
spin256(long n)
{
	SPIN("ymm", n);
	return 12.0 * 16;
}

__attribute__((target("avx512f"))) static double
spin512(long n)
{
	SPIN("zmm", n);
	return 12.0 * 32;
}

static double
spin(const char *set, long n)
{
	if (strcmp(set, "generic") == 0)
		return 0;
	return strcmp(set, "avx512") == 0 ? spin512(n) : spin256(n);
}
#else
static double
spin(const char *set, long n)
{
	(void)set;
	(void)n;
	return 0;
}
#endif

static const char *set_name;

static void
reach_peak(void *arg, int begin, int end, int thread)
{
	for (int i = begin; i < end; i++)
		spin(set_name, PEAK_ROUNDS);
	(void)arg;
	(void)thread;
}

static double
timed(struct llm_pool *pool, llm_pool_work f, struct work *w, int n, int grain)
{
	double t0 = now();
	llm_pool_run(pool, f, w, n, grain);
	return now() - t0;
}

static int
order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double
median(double t[REPEAT])
{
	qsort(t, REPEAT, sizeof t[0], order);
	return t[REPEAT / 2];
}

/* Decode: all of memory is read once by n_q queries a KV head. */
static void
bench_few(struct llm_pool *pool, struct work *w, const char *type)
{
	size_t unit_bytes = 16 * llm_kv_slot_bytes(w->type, w->d_head);
	int n_unit = (int)((size_t)MAX_BYTES / (N_HEAD * unit_bytes)) * N_HEAD;
	double bytes = (double)n_unit * (double)unit_bytes, t[REPEAT], r[REPEAT];
	if (strcmp(set_name, "generic") == 0)
		n_unit = N_HEAD;
	for (int i = 0; i < REPEAT; i++) {
		r[i] = timed(pool, read_memory, w, (int)(bytes / 65536), 16);
		t[i] = timed(pool, attend, w, n_unit, 1);
	}
	double rate = (double)n_unit * (double)unit_bytes / median(t) / 1e9;
	double read = bytes / median(r) / 1e9;
	printf("%s\t%s\t%d\t%d\t%.1f\tGB/s\tread %.1f\t%.2f\n", set_name, type, w->d_head,
	    w->n_q, rate, read, rate / read);
}

/* Prefill: many queries see each segment whole; a few segments, which the caches keep. */
static void
bench_many(struct llm_pool *pool, struct work *w, const char *type)
{
	int n_thread = llm_pool_n_thread(pool), n_unit = n_thread * N_HEAD;
	double t[REPEAT], p[REPEAT], ops = spin(set_name, 1) * PEAK_ROUNDS;
	if (strcmp(set_name, "generic") == 0)
		n_unit = n_thread;
	timed(pool, attend, w, n_unit, 1);
	for (int i = 0; i < REPEAT; i++) {
		p[i] = timed(pool, reach_peak, w, n_thread, 1);
		t[i] = timed(pool, attend, w, n_unit, 1);
	}
	double rate = 4.0 * w->n_q * w->n_pos * w->d_head * n_unit / median(t) / 1e9;
	double peak = ops * n_thread / median(p) / 1e9;
	printf("%s\t%s\t%d\t%d\t%.1f\tGFLOP/s\tpeak %.1f\t%.2f\n", set_name, type, w->d_head,
	    w->n_q, rate, peak, peak > 0 ? rate / peak : 0);
}

/* Every number a small one: bytes whose top bits are clear, in every type. */
static void
fill(struct work *w)
{
	uint64_t state = 88172645463325252ULL;
	for (size_t i = 0; i < MAX_BYTES; i++) {
		if (i < 1 << 20) {
			state ^= state << 13;
			state ^= state >> 7;
			state ^= state << 17;
			w->memory[i] = (char)((state >> 56) & 0xbb);
		} else {
			w->memory[i] = w->memory[i - (1 << 20)];
		}
	}
}

static void
bench_set(struct llm_pool *pool, struct work *w, int only_d)
{
	static const char *const types[] = {"f16", "q8_0", "f32"};
	static const int heads[] = {64, 128}, few[] = {1, 3, 4, 8}, many[] = {16, 32, 64};
	for (int type = 0; type < 3; type++) {
		for (size_t h = 0; h < 2; h++) {
			w->type = (enum llm_kv_type)type;
			w->d_head = heads[h];
			if (only_d != 0 && w->d_head != only_d)
				continue;
			for (size_t i = 0; i < sizeof few / sizeof few[0]; i++) {
				w->n_q = few[i];
				bench_few(pool, w, types[type]);
			}
			for (size_t i = 0; i < sizeof many / sizeof many[0]; i++) {
				w->n_q = many[i];
				bench_many(pool, w, types[type]);
			}
		}
	}
}

int
main(int argc, char **argv)
{
	int n_thread = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 1;
	int only_d = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 0;
	struct llm_pool *pool;
	struct llm_err err;
	const struct llm_kernels *k;
	if (n_thread > MAX_THREAD || llm_pool_new(&pool, n_thread, &err) < 0) {
		fprintf(stderr, "attention: no such number of threads\n");
		return 64;
	}
	n_thread = llm_pool_n_thread(pool);
	if (n_thread == 1)
		source = CLOCK_THREAD_CPUTIME_ID;
	float *q = take(64 * 128 * sizeof(float));
	for (int i = 0; i < 64 * 128; i++)
		q[i] = (float)(i * 37 % 101 - 50) * 1e-3f;
	struct work w = {.memory = take(MAX_BYTES),
	    .scratch = take((size_t)n_thread * LLM_ATTENTION_SCRATCH),
	    .out = take((size_t)n_thread * 64 * 1024 * sizeof(float)),
	    .q = q,
	    .n_pos = LLM_KV_SEGMENT};
	fill(&w);
	printf("set\ttype\td_head\tqueries\tmedian\n");
	for (int s = 0; (k = llm_kernels_at(s)) != NULL; s++) {
		if (argc > 2 ? strcmp(argv[2], k->name) != 0 : s == 0)
			continue;
		set_name = k->name;
		w.k = k->attention;
		bench_set(pool, &w, only_d);
	}
	free(q);
	free(w.memory);
	free(w.scratch);
	free(w.out);
	llm_pool_free(pool);
	return 0;
}
