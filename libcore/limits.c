/*
 * SPDX-License-Identifier: ISC
 *
 * The limits of this machine; see limits.h.  All loops are in asm where there is one for the
 * processor, so that no compiler spills, drops or reorders what they consist of.
 */
#include "libcore/limits.h"

#include "libcore/clock.h"
#include "libcore/cpu.h"
#include "libcore/pass.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
	UNIT = 256 * 1024,        /* bytes of a unit of work, spans apart */
	STEP = 512,               /* bytes that a turn of a loop reads */
	LEAST = 16 * 1024 * 1024, /* bytes of one timing: less is over too soon */
	TURNS = 125000,           /* of a unit of multiplying */
	PARTS = 4,                /* units a thread: a millisecond or two in all */
	TRY_AGAIN = 8,            /* readings after which another loop has its turn */
	CHAINS = 12,              /* independent sums: more than latency times ports */
};

/* Of a loop's rate, how much is the last reading's. */
static const double FOLLOW = 0.25;

/* Reads n bytes, a multiple of STEP, at p. */
typedef void (*read_loop)(const char *p, size_t n);

struct loop {
	const char *name;
	read_loop run;
	bool (*here)(const struct llm_cpu *cpu);
};

/* A multiply loop of n turns; ops: of one turn. */
struct peak {
	void (*run)(long n);
	int ops;
};

struct peaks {
	const char *set; /* name of the kernels */
	bool (*here)(const struct llm_cpu *cpu);
	struct peak int8, f32;
};

static bool
always(const struct llm_cpu *cpu)
{
	(void)cpu;
	return true;
}

#if defined(__x86_64__)

static bool
has_avx2(const struct llm_cpu *cpu)
{
	return cpu->avx2;
}

static bool
has_avxvnni(const struct llm_cpu *cpu)
{
	return cpu->avxvnni;
}

static bool
has_avx512(const struct llm_cpu *cpu)
{
	return cpu->avx512;
}

static bool
has_amx(const struct llm_cpu *cpu)
{
	return cpu->amx;
}

/* STEP bytes by loads of 16, 32 or 64, four of them i bytes on. */
#define LOAD4(op, r, size, i)                                                             \
	op " " #i "(%0), %%" r "0\n\t" op " " #i "+" #size "(%0), %%" r "1\n\t" op " " #i \
	   "+2*" #size "(%0), %%" r "2\n\t" op " " #i "+3*" #size "(%0), %%" r "3\n\t"
#define LOAD_XMM                        \
	LOAD4("movups", "xmm", 16, 0)   \
	LOAD4("movups", "xmm", 16, 64)  \
	LOAD4("movups", "xmm", 16, 128) \
	LOAD4("movups", "xmm", 16, 192) \
	LOAD4("movups", "xmm", 16, 256) \
	LOAD4("movups", "xmm", 16, 320) \
	LOAD4("movups", "xmm", 16, 384) LOAD4("movups", "xmm", 16, 448)
#define LOAD_YMM                         \
	LOAD4("vmovups", "ymm", 32, 0)   \
	LOAD4("vmovups", "ymm", 32, 128) \
	LOAD4("vmovups", "ymm", 32, 256) LOAD4("vmovups", "ymm", 32, 384)
#define LOAD_ZMM LOAD4("vmovups", "zmm", 64, 0) LOAD4("vmovups", "zmm", 64, 256)
#define FETCH(far)                                                     \
	"prefetcht0 " far "(%0)\n\tprefetcht0 " far "+64(%0)\n\t"      \
	"prefetcht0 " far "+128(%0)\n\tprefetcht0 " far "+192(%0)\n\t" \
	"prefetcht0 " far "+256(%0)\n\tprefetcht0 " far "+320(%0)\n\t" \
	"prefetcht0 " far "+384(%0)\n\tprefetcht0 " far "+448(%0)\n\t"

