/*
 * SPDX-License-Identifier: ISC
 *
 * Which file a model's name means (llm-model lays the store out), and the watch over its mapping.
 */
#include "bin/tool.h"
#include "bin/tool_private.h"
#include "libcore/gguf.h"
#include "libcore/map.h"

#include <dirent.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_GUARDED = 64 };

static const struct llm_gguf *guarded[MAX_GUARDED];
static const struct llm_map *guarded_map[MAX_GUARDED];
/* What tool_model named last, until its mapping is guarded: a file may shrink while its header is read. */
static char *opening;

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

static bool
is_file(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* The one file *-00001-of-*.gguf of a folder, or NULL; several are none. */
static char *
first_part(const char *folder)
{
	DIR *d = opendir(folder);
	char *found = NULL;
	int n = 0;
	if (d == NULL)
		return NULL;
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		size_t len = strlen(e->d_name);
		if (strstr(e->d_name, "-00001-of-") == NULL || len < 5 ||
		    strcmp(e->d_name + len - 5, ".gguf") != 0)
			continue;
		free(found);
		char *slash = join(folder, "/");
		found = join(slash, e->d_name);
		free(slash);
		n++;
	}
	closedir(d);
	if (n != 1) {
		free(found);
		found = NULL;
	}
	return found;
}

/* The file of a model's name below one data folder, or NULL. */
static char *
lookup(const char *data, const char *name)
{
	char *store = join(data, "/llm/models/"), *folder = join(store, name);
	char *path = join(folder, "/model.gguf");
	if (path == NULL || !is_file(path)) {
		free(path);
		path = folder != NULL ? first_part(folder) : NULL;
	}
	free(folder);
	free(store);
	return path;
}

/* path itself where it is that of a file in the store below one data folder, or NULL. */
static char *
stored(const char *data, const char *path)
{
	char *store = join(data, "/llm/models/");
	if (store == NULL)
		return NULL;
	size_t n = strlen(store);
	bool in = strncmp(path, store, n) == 0 && strstr(path + n, "..") == NULL;
	free(store);
	return in ? join(path, "") : NULL;
}

/* What the first of the data folders has by look; the XDG rule: a relative one is ignored. */
static char *
search(char *(*look)(const char *data, const char *name), const char *name)
{
	const char *home = getenv("HOME"), *own = getenv("XDG_DATA_HOME");
	const char *dirs = getenv("XDG_DATA_DIRS");
	char *path = NULL;
	if (own != NULL && own[0] == '/') {
		path = look(own, name);
	} else if (home != NULL && home[0] == '/') {
		char *share = join(home, "/.local/share");
		path = share != NULL ? look(share, name) : NULL;
		free(share);
	}
	if (dirs == NULL || dirs[0] == '\0')
		dirs = "/usr/local/share:/usr/share";
	char *all = join(dirs, ""), *rest = NULL;
	for (char *dir = all != NULL ? strtok_r(all, ":", &rest) : NULL;
	     path == NULL && dir != NULL; dir = strtok_r(NULL, ":", &rest))
		if (dir[0] == '/')
			path = look(dir, name);
	free(all);
	return path;
}

bool
tool_model_stored(const char *path)
{
	char *found = search(stored, path);
	free(found);
	return found != NULL;
}

/* Where a kind of model is looked for when no -m names one. */
struct kind {
	const char *variable, *link, *get;
};
static const struct kind chat = {"LLM_MODEL", "default", "smollm2"};
static const struct kind encoder = {"LLM_ENCODER", "default-encoder", "minilm"};

/* The path to go on with, or that there is no memory for it. */
static int
found(char **out, char *path, struct llm_err *err)
{
	*out = path;
	return path != NULL ? 0 : llm_err_nomem(err, TOOL_NAME);
}

