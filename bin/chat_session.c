/*
 * SPDX-License-Identifier: ISC
 *
 * Conversations that are kept; see chat_session.h.
 */
#define _DEFAULT_SOURCE /* flock */
#include "bin/chat_session.h"
#include "bin/chat_transcript.h"
#include "bin/tool_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SUFFIX ".jsonl"

static char *
join(const char *a, const char *b, const char *c)
{
	size_t n = strlen(a), m = strlen(b), k = strlen(c);
	char *s = malloc(n + m + k + 1);
	if (s == NULL)
		tool_fail(LLM_ENOMEM, "out of memory: a path of %zu bytes", n + m + k);
	memcpy(s, a, n);
	memcpy(s + n, b, m);
	memcpy(s + n + m, c, k + 1);
	return s;
}

/* The directory of sessions, which is made. */
static char *
directory(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char *dir;
	if (state != NULL && state[0] == '/')
		dir = join(state, "/llm/sessions", "");
	else if (home != NULL && home[0] == '/')
		dir = join(home, "/.local/state/llm/sessions", "");
	else
		tool_fail(LLM_ENOINPUT,
		    "no place for sessions: neither HOME nor XDG_STATE_HOME "
		    "names a directory");
	for (char *slash = strchr(dir + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(dir, 0700);
		*slash = '/';
	}
	(void)mkdir(dir, 0700);
	return dir;
}

static char *
path_of(const char *name)
{
	char quoted[80], *dir, *path, *slashed;
	bool good = name[0] != '\0' && name[0] != '.' && strlen(name) <= 200;
	for (const char *s = name; *s != '\0'; s++)
		good = good && *s != '/' && (unsigned char)*s >= ' ' && *s != 0x7f;
	if (!good)
		tool_usage(
		    "'%s' is no name of a session: no '/', no '.' first, at most 200 bytes",
		    llm_err_quote(quoted, sizeof quoted, name, strlen(name)));
	dir = directory();
	slashed = join(dir, "/", name);
	path = join(slashed, SUFFIX, "");
	free(slashed);
	free(dir);
	return path;
}

_Noreturn static void
die(int code, const char *path, const char *what)
{
	char name[TOOL_NAME];
	tool_fail(code, "%s: %s", tool_name_of(name, path), what);
}

/* The file, locked; -1 where it is not there and is not to be made. */
static int
open_once(const char *path, int flags)
{
	int fd = open(path, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	struct stat st;
	if (fd < 0 && errno == ENOENT && (flags & O_CREAT) == 0)
		return -1;
	if (fd < 0 || fstat(fd, &st) < 0)
		die(LLM_EIO, path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		die(LLM_EDATA, path, "no regular file, so no session");
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		die(errno == EWOULDBLOCK ? LLM_EBUSY : LLM_EIO, path,
		    errno == EWOULDBLOCK ? "another program has this session"
					 : strerror(errno));
	return fd;
}

/* The same; a file that another program removed before we had the lock is not the session. */
static int
open_locked(const char *path, int flags)
{
	for (;;) {
		int fd = open_once(path, flags);
		struct stat ours, now;
		if (fd < 0)
			return -1;
		if (fstat(fd, &ours) == 0 && lstat(path, &now) == 0 &&
		    ours.st_ino == now.st_ino && ours.st_dev == now.st_dev)
			return fd;
		close(fd);
	}
}

static char *
read_file(size_t *n_out, int fd, const char *path)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		die(LLM_EIO, path, strerror(errno));
	size_t n = (size_t)st.st_size, at = 0;
	char *text = malloc(n + 1);
	if (text == NULL)
		tool_fail(LLM_ENOMEM, "out of memory: a session of %zu bytes", n);
	while (at < n) {
		ssize_t got = pread(fd, text + at, n - at, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			die(LLM_EIO, path,
			    got < 0 ? strerror(errno) : "it shrank while it was read");
		at += (size_t)got;
	}
	*n_out = n;
	return text;
}

static void
append(const struct chat_session *s, const struct tool_buffer *t)
{
	for (size_t at = 0; at < t->n;) {
		ssize_t put = write(s->fd, t->s + at, t->n - at);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			die(LLM_EIO, s->name, strerror(errno));
		at += (size_t)put;
	}
	if (fdatasync(s->fd) < 0)
		die(LLM_EIO, s->name, strerror(errno));
}

/* A system message or none, then user and assistant in turn. */
static bool
follows(const struct chat *c, size_t n_own, enum llm_role role)
{
	if (c->n == n_own)
		return role != LLM_ROLE_ASSISTANT;
	return (c->message[c->n - 1].role == LLM_ROLE_USER) == (role == LLM_ROLE_ASSISTANT) &&
	       role != LLM_ROLE_SYSTEM;
}

static bool
in_vocabulary(const struct chat *c, const struct llm_ids *ids)
{
	int n_vocab = llm_tokenizer_n_vocab(c->engine.tokenizer);
	for (size_t i = 0; i < ids->n; i++)
		if (ids->v[i] < 0 || ids->v[i] >= n_vocab)
			return false;
	return true;
}

/* The messages that a whole transcript has, as far as its lines are good; returns the bytes of those. */
static size_t
take(struct chat *c, const char *text, size_t n, const char *path, const char *model)
{
	size_t at = 0, line = 0, n_own = c->n;
	bool same_model = false;
	struct llm_err err = {0};
	char what[300];
	while (at < n) {
		const char *end = memchr(text + at, '\n', n - at);
		size_t len = end == NULL ? n - at : (size_t)(end - text) - at;
		struct transcript_line l = {0};
		int rc = end == NULL ? LLM_EDATA
				     : transcript_parse(&l, text + at, len, line == 0, &err);
		/* What was torn is the end; a bad line that others follow is damage, and a whole first
		 * one that is none of ours is somebody else's file. */
		if (rc < 0 && (end == NULL || (line > 0 && at + len + 1 == n)))
			break;
		if (rc < 0) {
			snprintf(what, sizeof what, "line %zu: %.200s", line + 1, err.msg);
			die(LLM_EDATA, path, what);
		}
		if (line > 0 && same_model && !in_vocabulary(c, &l.ids)) {
			snprintf(what, sizeof what,
			    "line %zu: ids that the model does not have", line + 1);
			die(LLM_EDATA, path, what);
		}
		if (line > 0 && !follows(c, n_own, l.role)) {
			snprintf(what, sizeof what,
			    "line %zu: it does not go on from the one before", line + 1);
			die(LLM_EDATA, path, what);
		}
		if (line++ == 0)
			same_model = strcmp(l.model, model) == 0;
		else
			chat_add(c, l.role, l.text.s, l.text.n, same_model ? &l.ids : NULL);
		transcript_line_free(&l);
		at += len + 1;
	}
	return at;
}

/* A question without its answer is not a turn: it goes, from the file too. */
static size_t
whole_turns(struct chat *c, const char *text, size_t n)
{
	if (c->n == 0 || c->message[c->n - 1].role != LLM_ROLE_USER)
		return n;
	chat_drop(c);
	n--;
	while (n > 0 && text[n - 1] != '\n')
		n--;
	return n;
}

void
chat_session_open(struct chat_session *s, struct chat *c, const char *name)
{
	char model[LLM_HASH_HEX];
	struct llm_hash id = tool_ident(c->engine.model->gguf);
	size_t n, good;
	*s = (struct chat_session){.name = path_of(name)};
	s->fd = open_locked(s->name, O_CREAT | O_APPEND);
	char *text = read_file(&n, s->fd, s->name);
	llm_hash_hex(model, &id);
	size_t n_own = c->n;
	good = take(c, text, n, s->name, model);
	good = whole_turns(c, text, good);
	if (good < n) {
		tool_note("%s: %zu bytes at its end were torn off in writing, and are dropped",
		    name, n - good);
		if (ftruncate(s->fd, (off_t)good) < 0)
			die(LLM_EIO, s->name, strerror(errno));
	}
	free(text);
	if (good == 0) {
		struct tool_buffer t = {0};
		transcript_begin(&t, model);
		append(s, &t);
		free(t.s);
		return;
	}
	if (c->n == n_own)
		return;
	/* The system message that the session has counts; one given must be the same. */
	if (n_own > 0 && !chat_take_system(c))
		die(LLM_EDATA, s->name,
		    "the session began with another system message than -S");
	s->n_kept = c->n;
}

void
chat_session_keep(struct chat_session *s, const struct chat *c)
{
	struct tool_buffer t = {0};
	if (s->name == NULL || c->n <= s->n_kept ||
	    c->message[c->n - 1].role != LLM_ROLE_ASSISTANT)
		return;
	for (; s->n_kept < c->n; s->n_kept++)
		transcript_add(&t, c, &c->message[s->n_kept]);
	append(s, &t);
	free(t.s);
}

void
chat_session_reset(struct chat_session *s, const struct chat *c)
{
	char model[LLM_HASH_HEX];
	struct llm_hash id;
	struct tool_buffer t = {0};
	if (s->name == NULL)
		return;
	id = tool_ident(c->engine.model->gguf);
	if (ftruncate(s->fd, 0) < 0)
		die(LLM_EIO, s->name, strerror(errno));
	transcript_begin(&t, llm_hash_hex(model, &id));
	append(s, &t);
	free(t.s);
	s->n_kept = 0;
}

void
chat_session_close(struct chat_session *s)
{
	if (s->name == NULL)
		return;
	close(s->fd);
	free(s->name);
	*s = (struct chat_session){.fd = -1};
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t
count_lines(const char *text, size_t n)
{
	size_t lines = 0;
	for (const char *s = text; (s = memchr(s, '\n', n - (size_t)(s - text))) != NULL; s++)
		lines++;
	return lines;
}

static void
show(const char *dir, const char *file)
{
	char *slashed = join(dir, "/", file), when[32];
	struct stat st;
	struct tm tm = {0}; /* of a time that no calendar has */
	size_t n;
	int fd = open(slashed, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		char *text = read_file(&n, fd, slashed);
		size_t lines = count_lines(text, n);
		free(text);
		gmtime_r(&st.st_mtim.tv_sec, &tm);
		strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
		tool_tsv(file, strlen(file) - strlen(SUFFIX));
		tool_printf("\t%zu\t%s\n", lines > 0 ? lines - 1 : 0, when);
	}
	if (fd >= 0)
		close(fd);
	free(slashed);
}

void
chat_session_list(void)
{
	char *dir = directory(), **name = NULL;
	size_t n = 0;
	DIR *d = opendir(dir);
	if (d == NULL)
		die(LLM_EIO, dir, strerror(errno));
	for (const struct dirent *e; (e = readdir(d)) != NULL;) {
		size_t len = strlen(e->d_name);
		if (e->d_name[0] == '.' || len <= strlen(SUFFIX) ||
		    strcmp(e->d_name + len - strlen(SUFFIX), SUFFIX) != 0)
			continue;
		char **more = realloc(name, (n + 1) * sizeof *more);
		if (more == NULL)
			tool_fail(LLM_ENOMEM, "out of memory: %zu sessions", n);
		name = more;
		name[n++] = join(e->d_name, "", "");
	}
	closedir(d);
	if (n > 0)
		qsort(name, n, sizeof *name, by_name);
	for (size_t i = 0; i < n; i++) {
		show(dir, name[i]);
		free(name[i]);
	}
	free(name);
	free(dir);
}

void
chat_session_forget(const char *name)
{
	char *path = path_of(name), quoted[80];
	int fd = open_locked(path, 0);
	if (fd < 0)
		tool_fail(LLM_ENOINPUT, "no session '%s': 'llm-chat --sessions' lists them",
		    llm_err_quote(quoted, sizeof quoted, name, strlen(name)));
	if (unlink(path) < 0)
		die(LLM_EIO, path, strerror(errno));
	close(fd);
	free(path);
}
