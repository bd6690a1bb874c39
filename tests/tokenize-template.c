/*
 * SPDX-License-Identifier: ISC
 *
 * Chat templates: the conversations of tests/data/templates/cases.json byte for byte, what is recognised
 * and what is refused.  With an argument, the cases of that file alone (tests/oracle-template.py gives
 * random ones).
 */
#include "tests/tap.h"
#include "tokenize/template.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static char *
read_file(const char *path, size_t *n)
{
	FILE *f = fopen(path, "rb");
	char *s = NULL;
	*n = 0;
	if (f == NULL)
		return NULL;
	if ((s = malloc(1 << 20)) != NULL)
		*n = fread(s, 1, 1 << 20, f);
	fclose(f);
	return s;
}

/* The text of tests/data/templates/NAME.jinja. */
static char *
read_template(const char *name, size_t *n)
{
	char path[256];
	snprintf(path, sizeof path, "tests/data/templates/%s.jinja", name);
	return read_file(path, n);
}

static enum llm_role
role_named(const char *name)
{
	return strcmp(name, "system") == 0 ? LLM_ROLE_SYSTEM
	       : strcmp(name, "user") == 0 ? LLM_ROLE_USER
					   : LLM_ROLE_ASSISTANT;
}

/* Whether a case of the file comes out as it says. */
static bool
case_holds(const json_t *c)
{
	struct llm_message m[16];
	struct llm_template *t = NULL;
	struct llm_prompt p = {0};
	struct llm_err err;
	const json_t *turn, *want = json_object_get(c, "text");
	size_t i, n = 0, n_text;
	bool good = false;
	char *text = read_template(json_string_value(json_object_get(c, "template")), &n_text);
	struct llm_template_params params = {
	    .date = json_string_value(json_object_get(c, "date"))};

	json_array_foreach(json_object_get(c, "messages"), i, turn)
	{
		const json_t *content = json_array_get(turn, 1);
		if (n == sizeof m / sizeof m[0])
			goto out;
		m[n++] = (struct llm_message){
		    .role = role_named(json_string_value(json_array_get(turn, 0))),
		    .text = json_string_value(content),
		    .n_text = json_string_length(content)};
	}
	if (text == NULL || llm_template_read(&t, text, n_text, &params, &err) < 0 ||
	    strcmp(llm_template_name(t), json_string_value(json_object_get(c, "name"))) != 0 ||
	    llm_template_render(&p, t, m, n, &err) < 0)
		goto out;
	good = p.n == json_string_length(want) &&
	       memcmp(p.bytes, json_string_value(want), p.n) == 0;
	if (!good)
		printf("# got: %.*s\n", (int)p.n, p.bytes);
out:
	llm_prompt_free(&p);
	llm_template_close(t);
	free(text);
	return good;
}

static void
run_cases(const char *path)
{
	json_error_t why;
	json_t *cases = json_load_file(path, JSON_ALLOW_NUL, &why), *c;
	size_t i;
	if (!json_is_array(cases)) {
		tap_ok(false, "the cases can be read from %s", path);
		return;
	}
	json_array_foreach(cases, i, c)
	{
		char *messages = json_dumps(
		    json_object_get(c, "messages"), JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
		for (char *s = messages; s != NULL && *s != '\0'; s++)
			if (*s == '#')
				*s = '.';
		tap_ok(case_holds(c), "%s writes %s as published",
		    json_string_value(json_object_get(c, "template")), messages);
		free(messages);
	}
	json_decref(cases);
}

/* The name of what a text is recognised as, or NULL; the message to err. */
static const char *
recognised(const char *text, size_t n, struct llm_err *err)
{
	static char name[32];
	struct llm_template *t;
	if (llm_template_read(&t, text, n, &(struct llm_template_params){0}, err) < 0)
		return NULL;
	snprintf(name, sizeof name, "%s", llm_template_name(t));
	llm_template_close(t);
	return name;
}

static void
test_unknown(void)
{
	static const struct {
		const char *what, *text;
	} unknown[] = {
	    {"an empty text", ""},
	    {"another family's template", "{% for m in messages %}{{ '<|user|>\\n' + m.content "
					  "+ '<|end|>\\n' }}{% endfor %}"},
	    {"ChatML with thoughts",
		"{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}"
		"{{ '<|im_start|>assistant\\n<think>\\n' }}"},
	    {"ChatML without a newline after a message",
		"{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' }}"
		"{{ '<|im_start|>assistant\\n' }}"},
	    {"ChatML with two system messages of its own",
		"{{ '<|im_start|>system\\nA<|im_end|>\\n' }}{{ "
		"'<|im_start|>system\\nB<|im_end|>\\n' "
		"}}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' "
		"}}{{ '<|im_start|>assistant\\n' }}"},
	    {"Llama 3 with another knowledge date",
		"{{ '<|start_header_id|>system<|end_header_id|>\\n\\nCutting Knowledge Date: "
		"March "
		"2023\\nToday Date: ' + date_string + m.content | trim + '<|eot_id|>' }}"
		"{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}"},
	    {"Llama 3 with a system message of its own",
		"{% set system_message = 'Call tools.' %}{{ '<|start_header_id|>system"
		"<|end_header_id|>\\n\\n' + system_message + m.content | trim + '<|eot_id|>' }}"
		"{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}"},
	    {"Llama 2 with a system message of its own",
		"{% if true == true %}{% set s = 'You are.' %}{% endif %}"
		"{{ '<<SYS>>\\n' + s + '\\n<</SYS>>\\n\\n' }}"
		"{{ bos_token + '[INST] ' + m.content | trim + ' [/INST]' }}"},
	    {"Mistral without a space after [INST]",
		"{{ bos_token }}{{ '[INST]' + m.content + '[/INST]' }}"},
	    {"a text that has the marks of two families", "[INST]<|im_start|>"},
	    {"a literal that never ends", "{{ '<|im_start|>"},
	};
	struct llm_err err;
	for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
		err = (struct llm_err){0};
		tap_ok(recognised(unknown[i].text, strlen(unknown[i].text), &err) == NULL &&
			   err.code == LLM_EUNSUPPORTED &&
			   strstr(err.msg, llm_template_names()) != NULL &&
			   strstr(err.msg, "--template") != NULL,
		    "%s is refused, and the list is given", unknown[i].what);
	}
}

