/*
 * SPDX-License-Identifier: ISC
 *
 * Fuzz target: the vocabulary of a GGUF file of any bytes, which is refused in a line or turns text into
 * ids that stand for just that text.  The text is the end of the file.
 */
#include "tokenize/records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { TEXT = 200 };

/* The pieces of ids put together are text; a space before it may be the vocabulary's. */
static void
compare(const struct llm_tokenizer *t, const struct llm_ids *ids, const char *text, size_t n)
{
	bool prefix = llm_tokenizer_space_prefix(t) && n > 0;
	size_t at = 0;
	for (size_t i = 0; i < ids->n; i++) {
		struct llm_gguf_str piece;
		if (!llm_tokenizer_piece(&piece, t, ids->v[i]))
			abort();
		for (size_t k = 0; k < piece.n; k++) {
			if (prefix && piece.s[k] == ' ')
				prefix = false;
			else if (prefix || at == n || text[at++] != piece.s[k])
				abort();
		}
	}
	if (at != n)
		abort();
}

static void
use(const struct llm_tokenizer *t, const char *text, size_t n)
{
	struct llm_ids ids = {0};
	struct llm_err err;
	size_t len;
	if (llm_tokenizer_encode(&ids, t, text, n, 0, &err) == 0) {
		compare(t, &ids, text, n);
		for (size_t i = 0; i < ids.n; i++)
			if (llm_tokenizer_is_control(t, ids.v[i]))
				abort();
	}
	ids.n = 0;
	llm_tokenizer_encode(
	    &ids, t, text, n, LLM_TOKENIZE_SPECIAL | LLM_TOKENIZE_REPLACE, &err);
	if (llm_tokenizer_cut(t, text, n, 0) > n)
		abort();
	struct llm_records r = {.tokenizer = t, .n_tok = 5, .at = LLM_RECORDS_PARAGRAPH};
	if (n > 0 && llm_records_next(&len, &r, text, n, true, &err) == 0 &&
	    (len == 0 || len > n))
		abort();
	llm_records_free(&r);
	llm_ids_free(&ids);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static int fd = -1;
	static char path[64];
	struct llm_gguf *g = NULL;
	struct llm_tokenizer *t = NULL;
	struct llm_err err;
	if (fd < 0) {
		char name[] = "/dev/shm/llm-fuzz.XXXXXX";
		fd = mkstemp(name);
		unlink(name);
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	}
	if (ftruncate(fd, 0) < 0 || pwrite(fd, data, n, 0) != (ssize_t)n)
		abort();
	if (llm_gguf_open(&g, path, &err) < 0)
		return 0;
	size_t n_text = n < TEXT ? n : TEXT;
	if (llm_tokenizer_open(&t, g, &err) == 0)
		use(t, (const char *)data + n - n_text, n_text);
	else if (strchr(err.msg, '\n') != NULL || err.msg[0] == '\0')
		abort();
	llm_tokenizer_close(t);
	llm_gguf_close(g);
	return 0;
}
