/*
 * SPDX-License-Identifier: ISC
 *
 * Attention: the plain C against a softmax in doubles, and every instruction set of this processor
 * against the plain C, bit for bit, over types, shapes and values that are awkward.
 */
#include "libcore/kernels/kernels.h"
#include "tests/tap.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PAGES = LLM_KV_SEGMENT / LLM_KV_PAGE, MAX_Q = LLM_ATTENTION_QUERIES };

enum kind { PLAIN, SHARP, TINY, HUGE_VALUES, INFINITE, NOT_A_NUMBER, N_KIND };

static uint64_t seed = 20;

static float
uniform(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (float)(seed >> 40) * 0x1p-23f - 1;
}

static int
below(int n)
{
	return (int)((uniform() + 1) / 2 * (float)n) % n;
}

/* One segment with its inputs, f32 as they were stored, and room for results. */
struct bed {
	struct llm_attention a;
	int n_pos[MAX_Q];
	void *slot[MAX_PAGES];
	float *k, *v; /* [1024][d_head] */
	float *q, *m, *l, *acc;
	void *scratch;
};

static void *
aligned(size_t n)
{
	void *p = aligned_alloc(64, (n + 63) / 64 * 64);
	if (p == NULL)
		exit(71);
	memset(
	    p, 0xff, (n + 63) / 64 * 64); /* NaN in every type: what is absent must not show */
	return p;
}

static float
value(enum kind kind, int pos)
{
	float x = uniform();
	if (kind == SHARP)
		return x * 12;
	if (kind == TINY)
		return x * 1e-30f * (pos % 3 ? 1 : 1e-12f);
	if (kind == HUGE_VALUES)
		return x * 60000;
	if (kind == INFINITE && below(3000) == 0)
		return x < 0 ? -INFINITY : INFINITY;
	if (kind == NOT_A_NUMBER && below(3000) == 0)
		return NAN;
	return x;
}

static struct bed
bed_make(enum llm_kv_type type, int d_head, int n_q, enum kind kind)
{
	size_t row = (size_t)d_head * sizeof(float), d = (size_t)d_head;
	struct bed b = {.a = {.type = type, .d_head = d_head, .n_q = n_q}};
	b.k = aligned(LLM_KV_SEGMENT * row);
	b.v = aligned(LLM_KV_SEGMENT * row);
	b.q = aligned((size_t)n_q * row);
	b.m = aligned(MAX_Q * sizeof(float));
	b.l = aligned(MAX_Q * sizeof(float));
	b.acc = aligned((size_t)n_q * row);
	b.scratch = aligned(LLM_ATTENTION_SCRATCH);
	for (int i = 0; i < MAX_PAGES; i++)
		b.slot[i] = aligned(llm_kv_slot_bytes(type, d_head));
	for (size_t i = 0; i < (size_t)n_q * d; i++)
		b.q[i] = value(kind == TINY || kind == SHARP ? kind : PLAIN, 0) / 4;
	for (size_t i = 0; i < LLM_KV_SEGMENT * d; i++) {
		b.k[i] = value(kind, (int)(i / d));
		b.v[i] = value(kind, (int)(i / d));
	}
	return b;
}

static void
bed_free(struct bed *b)
{
	for (int i = 0; i < MAX_PAGES; i++)
		free(b->slot[i]);
	free(b->k);
	free(b->v);
	free(b->q);
	free(b->m);
	free(b->l);
	free(b->acc);
	free(b->scratch);
}

static void
bed_store(struct bed *b, const struct llm_attention_kernels *kernels, int n)
{
	int d = b->a.d_head;
	for (int pos = 0; pos < n; pos++)
		kernels->store(
		    b->slot[pos / 64], b->a.type, d, pos % 64, b->k + pos * d, b->v + pos * d);
}

/* Runs queries [i, i + n) of the bed. */
static void
bed_run(struct bed *b, const struct llm_attention_kernels *kernels, int i, int n)
{
	struct llm_attention a = b->a;
	a.n_q = n;
	a.q = b->q + i * a.d_head;
	a.n_pos = b->n_pos + i;
	a.slot = (const void *const *)b->slot;
	a.m = b->m + i;
	a.l = b->l + i;
	a.acc = b->acc + i * a.d_head;
	kernels->segment(&a, b->scratch);
}

static bool
same(const float *x, const float *y, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (memcmp(x + i, y + i, sizeof *x) != 0 && !(isnan(x[i]) && isnan(y[i]))) {
			printf("# at %zu: %a and %a\n", i, (double)x[i], (double)y[i]);
			return false;
		}
	}
	return true;
}

