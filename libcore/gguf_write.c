/*
 * SPDX-License-Identifier: ISC
 *
 * Making a GGUF file; see gguf_write.h.  All is little-endian, byte by byte.
 */
#include "libcore/gguf_write.h"

#include "libcore/size.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool
bytes_put(struct llm_gguf_bytes *b, const void *p, size_t n)
{
	size_t want;
	if (!llm_size_add(&want, b->n, n))
		return false;
	if (want > b->cap) {
		size_t cap = b->cap > 0 ? b->cap : 1 << 12;
		while (cap < want)
			if (!llm_size_mul(&cap, cap, 2))
				return false;
		unsigned char *more = realloc(b->b, cap);
		if (more == NULL)
			return false;
		b->b = more;
		b->cap = cap;
	}
	if (n > 0)
		memcpy(b->b + b->n, p, n);
	b->n = want;
	return true;
}

/* The lowest n bytes of v. */
static bool
bytes_int(struct llm_gguf_bytes *b, uint64_t v, size_t n)
{
	unsigned char le[8];
	for (size_t i = 0; i < n; i++)
		le[i] = (unsigned char)(v >> 8 * i);
	return bytes_put(b, le, n);
}

static bool
bytes_str(struct llm_gguf_bytes *b, const char *s, size_t n)
{
	return bytes_int(b, n, 8) && bytes_put(b, s, n);
}

/* A key's name and type; its value follows. */
static bool
key_begin(struct llm_gguf_writer *w, const char *name, enum llm_gguf_type type)
{
	w->n_key++;
	return bytes_str(&w->keys, name, strlen(name)) && bytes_int(&w->keys, type, 4);
}

static void
number_add(struct llm_gguf_writer *w, const char *name, enum llm_gguf_type type, uint64_t bits,
    size_t n)
{
	if (!key_begin(w, name, type) || !bytes_int(&w->keys, bits, n))
		w->failed = true;
}

void
llm_gguf_writer_u32(struct llm_gguf_writer *w, const char *name, uint32_t v)
{
	number_add(w, name, LLM_GGUF_U32, v, 4);
}

void
llm_gguf_writer_f32(struct llm_gguf_writer *w, const char *name, float v)
{
	uint32_t bits;
	memcpy(&bits, &v, sizeof bits);
	number_add(w, name, LLM_GGUF_F32, bits, 4);
}

void
llm_gguf_writer_bool(struct llm_gguf_writer *w, const char *name, bool v)
{
	number_add(w, name, LLM_GGUF_BOOL, v, 1);
}

void
llm_gguf_writer_str(struct llm_gguf_writer *w, const char *name, const char *s, size_t n)
{
	if (!key_begin(w, name, LLM_GGUF_STRING) || !bytes_str(&w->keys, s, n))
		w->failed = true;
}

static bool
array_begin(struct llm_gguf_writer *w, const char *name, enum llm_gguf_type type, size_t n)
{
	return key_begin(w, name, LLM_GGUF_ARRAY) && bytes_int(&w->keys, type, 4) &&
	       bytes_int(&w->keys, n, 8);
}

void
llm_gguf_writer_i32s(struct llm_gguf_writer *w, const char *name, const int32_t *v, size_t n)
{
	bool good = array_begin(w, name, LLM_GGUF_I32, n);
	for (size_t i = 0; i < n && good; i++)
		good = bytes_int(&w->keys, (uint32_t)v[i], 4);
	w->failed = w->failed || !good;
}

void
llm_gguf_writer_strs(
    struct llm_gguf_writer *w, const char *name, const struct llm_gguf_str *s, size_t n)
{
	bool good = array_begin(w, name, LLM_GGUF_STRING, n);
	for (size_t i = 0; i < n && good; i++)
		good = bytes_str(&w->keys, s[i].s, s[i].n);
	w->failed = w->failed || !good;
}

