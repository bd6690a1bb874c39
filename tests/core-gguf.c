/*
 * SPDX-License-Identifier: ISC
 *
 * The GGUF reader: good files of both versions, whole and split; then every broken one, every prefix of
 * a header, random bytes changed, and files made to be slow.  What is refused costs little.
 */
#include "libcore/gguf.h"

#include "libcore/model.h"
#include "tests/mkmodel_broken.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
enum { LIMIT_MS = 2000, LIMIT_KIB = 1 << 20 };
#else
enum { LIMIT_MS = 100, LIMIT_KIB = 128 << 10 };
#endif

static char folder[] = "/tmp/llm-core-gguf.XXXXXX";

static char *
in_folder(const char *name)
{
	static char path[4][128];
	static int i;
	i = (i + 1) % 4;
	snprintf(path[i], sizeof path[i], "%s/%s", folder, name);
	return path[i];
}

static double
now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
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
write_bytes(const char *path, const void *bytes, size_t n)
{
	FILE *out = fopen(path, "wb");
	if (out == NULL || fwrite(bytes, 1, n, out) != n || fclose(out) != 0) {
		perror(path);
		exit(1);
	}
}

/* A refusal is one short line, with a code. */
static bool
message_good(int status, const struct llm_err *err)
{
	return status < 0 && err->code == status && err->msg[0] != '\0' &&
	       strlen(err->msg) < sizeof err->msg && strchr(err->msg, '\n') == NULL &&
	       strchr(err->msg, '\033') == NULL;
}

static bool
str_is(struct llm_gguf_str s, const char *text)
{
	return s.n == strlen(text) && memcmp(s.s, text, s.n) == 0;
}

/* Keys of every type, as a file and back. */
static void
test_values(void)
{
	struct mkfile *f = mkbroken_base();
	struct llm_gguf *g = NULL;
	struct llm_err err;
	uint32_t u = 7;
	float x = 0;
	bool b = false;
	struct llm_gguf_str s = {0};
	const struct llm_gguf_key *k = NULL;
	const char *path = in_folder("values.gguf");
	mkfile_set_text(f, "t.u8", "u8:255");
	mkfile_set_text(f, "t.i8", "i8:-128");
	mkfile_set_text(f, "t.i16", "i16:-2");
	mkfile_set_text(f, "t.u64", "u64:18446744073709551615");
	mkfile_set_text(f, "t.i64", "i64:4294967295");
	mkfile_set_text(f, "t.f64", "f64:0.1");
	mkfile_set_text(f, "t.true", "bool:true");
	mkfile_set_text(f, "t.str", "string:a b");
	mkfile_set_text(f, "t.empty", "string:");
	mkfile_set_text(f, "t.none", "[i32]:");
	mkfile_set_text(f, "t.strs", "[string]:x,,yz");
	mkfile_set_text(f, "t.i32s", "[i32]:-1,2");
	mkfile_write(f, path, 1);
	if (!tap_ok(llm_gguf_open(&g, path, &err) == 0, "a file with keys of every type opens"))
		printf("# %s\n", err.msg);
	if (g == NULL)
		return;
	tap_ok(llm_gguf_u32(&u, g, "t.u8", &err) == 1 && u == 255 &&
		   llm_gguf_u32(&u, g, "t.i64", &err) == 1 && u == UINT32_MAX &&
		   llm_gguf_u32(&u, g, "llama.block_count", &err) == 1 && u == 3,
	    "an integer of any type is read where it fits");
	tap_ok(llm_gguf_u32(&u, g, "t.u64", &err) == LLM_EDATA &&
		   llm_gguf_u32(&u, g, "t.i8", &err) == LLM_EDATA &&
		   strstr(err.msg, "-128") != NULL &&
		   llm_gguf_u32(&u, g, "t.u64", &err) == LLM_EDATA &&
		   strstr(err.msg, "is 18446744073709551615") != NULL && u == 3,
	    "one that does not fit is refused with its value, and nothing is written");
	tap_ok(llm_gguf_u32(&u, g, "t.str", &err) == LLM_EDATA &&
		   llm_gguf_u32(&u, g, "t.true", &err) == LLM_EDATA &&
		   llm_gguf_u32(&u, g, "t.i32s", &err) == LLM_EDATA &&
		   llm_gguf_f32(&x, g, "t.u8", &err) == LLM_EDATA &&
		   llm_gguf_bool(&b, g, "t.u8", &err) == LLM_EDATA &&
		   llm_gguf_str(&s, g, "t.strs", &err) == LLM_EDATA &&
		   llm_gguf_array(&k, g, "t.strs", LLM_GGUF_I32, &err) == LLM_EDATA,
	    "a getter takes its own type alone");
	tap_ok(llm_gguf_u32(&u, g, "absent", &err) == 0 && llm_gguf_str(&s, g, "", &err) == 0 &&
		   llm_gguf_array(&k, g, "t.st", LLM_GGUF_STRING, &err) == 0 && k == NULL,
	    "an absent key is no error");
	tap_ok(llm_gguf_f32(&x, g, "t.f64", &err) == 1 && x == 0.1f &&
		   llm_gguf_bool(&b, g, "t.true", &err) == 1 && b &&
		   llm_gguf_str(&s, g, "t.str", &err) == 1 && str_is(s, "a b") &&
		   llm_gguf_str(&s, g, "t.empty", &err) == 1 && s.n == 0,
	    "floats, bools and strings come back");
	size_t cursor = 0, n = 0, n_bytes = 0;
	if (llm_gguf_array(&k, g, "t.strs", LLM_GGUF_STRING, &err) == 1)
		for (; llm_gguf_next_str(&s, k, &cursor); n++)
			n_bytes += s.n;
	tap_ok(n == 3 && n_bytes == 3, "an array of strings is walked to its end");
	tap_ok(llm_gguf_array(&k, g, "t.none", LLM_GGUF_I32, &err) == 1 && k->n_item == 0 &&
		   llm_gguf_array(&k, g, "t.i32s", LLM_GGUF_I32, &err) == 1 && k->n_item == 2 &&
		   llm_gguf_item_i32(k, 0) == -1 && llm_gguf_item_i32(k, 1) == 2,
	    "arrays of numbers come back, empty ones too");
	llm_gguf_close(g);
	mkfile_free(f);
}

