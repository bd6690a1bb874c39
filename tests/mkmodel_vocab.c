/*
 * SPDX-License-Identifier: ISC
 *
 * Vocabularies of made models: the bytes, control tokens as the templates name them, some English
 * pieces, and then all short words, until the wanted number is reached.
 */
#include "tests/mkmodel.h"

#include <stdlib.h>
#include <string.h>

enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, UNUSED = 5, BYTE = 6 }; /* token_type */

struct vocab {
	char **token, **merge;
	int32_t *type;
	float *score;
	size_t n, n_merge, cap;
};

static void *
must(void *p)
{
	if (p == NULL) {
		perror("mkmodel");
		exit(71);
	}
	return p;
}

/* Adds a token unless the vocabulary is full. */
static bool
add(struct vocab *v, const char *text, int type)
{
	if (v->n == v->cap)
		return false;
	v->token[v->n] = must(strdup(text));
	v->type[v->n] = type;
	v->score[v->n] = type == NORMAL ? -(float)v->n : 0;
	v->n++;
	return true;
}

/* Adds a token and the merge of its halves that makes it. */
static bool
add_merge(struct vocab *v, const char *left, const char *right)
{
	char text[128];
	snprintf(text, sizeof text, "%s%s", left, right);
	if (!add(v, text, NORMAL))
		return false;
	snprintf(text, sizeof text, "%s %s", left, right);
	v->merge[v->n_merge++] = must(strdup(text));
	return true;
}

static void
utf8(char out[5], unsigned c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		out[1] = '\0';
	} else {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 63));
		out[2] = '\0';
	}
}

/* The byte alphabet of GPT-2: printable bytes stand for themselves, others from U+0100 on. */
static void
add_bytes(struct vocab *v)
{
	char text[5];
	for (unsigned b = 0, next = 0x100; b < 256; b++) {
		bool plain = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
		utf8(text, plain ? b : next);
		next += !plain;
		add(v, text, NORMAL);
	}
}

/* Pairs that make pieces of English; space is the mark before a word. */
static const char *const pairs[][2] = {{" ", "t"}, {" ", "a"}, {"h", "e"}, {"i", "n"},
    {"r", "e"}, {"o", "n"}, {" t", "he"}, {"e", "r"}, {" ", "s"}, {"a", "t"}, {" ", "w"},
    {" ", "o"}, {"e", "n"}, {" ", "c"}, {"i", "t"}, {"i", "s"}, {"a", "n"}, {"o", "r"},
    {"e", "s"}, {" ", "b"}, {"e", "d"}, {" ", "f"}, {"in", "g"}, {" ", "p"}, {"o", "u"},
    {" a", "n"}, {"a", "l"}, {"a", "r"}, {" t", "o"}, {" ", "m"}, {" o", "f"}, {" ", "in"},
    {" ", "d"}, {" ", "h"}, {" an", "d"}, {"i", "c"}, {"a", "s"}, {"l", "e"}, {" t", "h"},
    {"i", "on"}, {"o", "m"}, {"l", "l"}, {" h", "e"}, {" ", "l"}, {" ", "is"}, {" ", "e"},
    {" ", "y"}, {" y", "ou"}, {"o", "t"}, {" ", "n"}, {" ", "g"}, {" s", "t"}, {" ", "re"},
    {"1", "0"}, {" ", " "}, {"  ", "  "}};

/* text with the mark that a kind of vocabulary has for a space. */
static const char *
marked(char out[64], const char *text, const char *mark)
{
	size_t n = 0;
	for (; *text != '\0'; text++) {
		const char *s = *text == ' ' ? mark : (char[]){*text, '\0'};
		size_t len = strlen(s);
		memcpy(out + n, s, len);
		n += len;
	}
	out[n] = '\0';
	return out;
}

static void
add_pairs(struct vocab *v, const char *mark)
{
	char a[64], b[64];
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
		add_merge(v, marked(a, pairs[i][0], mark), marked(b, pairs[i][1], mark));
}