size_t
llm_gguf_writer_tensor(
    struct llm_gguf_writer *w, const char *name, enum llm_dtype type, int64_t ne0, int64_t ne1)
{
	size_t bytes = llm_dtype_row_bytes(type, ne0);
	uint32_t n_dim = ne1 > 1 ? 2 : 1;
	struct llm_gguf_bytes *b = &w->tensors;
	bool good = ne1 >= 1 && llm_size_mul(&bytes, bytes, (size_t)ne1) &&
		    bytes_str(b, name, strlen(name)) && bytes_int(b, n_dim, 4) &&
		    bytes_int(b, (uint64_t)ne0, 8) &&
		    (n_dim == 1 || bytes_int(b, (uint64_t)ne1, 8)) &&
		    bytes_int(b, llm_dtype_to_file(type), 4) && bytes_int(b, w->offset, 8);
	size_t padded = 0;
	good = good && llm_size_align(&padded, bytes, LLM_GGUF_WRITE_ALIGN);
	w->failed = w->failed || !good;
	w->offset += padded;
	w->n_tensor++;
	return good ? bytes : 0;
}

int
llm_gguf_writer_header(
    struct llm_gguf_bytes *out, const struct llm_gguf_writer *w, struct llm_err *err)
{
	static const unsigned char zeros[LLM_GGUF_WRITE_ALIGN];
	bool good = !w->failed && bytes_put(out, "GGUF", 4) && bytes_int(out, 3, 4) &&
		    bytes_int(out, w->n_tensor, 8) && bytes_int(out, w->n_key, 8) &&
		    bytes_put(out, w->keys.b, w->keys.n) &&
		    bytes_put(out, w->tensors.b, w->tensors.n);
	size_t pad =
	    (LLM_GGUF_WRITE_ALIGN - out->n % LLM_GGUF_WRITE_ALIGN) % LLM_GGUF_WRITE_ALIGN;
	if (good && bytes_put(out, zeros, pad))
		return 0;
	return llm_err_nomem(err, w->keys.n + w->tensors.n);
}

void
llm_gguf_writer_free(struct llm_gguf_writer *w)
{
	free(w->keys.b);
	free(w->tensors.b);
	memset(w, 0, sizeof *w);
}

static bool
quantize_q8_0(unsigned char *y, const float *x)
{
	float amax = 0;
	for (int i = 0; i < 32; i++)
		amax = fabsf(x[i]) > amax ? fabsf(x[i]) : amax;
	float d = amax / 127.0f,
	      id = d > 1e-30f ? 1.0f / d : 0; /* d is 0 in f16 far above that */
	uint16_t h = llm_f32_to_f16(d);
	y[0] = (unsigned char)h;
	y[1] = (unsigned char)(h >> 8);
	for (int i = 0; i < 32; i++)
		y[2 + i] = (unsigned char)(int8_t)roundf(x[i] * id);
	return isfinite(llm_f16_to_f32(h)) && isfinite(id);
}

bool
llm_gguf_quantize(void *dst, enum llm_dtype type, const float *x, size_t n)
{
	unsigned char *y = dst;
	for (size_t i = 0; i < n; i++)
		if (!isfinite(x[i]))
			return false;
	switch (type) {
	case LLM_DTYPE_F32:
		memcpy(dst, x, n * sizeof *x);
		return true;
	case LLM_DTYPE_F16:
		for (size_t i = 0; i < n; i++) {
			uint16_t h = llm_f32_to_f16(x[i]);
			y[2 * i] = (unsigned char)h;
			y[2 * i + 1] = (unsigned char)(h >> 8);
			if (!isfinite(llm_f16_to_f32(h)))
				return false;
		}
		return true;
	case LLM_DTYPE_Q8_0:
		for (size_t i = 0; i + 32 <= n; i += 32, y += 34)
			if (!quantize_q8_0(y, x + i))
				return false;
		return true;
	default:
		return false;
	}
}
