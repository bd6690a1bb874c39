/*
 * SPDX-License-Identifier: ISC
 *
 * What is asked for, from the fields of a request: numbers within their ranges, texts and ids.  Defaults are those
 * of llm-generate(1).
 */
#include "bin/daemon/peer.h"
#include "bin/daemon/request.h"
#include "generate/lookup.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_STOP = 1024,
	MAX_BIAS = 1 << 20,
	MAX_TOP = 1000,
	MAX_STOP_BYTES = 64 << 10, /* of all */
	/* Of labels: one is looked for among all that begin alike. */
	MAX_LABELS = 4096,
	MAX_SPELLINGS = 8192,
	MAX_LABEL_IDS = 32768
};

static int
get_int(int *out, const struct llm_wire_value *map, const char *key, const int range[2],
    struct llm_err *err)
{
	int64_t v;
	int rc = llm_wire_get_int(&v, map, key, range[0], range[1], err);
	if (rc > 0)
		*out = (int)v;
	return rc;
}

#define RANGE(min, max) ((const int[2]){min, max})

static int
get_float(float *out, const struct llm_wire_value *map, const char *key, struct llm_err *err)
{
	double v;
	int rc = llm_wire_get_float(&v, map, key, err);
	if (rc > 0)
		*out = (float)v;
	return rc;
}

/* A string of one of the names: its place; 0 where it is absent. */
static int
get_name(int *out, const struct llm_wire_value *map, const char *key, const char *const *names,
    struct llm_err *err)
{
	struct llm_wire_bytes s;
	char quoted[80];
	int rc = llm_wire_get_bytes(&s, map, key, err);
	if (rc <= 0)
		return rc;
	for (int i = 0; names[i] != NULL; i++)
		if (strlen(names[i]) == s.n && memcmp(names[i], s.s, s.n) == 0) {
			*out = i;
			return 1;
		}
	return llm_err_set(err, LLM_EPROTOCOL, "%s is '%s': expected %s, or another", key,
	    llm_err_quote(quoted, sizeof quoted, s.s, s.n), names[0]);
}

/* A copy with a NUL behind it; one within is refused. */
static int
get_string(char **out, const struct llm_wire_value *map, const char *key, struct llm_err *err)
{
	struct llm_wire_bytes s;
	int rc = llm_wire_get_bytes(&s, map, key, err);
	if (rc <= 0)
		return rc;
	if (memchr(s.s, '\0', s.n) != NULL)
		return llm_err_set(err, LLM_EPROTOCOL, "%s has a NUL in it", key);
	if ((*out = malloc(s.n + 1)) == NULL)
		return llm_err_nomem(err, s.n + 1);
	memcpy(*out, s.s, s.n);
	(*out)[s.n] = '\0';
	return 1;
}

static int
get_ids(
    struct llm_ids *out, const struct llm_wire_value *map, const char *key, struct llm_err *err)
{
	size_t n = 0;
	int rc = llm_wire_get_ids(&out->v, &n, map, key, err);
	out->n = out->cap = n;
	return rc;
}

/* As an item of an array. */
static int
item_ids(struct llm_ids *out, const struct llm_wire_value *array, struct llm_err *err)
{
	size_t n = llm_wire_is_array(array) ? llm_wire_n(array) : 0;
	if (!llm_wire_is_array(array))
		return llm_err_set(err, LLM_EPROTOCOL, "a list of ids is no list");
	int rc = llm_ids_reserve(out, n, err);
	for (size_t i = 0; rc >= 0 && i < n; i++) {
		int64_t id;
		if (!llm_wire_as_int(&id, llm_wire_item(array, i)) || id < 0 || id > INT_MAX)
			return llm_err_set(
			    err, LLM_EPROTOCOL, "item %zu of a list is no id", i);
		out->v[out->n++] = (llm_token)id;
	}
	return rc;
}

/* Sampling. */

