/*
 * SPDX-License-Identifier: ISC
 *
 * Moving blocks between GGUF's order and the packed one; see packed.h.  A table says where the
 * fields of a block stand in GGUF, in the packed order.
 */
#include "libcore/packed.h"

#include "libcore/kernels/blocks.h"

#include <assert.h>

enum { ROWS = LLM_PACKED_ROWS, MAX_FIELD = 5 };

struct field {
	int at, bytes; /* in a block of GGUF; bytes 0 ends the list */
	bool turned;   /* bit 4 s + b becomes bit s of byte b */
};

#define FIELD(name, field)                                             \
	{                                                              \
		offsetof(struct llm_block_##name, field),              \
		    sizeof((struct llm_block_##name *)0)->field, false \
	}
#define FIELD_TURNED(name, field)                                     \
	{                                                             \
		offsetof(struct llm_block_##name, field),             \
		    sizeof((struct llm_block_##name *)0)->field, true \
	}
static const struct field fields[LLM_DTYPE_MAX][MAX_FIELD + 1] = {
    [LLM_DTYPE_Q4_0_R8] = {FIELD(q4_0, d), FIELD(q4_0, qs)},
    [LLM_DTYPE_Q4_1_R8] = {FIELD(q4_1, d), FIELD(q4_1, m), FIELD(q4_1, qs)},
    [LLM_DTYPE_Q5_0_R8] = {FIELD(q5_0, d), FIELD_TURNED(q5_0, qh), FIELD(q5_0, qs)},
    [LLM_DTYPE_Q5_1_R8] = {FIELD(q5_1, d), FIELD(q5_1, m), FIELD_TURNED(q5_1, qh),
	FIELD(q5_1, qs)},
    [LLM_DTYPE_Q8_0_R8] = {FIELD(q8_0, d), FIELD(q8_0, qs)},
    [LLM_DTYPE_Q4_K_R8] = {FIELD(q4_K, d), FIELD(q4_K, dmin), FIELD(q4_K, scales),
	FIELD(q4_K, qs)},
    [LLM_DTYPE_Q5_K_R8] = {FIELD(q5_K, d), FIELD(q5_K, dmin), FIELD(q5_K, scales),
	FIELD(q5_K, qh), FIELD(q5_K, qs)},
    [LLM_DTYPE_Q6_K_R8] = {FIELD(q6_K, d), FIELD(q6_K, scales), FIELD(q6_K, qh),
	FIELD(q6_K, ql)},
};

enum llm_dtype
llm_packed_type(enum llm_dtype plain, int64_t n_row)
{
	uint32_t packed = (uint32_t)plain + LLM_DTYPE_PACKED;
	if (llm_packed_is(plain) || llm_dtype_info(packed) == NULL || n_row % ROWS != 0)
		return plain;
	return (enum llm_dtype)packed;
}

/* Bit 4 s + b to bit 8 b + s; back: the other way. */
static void
turn(unsigned char *dst, const unsigned char *src, bool back)
{
	uint32_t from = llm_block_u32(src), to = 0;
	for (int s = 0; s < 8; s++)
		for (int b = 0; b < 4; b++) {
			int plain = 4 * s + b, packed = 8 * b + s;
			to |= back ? (from >> packed & 1) << plain
				   : (from >> plain & 1) << packed;
		}
	for (int i = 0; i < 4; i++)
		dst[i] = (unsigned char)(to >> 8 * i);
}

/* A field of one row: whole groups, `step` bytes apart on either side. */
static inline void
copy_groups(unsigned char *restrict dst, size_t dst_step, const unsigned char *restrict src,
    size_t src_step, int bytes)
{
	if (bytes == 2) {
		memcpy(dst, src, 2);
		return;
	}
	for (int i = 0; i < bytes / 4; i++)
		memcpy(dst + (size_t)i * dst_step, src + (size_t)i * src_step, 4);
}

/* The blocks of a span, and its bytes over all rows. */
struct span {
	int n_block;
	size_t n_bytes;
};

static struct span
span_at(const struct llm_dtype_info *info, int n_col, int b)
{
	int most = info->block == 32 ? 4 : 1, left = n_col / info->block - b;
	int n = left < most ? left : most;
	return (struct span){n, (size_t)n * ROWS * (size_t)info->block_bytes};
}

/* Moves a unit; rows of GGUF's order stand row_bytes apart. */
static void
move_unit(unsigned char *restrict packed, unsigned char *restrict plain, enum llm_dtype type,
    int n_col, bool back)
{
	const struct llm_dtype_info *info = llm_dtype_info(type);
	size_t row_bytes = llm_dtype_row_bytes(type, n_col), block = (size_t)info->block_bytes;
	struct span span;
	for (int b = 0; b < n_col / info->block; b += span.n_block) {
		span = span_at(info, n_col, b);
		for (const struct field *f = fields[type]; f->bytes != 0; f++)
			for (int i = 0; i < span.n_block; i++, packed += ROWS * f->bytes)
				for (size_t r = 0; r < ROWS; r++) {
					size_t group = f->bytes == 2 ? 2 : 4;
					unsigned char *at =
					    plain + r * row_bytes + (size_t)(b + i) * block;
					unsigned char *p = packed + r * group;
					at += f->at;
					if (f->turned)
						turn(back ? at : p, back ? p : at, back);
					else if (back)
						copy_groups(at, 4, p, 4 * ROWS, f->bytes);
					else
						copy_groups(p, 4 * ROWS, at, 4, f->bytes);
				}
	}
}

void
llm_packed_pack(void *restrict dst, const void *restrict src, enum llm_dtype type, int n_col)
{
	assert(llm_packed_is(type));
	move_unit(dst, (unsigned char *)src, type, n_col, false);
}

void
llm_packed_unpack(void *restrict dst, const void *restrict src, enum llm_dtype type, int n_col)
{
	assert(llm_packed_is(type));
	move_unit((unsigned char *)src, dst, type, n_col, true);
}

void
llm_packed_blocks(void *restrict dst, const struct llm_packed_row *row, int b0, int n)
{
	const struct llm_dtype_info *info = llm_dtype_info(row->type);
	size_t unit_bytes = ROWS * llm_dtype_row_bytes(row->type, row->n_col);
	size_t r = (size_t)(row->row % ROWS), block = (size_t)info->block_bytes;
	const unsigned char *unit =
	    (const unsigned char *)row->data + (size_t)(row->row / ROWS) * unit_bytes;
	unsigned char *to = dst;
	for (int b = b0; b < b0 + n; b++, to += block) {
		int first = info->block == 32 ? b & ~3 : b;
		struct span span = span_at(info, row->n_col, first);
		const unsigned char *p = unit + (size_t)first * ROWS * block;
		for (const struct field *f = fields[row->type]; f->bytes != 0; f++) {
			size_t bytes = ROWS * (size_t)f->bytes, group = f->bytes == 2 ? 2 : 4;
			const unsigned char *at = p + (size_t)(b - first) * bytes + r * group;
			if (f->turned)
				turn(to + f->at, at, true);
			else
				copy_groups(to + f->at, 4, at, 4 * ROWS, f->bytes);
			p += (size_t)span.n_block * bytes;
		}
	}
}
