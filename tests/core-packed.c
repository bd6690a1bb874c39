/*
 * SPDX-License-Identifier: ISC
 *
 * The packed layout: packing comes back byte for byte, one row is found in it, and every instruction
 * set of this processor multiplies from it to the bits of plain C on the plain matrix.
 */
#include "libcore/packed.h"

#include "libcore/kernels/kernels.h"
#include "tests/blocks.h"
#include "tests/products.h"
#include "tests/tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_UNIT = 10, GUARD = 16 };

static void *
take(size_t n_bytes)
{
	void *p = aligned_alloc(64, (n_bytes + 127) & ~(size_t)63);
	if (p == NULL)
		exit(71);
	return p;
}

/* One random matrix in both orders. */
struct matrix {
	enum llm_dtype type; /* packed */
	int n_row, n_col;
	size_t n_bytes;
	unsigned char *plain, *packed; /* of exact size: a read past the end is seen by ASan */
};

static struct matrix
matrix_new(enum llm_dtype type, int n_row, int n_col, enum test_data data, uint64_t *state)
{
	size_t row_bytes = llm_dtype_row_bytes(type, n_col), unit_bytes = 8 * row_bytes;
	struct matrix m = {type, n_row, n_col, (size_t)n_row * row_bytes, NULL, NULL};
	m.plain = malloc(m.n_bytes);
	m.packed = malloc(m.n_bytes);
	if (m.plain == NULL || m.packed == NULL)
		exit(71);
	test_weights(
	    m.plain, llm_packed_plain(type), (size_t)n_row * (size_t)n_col, data, state);
	for (size_t at = 0; at < m.n_bytes; at += unit_bytes)
		llm_packed_pack(m.packed + at, m.plain + at, type, n_col);
	return m;
}

static void
matrix_free(struct matrix *m)
{
	free(m->plain);
	free(m->packed);
}

static int
random_columns(enum llm_dtype type, uint64_t *state)
{
	static const int some[] = {96, 160, 576, 1536, 2048, 2048 + 256, 2080};
	int block = llm_dtype_info((uint32_t)type)->block;
	int n = block * (1 + (int)(test_random(state) % (block == 32 ? 80 : 10)));
	int other = some[test_random(state) % (sizeof some / sizeof some[0])];
	return test_random(state) % 3 == 0 && other % block == 0 ? other : n;
}

static void
test_moves(enum llm_dtype type, uint64_t *state)
{
	const struct llm_dtype_info *info = llm_dtype_info((uint32_t)type);
	enum llm_dtype plain = llm_packed_plain(type);
	bool back = true, same = true, moved = true, blocks = true, rows = true;
	for (int round = 0; round < 40; round++) {
		int n_row = 8 * (1 + round % 3), n_col = info->block * (1 + round % 12);
		struct matrix m = matrix_new(type, n_row, n_col, round % 2, state);
		unsigned char *again = take(m.n_bytes);
		size_t row_bytes = m.n_bytes / (size_t)n_row;
		int count[2][256] = {{0}};
		for (size_t at = 0; at < m.n_bytes; at += 8 * row_bytes)
			llm_packed_unpack(again + at, m.packed + at, type, n_col);
		back &= memcmp(again, m.plain, m.n_bytes) == 0;
		moved &= round % 2 || memcmp(m.packed, m.plain, m.n_bytes) != 0;
		for (size_t i = 0; i < m.n_bytes; i++) {
			count[0][m.plain[i]]++;
			count[1][m.packed[i]]++;
		}
		if (plain != LLM_DTYPE_Q5_0 && plain != LLM_DTYPE_Q5_1)
			same &= memcmp(count[0], count[1], sizeof count[0]) == 0;
		float *y = take((size_t)n_col * 8);
		for (int r = 0; r < n_row; r++) {
			const unsigned char *row = m.plain + (size_t)r * row_bytes;
			struct llm_packed_row from = {m.packed, type, n_col, r};
			int n_block = n_col / info->block, b = round % n_block;
			llm_packed_blocks(again, &from, b, n_block - b);
			size_t at = (size_t)b * (size_t)info->block_bytes;
			blocks &= memcmp(again, row + at, row_bytes - at) == 0;
			llm_dtype_row(y, m.packed, type, n_col, r);
			llm_dtype_row(y + n_col, m.plain, plain, n_col, r);
			rows &= memcmp(y, y + n_col, (size_t)n_col * sizeof *y) == 0;
		}
		free(y);
		free(again);
		matrix_free(&m);
	}
	tap_ok(back && moved && same, "%s is packed and comes back byte for byte", info->name);
	tap_ok(blocks && rows, "rows of %s are found in it", info->name);
}

