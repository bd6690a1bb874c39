/*
 * SPDX-License-Identifier: ISC
 *
 * Chooses a chat template, by name or from the text in a model file, and keeps what it needs.
 */
#include "tokenize/template.h"
#include "tokenize/template_private.h"

#include <stdlib.h>
#include <string.h>

const char *
llm_template_names(void)
{
	return "llama3 llama3.0 llama3.1 llama3.2 chatml llama2 mistral-v0.1 mistral-v0.2 "
	       "mistral-v1 mistral-v3";
}

static int
find_form(const char *name, struct llm_err *err)
{
	for (int id = 0; id < LLM_TEMPLATE_COUNT; id++)
		if (strcmp(llm_template_forms[id].name, name) == 0)
			return id;
	char quoted[40];
	return llm_err_set(err, LLM_EUSAGE, "no chat template '%s': there are %s",
	    llm_err_quote(quoted, sizeof quoted, name, strlen(name)), llm_template_names());
}

/* Fills t->form and t->traits; a name wins over the text, whose traits count where they agree. */
static int
choose(
    struct llm_template *t, const char *text, size_t n, const char *name, struct llm_err *err)
{
	int own = LLM_TEMPLATE_UNKNOWN, id = LLM_TEMPLATE_UNKNOWN, r;
	if (name != NULL && (id = find_form(name, err)) < 0)
		return id;
	/* A text that cannot be read does not matter to who named another. */
	if (text != NULL && (r = llm_template_recognise(&own, &t->traits, text, n, err)) < 0 &&
	    (name == NULL || r == LLM_ENOMEM))
		return r;
	if (name == NULL && own == LLM_TEMPLATE_UNKNOWN)
		return llm_err_set(err, LLM_EUNSUPPORTED, "%s: choose with --template: %s",
		    text == NULL ? "no chat template in the file" : "unknown chat template",
		    llm_template_names());
	if (name != NULL && id != own) {
		free(t->traits.system);
		t->traits =
		    (struct llm_template_traits){.system_last = id == LLM_TEMPLATE_MISTRAL_V3};
	}
	t->form = &llm_template_forms[name != NULL ? id : own];
	return 0;
}

int
llm_template_read(struct llm_template **out, const char *text, size_t n,
    const struct llm_template_params *params, struct llm_err *err)
{
	struct llm_template *t = calloc(1, sizeof *t);
	int r;
	*out = NULL;
	if (t == NULL)
		return llm_err_nomem(err, sizeof *t);
	r = choose(t, text, n, params->name, err);
	if (r >= 0 && params->date != NULL) {
		size_t bytes = strlen(params->date) + 1;
		if ((t->date = malloc(bytes)) == NULL)
			r = llm_err_nomem(err, bytes);
		else
			memcpy(t->date, params->date, bytes);
	}
	if (r < 0) {
		llm_template_close(t);
		return r;
	}
	*out = t;
	return 0;
}

int
llm_template_open(struct llm_template **out, const struct llm_gguf *g,
    const struct llm_template_params *params, struct llm_err *err)
{
	struct llm_gguf_str text = {NULL, 0};
	struct llm_err why;
	int r = llm_gguf_str(&text, g, "tokenizer.chat_template", err);
	*out = NULL;
	if (r < 0 && params->name == NULL)
		return r;
	r = llm_template_read(out, r > 0 ? text.s : NULL, text.n, params, &why);
	if (r == LLM_EUSAGE || r >= 0) {
		if (r < 0)
			llm_err_set(err, r, "%s", why.msg);
		return r;
	}
	return llm_err_set(err, r, "%s: %s", llm_gguf_path(g), why.msg);
}

void
llm_template_close(struct llm_template *t)
{
	if (t == NULL)
		return;
	free(t->traits.system);
	free(t->date);
	free(t);
}

const char *
llm_template_name(const struct llm_template *t)
{
	return t->form->name;
}

const char *
llm_template_end(const struct llm_template *t)
{
	return t->form->end;
}

int
llm_template_render(struct llm_prompt *out, const struct llm_template *t,
    const struct llm_message *messages, size_t n, struct llm_err *err)
{
	size_t first = n > 0 && messages[0].role == LLM_ROLE_SYSTEM;
	bool good = n > first && (n - first) % 2 == 1;
	for (size_t i = first; i < n && good; i++)
		good = messages[i].role ==
		       ((i - first) % 2 == 0 ? LLM_ROLE_USER : LLM_ROLE_ASSISTANT);
	if (!good)
		return llm_err_set(err, LLM_EUSAGE,
		    "messages of a conversation go in turn: system or none, user, assistant, "
		    "user");
	return t->form->render(out, t, messages, n, err);
}