/* Whether both sets give the same m, l and acc; that of the first stays in b. */
static bool
agree(struct bed *b, const struct llm_attention_kernels *want,
    const struct llm_attention_kernels *got, int group)
{
	size_t n_q = (size_t)b->a.n_q, n = n_q * (size_t)b->a.d_head;
	float *keep = aligned((n + 2 * n_q) * sizeof(float));
	for (int i = 0; i < b->a.n_q; i += group)
		bed_run(b, got, i, b->a.n_q - i < group ? b->a.n_q - i : group);
	memcpy(keep, b->acc, n * sizeof(float));
	memcpy(keep + n, b->m, n_q * sizeof(float));
	memcpy(keep + n + n_q, b->l, n_q * sizeof(float));
	bed_run(b, want, 0, b->a.n_q);
	bool good = same(b->m, keep + n, n_q) && same(b->l, keep + n + n_q, n_q) &&
		    same(b->acc, keep, n);
	if (!good)
		printf("# type %d d_head %d n_q %d group %d n_pos %d..%d\n", b->a.type,
		    b->a.d_head, b->a.n_q, group, b->n_pos[0], b->n_pos[b->a.n_q - 1]);
	free(keep);
	return good;
}

/* Causal positions that end at n, or some at random. */
static void
set_positions(struct bed *b, int n, bool random)
{
	int heads = 1 + below(4);
	for (int i = 0; i < b->a.n_q; i++) {
		int p = n - (b->a.n_q - 1 - i) / heads;
		b->n_pos[i] = random ? below(n + 1) : p > 0 ? p : 0;
	}
	b->n_pos[b->a.n_q - 1] = n;
}

static const int lengths[] = {0, 1, 15, 16, 17, 31, 33, 47, 49, 63, 64, 65, 127, 130, 200, 640};

static bool
equal_shapes(const struct llm_kernels *k, enum llm_kv_type type)
{
	static const int heads[] = {16, 32, 64, 80, 96, 128, 2, 6, 18, 34, 50, 256, 512};
	static const int queries[] = {1, 2, 3, 4, 5, 6, 7, 12, 13, 25, 33, 64};
	bool good = true;
	for (size_t h = 0; h < sizeof heads / sizeof heads[0] && good; h++) {
		if (type == LLM_KV_Q8_0 && heads[h] % 32 != 0)
			continue;
		int n_round = tap_quick() ? 4 : heads[h] > 128 ? 6 : 30;
		for (int round = 0; round < n_round && good; round++) {
			int n_q = queries[below(12)], n = lengths[below(16)];
			struct bed b = bed_make(type, heads[h], n_q, (enum kind)(round % 2));
			set_positions(&b, n, round % 4 == 3);
			bed_store(&b, &llm_attention_generic, n);
			good = agree(&b, &llm_attention_generic, k->attention,
			    round % 2 ? 64 : 1 + below(8));
			bed_free(&b);
		}
	}
	return good;
}

static bool
equal_long(const struct llm_kernels *k, enum llm_kv_type type)
{
	bool good = true;
	for (int n = 1023; n <= 1024 && good; n++) {
		struct bed b = bed_make(type, 64, 9, PLAIN);
		set_positions(&b, n, false);
		bed_store(&b, &llm_attention_generic, n);
		good = agree(&b, &llm_attention_generic, k->attention, 64) &&
		       agree(&b, &llm_attention_generic, k->attention, 3);
		bed_free(&b);
	}
	return good;
}

static bool
equal_odd_values(const struct llm_kernels *k, enum llm_kv_type type)
{
	bool good = true;
	for (int kind = TINY; kind < N_KIND && good; kind++) {
		struct bed b = bed_make(type, 32, 20, (enum kind)kind);
		set_positions(&b, 150, false);
		bed_store(&b, &llm_attention_generic, 150);
		good = agree(&b, &llm_attention_generic, k->attention, 64) &&
		       agree(&b, &llm_attention_generic, k->attention, 2);
		bed_free(&b);
	}
	return good;
}

