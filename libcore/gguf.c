/*
 * SPDX-License-Identifier: ISC
 *
 * A GGUF model: one file, or the parts of a split set put together.  Keys are those of the first
 * part; tensors are those of all parts, in order, under one index of names.
 */
#include "libcore/gguf.h"
#include "libcore/gguf_part.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct llm_gguf {
	struct llm_gguf_part *part;     /* [n_part] */
	int n_part, named;              /* the part whose path was given */
	struct llm_gguf_tensor *tensor; /* [n_tensor], of all parts */
	struct llm_gguf_name *name;     /* [n_tensor], sorted */
	size_t n_tensor;
};

/* What a part says of the set it belongs to: keys split.no (from 0), split.count, split.tensors.count. */
struct split {
	uint32_t no, count, n_tensor;
	bool has_n_tensor;
};

static int
split_read(struct split *s, const struct llm_gguf_part *p, struct llm_err *err)
{
	int status;
	*s = (struct split){0, 1, 0, false};
	if ((status = llm_gguf_part_u32(&s->count, p, "split.count", err)) < 0)
		return status;
	if (s->count <= 1) {
		s->count = 1;
		return 0;
	}
	if (s->count > LLM_GGUF_MAX_PARTS)
		return llm_err_set(err, LLM_EDATA, "%s: split.count is %u, expected at most %d",
		    p->map.name, (unsigned)s->count, LLM_GGUF_MAX_PARTS);
	if ((status = llm_gguf_part_u32(&s->no, p, "split.no", err)) < 0)
		return status;
	if (status == 0)
		return llm_err_set(err, LLM_EDATA,
		    "%s: is one of %u parts, but the key split.no is missing", p->map.name,
		    (unsigned)s->count);
	if (s->no >= s->count)
		return llm_err_set(err, LLM_EDATA,
		    "%s: split.no is %u, expected less than split.count, %u", p->map.name,
		    (unsigned)s->no, (unsigned)s->count);
	status = llm_gguf_part_u32(&s->n_tensor, p, "split.tensors.count", err);
	s->has_n_tensor = status > 0;
	return status < 0 ? status : 0;
}

/* What the names of the parts end in. */
#define SUFFIX "-00001-of-00001.gguf"

/* The path of part no (from 0), made from that of another part. */
static char *
split_path(const char *path, uint32_t no, uint32_t count)
{
	size_t n = strlen(path), keep = n - strlen(SUFFIX);
	char *out = malloc(n + 1);
	if (out != NULL) {
		memcpy(out, path, keep);
		snprintf(out + keep, n + 1 - keep, "-%05u-of-%05u.gguf",
		    (unsigned)(no + 1) % 100000, (unsigned)count % 100000);
	}
	return out;
}

/* The part that was named must be called what its keys say. */
static int
split_check_path(const struct llm_gguf_part *p, const struct split *s, struct llm_err *err)
{
	size_t n = strlen(p->path);
	char *expected = n > strlen(SUFFIX) ? split_path(p->path, s->no, s->count) : NULL;
	bool good = expected != NULL && strcmp(expected, p->path) == 0;
	free(expected);
	if (good)
		return 0;
	return llm_err_set(err, LLM_EDATA,
	    "%s: is part %u of %u, so that its name must end in -%05u-of-%05u.gguf",
	    p->map.name, (unsigned)s->no + 1, (unsigned)s->count, (unsigned)s->no + 1,
	    (unsigned)s->count);
}

