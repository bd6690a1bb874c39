/*
 * SPDX-License-Identifier: ISC
 *
 * The GGUF reader on every broken file, every prefix of a header, random bytes changed, and files made to
 * be slow or large.  What is refused costs little.
 */
#include "libcore/gguf.h"

#include "libcore/model.h"
#include "tests/folder.h"
#include "tests/mkmodel_broken.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
enum { LIMIT_MS = 2000, LIMIT_KIB = 1 << 20 };
#else
enum { LIMIT_MS = 100, LIMIT_KIB = 128 << 10 };
#endif

static double
now_ms(void)
{
	struct timespec t;
	/* The processor's time: others may keep it busy. */
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static long
peak_kib(void)
{
	struct rusage r;
	getrusage(RUSAGE_SELF, &r);
	return r.ru_maxrss;
}

static void
test_broken(void)
{
	double slowest = 0;
	bool messages = true;
	int n = 0;
	for (int i = 0; mkbroken_at(i) != NULL; i++) {
		const struct mkbroken *b = mkbroken_at(i);
		struct llm_err err = {0};
		struct llm_model *m = NULL;
		char *path = mkbroken_write(test_folder, i);
		double start = now_ms();
		int status = llm_model_open(&m, path, &err);
		double took = now_ms() - start;
		if (b->stage <= MKBROKEN_MODEL) {
			bool good = status < 0 && llm_err_status(status) == b->status &&
				    strstr(err.msg, b->reason) != NULL;
			if (!tap_ok(good, "refused: %s", b->name))
				printf("# status %d, expected \"%s\": %s\n",
				    llm_err_status(status), b->reason, err.msg);
			messages &= test_message_good(status, &err);
			n++;
			slowest = took > slowest ? took : slowest;
		}
		llm_model_close(m);
		free(path);
	}
	tap_ok(n >= 60, "%d broken files were refused", n);
	tap_ok(messages, "each with one line");
	tap_ok(slowest < LIMIT_MS, "the slowest refusal took %.1f ms", slowest);
}

/* Whatever the file ends in, it is refused; the last byte alone makes it whole. */
static void
test_prefixes(void)
{
	struct mkfile *f = mkbroken_base();
	struct mkfile_image m;
	const char *path = test_folder_path("prefix.gguf");
	int opened = 0;
	bool messages = true;
	mkfile_image(&m, f, true);
	size_t header = mkfile_at(&m, "data");
	test_folder_write(path, m.bytes, header + 100);
	for (size_t n = header + 100; n-- > 0;) {
		struct llm_gguf *g = NULL;
		struct llm_err err;
		if (truncate(path, (off_t)n) < 0)
			break;
		int status = llm_gguf_open(&g, path, &err);
		opened += status == 0;
		messages &= test_message_good(status, &err);
		llm_gguf_close(g);
	}
	tap_ok(opened == 0 && messages, "each of %zu prefixes of a file is refused in one line",
	    header + 100);
	mkfile_image_free(&m);
	mkfile_free(f);
}

/*
 * The same with each field in turn at the end of a page, behind which nothing is mapped: a reader that
 * looks one byte too far dies.  The first key's string is made longer to move them.
 */
static void
test_page_ends(void)
{
	struct mkfile *f = mkbroken_base();
	struct mkfile_image m;
	const char *path = test_folder_path("page.gguf");
	static unsigned char moved[64 << 10];
	int opened = 0, n = 0;
	mkfile_set_text(f, "t.strs", "[string]:a string that is long enough,b,c");
	mkfile_image(&m, f, false);
	size_t string = mkfile_at(&m, "value general.architecture"), page = 4096;
	/* In the length of its second string. */
	m.mark[m.n_mark - 1].at = mkfile_at(&m, "value t.strs") + 12 + 8 + 26;
	for (size_t i = 0; i < m.n_mark; i++)
		for (size_t inside = 0; inside < 12; inside += 3) {
			size_t cut = m.mark[i].at + inside;
			size_t pad = (page - cut % page) % page, length = 5 + pad;
			if (cut < string + 13 || cut + pad > sizeof moved || cut > m.n)
				continue;
			memcpy(moved, m.bytes, string);
			memset(moved + string, 0, 8);
			moved[string] = (unsigned char)length;
			moved[string + 1] = (unsigned char)(length >> 8);
			memset(moved + string + 8, 'x', length);
			memcpy(moved + string + 8 + length, m.bytes + string + 13,
			    cut - string - 13);
			test_folder_write(path, moved, cut + pad);
			struct llm_gguf *g = NULL;
			struct llm_err err;
			opened += llm_gguf_open(&g, path, &err) == 0;
			llm_gguf_close(g);
			unlink(path);
			n++;
		}
	tap_ok(opened == 0 && n > 500,
	    "a file that ends with a page is read no further, %d times", n);
	mkfile_image_free(&m);
	mkfile_free(f);
}

/* Random bytes of the header changed: some still open, none does harm (this is for the sanitizers). */
static void
test_random(void)
{
	struct mkfile *f = mkbroken_base();
	struct mkfile_image m;
	struct mkfile_random r;
	const char *path = test_folder_path("random.gguf");
	int opened = 0, refused = 0;
	bool messages = true, wrote = true;
	mkfile_unset(f, "tokenizer.ggml.tokens");
	mkfile_unset(f, "tokenizer.ggml.merges");
	mkfile_unset(f, "tokenizer.ggml.token_type");
	mkfile_image(&m, f, true);
	mkfile_random_seed(&r, 1, "random");
	size_t header = mkfile_at(&m, "data");
	test_folder_write(path, m.bytes, m.n);
	int fd = open(path, O_WRONLY);
	for (int i = 0; i < 3000; i++) {
		int n = 1 + i % 4;
		size_t at[4];
		for (int k = 0; k < n; k++) {
			uint64_t v = mkfile_random_next(&r);
			/* Small and extreme values are what lengths break at. */
			unsigned char c = v >> 63       ? (unsigned char)(v >> 40)
					  : v >> 62 & 1 ? 0xff
							: 0;
			at[k] = v % header;
			wrote &= pwrite(fd, &c, 1, (off_t)at[k]) == 1;
		}
		struct llm_model *model = NULL;
		struct llm_err err;
		int status = llm_model_open(&model, path, &err);
		opened += status == 0;
		refused += status < 0;
		messages &= status == 0 || test_message_good(status, &err);
		llm_model_close(model);
		for (int k = 0; k < n; k++)
			wrote &= pwrite(fd, m.bytes + at[k], 1, (off_t)at[k]) == 1;
	}
	close(fd);
	tap_ok(wrote && opened > 0 && refused > 0 && messages,
	    "of 3000 files with up to four bytes changed %d open and %d are refused in one "
	    "line",
	    opened, refused);
	mkfile_image_free(&m);
	mkfile_free(f);
}

/* Opens path, which must be refused, and says what it cost. */
static void
costs(const char *what, const char *path, const char *reason)
{
	struct llm_gguf *g = NULL;
	struct llm_err err = {0};
	double start = now_ms();
	int status = llm_gguf_open(&g, path, &err);
	double took = now_ms() - start;
	if (!tap_ok(status < 0 && strstr(err.msg, reason) != NULL, "refused: %s", what))
		printf("# %s\n", status < 0 ? err.msg : "opened");
	if (!tap_ok(took < LIMIT_MS, "in %.1f ms", took))
		printf("# expected at most %d ms\n", LIMIT_MS);
	llm_gguf_close(g);
	unlink(path);
}

/* The costliest files there can be: as many entries as are read, the last of them wrong. */
static void
test_cost(void)
{
	struct mkfile *f = mkbroken_base();
	struct mkfile_image m;
	const char *path = test_folder_path("cost.gguf");
	char name[64];
	/* A gigabyte of empty strings, without a block on the disk. */
	mkfile_image(&m, f, true);
	size_t at = mkfile_at(&m, "value tokenizer.ggml.tokens");
	memcpy(m.bytes + at + 4, (unsigned char[]){0, 0, 0x0f, 0}, 4); /* of 8 bytes: 8 MiB */
	test_folder_write(path, m.bytes, at + 12);
	if (truncate(path, 1 << 30) == 0)
		costs("a million empty strings, then no key", path, "its name has 0 bytes");
	memcpy(m.bytes + at + 4, (unsigned char[]){0, 0, 0x2c, 0}, 4);
	test_folder_write(path, m.bytes, at + 12);
	if (truncate(path, 1 << 30) == 0)
		costs("2.9 million of them", path, "more than the 1048576 that are read");
	m.bytes[at + 4 + 3] = 1;
	at = mkfile_at(&m, "value general.architecture");
	memcpy(m.bytes + at, (unsigned char[]){0, 0, 0, 2}, 4); /* 32 MiB */
	test_folder_write(path, m.bytes, at + 8);
	if (truncate(path, 1 << 30) == 0)
		costs("a string of 32 MiB", path, "more than 24 MiB");
	memcpy(m.bytes + mkfile_at(&m, "n_key"), (unsigned char[]){1, 64}, 2); /* 16385 */
	test_folder_write(path, m.bytes, at);
	if (truncate(path, 1 << 30) == 0)
		costs("16,385 keys", path, "more than the 16384 that are read");
	mkfile_image_free(&m);
	mkfile_free(f);

	f = mkfile_new();
	for (int i = 0; i < 16384; i++) {
		snprintf(name, sizeof name, "blk.%d.attn_q.weight", i < 16383 ? i : 0);
		mkfile_add(f, name, LLM_DTYPE_F32, 8, 0);
	}
	mkfile_write(f, path, 1);
	costs("16,384 tensors, the last one twice", path, "stands twice");
	mkfile_free(f);

	f = mkfile_new();
	f->key = calloc(16384, sizeof *f->key);
	for (int i = 0; f->key != NULL && i < 16384; i++) {
		snprintf(
		    name, sizeof name, "some.long.prefix.of.a.key.%06d", i < 16383 ? i : 0);
		f->key[i] = (struct mkfile_key){strdup(name), LLM_GGUF_U8, calloc(1, 1), 1};
		f->n_key++;
	}
	mkfile_write(f, path, 1);
	costs("16,384 keys, the last one twice", path, "stands twice");
	mkfile_free(f);
	long peak = peak_kib();
	tap_ok(peak < LIMIT_KIB, "and all of this took %ld MiB at its peak", peak >> 10);
}

/* Two parts, of which the first leaves ten bytes of what headers may take together. */
static void
test_budget(void)
{
	struct mkfile *f = mkfile_new();
	struct mkfile_image m;
	size_t n = 24 << 20;
	char *text = calloc(1, n + 1);
	f->alignment = 1;
	mkfile_int(f, "split.no", LLM_GGUF_U16, 1);
	mkfile_int(f, "split.count", LLM_GGUF_U16, 2);
	mkfile_write(f, test_folder_path("budget-00002-of-00002.gguf"), 1);
	mkfile_int(f, "split.no", LLM_GGUF_U16, 0);
	mkfile_str(f, "text", "");
	mkfile_image(&m, f, false);
	memset(text, 'x', n - 10 - m.n);
	mkfile_str(f, "text", text);
	const char *path = test_folder_path("budget-00001-of-00002.gguf");
	mkfile_write(f, path, 1);
	costs("a set whose first part takes all that headers may", path, "more than 24 MiB");
	mkfile_image_free(&m);
	mkfile_free(f);
	free(text);
}

/* Where the address space is full, that is said. */
static void
test_no_room(void)
{
#if !defined(__SANITIZE_ADDRESS__)
	struct rlimit was, small;
	struct llm_gguf *g = NULL;
	struct llm_err err = {0};
	const char *path = test_folder_path("large.gguf");
	test_folder_write(path, "GGUF", 4);
	if (truncate(path, 1 << 30) < 0 || getrlimit(RLIMIT_AS, &was) < 0)
		return;
	small = was;
	small.rlim_cur = 256 << 20;
	setrlimit(RLIMIT_AS, &small);
	int status = llm_gguf_open(&g, path, &err);
	setrlimit(RLIMIT_AS, &was);
	tap_ok(status == LLM_ENOMEM && strstr(err.msg, "1073741824 bytes") != NULL,
	    "a file that does not fit the address space is out of memory");
	unlink(path);
#endif
}

/* A vocabulary as large as Llama 3's is walked at once. */
static void
test_vocabulary(void)
{
	enum { N_TOKEN = 128256, N_MERGE = 280147 };
	struct mkfile *f = mkfile_new();
	struct llm_gguf *g = NULL;
	struct llm_err err;
	char **item = calloc(N_MERGE, sizeof *item), word[] = "some word";
	double best = 1e9;
	const char *path = test_folder_path("vocabulary.gguf");
	for (int i = 0; i < N_MERGE; i++)
		item[i] = word;
	mkfile_strs(f, "tokenizer.ggml.tokens", item, N_TOKEN);
	mkfile_strs(f, "tokenizer.ggml.merges", item, N_MERGE);
	mkfile_write(f, path, 1);
	bool good = true;
	for (int i = 0; i < 5; i++) {
		double start = now_ms();
		good &= llm_gguf_open(&g, path, &err) == 0;
		double took = now_ms() - start;
		best = took < best ? took : best;
		llm_gguf_close(g);
	}
	tap_ok(good && best < LIMIT_MS / 5.0,
	    "a file of 128,256 tokens and 280,147 merges opens in %.1f ms", best);
	free(item);
	mkfile_free(f);
}

int
main(void)
{
	test_folder_new();
	test_prefixes();
	test_page_ends();
	test_random();
	test_vocabulary();
	test_broken();
	/* Makers need memory too: what the reader needs is measured in llm-info's own process. */
	test_cost();
	test_budget();
	test_no_room();
	return test_folder_remove() ? tap_done() : 1;
}