static int
get_bias(struct llm_sampling *s, const struct llm_wire_value *map, struct llm_err *err)
{
	const struct llm_wire_value *array;
	int rc = llm_wire_get_array(&array, map, "bias", err);
	if (rc <= 0)
		return rc;
	size_t n = llm_wire_n(array);
	struct llm_bias *bias = n <= MAX_BIAS ? calloc(n + 1, sizeof *bias) : NULL;
	if (bias == NULL)
		return llm_err_nomem(err, n * sizeof *bias);
	s->bias = bias;
	s->n_bias = (int)n;
	for (size_t i = 0; i < n; i++) {
		const struct llm_wire_value *pair = llm_wire_item(array, i);
		int64_t id;
		double add;
		if (!llm_wire_is_array(pair) || llm_wire_n(pair) != 2 ||
		    !llm_wire_as_int(&id, llm_wire_item(pair, 0)) || id < 0 || id > INT_MAX ||
		    !llm_wire_as_float(&add, llm_wire_item(pair, 1)) || isnan(add))
			return llm_err_set(
			    err, LLM_EPROTOCOL, "bias %zu is no pair of an id and a number", i);
		bias[i] = (struct llm_bias){(llm_token)id, (float)add};
	}
	return 0;
}

static int
get_sampling(struct llm_sampling *s, const struct llm_wire_value *map, struct llm_err *err)
{
	int64_t choice = 0;
	int rc;
	*s = (struct llm_sampling)LLM_SAMPLING_GREEDY;
	if ((rc = get_float(&s->temp, map, "temp", err)) < 0 ||
	    (rc = get_int(&s->top_k, map, "top_k", RANGE(0, INT_MAX), err)) < 0 ||
	    (rc = llm_wire_get_float(&s->top_p, map, "top_p", err)) < 0 ||
	    (rc = llm_wire_get_float(&s->min_p, map, "min_p", err)) < 0 ||
	    (rc = get_float(&s->repeat_penalty, map, "repeat_penalty", err)) < 0 ||
	    (rc = llm_wire_get_uint(&s->seed, map, "seed", err)) < 0 ||
	    (rc = llm_wire_get_int(&choice, map, "choice", 0, UINT32_MAX, err)) < 0)
		return rc;
	s->choice = (uint32_t)choice;
	return get_bias(s, map, err);
}

static int
get_stop(struct job *j, const struct llm_wire_value *map, struct llm_err *err)
{
	const struct llm_wire_value *array;
	int rc = llm_wire_get_array(&array, map, "stop", err);
	if (rc <= 0)
		return rc;
	size_t n = llm_wire_n(array), n_bytes = 0;
	if (n > MAX_STOP)
		return llm_err_set(
		    err, LLM_EPROTOCOL, "%zu stop strings: expected at most %d", n, MAX_STOP);
	if ((j->stop = calloc(n + 1, sizeof *j->stop)) == NULL)
		return llm_err_nomem(err, n * sizeof *j->stop);
	for (size_t i = 0; i < n; i++) {
		struct llm_wire_bytes s;
		if (!llm_wire_as_bytes(&s, llm_wire_item(array, i)) ||
		    memchr(s.s, '\0', s.n) != NULL)
			return llm_err_set(
			    err, LLM_EPROTOCOL, "stop string %zu is none, or has a NUL", i);
		if ((n_bytes += s.n) > MAX_STOP_BYTES)
			return llm_err_set(err, LLM_EPROTOCOL,
			    "stop strings of more than %d bytes in all", MAX_STOP_BYTES);
		char *copy = malloc(s.n + 1);
		if (copy == NULL)
			return llm_err_nomem(err, s.n + 1);
		memcpy(copy, s.s, s.n);
		copy[s.n] = '\0';
		j->stop[j->n_stop++] = copy;
	}
	return 0;
}

/* What all have that are computed. */
static int
get_common(struct request *r, struct llm_err *err)
{
	static const char *const classes[] = {"interactive", "pipe", "batch", NULL};
	static const char *const kvs[] = {"f16", "q8_0", NULL};
	static const enum llm_kv_type kv_of[] = {LLM_KV_F16, LLM_KV_Q8_0};
	struct job *j = &r->job;
	struct llm_wire_bytes ident;
	int class = LLM_JOB_PIPE, kv = 0, rc;
	if ((rc = get_name(&class, r->map, "class", classes, err)) < 0 ||
	    (rc = get_name(&kv, r->map, "kv", kvs, err)) < 0 ||
	    (rc = llm_wire_get_bool(&j->precise, r->map, "precise", err)) < 0 ||
	    (rc = llm_wire_get_bytes(&ident, r->map, "ident", err)) < 0)
		return rc;
	j->class = (enum llm_job_class) class;
	j->kv = kv_of[kv];
	r->peer->class = j->class;
	return 0;
}

