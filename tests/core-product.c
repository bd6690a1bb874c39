/*
 * SPDX-License-Identifier: ISC
 *
 * Products: plain C against a second reading of the contract and against doubles, then every
 * instruction set of this processor against plain C, bit by bit, over all types and many shapes.
 */
#include "libcore/kernels/kernels.h"

#include "tests/blocks.h"
#include "tests/products.h"
#include "tests/tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROW = 80, MANY_ROWS = 8 * 32 + 45, GUARD = 16 };

/* One random product with everything it points to. */
struct problem {
	struct llm_product p;
	struct llm_act act;
	void *weights, *act_mem, *scratch;
	float *x, *y;
	size_t n_y;
};

static void *
take(size_t n_bytes)
{
	void *p = aligned_alloc(64, (n_bytes + 127) & ~(size_t)63);
	if (p == NULL)
		exit(71);
	return p;
}

static void
problem_new(struct problem *m, const struct llm_product *shape, int n_tok, enum test_data data,
    bool precise, uint64_t *state)
{
	const struct llm_dtype_info *info = llm_dtype_info(shape->type);
	enum llm_act_kind kind = precise ? LLM_ACT_F32 : info->act;
	size_t n_col = (size_t)shape->n_col, n_w = (size_t)shape->n_row * n_col;
	size_t x_stride = n_col + 3,
	       w_bytes = n_w / (size_t)info->block * (size_t)info->block_bytes;
	m->weights = malloc(w_bytes); /* the exact size: a read past the end is seen by ASan */
	m->x = take(((size_t)n_tok * x_stride + 1) * sizeof(float));
	m->act_mem = take(llm_act_bytes(kind, shape->n_col, n_tok));
	m->scratch = take(LLM_PRODUCT_SCRATCH);
	test_weights(m->weights, shape->type, n_w, data, state);
	for (int t = 0; t < n_tok; t++)
		test_activations(m->x + 1 + (size_t)t * x_stride, shape->n_col, data, state);
	llm_act_init(&m->act, m->act_mem, kind, shape->n_col, n_tok, m->x + 1, x_stride);
	m->p = *shape;
	m->p.w = m->weights;
	m->p.x = &m->act;
	m->p.y_stride = (size_t)shape->n_row + GUARD;
	m->n_y = (size_t)n_tok * m->p.y_stride;
	m->y = take(m->n_y * sizeof(float));
	m->p.y = m->y;
}

static void
problem_free(struct problem *m)
{
	free(m->weights);
	free(m->x);
	free(m->act_mem);
	free(m->scratch);
	free(m->y);
}

/* Computes rows [row0, row1) in two ranges split at a multiple of 8, over a background of 42. */
static void
compute(struct problem *m, const struct llm_product_kernels *k, int row0, int row1)
{
	int middle = row0 + (row1 - row0) / 16 * 8;
	for (size_t i = 0; i < m->n_y; i++)
		m->y[i] = 42;
	memset(m->scratch, 0xff, LLM_PRODUCT_SCRATCH);
	if (m->act.kind != LLM_ACT_F32)
		k->quantize(&m->act, 0, m->act.n_tok);
	k->run(&m->p, row0, middle, m->scratch);
	k->run(&m->p, middle, row1, m->scratch);
}

/* Values whose bits differ; two NaN are equal. */
static size_t
differing(const float *a, const float *b, size_t n)
{
	size_t count = 0;
	for (size_t i = 0; i < n; i++)
		count += memcmp(a + i, b + i, sizeof *a) != 0 && !(isnan(a[i]) && isnan(b[i]));
	return count;
}

