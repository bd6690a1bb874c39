/*
 * SPDX-License-Identifier: ISC
 *
 * Rates of attention for each instruction set and KV type: few queries over much memory (a
 * token's decode) in GB/s beside a plain read, many queries (a prompt's chunk) in GFLOP/s beside
 * the f32 FMA peak; the yardsticks are taken between the repeats.
 * usage: attention [threads [set [d_head [type [queries]]]]] (set all: every one); TSV on stdout.
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
	REPEAT = 21,
	N_HEAD = 8, /* KV heads whose slots lie between two pages of one */
	MAX_BYTES = 160 << 20,
	PEAK_ROUNDS = 1000000,
};

struct work {
	const struct llm_attention_kernels *k;
	enum llm_kv_type type;
	int d_head, n_q, n_pos;
	int n_segment; /* that units share, in turns: 0 for one each */
	char *memory;  /* [page][N_HEAD] slots */
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
			int s = w->n_segment > 0 ? u % w->n_segment : u;
			size_t page = (size_t)(s / N_HEAD * 16 + p);
			slot[p] =
			    w->memory + (page * N_HEAD + (size_t)(s % N_HEAD)) * slot_bytes;
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

/* Least of the repeats: what the machine does when nobody disturbs. */
static double
best(const double t[REPEAT])
{
	double least = t[0];
	for (int i = 1; i < REPEAT; i++)
		least = t[i] < least ? t[i] : least;
	return least;
}

/* Decode: all of memory is read once by n_q queries a KV head; and the same from a cache. */
static void
bench_few(struct llm_pool *pool, struct work *w, const char *type)
{
	size_t unit_bytes = 16 * llm_kv_slot_bytes(w->type, w->d_head);
	int n_unit = (int)((size_t)MAX_BYTES / (N_HEAD * unit_bytes)) * N_HEAD;
	double bytes = (double)n_unit * (double)unit_bytes, t[REPEAT], r[REPEAT], c[REPEAT];
	int n_cached = n_unit / 8;
	if (strcmp(set_name, "generic") == 0)
		n_unit = n_cached = N_HEAD;
	for (int i = 0; i < REPEAT; i++) {
		r[i] = timed(pool, read_memory, w, (int)(bytes / 65536), 16);
		t[i] = timed(pool, attend, w, n_unit, 1);
		w->n_segment = llm_pool_n_thread(pool);
		c[i] = timed(pool, attend, w, n_cached, 1);
		w->n_segment = 0;
	}
	double rate = (double)n_unit * (double)unit_bytes / best(t) / 1e9;
	double read = bytes / best(r) / 1e9;
	printf("%s\t%s\t%d\t%d\t%.1f\tGB/s\tread %.1f\t%.2f\tcached %.1f\n", set_name, type,
	    w->d_head, w->n_q, rate, read, rate / read,
	    (double)n_cached * (double)unit_bytes / best(c) / 1e9);
}

/* Prefill: many queries see each segment whole, one tile of queries after the other. */
static void
bench_many(struct llm_pool *pool, struct work *w, const char *type)
{
	int n_thread = llm_pool_n_thread(pool), n_unit = n_thread * 32;
	double t[REPEAT], p[REPEAT], ops = spin(set_name, 1) * PEAK_ROUNDS;
	if (strcmp(set_name, "generic") == 0)
		n_unit = n_thread;
	w->n_segment = n_thread;
	timed(pool, attend, w, n_unit, 1);
	for (int i = 0; i < REPEAT; i++) {
		p[i] = timed(pool, reach_peak, w, n_thread, 1);
		t[i] = timed(pool, attend, w, n_unit, 1);
	}
	double rate = 4.0 * w->n_q * w->n_pos * w->d_head * n_unit / best(t) / 1e9;
	double peak = ops * n_thread / best(p) / 1e9;
	w->n_segment = 0;
	printf("%s\t%s\t%d\t%d\t%.1f\tGFLOP/s\tpeak %.1f\t%.2f\n", set_name, type, w->d_head,
	    w->n_q, rate, peak, peak > 0 ? rate / peak : 0);
}

/* Every number a small one, but none so small that products of it are denormal. */
static void
fill(struct work *w)
{
	uint64_t state = 88172645463325252ULL;
	const size_t period = 1 << 20;
	for (size_t i = 0; i < period; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		w->memory[i] = (char)((state >> 56) & 0xbb);
		if (w->type == LLM_KV_F32 && i % 4 == 3)
			w->memory[i] = (char)((state >> 56 & 0x81) | 0x3c);
	}
	for (size_t i = period; i < MAX_BYTES; i++)
		w->memory[i] = w->memory[i - period];
}

/* What is left of the list: NULL or 0 for all. */
struct only {
	const char *set, *type;
	int d_head, n_q;
};

static void
bench_set(struct llm_pool *pool, struct work *w, const struct only *only)
{
	static const int heads[] = {64, 128}, queries[] = {1, 3, 4, 8, 12, 16, 32, 48, 64};
	for (int type = LLM_KV_F16; type <= LLM_KV_F32; type++) {
		w->type = (enum llm_kv_type)type;
		const char *name = llm_kv_name(w->type);
		if (only->type != NULL && strcmp(only->type, name) != 0)
			continue;
		fill(w);
		for (size_t i = 0; i < 2 * sizeof queries / sizeof queries[0]; i++) {
			w->d_head = heads[i % 2];
			w->n_q = queries[i / 2];
			if ((only->d_head != 0 && w->d_head != only->d_head) ||
			    (only->n_q != 0 && w->n_q != only->n_q))
				continue;
			if (w->n_q <= 8)
				bench_few(pool, w, name);
			else
				bench_many(pool, w, name);
		}
	}
}

int
main(int argc, char **argv)
{
	int n_thread = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 1;
	struct only only = {.set = argc > 2 && strcmp(argv[2], "all") != 0 ? argv[2] : NULL,
	    .d_head = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 0,
	    .type = argc > 4 ? argv[4] : NULL,
	    .n_q = argc > 5 ? (int)strtol(argv[5], NULL, 10) : 0};
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
	printf("set\ttype\td_head\tqueries\tbest\n");
	for (int s = 0; (k = llm_kernels_at(s)) != NULL; s++) {
		if (only.set != NULL ? strcmp(only.set, k->name) != 0 : s == 0)
			continue;
		set_name = k->name;
		w.k = k->attention;
		bench_set(pool, &w, &only);
	}
	free(q);
	free(w.memory);
	free(w.scratch);
	free(w.out);
	llm_pool_free(pool);
	return 0;
}