/* Letter pairs, then pairs of those and one letter, then two of those: 475,000 in all. */
static void
add_words(struct vocab *v)
{
	char a[3] = "", b[3] = "";
	for (int len = 2; len <= 4 && v->n < v->cap; len++) {
		int n_left = len == 2 ? 26 : 676, n_right = len < 4 ? 26 : 676;
		for (int i = 0; i < n_left * n_right && v->n < v->cap; i++) {
			int l = i / n_right, r = i % n_right;
			a[0] = (char)('A' + (len == 2 ? l : l / 26));
			a[1] = (char)(len == 2 ? '\0' : 'A' + l % 26);
			b[0] = (char)('A' + (len < 4 ? r : r / 26));
			b[1] = (char)(len < 4 ? '\0' : 'A' + r % 26);
			add_merge(v, a, b);
		}
	}
}

/* Llama 3's control tokens stand after all others. */
static void
add_llama3_controls(struct vocab *v)
{
	static const char *const names[] = {"<|begin_of_text|>", "<|end_of_text|>",
	    "<|reserved_special_token_0|>", "<|reserved_special_token_1|>",
	    "<|finetune_right_pad_id|>", "<|step_id|>", "<|start_header_id|>",
	    "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>", "<|python_tag|>"};
	char text[64];
	for (size_t i = 0; v->n < v->cap; i++) {
		snprintf(text, sizeof text, "<|reserved_special_token_%zu|>", i - 9);
		add(v, i < sizeof names / sizeof names[0] ? names[i] : text, CONTROL);
	}
}

static void
put_vocab(struct mkfile *f, const struct vocab *v, bool scores)
{
	mkfile_strs(f, "tokenizer.ggml.tokens", v->token, v->n);
	if (scores)
		mkfile_f32s(f, "tokenizer.ggml.scores", v->score, v->n);
	mkfile_i32s(f, "tokenizer.ggml.token_type", v->type, v->n);
	if (!scores)
		mkfile_strs(f, "tokenizer.ggml.merges", v->merge, v->n_merge);
}

static void
vocab_gpt2(struct mkfile *f, struct vocab *v)
{
	add(v, "<|endoftext|>", CONTROL);
	add(v, "<|im_start|>", CONTROL);
	add(v, "<|im_end|>", CONTROL);
	add_bytes(v);
	add_pairs(v, "\xc4\xa0");
	add_words(v);
	mkfile_str(f, "tokenizer.ggml.model", "gpt2");
	mkfile_str(f, "tokenizer.ggml.pre", "smollm");
	put_vocab(f, v, false);
	mkfile_u32(f, "tokenizer.ggml.bos_token_id", 1);
	mkfile_u32(f, "tokenizer.ggml.eos_token_id", 2);
	mkfile_u32(f, "tokenizer.ggml.unknown_token_id", 0);
	mkfile_u32(f, "tokenizer.ggml.padding_token_id", 2);
	mkfile_bool(f, "tokenizer.ggml.add_bos_token", false);
}

static void
vocab_llama3(struct mkfile *f, struct vocab *v)
{
	/* 256 reserved, or as many as a small vocabulary has room for. */
	size_t n_control = v->cap >= 1024 ? 256 : 16, cap = v->cap;
	v->cap = cap > n_control ? cap - n_control : cap;
	add_bytes(v);
	add_pairs(v, "\xc4\xa0");
	add_words(v);
	uint32_t first = (uint32_t)v->n;
	v->cap = cap;
	add_llama3_controls(v);
	mkfile_str(f, "tokenizer.ggml.model", "gpt2");
	mkfile_str(f, "tokenizer.ggml.pre", "llama-bpe");
	put_vocab(f, v, false);
	mkfile_u32(f, "tokenizer.ggml.bos_token_id", first);
	mkfile_u32(f, "tokenizer.ggml.eos_token_id", first + 9);
}