/* Plain C against the second reading of the contract, one row and token after another. */
static void
test_contract(enum llm_dtype type, bool precise, uint64_t *state)
{
	const struct llm_dtype_info *info = llm_dtype_info(type);
	bool lanes = precise || info->act == LLM_ACT_F32;
	size_t wrong = 0, total = 0;
	for (int round = 0; round < 6; round++) {
		int n_col = info->block == 1 ? 1 + (int)(test_random(state) % 300)
					     : info->block * (1 + round);
		struct problem m;
		problem_new(&m,
		    &(struct llm_product){.type = type, .n_row = 11, .n_col = n_col}, 3,
		    round % 2, precise, state);
		compute(&m, &llm_product_generic, 0, 11);
		size_t row_bytes = (size_t)(n_col / info->block) * (size_t)info->block_bytes;
		float *values = take((size_t)n_col * sizeof(float));
		for (int r = 0; r < 11; r++) {
			const char *row = (const char *)m.weights + (size_t)r * row_bytes;
			info->to_f32(values, row, n_col);
			for (int t = 0; t < 3; t++, total++) {
				const float *x = m.act.x + (size_t)t * m.act.x_stride;
				float y = lanes ? test_dot_lanes(values, x, n_col)
						: test_dot(type, row, x, n_col);
				wrong += differing(&y, m.y + (size_t)t * m.p.y_stride + r, 1);
			}
		}
		free(values);
		problem_free(&m);
	}
	tap_ok(wrong == 0, "%s%s in plain C is what the contract says (%zu of %zu differ)",
	    info->name, precise ? " with f32 activations" : "", wrong, total);
}

/* Plain C against doubles, with the weights and activations as they were rounded. */
static void
test_doubles(enum llm_dtype type, bool precise, uint64_t *state)
{
	const struct llm_dtype_info *info = llm_dtype_info(type);
	const int n_col = 1536, n_row = 24;
	double worst = 0;
	struct problem m;
	problem_new(&m, &(struct llm_product){.type = type, .n_row = n_row, .n_col = n_col}, 2,
	    TEST_PLAIN, precise, state);
	compute(&m, &llm_product_generic, 0, n_row);
	size_t row_bytes = (size_t)(n_col / info->block) * (size_t)info->block_bytes;
	float *values = take((size_t)n_col * sizeof *values);
	double *x = take((size_t)n_col * sizeof *x);
	for (int t = 0; t < 2; t++) {
		const float *xt = m.act.x + (size_t)t * m.act.x_stride;
		for (int k = 0; k < n_col; k++)
			x[k] = xt[k];
		if (m.act.kind != LLM_ACT_F32)
			test_rounded(x, xt, n_col, info->block);
		for (int r = 0; r < n_row; r++) {
			double sum = 0, size = 0;
			info->to_f32(
			    values, (const char *)m.weights + (size_t)r * row_bytes, n_col);
			for (int k = 0; k < n_col; k++) {
				sum += values[k] * x[k];
				size += fabs(values[k] * x[k]);
			}
			double error =
			    fabs(sum - m.y[(size_t)t * m.p.y_stride + (size_t)r]) / size;
			worst = fmax(worst, error);
		}
	}
	free(values);
	free(x);
	problem_free(&m);
	/* A few roundings of 6e-8, of terms that do not all have one sign. */
	tap_ok(worst < 2e-7, "%s%s in plain C is within 2e-7 of doubles (%.1e)", info->name,
	    precise ? " with f32 activations" : "", worst);
}

static bool
same_activations(const struct problem *m, const struct problem *g)
{
	const struct llm_act *a = &m->act, *b = &g->act;
	bool same = true;
	for (int t = 0; t < a->n_tok; t++) {
		size_t d = (size_t)t * a->d_stride, s = (size_t)t * a->b_stride;
		size_t q = (size_t)t * a->q_stride, n = (size_t)a->n_block,
		       n_sub = (size_t)a->n_sub;
		same &= memcmp(a->q + q, b->q + q, (size_t)a->n_col) == 0;
		same &= memcmp(a->d + d, b->d + d, n * sizeof(float)) == 0;
		same &= a->kind != LLM_ACT_Q32 ||
			memcmp(a->s + d, b->s + d, n * sizeof(float)) == 0;
		same &= memcmp(a->bsum + s, b->bsum + s, n_sub * sizeof(int16_t)) == 0;
		same &=
		    memcmp(a->nsum + 2 * s, b->nsum + 2 * s, 2 * n_sub * sizeof(int16_t)) == 0;
		same &= a->kind != LLM_ACT_Q256 || memcmp(a->pair + s / 2, b->pair + s / 2,
						       n_sub / 2 * sizeof(int16_t)) == 0;
	}
	return same;
}