static int
get_answer(struct request *r, struct llm_err *err)
{
	struct job *j = &r->job;
	int rc;
	j->kind = JOB_GENERATE;
	j->n_max = -1;
	j->n_draft = LLM_LOOKUP_MAX;
	j->cache = true;
	j->keep = INT_MAX;
	if ((rc = get_common(r, err)) < 0 ||
	    (rc = get_sampling(&j->sampling, r->map, err)) < 0 ||
	    (rc = get_stop(j, r->map, err)) < 0 ||
	    (rc = get_ids(&j->end, r->map, "end", err)) < 0 ||
	    (rc = get_int(&j->n_max, r->map, "n", RANGE(-1, INT_MAX), err)) < 0 ||
	    (rc = get_int(&j->n_draft, r->map, "draft", RANGE(0, LLM_LOOKUP_MAX), err)) < 0 ||
	    (rc = get_int(&j->n_ctx, r->map, "n_ctx", RANGE(0, INT_MAX), err)) < 0 ||
	    (rc = get_int(&j->keep, r->map, "keep", RANGE(0, INT_MAX), err)) < 0 ||
	    (rc = llm_wire_get_bool(&j->cache, r->map, "cache", err)) < 0 ||
	    (rc = llm_wire_get_bool(&j->drop_space, r->map, "drop_space", err)) < 0)
		return rc;
	r->has_drop = rc > 0;
	return 0;
}

/* Either text or ids; with neither LLM_EPROTOCOL. */
static int
get_input(struct request *r, struct llm_err *err)
{
	int text = llm_wire_get_bytes(&r->text, r->map, "text", err);
	int ids = text < 0 ? text : get_ids(&r->job.prompt, r->map, "ids", err);
	if (ids < 0)
		return ids;
	r->has_text = text > 0;
	if ((text > 0) == (ids > 0))
		return llm_err_set(err, LLM_EPROTOCOL, "expected one of text and ids");
	return 0;
}

int
ask_generate(struct request *r, struct llm_err *err)
{
	int rc = get_answer(r, err);
	return rc < 0 ? rc : get_input(r, err);
}

int
ask_score(struct request *r, struct llm_err *err)
{
	struct job *j = &r->job;
	int rc = get_common(r, err);
	j->kind = JOB_SCORE;
	j->from = 1;
	j->sampling = (struct llm_sampling)LLM_SAMPLING_GREEDY;
	if (rc < 0 || (rc = get_int(&j->from, r->map, "from", RANGE(0, INT_MAX), err)) < 0 ||
	    (rc = get_int(&j->n_top, r->map, "top", RANGE(0, MAX_TOP), err)) < 0)
		return rc;
	j->from = j->from > 0 ? j->from : 1;
	return get_input(r, err);
}

static int
get_message(struct request *r, size_t i, const struct llm_wire_value *map, struct llm_err *err)
{
	static const char *const roles[] = {"system", "user", "assistant", NULL};
	static const enum llm_role role_of[] = {
	    LLM_ROLE_SYSTEM, LLM_ROLE_USER, LLM_ROLE_ASSISTANT};
	struct llm_message *m = &r->message[i];
	struct llm_wire_bytes text;
	int role = -1, rc, has_text;
	if (!llm_wire_is_map(map))
		return llm_err_set(err, LLM_EPROTOCOL, "message %zu is no map", i);
	if ((rc = get_name(&role, map, "role", roles, err)) < 0 ||
	    (rc = has_text = llm_wire_get_bytes(&text, map, "text", err)) < 0 ||
	    (rc = llm_wire_get_ids(&r->message_ids[i], &m->n_ids, map, "ids", err)) < 0)
		return rc;
	if (role < 0 || (has_text > 0) == (rc > 0))
		return llm_err_set(err, LLM_EPROTOCOL,
		    "message %zu: expected a role and one of text and ids", i);
	m->role = role_of[role];
	m->text = has_text > 0 ? text.s : NULL;
	m->n_text = has_text > 0 ? text.n : 0;
	m->ids = r->message_ids[i];
	return 0;
}

