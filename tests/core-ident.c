/*
 * SPDX-License-Identifier: ISC
 *
 * The identity of a model: of what it computes and of nothing else, and kept for the file that it is of.
 */
#define _XOPEN_SOURCE 700
#include "libcore/ident.h"

#include "libcore/gguf_pack.h"
#include "libcore/newfile.h"
#include "tests/mkmodel.h"
#include "tests/tap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char folder[] = "/tmp/llm-ident-XXXXXX";

static void
must(bool good, const char *what)
{
	if (!good) {
		printf("# %s\n", what);
		exit(1);
	}
}

/* A name in the folder of this test. */
static const char *
in(char path[64], const char *name)
{
	snprintf(path, 64, "%s/%s", folder, name);
	return path;
}

static struct llm_hash
ident(const char *path, int n_thread)
{
	struct llm_gguf *g;
	struct llm_hash id = {{0}};
	struct llm_err err = {0};
	must(llm_gguf_open(&g, path, &err) == 0 && llm_ident(&id, g, n_thread, &err) == 0,
	    err.msg);
	llm_gguf_close(g);
	return id;
}

static struct llm_hash
stamp(const char *path, bool place)
{
	struct llm_gguf *g;
	struct llm_err err = {0};
	must(llm_gguf_open(&g, path, &err) == 0, err.msg);
	struct llm_hash h = llm_ident_stamp(g, place);
	llm_gguf_close(g);
	return h;
}

static bool
same(struct llm_hash a, struct llm_hash b)
{
	return llm_hash_equal(&a, &b);
}

static struct mkfile *
made(const char *shape, const char *type)
{
	struct mkmodel m;
	must(mkmodel_shape(&m, shape), "no shape");
	m.type = type;
	struct mkfile *f = mkmodel_new(&m);
	must(f != NULL, "no model");
	return f;
}

static void
write_to(const struct mkfile *f, const char *path)
{
	must(mkfile_write(f, path, 1) == 0, "cannot write");
}

static void
byte_flip(const char *path, long from_end)
{
	FILE *f = fopen(path, "r+b");
	must(f != NULL && fseek(f, from_end, SEEK_END) == 0, "no file");
	int c = fgetc(f);
	must(fseek(f, from_end, SEEK_END) == 0 && fputc(c ^ 1, f) != EOF && fclose(f) == 0,
	    "cannot write");
}

/* Packed, plain, split, whole: one model. */
static void
test_layouts(void)
{
	static const char *const types[] = {"Q4_0", "Q5_1", "Q8_0", "Q4_K_M", "Q6_K", "F16"};
	char plain[64], packed[64], part[64];
	in(plain, "plain.gguf");
	in(packed, "packed.gguf");
	for (int i = 0; i < 6; i++) {
		struct mkfile *f = made(
		    types[i][2] == '4' || strchr(types[i], 'K') ? "tinyk" : "odd", types[i]);
		struct llm_newfile to;
		struct llm_err err = {0};
		write_to(f, plain);
		must(llm_newfile_open(&to, packed, 0600, &err) == 0 &&
			 llm_gguf_pack(to.fd, plain, false, &err) == 0 &&
			 llm_newfile_keep(&to, false, &err) == 0,
		    err.msg);
		struct llm_hash id = ident(plain, 1);
		tap_ok(same(id, ident(packed, 1)) && same(id, ident(packed, 3)) &&
			   same(id, ident(plain, 2)),
		    "a model of %s is the same packed and plain, by any number of threads",
		    types[i]);
		must(mkfile_write(f, plain, 3) == 0, "cannot write");
		tap_ok(
		    same(id, ident(in(part, "plain-00002-of-00003.gguf"), 1)), "and in parts");
		mkfile_free(f);
	}
}

