/*
 * SPDX-License-Identifier: ISC
 *
 * Tensors to roles; see weights.h.  The file's tensors are walked once: each must be one that the
 * pass uses, and at the end none may be missing.
 */
#include "libcore/weights.h"

#include "libcore/size.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a role's shape is made of. */
enum dim { ONE, EMBD, FF, HEADS, HEADS_KV, VOCAB, HALF_HEAD };

enum role_kind { MATRIX, VECTOR };

/* One role: the tensor's name, its shape, and where it goes. */
struct role {
	const char *name; /* without "blk.N." and ".weight" */
	enum role_kind kind;
	enum dim n_col, n_row;
	size_t offset; /* in struct llm_layer or struct llm_weights */
	bool optional;
};

#define LAYER(field) offsetof(struct llm_layer, field)
static const struct role layer_roles[] = {
    {"attn_norm", VECTOR, EMBD, ONE, LAYER(attn_norm), false},
    {"attn_q", MATRIX, EMBD, HEADS, LAYER(q), false},
    {"attn_k", MATRIX, EMBD, HEADS_KV, LAYER(k), false},
    {"attn_v", MATRIX, EMBD, HEADS_KV, LAYER(v), false},
    {"attn_output", MATRIX, HEADS, EMBD, LAYER(o), false},
    {"ffn_norm", VECTOR, EMBD, ONE, LAYER(ffn_norm), false},
    {"ffn_gate", MATRIX, EMBD, FF, LAYER(gate), false},
    {"ffn_up", MATRIX, EMBD, FF, LAYER(up), false},
    {"ffn_down", MATRIX, FF, EMBD, LAYER(down), false},
};
#define MODEL(field) offsetof(struct llm_weights, field)
static const struct role model_roles[] = {
    {"token_embd", MATRIX, EMBD, VOCAB, MODEL(embd), false},
    {"output_norm", VECTOR, EMBD, ONE, MODEL(output_norm), false},
    {"output", MATRIX, EMBD, VOCAB, MODEL(output), true},
    {"rope_freqs", VECTOR, HALF_HEAD, ONE, MODEL(rope_freqs), true},
};

enum {
	N_LAYER_ROLE = sizeof layer_roles / sizeof layer_roles[0],
	N_MODEL_ROLE = sizeof model_roles / sizeof model_roles[0],
};

static int64_t
dim_value(enum dim d, const struct llm_config *c)
{
	switch (d) {
	case ONE:
		return 1;
	case EMBD:
		return c->n_embd;
	case FF:
		return c->n_ff;
	case HEADS:
		return (int64_t)c->n_head * c->d_head;
	case HEADS_KV:
		return (int64_t)c->n_head_kv * c->d_head;
	case VOCAB:
		return c->n_vocab;
	case HALF_HEAD:
		return c->d_head / 2;
	}
	return 0;
}

/* One tensor into its place, once shape, type and alignment are right. */
static int
role_fill(void *base, const struct role *role, const struct llm_config *c,
    const struct llm_gguf_tensor *t, struct llm_err *err, const char *path)
{
	char name[80];
	llm_err_quote(name, sizeof name, t->name.s, t->name.n);
	int64_t n_col = dim_value(role->n_col, c), n_row = dim_value(role->n_row, c);
	if (t->ne[0] != n_col || t->ne[1] != n_row || t->ne[2] != 1 || t->ne[3] != 1)
		return llm_err_set(err, LLM_EDATA,
		    "%s: tensor %s is %lld x %lld x %lld x %lld, expected %lld x %lld", path,
		    name, (long long)t->ne[0], (long long)t->ne[1], (long long)t->ne[2],
		    (long long)t->ne[3], (long long)n_col, (long long)n_row);
	if ((uintptr_t)t->data % sizeof(float) != 0)
		return llm_err_set(err, LLM_EDATA,
		    "%s: tensor %s starts at no multiple of %zu bytes", path, name,
		    sizeof(float));
	if (role->kind == MATRIX) {
		struct llm_matrix *m = (struct llm_matrix *)((char *)base + role->offset);
		*m = (struct llm_matrix){t->data, t->type, (int)n_row, (int)n_col};
		return 0;
	}
	if (t->type != LLM_DTYPE_F32)
		return llm_err_set(err, LLM_EUNSUPPORTED,
		    "%s: tensor %s has type %s, expected F32", path, name,
		    llm_dtype_info(t->type)->name);
	*(const float **)((char *)base + role->offset) = t->data;
	return 0;
}

