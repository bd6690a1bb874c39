/*
 * SPDX-License-Identifier: ISC
 *
 * The published rank file as a vocabulary; see ranks.h.
 */
#include "tests/ranks.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_TOKENS = 1 << 18, MAX_MERGES = 1 << 20, N_CONTROL = 256, SLOTS = 1 << 19 };

struct ranks {
	char *token[MAX_TOKENS]; /* bytes in GPT-2's spelling */
	char *raw[MAX_TOKENS];
	size_t n_raw[MAX_TOKENS];
	int n;
	int slot[SLOTS]; /* rank + 1 by hash of the bytes */
	char *merge[MAX_MERGES];
	size_t n_merge;
	int32_t type[MAX_TOKENS];
};

static void *
must(void *p)
{
	if (p == NULL) {
		perror("ranks");
		exit(71);
	}
	return p;
}

/* Decodes base64 in place; the number of bytes. */
static size_t
unbase64(char *s, size_t n)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t out = 0;
	unsigned bits = 0, n_bits = 0;
	for (size_t i = 0; i < n && s[i] != '='; i++) {
		const char *digit = strchr(digits, s[i]);
		bits = bits << 6 | (unsigned)(digit == NULL ? 0 : digit - digits);
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			s[out++] = (char)(bits >> n_bits);
		}
	}
	return out;
}

/* Bytes as GPT-2 spells them, in new memory. */
static char *
spell(const char *s, size_t n)
{
	char *out = must(malloc(2 * n + 1)), *p = out;
	for (size_t i = 0; i < n; i++) {
		unsigned b = (unsigned char)s[i], c = b;
		if (b <= 0x20)
			c = 0x100 + b;
		else if (b >= 0x7F && b <= 0xA0)
			c = 0x121 + b - 0x7F;
		else if (b == 0xAD)
			c = 0x143;
		if (c >= 0x80)
			*p++ = (char)(0xC0 | c >> 6);
		*p++ = (char)(c < 0x80 ? c : 0x80 | (c & 0x3F));
	}
	*p = '\0';
	return out;
}

/* The slot of these bytes: filled, or the one where they would go. */
static int *
slot(struct ranks *r, const char *s, size_t n)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)s[i]) * 16777619u;
	for (h ^= h >> 15;; h++) {
		int *x = &r->slot[h % SLOTS];
		if (*x == 0 || (r->n_raw[*x - 1] == n && memcmp(r->raw[*x - 1], s, n) == 0))
			return x;
	}
}

static bool
tokens_read(struct ranks *r, FILE *f)
{
	char line[1024];
	while (fgets(line, sizeof line, f) != NULL) {
		char *space = strchr(line, ' ');
		if (space == NULL || atoi(space + 1) != r->n || r->n == MAX_TOKENS - N_CONTROL)
			return false;
		size_t n = unbase64(line, (size_t)(space - line));
		r->raw[r->n] = must(malloc(n + 1));
		memcpy(r->raw[r->n], line, n);
		r->n_raw[r->n] = n;
		r->token[r->n] = spell(line, n);
		r->type[r->n] = 1;
		*slot(r, line, n) = r->n + 1;
		r->n++;
	}
	return r->n > 0;
}

struct pair {
	int left, right;
};

static int
pair_compare(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	return x->left != y->left ? (x->left > y->left) - (x->left < y->left)
				  : (x->right > y->right) - (x->right < y->right);
}

/* Every way to make a token of two, tokens in order, ways by rank of the left and the right. */
static void
merges_make(struct ranks *r)
{
	struct pair pair[1024];
	for (int id = 0; id < r->n; id++) {
		size_t n = 0;
		for (size_t at = 1; at < r->n_raw[id]; at++) {
			int left = *slot(r, r->raw[id], at) - 1;
			int right = *slot(r, r->raw[id] + at, r->n_raw[id] - at) - 1;
			if (left >= 0 && right >= 0)
				pair[n++] = (struct pair){left, right};
		}
		qsort(pair, n, sizeof pair[0], pair_compare);
		for (size_t i = 0; i < n && r->n_merge < MAX_MERGES; i++) {
			const char *left = r->token[pair[i].left];
			const char *right = r->token[pair[i].right];
			char *s = must(malloc(strlen(left) + strlen(right) + 2));
			sprintf(s, "%s %s", left, right);
			r->merge[r->n_merge++] = s;
		}
	}
}

static void
controls_add(struct ranks *r)
{
	static const char *const names[] = {"<|begin_of_text|>", "<|end_of_text|>",
	    "<|reserved_special_token_0|>", "<|reserved_special_token_1|>",
	    "<|finetune_right_pad_id|>", "<|step_id|>", "<|start_header_id|>",
	    "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>", "<|python_tag|>"};
	const int n_name = sizeof names / sizeof names[0];
	for (int i = 0; i < N_CONTROL; i++) {
		char text[64];
		snprintf(text, sizeof text, "<|reserved_special_token_%d|>", i - 9);
		r->token[r->n + i] = must(strdup(i < n_name ? names[i] : text));
		r->type[r->n + i] = 3;
	}
}

struct mkfile *
ranks_read(const char *path)
{
	struct mkfile *out = NULL;
	struct ranks *r = must(calloc(1, sizeof *r));
	FILE *f = fopen(path, "r");
	if (f == NULL || !tokens_read(r, f)) {
		fprintf(stderr, "%s: missing, or no rank file\n", path);
		goto out;
	}
	merges_make(r);
	controls_add(r);
	out = mkfile_new();
	mkfile_str(out, "general.architecture", "llama");
	mkfile_str(out, "tokenizer.ggml.model", "gpt2");
	mkfile_str(out, "tokenizer.ggml.pre", "llama-bpe");
	mkfile_strs(out, "tokenizer.ggml.tokens", r->token, (size_t)r->n + N_CONTROL);
	mkfile_i32s(out, "tokenizer.ggml.token_type", r->type, (size_t)r->n + N_CONTROL);
	mkfile_strs(out, "tokenizer.ggml.merges", r->merge, r->n_merge);
	mkfile_u32(out, "tokenizer.ggml.bos_token_id", (uint32_t)r->n);
	mkfile_u32(out, "tokenizer.ggml.eos_token_id", (uint32_t)r->n + 9);
out:
	for (int i = 0; i < MAX_TOKENS; i++) {
		free(r->token[i]);
		free(r->raw[i]);
	}
	for (size_t i = 0; i < r->n_merge; i++)
		free(r->merge[i]);
	free(r);
	if (f != NULL)
		fclose(f);
	return out;
}
