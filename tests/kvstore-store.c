/*
 * SPDX-License-Identifier: ISC
 *
 * The prefix store: what is taken from it is what would be computed, to the bit; whatever is damaged,
 * another model's or cut short is as if it were not there; and it keeps to its budget.
 */
#define _DEFAULT_SOURCE /* usleep */
#include "kvstore/files.h"
#include "kvstore/store.h"
#include "tests/folder.h"
#include "tests/model.h"
#include "tests/sequence.h"
#include "tests/tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N_TOK = 200 };

static struct llm_err err;
static struct llm_model *model;
static struct llm_pass *pass;
static uint64_t budget = UINT64_C(1) << 40;
static unsigned char model_byte = 1;

static struct llm_kvstore *
store_open(void)
{
	const struct llm_hash id = {.b = {model_byte}};
	struct llm_kvstore_params params = {.dir = test_folder,
	    .budget_bytes = budget,
	    .key = llm_kvpage_key_of(&id, &model->config, llm_pass_kv_type(pass))};
	struct llm_kvstore *s = NULL;
	if (llm_kvstore_open(&s, &params, &err) < 0)
		printf("# %s\n", err.msg);
	return s;
}

/* Computes n tokens and keeps them; returns pages written. */
static int
keep(const llm_token *ids, int n)
{
	float *logits = calloc((size_t)model->config.n_vocab, sizeof *logits);
	struct llm_kvstore *store = store_open();
	struct llm_seq *s = test_seq(pass, model->config.n_ctx);
	test_compute(logits, pass, s, ids, n);
	int n_put = llm_kvstore_save(store, s, ids, n, &err);
	llm_seq_free(s);
	llm_kvstore_close(store);
	free(logits);
	return n_put;
}

/* Takes what is kept of ids, computes the rest: how much was kept, or -1 where the logits differ from those
 * of computing all. */
static int
loaded(const llm_token *ids, int n)
{
	size_t bytes = (size_t)model->config.n_vocab * sizeof(float);
	float *a = malloc(bytes), *b = malloc(bytes);
	struct llm_kvstore *store = store_open();
	struct llm_seq *cold = test_seq(pass, model->config.n_ctx),
		       *warm = test_seq(pass, model->config.n_ctx);
	test_compute(a, pass, cold, ids, n);
	int n_kept = llm_kvstore_load(store, warm, ids, n - 1);
	bool same = n_kept == warm->n_pos;
	test_compute(b, pass, warm, ids, n);
	same = same && memcmp(a, b, bytes) == 0;
	llm_seq_free(cold);
	llm_seq_free(warm);
	llm_kvstore_close(store);
	free(a);
	free(b);
	return same ? n_kept : -1;
}

static void
wipe(void)
{
	int fd;
	if (llm_kvfiles_open(&fd, test_folder, &err) < 0)
		return;
	llm_kvfiles_trim(NULL, fd, 0, &err);
	close(fd);
}

static struct llm_kvfiles
list(void)
{
	struct llm_kvfiles f = {0};
	int fd;
	if (llm_kvfiles_open(&fd, test_folder, &err) == 0) {
		llm_kvfiles_list(&f, fd, &err);
		close(fd);
	}
	return f;
}

static size_t
n_file(void)
{
	struct llm_kvfiles f = list();
	free(f.v);
	return f.n;
}

/* All that keys and values depend on, before the tokens. */
static void
keys(void)
{
	const struct llm_hash id = {.b = {7}}, none = {{0}};
	const struct llm_config *c = &model->config;
	const struct llm_kvpage_key k = llm_kvpage_key_of(&id, c, LLM_KV_Q8_0);
	tap_ok(llm_hash_equal(&k.model, &id) && k.numeric_version == LLM_NUMERIC_VERSION &&
		   k.kv_type == LLM_KV_Q8_0 && k.n_layer == (uint32_t)c->n_layer &&
		   k.n_head_kv == (uint32_t)c->n_head_kv && k.d_head == (uint32_t)c->d_head &&
		   llm_hash_equal(&k.before, &none),
	    "a page's key is model, numeric version, type and shape");
}

