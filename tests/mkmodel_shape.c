/*
 * SPDX-License-Identifier: ISC
 *
 * Shapes, weight types and tensors of made models; see mkmodel.h.
 */
#include "tests/mkmodel.h"

#include "libcore/fmath.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct mkmodel shapes[] = {
    {"tiny", 3, 64, 4, 2, 16, 160, 512, 512, 1e4, 1e-5, 0, true, "F32", "gpt2", NULL, 1, false},
    {"tinyk", 2, 256, 4, 1, 64, 512, 512, 512, 1e4, 1e-5, 0, true, "Q4_K", "gpt2", NULL, 1,
	false},
    {"odd", 2, 288, 9, 3, 32, 864, 515, 512, 1e5, 1e-5, 0, false, "Q4_1", "gpt2", NULL, 1,
	false},
    {"15M", 6, 288, 6, 6, 48, 768, 32000, 2048, 1e4, 1e-5, 0, true, "Q8_0", "spm", NULL, 1,
	false},
    {"135M", 30, 576, 9, 3, 64, 1536, 49152, 8192, 1e5, 1e-5, 0, true, "SMOLLM2", "gpt2", NULL,
	1, false},
    {"1B", 16, 2048, 32, 8, 64, 8192, 128256, 131072, 5e5, 1e-5, 32, true, "Q4_K_M", "llama3",
	NULL, 1, false},
    {"3B", 28, 3072, 24, 8, 128, 8192, 128256, 131072, 5e5, 1e-5, 32, true, "Q4_K_M", "llama3",
	NULL, 1, false},
    {"8B", 32, 4096, 32, 8, 128, 14336, 128256, 131072, 5e5, 1e-5, 8, false, "Q4_K_M", "llama3",
	NULL, 1, false},
};

bool
mkmodel_shape(struct mkmodel *m, const char *name)
{
	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
		if (strcmp(shapes[i].shape, name) == 0) {
			*m = shapes[i];
			return true;
		}
	return false;
}

/* A mix: the type of most matrices, of the embedding (tied: the output too), of the output, and of attn_v and ffn_down where they get more. */
struct mix {
	const char *name;
	enum llm_dtype most, embd, output, more;
};

static const struct mix mixes[] = {
    {"Q4_K_M", LLM_DTYPE_Q4_K, LLM_DTYPE_Q4_K, LLM_DTYPE_Q6_K, LLM_DTYPE_Q6_K},
    {"Q5_K_M", LLM_DTYPE_Q5_K, LLM_DTYPE_Q5_K, LLM_DTYPE_Q6_K, LLM_DTYPE_Q6_K},
    {"Q3_K_M", LLM_DTYPE_Q3_K, LLM_DTYPE_Q3_K, LLM_DTYPE_Q6_K, LLM_DTYPE_Q5_K},
    {"SMOLLM2", LLM_DTYPE_Q4_1, LLM_DTYPE_Q8_0, LLM_DTYPE_Q8_0, LLM_DTYPE_Q4_1},
};

static bool
mix_find(struct mix *out, const char *name)
{
	for (size_t i = 0; i < sizeof mixes / sizeof mixes[0]; i++)
		if (strcmp(mixes[i].name, name) == 0) {
			*out = mixes[i];
			return true;
		}
	for (uint32_t t = 0; t < LLM_DTYPE_PACKED; t++)
		if (llm_dtype_info(t) != NULL && strcmp(llm_dtype_name(t), name) == 0) {
			*out = (struct mix){name, t, t, t, t};
			return true;
		}
	return false;
}

/* A K-quant's place in rows that are no multiple of 256 is taken by its nearest of 32. */
static enum llm_dtype
type_for(enum llm_dtype type, int n_col)
{
	if (llm_dtype_info((uint32_t)type)->block <= 32 || n_col % 256 == 0)
		return type;
	switch (type) {
	case LLM_DTYPE_Q4_K:
		return LLM_DTYPE_Q5_0;
	case LLM_DTYPE_Q5_K:
		return LLM_DTYPE_Q5_1;
	case LLM_DTYPE_Q6_K:
		return LLM_DTYPE_Q8_0;
	default:
		return LLM_DTYPE_Q4_0;
	}
}

static void
add_matrix(struct mkfile *f, const char *name, enum llm_dtype type, int n_row, int n_col)
{
	struct mkfile_tensor *t =
	    mkfile_add(f, name, type_for(type, n_col), (uint64_t)n_col, (uint64_t)n_row);
	t->std = 1 / sqrt((double)n_col);
}

static void
add_norm(struct mkfile *f, const char *name, int n)
{
	struct mkfile_tensor *t = mkfile_add(f, name, LLM_DTYPE_F32, (uint64_t)n, 0);
	t->mean = 1;
	t->std = 0.1;
}

static void
add_layer(struct mkfile *f, const struct mkmodel *m, const struct mix *mix, int layer)
{
	char name[80];
	int eighth = m->n_layer / 8, n_q = m->n_head * m->d_head,
	    n_kv = m->n_head_kv * m->d_head;
	/* The layers that the mixes in use give more bits: the ends, and every third between. */
	bool more = layer < eighth || layer >= 7 * m->n_layer / 8 || (layer - eighth) % 3 == 2;
	enum llm_dtype type = more ? mix->more : mix->most;
	/* Branches shrink so that the residual stream does not grow with depth. */
	double branch = 1 / sqrt(2.0 * m->n_layer);
#define NAME(role) (snprintf(name, sizeof name, "blk.%d.%s.weight", layer, role), name)
	add_norm(f, NAME("attn_norm"), m->n_embd);
	add_matrix(f, NAME("ffn_down"), type, m->n_embd, m->n_ff);
	mkfile_find(f, name)->std *= branch;
	add_matrix(f, NAME("ffn_gate"), mix->most, m->n_ff, m->n_embd);
	add_matrix(f, NAME("ffn_up"), mix->most, m->n_ff, m->n_embd);
	add_norm(f, NAME("ffn_norm"), m->n_embd);
	add_matrix(f, NAME("attn_k"), mix->most, n_kv, m->n_embd);
	add_matrix(f, NAME("attn_output"), mix->most, m->n_embd, n_q);
	mkfile_find(f, name)->std *= branch;
	add_matrix(f, NAME("attn_q"), mix->most, n_q, m->n_embd);
	add_matrix(f, NAME("attn_v"), type, n_kv, m->n_embd);
#undef NAME
}