int
ask_chat(struct request *r, struct llm_err *err)
{
	const struct llm_wire_value *array;
	int rc = get_answer(r, err);
	if (rc < 0 || (rc = get_string(&r->template, r->map, "template", err)) < 0 ||
	    (rc = get_string(&r->date, r->map, "date", err)) < 0)
		return rc;
	if ((rc = llm_wire_get_array(&array, r->map, "messages", err)) == 0)
		rc = llm_err_set(err, LLM_EPROTOCOL, "chat: no messages");
	if (rc < 0)
		return rc;
	size_t n = llm_wire_n(array);
	r->message = calloc(n + 1, sizeof *r->message);
	r->message_ids = calloc(n + 1, sizeof *r->message_ids);
	if (r->message == NULL || r->message_ids == NULL)
		return llm_err_nomem(err, n * sizeof *r->message);
	r->n_message = n;
	for (size_t i = 0; i < n; i++)
		if ((rc = get_message(r, i, llm_wire_item(array, i), err)) < 0)
			return rc;
	return 0;
}

/* [[label index, [ids]]..] */
static int
get_labels(struct job *j, const struct llm_wire_value *array, int n_label, struct llm_err *err)
{
	struct llm_ids ids = {0};
	size_t n = llm_wire_n(array), n_id = 0;
	int rc = 0;
	for (size_t i = 0; rc >= 0 && i < n; i++) {
		const struct llm_wire_value *pair = llm_wire_item(array, i);
		int64_t label;
		ids.n = 0;
		if (!llm_wire_is_array(pair) || llm_wire_n(pair) != 2 ||
		    !llm_wire_as_int(&label, llm_wire_item(pair, 0)) || label < 0 ||
		    label >= n_label)
			rc = llm_err_set(err, LLM_EPROTOCOL,
			    "label %zu is no pair of a number below n_label and ids", i);
		else
			rc = item_ids(&ids, llm_wire_item(pair, 1), err);
		if (rc >= 0 && ids.n == 0)
			rc = llm_err_set(err, LLM_EPROTOCOL, "label %zu has no ids", i);
		if (rc >= 0 && (n > MAX_SPELLINGS || (n_id += ids.n) > MAX_LABEL_IDS))
			rc = llm_err_set(err, LLM_EPROTOCOL,
			    "%zu spellings of labels: expected at most %d, of %d ids in all", n,
			    MAX_SPELLINGS, MAX_LABEL_IDS);
		if (rc >= 0)
			rc = llm_labels_put(&j->labels, (int)label, ids.v, ids.n, err);
	}
	llm_ids_free(&ids);
	return rc < 0 ? rc : llm_labels_list(&j->labels, err);
}

static int
get_prompts(struct job_prompts *p, const struct llm_wire_value *array, struct llm_err *err)
{
	size_t n = llm_wire_n(array);
	int rc = 0;
	if ((p->end = calloc(n + 1, sizeof *p->end)) == NULL)
		return llm_err_nomem(err, n * sizeof *p->end);
	for (size_t i = 0; rc >= 0 && i < n; i++) {
		rc = item_ids(&p->ids, llm_wire_item(array, i), err);
		p->end[i] = p->ids.n;
	}
	p->n = (int)n;
	return rc;
}

int
ask_labels(struct request *r, struct llm_err *err)
{
	const struct llm_wire_value *labels, *prompts;
	struct job *j = &r->job;
	int n_label = 0, rc = get_common(r, err);
	j->kind = JOB_LABELS;
	if (rc < 0 || (rc = get_ids(&j->prefix, r->map, "prefix", err)) < 0 ||
	    (rc = get_int(&n_label, r->map, "n_label", RANGE(1, MAX_LABELS), err)) < 0)
		return rc;
	if ((rc = llm_wire_get_array(&labels, r->map, "labels", err)) > 0)
		rc = llm_wire_get_array(&prompts, r->map, "prompts", err);
	if (rc == 0)
		rc = llm_err_set(err, LLM_EPROTOCOL, "expected labels and prompts");
	if (rc < 0 || (rc = get_labels(j, labels, n_label, err)) < 0)
		return rc;
	if (j->labels.n_label != n_label)
		return llm_err_set(err, LLM_EPROTOCOL, "%d labels, and n_label is %d",
		    j->labels.n_label, n_label);
	return get_prompts(&j->prompts, prompts, err);
}

