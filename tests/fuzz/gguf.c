/*
 * SPDX-License-Identifier: ISC
 *
 * Fuzz target: a GGUF file of any bytes is opened as a model, and all that the reader hands out is read.
 *	clang -g -O1 -std=c11 -D_POSIX_C_SOURCE=200809L -I. -fsanitize=fuzzer,address,undefined \
 *	    -o build/fuzz-gguf tests/fuzz/gguf.c libcore/gguf*.c libcore/config.c libcore/weights.c \
 *	    libcore/model.c libcore/map.c libcore/dtype.c libcore/err.c -lm
 *	build/tests/mkbroken corpus && build/fuzz-gguf -max_len=131072 corpus
 */
#include "libcore/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Something of every byte that was located, so that none lies outside. */
static unsigned
touch(const struct llm_gguf *g)
{
	unsigned sum = 0;
	for (size_t i = 0; i < llm_gguf_n_key(g); i++) {
		const struct llm_gguf_key *k = llm_gguf_key_at(g, i);
		struct llm_gguf_str s;
		int64_t v = 0;
		size_t cursor = 0;
		if (k->item_type == LLM_GGUF_STRING && k->type == LLM_GGUF_ARRAY)
			while (llm_gguf_next_str(&s, k, &cursor))
				sum += s.n > 0 ? (unsigned char)s.s[s.n - 1] : 0;
		else if (k->item_type != LLM_GGUF_STRING && k->n_item > 0)
			sum += llm_gguf_item_int(&v, k, k->n_item - 1) ? (unsigned)v : 0;
		sum += k->n_bytes > 0 ? k->data[k->n_bytes - 1] : 0;
	}
	for (size_t i = 0; i < llm_gguf_n_tensor(g); i++) {
		const struct llm_gguf_tensor *t = llm_gguf_tensor_at(g, i);
		const unsigned char *p = t->data;
		sum += (unsigned)p[0] + p[t->n_bytes - 1];
	}
	return sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static int fd = -1;
	static char path[64];
	struct llm_gguf *g = NULL;
	struct llm_model *m = NULL;
	struct llm_err err;
	if (fd < 0) {
		char name[] = "/dev/shm/llm-fuzz.XXXXXX";
		fd = mkstemp(name);
		unlink(name);
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	}
	if (ftruncate(fd, 0) < 0 || pwrite(fd, data, n, 0) != (ssize_t)n)
		abort();
	if (llm_gguf_open(&g, path, &err) == 0) {
		if (touch(g) == UINT32_MAX) /* so that nothing is left out as unused */
			fputs("", stderr);
		llm_gguf_close(g);
	} else if (strchr(err.msg, '\n') != NULL || err.msg[0] == '\0') {
		abort();
	}
	if (llm_model_open(&m, path, &err) == 0)
		llm_model_close(m);
	return 0;
}