/*
 * Divisors of Llama 3.1 scaling: low 1, high 4, original context 8192.  Long wavelengths are divided
 * by the factor, short ones kept, those between blended.
 */
static void
add_rope_freqs(struct mkfile *f, const struct mkmodel *m)
{
	const double two_pi = 6.283185307179586;
	int n = m->d_head / 2;
	struct mkfile_tensor *t =
	    mkfile_add(f, "rope_freqs.weight", LLM_DTYPE_F32, (uint64_t)n, 0);
	t->values = calloc((size_t)n, sizeof *t->values);
	for (int i = 0; t->values != NULL && i < n; i++) {
		double freq = llm_pow(m->theta, -2.0 * i / m->d_head), wave = two_pi / freq;
		double blend = (8192 / wave - 1) / 3;
		blend = blend < 0 ? 0 : blend > 1 ? 1 : blend;
		t->values[i] = (float)(1 / ((1 - blend) / m->rope_factor + blend));
	}
}

static void
add_keys(struct mkfile *f, const struct mkmodel *m)
{
	char name[64];
	snprintf(
	    name, sizeof name, "made %s, seed %llu", m->shape, (unsigned long long)m->seed);
	mkfile_str(f, "general.architecture", "llama");
	mkfile_str(f, "general.type", "model");
	mkfile_str(f, "general.name", name);
	mkfile_str(f, "general.license", "cc0-1.0");
	mkfile_u32(f, "llama.block_count", (uint32_t)m->n_layer);
	mkfile_u32(f, "llama.context_length", (uint32_t)m->n_ctx);
	mkfile_u32(f, "llama.embedding_length", (uint32_t)m->n_embd);
	mkfile_u32(f, "llama.feed_forward_length", (uint32_t)m->n_ff);
	mkfile_u32(f, "llama.attention.head_count", (uint32_t)m->n_head);
	mkfile_u32(f, "llama.attention.head_count_kv", (uint32_t)m->n_head_kv);
	if (m->d_head * m->n_head != m->n_embd) {
		mkfile_u32(f, "llama.attention.key_length", (uint32_t)m->d_head);
		mkfile_u32(f, "llama.attention.value_length", (uint32_t)m->d_head);
	}
	mkfile_f32(f, "llama.rope.freq_base", (float)m->theta);
	mkfile_f32(f, "llama.attention.layer_norm_rms_epsilon", (float)m->norm_eps);
	mkfile_u32(f, "llama.vocab_size", (uint32_t)m->n_vocab);
	mkfile_u32(f, "llama.rope.dimension_count", (uint32_t)m->d_head);
	mkfile_u32(f, "general.quantization_version", 2);
}

/* All dimensions positive, and no row that the types cannot hold. */
static bool
check(struct mix *mix, const struct mkmodel *m)
{
	if (!mix_find(mix, m->type)) {
		fprintf(stderr, "mkmodel: unknown type of weights: %s\n", m->type);
		return false;
	}
	if (m->n_layer < 1 || m->n_embd < 1 || m->n_head < 1 || m->n_head_kv < 1 ||
	    m->d_head < 2 || m->n_ff < 1 || m->n_vocab < 1 || m->n_head % m->n_head_kv != 0) {
		fprintf(stderr, "mkmodel: %d layers of %d, %d heads on %d: no such model\n",
		    m->n_layer, m->n_embd, m->n_head, m->n_head_kv);
		return false;
	}
	bool blocks = llm_dtype_info((uint32_t)mix->most)->block > 1;
	if (blocks &&
	    (m->n_embd % 32 != 0 || m->n_ff % 32 != 0 || m->n_head * m->d_head % 32)) {
		fprintf(stderr, "mkmodel: rows of %s must be multiples of 32\n", m->type);
		return false;
	}
	return true;
}

struct mkfile *
mkmodel_new(const struct mkmodel *m)
{
	struct mix mix;
	struct mkfile *f;
	if (!check(&mix, m))
		return NULL;
	f = mkfile_new();
	f->seed = m->seed;
	add_keys(f, m);
	if (!mkmodel_vocab(f, m)) {
		mkfile_free(f);
		return NULL;
	}
	/* Logits of a standard deviation of 3: neither flat nor one word. */
	add_matrix(
	    f, "token_embd.weight", m->tied ? mix.output : mix.embd, m->n_vocab, m->n_embd);
	f->tensor[0].std *= m->tied ? 3 : 1;
	for (int i = 0; i < m->n_layer; i++)
		add_layer(f, m, &mix, i);
	add_norm(f, "output_norm.weight", m->n_embd);
	if (!m->tied) {
		add_matrix(f, "output.weight", mix.output, m->n_vocab, m->n_embd);
		mkfile_find(f, "output.weight")->std *= 3;
	}
	if (m->rope_factor > 0)
		add_rope_freqs(f, m);
	for (size_t i = 0; i < f->n_tensor; i++)
		f->tensor[i].encode = m->encode;
	return f;
}