#define READ(name, isa, body, end)                                                  \
	__attribute__((target(isa))) static void name(const char *p, size_t n)      \
	{                                                                           \
		__asm__ volatile("1:\n\t" body "add $512, %0\n\tsub $512, %1\n\t"   \
				 "jnz 1b\n\t" end                                   \
				 : "+r"(p), "+r"(n)                                 \
				 :                                                  \
				 : "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3"); \
	}
READ(read_xmm, "sse2", LOAD_XMM, "")
READ(read_ymm, "avx", LOAD_YMM, "vzeroupper")
READ(read_ymm_2k, "avx", FETCH("2048") LOAD_YMM, "vzeroupper")
READ(read_ymm_4k, "avx", FETCH("4096") LOAD_YMM, "vzeroupper")
READ(read_zmm, "avx512f", LOAD_ZMM, "vzeroupper")
READ(read_zmm_4k, "avx512f", FETCH("4096") LOAD_ZMM, "vzeroupper")
READ(read_zmm_8k, "avx512f", FETCH("8192") LOAD_ZMM, "vzeroupper")

/* Four streams, a quarter of the unit each. */
__attribute__((target("avx"))) static void
read_streams(const char *p, size_t n)
{
	size_t quarter = n / 4, three = 3 * quarter;
	__asm__ volatile("1:\n\t"
			 "vmovups (%0), %%ymm0\n\tvmovups 32(%0), %%ymm1\n\t"
			 "vmovups 64(%0), %%ymm2\n\tvmovups 96(%0), %%ymm3\n\t"
			 "vmovups (%0,%2), %%ymm0\n\tvmovups 32(%0,%2), %%ymm1\n\t"
			 "vmovups 64(%0,%2), %%ymm2\n\tvmovups 96(%0,%2), %%ymm3\n\t"
			 "vmovups (%0,%2,2), %%ymm0\n\tvmovups 32(%0,%2,2), %%ymm1\n\t"
			 "vmovups 64(%0,%2,2), %%ymm2\n\tvmovups 96(%0,%2,2), %%ymm3\n\t"
			 "vmovups (%0,%3), %%ymm0\n\tvmovups 32(%0,%3), %%ymm1\n\t"
			 "vmovups 64(%0,%3), %%ymm2\n\tvmovups 96(%0,%3), %%ymm3\n\t"
			 "add $128, %0\n\tsub $512, %1\n\tjnz 1b\n\tvzeroupper"
			 : "+r"(p), "+r"(n)
			 : "r"(quarter), "r"(three)
			 : "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3");
}

static const struct loop loops[] = {
    {"xmm", read_xmm, always},
    {"ymm", read_ymm, has_avx2},
    {"ymm, prefetch 2 KB", read_ymm_2k, has_avx2},
    {"ymm, prefetch 4 KB", read_ymm_4k, has_avx2},
    {"ymm, four streams", read_streams, has_avx2},
    {"zmm", read_zmm, has_avx512},
    {"zmm, prefetch 4 KB", read_zmm_4k, has_avx512},
    {"zmm, prefetch 8 KB", read_zmm_8k, has_avx512},
};

/* Four tiles of sums, as many turns as there are CHAINS. */
#define TILES                                                                  \
	"tdpbssd %%tmm6, %%tmm4, %%tmm0\n\ttdpbssd %%tmm7, %%tmm4, %%tmm1\n\t" \
	"tdpbssd %%tmm6, %%tmm5, %%tmm2\n\ttdpbssd %%tmm7, %%tmm5, %%tmm3\n\t"
static void
tdpbssd_tiles(long n)
{
	struct {
		uint8_t palette, start, zero[14];
		uint16_t bytes[16];
		uint8_t rows[16];
	} c = {.palette = 1};
	for (int i = 0; i < 8; i++) {
		c.bytes[i] = 64;
		c.rows[i] = 16;
	}
	__asm__ volatile("ldtilecfg %1\n1:\n\t" TILES TILES TILES
			 "dec %0\n\tjnz 1b\n\ttilerelease"
			 : "+r"(n)
			 : "m"(c)
			 : "cc");
}