/* Opens part no of the set that named belongs to. */
static int
split_open(struct llm_gguf_part *p, const struct llm_gguf_part *named, const struct split *set,
    struct llm_gguf_budget *left, struct llm_err *err)
{
	struct split s;
	char *path = split_path(named->path, set->no, set->count);
	if (path == NULL)
		return llm_err_nomem(err, strlen(named->path) + 1);
	int status = llm_gguf_part_open(p, path, left, err);
	free(path);
	if (status == LLM_ENOINPUT && err != NULL) {
		struct llm_err first = *err;
		return llm_err_set(err, LLM_ENOINPUT, "%.200s (part %u of %u)", first.msg,
		    (unsigned)set->no + 1, (unsigned)set->count);
	}
	if (status < 0 || (status = split_read(&s, p, err)) < 0)
		return status;
	if (s.no != set->no || s.count != set->count)
		return llm_err_set(err, LLM_EDATA,
		    "%s: says it is part %u of %u, expected part %u of %u", p->map.name,
		    (unsigned)s.no + 1, (unsigned)s.count, (unsigned)set->no + 1,
		    (unsigned)set->count);
	if (s.has_n_tensor && set->has_n_tensor && s.n_tensor != set->n_tensor)
		return llm_err_set(err, LLM_EDATA,
		    "%s: split.tensors.count is %u, in the part that was named %u", p->map.name,
		    (unsigned)s.n_tensor, (unsigned)set->n_tensor);
	return 0;
}

/* Opens the named file and, where it is a part of a set, all others; part[] is in order. */
static int
open_parts(struct llm_gguf *g, const char *path, struct llm_err *err)
{
	struct llm_gguf_budget left = {LLM_GGUF_MAX_TENSORS, LLM_GGUF_MAX_HEADER};
	struct llm_gguf_part named;
	struct split s;
	int status = llm_gguf_part_open(&named, path, &left, err);
	if (status < 0)
		return status;
	if ((status = split_read(&s, &named, err)) < 0 ||
	    (s.count > 1 && (status = split_check_path(&named, &s, err)) < 0)) {
		llm_gguf_part_close(&named);
		return status;
	}
	g->part = calloc(s.count, sizeof(*g->part));
	if (g->part == NULL) {
		llm_gguf_part_close(&named);
		return llm_err_nomem(err, s.count * sizeof(*g->part));
	}
	g->n_part = (int)s.count;
	uint32_t at = s.no;
	g->part[at] = named;
	g->named = (int)at;
	for (s.no = 0; s.no < s.count; s.no++) {
		if (s.no != at &&
		    (status = split_open(&g->part[s.no], &named, &s, &left, err)) < 0)
			return status;
		g->n_tensor += g->part[s.no].n_tensor;
	}
	if (s.has_n_tensor && g->n_tensor != s.n_tensor)
		return llm_err_set(err, LLM_EDATA,
		    "%s: the parts have %zu tensors, split.tensors.count says %u",
		    named.map.name, g->n_tensor, (unsigned)s.n_tensor);
	return 0;
}

/* Puts the tensors of all parts into one array, and indexes it. */
static int
join_tensors(struct llm_gguf *g, struct llm_err *err)
{
	g->tensor = calloc(g->n_tensor + 1, sizeof(*g->tensor));
	g->name = calloc(g->n_tensor + 1, sizeof(*g->name));
	if (g->tensor == NULL || g->name == NULL)
		return llm_err_nomem(
		    err, g->n_tensor * (sizeof(*g->tensor) + sizeof(*g->name)));
	size_t n = 0;
	for (int part = 0; part < g->n_part; part++)
		for (size_t i = 0; i < g->part[part].n_tensor; i++, n++) {
			g->tensor[n] = g->part[part].tensor[i];
			g->tensor[n].part = part;
			g->name[n] = (struct llm_gguf_name){g->tensor[n].name, n};
		}
	const struct llm_gguf_name *twice = llm_gguf_names_sort(g->name, g->n_tensor);
	if (twice != NULL)
		return llm_err_set(err, LLM_EDATA, "%s: tensor %s stands twice",
		    g->part[g->tensor[twice->i].part].map.name, LLM_GGUF_QUOTE(twice->name));
	return 0;
}

int
llm_gguf_open(struct llm_gguf **out, const char *path, struct llm_err *err)
{
	int status;
	struct llm_gguf *g = calloc(1, sizeof(*g));
	if (g == NULL)
		return llm_err_nomem(err, sizeof(*g));
	if ((status = open_parts(g, path, err)) < 0 || (status = join_tensors(g, err)) < 0) {
		llm_gguf_close(g);
		return status;
	}
	*out = g;
	return 0;
}