static void
test_spelling(void)
{
	static const char text[] =
	    "{%- for m in messages -%}\n\t{{- \"<|im_start|>\" ~ m.role ~ '\\x0a' ~ m . "
	    "content ~ "
	    "\"<|im_end|>\\u000a\" -}}\n{%- endfor -%}{{\"<|im_start|>assistant\\n\"}}";
	struct llm_err err;
	const char *name = recognised(text, strlen(text), &err);
	tap_ok(name != NULL && strcmp(name, "chatml") == 0,
	    "quotes, escapes and white space of a template do not matter");
}

static void
test_hostile(void)
{
	size_t n = 1 << 20;
	char *big = malloc(n + 1);
	struct llm_err err = {0};
	if (big == NULL)
		return;
	for (size_t i = 0; i < n; i++)
		big[i] = "{{'\\"[i % 4];
	tap_ok(recognised(big, n, &err) == NULL, "a mebibyte of opened tags is refused");
	for (size_t i = 0; i < n; i++)
		big[i] = "<|im_start|>system\n"[i % 19];
	tap_ok(recognised(big, n, &err) == NULL, "a mebibyte of system headers is refused");
	memset(big, '\'', n + 1);
	memcpy(big, "{{", 2);
	tap_ok(recognised(big, n, &err) == NULL, "a mebibyte of quotes is refused");
	tap_ok(recognised(big, n + 1, &err) == NULL && err.code == LLM_EDATA,
	    "a template of more than a mebibyte is bad data");
	free(big);
}

static void
test_choice(void)
{
	static const struct llm_message hello[] = {
	    {.role = LLM_ROLE_SYSTEM, .text = "S", .n_text = 1},
	    {.role = LLM_ROLE_USER, .text = "U", .n_text = 1}};
	struct llm_template *t = NULL;
	struct llm_prompt p = {0};
	struct llm_err err = {0};
	size_t n;
	char *text = read_template("smollm2", &n);
	struct llm_template_params params = {.name = "llama3"};

	tap_ok(text != NULL && llm_template_read(&t, text, n, &params, &err) == 0 &&
		   strcmp(llm_template_name(t), "llama3") == 0,
	    "a template that is named wins over the file's");
	llm_template_close(t);
	t = NULL;
	params.name = "chatml";
	tap_ok(text != NULL && llm_template_read(&t, text, n, &params, &err) == 0 &&
		   llm_template_render(&p, t, hello + 1, 1, &err) == 0 &&
		   memcmp(p.bytes, "<|im_start|>system\nYou are", 26) == 0,
	    "the name of the file's own keeps the file's system message");
	llm_prompt_free(&p);
	llm_template_close(t);
	params.name = "nonsense";
	tap_ok(llm_template_read(&t, NULL, 0, &params, &err) == LLM_EUSAGE &&
		   strstr(err.msg, "nonsense") != NULL &&
		   strstr(err.msg, llm_template_names()) != NULL,
	    "a name that is none is a usage error, and the list is given");
	params.name = NULL;
	tap_ok(llm_template_read(&t, NULL, 0, &params, &err) == LLM_EUNSUPPORTED,
	    "a file without a template is refused");
	params.name = "mistral-v0.2";
	tap_ok(llm_template_read(&t, NULL, 0, &params, &err) == 0 &&
		   llm_template_render(&p, t, hello, 2, &err) == LLM_EUSAGE &&
		   llm_template_render(&p, t, hello + 1, 1, &err) == 0 &&
		   llm_template_render(&p, t, hello, 0, &err) == LLM_EUSAGE &&
		   llm_template_render(&p, t, hello, 1, &err) == LLM_EUSAGE,
	    "messages that a template has no place for are a usage error");
	llm_prompt_free(&p);
	llm_template_close(t);
	free(text);
}

int
main(int argc, char **argv)
{
	if (argc > 1) {
		run_cases(argv[1]);
		return tap_done();
	}
	run_cases("tests/data/templates/cases.json");
	test_unknown();
	test_spelling();
	test_hostile();
	test_choice();
	return tap_done();
}
