/*
 * SPDX-License-Identifier: ISC
 *
 * Writes conversations as Llama 3 in four forms, ChatML, Llama 2 and Mistral in four forms have them.
 * Each template is a row; the three shapes (headers, ChatML, [INST]) are a function each.
 */
#include "tokenize/template_private.h"

#include <string.h>

#define ADD(p, kind, s, err) llm_prompt_add((p), LLM_PROMPT_##kind, (s), strlen(s), (err))

struct slice {
	const char *s;
	size_t n;
};

/*
 * Bytes of the white space that s[0..n) begins with, at most one character: what Python's str.strip
 * takes away, since that is what Jinja's trim does.
 */
static size_t
space_at(const char *s, size_t n)
{
	static const char *const wide[] = {"\xc2\x85", "\xc2\xa0", "\xe1\x9a\x80",
	    "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80"};
	unsigned char c = n > 0 ? (unsigned char)s[0] : 0;
	if ((c >= 9 && c <= 13) || (c >= 28 && c <= 32))
		return 1;
	for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++) {
		size_t width = strlen(wide[i]);
		if (width <= n && memcmp(s, wide[i], width) == 0)
			return width;
	}
	/* U+2000 to U+200A */
	if (n >= 3 && memcmp(s, "\xe2\x80", 2) == 0 && (unsigned char)s[2] >= 0x80 &&
	    (unsigned char)s[2] <= 0x8a)
		return 3;
	return 0;
}

static struct slice
trim_end(struct slice x)
{
	for (size_t width = 1; width <= 3 && width <= x.n;) {
		if (space_at(x.s + x.n - width, width) == width) {
			x.n -= width;
			width = 1;
		} else {
			width++;
		}
	}
	return x;
}

static struct slice
trim(struct slice x)
{
	size_t width;
	while ((width = space_at(x.s, x.n)) > 0) {
		x.s += width;
		x.n -= width;
	}
	return trim_end(x);
}

/* The content of a message: generated ids, or text, trimmed where the template does. */
static int
add_content(
    struct llm_prompt *p, const struct llm_message *m, bool trimmed, struct llm_err *err)
{
	struct slice x = {m->text, m->n_text};
	if (m->ids != NULL)
		return llm_prompt_add_ids(p, m->ids, m->n_ids, err);
	if (trimmed)
		x = trim(x);
	return llm_prompt_add(p, LLM_PROMPT_TEXT, x.s, x.n, err);
}

static const char *
role_name(enum llm_role role)
{
	static const char *const names[] = {[LLM_ROLE_SYSTEM] = "system",
	    [LLM_ROLE_USER] = "user",
	    [LLM_ROLE_ASSISTANT] = "assistant"};
	return names[role];
}

/* <|start_header_id|>ROLE<|end_header_id|> and a blank line. */
static int
add_header(
    struct llm_prompt *p, const struct llm_template *t, enum llm_role role, struct llm_err *err)
{
	int r;
	if ((r = ADD(p, CONTROL, "<|start_header_id|>", err)) < 0 ||
	    (r = ADD(p, TEXT, role_name(role), err)) < 0 ||
	    (r = ADD(p, CONTROL, "<|end_header_id|>", err)) < 0 ||
	    (r = ADD(p, TEXT, "\n\n", err)) < 0)
		return r;
	/* The publisher tokenises the blank line by itself. */
	return t->form->trim ? 0 : ADD(p, BREAK, "", err);
}

/* The system block that is there whether or not a message is. */
static int
add_dated_system(struct llm_prompt *p, const struct llm_template *t,
    const struct llm_message *system, struct llm_err *err)
{
	const char *date = t->date != NULL             ? t->date
			   : t->traits.date[0] != '\0' ? t->traits.date
						       : "26 Jul 2024";
	int r;
	if ((r = add_header(p, t, LLM_ROLE_SYSTEM, err)) < 0 ||
	    (r = ADD(p, TEXT, "Cutting Knowledge Date: December 2023\nToday Date: ", err)) <
		0 ||
	    (r = ADD(p, TEXT, date, err)) < 0 || (r = ADD(p, TEXT, "\n\n", err)) < 0)
		return r;
	if (system != NULL && (r = add_content(p, system, true, err)) < 0)
		return r;
	return ADD(p, CONTROL, "<|eot_id|>", err);
}

