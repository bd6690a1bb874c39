/*
 * SPDX-License-Identifier: ISC
 *
 * A BERT encoder as sentence-transformers publish it: config.json, the tensors, 1_Pooling/config.json and
 * sentence_bert_config.json, as the keys and tensors that llama.cpp gives such a model.
 */
#include "bin/convert.h"
#include "bin/tool.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const char config_name[] = "config.json";

/* Where a tensor goes; "%d" is the layer.  Matrices take the type that is wanted, the rest stays F32. */
struct role {
	const char *from, *to;
	bool matrix;
};

static const struct role model_roles[] = {
    {"embeddings.word_embeddings.weight", "token_embd.weight", true},
    {"embeddings.position_embeddings.weight", "position_embd.weight", false},
    {"embeddings.token_type_embeddings.weight", "token_types.weight", false},
    {"embeddings.LayerNorm.weight", "token_embd_norm.weight", false},
    {"embeddings.LayerNorm.bias", "token_embd_norm.bias", false},
};
static const struct role layer_roles[] = {
    {"encoder.layer.%d.attention.self.query.weight", "blk.%d.attn_q.weight", true},
    {"encoder.layer.%d.attention.self.query.bias", "blk.%d.attn_q.bias", false},
    {"encoder.layer.%d.attention.self.key.weight", "blk.%d.attn_k.weight", true},
    {"encoder.layer.%d.attention.self.key.bias", "blk.%d.attn_k.bias", false},
    {"encoder.layer.%d.attention.self.value.weight", "blk.%d.attn_v.weight", true},
    {"encoder.layer.%d.attention.self.value.bias", "blk.%d.attn_v.bias", false},
    {"encoder.layer.%d.attention.output.dense.weight", "blk.%d.attn_output.weight", true},
    {"encoder.layer.%d.attention.output.dense.bias", "blk.%d.attn_output.bias", false},
    {"encoder.layer.%d.attention.output.LayerNorm.weight", "blk.%d.attn_output_norm.weight",
	false},
    {"encoder.layer.%d.attention.output.LayerNorm.bias", "blk.%d.attn_output_norm.bias", false},
    {"encoder.layer.%d.intermediate.dense.weight", "blk.%d.ffn_up.weight", true},
    {"encoder.layer.%d.intermediate.dense.bias", "blk.%d.ffn_up.bias", false},
    {"encoder.layer.%d.output.dense.weight", "blk.%d.ffn_down.weight", true},
    {"encoder.layer.%d.output.dense.bias", "blk.%d.ffn_down.bias", false},
    {"encoder.layer.%d.output.LayerNorm.weight", "blk.%d.layer_output_norm.weight", false},
    {"encoder.layer.%d.output.LayerNorm.bias", "blk.%d.layer_output_norm.bias", false},
};

enum {
	N_MODEL_ROLE = sizeof model_roles / sizeof model_roles[0],
	N_LAYER_ROLE = sizeof layer_roles / sizeof layer_roles[0],
};

/*
 * Where 8 bits of weights and activations lose most of a vector: the values of attention, and one wide
 * product past the middle.  As halves, a seventh of the weights, they keep the cosine with a pass in double
 * precision above 0.999 for texts of one word too, where it would be 0.998.
 */
static bool
is_sensitive(const struct role *role, int layer, int n_layer)
{
	return strcmp(role->to, "blk.%d.attn_v.weight") == 0 ||
	       (strcmp(role->to, "blk.%d.ffn_up.weight") == 0 && layer == n_layer * 2 / 3);
}

/* The type that a tensor of so many columns gets, of the one wanted. */
static enum llm_dtype
type_of(const struct convert *c, const struct role *role, int layer, int64_t n_col)
{
	if (!role->matrix || c->type == LLM_DTYPE_F32)
		return LLM_DTYPE_F32;
	bool fits = n_col % llm_dtype_info(c->type)->block == 0;
	return fits && !is_sensitive(role, layer, c->n_layer) ? c->type : LLM_DTYPE_F16;
}

/* The layer's name: the one "%d" of format is replaced. */
static void
layer_name(char out[static 128], const char *format, int layer)
{
	const char *hole = strstr(format, "%d");
	if (hole == NULL)
		snprintf(out, 128, "%s", format);
	else
		snprintf(out, 128, "%.*s%d%s", (int)(hole - format), format, layer, hole + 2);
}