static void
prefixes(const char *what)
{
	llm_token ids[N_TOK], other[N_TOK];
	wipe();
	test_ids(ids, N_TOK, 1);
	tap_ok(loaded(ids, N_TOK) == 0, "%s: an empty store has nothing", what);
	tap_ok(keep(ids, 150) == 3 && n_file() == 3, "%s: 150 tokens are three pages", what);
	tap_ok(loaded(ids, N_TOK) == 150, "%s: all of them are used, to the bit", what);
	tap_ok(loaded(ids, 150) == 149, "%s: but never the last token of a prompt", what);
	tap_ok(loaded(ids, 40) == 39 && loaded(ids, 64) == 63 && loaded(ids, 65) == 64,
	    "%s: of a page a part serves", what);
	memcpy(other, ids, sizeof ids);
	other[100] = other[100] == 5 ? 6 : 5;
	tap_ok(loaded(other, N_TOK) == 100, "%s: up to where two prompts part", what);
	tap_ok(keep(other, 150) == 2 && n_file() == 5, "%s: what is shared is kept once", what);
	tap_ok(loaded(ids, N_TOK) == 150 && loaded(other, N_TOK) == 150, "%s: and serves both",
	    what);
	tap_ok(keep(ids, 150) == 0 && keep(ids, 140) == 0, "%s: what is kept is not kept again",
	    what);
	tap_ok(keep(ids, 170) == 1 && n_file() == 5,
	    "%s: a short page goes when one that goes on from it comes", what);
	tap_ok(keep(ids, 64 + LLM_KVSTORE_LEAST - 1) == 0 && keep(ids, N_TOK) == 2,
	    "%s: a few tokens are no file", what);
	model_byte = 2;
	tap_ok(loaded(ids, N_TOK) == 0, "%s: another model's pages are not seen", what);
	model_byte = 1;
}

/* A file's byte `at` changed, or its end cut. */
static void
spoil(const char *name, off_t at, off_t size)
{
	char path[256];
	unsigned char c;
	snprintf(path, sizeof path, "%s/%s", test_folder, name);
	int fd = open(path, O_RDWR);
	if (size >= 0 && ftruncate(fd, size) < 0)
		printf("# %s\n", path);
	if (at >= 0 && pread(fd, &c, 1, at) == 1) {
		c ^= 0x10;
		if (pwrite(fd, &c, 1, at) != 1)
			printf("# %s\n", path);
	}
	close(fd);
}

static void
damage(void)
{
	llm_token ids[N_TOK];
	test_ids(ids, N_TOK, 2);
	wipe();
	keep(ids, 64);
	struct llm_kvfiles f = list();
	int good = 0, runs = 0;
	for (off_t at = 0; at < 600 && at < (off_t)f.v[0].n_bytes; at += 7, runs++) {
		spoil(f.v[0].name, at, -1);
		good += loaded(ids, 100) == 0 && n_file() == 0 && keep(ids, 64) == 1;
	}
	tap_ok(good == runs,
	    "a page with a byte changed is a miss, goes, and is written anew: %d of %d", good,
	    runs);
	spoil(f.v[0].name, (off_t)f.v[0].n_bytes - 1, -1);
	tap_ok(loaded(ids, 100) == 0, "the last byte too");
	tap_ok(keep(ids, 64) == 1 && loaded(ids, 100) == 64, "and it is a page again");
	spoil(f.v[0].name, -1, (off_t)f.v[0].n_bytes - 1);
	tap_ok(loaded(ids, 100) == 0, "a page cut short is a miss");
	keep(ids, 64);
	spoil(f.v[0].name, -1, 0);
	tap_ok(loaded(ids, 100) == 0, "an empty one too");
	tap_ok(keep(ids, 64) == 1 && loaded(ids, 100) == 64, "and is written anew");
	char path[256], aside[256];
	snprintf(path, sizeof path, "%s/%s", test_folder, f.v[0].name);
	snprintf(aside, sizeof aside, "%s/aside", test_folder);
	if (rename(path, aside) == 0 && symlink(aside, path) == 0)
		tap_ok(loaded(ids, 100) == 0, "a link is no page");
	unlink(path);
	(void)mkfifo(path, 0600);
	tap_ok(loaded(ids, 100) == 0, "nor is a pipe, and nobody waits for it");
	unlink(path);
	if (rename(aside, path) == 0 && chmod(path, 0666) == 0)
		tap_ok(loaded(ids, 100) == 0, "nor what others may write to");
	free(f.v);
	chmod(test_folder, 0755);
	struct llm_kvstore_params params = {.dir = test_folder, .budget_bytes = 1};
	struct llm_kvstore *s = NULL;
	tap_ok(llm_kvstore_open(&s, &params, &err) == LLM_EDATA,
	    "a directory open to others is not used");
	chmod(test_folder, 0700);
	params.dir = "/proc/none/kv";
	tap_ok(llm_kvstore_open(&s, &params, &err) == LLM_ENOINPUT,
	    "one that cannot be made is said");
}