/* Whether g holds just the keys and tensors of f, where they should be. */
static bool
same_file(const struct llm_gguf *g, struct mkfile *f)
{
	bool good = llm_gguf_n_tensor(g) == f->n_tensor;
	for (size_t i = 0; good && i < f->n_tensor; i++) {
		const struct mkfile_tensor *want = &f->tensor[i];
		const struct llm_gguf_tensor *t = llm_gguf_tensor_at(g, i);
		unsigned char bytes[512];
		size_t n = mkfile_tensor_bytes(want), block;
		struct mkfile_random r;
		good &= str_is(t->name, want->name) && t->type == want->type &&
			t->n_dim == want->n_dim && t->n_bytes == n &&
			t->ne[0] == (int64_t)want->ne[0] && t->ne[1] == (int64_t)want->ne[1] &&
			t->ne[2] == 1 && t->ne[3] == 1 && (uintptr_t)t->data % 32 == 0 &&
			llm_gguf_tensor(g, want->name) == t;
		block = (size_t)llm_dtype_info((uint32_t)t->type)->block_bytes;
		n = n < sizeof bytes ? n : sizeof bytes;
		n = n / block * block;
		/* The generator draws all random bytes of a chunk first: compare what does not depend on it. */
		if (block == 4) {
			mkfile_random_seed(&r, f->seed, want->name);
			mkfile_fill(bytes, n, want, &r);
			good &= memcmp(bytes, t->data, n) == 0;
		}
	}
	for (size_t i = 0; good && i < f->n_key; i++) {
		const struct llm_gguf_key *k = llm_gguf_key(g, f->key[i].name);
		good &= k != NULL && (uint32_t)k->type == f->key[i].type &&
			k->n_bytes <= f->key[i].n &&
			memcmp(k->data, f->key[i].value + f->key[i].n - k->n_bytes,
			    k->n_bytes) == 0;
	}
	return good && llm_gguf_key(g, "absent") == NULL && llm_gguf_tensor(g, "blk") == NULL &&
	       llm_gguf_tensor_at(g, f->n_tensor) == NULL;
}

