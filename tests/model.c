/*
 * SPDX-License-Identifier: ISC
 *
 * Made models, opened; see model.h.
 */
#include "tests/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
test_model_poison(struct mkfile *f)
{
	struct mkfile_tensor *t = mkfile_find(f, "token_embd.weight");
	size_t n = t->ne[0] * t->ne[1];
	t->type = LLM_DTYPE_F32;
	t->values = calloc(n, sizeof *t->values);
	for (size_t i = 0; i < n; i++)
		t->values[i] = (float)(i * 2654435761u % 1000) / 500 - 1;
	t->values[TEST_POISON * t->ne[0] + 5] = NAN;
}

static bool
shape_set(struct mkmodel *made, const char *shape)
{
	bool hard = true;
	if (strcmp(shape, "crowd") == 0) {
		mkmodel_shape(made, "odd");
		made->n_head = 132;
		made->n_head_kv = 2;
		made->d_head = 18;
	} else if (strcmp(shape, "wide") == 0) {
		mkmodel_shape(made, "odd");
		made->n_head = 2;
		made->n_head_kv = 1;
		made->d_head = 512;
	} else if (strcmp(shape, "least") == 0) {
		mkmodel_shape(made, "tiny");
		made->n_layer = made->n_embd = made->n_head = made->n_head_kv = made->n_ff = 1;
		made->d_head = 2;
		made->n_vocab = 3;
		made->vocab = "none";
	} else {
		hard = false;
	}
	return hard || mkmodel_shape(made, shape);
}

struct llm_model *
test_model(
    const char *shape, const char *type, double rope_factor, void (*change)(struct mkfile *f))
{
	struct mkmodel made;
	struct llm_model *m = NULL;
	struct llm_err err = {0};
	char path[] = "/tmp/llm-model-XXXXXX";
	int fd = mkstemp(path);
	if (!shape_set(&made, shape)) {
		printf("# no shape %s\n", shape);
		exit(1);
	}
	made.type = type;
	made.rope_factor = rope_factor;
	made.n_ctx = 131072;
	struct mkfile *f = mkmodel_new(&made);
	if (f != NULL && change != NULL)
		change(f);
	if (fd < 0 || f == NULL || mkfile_write(f, path, 1) < 0 ||
	    llm_model_open(&m, path, &err) < 0) {
		printf("# no %s model: %s\n", shape, err.msg);
		exit(1);
	}
	mkfile_free(f);
	close(fd);
	unlink(path);
	return m;
}