/* Both slots byte for byte, but that any NaN of f16 or f32 stands for any other. */
static bool
same_slot(const void *x, const void *y, enum llm_kv_type type, int d_head)
{
	size_t n = llm_kv_slot_bytes(type, d_head);
	if (type == LLM_KV_F32)
		return same(x, y, n / 4);
	const uint16_t *a = x, *b = y;
	for (size_t i = 0; type == LLM_KV_F16 && i < n / 2; i++) {
		if (a[i] != b[i] && !((a[i] & 0x7fff) > 0x7c00 && (b[i] & 0x7fff) > 0x7c00))
			return false;
	}
	return type == LLM_KV_F16 || memcmp(x, y, n) == 0;
}

static bool
equal_store(const struct llm_kernels *k, enum llm_kv_type type)
{
	static const int heads[] = {32, 64, 96, 128, 2, 18, 80};
	bool good = true;
	for (int h = 0; h < (type == LLM_KV_Q8_0 ? 4 : 7); h++) {
		for (int kind = 0; kind < N_KIND && good; kind++) {
			struct bed b = bed_make(type, heads[h], 1, (enum kind)kind);
			int n = 100;
			bed_store(&b, &llm_attention_generic, n);
			struct bed c = b;
			for (int i = 0; i < 2; i++)
				c.slot[i] = aligned(llm_kv_slot_bytes(type, heads[h]));
			bed_store(&c, k->attention, n);
			for (int i = 0; i < 2; i++) {
				good = good && same_slot(b.slot[i], c.slot[i], type, heads[h]);
				free(c.slot[i]);
			}
			bed_free(&b);
		}
	}
	return good;
}

static bool
equal_merge(const struct llm_kernels *k)
{
	bool good = true;
	for (int round = 0; round < 400 && good; round++) {
		float x[96], y[96], z[96];
		int d = 2 + 2 * below(48);
		float m[2] = {uniform() * 90, uniform() * 90}, l[2] = {uniform() + 2, 3};
		if (round % 8 == 1)
			m[round / 8 % 2] = -INFINITY;
		if (round % 16 == 1)
			l[0] = l[1] = 0;
		for (int i = 0; i < d; i++) {
			x[i] = y[i] = uniform();
			z[i] = round % 8 == 1 ? 0 : uniform();
		}
		float m_x = m[0], l_x = l[0], m_y = m[0], l_y = l[0];
		llm_attention_generic.merge(&m_x, &l_x, x, m[1], l[1], z, d);
		k->attention->merge(&m_y, &l_y, y, m[1], l[1], z, d);
		good = same(&m_x, &m_y, 1) && same(&l_x, &l_y, 1) && same(x, y, (size_t)d);
		llm_attention_generic.finish(x, x, l_x, d);
		k->attention->finish(y, y, l_x, d);
		good = good && same(x, y, (size_t)d);
	}
	return good;
}

/* Largest error of outputs y of query i, relative to the largest value, by softmax in doubles. */
static double
error_of(const struct bed *b, int i, const float *y)
{
	int d = b->a.d_head, n = b->n_pos[i];
	double s[LLM_KV_SEGMENT], top = -INFINITY, l = 0, worst = 0;
	for (int j = 0; j < n; j++) {
		s[j] = 0;
		for (int t = 0; t < d; t++)
			s[j] += (double)b->q[i * d + t] * (double)b->k[j * d + t];
		top = s[j] > top ? s[j] : top;
	}
	for (int j = 0; j < n; j++)
		l += s[j] = exp(s[j] - top);
	for (int t = 0; t < d; t++) {
		double o = 0;
		for (int j = 0; j < n; j++)
			o += s[j] / l * (double)b->v[j * d + t];
		worst = fmax(worst, fabs(o - (double)y[t]));
	}
	return worst;
}

/* Worst error of generic attention; the inputs are first rounded to f16 where that is the type. */
static double
error_in_doubles(enum llm_kv_type type)
{
	double worst = 0;
	for (int round = 0; round < 4; round++) {
		struct bed b = bed_make(type, 64, 8, PLAIN);
		for (int i = 0; type == LLM_KV_F16 && i < LLM_KV_SEGMENT * 64; i++) {
			b.k[i] = llm_f16_to_f32(llm_f32_to_f16(b.k[i]));
			b.v[i] = llm_f16_to_f32(llm_f32_to_f16(b.v[i]));
		}
		set_positions(&b, round == 0 ? 1024 : 1 + below(1024), false);
		bed_store(&b, &llm_attention_generic, 1024);
		bed_run(&b, &llm_attention_generic, 0, 8);
		for (int i = 0; i < 8; i++) {
			float y[64];
			if (b.n_pos[i] == 0)
				continue;
			llm_attention_generic.finish(y, b.acc + i * 64, b.l[i], 64);
			worst = fmax(worst, error_of(&b, i, y));
		}
		bed_free(&b);
	}
	return worst;
}