static void
test_good(void)
{
	struct mkfile *f = mkbroken_base();
	struct llm_gguf *g = NULL;
	struct llm_err err;
	const char *path = in_folder("good.gguf"), *one = in_folder("good-00001-of-00001.gguf");
	for (uint32_t version = 2; version <= 3; version++) {
		f->version = version;
		mkfile_write(f, path, 1);
		if (tap_ok(llm_gguf_open(&g, path, &err) == 0, "a file of version %u opens",
			(unsigned)version)) {
			tap_ok(same_file(g, f) && llm_gguf_version(g) == (int)version &&
				   llm_gguf_n_key(g) == f->n_key && llm_gguf_n_part(g) == 1,
			    "and holds what was written");
			const char *p = llm_gguf_tensor_at(g, 0)->data;
			tap_ok(llm_gguf_covers(g, p) == llm_gguf_path(g) &&
				   llm_gguf_covers(g, g) == NULL &&
				   llm_gguf_covers(g, NULL) == NULL,
			    "an address in its mapping belongs to it, others do not");
			llm_gguf_close(g);
		}
	}
	for (uint32_t align = 8; align <= 65536; align *= 16) {
		f->alignment = align;
		mkfile_u32(f, "general.alignment", align);
		mkfile_write(f, path, 1);
		bool good = llm_gguf_open(&g, path, &err) == 0;
		tap_ok(good, "a file of alignment %u opens", (unsigned)align);
		if (good)
			llm_gguf_close(g);
	}
	f->alignment = 32;
	mkfile_unset(f, "general.alignment");
	mkfile_int(f, "split.count", LLM_GGUF_U16, 1);
	mkfile_int(f, "split.no", LLM_GGUF_U16, 0);
	mkfile_write(f, one, 1);
	tap_ok(llm_gguf_open(&g, one, &err) == 0 && llm_gguf_n_part(g) == 1,
	    "a set of one part is a file");
	llm_gguf_close(g);
	mkfile_free(f);
}

static void
test_split(void)
{
	struct mkfile *f = mkbroken_base();
	struct llm_err err;
	char name[64];
	mkfile_write(f, in_folder("set.gguf"), 5);
	for (int i = 1; i <= 5; i += 2) {
		struct llm_gguf *g = NULL;
		snprintf(name, sizeof name, "set-%05d-of-00005.gguf", i);
		int status = llm_gguf_open(&g, in_folder(name), &err);
		if (!tap_ok(status == 0 && llm_gguf_n_part(g) == 5 && same_file(g, f),
			"a set of five parts opens by its part %d", i))
			printf("# %s\n", status < 0 ? err.msg : "wrong content");
		if (status < 0)
			continue;
		const struct llm_gguf_tensor *last = llm_gguf_tensor_at(g, f->n_tensor - 1);
		tap_ok(
		    last->part == 4 && strstr(llm_gguf_part_path(g, 4), "00005-of") != NULL &&
			strcmp(llm_gguf_covers(g, last->data), llm_gguf_part_path(g, 4)) == 0,
		    "and its last tensor stands in the fifth");
		llm_gguf_close(g);
	}
	mkfile_free(f);
}

/* What stands in the way of opening at all. */
static void
test_no_file(void)
{
	struct llm_gguf *g = NULL;
	struct llm_err err;
	char name[3000];
	tap_ok(llm_gguf_open(&g, in_folder("absent.gguf"), &err) == LLM_ENOINPUT &&
		   message_good(LLM_ENOINPUT, &err),
	    "a file that is not there is no input");
	tap_ok(llm_gguf_open(&g, folder, &err) == LLM_ENOINPUT &&
		   strstr(err.msg, "directory") != NULL,
	    "nor is a directory");
	mkfifo(in_folder("fifo"), 0600);
	tap_ok(llm_gguf_open(&g, in_folder("fifo"), &err) == LLM_ENOINPUT,
	    "a FIFO is refused, and not waited for");
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	tap_ok(llm_gguf_open(&g, name, &err) == LLM_ENOINPUT &&
		   strstr(err.msg, "too long") != NULL,
	    "a name that is too long does not push the reason out of the message");
	tap_ok(llm_gguf_open(&g, in_folder("a\nb\033c"), &err) == LLM_ENOINPUT &&
		   message_good(LLM_ENOINPUT, &err),
	    "a name with a newline and an escape stands escaped in it");
	llm_gguf_close(NULL);
}

