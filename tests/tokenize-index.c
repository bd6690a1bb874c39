/*
 * SPDX-License-Identifier: ISC
 *
 * The index of a vocabulary: what it opens is the vocabulary that was read, and a file that is
 * damaged, cut, of another vocabulary, or made by an enemy opens nothing or harms nothing.
 */
#define _XOPEN_SOURCE 700
#include "libcore/hash.h"
#include "tests/ranks.h"
#include "tests/tap.h"
#include "tests/vocab.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const merges[] = {
    "a b", "ab c", "\xC4\xA0 a", "\xC4\xA0 ab", "b c", "\xC4\xA0\x61 bc"};
static const char *const pieces[] = {"\xE2\x96\x81", "a", "b", "\342\226\201a", "ab", "  "};
static const float scores[] = {-9, -8, -7, -1, -2, -3};

static char path[256];

/* The bytes of a file. */
struct image {
	unsigned char *bytes;
	size_t n;
};

static struct image
image_read(void)
{
	FILE *f = fopen(path, "rb");
	struct image image = {malloc(1 << 24), 0};
	if (f == NULL || image.bytes == NULL)
		exit(71);
	image.n = fread(image.bytes, 1, 1 << 24, f);
	fclose(f);
	return image;
}

/* The first n bytes of the file, which keeps what it had beyond; then cut to n_file. */
static void
image_write(const struct image *image, size_t n, size_t n_file)
{
	int fd = open(path, O_WRONLY);
	if (fd < 0 || pwrite(fd, image->bytes, n, 0) != (ssize_t)n ||
	    ftruncate(fd, (off_t)n_file) < 0 || close(fd) < 0)
		exit(74);
}

/* One byte of the file. */
static void
byte_write(size_t at, unsigned char byte)
{
	int fd = open(path, O_WRONLY);
	if (fd < 0 || pwrite(fd, &byte, 1, (off_t)at) != 1 || close(fd) < 0)
		exit(74);
}

static bool
same_ids(const struct llm_tokenizer *a, const struct llm_tokenizer *b)
{
	static const char *const texts[] = {
	    "abc abab c a  b\n", "<|x|>a<s>b", " \xC3\xA9\xFF", "aaaaabcbcbabcabcabc"};
	bool same = llm_tokenizer_n_vocab(a) == llm_tokenizer_n_vocab(b) &&
		    llm_tokenizer_eos(a) == llm_tokenizer_eos(b) &&
		    llm_tokenizer_bos(a) == llm_tokenizer_bos(b);
	for (int i = 0; i < 8; i++) {
		struct llm_ids x = {0}, y = {0};
		unsigned flags = LLM_TOKENIZE_REPLACE | (i < 4 ? 0 : LLM_TOKENIZE_SPECIAL);
		size_t n = strlen(texts[i % 4]);
		int p = llm_tokenizer_encode(&x, a, texts[i % 4], n, flags, NULL);
		int q = llm_tokenizer_encode(&y, b, texts[i % 4], n, flags, NULL);
		same &= p == q && x.n == y.n &&
			(x.n == 0 || memcmp(x.v, y.v, x.n * sizeof *x.v) == 0);
		llm_ids_free(&x);
		llm_ids_free(&y);
	}
	for (llm_token id = 0; same && id < llm_tokenizer_n_vocab(a); id++) {
		struct llm_gguf_str x, y;
		same = llm_tokenizer_piece(&x, a, id) && llm_tokenizer_piece(&y, b, id) &&
		       x.n == y.n && memcmp(x.s, y.s, x.n) == 0 &&
		       llm_tokenizer_is_control(a, id) == llm_tokenizer_is_control(b, id) &&
		       llm_tokenizer_is_end(a, id) == llm_tokenizer_is_end(b, id);
	}
	return same;
}

/* 1: opens to the same; 0: opens nothing; -1: wrong. */
static int
opens(const struct vocab_open *v)
{
	struct llm_tokenizer *t = NULL;
	int rc = llm_tokenizer_open_index(&t, v->gguf, path, NULL);
	if (rc == 0)
		return t == NULL ? 0 : -1;
	bool good = rc == 1 && llm_tokenizer_indexed(t) != NULL && same_ids(v->tokenizer, t);
	llm_tokenizer_close(t);
	return good ? 1 : -1;
}

