/*
 * SPDX-License-Identifier: ISC
 *
 * llm-convert's parts: what a published directory says, as keys and tensors of a GGUF file.
 */
#ifndef LLM_CONVERT_H
#define LLM_CONVERT_H

#include "libcore/gguf_write.h"
#include "libcore/json.h"
#include "libcore/safetensors.h"

/* A directory on its way; messages name it by its end. */
struct convert {
	const char *dir;
	enum llm_dtype type; /* of matrices, but for those that it would hurt */
	int n_layer;
	struct llm_json *config;
	struct llm_safetensors *tensors;
	struct llm_gguf_writer writer;
	struct convert_tensor *plan; /* [n_plan] in the order of the file */
	size_t n_plan;
};

/* A tensor of the source, and what it becomes. */
struct convert_tensor {
	const struct llm_safetensors_tensor *from;
	enum llm_dtype type;
};

/* The JSON file NAME of the directory, or NULL where there is none and need is not set; else dies. */
struct llm_json *convert_json(const struct convert *c, const char *name, bool need);
/* An array that may be there. */
struct llm_json *convert_array(const struct convert *c, const char *name);
/* A whole number of an object, within [min, max]; dies where it is missing or another. */
int convert_int(
    const struct convert *c, const struct llm_json *object, const char *name, int min, int max);
/* Dies where a string of config.json is another than this, naming both. */
void convert_need(const struct convert *c, const char *name, const char *value);
/* Whether a member is this string. */
bool convert_is(const struct llm_json *object, const char *name, const char *value);
/* Dies with 65: "DIR/NAME: ..." */
_Noreturn void convert_refuse(const struct convert *c, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Keys and tensors of a BERT encoder; its vocabulary, of n tokens. */
void convert_bert(struct convert *c);
void convert_wordpiece(struct convert *c, int n_vocab);

#endif