/* One shape, the same data, by set k and by plain C; the number of values that differ. */
static size_t
compare(const struct llm_product_kernels *k, const struct llm_product *shape, int n_tok,
    enum test_data data, bool precise, uint64_t *state)
{
	uint64_t again = *state;
	struct problem m, g;
	problem_new(&m, shape, n_tok, data, precise, state);
	problem_new(&g, shape, n_tok, data, precise, &again);
	int groups = (shape->n_row + 7) / 8;
	int row0 = (int)(test_random(state) % (uint64_t)groups) / 2 * 8, row1 = shape->n_row;
	compute(&m, k, row0, row1);
	compute(&g, &llm_product_generic, row0, row1);
	size_t wrong = differing(m.y, g.y, m.n_y);
	if (m.act.kind != LLM_ACT_F32 && !same_activations(&m, &g))
		wrong++;
	problem_free(&m);
	problem_free(&g);
	return wrong;
}

/* Columns number i of those worth trying: short, odd, past what one chunk of a kernel takes, and just short of
 * a whole one. */
static int
columns(const struct llm_dtype_info *info, int i)
{
	static const int any[] = {
	    1, 7, 15, 16, 17, 31, 33, 100, 576, 1023, 2080, 4099, 96, 2, 65};
	static const int by32[] = {1, 2, 3, 5, 7, 8, 9, 18, 27, 48, 65, 131, 64, 127, 95};
	static const int by256[] = {1, 2, 3, 6, 7, 8, 9, 12, 1, 2, 17, 33, 5, 3, 4};
	if (info->block == 1)
		return any[i];
	return info->block == 32 ? 32 * by32[i] : 256 * by256[i];
}
enum { N_COLUMNS = 15 };

/* A set against plain C, over numbers of tokens, columns, rows and kinds of data. */
static void
test_set(const struct llm_kernels *k, enum llm_dtype type, bool precise, uint64_t *state)
{
	static const int n_tok[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 17, 64};
	const struct llm_dtype_info *info = llm_dtype_info(type);
	size_t wrong = 0;
	int first = 0;
	for (int i = 0; i < (int)(sizeof n_tok / sizeof n_tok[0]); i++) {
		/* Few tokens with every number of columns, of plain and extreme data in turn. */
		int step = n_tok[i] <= 3 ? 1 : n_tok[i] <= 9 ? 3 : 5;
		for (int c = i % step; c < N_COLUMNS; c += step) {
			if (tap_quick() && (c + i) % 3 != 0)
				continue;
			int n_row = 1 + (int)(test_random(state) % MAX_ROW);
			/* More panels than wait for each other's chunk of columns. */
			if (n_tok[i] == 64 && c == 11 && !precise && !tap_quick())
				n_row = MANY_ROWS;
			struct llm_product shape = {
			    .type = type, .n_row = n_row, .n_col = columns(info, c)};
			wrong += compare(k->product, &shape, n_tok[i],
			    (c + i) / step % TEST_N_DATA, precise, state);
			if (wrong != 0 && first == 0)
				first = n_tok[i];
		}
	}
	tap_ok(wrong == 0,
	    "%s%s by %s equals plain C bit for bit (%zu differ, first at %d tokens)",
	    info->name, precise ? " with f32 activations" : "", k->name, wrong, first);
}

