/*
 * SPDX-License-Identifier: ISC
 *
 * Hyper-parameters from GGUF keys; see config.h.  Each bound below is far above any published model
 * and low enough that no product of two of them overflows 64 bits.
 */
#include "libcore/config.h"

#include "libcore/size.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
	MAX_LAYER = 4096,
	MAX_EMBD = 1 << 18,
	MAX_HEAD = 4096,
	MAX_D_HEAD = 512,
	MAX_FF = 1 << 20,
	MAX_VOCAB = 1 << 24,
	MAX_CTX = 1 << 24,
};

static const struct llm_arch archs[] = {
    {.name = "llama"},
};

/* A file's keys under one architecture's prefix. */
struct reader {
	const struct llm_gguf *gguf;
	const char *prefix, *path;
	struct llm_err *err;
};

static const char *
key_name(char buf[96], const struct reader *r, const char *suffix)
{
	snprintf(buf, 96, "%s.%s", r->prefix, suffix);
	return buf;
}

/* 1 and an int within [min, max], 0 when absent, or an error. */
static int
read_int(int *out, const struct reader *r, const char *suffix, int min, int max)
{
	char name[96];
	uint32_t v;
	int rc = llm_gguf_u32(&v, r->gguf, key_name(name, r, suffix), r->err);
	if (rc <= 0)
		return rc;
	if (!llm_size_to_int(out, v, min, max))
		return llm_err_set(r->err, LLM_EDATA, "%s: key %s is %u, expected %d to %d",
		    r->path, name, (unsigned)v, min, max);
	return 1;
}

static int
need_int(int *out, const struct reader *r, const char *suffix, int min, int max)
{
	int rc = read_int(out, r, suffix, min, max);
	if (rc != 0)
		return rc;
	return llm_err_set(
	    r->err, LLM_EDATA, "%s: key %s.%s is missing", r->path, r->prefix, suffix);
}

/* 1 and a finite number within [min, max], 0 when absent, or an error. */
static int
read_number(double *out, const struct reader *r, const char *suffix, double min, double max)
{
	char name[96];
	float v;
	int rc = llm_gguf_f32(&v, r->gguf, key_name(name, r, suffix), r->err);
	if (rc <= 0)
		return rc;
	if (!(v >= min && v <= max))
		return llm_err_set(r->err, LLM_EDATA, "%s: key %s is %g, expected %g to %g",
		    r->path, name, (double)v, min, max);
	*out = (double)v;
	return 1;
}

