/*
 * SPDX-License-Identifier: ISC
 *
 * The labels and examples that llm-classify is given; see classify.h.
 */
#include "bin/classify.h"

#include <stdlib.h>
#include <string.h>

static const char *
quoted(char buf[static 80], const char *s)
{
	return llm_err_quote(buf, 80, s, strlen(s));
}

/* Without the white space around it; changes s. */
static char *
trim(char *s)
{
	s += strspn(s, " \t\r");
	for (size_t n = strlen(s); n > 0 && strchr(" \t\r", s[n - 1]) != NULL;)
		s[--n] = '\0';
	return s;
}

static int
label_find(const struct classify *c, const char *label)
{
	int i = 0;
	while (i < c->n_label && strcmp(c->label[i], label) != 0)
		i++;
	return i < c->n_label ? i : -1;
}

static void
label_add(struct classify *c, const char *label, const char *description)
{
	char buf[80];
	if (label_find(c, label) >= 0)
		tool_usage("label '%s' is there twice", quoted(buf, label));
	if (c->n_label == CLASSIFY_MAX_LABELS)
		tool_usage("more than %d labels", CLASSIFY_MAX_LABELS);
	c->label[c->n_label] = label;
	c->description[c->n_label++] = description;
}

/* Splits at the first c: returns what follows it, or NULL where there is none. */
static char *
split(char *s, char c)
{
	char *at = strchr(s, c);
	if (at == NULL)
		return NULL;
	*at = '\0';
	return at + 1;
}

/* A file of text lines. */
static char *
read_text(const char *path)
{
	char name[TOOL_NAME], *bytes;
	size_t n;
	tool_read_all(&bytes, &n, path);
	if (memchr(bytes, '\0', n) != NULL)
		tool_fail(LLM_EDATA, "%s: a NUL byte; lines of text were expected",
		    tool_name_of(name, path));
	return bytes;
}

static void
labels_read(struct classify *c, const char *path)
{
	char name[TOOL_NAME];
	int line = 0;
	c->bytes[1] = read_text(path);
	for (char *s = c->bytes[1], *next; s != NULL && *s != '\0'; s = next) {
		next = split(s, '\n');
		line++;
		char *description = split(s, '\t'), *label = trim(s);
		if (description != NULL && *(description = trim(description)) == '\0')
			description = NULL;
		if (*label == '\0' && description != NULL)
			tool_fail(LLM_EDATA, "%s, line %d: a description without a label",
			    tool_name_of(name, path), line);
		if (*label != '\0')
			label_add(c, label, description);
	}
}

static void
examples_read(struct classify *c, const char *path)
{
	char name[TOOL_NAME], buf[80];
	int line = 0, cap = 0;
	c->bytes[2] = read_text(path);
	tool_name_of(name, path);
	for (char *s = c->bytes[2], *next; s != NULL && *s != '\0'; s = next) {
		next = split(s, '\n');
		line++;
		char *text = split(s, '\t');
		if (text == NULL && *trim(s) == '\0')
			continue;
		if (text == NULL)
			tool_fail(LLM_EDATA, "%s, line %d: expected a label, a tab and a text",
			    name, line);
		int label = label_find(c, trim(s));
		if (label < 0)
			tool_fail(LLM_EDATA, "%s, line %d: '%s' is none of the labels", name,
			    line, quoted(buf, trim(s)));
		if (c->n_example == cap) {
			cap = cap < 16 ? 16 : 2 * cap;
			struct classify_example *more =
			    realloc(c->example, (size_t)cap * sizeof *more);
			if (more == NULL)
				tool_fail(LLM_ENOMEM, "out of memory: %d examples", cap);
			c->example = more;
		}
		c->example[c->n_example++] = (struct classify_example){label, text};
	}
}

void
classify_read(
    struct classify *c, const char *list, const char *label_file, const char *example_file)
{
	*c = (struct classify){0};
	c->label = calloc(CLASSIFY_MAX_LABELS, sizeof *c->label);
	c->description = calloc(CLASSIFY_MAX_LABELS, sizeof *c->description);
	c->bytes[0] = malloc(list != NULL ? strlen(list) + 1 : 1);
	if (c->label == NULL || c->description == NULL || c->bytes[0] == NULL)
		tool_fail(LLM_ENOMEM, "out of memory: labels");
	if (list != NULL) {
		strcpy(c->bytes[0], list);
		for (char *s = c->bytes[0], *next; s != NULL; s = next) {
			next = split(s, ',');
			if (*(s = trim(s)) == '\0')
				tool_usage("-l: a label is empty");
			label_add(c, s, NULL);
		}
	} else {
		labels_read(c, label_file);
	}
	if (c->n_label < 2)
		tool_usage("%d labels: there is nothing to choose from", c->n_label);
	if (example_file != NULL)
		examples_read(c, example_file);
}

void
classify_free(struct classify *c)
{
	for (size_t i = 0; i < sizeof c->bytes / sizeof c->bytes[0]; i++)
		free(c->bytes[i]);
	free(c->label);
	free(c->description);
	free(c->example);
}