/* Puts one tensor on the plan.  Some publishers put "bert." before all names. */
static void
tensor_add(struct convert *c, const struct role *role, int layer)
{
	char from[128], prefixed[140], to[128], quoted[100];
	layer_name(from, role->from, layer);
	layer_name(to, role->to, layer);
	snprintf(prefixed, sizeof prefixed, "bert.%s", from);
	const struct llm_safetensors_tensor *t = llm_safetensors_find(c->tensors, from);
	if (t == NULL)
		t = llm_safetensors_find(c->tensors, prefixed);
	if (t == NULL)
		convert_refuse(c, "model.safetensors", "tensor %s is missing", from);
	if (t->n_dim < 1 || t->n_dim > 2 || t->n == 0)
		convert_refuse(c, "model.safetensors",
		    "tensor %s has %d dimensions and %zu elements, expected one or two",
		    llm_err_quote(quoted, sizeof quoted, t->name, strlen(t->name)), t->n_dim,
		    t->n);
	int64_t n_col = t->shape[t->n_dim - 1], n_row = t->n_dim > 1 ? t->shape[0] : 1;
	enum llm_dtype type = type_of(c, role, layer, n_col);
	c->plan[c->n_plan++] = (struct convert_tensor){t, type};
	llm_gguf_writer_tensor(&c->writer, to, type, n_col, n_row);
}

/* What the encoder has no use for: buffers, and heads of other tasks. */
static bool
is_other(const char *name)
{
	static const char *const other[] = {"embeddings.position_ids", "pooler.", "cls."};
	if (strncmp(name, "bert.", 5) == 0)
		name += 5;
	for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
		if (strncmp(name, other[i], strlen(other[i])) == 0)
			return true;
	return false;
}

static void
tensors_plan(struct convert *c, int n_layer)
{
	char quoted[100];
	size_t n = N_MODEL_ROLE + (size_t)n_layer * N_LAYER_ROLE, used = 0;
	c->plan = calloc(n, sizeof *c->plan);
	if (c->plan == NULL)
		tool_fail(LLM_ENOMEM, "out of memory");
	for (int i = 0; i < N_MODEL_ROLE; i++)
		tensor_add(c, &model_roles[i], 0);
	for (int layer = 0; layer < n_layer; layer++)
		for (int i = 0; i < N_LAYER_ROLE; i++)
			tensor_add(c, &layer_roles[i], layer);
	for (size_t i = 0; i < llm_safetensors_n(c->tensors); i++) {
		const struct llm_safetensors_tensor *t = llm_safetensors_at(c->tensors, i);
		bool planned = false;
		for (size_t k = 0; k < n && !planned; k++)
			planned = c->plan[k].from == t;
		used += planned;
		if (!planned && !is_other(t->name))
			convert_refuse(c, "model.safetensors",
			    "tensor %s is not part of an encoder of %d layers and would not be "
			    "used",
			    llm_err_quote(quoted, sizeof quoted, t->name, strlen(t->name)),
			    n_layer);
	}
	if (used != n)
		convert_refuse(c, "model.safetensors", "a tensor has two roles");
}

/* The number of the one pooling mode that is set. */
static void
pooling_add(struct convert *c)
{
	static const char name[] = "1_Pooling/config.json";
	static const struct {
		const char *key;
		uint32_t number;
	} modes[] = {
	    {"pooling_mode_mean_tokens", 1},
	    {"pooling_mode_cls_token", 2},
	    {"pooling_mode_lasttoken", 3},
	    {"pooling_mode_max_tokens", 0},
	    {"pooling_mode_mean_sqrt_len_tokens", 0},
	    {"pooling_mode_weightedmean_tokens", 0},
	};
	struct llm_json *pooling = convert_json(c, name, false);
	uint32_t number = 0;
	int n_set = 0;
	if (pooling == NULL)
		return;
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		bool set = false;
		llm_json_bool(&set, llm_json_member(pooling, modes[i].key));
		if (set && modes[i].number == 0)
			convert_refuse(
			    c, name, "%s is set, which is not supported", modes[i].key);
		if (set)
			number = modes[i].number;
		n_set += set;
	}
	if (n_set != 1)
		convert_refuse(c, name, "%d pooling modes are set, expected one", n_set);
	llm_gguf_writer_u32(&c->writer, "bert.pooling_type", number);
	llm_json_free(pooling);
}