/* The path comes first in a message; however long it is, the reason follows. */
static void
test_path(void)
{
	struct mkfile *f = mkbroken_base();
	struct llm_model *m = NULL;
	struct llm_err err = {0};
	char path[512], name[128];
	memset(name, 'd', 100);
	snprintf(name + 100, sizeof name - 100, "\n\033");
	snprintf(path, sizeof path, "%s/%s", folder, name);
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/%s/%.100s", folder, name, name);
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/%s/%.100s/e\nf.gguf", folder, name, name);
	mkfile_str(f, "general.architecture", "mamba");
	mkfile_write(f, path, 1);
	int status = llm_model_open(&m, path, &err);
	tap_ok(message_good(status, &err) && strstr(err.msg, "'mamba'") != NULL &&
		   strstr(err.msg, "e\\x0Af.gguf") != NULL,
	    "a long path is cut to its end, and escaped, before the reason");
	mkfile_free(f);
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
		char *path = mkbroken_write(folder, i);
		double start = now_ms();
		int status = llm_model_open(&m, path, &err);
		double took = now_ms() - start;
		if (b->stage <= MKBROKEN_MODEL) {
			bool good = status < 0 && llm_err_status(status) == b->status &&
				    strstr(err.msg, b->reason) != NULL;
			if (!tap_ok(good, "refused: %s", b->name))
				printf("# status %d, expected \"%s\": %s\n",
				    llm_err_status(status), b->reason, err.msg);
			messages &= message_good(status, &err);
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
	const char *path = in_folder("prefix.gguf");
	int opened = 0;
	bool messages = true;
	mkfile_image(&m, f, true);
	size_t header = mkfile_at(&m, "data");
	write_bytes(path, m.bytes, header + 100);
	for (size_t n = header + 100; n-- > 0;) {
		struct llm_gguf *g = NULL;
		struct llm_err err;
		if (truncate(path, (off_t)n) < 0)
			break;
		int status = llm_gguf_open(&g, path, &err);
		opened += status == 0;
		messages &= message_good(status, &err);
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
	const char *path = in_folder("page.gguf");
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
			write_bytes(path, moved, cut + pad);
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
	const char *path = in_folder("random.gguf");
	int opened = 0, refused = 0;
	bool messages = true, wrote = true;
	mkfile_unset(f, "tokenizer.ggml.tokens");
	mkfile_unset(f, "tokenizer.ggml.merges");
	mkfile_unset(f, "tokenizer.ggml.token_type");
	mkfile_image(&m, f, true);
	mkfile_random_seed(&r, 1, "random");
	size_t header = mkfile_at(&m, "data");
	write_bytes(path, m.bytes, m.n);
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
		messages &= status == 0 || message_good(status, &err);
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
	const char *path = in_folder("cost.gguf");
	char name[64];
	/* A gigabyte of empty strings, without a block on the disk. */
	mkfile_image(&m, f, true);
	size_t at = mkfile_at(&m, "value tokenizer.ggml.tokens");
	memcpy(m.bytes + at + 4, (unsigned char[]){0, 0, 0x2c, 0}, 4); /* of 8 bytes: 22 MiB */
	write_bytes(path, m.bytes, at + 12);
	if (truncate(path, 1 << 30) == 0)
		costs("2.9 million empty strings, then no key", path, "its name has 0 bytes");
	m.bytes[at + 4 + 3] = 1;
	at = mkfile_at(&m, "value general.architecture");
	memcpy(m.bytes + at, (unsigned char[]){0, 0, 0, 2}, 4); /* 32 MiB */
	write_bytes(path, m.bytes, at + 8);
	if (truncate(path, 1 << 30) == 0)
		costs("a string of 32 MiB", path, "more than 24 MiB");
	memcpy(m.bytes + mkfile_at(&m, "n_key"), (unsigned char[]){1, 64}, 2); /* 16385 */
	write_bytes(path, m.bytes, at);
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
	mkfile_write(f, in_folder("budget-00002-of-00002.gguf"), 1);
	mkfile_int(f, "split.no", LLM_GGUF_U16, 0);
	mkfile_str(f, "text", "");
	mkfile_image(&m, f, false);
	memset(text, 'x', n - 10 - m.n);
	mkfile_str(f, "text", text);
	const char *path = in_folder("budget-00001-of-00002.gguf");
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
	const char *path = in_folder("large.gguf");
	write_bytes(path, "GGUF", 4);
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
	const char *path = in_folder("vocabulary.gguf");
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
	if (mkdtemp(folder) == NULL) {
		perror(folder);
		return 1;
	}
	test_values();
	test_good();
	test_split();
	test_no_file();
	test_path();
	test_prefixes();
	test_page_ends();
	test_random();
	test_vocabulary();
	test_broken();
	/* Makers need memory too: what the reader needs is measured in llm-info's own process. */
	test_cost();
	test_budget();
	test_no_room();
	char command[64];
	snprintf(command, sizeof command, "rm -rf %s", folder);
	if (system(command) != 0)
		return 1;
	return tap_done();
}