static int
model_find(char **out, const char *m, const struct kind *kind, struct llm_err *err)
{
	char quoted[100];
	const char *home = getenv("HOME"), *own = getenv("XDG_DATA_HOME");
	const char *set = getenv(kind->variable);
	bool named = m != NULL || (set != NULL && *set != '\0');
	const char *name = m != NULL ? m : named ? set : kind->link;
	if (strchr(name, '/') != NULL)
		return found(out, join(name, ""), err);
	llm_err_quote(quoted, sizeof quoted, name, strlen(name));
	if (name[0] == '\0' || name[0] == '.')
		return llm_err_set(err, LLM_ENOINPUT,
		    "'%s' is no model's name; a path has a '/' in it", quoted);
	char *path = search(lookup, name);
	if (path != NULL)
		return found(out, path, err);
	if (!named && (home == NULL || home[0] != '/') && (own == NULL || own[0] != '/'))
		return llm_err_set(err, LLM_ENOINPUT,
		    "no model: neither HOME nor XDG_DATA_HOME says where "
		    "models are; set one, or give -m /path/to/file.gguf");
	if (!named)
		return llm_err_set(err, LLM_ENOINPUT,
		    "no model: set %s or run 'llm-model get %s'", kind->variable, kind->get);
	if (is_file(name))
		return llm_err_set(err, LLM_ENOINPUT,
		    "no model '%s' in the store; for the file in this folder say ./%s", quoted,
		    quoted);
	return llm_err_set(err, LLM_ENOINPUT,
	    "no model '%s' in the store; 'llm-model list' shows what is there", quoted);
}

int
tool_model_find(char **out, const char *m, struct llm_err *err)
{
	return model_find(out, m, &chat, err);
}

/* Appends s to line at n, control bytes masked; async-signal-safe. */
static size_t
append(char *line, size_t n, size_t max, const char *s)
{
	for (; *s != '\0' && n < max; s++)
		line[n++] = (unsigned char)*s < 0x20 || *s == 0x7F ? '?' : *s;
	return n;
}

/* A page of a mapped file that is no longer there; anything else is a bus error of our own. */
static void
on_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)context;
	const char *path = NULL;
	for (int i = 0; path == NULL && i < MAX_GUARDED; i++)
		if (guarded[i] != NULL)
			path = llm_gguf_covers(guarded[i], info->si_addr);
	for (int i = 0; path == NULL && i < MAX_GUARDED; i++) {
		const struct llm_map *m = guarded_map[i];
		if (m != NULL && (uintptr_t)info->si_addr - (uintptr_t)m->data < m->n_bytes)
			path = m->name;
	}
	if (path == NULL && info->si_code == BUS_ADRERR)
		path = opening;
	if (path == NULL) {
		signal(sig, SIG_DFL);
		raise(sig);
		return;
	}
	/* Several threads may find out at once; one speaks for all. */
	static atomic_flag spoken = ATOMIC_FLAG_INIT;
	while (atomic_flag_test_and_set(&spoken))
		pause();
	char line[300];
	size_t n = append(line, 0, 60, tool_name());
	n = append(line, n, sizeof line, ": ");
	n = append(line, n, 200, path);
	n = append(
	    line, n, sizeof line - 1, ": the file shrank, or could not be read, while in use");
	line[n++] = '\n';
	ssize_t ignored = write(STDERR_FILENO, line, n);
	(void)ignored;
	_exit(74); /* LLM_EIO's status; its table is no signal's business */
}

static void
watch(void)
{
	struct sigaction sa = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO};
	sigemptyset(&sa.sa_mask);
	sigaction(SIGBUS, &sa, NULL);
}

void
tool_opening(const char *path)
{
	free(opening);
	opening = join(path, "");
	watch();
}

static char *
model_open(const char *m, const struct kind *kind)
{
	struct llm_err err = {0};
	char *path;
	if (model_find(&path, m, kind, &err) < 0)
		tool_die(&err);
	tool_opening(path);
	return path;
}

char *
tool_model(const char *m)
{
	return model_open(m, &chat);
}

char *
tool_encoder(const char *m)
{
	return model_open(m, &encoder);
}

void
tool_guard(const struct llm_gguf *g)
{
	for (int i = 0; i < MAX_GUARDED; i++) {
		if (guarded[i] != NULL)
			continue;
		guarded[i] = g;
		break;
	}
	tool_opening(NULL);
}

void
tool_unguard(const struct llm_gguf *g)
{
	for (int i = 0; i < MAX_GUARDED; i++)
		if (guarded[i] == g)
			guarded[i] = NULL;
}

void
tool_guard_map(const struct llm_map *m)
{
	for (int i = 0; i < MAX_GUARDED; i++) {
		if (guarded_map[i] != NULL)
			continue;
		guarded_map[i] = m;
		break;
	}
	watch();
}

void
tool_unguard_map(const struct llm_map *m)
{
	for (int i = 0; i < MAX_GUARDED; i++)
		if (guarded_map[i] == m)
			guarded_map[i] = NULL;
}
