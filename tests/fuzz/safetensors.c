/*
 * SPDX-License-Identifier: ISC
 *
 * Fuzz target: a safetensors file of any bytes, by itself and as a shard of a directory whose index it is
 * too, is refused in a line, or each tensor lies inside it and can be read from end to end.
 */
#include "libcore/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { SOME = 64 };

static char dir[] = "/dev/shm/llm-fuzz.XXXXXX", file[64], index_file[64];

/* Every tensor is found by its name, and its ends can be read. */
static void
use(const struct llm_safetensors *s)
{
	for (size_t i = 0; i < llm_safetensors_n(s); i++) {
		const struct llm_safetensors_tensor *t = llm_safetensors_at(s, i);
		struct llm_err err;
		float y[SOME];
		unsigned sum = 0;
		if (llm_safetensors_find(s, t->name) != t || t->n_dim > LLM_SAFETENSORS_DIM)
			abort();
		for (size_t k = 0; k<t->n_bytes; k += t->n_bytes> SOME ? t->n_bytes - 1 : 1)
			sum += t->data[k];
		size_t some = t->n < SOME ? t->n : SOME;
		int rc = llm_safetensors_f32(y, t, t->n - some, some, &err);
		if ((rc < 0) != (t->type == LLM_DTYPE_MAX) || sum == UINT32_MAX)
			abort();
		if (t->n_bytes > 0 && llm_safetensors_covers(s, t->data) == NULL)
			abort();
	}
}

static void
open_one(const char *path)
{
	struct llm_safetensors *s = NULL;
	struct llm_err err = {0};
	if (llm_safetensors_open(&s, path, &err) == 0)
		use(s);
	else if (strchr(err.msg, '\n') != NULL || err.msg[0] == '\0')
		abort();
	llm_safetensors_close(s);
}

static void
put(const char *path, const uint8_t *data, size_t n)
{
	FILE *f = fopen(path, "wb");
	if (f == NULL || fwrite(data, 1, n, f) != n || fclose(f) != 0)
		abort();
}

static void
clean(void)
{
	unlink(file);
	unlink(index_file);
	rmdir(dir);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (file[0] == '\0') {
		if (mkdtemp(dir) == NULL)
			abort();
		atexit(clean);
		snprintf(file, sizeof file, "%s/model.safetensors", dir);
		snprintf(index_file, sizeof index_file, "%s/model.safetensors.index.json", dir);
	}
	/* The length, and up to there the header, which may as well be an index. */
	put(file, data, n);
	open_one(file);
	if (n > 8) {
		put(index_file, data + 8, n - 8 < 4096 ? n - 8 : 4096);
		open_one(dir);
		unlink(index_file);
	}
	return 0;
}