int
ask_embed(struct request *r, struct llm_err *err)
{
	static const char *const poolings[] = {"file", "mean", "first", "last", NULL};
	static const enum llm_pooling pooling_of[] = {
	    LLM_POOLING_FILE, LLM_POOLING_MEAN, LLM_POOLING_FIRST, LLM_POOLING_LAST};
	const struct llm_wire_value *array;
	struct job *j = &r->job;
	struct llm_embedder_params *p = &r->embed;
	int pooling = 0, rc = get_common(r, err);
	j->kind = JOB_EMBED;
	r->wants_ident = true; /* the answer names it */
	if (rc < 0 || (rc = get_name(&pooling, r->map, "pooling", poolings, err)) < 0 ||
	    (rc = llm_wire_get_bool(&p->plain, r->map, "plain", err)) < 0 ||
	    (rc = llm_wire_get_bool(&p->cut, r->map, "cut", err)) < 0)
		return rc;
	p->pooling = pooling_of[pooling];
	p->precise = j->precise;
	if ((rc = llm_wire_get_array(&array, r->map, "texts", err)) == 0)
		rc = llm_err_set(err, LLM_EPROTOCOL, "embed: no texts");
	if (rc < 0)
		return rc;
	size_t n = llm_wire_n(array);
	if ((j->text = calloc(n + 1, sizeof *j->text)) == NULL)
		return llm_err_nomem(err, n * sizeof *j->text);
	j->n_text = (int)n;
	for (size_t i = 0; i < n; i++) {
		struct llm_wire_bytes s;
		if (!llm_wire_as_bytes(&s, llm_wire_item(array, i)))
			return llm_err_set(err, LLM_EPROTOCOL, "text %zu is no text", i);
		j->text[i].s = s.s;
		j->text[i].n = s.n;
	}
	return 0;
}

int
ask_text(struct request *r, struct llm_err *err)
{
	int rc = llm_wire_get_bytes(&r->text, r->map, "text", err);
	if (rc == 0)
		rc = llm_err_set(err, LLM_EPROTOCOL, "tokenize: no text");
	if (rc < 0 || (rc = llm_wire_get_bool(&r->bos, r->map, "bos", err)) < 0)
		return rc;
	rc = llm_wire_get_bool(&r->special, r->map, "special", err);
	return rc < 0 ? rc : 0;
}

int
ask_ids(struct request *r, struct llm_err *err)
{
	int rc = get_ids(&r->ids, r->map, "ids", err);
	if (rc == 0)
		rc = llm_err_set(err, LLM_EPROTOCOL, "detokenize: no ids");
	if (rc < 0)
		return rc;
	rc = llm_wire_get_bool(&r->special, r->map, "special", err);
	return rc < 0 ? rc : 0;
}

void
ask_free(struct request *r)
{
	struct job *j = &r->job;
	llm_ids_free(&r->ids);
	for (size_t i = 0; r->message_ids != NULL && i < r->n_message; i++)
		free(r->message_ids[i]);
	free(r->message_ids);
	free(r->message);
	free(r->template);
	free(r->date);
	free(r->out);
	llm_embedder_close(r->opened);
	llm_ids_free(&j->prompt);
	for (int i = 0; i < j->n_stop; i++)
		free((char *)(uintptr_t)j->stop[i]);
	free(j->stop);
	free((struct llm_bias *)(uintptr_t)j->sampling.bias);
	llm_ids_free(&j->end);
	llm_labels_free(&j->labels);
	llm_ids_free(&j->prefix);
	llm_ids_free(&j->prompts.ids);
	free(j->prompts.end);
	free(j->text);
}
