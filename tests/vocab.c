/*
 * SPDX-License-Identifier: ISC
 *
 * Small vocabularies for tests; see vocab.h.
 */
#include "tests/vocab.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *
must(void *p)
{
	if (p == NULL) {
		perror("vocab");
		exit(71);
	}
	return p;
}

int
vocab_open(struct vocab_open *out, const struct mkfile *f, struct llm_err *err)
{
	const char *folder = getenv("TMPDIR");
	char path[256];
	snprintf(path, sizeof path, "%s/vocab-XXXXXX", folder == NULL ? "/tmp" : folder);
	*out = (struct vocab_open){0};
	int fd = mkstemp(path);
	if (fd < 0 || mkfile_write(f, path, 1) < 0) {
		perror(path);
		exit(74);
	}
	close(fd);
	int rc = llm_gguf_open(&out->gguf, path, err);
	unlink(path);
	if (rc >= 0)
		rc = llm_tokenizer_open(&out->tokenizer, out->gguf, err);
	return rc;
}

void
vocab_close(struct vocab_open *v)
{
	llm_tokenizer_close(v->tokenizer);
	llm_gguf_close(v->gguf);
	*v = (struct vocab_open){0};
}

static void
spell(char out[3], unsigned b)
{
	unsigned c = b <= 0x20 ? 0x100 + b : b >= 0x7F && b <= 0xA0 ? 0x121 + b - 0x7F : b;
	c = b == 0xAD ? 0x143 : c;
	snprintf(out, 3, c < 0x80 ? "%c" : "%c%c", (int)(c < 0x80 ? c : 0xC0 | c >> 6),
	    (int)(0x80 | (c & 0x3F)));
}

struct mkfile *
vocab_bpe(const char *pre, const char *const *merges, size_t n)
{
	char **token = must(calloc(256 + n, sizeof *token));
	int32_t *type = must(calloc(256 + n, sizeof *type));
	for (size_t i = 0; i < 256 + n; i++) {
		token[i] = must(calloc(1, i < 256 ? 3 : strlen(merges[i - 256]) + 1));
		type[i] = 1;
		if (i < 256) {
			spell(token[i], (unsigned)i);
			continue;
		}
		const char *space = strchr(merges[i - 256], ' ');
		snprintf(token[i], strlen(merges[i - 256]), "%.*s%s",
		    (int)(space - merges[i - 256]), merges[i - 256], space + 1);
	}
	struct mkfile *f = mkfile_new();
	mkfile_str(f, "general.architecture", "llama");
	mkfile_str(f, "tokenizer.ggml.model", "gpt2");
	mkfile_str(f, "tokenizer.ggml.pre", pre);
	mkfile_strs(f, "tokenizer.ggml.tokens", token, 256 + n);
	mkfile_i32s(f, "tokenizer.ggml.token_type", type, 256 + n);
	mkfile_strs(f, "tokenizer.ggml.merges", (char *const *)(uintptr_t)merges, n);
	for (size_t i = 0; i < 256 + n; i++)
		free(token[i]);
	free(token);
	free(type);
	return f;
}

struct mkfile *
vocab_spm(const char *const *pieces, const float *scores, size_t n)
{
	static const char *const first[] = {"<unk>", "<s>", "</s>"};
	char **token = must(calloc(259 + n, sizeof *token));
	int32_t *type = must(calloc(259 + n, sizeof *type));
	float *score = must(calloc(259 + n, sizeof *score));
	for (size_t i = 0; i < 259 + n; i++) {
		char byte[8];
		snprintf(byte, sizeof byte, "<0x%02X>", (unsigned)(i - 3) & 255);
		token[i] = must(strdup(i < 3 ? first[i] : i < 259 ? byte : pieces[i - 259]));
		type[i] = i == 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1;
		score[i] = i < 259 ? 0 : scores[i - 259];
	}
	struct mkfile *f = mkfile_new();
	mkfile_str(f, "general.architecture", "llama");
	mkfile_str(f, "tokenizer.ggml.model", "llama");
	mkfile_strs(f, "tokenizer.ggml.tokens", token, 259 + n);
	mkfile_i32s(f, "tokenizer.ggml.token_type", type, 259 + n);
	mkfile_f32s(f, "tokenizer.ggml.scores", score, 259 + n);
	mkfile_u32(f, "tokenizer.ggml.bos_token_id", 1);
	mkfile_u32(f, "tokenizer.ggml.eos_token_id", 2);
	for (size_t i = 0; i < 259 + n; i++)
		free(token[i]);
	free(token);
	free(type);
	free(score);
	return f;
}

bool
vocab_encodes(const struct llm_tokenizer *t, const char *text, size_t n, unsigned flags,
    const llm_token *want)
{
	struct llm_ids ids = {0};
	struct llm_err err = {0};
	size_t n_want = 0;
	while (want[n_want] >= 0)
		n_want++;
	int rc = llm_tokenizer_encode(&ids, t, text, n, flags, &err);
	bool good = rc == 0 && ids.n == n_want &&
		    (n_want == 0 || memcmp(ids.v, want, n_want * sizeof *want) == 0);
	if (!good) {
		printf("# %s got", rc < 0 ? err.msg : "");
		for (size_t i = 0; i < ids.n; i++)
			printf(" %d", (int)ids.v[i]);
		printf("\n");
	}
	llm_ids_free(&ids);
	return good;
}