/* Outputs of two segments merged, against one softmax over both. */
static double
error_of_merge(void)
{
	struct bed b = bed_make(LLM_KV_F32, 32, 1, SHARP);
	float y[32], m, l;
	bed_store(&b, &llm_attention_generic, 1024);
	b.n_pos[0] = 320;
	bed_run(&b, &llm_attention_generic, 0, 1);
	m = b.m[0];
	l = b.l[0];
	memcpy(y, b.acc, sizeof y);
	/* The rest as if it were a segment of its own. */
	struct bed rest = b;
	memmove(rest.slot, b.slot + 5, 11 * sizeof b.slot[0]);
	rest.n_pos[0] = 704;
	bed_run(&rest, &llm_attention_generic, 0, 1);
	llm_attention_generic.merge(&m, &l, y, b.m[0], b.l[0], b.acc, 32);
	llm_attention_generic.finish(y, y, l, 32);
	b.n_pos[0] = 1024;
	double worst = error_of(&b, 0, y);
	bed_free(&b);
	return worst;
}

/* Whether a value that is not finite, put into position pos, shows in all of the output. */
static bool
shows(enum llm_kv_type type, bool in_key, float bad, int pos)
{
	struct bed b = bed_make(type, 32, 1, PLAIN);
	(in_key ? b.k : b.v)[pos * 32 + 7] = bad;
	b.q[7] = 1;
	b.n_pos[0] = 100;
	bed_store(&b, &llm_attention_generic, 100);
	bed_run(&b, &llm_attention_generic, 0, 1);
	float y[32];
	int n = 0;
	llm_attention_generic.finish(y, b.acc, b.l[0], 32);
	for (int i = 0; i < 32; i++)
		n += !isfinite(y[i]);
	bed_free(&b);
	return in_key ? n == 32 : n >= 1;
}

static void
test_meaning(void)
{
	double e = error_in_doubles(LLM_KV_F32);
	tap_ok(e < 2e-6, "f32 attention is within 2e-6 of a softmax in doubles (%.1e)", e);
	e = error_in_doubles(LLM_KV_F16);
	tap_ok(
	    e < 2e-6, "f16 attention is within 2e-6 of one over the rounded values (%.1e)", e);
	e = error_in_doubles(LLM_KV_Q8_0);
	tap_ok(e < 8e-3,
	    "q8_0 attention is within 8e-3 of one over the unrounded values (%.1e)", e);
	e = error_of_merge();
	tap_ok(e < 3e-4,
	    "two segments merged are one softmax over both within 3e-4 of 12 (%.1e)", e);
	bool good = true;
	for (int type = LLM_KV_F16; type <= LLM_KV_F32; type++) {
		for (int pos = 3; pos < 100; pos += 90) {
			good = good && shows((enum llm_kv_type)type, true, NAN, pos) &&
			       shows((enum llm_kv_type)type, false, NAN, pos) &&
			       shows((enum llm_kv_type)type, true, INFINITY, pos) &&
			       shows((enum llm_kv_type)type, false, INFINITY, pos);
		}
	}
	tap_ok(good, "a NaN or infinity in a key or a value shows in the output");
}

int
main(void)
{
	static const char *const names[] = {"f16", "q8_0", "f32"};
	test_meaning();
	const struct llm_kernels *k;
	for (int i = 1; (k = llm_kernels_at(i)) != NULL; i++) {
		for (int t = LLM_KV_F16; t <= LLM_KV_F32; t++) {
			enum llm_kv_type type = (enum llm_kv_type)t;
			tap_ok(equal_store(k, type), "%s stores the same %s bytes as plain C",
			    k->name, names[t]);
			tap_ok(equal_shapes(k, type),
			    "%s attends over %s to the same bits, in any shape and grouping",
			    k->name, names[t]);
			tap_ok(equal_long(k, type),
			    "%s attends over a whole segment of %s to the same bits", k->name,
			    names[t]);
			tap_ok(equal_odd_values(k, type),
			    "%s treats huge, tiny and not finite %s as plain C does", k->name,
			    names[t]);
		}
		tap_ok(equal_merge(k), "%s merges segments to the same bits", k->name);
	}
	if (llm_kernels_at(1) == NULL)
		tap_skip("every instruction set equals plain C", "plain C is all there is");
	return tap_done();
}
