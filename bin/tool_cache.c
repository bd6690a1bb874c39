/*
 * SPDX-License-Identifier: ISC
 *
 * What is kept of a model beside it or in the cache; see tool_cache.h.
 */
#include "bin/tool_cache.h"

#include "bin/tool.h"
#include "libcore/encoder.h"
#include "libcore/ident.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	LEAST_TOKENS =
	    16384,      /* of a vocabulary that is worth an index: others are read in 2 ms */
	MAX_INDEXES = 8 /* in the cache: of Llama 3's vocabulary one has 16 MB */
};

/* The names of the files beside a model. */
#define INDEX "vocab.index"
#define IDENT "model.id"

/* Two strings as one; NULL where there is no memory, or one of them is NULL. */
static char *
join(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return NULL;
	size_t n = strlen(a), m = strlen(b);
	char *s = malloc(n + m + 1);
	if (s == NULL)
		return NULL;
	memcpy(s, a, n);
	memcpy(s + n, b, m + 1);
	return s;
}

/* Makes the directories above path that are missing, for the user alone. */
static void
parents_make(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(path, 0700);
		*slash = '/';
	}
}

/* A home that is not there is not made. */
static bool
is_directory(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

char *
tool_cache(const char *name)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char *folder;
	if (cache != NULL && cache[0] == '/')
		folder = join(cache, "/llm/");
	else if (home != NULL && home[0] == '/' && is_directory(home))
		folder = join(home, "/.cache/llm/");
	else
		return NULL;
	char *path = join(folder, name);
	free(folder);
	if (path != NULL)
		parents_make(path);
	return path;
}

/* The path of a file beside those of g. */
static char *
beside(const struct llm_gguf *g, const char *name)
{
	char *path = join(llm_gguf_part_path(g, 0), "");
	char *slash = path != NULL ? strrchr(path, '/') : NULL;
	if (path == NULL)
		return NULL;
	if (slash != NULL)
		slash[1] = '\0';
	char *out = join(slash != NULL ? path : "./", name);
	free(path);
	return out;
}

/* The same for who cannot go on without it. */
static char *
beside_get(const struct llm_gguf *g, const char *name)
{
	char *path = beside(g, name);
	if (path == NULL)
		tool_fail(LLM_ENOMEM, "out of memory: the path of %s", name);
	return path;
}

/* The same where g is a model of the store, which alone may say something of itself; else NULL. */
static char *
stored(const struct llm_gguf *g, const char *name)
{
	return tool_model_stored(llm_gguf_part_path(g, 0)) ? beside(g, name) : NULL;
}

/* Removes the oldest file of path's folder where there are too many: others, or those left half made. */
static void
folder_trim(const char *path)
{
	char *folder = join(path, ""), *oldest = NULL;
	struct stat st;
	int64_t least = INT64_MAX;
	int n = 0;
	if (folder == NULL)
		return;
	strrchr(folder, '/')[1] = '\0';
	DIR *d = opendir(folder);
	for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
		char *file = join(folder, e->d_name);
		if (file != NULL && lstat(file, &st) == 0 && S_ISREG(st.st_mode)) {
			n++;
			if ((int64_t)st.st_mtim.tv_sec < least) {
				least = (int64_t)st.st_mtim.tv_sec;
				free(oldest);
				oldest = join(file, "");
			}
		}
		free(file);
	}
	if (d != NULL)
		closedir(d);
	if (n > MAX_INDEXES && oldest != NULL)
		(void)unlink(oldest);
	free(oldest);
	free(folder);
}

/* The place of g's index in the cache, or NULL. */
static char *
cached_index(const struct llm_gguf *g)
{
	struct llm_hash name;
	char path[8 + LLM_HASH_HEX] = "vocab/";
	if (!llm_tokenizer_index_name(&name, g))
		return NULL;
	llm_hash_hex(path + strlen(path), &name);
	return tool_cache(path);
}

/* By the index at path, which is freed: 1; 0 where there is no good one. */
static int
indexed(struct llm_tokenizer **out, const struct llm_gguf *g, char *path, struct llm_err *err)
{
	int rc = path != NULL ? llm_tokenizer_open_index(out, g, path, err) : 0;
	free(path);
	return rc;
}

int
tool_tokenizer_open(struct llm_tokenizer **out, const struct llm_gguf *g, struct llm_err *err)
{
	const struct llm_gguf_key *tokens = llm_gguf_key(g, "tokenizer.ggml.tokens");
	bool large = tokens != NULL && tokens->n_item >= LEAST_TOKENS;
	int rc = large ? indexed(out, g, stored(g, INDEX), err) : 0;
	if (rc == 0 && large)
		rc = indexed(out, g, cached_index(g), err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	if ((rc = llm_tokenizer_open(out, g, err)) < 0)
		return rc;
	char *path = large ? cached_index(g) : NULL;
	if (path != NULL && llm_tokenizer_index(*out, path, 0600, NULL) >= 0)
		folder_trim(path);
	free(path);
	return 0;
}

struct llm_tokenizer *
tool_tokenizer(const struct llm_gguf *g)
{
	struct llm_err err;
	struct llm_tokenizer *t;
	if (tool_tokenizer_open(&t, g, &err) < 0)
		tool_die(&err);
	if (llm_tokenizer_indexed(t) != NULL)
		tool_guard_map(llm_tokenizer_indexed(t));
	return t;
}

void
tool_tokenizer_close(struct llm_tokenizer *t)
{
	if (t != NULL && llm_tokenizer_indexed(t) != NULL)
		tool_unguard_map(llm_tokenizer_indexed(t));
	llm_tokenizer_close(t);
}

bool
tool_ident_known(struct llm_hash *id, const struct llm_gguf *g)
{
	struct llm_hash stamp = llm_ident_stamp(g, false);
	char *path = stored(g, IDENT);
	bool known = path != NULL && llm_ident_recall(id, path, &stamp);
	free(path);
	if (known)
		return true;
	path = tool_cache("models");
	stamp = llm_ident_stamp(g, true);
	known = path != NULL && llm_ident_recall(id, path, &stamp);
	free(path);
	return known;
}

struct llm_hash
tool_ident(const struct llm_gguf *g)
{
	struct llm_err err;
	struct llm_hash id, stamp;
	if (tool_ident_known(&id, g))
		return id;
	/* From before it is read: what is changed meanwhile is another file then. */
	stamp = llm_ident_stamp(g, true);
	if (llm_ident(&id, g, 0, &err) < 0)
		tool_die(&err);
	char *path = tool_cache("models");
	if (path != NULL)
		(void)llm_ident_keep(path, &stamp, &id, 0600, NULL);
	free(path);
	return id;
}

void
tool_keep(const struct llm_gguf *g)
{
	struct llm_err err;
	struct llm_hash id, stamp = llm_ident_stamp(g, false);
	struct llm_tokenizer *t;
	char *path = beside_get(g, IDENT);
	if (llm_ident(&id, g, 0, &err) < 0 || llm_ident_keep(path, &stamp, &id, 0644, &err) < 0)
		tool_die(&err);
	free(path);
	if (llm_encoder_is(g)) /* its tables are small */
		return;
	if (llm_tokenizer_open(&t, g, &err) < 0)
		tool_die(&err);
	if (llm_tokenizer_n_vocab(t) >= LEAST_TOKENS) {
		path = beside_get(g, INDEX);
		if (llm_tokenizer_index(t, path, 0644, &err) < 0)
			tool_die(&err);
		free(path);
	}
	llm_tokenizer_close(t);
}