static void
budgets(void)
{
	llm_token a[N_TOK], b[N_TOK];
	uint64_t page =
	    llm_kvpage_file_bytes(llm_seq_bytes(&model->config, llm_pass_kv_type(pass), 1));
	test_ids(a, N_TOK, 3);
	test_ids(b, N_TOK, 4);
	wipe();
	budget = 16 * page;
	tap_ok(keep(a, N_TOK) == 2 && loaded(a, N_TOK) == 128,
	    "one call writes an eighth of the budget, first pages first");
	tap_ok(keep(a, N_TOK) == 2 && loaded(a, N_TOK) == N_TOK - 1, "the next one the others");
	for (unsigned i = 0; i < 8; i++) {
		test_ids(b, N_TOK, 10 + i);
		keep(b, 128);
		usleep(2000);
		loaded(a, 65);
		usleep(2000);
	}
	struct llm_kvfiles f = list();
	tap_ok(f.n_bytes <= budget && f.n == 16, "all together keep to it: %zu pages", f.n);
	free(f.v);
	tap_ok(loaded(a, N_TOK) == 64, "what was used stays, what was not goes");
	wipe();
	keep(a, N_TOK);
	keep(a, N_TOK);
	f = list();
	tap_ok(f.n == 4, "a chain of four pages");
	free(f.v);
	int fd;
	if (llm_kvfiles_open(&fd, test_folder, &err) == 0) {
		llm_kvfiles_trim(NULL, fd, 2 * page, &err);
		close(fd);
	}
	tap_ok(loaded(a, N_TOK) == 128, "of a chain its end goes first");
	budget = 0;
	tap_ok(keep(b, 128) == 0 && loaded(a, N_TOK) == 0,
	    "a budget of nothing keeps and uses nothing");
	budget = UINT64_C(1) << 40;
}

/* Writers that are killed at any moment: never a wrong answer. */
static void
killed(void)
{
	llm_token ids[N_TOK];
	int good = 0, runs = 60;
	for (int i = 0; i < runs; i++) {
		test_ids(ids, N_TOK, 100 + (unsigned)i % 5);
		int ready[2];
		char byte;
		if (pipe(ready) < 0)
			break;
		pid_t child = fork();
		if (child == 0) {
			struct llm_kvstore *store = store_open();
			struct llm_seq *s = test_seq(pass, model->config.n_ctx);
			float *logits = calloc((size_t)model->config.n_vocab, sizeof *logits);
			test_compute(logits, pass, s, ids, N_TOK);
			if (write(ready[1], "", 1) != 1)
				_exit(1);
			for (;;) {
				wipe();
				llm_kvstore_save(store, s, ids, N_TOK, &err);
			}
		}
		close(ready[1]);
		if (read(ready[0], &byte, 1) != 1)
			break;
		close(ready[0]);
		usleep((unsigned)(i * 37 % 3000));
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		good += loaded(ids, N_TOK) >= 0;
	}
	tap_ok(good == runs, "a writer killed at any moment spoils no answer: %d of %d", good,
	    runs);
}

int
main(void)
{
	static const char *const what[] = {"f16", "q8_0", "precise"};
	test_folder_new();
	model = test_model("tinyk", "Q4_K", 0, NULL);
	for (int i = 2; i >= 0; i--) {
		pass = test_pass(model, what[i]);
		prefixes(what[i]);
		if (i > 0)
			llm_pass_free(pass);
	}
	keys();
	damage();
	budgets();
	killed();
	llm_pass_free(pass);
	llm_model_close(model);
	return test_folder_remove() ? tap_done() : 1;
}
