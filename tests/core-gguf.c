/*
 * SPDX-License-Identifier: ISC
 *
 * The GGUF reader on good files of both versions, whole and split, and on what is no file at all.
 */
#include "libcore/gguf.h"

#include "libcore/model.h"
#include "tests/folder.h"
#include "tests/mkmodel_broken.h"
#include "tests/tap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
	const char *path = test_folder_path("values.gguf");
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
	const char *path = test_folder_path("good.gguf"),
		   *one = test_folder_path("good-00001-of-00001.gguf");
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
	mkfile_write(f, test_folder_path("set.gguf"), 5);
	for (int i = 1; i <= 5; i += 2) {
		struct llm_gguf *g = NULL;
		snprintf(name, sizeof name, "set-%05d-of-00005.gguf", i);
		int status = llm_gguf_open(&g, test_folder_path(name), &err);
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
	tap_ok(llm_gguf_open(&g, test_folder_path("absent.gguf"), &err) == LLM_ENOINPUT &&
		   test_message_good(LLM_ENOINPUT, &err),
	    "a file that is not there is no input");
	tap_ok(llm_gguf_open(&g, test_folder, &err) == LLM_ENOINPUT &&
		   strstr(err.msg, "directory") != NULL,
	    "nor is a directory");
	mkfifo(test_folder_path("fifo"), 0600);
	tap_ok(llm_gguf_open(&g, test_folder_path("fifo"), &err) == LLM_ENOINPUT,
	    "a FIFO is refused, and not waited for");
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	tap_ok(llm_gguf_open(&g, name, &err) == LLM_ENOINPUT &&
		   strstr(err.msg, "too long") != NULL,
	    "a name that is too long does not push the reason out of the message");
	tap_ok(llm_gguf_open(&g, test_folder_path("a\nb\033c"), &err) == LLM_ENOINPUT &&
		   test_message_good(LLM_ENOINPUT, &err),
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
	snprintf(path, sizeof path, "%s/%s", test_folder, name);
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/%s/%.100s", test_folder, name, name);
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/%s/%.100s/e\nf.gguf", test_folder, name, name);
	mkfile_str(f, "general.architecture", "mamba");
	mkfile_write(f, path, 1);
	int status = llm_model_open(&m, path, &err);
	tap_ok(test_message_good(status, &err) && strstr(err.msg, "'mamba'") != NULL &&
		   strstr(err.msg, "e\\x0Af.gguf") != NULL,
	    "a long path is cut to its end, and escaped, before the reason");
	mkfile_free(f);
}

int
main(void)
{
	test_folder_new();
	test_values();
	test_good();
	test_split();
	test_no_file();
	test_path();
	return test_folder_remove() ? tap_done() : 1;
}