/* The whole of an index, once each byte is wrong and once each end is lost. */
static void
test_damage(const char *what, const struct vocab_open *v)
{
	struct llm_err err = {0};
	tap_ok(opens(v) == 0, "%s: where there is no index, none is used", what);
	int rc = llm_tokenizer_index(v->tokenizer, path, 0600, &err);
	tap_ok(rc == 0 && opens(v) == 1, "%s: from its index it gives the same ids", what);
	struct image image = image_read();
	int used = 0, wrong = 0;
	for (size_t i = 0; i < image.n; i += i < 1500 ? 1 : 5) {
		byte_write(i, (unsigned char)(image.bytes[i] ^ 1 << i % 8));
		int got = opens(v);
		used += got == 1;
		wrong += got < 0;
		byte_write(i, image.bytes[i]);
	}
	/* What lies between the arrays of the model's file is never looked at. */
	tap_ok(wrong == 0 && used < 4 * 64,
	    "%s: no byte of the %zu may change but of the padding (%d may, %d give other ids)",
	    what, image.n, used, wrong);
	wrong = 0;
	for (size_t n = image.n - 1; n > 0; n -= n < 61 ? n : 61) {
		image_write(&image, 0, n);
		wrong += opens(v) != 0;
	}
	image_write(&image, image.n, image.n + 1);
	wrong += opens(v) != 0;
	tap_ok(wrong == 0, "%s: an index that is cut or too long is none", what);
	image_write(&image, image.n, image.n);
	free(image.bytes);
}

static size_t
aligned(uint64_t n)
{
	return (size_t)(n + 63) / 64 * 64;
}

/* Gives a changed index the checksum that it would have; where its tables begin is that of a good one. */
static void
seal(struct image *image, const struct image *good)
{
	uint32_t n_head;
	uint64_t n_source[3];
	memcpy(&n_head, good->bytes + 16, sizeof n_head);
	memcpy(n_source, good->bytes + 40, sizeof n_source);
	size_t tables = aligned(n_head);
	for (int i = 0; i < 3; i++)
		tables = aligned(tables + n_source[i]);
	unsigned char *both = malloc(LLM_HASH_BYTES + n_head);
	struct llm_hash sum = llm_hash_of(image->bytes + tables, image->n - tables);
	memset(image->bytes + n_head - LLM_HASH_BYTES, 0, LLM_HASH_BYTES);
	memcpy(both, sum.b, LLM_HASH_BYTES);
	memcpy(both + LLM_HASH_BYTES, image->bytes, n_head);
	sum = llm_hash_of(both, LLM_HASH_BYTES + n_head);
	memcpy(image->bytes + n_head - LLM_HASH_BYTES, sum.b, LLM_HASH_BYTES);
	free(both);
}

/* Indexes whose checksums are right and whose tables are not: memory is safe, whatever the ids. */
static void
test_enemy(const char *what, const struct vocab_open *v)
{
	struct image good = image_read(), bad = {malloc(good.n), good.n};
	int used = 0, refused = 0;
	memcpy(bad.bytes, good.bytes, good.n);
	seal(&bad, &good);
	tap_ok(
	    memcmp(bad.bytes, good.bytes, good.n) == 0, "%s: a sealed index is sealed", what);
	srand(5);
	for (int round = 0; round < 1500; round++) {
		memcpy(bad.bytes, good.bytes, good.n);
		for (int n = 1 + rand() % 8; n > 0; n--) {
			/* Most of what is there is free slots. */
			size_t at = (size_t)rand() % good.n;
			for (int try = 0; try < 20 && bad.bytes[at] == 0; try++)
				at = (size_t)rand() % good.n;
			bad.bytes[at] =
			    (unsigned char)(rand() % 3 ? rand() : 0xFF * (rand() % 2));
		}
		seal(&bad, &good);
		image_write(&bad, bad.n, bad.n);
		int got = opens(v);
		used += got != 0;
		refused += got == 0;
	}
	tap_ok(used > 0 && refused > 0,
	    "%s: one that an enemy made harms nothing (%d used, %d refused)", what, used,
	    refused);
	image_write(&good, good.n, good.n);
	free(good.bytes);
	free(bad.bytes);
}