/* The layer of "blk.N.", and the rest of the name; -1 for a name without it. */
static int
layer_of(struct llm_gguf_str *rest, struct llm_gguf_str name)
{
	size_t i = 4;
	int layer = 0;
	if (name.n < 6 || memcmp(name.s, "blk.", 4) != 0)
		return -1;
	for (; i < name.n && name.s[i] >= '0' && name.s[i] <= '9'; i++) {
		if (i > 4 && layer == 0)
			return -1; /* a leading zero: another name for the same layer */
		if (layer > 99999)
			return -1;
		layer = layer * 10 + (name.s[i] - '0');
	}
	if (i == 4 || i >= name.n || name.s[i] != '.')
		return -1;
	*rest = (struct llm_gguf_str){name.s + i + 1, name.n - i - 1};
	return layer;
}

static const struct role *
role_find(const struct role *roles, int n_role, struct llm_gguf_str name)
{
	static const char suffix[] = ".weight";
	size_t n_suffix = sizeof suffix - 1;
	if (name.n <= n_suffix || memcmp(name.s + name.n - n_suffix, suffix, n_suffix) != 0)
		return NULL;
	size_t n = name.n - n_suffix;
	for (int i = 0; i < n_role; i++)
		if (n == strlen(roles[i].name) && memcmp(name.s, roles[i].name, n) == 0)
			return &roles[i];
	return NULL;
}

static int
tensor_bind(struct llm_weights *w, const struct llm_config *c, const struct llm_gguf *g,
    const struct llm_gguf_tensor *t, struct llm_err *err)
{
	char quoted[80];
	struct llm_gguf_str rest = t->name;
	int layer = layer_of(&rest, t->name);
	const struct role *role = layer >= 0 ? role_find(layer_roles, N_LAYER_ROLE, rest)
					     : role_find(model_roles, N_MODEL_ROLE, t->name);
	llm_err_quote(quoted, sizeof quoted, t->name.s, t->name.n);
	if (role == NULL)
		return llm_err_set(err, LLM_EUNSUPPORTED,
		    "%s: tensor %s is not part of the %s architecture and would not be used",
		    llm_gguf_path(g), quoted, c->arch->name);
	if (layer >= c->n_layer)
		return llm_err_set(err, LLM_EUNSUPPORTED,
		    "%s: tensor %s is beyond the %d layers and would not be used",
		    llm_gguf_path(g), quoted, c->n_layer);
	void *base = layer >= 0 ? (void *)&w->layer[layer] : (void *)w;
	return role_fill(base, role, c, t, err, llm_gguf_path(g));
}

/* True when the role at base was filled: both kinds begin with their data pointer. */
static bool
role_filled(const void *base, const struct role *role)
{
	_Static_assert(offsetof(struct llm_matrix, data) == 0, "a matrix begins with its data");
	const void *data;
	memcpy(&data, (const char *)base + role->offset, sizeof data);
	return data != NULL;
}