static int
render_headers(struct llm_prompt *p, const struct llm_template *t, const struct llm_message *m,
    size_t n, struct llm_err *err)
{
	bool system = m[0].role == LLM_ROLE_SYSTEM;
	size_t i = 0;
	int r;
	if ((r = ADD(p, BOS, "<|begin_of_text|>", err)) < 0)
		return r;
	if (t->form->dated) {
		if ((r = add_dated_system(p, t, system ? m : NULL, err)) < 0)
			return r;
		i = system;
	}
	for (; i < n; i++)
		if ((r = add_header(p, t, m[i].role, err)) < 0 ||
		    (r = add_content(p, &m[i], t->form->trim, err)) < 0 ||
		    (r = ADD(p, CONTROL, "<|eot_id|>", err)) < 0)
			return r;
	return add_header(p, t, LLM_ROLE_ASSISTANT, err);
}

/* <|im_start|>ROLE, a newline. */
static int
add_im_start(struct llm_prompt *p, enum llm_role role, struct llm_err *err)
{
	int r;
	if ((r = ADD(p, CONTROL, "<|im_start|>", err)) < 0 ||
	    (r = ADD(p, TEXT, role_name(role), err)) < 0)
		return r;
	return ADD(p, TEXT, "\n", err);
}

static int
add_im_end(struct llm_prompt *p, struct llm_err *err)
{
	int r = ADD(p, CONTROL, "<|im_end|>", err);
	return r < 0 ? r : ADD(p, TEXT, "\n", err);
}

static int
render_chatml(struct llm_prompt *p, const struct llm_template *t, const struct llm_message *m,
    size_t n, struct llm_err *err)
{
	const char *system = t->traits.system;
	int r;
	if (t->traits.bos && (r = ADD(p, BOS, "<s>", err)) < 0)
		return r;
	if (system != NULL && m[0].role != LLM_ROLE_SYSTEM)
		if ((r = add_im_start(p, LLM_ROLE_SYSTEM, err)) < 0 ||
		    (r = ADD(p, TEXT, system, err)) < 0 || (r = add_im_end(p, err)) < 0)
			return r;
	for (size_t i = 0; i < n; i++)
		if ((r = add_im_start(p, m[i].role, err)) < 0 ||
		    (r = add_content(p, &m[i], t->traits.trim, err)) < 0 ||
		    (r = add_im_end(p, err)) < 0)
			return r;
	return add_im_start(p, LLM_ROLE_ASSISTANT, err);
}

/* The text of a user message with the system message before it, trimmed as one. */
static int
add_user(struct llm_prompt *p, const struct llm_template *t, const struct llm_message *system,
    const struct llm_message *user, struct llm_err *err)
{
	const struct llm_template_inst *f = &t->form->inst;
	struct slice whole;
	size_t begin = p->n;
	int r;
	if (system == NULL)
		return add_content(p, user, f->trim_user, err);
	if ((r = ADD(p, TEXT, f->system_open, err)) < 0 ||
	    (r = add_content(p, system, t->traits.trim_system, err)) < 0 ||
	    (r = ADD(p, TEXT, f->system_close, err)) < 0 ||
	    (r = add_content(p, user, false, err)) < 0)
		return r;
	if (f->trim_user) {
		whole = trim_end((struct slice){p->bytes + begin, p->n - begin});
		llm_prompt_cut(p, begin + whole.n);
	}
	return 0;
}

static int
add_inst_turn(struct llm_prompt *p, const struct llm_template *t,
    const struct llm_message *system, const struct llm_message *user, struct llm_err *err)
{
	const struct llm_template_inst *f = &t->form->inst;
	int r;
	if ((r = ADD(p, TEXT, f->open, err)) < 0 || (r = ADD(p, MARK, "[INST]", err)) < 0 ||
	    (r = ADD(p, TEXT, " ", err)) < 0 || (r = add_user(p, t, system, user, err)) < 0 ||
	    (r = ADD(p, TEXT, f->close, err)) < 0)
		return r;
	return ADD(p, MARK, "[/INST]", err);
}