/* The steps of the model: one that is not computed, such as a layer behind the pooling, would be missed. */
static void
modules_check(struct convert *c)
{
	static const char name[] = "modules.json";
	static const char *const known[] = {"Transformer", "Pooling", "Normalize"};
	struct llm_json *modules = convert_array(c, name);
	for (size_t i = 0; i < llm_json_n(modules); i++) {
		const struct llm_json *m = llm_json_at(modules, i);
		const char *type, *dot;
		char quoted[100];
		bool good = false;
		size_t n;
		if (!llm_json_str(&type, &n, llm_json_member(m, "type")))
			convert_refuse(c, name, "module %zu has no type", i);
		dot = strrchr(type, '.');
		for (size_t k = 0; k < sizeof known / sizeof known[0]; k++)
			good = good || strcmp(dot != NULL ? dot + 1 : type, known[k]) == 0;
		if (!good)
			convert_refuse(c, name, "module %s is not computed",
			    llm_err_quote(quoted, sizeof quoted, type, n));
		if (dot != NULL && strcmp(dot, ".Pooling") == 0 &&
		    !convert_is(m, "path", "1_Pooling"))
			convert_refuse(c, name, "the path of the pooling is not 1_Pooling");
	}
	llm_json_free(modules);
}

/* The most tokens that the model was made for, where that is less than its positions. */
static void
longest_add(struct convert *c, int n_position)
{
	static const char name[] = "sentence_bert_config.json";
	struct llm_json *sentence = convert_json(c, name, false);
	int64_t n;
	if (llm_json_int(&n, llm_json_member(sentence, "max_seq_length"))) {
		if (n < 3 || n > n_position)
			convert_refuse(c, name, "max_seq_length is %lld, expected 3 to %d",
			    (long long)n, n_position);
		llm_gguf_writer_u32(&c->writer, "bert.max_seq_length", (uint32_t)n);
	}
	llm_json_free(sentence);
}

static void
file_type_add(struct convert *c)
{
	uint32_t number = c->type == LLM_DTYPE_F32 ? 0 : c->type == LLM_DTYPE_F16 ? 1 : 7;
	llm_gguf_writer_u32(&c->writer, "general.file_type", number);
	llm_gguf_writer_u32(&c->writer, "general.quantization_version", 2);
}

/* The model's own name, or the directory's. */
static void
name_add(struct convert *c)
{
	const char *s;
	size_t n;
	if (!llm_json_str(&s, &n, llm_json_member(c->config, "_name_or_path")) || n == 0)
		return;
	llm_gguf_writer_str(&c->writer, "general.name", s, n);
}

void
convert_bert(struct convert *c)
{
	struct llm_gguf_writer *w = &c->writer;
	const struct llm_json *config = c->config;
	double eps;
	convert_need(c, "hidden_act", "gelu");
	if (llm_json_member(config, "position_embedding_type") != NULL &&
	    !convert_is(config, "position_embedding_type", "absolute"))
		convert_refuse(c, config_name, "position_embedding_type is not absolute");
	if (!llm_json_number(&eps, llm_json_member(config, "layer_norm_eps")) ||
	    !(eps >= 0 && eps <= 1))
		convert_refuse(c, config_name, "layer_norm_eps is no number from 0 to 1");
	int n_layer = convert_int(c, config, "num_hidden_layers", 1, 1024);
	int n_position = convert_int(c, config, "max_position_embeddings", 3, 1 << 16);
	int n_vocab = convert_int(c, config, "vocab_size", 1, 1 << 24);
	llm_gguf_writer_str(w, "general.architecture", "bert", 4);
	name_add(c);
	file_type_add(c);
	llm_gguf_writer_u32(w, "bert.block_count", (uint32_t)n_layer);
	llm_gguf_writer_u32(w, "bert.context_length", (uint32_t)n_position);
	llm_gguf_writer_u32(w, "bert.embedding_length",
	    (uint32_t)convert_int(c, config, "hidden_size", 1, 1 << 16));
	llm_gguf_writer_u32(w, "bert.feed_forward_length",
	    (uint32_t)convert_int(c, config, "intermediate_size", 1, 1 << 18));
	llm_gguf_writer_u32(w, "bert.attention.head_count",
	    (uint32_t)convert_int(c, config, "num_attention_heads", 1, 1024));
	llm_gguf_writer_f32(w, "bert.attention.layer_norm_epsilon", (float)eps);
	llm_gguf_writer_bool(w, "bert.attention.causal", false);
	modules_check(c);
	pooling_add(c);
	longest_add(c, n_position);
	llm_gguf_writer_u32(w, "tokenizer.ggml.token_type_count",
	    (uint32_t)convert_int(c, config, "type_vocab_size", 1, 1024));
	convert_wordpiece(c, n_vocab);
	c->n_layer = n_layer;
	tensors_plan(c, n_layer);
}