static int
read_arch(struct llm_config *c, const struct llm_gguf *g, struct llm_err *err)
{
	struct llm_gguf_str name;
	char quoted[64];
	int rc = llm_gguf_str(&name, g, "general.architecture", err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return llm_err_set(err, LLM_EDATA, "%s: key general.architecture is missing",
		    llm_gguf_path(g));
	for (size_t i = 0; i < sizeof archs / sizeof archs[0]; i++)
		if (name.n == strlen(archs[i].name) &&
		    memcmp(name.s, archs[i].name, name.n) == 0)
			c->arch = &archs[i];
	if (c->arch == NULL)
		return llm_err_set(err, LLM_EUNSUPPORTED,
		    "%s: architecture '%s' is not supported, expected llama", llm_gguf_path(g),
		    llm_err_quote(quoted, sizeof quoted, name.s, name.n));
	return 0;
}

static int
read_shape(struct llm_config *c, const struct reader *r)
{
	int rc, d_value, n_vocab;
	if ((rc = need_int(&c->n_layer, r, "block_count", 1, MAX_LAYER)) < 0 ||
	    (rc = need_int(&c->n_embd, r, "embedding_length", 1, MAX_EMBD)) < 0 ||
	    (rc = need_int(&c->n_ff, r, "feed_forward_length", 1, MAX_FF)) < 0 ||
	    (rc = need_int(&c->n_head, r, "attention.head_count", 1, MAX_HEAD)) < 0)
		return rc;
	c->n_head_kv = c->n_head;
	if ((rc = read_int(&c->n_head_kv, r, "attention.head_count_kv", 1, MAX_HEAD)) < 0)
		return rc;
	if (c->n_head % c->n_head_kv != 0)
		return llm_err_set(r->err, LLM_EDATA,
		    "%s: %d heads cannot share %d KV heads evenly", r->path, c->n_head,
		    c->n_head_kv);
	rc = read_int(&c->d_head, r, "attention.key_length", 1, MAX_D_HEAD);
	if (rc < 0)
		return rc;
	if (rc == 0) {
		if (c->n_embd % c->n_head != 0 || c->n_embd / c->n_head > MAX_D_HEAD)
			return llm_err_set(r->err, LLM_EDATA,
			    "%s: embedding length %d over %d heads: expected a whole number up "
			    "to %d",
			    r->path, c->n_embd, c->n_head, MAX_D_HEAD);
		c->d_head = c->n_embd / c->n_head;
	}
	if (c->d_head % 2 != 0)
		return llm_err_set(r->err, LLM_EDATA,
		    "%s: heads of %d dimensions: expected an even number", r->path, c->d_head);
	d_value = c->d_head;
	if ((rc = read_int(&d_value, r, "attention.value_length", 1, MAX_D_HEAD)) < 0)
		return rc;
	if (d_value != c->d_head)
		return llm_err_set(r->err, LLM_EUNSUPPORTED,
		    "%s: keys of %d dimensions and values of %d are not supported, expected "
		    "equal",
		    r->path, c->d_head, d_value);
	/* The embedding says how many tokens there are; where the key exists, it must agree. */
	rc = read_int(&n_vocab, r, "vocab_size", 1, MAX_VOCAB);
	if (rc > 0)
		c->n_vocab = n_vocab;
	return rc < 0 ? rc : 0;
}

static int
read_rope(struct llm_config *c, const struct reader *r)
{
	int rc;
	c->n_rot = c->d_head;
	c->rope_theta = 10000;
	c->rope_factor = 1;
	if ((rc = read_int(&c->n_rot, r, "rope.dimension_count", 1, MAX_D_HEAD)) < 0 ||
	    (rc = read_number(&c->rope_theta, r, "rope.freq_base", 1, 1e30)) < 0)
		return rc;
	if (c->n_rot != c->d_head)
		return llm_err_set(r->err, LLM_EUNSUPPORTED,
		    "%s: rope.dimension_count %d of heads of %d is not supported, expected all",
		    r->path, c->n_rot, c->d_head);

	struct llm_gguf_str type = {"none", 4};
	char name[96], quoted[64];
	rc = llm_gguf_str(&type, r->gguf, key_name(name, r, "rope.scaling.type"), r->err);
	if (rc < 0)
		return rc;
	if (type.n == 6 && memcmp(type.s, "linear", 6) == 0) {
		rc = read_number(&c->rope_factor, r, "rope.scaling.factor", 1e-3, 1e6);
		if (rc == 0)
			return llm_err_set(r->err, LLM_EDATA,
			    "%s: linear rope scaling without key %s.rope.scaling.factor",
			    r->path, r->prefix);
		return rc < 0 ? rc : 0;
	}
	if (type.n != 4 || memcmp(type.s, "none", 4) != 0)
		return llm_err_set(r->err, LLM_EUNSUPPORTED,
		    "%s: key %s is '%s', expected none or linear", r->path, name,
		    llm_err_quote(quoted, sizeof quoted, type.s, type.n));
	/* What files wrote before scaling had a type. */
	rc = read_number(&c->rope_factor, r, "rope.scale_linear", 1e-3, 1e6);
	return rc < 0 ? rc : 0;
}

/* Features that would change the result and that the pass does not have. */
static int
refuse_features(const struct reader *r)
{
	int experts = 0;
	int rc = read_int(&experts, r, "expert_count", 0, 1 << 20);
	if (rc < 0)
		return rc;
	if (experts > 0)
		return llm_err_set(r->err, LLM_EUNSUPPORTED,
		    "%s: %s.expert_count is %d: mixtures of experts are not supported", r->path,
		    r->prefix, experts);
	bool causal = true;
	char name[96];
	rc = llm_gguf_bool(&causal, r->gguf, key_name(name, r, "attention.causal"), r->err);
	if (rc < 0)
		return rc;
	if (!causal)
		return llm_err_set(r->err, LLM_EUNSUPPORTED,
		    "%s: key %s is false: only causal attention is supported", r->path, name);
	return 0;
}

int
llm_config_read(struct llm_config *c, const struct llm_gguf *g, struct llm_err *err)
{
	*c = (struct llm_config){0};
	int rc = read_arch(c, g, err);
	if (rc < 0)
		return rc;
	const struct reader r = {g, c->arch->name, llm_gguf_path(g), err};
	double eps;
	int window = 0;
	if ((rc = read_shape(c, &r)) < 0 || (rc = read_rope(c, &r)) < 0 ||
	    (rc = refuse_features(&r)) < 0 ||
	    (rc = need_int(&c->n_ctx, &r, "context_length", 1, MAX_CTX)) < 0)
		return rc;
	/* Within its window a sliding attention is the full one, so the window bounds the context. */
	if ((rc = read_int(&window, &r, "attention.sliding_window", 0, MAX_CTX)) < 0)
		return rc;
	if (window > 0 && window < c->n_ctx)
		c->n_ctx = window;
	rc = read_number(&eps, &r, "attention.layer_norm_rms_epsilon", 0, 1);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return llm_err_set(err, LLM_EDATA,
		    "%s: key %s.attention.layer_norm_rms_epsilon is missing", r.path, r.prefix);
	c->norm_eps = (float)eps;
	return 0;
}