/* Another vocabulary than the index is of. */
static void
test_stale(void)
{
	struct vocab_open v;
	struct mkfile *f = vocab_bpe("llama-bpe", merges, 5);
	tap_ok(vocab_open(&v, f, NULL) == 0 && opens(&v) == 0,
	    "an index is of its vocabulary and of no longer one");
	vocab_close(&v);
	mkfile_free(f);
	f = vocab_bpe("llama-bpe", merges, 6);
	mkfile_u32(f, "tokenizer.ggml.eos_token_id", 7);
	tap_ok(vocab_open(&v, f, NULL) == 0 && opens(&v) == 0,
	    "nor of one with another end token");
	mkfile_unset(f, "tokenizer.ggml.eos_token_id");
	vocab_close(&v);
	mkfile_bool(f, "tokenizer.ggml.add_bos_token", false);
	tap_ok(vocab_open(&v, f, NULL) == 0 && opens(&v) == 1,
	    "what no table is made of may differ");
	vocab_close(&v);
	mkfile_str(f, "tokenizer.ggml.pre", "qwen2");
	struct llm_tokenizer *t = NULL;
	struct llm_err err = {0};
	tap_ok(vocab_open(&v, f, NULL) == LLM_EUNSUPPORTED &&
		   llm_tokenizer_open_index(&t, v.gguf, path, &err) == LLM_EUNSUPPORTED,
	    "what is refused without an index is refused with one");
	vocab_close(&v);
	mkfile_free(f);
}

/* Four that write at once, while the index is used. */
static void
test_together(const struct vocab_open *v)
{
	int wrong = 0, status;
	for (int i = 0; i < 4; i++)
		if (fork() == 0) {
			int failed = 0;
			for (int k = 0; k < 50; k++)
				failed |=
				    llm_tokenizer_index(v->tokenizer, path, 0600, NULL) < 0;
			_exit(failed);
		}
	for (int k = 0; k < 200; k++)
		wrong += opens(v) != 1;
	while (wait(&status) > 0)
		wrong += status != 0;
	tap_ok(wrong == 0, "four may write it at once while it is used");
}

static void
test_place(const struct vocab_open *v)
{
	struct llm_err err = {0};
	char nowhere[300];
	chmod(path, 0666);
	tap_ok(opens(v) == 0, "an index that others may write to is none");
	chmod(path, 0644);
	tap_ok(opens(v) == 1, "one that others may read is");
	snprintf(nowhere, sizeof nowhere, "%s/x/y", path);
	tap_ok(llm_tokenizer_index(v->tokenizer, nowhere, 0600, &err) == LLM_EIO &&
		   strstr(err.msg, "Not a directory") != NULL,
	    "where none can be written, that is said");
	struct llm_hash a, b;
	tap_ok(llm_tokenizer_index_name(&a, v->gguf) && llm_tokenizer_index_name(&b, v->gguf) &&
		   llm_hash_equal(&a, &b),
	    "a vocabulary has a name");
}

/* The published vocabulary, on real text. */
static void
test_llama3(void)
{
	static const char name[] = "the index of the Llama 3 vocabulary gives the same ids";
	const char *folder = getenv("LLM_TEST_SHARED");
	char ranks[512];
	struct vocab_open v;
	snprintf(ranks, sizeof ranks, "%s/llama3/tokenizer.model",
	    folder != NULL && *folder != '\0' ? folder : "../shared/data");
	struct mkfile *f = access(ranks, R_OK) == 0 ? ranks_read(ranks) : NULL;
	if (f == NULL) {
		tap_skip(name, "no shared data");
		return;
	}
	tap_ok(vocab_open(&v, f, NULL) == 0 &&
		   llm_tokenizer_index(v.tokenizer, path, 0600, NULL) == 0 && opens(&v) == 1,
	    name);
	vocab_close(&v);
	mkfile_free(f);
}

int
main(void)
{
	struct vocab_open v;
	const char *folder = getenv("TMPDIR");
	snprintf(path, sizeof path, "%s/index-%ld", folder == NULL ? "/tmp" : folder,
	    (long)getpid());
	struct mkfile *f = vocab_spm(pieces, scores, 5);
	if (vocab_open(&v, f, NULL) < 0)
		return 1;
	test_damage("SentencePiece", &v);
	test_enemy("SentencePiece", &v);
	vocab_close(&v);
	mkfile_free(f);
	unlink(path);
	f = vocab_bpe("llama-bpe", merges, 6);
	if (vocab_open(&v, f, NULL) < 0)
		return 1;
	test_damage("byte-level BPE", &v);
	test_enemy("byte-level BPE", &v);
	test_stale();
	test_together(&v);
	test_place(&v);
	vocab_close(&v);
	mkfile_free(f);
	test_llama3();
	unlink(path);
	return tap_done();
}
