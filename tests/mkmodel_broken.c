/*
 * SPDX-License-Identifier: ISC
 *
 * How the broken models of the list come about: keys and tensors are changed before the file is laid out,
 * bytes of its image after that, found by their marks; split sets are files apart.
 */
#include "tests/mkmodel_broken.h"

#include "tests/mkmodel_broken_list.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct mkfile *
mkbroken_base(void)
{
	struct mkmodel m;
	mkmodel_shape(&m, "tiny");
	m.type = "Q4_1";
	return mkmodel_new(&m);
}

const struct mkbroken *
mkbroken_at(int i)
{
	const struct mkbroken_row *row = mkbroken_row(i);
	return row != NULL ? &row->about : NULL;
}

_Noreturn static void
die(const char *what, const char *name)
{
	fprintf(stderr, "mkbroken: %s: %s\n", what, name);
	exit(70);
}

static enum llm_dtype
type_named(const char *name)
{
	uint32_t t = 0;
	while (t < LLM_DTYPE_PACKED &&
	       (llm_dtype_info(t) == NULL || strcmp(llm_dtype_name(t), name) != 0))
		t++;
	if (t == LLM_DTYPE_PACKED)
		die("no such type", name);
	return (enum llm_dtype)t;
}

static void
add_tensor(struct mkfile *f, const char *name, const char *text)
{
	char type[16], zero[8] = "";
	unsigned long long ne0 = 0, ne1 = 0;
	if (sscanf(text, "%15s %llu %llu %7s", type, &ne0, &ne1, zero) < 2)
		die("no such tensor", text);
	struct mkfile_tensor *t = mkfile_add(f, name, type_named(type), ne0, ne1);
	t->std = zero[0] != '\0' ? 0 : 0.1;
}

/* A change of keys or tensors. */
static void
change_file(struct mkfile *f, const struct mkbroken_change *c)
{
	struct mkfile_tensor *t = mkfile_find(f, c->where != NULL ? c->where : "");
	switch (c->kind) {
	case SET:
		if (!mkfile_set_text(f, c->where, c->text))
			die("no such value", c->text);
		break;
	case UNSET:
		if (!mkfile_unset(f, c->where))
			die("no such key", c->where);
		break;
	case ADD:
		add_tensor(f, c->where, c->text);
		break;
	case DROP:
		mkfile_drop(f, c->where);
		break;
	case RETYPE:
		t->type = type_named(c->text);
		break;
	case RENAME:
		snprintf(t->name, sizeof t->name, "%s", c->text);
		break;
	case SPREAD:
		t->std = strtod(c->text, NULL);
		break;
	default:
		break;
	}
}

/* A change of bytes. */
static void
change_image(struct mkfile_image *m, const struct mkbroken_change *c)
{
	if (c->kind == PUT) {
		size_t at = mkfile_at(m, c->where) + (size_t)c->at;
		for (int i = 0; i < c->n; i++)
			m->bytes[at + (size_t)i] = (unsigned char)(c->value >> (8 * i));
	} else if (c->kind == CUT) {
		size_t from = c->where[0] != '\0' ? mkfile_at(m, c->where) : m->n;
		m->n = (size_t)((long)from + c->at);
	}
}

static void
write_bytes(const char *path, const void *bytes, size_t n)
{
	FILE *out = fopen(path, "wb");
	if (out == NULL || fwrite(bytes, 1, n, out) != n || fclose(out) != 0)
		die("cannot write", path);
}