void
llm_gguf_close(struct llm_gguf *g)
{
	if (g == NULL)
		return;
	free(g->name);
	free(g->tensor);
	for (int i = 0; i < g->n_part; i++)
		llm_gguf_part_close(&g->part[i]);
	free(g->part);
	free(g);
}

const char *
llm_gguf_path(const struct llm_gguf *g)
{
	return g->part[g->named].map.name;
}

int
llm_gguf_version(const struct llm_gguf *g)
{
	return g->part[0].version;
}

int
llm_gguf_n_part(const struct llm_gguf *g)
{
	return g->n_part;
}

size_t
llm_gguf_part_bytes(const struct llm_gguf *g, int part)
{
	return g->part[part].map.n_bytes;
}

const char *
llm_gguf_part_path(const struct llm_gguf *g, int part)
{
	return g->part[part].path;
}

const void *
llm_gguf_part_data(size_t *n, const struct llm_gguf *g, int part)
{
	*n = g->part[part].map.n_bytes;
	return g->part[part].map.data;
}

void
llm_gguf_call(struct llm_gguf *g, const char *path)
{
	llm_map_call(&g->part[g->named].map, path);
}

const struct llm_map_stamp *
llm_gguf_part_stamp(const struct llm_gguf *g, int part)
{
	return &g->part[part].map.stamp;
}

size_t
llm_gguf_n_key(const struct llm_gguf *g)
{
	return g->part[0].n_key;
}

const struct llm_gguf_key *
llm_gguf_key_at(const struct llm_gguf *g, size_t i)
{
	return i < g->part[0].n_key ? &g->part[0].key[i] : NULL;
}

const struct llm_gguf_key *
llm_gguf_key(const struct llm_gguf *g, const char *name)
{
	return llm_gguf_part_key(&g->part[0], name);
}

int
llm_gguf_u32(uint32_t *out, const struct llm_gguf *g, const char *name, struct llm_err *err)
{
	return llm_gguf_part_u32(out, &g->part[0], name, err);
}

int
llm_gguf_f32(float *out, const struct llm_gguf *g, const char *name, struct llm_err *err)
{
	return llm_gguf_part_f32(out, &g->part[0], name, err);
}

int
llm_gguf_bool(bool *out, const struct llm_gguf *g, const char *name, struct llm_err *err)
{
	return llm_gguf_part_bool(out, &g->part[0], name, err);
}

int
llm_gguf_str(
    struct llm_gguf_str *out, const struct llm_gguf *g, const char *name, struct llm_err *err)
{
	return llm_gguf_part_str(out, &g->part[0], name, err);
}

int
llm_gguf_array(const struct llm_gguf_key **out, const struct llm_gguf *g, const char *name,
    enum llm_gguf_type item_type, struct llm_err *err)
{
	return llm_gguf_part_array(out, &g->part[0], name, item_type, err);
}

size_t
llm_gguf_n_tensor(const struct llm_gguf *g)
{
	return g->n_tensor;
}

const struct llm_gguf_tensor *
llm_gguf_tensor_at(const struct llm_gguf *g, size_t i)
{
	return i < g->n_tensor ? &g->tensor[i] : NULL;
}

const struct llm_gguf_tensor *
llm_gguf_tensor(const struct llm_gguf *g, const char *name)
{
	const struct llm_gguf_name *found = llm_gguf_names_find(g->name, g->n_tensor, name);
	return found != NULL ? &g->tensor[found->i] : NULL;
}

const char *
llm_gguf_covers(const struct llm_gguf *g, const void *p)
{
	const unsigned char *at = p;
	for (int i = 0; i < g->n_part; i++)
		if (at >= g->part[i].map.data &&
		    (size_t)(at - g->part[i].map.data) < g->part[i].map.n_bytes + 4095)
			return g->part[i].map.name;
	return NULL;
}