/* Blocks of one constant weight byte and one activation: the ends of every integer range. */
static void
test_ends(const struct llm_kernels *k, uint64_t *state)
{
	static const unsigned char bytes[] = {0x00, 0xff, 0x80, 0x7f, 0x0f, 0xf0};
	size_t wrong = 0;
	for (int i = 0; i < TEST_N_PLAIN; i++) {
		const struct llm_dtype_info *info = llm_dtype_info(test_plain_types[i]);
		for (int j = 0; j < 24 && info->block > 1; j++) {
			struct llm_product shape = {
			    .type = test_plain_types[i], .n_row = 16, .n_col = 1024};
			struct problem m[2];
			for (int s = 0; s < 2; s++) {
				int n_tok = j % 2 ? 1 : 13;
				problem_new(&m[s], &shape, n_tok, TEST_PLAIN, false, state);
				size_t n = 16 * 1024 / (size_t)info->block;
				for (size_t b = 0; b < n; b++) {
					unsigned char *p = m[s].weights;
					p += b * (size_t)info->block_bytes;
					memset(p, bytes[j / 4], (size_t)info->block_bytes);
					/* All scales 1 where the type keeps d first. */
					if (test_plain_types[i] != LLM_DTYPE_Q2_K &&
					    test_plain_types[i] != LLM_DTYPE_Q3_K &&
					    test_plain_types[i] != LLM_DTYPE_Q6_K)
						memcpy(p, "\x00\x3c", 2);
					else
						memcpy(
						    p + info->block_bytes - 2, "\x00\x3c", 2);
				}
				for (size_t t = 0; t < (size_t)n_tok * m[s].act.x_stride; t++)
					m[s].x[t + 1] = j / 2 % 2 ? -1 : 1;
				compute(&m[s], s ? &llm_product_generic : k->product, 0, 16);
			}
			wrong += differing(m[0].y, m[1].y, m[0].n_y);
			problem_free(&m[0]);
			problem_free(&m[1]);
		}
	}
	tap_ok(wrong == 0, "the ends of the integer ranges by %s equal plain C (%zu differ)",
	    k->name, wrong);
}

/* A value that is not finite is told, wherever it stands. */
static void
test_not_finite(const struct llm_kernels *k, uint64_t *state)
{
	static const float bad[] = {INFINITY, -INFINITY, NAN};
	bool good = true;
	for (int kind = LLM_ACT_Q32; kind <= LLM_ACT_Q256; kind++) {
		for (int i = 0; i < 64; i++) {
			float x[2 * 768];
			struct llm_act a;
			void *mem = take(llm_act_bytes(kind, 768, 2));
			test_activations(x, 2 * 768, i % 2, state);
			llm_act_init(&a, mem, kind, 768, 2, x, 768);
			good &= k->product->quantize(&a, 0, 2);
			x[768 + test_random(state) % 768] = bad[i % 3];
			good &=
			    k->product->quantize(&a, 0, 1) && !k->product->quantize(&a, 0, 2);
			free(mem);
		}
	}
	tap_ok(
	    good, "an activation that is not finite is refused by %s, and only that", k->name);
}

int
main(void)
{
	uint64_t state = 20240611;
	const struct llm_kernels *k;
	for (int i = 0; i < TEST_N_PLAIN; i++) {
		for (int precise = 0; precise < (test_plain_types[i] > LLM_DTYPE_F16 &&
						    test_plain_types[i] != LLM_DTYPE_BF16) +
						    1;
		     precise++) {
			test_contract(test_plain_types[i], precise, &state);
			test_doubles(test_plain_types[i], precise, &state);
		}
	}
	for (int s = 0; (k = llm_kernels_at(s)) != NULL; s++) {
		test_not_finite(k, &state);
		if (s == 0)
			continue;
		test_ends(k, &state);
		for (int i = 0; i < TEST_N_PLAIN; i++) {
			test_set(k, test_plain_types[i], false, &state);
			if (llm_dtype_info(test_plain_types[i])->block > 1)
				test_set(k, test_plain_types[i], true, &state);
		}
	}
	return tap_done();
}