/* y of one product, over a background of 42, by ranges split at a multiple of 8. */
static void
compute(const struct llm_product *p, const struct llm_product_kernels *k, size_t n_y)
{
	void *scratch = take(LLM_PRODUCT_SCRATCH);
	int middle = p->n_row / 16 * 8;
	memset(scratch, 0xff, LLM_PRODUCT_SCRATCH);
	for (size_t i = 0; i < n_y; i++)
		p->y[i] = 42;
	k->run(p, 0, middle, scratch);
	k->run(p, middle, p->n_row, scratch);
	free(scratch);
}

/* Values that differ between the packed product by k and the plain one by plain C. */
static size_t
compare(const struct llm_product_kernels *k, const struct matrix *m, int n_tok,
    enum llm_act_kind kind, uint64_t *state)
{
	size_t x_stride = (size_t)m->n_col + 3, y_stride = (size_t)m->n_row + GUARD;
	size_t n_y = (size_t)n_tok * y_stride, wrong = 0;
	float *x = take((size_t)n_tok * x_stride * sizeof *x), *y = take(n_y * 2 * sizeof *y);
	void *mem = take(llm_act_bytes(kind, m->n_col, n_tok));
	struct llm_act a;
	for (int t = 0; t < n_tok; t++)
		test_activations(
		    x + (size_t)t * x_stride, m->n_col, test_random(state) % 2, state);
	llm_act_init(&a, mem, kind, m->n_col, n_tok, x, x_stride);
	if (kind != LLM_ACT_F32)
		k->quantize(&a, 0, n_tok);
	struct llm_product p = {.w = m->plain,
	    .type = llm_packed_plain(m->type),
	    .n_row = m->n_row,
	    .n_col = m->n_col,
	    .x = &a,
	    .y = y,
	    .y_stride = y_stride};
	compute(&p, &llm_product_generic, n_y);
	p.w = m->packed;
	p.type = m->type;
	p.y = y + n_y;
	compute(&p, k, n_y);
	for (size_t i = 0; i < n_y; i++)
		wrong += memcmp(y + i, y + n_y + i, sizeof *y) != 0 &&
			 !(isnan(y[i]) && isnan(y[n_y + i]));
	free(x);
	free(y);
	free(mem);
	return wrong;
}

static void
test_products(const struct llm_kernels *k, enum llm_dtype type, bool precise, uint64_t *state)
{
	static const int n_tok[] = {1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 40, 71, 521};
	const struct llm_dtype_info *info = llm_dtype_info((uint32_t)type);
	size_t wrong = 0, first = 0;
	int n = k->product == &llm_product_generic ? 6 : sizeof n_tok / sizeof n_tok[0];
	for (int i = 0; i < n; i++)
		for (int data = 0; data < TEST_N_DATA; data++) {
			if (tap_quick() && (n_tok[i] > 40 || i % 2 != data))
				continue;
			int n_col = random_columns(type, state);
			int n_row = 8 * (1 + (int)(test_random(state) % MAX_UNIT));
			if (n_tok[i] > 40)
				n_row = 40;
			struct matrix m = matrix_new(type, n_row, n_col, data, state);
			wrong += compare(
			    k->product, &m, n_tok[i], precise ? LLM_ACT_F32 : info->act, state);
			if (wrong != 0 && first == 0)
				first = (size_t)n_tok[i];
			matrix_free(&m);
		}
	tap_ok(wrong == 0,
	    "%s%s by %s equals the plain product bit for bit (%zu differ, first at %zu tokens)",
	    info->name, precise ? " with f32 activations" : "", k->name, wrong, first);
}

int
main(void)
{
	uint64_t state = 20250302;
	const struct llm_kernels *k;
	for (int i = 0; i < TEST_N_PACKED; i++)
		test_moves(test_packed_types[i], &state);
	tap_ok(llm_packed_type(LLM_DTYPE_Q4_K, 16) == LLM_DTYPE_Q4_K_R8 &&
		   llm_packed_type(LLM_DTYPE_Q4_K, 12) == LLM_DTYPE_Q4_K &&
		   llm_packed_type(LLM_DTYPE_Q4_K_R8, 16) == LLM_DTYPE_Q4_K_R8 &&
		   llm_packed_type(LLM_DTYPE_Q2_K, 16) == LLM_DTYPE_Q2_K &&
		   llm_packed_type(LLM_DTYPE_BF16, 16) == LLM_DTYPE_BF16,
	    "rows that are no multiple of eight and types without a packed layout stay plain");
	for (int s = 0; (k = llm_kernels_at(s)) != NULL; s++)
		for (int i = 0; i < TEST_N_PACKED; i++) {
			test_products(k, test_packed_types[i], false, &state);
			test_products(k, test_packed_types[i], true, &state);
		}
	return tap_done();
}
