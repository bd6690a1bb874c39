/*
 * SPDX-License-Identifier: ISC
 *
 * Opening a sentence encoder: hyper-parameters from its keys, tensors to their roles; see encoder.h.
 * Names are those that llama.cpp writes for the architecture bert.
 */
#include "libcore/encoder.h"

#include "libcore/size.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_LAYER = 1024,
	MAX_EMBD = 1 << 16,
	MAX_HEAD = 1024,
	MAX_D_HEAD = 512,
	MAX_FF = 1 << 18,
	MAX_VOCAB = 1 << 24,
	MAX_TYPE = 1 << 10,
	MAX_CTX = 1 << 16,
};

static const char arch[] = "bert";

bool
llm_encoder_is(const struct llm_gguf *g)
{
	struct llm_gguf_str name;
	return llm_gguf_str(&name, g, "general.architecture", NULL) > 0 &&
	       name.n == sizeof arch - 1 && memcmp(name.s, arch, name.n) == 0;
}

/* Keys. */

static int
need_int(int *out, const struct llm_gguf *g, const char *suffix, int max, struct llm_err *err)
{
	char name[80];
	uint32_t v;
	snprintf(name, sizeof name, "%s.%s", arch, suffix);
	int rc = llm_gguf_u32(&v, g, name, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return llm_err_set(
		    err, LLM_EDATA, "%s: key %s is missing", llm_gguf_path(g), name);
	if (!llm_size_to_int(out, v, 1, max))
		return llm_err_set(err, LLM_EDATA, "%s: key %s is %u, expected 1 to %d",
		    llm_gguf_path(g), name, (unsigned)v, max);
	return 0;
}

/* Features that would change the result and that the pass does not have. */
static int
features_check(const struct llm_gguf *g, struct llm_err *err)
{
	bool causal = false;
	int rc = llm_gguf_bool(&causal, g, "bert.attention.causal", err);
	if (rc < 0)
		return rc;
	if (causal)
		return llm_err_set(err, LLM_EUNSUPPORTED,
		    "%s: key bert.attention.causal is true: an encoder's tokens see both ways",
		    llm_gguf_path(g));
	return 0;
}

static int
pooling_read(struct llm_encoder_config *c, const struct llm_gguf *g, struct llm_err *err)
{
	uint32_t v = LLM_POOLING_FILE;
	int rc = llm_gguf_u32(&v, g, "bert.pooling_type", err);
	if (rc < 0)
		return rc;
	if (v > LLM_POOLING_LAST)
		return llm_err_set(err, LLM_EUNSUPPORTED,
		    "%s: key bert.pooling_type is %u; known are 1 mean, 2 first and 3 last",
		    llm_gguf_path(g), (unsigned)v);
	c->pooling = (enum llm_pooling)v;
	return 0;
}

/* What the model was made for, where the file says it (a key of our own), may be less than its positions. */
static int
ctx_read(struct llm_encoder_config *c, const struct llm_gguf *g, struct llm_err *err)
{
	c->n_ctx = c->n_position;
	if (llm_gguf_key(g, "bert.max_seq_length") == NULL)
		return 0;
	return need_int(&c->n_ctx, g, "max_seq_length", c->n_position, err);
}

static int
config_read(struct llm_encoder_config *c, const struct llm_gguf *g, struct llm_err *err)
{
	int rc;
	float eps;
	if ((rc = need_int(&c->n_layer, g, "block_count", MAX_LAYER, err)) < 0 ||
	    (rc = need_int(&c->n_embd, g, "embedding_length", MAX_EMBD, err)) < 0 ||
	    (rc = need_int(&c->n_ff, g, "feed_forward_length", MAX_FF, err)) < 0 ||
	    (rc = need_int(&c->n_head, g, "attention.head_count", MAX_HEAD, err)) < 0 ||
	    (rc = need_int(&c->n_position, g, "context_length", MAX_CTX, err)) < 0 ||
	    (rc = ctx_read(c, g, err)) < 0 || (rc = features_check(g, err)) < 0 ||
	    (rc = pooling_read(c, g, err)) < 0)
		return rc;
	c->d_head = c->n_embd / c->n_head;
	if (c->n_embd % c->n_head != 0 || c->d_head > MAX_D_HEAD || c->d_head % 2 != 0)
		return llm_err_set(err, LLM_EDATA,
		    "%s: embedding length %d over %d heads: expected an even number up to %d",
		    llm_gguf_path(g), c->n_embd, c->n_head, MAX_D_HEAD);
	rc = llm_gguf_f32(&eps, g, "bert.attention.layer_norm_epsilon", err);
	if (rc < 0)
		return rc;
	if (rc == 0 || !(eps >= 0 && eps <= 1))
		return llm_err_set(err, LLM_EDATA,
		    "%s: key bert.attention.layer_norm_epsilon is %s, expected 0 to 1",
		    llm_gguf_path(g), rc == 0 ? "missing" : "out of range");
	c->norm_eps = eps;
	return 0;
}

/* Tensors. */

enum dim { ONE, EMBD, FF, VOCAB, TYPES, POSITIONS };

/* A role: its name without "blk.N.", its shape, and where its pointer (or matrix) goes. */
struct role {
	const char *name;
	enum dim n_col, n_row;
	size_t offset;
	bool matrix;
};

#define LAYER(field) offsetof(struct llm_encoder_layer, field)
#define LINEAR(name, n_col, n_row, field)                                                     \
	{name ".weight", n_col, n_row, LAYER(field) + offsetof(struct llm_encoder_linear, w), \
	    true},                                                                            \
	{                                                                                     \
		name ".bias", n_row, ONE,                                                     \
		    LAYER(field) + offsetof(struct llm_encoder_linear, b), false              \
	}
#define NORM(name, at)                                                                      \
	{name ".weight", EMBD, ONE, (at) + offsetof(struct llm_encoder_norm, g), false},    \
	{                                                                                   \
		name ".bias", EMBD, ONE, (at) + offsetof(struct llm_encoder_norm, b), false \
	}
static const struct role layer_roles[] = {
    LINEAR("attn_q", EMBD, EMBD, q),
    LINEAR("attn_k", EMBD, EMBD, k),
    LINEAR("attn_v", EMBD, EMBD, v),
    LINEAR("attn_output", EMBD, EMBD, o),
    LINEAR("ffn_up", EMBD, FF, up),
    LINEAR("ffn_down", FF, EMBD, down),
    NORM("attn_output_norm", LAYER(attn_norm)),
    NORM("layer_output_norm", LAYER(ffn_norm)),
};
#define MODEL(field) offsetof(struct llm_encoder_weights, field)
static const struct role model_roles[] = {
    {"token_embd.weight", EMBD, VOCAB, MODEL(embd), true},
    {"position_embd.weight", EMBD, POSITIONS, MODEL(position), true},
    {"token_types.weight", EMBD, TYPES, MODEL(type), true},
    NORM("token_embd_norm", MODEL(norm)),
};
enum {
	N_LAYER_ROLE = sizeof layer_roles / sizeof layer_roles[0],
	N_MODEL_ROLE = sizeof model_roles / sizeof model_roles[0],
};

/* What a file may hold beside: made for other tasks, and no part of a text's vector. */
static bool
is_other(const char *name)
{
	return strncmp(name, "cls", 3) == 0 || strncmp(name, "pooler", 6) == 0;
}

static int64_t
dim_value(enum dim d, const struct llm_encoder_config *c)
{
	switch (d) {
	case ONE:
		return 1;
	case EMBD:
		return c->n_embd;
	case FF:
		return c->n_ff;
	case VOCAB:
		return c->n_vocab;
	case TYPES:
		return c->n_type;
	case POSITIONS:
		return c->n_position;
	}
	return 0;
}

static int
role_bind(void *base, const struct role *role, const char *name, const struct llm_encoder *e,
    struct llm_err *err)
{
	const struct llm_gguf_tensor *t = llm_gguf_tensor(e->gguf, name);
	const char *path = llm_gguf_path(e->gguf);
	int64_t n_col = dim_value(role->n_col, &e->config),
		n_row = dim_value(role->n_row, &e->config);
	if (t == NULL)
		return llm_err_set(err, LLM_EDATA, "%s: tensor %s is missing", path, name);
	if (t->ne[0] != n_col || t->ne[1] != n_row || t->ne[2] != 1 || t->ne[3] != 1)
		return llm_err_set(err, LLM_EDATA,
		    "%s: tensor %s is %lld x %lld x %lld x %lld, expected %lld x %lld", path,
		    name, (long long)t->ne[0], (long long)t->ne[1], (long long)t->ne[2],
		    (long long)t->ne[3], (long long)n_col, (long long)n_row);
	if ((uintptr_t)t->data % sizeof(float) != 0)
		return llm_err_set(err, LLM_EDATA,
		    "%s: tensor %s starts at no multiple of %zu bytes", path, name,
		    sizeof(float));
	if (role->matrix) {
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

/* A count of rows that the keys do not say, or that a key must agree with. */
static int
rows_read(int *out, const struct llm_gguf *g, const char *name, int max, struct llm_err *err)
{
	const struct llm_gguf_tensor *t = llm_gguf_tensor(g, name);
	if (t == NULL)
		return llm_err_set(
		    err, LLM_EDATA, "%s: tensor %s is missing", llm_gguf_path(g), name);
	if (!llm_size_to_int(out, (uint64_t)t->ne[1], 1, max))
		return llm_err_set(err, LLM_EDATA,
		    "%s: tensor %s has %lld rows, expected 1 to %d", llm_gguf_path(g), name,
		    (long long)t->ne[1], max);
	return 0;
}

static int
weights_bind(struct llm_encoder *e, struct llm_err *err)
{
	struct llm_encoder_weights *w = &e->weights;
	char name[80];
	int rc = 0;
	w->layer = calloc((size_t)e->config.n_layer, sizeof *w->layer);
	if (w->layer == NULL)
		return llm_err_nomem(err, (size_t)e->config.n_layer * sizeof *w->layer);
	for (int i = 0; i < N_MODEL_ROLE && rc == 0; i++)
		rc = role_bind(w, &model_roles[i], model_roles[i].name, e, err);
	for (int layer = 0; layer < e->config.n_layer; layer++)
		for (int i = 0; i < N_LAYER_ROLE && rc == 0; i++) {
			snprintf(name, sizeof name, "blk.%d.%s", layer, layer_roles[i].name);
			rc = role_bind(&w->layer[layer], &layer_roles[i], name, e, err);
		}
	return rc;
}

/* A tensor that no role asks for would change nothing: the file is not what it seems. */
static int
unused_refuse(const struct llm_encoder *e, struct llm_err *err)
{
	for (size_t i = 0; i < llm_gguf_n_tensor(e->gguf); i++) {
		const struct llm_gguf_tensor *t = llm_gguf_tensor_at(e->gguf, i);
		char name[80], text[80];
		snprintf(name, sizeof name, "%.*s", (int)t->name.n, t->name.s);
		if (is_other(name))
			continue;
		bool known = false;
		for (int k = 0; k < N_MODEL_ROLE; k++)
			known = known || strcmp(name, model_roles[k].name) == 0;
		int layer, end = 0;
		if (!known && sscanf(name, "blk.%5d.%n", &layer, &end) == 1 && end > 0 &&
		    layer >= 0 && layer < e->config.n_layer)
			for (int k = 0; k < N_LAYER_ROLE; k++)
				known = known || strcmp(name + end, layer_roles[k].name) == 0;
		if (!known)
			return llm_err_set(err, LLM_EUNSUPPORTED,
			    "%s: tensor %s is not part of the bert architecture of %d layers "
			    "and would not be used",
			    llm_gguf_path(e->gguf),
			    llm_err_quote(text, sizeof text, t->name.s, t->name.n),
			    e->config.n_layer);
	}
	return 0;
}

static int
encoder_read(struct llm_encoder *e, struct llm_err *err)
{
	struct llm_encoder_config *c = &e->config;
	const struct llm_gguf_key *tokens = llm_gguf_key(e->gguf, "tokenizer.ggml.tokens");
	int rc;
	if ((rc = config_read(c, e->gguf, err)) < 0 ||
	    (rc = rows_read(&c->n_vocab, e->gguf, "token_embd.weight", MAX_VOCAB, err)) < 0 ||
	    (rc = rows_read(&c->n_type, e->gguf, "token_types.weight", MAX_TYPE, err)) < 0)
		return rc;
	if (tokens != NULL && tokens->type == LLM_GGUF_ARRAY &&
	    tokens->n_item != (uint64_t)c->n_vocab)
		return llm_err_set(err, LLM_EDATA,
		    "%s: tensor token_embd.weight has %d rows, but the vocabulary has %llu "
		    "tokens",
		    llm_gguf_path(e->gguf), c->n_vocab, (unsigned long long)tokens->n_item);
	if ((rc = weights_bind(e, err)) < 0)
		return rc;
	return unused_refuse(e, err);
}

int
llm_encoder_open(struct llm_encoder **out, struct llm_gguf *g, struct llm_err *err)
{
	struct llm_encoder *e = calloc(1, sizeof *e);
	if (e == NULL)
		return llm_err_nomem(err, sizeof *e);
	e->gguf = g;
	int rc = encoder_read(e, err);
	if (rc < 0) {
		e->gguf = NULL;
		llm_encoder_close(e);
		return rc;
	}
	*out = e;
	return 0;
}

void
llm_encoder_close(struct llm_encoder *e)
{
	if (e == NULL)
		return;
	free(e->weights.layer);
	llm_gguf_close(e->gguf);
	free(e);
}
