/*
 * SPDX-License-Identifier: ISC
 *
 * Shared by template.c, which chooses, template_read.c, which recognises, and template_render.c.
 */
#ifndef LLM_TEMPLATE_PRIVATE_H
#define LLM_TEMPLATE_PRIVATE_H

#include "tokenize/template.h"

enum llm_template_id {
	LLM_TEMPLATE_LLAMA3,
	LLM_TEMPLATE_LLAMA3_0,
	LLM_TEMPLATE_LLAMA3_1,
	LLM_TEMPLATE_LLAMA3_2,
	LLM_TEMPLATE_CHATML,
	LLM_TEMPLATE_LLAMA2,
	LLM_TEMPLATE_MISTRAL_0_1,
	LLM_TEMPLATE_MISTRAL_0_2,
	LLM_TEMPLATE_MISTRAL_V1,
	LLM_TEMPLATE_MISTRAL_V3,
	LLM_TEMPLATE_COUNT,
	LLM_TEMPLATE_UNKNOWN = -1,
};

/* What a file's own template says beyond its kind. */
struct llm_template_traits {
	char *system;     /* what it writes where a conversation has no system message; owned */
	char date[32];    /* the date that it writes unless told; "" where it names none */
	bool bos;         /* of ChatML: begins with the begin token */
	bool trim;        /* of ChatML: trims each message */
	bool trim_system; /* of Llama 2: trims the system message by itself */
	bool system_last; /* of Mistral: the system message goes with the last user message */
};

/* Writes a conversation whose roles are in order. */
typedef int (*llm_template_render_fn)(struct llm_prompt *p, const struct llm_template *t,
    const struct llm_message *m, size_t n, struct llm_err *err);

/* What stands around the messages of the [INST] shape. */
struct llm_template_inst {
	bool bos_each; /* the begin token before each user message, not once */
	bool trim_user, trim_answer;
	bool inner;               /* the spaces written are all there are */
	const char *open, *close; /* around [INST] and before [/INST]: spaces */
	const char *system_open;  /* NULL: no place for a system message */
	const char *system_close;
	const char *answer_open, *answer_close, *after_eos;
};

/* One template. */
struct llm_template_form {
	const char *name;
	llm_template_render_fn render;
	const char *end;               /* the control token after an answer; NULL: the file's */
	bool trim, dated;              /* of the header shape */
	struct llm_template_inst inst; /* of the [INST] shape */
};

struct llm_template {
	const struct llm_template_form *form;
	struct llm_template_traits traits;
	char *date;
};

extern const struct llm_template_form llm_template_forms[LLM_TEMPLATE_COUNT];

/*
 * llm_template_recognise - the kind of a Jinja text, or LLM_TEMPLATE_UNKNOWN, to *id, and its traits,
 * which the caller owns.  LLM_ENOMEM; LLM_EDATA: the text is too long.
 */
int llm_template_recognise(int *id, struct llm_template_traits *traits, const char *text,
    size_t n, struct llm_err *err);

#endif
