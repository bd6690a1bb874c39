/*
 * SPDX-License-Identifier: ISC
 *
 * JSON by jansson; see json.h.  A struct llm_json is a json_t under another name.
 */
#include "libcore/json.h"

#include <jansson.h>
#include <string.h>

static const json_t *
value_of(const struct llm_json *j)
{
	return (const json_t *)(const void *)j;
}

static const struct llm_json *
json_of(const json_t *v)
{
	return (const struct llm_json *)(const void *)v;
}

int
llm_json_parse(struct llm_json **out, const char *text, size_t n, struct llm_err *err)
{
	json_error_t e;
	char quoted[140];
	json_t *v = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
	if (v == NULL && json_error_code(&e) == json_error_out_of_memory)
		return llm_err_nomem(err, n);
	if (v == NULL)
		return llm_err_set(err, LLM_EDATA, "no JSON: line %d: %s", e.line,
		    llm_err_quote(quoted, sizeof quoted, e.text, strlen(e.text)));
	*out = (struct llm_json *)(void *)v;
	return 0;
}

void
llm_json_free(struct llm_json *j)
{
	json_decref((json_t *)(void *)j);
}

bool
llm_json_is_object(const struct llm_json *j)
{
	return json_is_object(value_of(j));
}

bool
llm_json_is_array(const struct llm_json *j)
{
	return json_is_array(value_of(j));
}

bool
llm_json_str(const char **s, size_t *n, const struct llm_json *j)
{
	if (!json_is_string(value_of(j)))
		return false;
	*s = json_string_value(value_of(j));
	*n = json_string_length(value_of(j));
	return true;
}

bool
llm_json_int(int64_t *out, const struct llm_json *j)
{
	if (!json_is_integer(value_of(j)))
		return false;
	*out = json_integer_value(value_of(j));
	return true;
}

bool
llm_json_number(double *out, const struct llm_json *j)
{
	if (!json_is_number(value_of(j)))
		return false;
	*out = json_number_value(value_of(j));
	return true;
}

bool
llm_json_bool(bool *out, const struct llm_json *j)
{
	if (!json_is_boolean(value_of(j)))
		return false;
	*out = json_is_true(value_of(j));
	return true;
}

size_t
llm_json_n(const struct llm_json *j)
{
	return json_is_object(value_of(j)) ? json_object_size(value_of(j))
					   : json_array_size(value_of(j));
}

const struct llm_json *
llm_json_member(const struct llm_json *object, const char *name)
{
	return json_of(json_object_get(value_of(object), name));
}

const struct llm_json *
llm_json_at(const struct llm_json *array, size_t i)
{
	return json_of(json_array_get(value_of(array), i));
}

bool
llm_json_next(const char **name, const struct llm_json **value, const struct llm_json *object,
    void **cursor)
{
	json_t *v = (json_t *)(uintptr_t)value_of(object);
	*cursor = *cursor == NULL ? json_object_iter(v) : json_object_iter_next(v, *cursor);
	if (*cursor == NULL)
		return false;
	*name = json_object_iter_key(*cursor);
	*value = json_of(json_object_iter_value(*cursor));
	return true;
}