#define CHAIN(op, r, i) op " %%" r "14, %%" r "15, %%" r #i "\n\t"
#define ALL_CHAINS(op, r) \
	CHAIN(op, r, 0)   \
	CHAIN(op, r, 1)   \
	CHAIN(op, r, 2)   \
	CHAIN(op, r, 3)   \
	CHAIN(op, r, 4)   \
	CHAIN(op, r, 5)   \
	CHAIN(op, r, 6)   \
	CHAIN(op, r, 7)   \
	CHAIN(op, r, 8) CHAIN(op, r, 9) CHAIN(op, r, 10) CHAIN(op, r, 11)
#define MULTIPLY(name, isa, op, r)                                                           \
	__attribute__((target(isa))) static void name(long n)                                \
	{                                                                                    \
		__asm__ volatile("vzeroall\n1:\n\t" ALL_CHAINS(op, r) "dec %0\n\tjnz 1b\n\t" \
								      "vzeroupper"           \
				 : "+r"(n)                                                   \
				 :                                                           \
				 : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",     \
				 "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm14",  \
				 "xmm15");                                                   \
	}
MULTIPLY(maddubs_ymm, "avx2,fma", "vpmaddubsw", "ymm")
MULTIPLY(dpbusd_ymm, "avx2,fma,avxvnni", "%{vex%} vpdpbusd", "ymm")
MULTIPLY(dpbusd_zmm, "avx512f,avx512vnni", "vpdpbusd", "zmm")
MULTIPLY(fma_ymm, "avx2,fma", "vfmadd231ps", "ymm")
MULTIPLY(fma_zmm, "avx512f", "vfmadd231ps", "zmm")

/* Of any x86-64: a product of pairs of int16, as which int8 go; a product and a sum of f32. */
#define PAIR(op, i) op " %%xmm15, %%xmm" #i "\n\t"
#define BASE(name, op, even)                                                                 \
	static void name(long n)                                                             \
	{                                                                                    \
		__asm__ volatile("xorps %%xmm15, %%xmm15\n1:\n\t" PAIR(op, 0) PAIR(even, 1)  \
				     PAIR(op, 2) PAIR(even, 3) PAIR(op, 4) PAIR(even, 5)     \
					 PAIR(op, 6) PAIR(even, 7) PAIR(op, 8) PAIR(even, 9) \
					     PAIR(op, 10) PAIR(even, 11) "dec %0\n\tjnz 1b"  \
				 : "+r"(n)                                                   \
				 :                                                           \
				 : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",     \
				 "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm15"); \
	}
BASE(madd_xmm, "pmaddwd", "pmaddwd")
BASE(muladd_xmm, "mulps", "addps")

/* Best last. */
static const struct peaks peaks[] = {
    {"", always, {madd_xmm, 16 * CHAINS}, {muladd_xmm, 4 * CHAINS}},
    {"avx2", has_avx2, {maddubs_ymm, 64 * CHAINS}, {fma_ymm, 16 * CHAINS}},
    {"avxvnni", has_avxvnni, {dpbusd_ymm, 64 * CHAINS}, {fma_ymm, 16 * CHAINS}},
    {"avx512", has_avx512, {dpbusd_zmm, 128 * CHAINS}, {fma_zmm, 32 * CHAINS}},
    {"amx", has_amx, {tdpbssd_tiles, 2 * 16 * 16 * 64 * CHAINS}, {fma_zmm, 32 * CHAINS}},
};

#else

/* What the compiler makes of plain C; the empty asm keeps the values from being known or dropped. */
static void
read_plain(const char *p, size_t n)
{
	uint64_t sum[8] = {0}, x[8];
	for (size_t i = 0; i < n; i += sizeof x) {
		memcpy(x, p + i, sizeof x);
		for (int j = 0; j < 8; j++)
			sum[j] |= x[j];
	}
	for (int j = 1; j < 8; j++)
		sum[0] |= sum[j];
	__asm__ volatile("" : : "r"(sum[0]));
}

static void
muladd_plain(long n)
{
	float a[CHAINS][4] = {{0}}, x = 0;
	__asm__ volatile("" : "+m"(x));
	for (; n > 0; n--)
		for (int i = 0; i < CHAINS; i++)
			for (int j = 0; j < 4; j++)
				a[i][j] += a[i][j] * x;
	__asm__ volatile("" : : "m"(a));
}

static void
madd_plain(long n)
{
	int32_t a[CHAINS][4] = {{0}}, x = 0;
	__asm__ volatile("" : "+m"(x));
	for (; n > 0; n--)
		for (int i = 0; i < CHAINS; i++)
			for (int j = 0; j < 4; j++)
				a[i][j] += a[i][j] * x;
	__asm__ volatile("" : : "m"(a));
}

static const struct loop loops[] = {{"plain C", read_plain, always}};
static const struct peaks peaks[] = {
    {"", always, {madd_plain, 8 * CHAINS}, {muladd_plain, 8 * CHAINS}}};

#endif

enum { N_LOOP = sizeof loops / sizeof loops[0], N_PEAKS = sizeof peaks / sizeof peaks[0] };

struct span {
	const char *data;
	size_t n_bytes; /* a multiple of STEP */
	int unit0;      /* units of all spans before it */
};

struct llm_limits {
	struct llm_pool *pool;
	struct llm_cpu cpu;
	const struct peaks *peaks;
	struct span *span;
	int n_span, cap_span, n_unit;
	size_t bytes;
	bool tried;              /* all loops, on what there is */
	double rate[N_LOOP];     /* a running mean; 0 of what this processor does not have */
	int next, n_read;        /* the loop tried last; readings so far */
	read_loop loop;          /* of the region under way */
	int n_round;             /* times that it reads all */
	const struct peak *peak; /* likewise */
};

int
llm_limits_new(struct llm_limits **out, struct llm_pool *pool,
    const struct llm_kernels *kernels, struct llm_err *err)
{
	struct llm_limits *l = calloc(1, sizeof *l);
	if (l == NULL)
		return llm_err_nomem(err, sizeof *l);
	l->pool = pool;
	l->cpu = llm_cpu_detect();
	for (int i = 0; i < N_PEAKS; i++)
		if (peaks[i].here(&l->cpu) &&
		    (l->peaks == NULL || strcmp(l->peaks->set, kernels->name) != 0))
			l->peaks = &peaks[i];
	*out = l;
	return 0;
}

void
llm_limits_free(struct llm_limits *l)
{
	if (l == NULL)
		return;
	free(l->span);
	free(l);
}

int
llm_limits_add(struct llm_limits *l, const void *data, size_t n_bytes, struct llm_err *err)
{
	if (l->n_span == l->cap_span) {
		int cap = l->cap_span > 0 ? 2 * l->cap_span : 64;
		struct span *more = realloc(l->span, (size_t)cap * sizeof *more);
		if (more == NULL)
			return llm_err_nomem(err, (size_t)cap * sizeof *more);
		l->span = more;
		l->cap_span = cap;
	}
	n_bytes -= n_bytes % STEP;
	if (n_bytes == 0)
		return 0;
	l->span[l->n_span++] = (struct span){data, n_bytes, l->n_unit};
	l->n_unit += (int)((n_bytes - 1) / UNIT) + 1;
	l->bytes += n_bytes;
	l->tried = false;
	return 0;
}

static size_t
matrix_bytes(const struct llm_matrix *w)
{
	return llm_dtype_row_bytes(w->type, w->n_col) * (size_t)w->n_row;
}

int
llm_limits_of_pass(struct llm_limits **out, struct llm_pass *pass, struct llm_err *err)
{
	const struct llm_weights *w = &pass->model->weights;
	struct llm_limits *l;
	int rc = llm_limits_new(&l, pass->pool, pass->kernels, err);
	if (rc < 0)
		return rc;
	for (int i = 0; i < pass->model->config.n_layer && rc == 0; i++) {
		const struct llm_layer *x = &w->layer[i];
		const struct llm_matrix *all[] = {
		    &x->q, &x->k, &x->v, &x->o, &x->gate, &x->up, &x->down};
		for (int j = 0; j < 7 && rc == 0; j++)
			rc = llm_limits_add(l, all[j]->data, matrix_bytes(all[j]), err);
	}
	if (rc == 0)
		rc = llm_limits_add(l, w->output.data, matrix_bytes(&w->output), err);
	if (rc == 0)
		*out = l;
	else
		llm_limits_free(l);
	return rc;
}

size_t
llm_limits_bytes(const struct llm_limits *l)
{
	return l->bytes;
}

/* Units of n_round times all spans. */
static void
read_work(void *arg, int begin, int end, int thread)
{
	const struct llm_limits *l = arg;
	int i = 0;
	(void)thread;
	for (int unit = begin; unit < end; unit++) {
		int at = unit % l->n_unit;
		if (unit == begin || at == 0) /* the last span that begins no later */
			for (i = 0; i + 1 < l->n_span && l->span[i + 1].unit0 <= at;)
				i++;
		else if (i + 1 < l->n_span && l->span[i + 1].unit0 == at)
			i++;
		size_t from = (size_t)(at - l->span[i].unit0) * UNIT;
		size_t n = l->span[i].n_bytes - from;
		l->loop(l->span[i].data + from, n < UNIT ? n : UNIT);
	}
}

/* Bytes a second of one loop, which its rate follows. */
static double
read_by(struct llm_limits *l, int loop)
{
	l->loop = loops[loop].run;
	l->n_round = l->bytes >= LEAST ? 1 : (int)(LEAST / l->bytes);
	double start = llm_clock_s();
	llm_pool_run(l->pool, read_work, l, l->n_unit * l->n_round, 1);
	double rate = (double)l->bytes * l->n_round / (llm_clock_s() - start);
	l->rate[loop] += (rate - l->rate[loop]) * (l->rate[loop] > 0 ? FOLLOW : 1);
	return rate;
}

static int
fastest(const struct llm_limits *l)
{
	int best = 0;
	for (int i = 1; i < N_LOOP; i++)
		best = l->rate[i] > l->rate[best] ? i : best;
	return best;
}

double
llm_limits_read(struct llm_limits *l)
{
	if (l->bytes == 0)
		return 0;
	if (!l->tried) {
		memset(l->rate, 0, sizeof l->rate);
		read_by(l, 0); /* maps the pages */
		l->rate[0] = 0;
	}
	int n_try = l->tried ? l->n_read++ % TRY_AGAIN == 0 : 2 * N_LOOP;
	for (int i = 0; i < n_try; i++) {
		l->next = (l->next + 1) % N_LOOP;
		if (loops[l->next].here(&l->cpu))
			read_by(l, l->next);
	}
	l->tried = true;
	return read_by(l, fastest(l));
}

const char *
llm_limits_loop(const struct llm_limits *l)
{
	return loops[fastest(l)].name;
}

static void
multiply_work(void *arg, int begin, int end, int thread)
{
	const struct llm_limits *l = arg;
	(void)thread;
	for (int i = begin; i < end; i++)
		l->peak->run(TURNS);
}

/* Some units a thread: what one that has to wait leaves, another does. */
static double
multiply(struct llm_limits *l, const struct peak *peak)
{
	int n = llm_pool_n_thread(l->pool) * PARTS;
	l->peak = peak;
	double start = llm_clock_s();
	llm_pool_run(l->pool, multiply_work, l, n, 1);
	return (double)peak->ops * TURNS * n / (llm_clock_s() - start);
}

double
llm_limits_int8(struct llm_limits *l)
{
	return multiply(l, &l->peaks->int8);
}

double
llm_limits_f32(struct llm_limits *l)
{
	return multiply(l, &l->peaks->f32);
}