static int
add_inst_answer(struct llm_prompt *p, const struct llm_template_inst *f,
    const struct llm_message *answer, struct llm_err *err)
{
	int r;
	/* Generated ids hold the spaces that the model wrote itself. */
	if ((answer->ids == NULL && (r = ADD(p, TEXT, f->answer_open, err)) < 0) ||
	    (r = add_content(p, answer, f->trim_answer, err)) < 0 ||
	    (answer->ids == NULL && (r = ADD(p, TEXT, f->answer_close, err)) < 0) ||
	    (r = ADD(p, EOS, "</s>", err)) < 0)
		return r;
	return ADD(p, TEXT, f->after_eos, err);
}

static int
render_inst(struct llm_prompt *p, const struct llm_template *t, const struct llm_message *m,
    size_t n, struct llm_err *err)
{
	const struct llm_template_inst *f = &t->form->inst;
	const struct llm_message *system = m[0].role == LLM_ROLE_SYSTEM ? m : NULL;
	size_t first = system != NULL, with_system = t->traits.system_last ? n - 1 : first;
	int r;
	if (system != NULL && f->system_open == NULL)
		return llm_err_set(err, LLM_EUSAGE,
		    "the chat template %s has no place for a system message", t->form->name);
	p->inner = f->inner;
	for (size_t i = first; i < n; i++) {
		if (m[i].role == LLM_ROLE_USER) {
			if ((f->bos_each || i == first) && (r = ADD(p, BOS, "<s>", err)) < 0)
				return r;
			r = add_inst_turn(p, t, i == with_system ? system : NULL, &m[i], err);
		} else {
			r = add_inst_answer(p, f, &m[i], err);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

const struct llm_template_form llm_template_forms[LLM_TEMPLATE_COUNT] = {
    [LLM_TEMPLATE_LLAMA3] = {"llama3", render_headers, "<|eot_id|>", .trim = false},
    [LLM_TEMPLATE_LLAMA3_0] = {"llama3.0", render_headers, "<|eot_id|>", .trim = true},
    [LLM_TEMPLATE_LLAMA3_1] = {"llama3.1", render_headers, "<|eot_id|>", .trim = true,
	.dated = true},
    [LLM_TEMPLATE_LLAMA3_2] = {"llama3.2", render_headers, "<|eot_id|>", .trim = true,
	.dated = true},
    [LLM_TEMPLATE_CHATML] = {"chatml", render_chatml, "<|im_end|>", .trim = false},
    [LLM_TEMPLATE_LLAMA2] = {"llama2", render_inst, NULL,
	.inst = {.bos_each = true,
	    .trim_user = true,
	    .trim_answer = true,
	    .open = "",
	    .close = " ",
	    .system_open = "<<SYS>>\n",
	    .system_close = "\n<</SYS>>\n\n",
	    .answer_open = " ",
	    .answer_close = " ",
	    .after_eos = ""}},
    [LLM_TEMPLATE_MISTRAL_0_1] = {"mistral-v0.1", render_inst, NULL,
	.inst = {.open = "",
	    .close = " ",
	    .answer_open = "",
	    .answer_close = "",
	    .after_eos = " "}},
    [LLM_TEMPLATE_MISTRAL_0_2] = {"mistral-v0.2", render_inst, NULL,
	.inst =
	    {.open = "", .close = " ", .answer_open = "", .answer_close = "", .after_eos = ""}},
    [LLM_TEMPLATE_MISTRAL_V1] = {"mistral-v1", render_inst, NULL,
	.inst = {.inner = true,
	    .open = " ",
	    .close = " ",
	    .system_open = "",
	    .system_close = "\n\n",
	    .answer_open = " ",
	    .answer_close = "",
	    .after_eos = ""}},
    [LLM_TEMPLATE_MISTRAL_V3] = {"mistral-v3", render_inst, NULL,
	.inst = {.inner = true,
	    .trim_answer = true,
	    .open = "",
	    .close = "",
	    .system_open = "",
	    .system_close = "\n\n",
	    .answer_open = " ",
	    .answer_close = "",
	    .after_eos = ""}},
};