static void
test_contents(void)
{
	char path[64];
	in(path, "model.gguf");
	struct mkfile *f = made("tiny", "Q8_0");
	write_to(f, path);
	struct llm_hash id = ident(path, 1);
	byte_flip(path, -1);
	tap_ok(
	    !same(id, ident(path, 1)), "a model with one bit of a weight flipped is another");
	byte_flip(path, -1);
	tap_ok(same(id, ident(path, 1)), "and itself when it is flipped back");
	mkfile_str(f, "general.name", "another name");
	mkfile_str(f, "general.license", "mit");
	mkfile_str(f, "tokenizer.chat_template", "{{ x }}");
	mkfile_str(f, "llamas.key", "of no architecture of ours");
	f->alignment = 128;
	mkfile_u32(f, "general.alignment", 128);
	f->version = 2;
	write_to(f, path);
	tap_ok(same(id, ident(path, 1)),
	    "names, licence, template, alignment and version do not matter");
	mkfile_f32(f, "llama.rope.freq_base", 12345);
	write_to(f, path);
	struct llm_hash other = ident(path, 1);
	tap_ok(!same(id, other), "a hyper-parameter does");
	mkfile_unset(f, "llama.context_length");
	mkfile_u32(f, "llama.context_length", 64);
	write_to(f, path);
	struct llm_hash third = ident(path, 1);
	mkfile_unset(f, "llama.rope.freq_base");
	mkfile_f32(f, "llama.rope.freq_base", 12345);
	write_to(f, path);
	tap_ok(
	    !same(other, third) && same(third, ident(path, 1)), "the order of keys does not");
	snprintf(mkfile_find(f, "blk.0.attn_q.weight")->name, 80, "blk.0.attn_x.weight");
	write_to(f, path);
	tap_ok(!same(third, ident(path, 1)), "the name of a tensor does");
	mkfile_unset(f, "general.architecture");
	write_to(f, path);
	struct llm_gguf *g;
	struct llm_err err = {0};
	must(llm_gguf_open(&g, path, &err) == 0, err.msg);
	tap_ok(
	    llm_ident(&id, g, 1, &err) == LLM_EDATA && strstr(err.msg, "general.architecture"),
	    "a file without an architecture has none");
	llm_gguf_close(g);
	mkfile_free(f);
}

static void
test_record(void)
{
	char path[64], record[64];
	struct llm_hash found, id = llm_hash_of("x", 1);
	struct llm_err err = {0};
	in(path, "stamped.gguf");
	in(record, "record");
	struct mkfile *f = made("tiny", "Q8_0");
	write_to(f, path);
	struct llm_hash at = stamp(path, true), away = stamp(path, false);
	tap_ok(
	    !llm_ident_recall(&found, record, &at), "where nothing is kept nothing is known");
	tap_ok(llm_ident_keep(record, &at, &id, 0600, &err) == 0 &&
		   llm_ident_recall(&found, record, &at) && same(found, id),
	    "an identity is kept for the file");
	tap_ok(!llm_ident_recall(&found, record, &away) && same(at, stamp(path, true)),
	    "by its place");
	struct stat st;
	tap_ok(stat(record, &st) == 0 && (st.st_mode & 0777) == 0600, "for its owner alone");
	struct timespec times[2] = {{1, 0}, {1, 1}};
	must(utimensat(0, path, times, 0) == 0, "no times");
	struct llm_hash touched = stamp(path, true);
	tap_ok(!llm_ident_recall(&found, record, &touched),
	    "a file that was written to is not known");
	times[1].tv_nsec = 0;
	must(utimensat(0, path, times, 0) == 0, "no times");
	tap_ok(!same(touched, stamp(path, true)), "to the nanosecond");
	for (int i = 0; i < LLM_IDENT_RECORDS + 10; i++) {
		struct llm_hash other = llm_hash_of(&i, sizeof i);
		must(llm_ident_keep(record, &other, &other, 0600, &err) == 0, err.msg);
	}
	int last = LLM_IDENT_RECORDS + 9, first = 5;
	struct llm_hash newest = llm_hash_of(&last, sizeof last),
			oldest = llm_hash_of(&first, sizeof first);
	tap_ok(llm_ident_recall(&found, record, &newest) && same(found, newest) &&
		   !llm_ident_recall(&found, record, &oldest) && stat(record, &st) == 0 &&
		   st.st_size == LLM_IDENT_RECORDS * 66,
	    "the record stays short: the oldest are forgotten");
	must(llm_ident_keep(record, &newest, &id, 0600, &err) == 0, err.msg);
	tap_ok(llm_ident_recall(&found, record, &newest) && same(found, id),
	    "what is kept last counts");
	must(chmod(record, 0666) == 0, "no mode");
	tap_ok(!llm_ident_recall(&found, record, &oldest) &&
		   !llm_ident_recall(&found, record, &newest),
	    "a record that others may write to says nothing");
	tap_ok(llm_ident_keep("/nowhere/record", &at, &id, 0600, &err) == LLM_EIO,
	    "where none can be kept, that is said");
	mkfile_free(f);
}

int
main(void)
{
	char line[80];
	must(mkdtemp(folder) != NULL, "no folder");
	test_layouts();
	test_contents();
	test_record();
	snprintf(line, sizeof line, "rm -rf %s", folder);
	return system(line) != 0 || tap_done();
}
