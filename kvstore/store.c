/*
 * SPDX-License-Identifier: ISC
 *
 * The chain of pages; see store.h.
 */
#include "kvstore/store.h"
#include "kvstore/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct llm_kvstore {
	struct llm_kvpage_key key;
	uint64_t budget;
	char *dir;
	int dir_fd;
	int n_loaded; /* positions that load has read, and found whole */
};

/* The directories of a path that are not there yet, each as private as the store. */
static void
make_directories(const char *dir)
{
	char *path = strdup(dir);
	if (path == NULL)
		return;
	for (char *slash = strchr(path + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(path, 0700);
		*slash = '/';
	}
	(void)mkdir(path, 0700);
	free(path);
}

int
llm_kvstore_open(
    struct llm_kvstore **out, const struct llm_kvstore_params *params, struct llm_err *err)
{
	struct llm_kvstore *s = calloc(1, sizeof *s);
	if (s == NULL)
		return llm_err_nomem(err, sizeof *s);
	s->key = params->key;
	s->budget = params->budget_bytes;
	s->dir_fd = -1;
	int rc = (s->dir = strdup(params->dir)) == NULL
		     ? llm_err_nomem(err, strlen(params->dir))
		     : 0;
	if (rc >= 0) {
		make_directories(s->dir);
		rc = llm_kvfiles_open(&s->dir_fd, s->dir, err);
	}
	if (rc < 0) {
		llm_kvstore_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

void
llm_kvstore_close(struct llm_kvstore *s)
{
	if (s == NULL)
		return;
	if (s->dir_fd >= 0)
		close(s->dir_fd);
	free(s->dir);
	free(s);
}

/* Of this store, and its first n tokens those of ids: *page is made so. */
static void
page_of(struct llm_kvpage *page, const struct llm_kvstore *s, const struct llm_hash *before,
    const llm_token *ids, int n)
{
	memset(page, 0, sizeof *page);
	page->key = s->key;
	page->key.before = *before;
	page->n_tok = n;
	for (int i = 0; i < n; i++)
		page->token[i] = ids[i];
}

static bool
key_equal(const struct llm_kvpage_key *a, const struct llm_kvpage_key *b)
{
	return llm_hash_equal(&a->model, &b->model) && llm_hash_equal(&a->before, &b->before) &&
	       a->numeric_version == b->numeric_version && a->kv_type == b->kv_type &&
	       a->n_layer == b->n_layer && a->n_head_kv == b->n_head_kv &&
	       a->d_head == b->d_head;
}

/* How many of the page's tokens are ids. */
static int
agreeing(const struct llm_kvpage *page, const llm_token *ids, int n)
{
	int i = 0;
	while (i < n && i < page->n_tok && page->token[i] == ids[i])
		i++;
	return i;
}

/*
 * Used now: its turn to go is last.  Page k of a chain was used k microseconds before its first one, since
 * without the pages before it a page is of no use: a chain goes from its end.
 */
static void
touch(const struct llm_kvstore *s, const char *name, const struct timespec *now, int k)
{
	struct timespec used = *now, both[2];
	used.tv_nsec -= 1000L * (k % 1000000);
	if (used.tv_nsec < 0) {
		used.tv_nsec += 1000000000L;
		used.tv_sec--;
	}
	both[0] = both[1] = used;
	(void)utimensat(s->dir_fd, name, both, AT_SYMLINK_NOFOLLOW);
}

/* The page's keys and values into the sequence's page k; how many of its tokens are ids[0..n).  A file that is
 * damaged goes away, so that it is written anew. */
static int
take(const struct llm_kvstore *s, struct llm_seq *seq, int k, const char *name,
    const struct llm_kvpage *wanted, const llm_token *ids, int n)
{
	struct llm_kvpage page;
	struct llm_err err;
	if (llm_seq_reserve(seq, k * LLM_KV_PAGE + n, &err) < 0)
		return 0;
	if (!llm_kvpage_read(
		&page, llm_seq_page(seq, k), llm_seq_page_bytes(seq), s->dir_fd, name)) {
		(void)unlinkat(s->dir_fd, name, 0);
		return 0;
	}
	int same = key_equal(&page.key, &wanted->key) ? agreeing(&page, ids, n) : 0;
	if (same > 0)
		llm_seq_extend(seq, k * LLM_KV_PAGE + same);
	return same;
}

/* Calls one for each page that follows `before`, with its name and head. */
static void
followers(const struct llm_kvstore *s, const struct llm_hash *before,
    void (*one)(void *arg, const char *name, const struct llm_kvpage *page), void *arg)
{
	char name[LLM_KVPAGE_NAME], folder[3], path[sizeof folder + NAME_MAX + 1];
	struct llm_kvpage any, page;
	page_of(&any, s, before, NULL, 0);
	llm_kvpage_name(name, &any);
	snprintf(folder, sizeof folder, "%.2s", name);
	int fd = openat(s->dir_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (d == NULL && fd >= 0)
		close(fd);
	if (d == NULL)
		return;
	for (const struct dirent *e; (e = readdir(d)) != NULL;) {
		/* "XX/BEFORE-" is 36 characters; the rest is the page's own. */
		if (strlen(e->d_name) != LLM_KVPAGE_NAME - 4 ||
		    strncmp(e->d_name, name + 3, 33) != 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
		if (llm_kvpage_read_head(&page, s->dir_fd, path) &&
		    key_equal(&page.key, &any.key))
			one(arg, path, &page);
	}
	closedir(d);
}

/* The follower that agrees with ids for longest. */
struct best {
	const llm_token *ids;
	int n, same;
	char name[LLM_KVPAGE_NAME];
};

static void
look(void *arg, const char *name, const struct llm_kvpage *page)
{
	struct best *b = arg;
	int same = agreeing(page, b->ids, b->n);
	/* Of equal ones the first by name: the same whatever order a directory has. */
	if (same < b->same || same == 0 || (same == b->same && strcmp(name, b->name) > 0))
		return;
	b->same = same;
	snprintf(b->name, sizeof b->name, "%s", name);
}

static int
load(const struct llm_kvstore *s, struct llm_seq *seq, const llm_token *ids, int n_ids)
{
	struct llm_hash before = {{0}};
	struct llm_kvpage page;
	struct timespec now;
	char name[LLM_KVPAGE_NAME];
	int k = 0, n_held = seq->n_pos / LLM_KV_PAGE;
	if (s->budget == 0 || seq->n_pos % LLM_KV_PAGE != 0 || n_ids <= seq->n_pos)
		return seq->n_pos;
	clock_gettime(CLOCK_REALTIME, &now);
	for (; n_ids - k * LLM_KV_PAGE >= LLM_KV_PAGE; k++) {
		page_of(&page, s, &before, ids + k * LLM_KV_PAGE, LLM_KV_PAGE);
		llm_kvpage_name(name, &page);
		if (k >= n_held && take(s, seq, k, name, &page, ids + k * LLM_KV_PAGE,
				       LLM_KV_PAGE) < LLM_KV_PAGE)
			break;
		before = llm_kvpage_hash(&page);
		touch(s, name, &now, k);
	}
	int left = n_ids - k * LLM_KV_PAGE;
	if (left > LLM_KV_PAGE)
		left = LLM_KV_PAGE;
	if (left == 0 || seq->n_pos > k * LLM_KV_PAGE)
		return seq->n_pos;
	struct best best = {.ids = ids + k * LLM_KV_PAGE, .n = left};
	followers(s, &before, look, &best);
	page_of(&page, s, &before, best.ids, left);
	if (best.same > 0 && take(s, seq, k, best.name, &page, best.ids, left) > 0)
		touch(s, best.name, &now, k);
	return seq->n_pos;
}

int
llm_kvstore_load(struct llm_kvstore *s, struct llm_seq *seq, const llm_token *ids, int n_ids)
{
	return s->n_loaded = load(s, seq, ids, n_ids);
}

/* Followers that a new page holds all of go away. */
struct outdated {
	const struct llm_kvstore *store;
	const struct llm_kvpage *page;
};

static void
drop_outdated(void *arg, const char *name, const struct llm_kvpage *page)
{
	const struct outdated *o = arg;
	if (page->n_tok < o->page->n_tok &&
	    agreeing(page, o->page->token, o->page->n_tok) == page->n_tok)
		(void)unlinkat(o->store->dir_fd, name, 0);
}

/* Whether a page with the beginning of this one, or all of it, is there already, and whole: its name then.  data
 * is room to look at one that load has not. */
static bool
there(char name[LLM_KVPAGE_NAME], const struct llm_kvstore *s, const struct llm_kvpage *page,
    bool known, void *data, size_t n_bytes)
{
	struct best best = {.ids = page->token, .n = page->n_tok};
	struct llm_kvpage found;
	followers(s, &page->key.before, look, &best);
	if (best.same < page->n_tok)
		return false;
	if (!known && !llm_kvpage_read(&found, data, n_bytes, s->dir_fd, best.name)) {
		(void)unlinkat(s->dir_fd, best.name, 0);
		return false;
	}
	memcpy(name, best.name, sizeof best.name);
	return true;
}

/* What lies past its positions is nobody's: zeros. */
static void
blank(char *data, const struct llm_seq *seq, const struct llm_kvpage *page)
{
	static const float zero[LLM_ATTENTION_D_HEAD];
	uint32_t n_slot = page->key.n_layer * page->key.n_head_kv;
	size_t slot_bytes = llm_seq_page_bytes(seq) / n_slot;
	for (uint32_t i = 0; i < n_slot; i++)
		for (int pos = page->n_tok; pos < LLM_KV_PAGE; pos++)
			llm_attention_generic.store(data + i * slot_bytes, seq->type,
			    (int)page->key.d_head, pos, zero, zero);
}

static int
put(char name[LLM_KVPAGE_NAME], const struct llm_kvstore *s, const struct llm_seq *seq, int k,
    const struct llm_kvpage *page, char *data, struct llm_err *err)
{
	char path[4096], folder[4096];
	struct outdated o = {s, page};
	llm_kvpage_name(name, page);
	int n = snprintf(path, sizeof path, "%s/%s", s->dir, name);
	if (n < 0 || (size_t)n >= sizeof path)
		return llm_err_set(err, LLM_EIO, "the store's path is too long");
	snprintf(folder, sizeof folder, "%s/%.2s", s->dir, name);
	(void)mkdir(folder, 0700);
	memcpy(data, llm_seq_page(seq, k), llm_seq_page_bytes(seq));
	blank(data, seq, page);
	int rc = llm_kvpage_write(path, page, data, llm_seq_page_bytes(seq), err);
	if (rc >= 0)
		followers(s, &page->key.before, drop_outdated, &o);
	return rc;
}

int
llm_kvstore_save(struct llm_kvstore *s, const struct llm_seq *seq, const llm_token *ids,
    int n_ids, struct llm_err *err)
{
	size_t n_bytes = llm_seq_page_bytes(seq);
	uint64_t file = llm_kvpage_file_bytes(n_bytes), room = s->budget / 8;
	struct llm_hash before = {{0}};
	struct llm_kvpage page;
	struct timespec now;
	int rc = 0, n_put = 0;
	if (s->budget == 0)
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	char *data = malloc(n_bytes);
	if (data == NULL)
		return llm_err_nomem(err, n_bytes);
	for (int k = 0; k * LLM_KV_PAGE < n_ids && rc >= 0; k++) {
		int left = n_ids - k * LLM_KV_PAGE, n = left < LLM_KV_PAGE ? left : LLM_KV_PAGE;
		page_of(&page, s, &before, ids + k * LLM_KV_PAGE, n);
		before = llm_kvpage_hash(&page);
		/* Of a prompt the last token is never loaded. */
		bool known = k * LLM_KV_PAGE + n <= s->n_loaded + 1;
		char name[LLM_KVPAGE_NAME];
		if (n < LLM_KVSTORE_LEAST)
			break;
		if (!there(name, s, &page, known, data, n_bytes)) {
			if (room < file)
				break;
			room -= file;
			rc = put(name, s, seq, k, &page, data, err);
			n_put += rc >= 0;
		}
		if (rc >= 0)
			touch(s, name, &now, k);
	}
	free(data);
	if (n_put > 0)
		(void)llm_kvfiles_trim(NULL, s->dir_fd, s->budget, NULL);
	return rc < 0 ? rc : n_put;
}