static void
vocab_spm(struct mkfile *f, struct vocab *v)
{
	static const char space[] = "\xe2\x96\x81";
	char text[8];
	add(v, "<unk>", UNKNOWN);
	add(v, "<s>", CONTROL);
	add(v, "</s>", CONTROL);
	for (unsigned b = 0; b < 256; b++) {
		snprintf(text, sizeof text, "<0x%02X>", b);
		add(v, text, BYTE);
	}
	add_pairs(v, space);
	add_words(v);
	/* Single characters have the lowest scores; room for them is made at the end. */
	size_t n_single = 95 + 1;
	for (size_t i = 0; i < n_single && v->n > n_single + 259; i++) {
		size_t at = v->n - n_single + i;
		free(v->token[at]);
		text[0] = (char)(' ' + i);
		text[1] = '\0';
		v->token[at] = must(strdup(i == 0 || i == 95 ? space : text));
	}
	free(v->token[v->n - 1]);
	v->token[v->n - 1] = must(strdup("\xc3\xa9"));
	mkfile_str(f, "tokenizer.ggml.model", "llama");
	mkfile_str(f, "tokenizer.ggml.pre", "default");
	put_vocab(f, v, true);
	mkfile_u32(f, "tokenizer.ggml.bos_token_id", 1);
	mkfile_u32(f, "tokenizer.ggml.eos_token_id", 2);
	mkfile_u32(f, "tokenizer.ggml.unknown_token_id", 0);
	mkfile_bool(f, "tokenizer.ggml.add_bos_token", true);
	mkfile_bool(f, "tokenizer.ggml.add_eos_token", false);
}

/* All keys of another file's tokenizer. */
static bool
vocab_copy(struct mkfile *f, const struct mkmodel *m)
{
	struct llm_gguf *g;
	struct llm_err err;
	if (llm_gguf_open(&g, m->vocab, &err) < 0) {
		fprintf(stderr, "mkmodel: %s\n", err.msg);
		return false;
	}
	const struct llm_gguf_key *tokens = llm_gguf_key(g, "tokenizer.ggml.tokens");
	bool good = tokens != NULL && tokens->n_item == (uint64_t)m->n_vocab;
	if (!good)
		fprintf(
		    stderr, "mkmodel: %s: no vocabulary of %d tokens\n", m->vocab, m->n_vocab);
	for (size_t i = 0; good && i < llm_gguf_n_key(g); i++) {
		const struct llm_gguf_key *k = llm_gguf_key_at(g, i);
		if (k->name.n > 10 && memcmp(k->name.s, "tokenizer.", 10) == 0)
			mkfile_copy(f, k);
	}
	llm_gguf_close(g);
	return good;
}

static const char chatml[] =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + "
    "message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\\n' }}{% endif %}";

bool
mkmodel_vocab(struct mkfile *f, const struct mkmodel *m)
{
	static const struct {
		const char *name;
		void (*make)(struct mkfile *f, struct vocab *v);
		const char *chat_template;
		int least; /* tokens */
	} kinds[] = {{"gpt2", vocab_gpt2, chatml, 320}, {"llama3", vocab_llama3, NULL, 336},
	    {"spm", vocab_spm, NULL, 420}};
	const char *chat_template = m->chat_template;
	size_t i = 0, cap = (size_t)m->n_vocab;
	if (strchr(m->vocab, '/') != NULL && !vocab_copy(f, m))
		return false;
	while (i < 3 && strcmp(kinds[i].name, m->vocab) != 0)
		i++;
	if (i == 3 && strchr(m->vocab, '/') == NULL && strcmp(m->vocab, "none") != 0) {
		fprintf(stderr, "mkmodel: unknown vocabulary: %s\n", m->vocab);
		return false;
	}
	if (i < 3) {
		if (m->n_vocab < kinds[i].least || m->n_vocab > 400000) {
			fprintf(stderr,
			    "mkmodel: a vocabulary of %d tokens: expected %d to 400000\n",
			    m->n_vocab, kinds[i].least);
			return false;
		}
		struct vocab v = {.cap = cap};
		v.token = must(calloc(cap, sizeof *v.token));
		v.merge = must(calloc(cap, sizeof *v.merge));
		v.type = must(calloc(cap, sizeof *v.type));
		v.score = must(calloc(cap, sizeof *v.score));
		kinds[i].make(f, &v);
		for (size_t j = 0; j < v.n; j++)
			free(v.token[j]);
		for (size_t j = 0; j < v.n_merge; j++)
			free(v.merge[j]);
		free(v.token);
		free(v.merge);
		free(v.type);
		free(v.score);
		if (chat_template == NULL)
			chat_template = kinds[i].chat_template;
	}
	if (chat_template != NULL)
		mkfile_str(f, "tokenizer.chat_template", chat_template);
	return true;
}