/* A part of the set, in memory with its own keys, written anew. */
static void
write_part(const struct mkfile *f, const char *path, int no, int count, const char *how)
{
	struct mkfile part = *f;
	part.key = NULL;
	part.n_key = 0;
	size_t begin = f->n_tensor * (size_t)no / 3, end = f->n_tensor * (size_t)(no + 1) / 3;
	part.tensor = f->tensor + begin;
	part.n_tensor = end - begin;
	int said = (int)f->n_tensor;
	if (strcmp(how, "twice") == 0 && no == 2)
		part.tensor =
		    f->tensor + begin - 1; /* the second part's last, and not its own last */
	if (strcmp(how, "tensors 2") == 0 && no == 1)
		said++;
	if (strcmp(how, "all tensors") == 0)
		said += 5;
	for (size_t i = 0; no == 0 && i < f->n_key; i++)
		mkfile_raw(&part, f->key[i].name, f->key[i].type, f->key[i].value, f->key[i].n);
	if (strcmp(how, "past 2") == 0 && no == 1)
		mkfile_int(&part, "split.no", LLM_GGUF_U16, 3);
	else if (strcmp(how, "unnumbered 2") != 0 || no != 1)
		mkfile_int(&part, "split.no", LLM_GGUF_U16, no);
	mkfile_int(&part, "split.count", LLM_GGUF_U16,
	    strcmp(how, "count 2") == 0 && no == 1 ? 4 : count);
	mkfile_int(&part, "split.tensors.count", LLM_GGUF_I32, said);
	if (mkfile_write(&part, path, 1) < 0)
		die("cannot write", path);
	while (part.n_key > 0)
		mkfile_unset(&part, part.key[0].name);
	free(part.key);
}

static void
copy_file(const char *from, const char *to)
{
	static unsigned char bytes[1 << 20];
	FILE *in = fopen(from, "rb");
	if (in == NULL)
		die("cannot read", from);
	size_t n = fread(bytes, 1, sizeof bytes, in);
	fclose(in);
	write_bytes(to, bytes, n);
}

/* Writes the set, spoils it, and leaves in path which part is to be opened. */
static void
write_split(const struct mkfile *f, char *path, size_t size, const char *how)
{
	char part[3][600], stem[560];
	snprintf(stem, sizeof stem, "%.*s", (int)strlen(path) - 5, path);
	int open = 0, from, to;
	for (int i = 0; i < 3; i++) {
		snprintf(part[i], sizeof part[i], "%s-%05d-of-00003.gguf", stem, i + 1);
		write_part(f, part[i], i, 3, how);
	}
	if (sscanf(how, "rm %d", &from) == 1)
		unlink(part[from - 1]);
	if (sscanf(how, "copy %d %d", &from, &to) == 2)
		copy_file(part[from - 1], part[to - 1]);
	if (strcmp(how, "garbage 2") == 0)
		write_bytes(part[1], "not a model\n", 12);
	if (strcmp(how, "empty 2") == 0)
		write_bytes(part[1], "", 0);
	if (strstr(how, "open") != NULL)
		open = atoi(strstr(how, "open") + 5) - 1;
	if (strcmp(how, "rename") == 0)
		copy_file(part[0], path);
	else
		snprintf(path, size, "%s", part[open]);
}

char *
mkbroken_write(const char *folder, int i)
{
	const struct mkbroken_row *row = mkbroken_row(i);
	char *path = malloc(600);
	struct mkfile *f = mkbroken_base();
	if (path == NULL || f == NULL)
		die("no memory", row->about.name);
	snprintf(path, 560, "%s/%03d.gguf", folder, i);
	for (int k = 0; k < 2; k++)
		change_file(f, &row->change[k]);
	if (row->change[0].kind == SPLIT) {
		write_split(f, path, 600, row->change[0].text);
	} else {
		struct mkfile_image m;
		mkfile_image(&m, f, true);
		for (int k = 0; k < 2; k++)
			change_image(&m, &row->change[k]);
		/* The one thing that keys cannot be made to say. */
		if (strcmp(row->about.name, "a key stands twice") == 0)
			m.bytes[mkfile_at(&m, "key general.twicf") + 8 + 12] = 'e';
		write_bytes(path, m.bytes, m.n);
		mkfile_image_free(&m);
	}
	mkfile_free(f);
	return path;
}