static int
missing_refuse(const struct llm_weights *w, const struct llm_config *c,
    const struct llm_gguf *g, struct llm_err *err)
{
	for (int i = 0; i < N_MODEL_ROLE; i++)
		if (!model_roles[i].optional && !role_filled(w, &model_roles[i]))
			return llm_err_set(err, LLM_EDATA, "%s: tensor %s.weight is missing",
			    llm_gguf_path(g), model_roles[i].name);
	for (int layer = 0; layer < c->n_layer; layer++)
		for (int i = 0; i < N_LAYER_ROLE; i++)
			if (!role_filled(&w->layer[layer], &layer_roles[i]))
				return llm_err_set(err, LLM_EDATA,
				    "%s: tensor blk.%d.%s.weight is missing", llm_gguf_path(g),
				    layer, layer_roles[i].name);
	return 0;
}

/* The number of tokens is the embedding's rows; the keys that repeat it must agree. */
static int
vocab_read(struct llm_config *c, const struct llm_gguf *g, struct llm_err *err)
{
	const struct llm_gguf_tensor *embd = llm_gguf_tensor(g, "token_embd.weight");
	const struct llm_gguf_key *tokens = llm_gguf_key(g, "tokenizer.ggml.tokens");
	if (embd == NULL)
		return llm_err_set(err, LLM_EDATA, "%s: tensor token_embd.weight is missing",
		    llm_gguf_path(g));
	int n_vocab;
	if (!llm_size_to_int(&n_vocab, (uint64_t)embd->ne[1], 1, 1 << 24))
		return llm_err_set(err, LLM_EDATA,
		    "%s: tensor token_embd.weight has %lld rows, "
		    "expected 1 to %d",
		    llm_gguf_path(g), (long long)embd->ne[1], 1 << 24);
	if (c->n_vocab != 0 && c->n_vocab != n_vocab)
		return llm_err_set(err, LLM_EDATA,
		    "%s: tensor token_embd.weight has %d rows, but key %s.vocab_size is %d",
		    llm_gguf_path(g), n_vocab, c->arch->name, c->n_vocab);
	if (tokens != NULL && tokens->type == LLM_GGUF_ARRAY &&
	    tokens->n_item != (uint64_t)n_vocab)
		return llm_err_set(err, LLM_EDATA,
		    "%s: tensor token_embd.weight has %d rows, but the vocabulary has %llu "
		    "tokens",
		    llm_gguf_path(g), n_vocab, (unsigned long long)tokens->n_item);
	c->n_vocab = n_vocab;
	return 0;
}

/* A frequency is divided by these. */
static int
divisors_check(const struct llm_weights *w, const struct llm_config *c,
    const struct llm_gguf *g, struct llm_err *err)
{
	for (int i = 0; w->rope_freqs != NULL && i < c->d_head / 2; i++)
		if (!(w->rope_freqs[i] >= 1e-6f && w->rope_freqs[i] <= 1e6f))
			return llm_err_set(err, LLM_EDATA,
			    "%s: tensor rope_freqs.weight has %g at %d, expected 1e-6 to 1e6",
			    llm_gguf_path(g), (double)w->rope_freqs[i], i);
	return 0;
}

int
llm_weights_bind(
    struct llm_weights *w, struct llm_config *c, const struct llm_gguf *g, struct llm_err *err)
{
	*w = (struct llm_weights){0};
	int rc = vocab_read(c, g, err);
	if (rc < 0)
		return rc;
	w->layer = calloc((size_t)c->n_layer, sizeof *w->layer);
	if (w->layer == NULL)
		return llm_err_nomem(err, (size_t)c->n_layer * sizeof *w->layer);
	for (size_t i = 0; i < llm_gguf_n_tensor(g); i++)
		if ((rc = tensor_bind(w, c, g, llm_gguf_tensor_at(g, i), err)) < 0)
			goto out;
	if ((rc = missing_refuse(w, c, g, err)) < 0 || (rc = divisors_check(w, c, g, err)) < 0)
		goto out;
	c->tied = w->output.data == NULL;
	if (c->tied)
		w->output = w->embd;
	return 0;
out:
	llm_weights_free(w);
	return rc;
}

void
llm_weights_free(struct llm_weights *w)
{
	free(w->layer);
	*w = (struct llm_weights){0};
}
