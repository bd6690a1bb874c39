/*
 * SPDX-License-Identifier: ISC
 *
 * Requests to the daemon and what it says on the way; see tool_daemon.h.
 */
#define _XOPEN_SOURCE 700 /* realpath */
#include "bin/tool_daemon.h"
#include "bin/tool_cache.h"
#include "bin/tool_private.h"
#include "bin/tool_run.h"
#include "libcore/client.h"
#include "libcore/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Escape sequence: clear the line from the cursor on. */
#define CLEAR "\r\033[K"

enum {
	LOOK_MS = 100,  /* between looks at the cancel hook, */
	DRAW_MS = 250,  /* and between lines on a terminal, */
	QUIET_MS = 500, /* on which nothing stands sooner */
};

static struct {
	const char *socket;
	bool daemon, local, interactive, nice;
} said;

const struct tool_option tool_daemon_options[] = {
    {.letter = 's',
	.name = "socket",
	.metavar = "SOCKET",
	.help = "where the daemon listens, see llmd(8)",
	.kind = TOOL_STRING,
	.dest = &said.socket},
    {.name = "daemon",
	.help = "let the daemon compute, and fail where there is none",
	.kind = TOOL_FLAG,
	.dest = &said.daemon},
    {.name = "local",
	.help = "compute here, though there may be a daemon",
	.kind = TOOL_FLAG,
	.dest = &said.local},
    {.name = "interactive",
	.help = "be served by the daemon as somebody who waits, before pipes",
	.kind = TOOL_FLAG,
	.dest = &said.interactive},
    {.name = "nice",
	.help = "be served by the daemon after all others",
	.kind = TOOL_FLAG,
	.dest = &said.nice},
    {0},
};

struct tool_daemon {
	struct llm_client *client; /* NULL: it is not asked any more */
	const struct llm_gguf *gguf;
	char *path; /* of the model, from the root on */
	struct llm_hash ident;
	bool has_ident;
	bool served; /* it has answered a request */
	bool lost;   /* the connection failed, rather than the request */
	bool verbose;
	/* What a terminal shows. */
	bool draws, drawn;
	int64_t begin;       /* ms (libcore/clock.h) */
	int queue, done, of; /* queue < 0: not waiting; of 0: no prompt under way */
};

/* A request under way. */
struct asking {
	struct tool_daemon *d;
	const struct tool_daemon_request *request;
	uint32_t id;
	bool cancelled;
};

/* Opening. */

static int
dial(struct llm_client **out, struct llm_err *err)
{
	char path[LLM_CLIENT_PATH], name[64];
	struct llm_client *c;
	snprintf(name, sizeof name, "%s %s", tool_name(), LLM_VERSION);
	int rc = llm_client_socket(
	    path, said.socket, getenv("LLM_SOCKET"), getenv("XDG_RUNTIME_DIR"), err);
	if (rc >= 0)
		rc = llm_client_open(&c, path, name, err);
	if (rc < 0)
		return rc;
	if (llm_client_numeric(c) != LLM_NUMERIC_VERSION) {
		rc = llm_err_set(err, LLM_EUNAVAILABLE,
		    "the daemon's numeric version is %d, this program's %d: their bytes may "
		    "differ",
		    llm_client_numeric(c), LLM_NUMERIC_VERSION);
		llm_client_close(c);
		return rc;
	}
	*out = c;
	return 0;
}

static void
options_check(const char *kernels)
{
	if (said.daemon && said.local)
		tool_usage("--daemon and --local exclude each other");
	if (said.interactive && said.nice)
		tool_usage("--interactive and --nice exclude each other");
	if (said.daemon && kernels != NULL)
		tool_usage("LLM_KERNELS says how this program computes, and --daemon that it "
			   "does not");
}

struct tool_daemon *
tool_daemon_open(const struct llm_gguf *g, bool verbose)
{
	struct llm_err err = {0};
	struct llm_client *client;
	const char *kernels = getenv("LLM_KERNELS");
	if (kernels != NULL && *kernels == '\0')
		kernels = NULL;
	options_check(kernels);
	if (said.local || kernels != NULL)
		return NULL;
	if (dial(&client, &err) < 0) {
		if (said.daemon)
			tool_die(&err);
		return NULL;
	}
	/* As the file system names it: one name for all ways to it. */
	char *path = realpath(llm_gguf_part_path(g, 0), NULL);
	struct tool_daemon *d = calloc(1, sizeof *d);
	if (path == NULL || d == NULL)
		tool_fail(LLM_ESYSTEM, "%s: its absolute path: %s", llm_gguf_path(g),
		    strerror(errno));
	*d = (struct tool_daemon){.client = client,
	    .gguf = g,
	    .path = path,
	    .verbose = verbose,
	    .draws = isatty(STDERR_FILENO)};
	d->has_ident = tool_ident_known(&d->ident, g);
	if (verbose)
		tool_note("%s: the daemon, process %ld", llm_gguf_path(g),
		    (long)llm_client_pid(client));
	return d;
}

void
tool_daemon_close(struct tool_daemon *d)
{
	if (d == NULL)
		return;
	llm_client_close(d->client);
	free(d->path);
	free(d);
}

bool
tool_daemon_serves(const struct tool_daemon *d)
{
	return d != NULL && d->client != NULL;
}

/* On a terminal. */

static void
show(const char *line, size_t n)
{
	/* There is nobody to tell when this fails. */
	ssize_t ignored = write(STDERR_FILENO, line, n);
	(void)ignored;
}

static void
erase(struct tool_daemon *d)
{
	if (d->drawn)
		show(CLEAR, strlen(CLEAR));
	d->drawn = false;
	d->queue = -1;
	d->of = 0;
}

static void
draw(struct tool_daemon *d)
{
	char line[160];
	int n = 0;
	if (!d->draws || llm_clock_ms() - d->begin < QUIET_MS)
		return;
	if (d->of > 0)
		n = snprintf(line, sizeof line, CLEAR "%s: %d of %d tokens read", tool_name(),
		    d->done, d->of);
	else if (d->queue >= 0)
		n = snprintf(line, sizeof line, CLEAR "%s: waiting, %d before this",
		    tool_name(), d->queue);
	if (n > 0)
		show(line, (size_t)n);
	d->drawn = d->drawn || n > 0;
}

/* Asking. */

static const char *
class_name(void)
{
	if (said.nice)
		return "batch";
	return said.interactive || isatty(STDOUT_FILENO) || isatty(STDERR_FILENO)
		   ? "interactive"
		   : "pipe";
}

void
tool_daemon_put_run(struct llm_wire_out *o)
{
	if (tool_run.kv != NULL)
		llm_wire_put_str(o, "kv", tool_run.kv);
	llm_wire_put_bool(o, "precise", tool_run.precise);
}

static int
send_request(struct asking *a, struct llm_err *err)
{
	struct tool_daemon *d = a->d;
	struct llm_wire_out *o = llm_client_request(d->client, &a->id, a->request->op);
	llm_wire_put_str(o, "model", d->path);
	if (d->has_ident)
		llm_wire_put_bin(o, "ident", d->ident.b, sizeof d->ident.b);
	llm_wire_put_str(o, "class", class_name());
	a->request->put(a->request->context, o);
	return llm_client_send(d->client, err);
}

static int
send_cancel(struct asking *a, struct llm_err *err)
{
	uint32_t id; /* nobody waits for this answer */
	struct llm_wire_out *o = llm_client_request(a->d->client, &id, "cancel");
	llm_wire_put_int(o, "target", a->id);
	a->cancelled = true;
	return llm_client_send(a->d->client, err);
}

/* In an error of the daemon's the model has its absolute path; here it has the name that was given. */
static void
name_model(const struct tool_daemon *d, struct llm_err *err)
{
	const char *name = llm_gguf_path(d->gguf), *at = strstr(err->msg, d->path);
	char text[sizeof err->msg];
	if (at == NULL || strcmp(name, d->path) == 0)
		return;
	snprintf(text, sizeof text, "%.*s%s%s", (int)(at - err->msg), err->msg, name,
	    at + strlen(d->path));
	memcpy(err->msg, text, sizeof text);
}

/* Where it stands in the queue, how much of its prompt is computed; 1 where the message said that. */
static int
take_state(struct asking *a, const struct llm_wire_value *m, struct llm_err *err)
{
	struct tool_daemon *d = a->d;
	const struct llm_wire_value *prompt = NULL;
	int64_t queue = -1, done = 0, of = 0;
	int rc = llm_wire_get_int(&queue, m, "queue", 0, INT32_MAX, err);
	if (rc >= 0)
		rc = llm_wire_get_map(&prompt, m, "prompt", err);
	if (rc >= 0)
		rc = llm_wire_get_int(&done, prompt, "done", 0, INT32_MAX, err);
	if (rc >= 0)
		rc = llm_wire_get_int(&of, prompt, "of", 0, INT32_MAX, err);
	if (rc < 0)
		return rc;
	if (queue >= 0)
		d->queue = (int)queue;
	if (prompt != NULL) {
		d->done = (int)done;
		d->of = (int)of;
		if (a->request->progress != NULL)
			a->request->progress(a->request->context, (int)done);
	}
	draw(d);
	return queue >= 0 || prompt != NULL;
}

/* Whether the daemon cancelled a request that the program did not: its answer is not whole. */
static int
check_end(const struct asking *a, const struct llm_wire_value *done, struct llm_err *err)
{
	struct llm_wire_bytes stop = {0};
	int rc = llm_wire_get_bytes(&stop, done, "stop", err);
	if (rc > 0 && !a->cancelled && stop.n == 6 && memcmp(stop.s, "cancel", 6) == 0)
		return llm_err_set(err, LLM_EUNAVAILABLE,
		    "the daemon gave up the request: there is more that it did not say");
	return rc;
}

/* A message: 1 where it ends the request. */
static int
take_message(struct asking *a, const struct llm_wire_value *m, struct llm_err *err)
{
	const struct llm_wire_value *done = NULL;
	struct llm_err told = {0};
	int64_t id = 0, at;
	int has_id = llm_wire_get_int(&id, m, "id", 0, UINT32_MAX, err);
	int rc = has_id < 0 ? has_id : llm_wire_get_int(&at, m, "at", 0, INT64_MAX, err);
	if (rc == 0) /* that of one item, which has its number, is take's */
		rc = llm_wire_get_err(&told, m, "error", err);
	else if (rc > 0)
		rc = 0;
	if (rc < 0)
		return rc;
	if (has_id > 0 && id != a->id) /* of a cancel, or of what it cancelled */
		return 0;
	if (rc > 0) {
		*err = told;
		name_model(a->d, err);
		return told.code;
	}
	int state = take_state(a, m, err);
	if (state < 0 || (rc = llm_wire_get_map(&done, m, "done", err)) < 0)
		return state < 0 ? state : rc;
	if (done != NULL && (rc = check_end(a, done, err)) < 0)
		return rc;
	if (state == 0) /* what comes may go to the same terminal */
		erase(a->d);
	rc = a->request->take(a->request->context, m, err);
	return rc < 0 ? rc : done != NULL;
}

static int
ask(struct asking *a, struct llm_err *err)
{
	struct tool_daemon *d = a->d;
	const struct tool_daemon_request *r = a->request;
	const struct llm_wire_value *m;
	int timeout = r->cancel != NULL ? LOOK_MS : d->draws ? DRAW_MS : -1;
	a->cancelled = false;
	d->lost = true;
	d->queue = -1;
	d->begin = llm_clock_ms();
	int rc = send_request(a, err);
	while (rc >= 0) {
		if (r->cancel != NULL && !a->cancelled && r->cancel(r->context) &&
		    (rc = send_cancel(a, err)) < 0)
			break;
		rc = llm_client_receive(&m, d->client, timeout, err);
		if (rc < 0)
			break;
		if (rc == 0) {
			if (d->queue >= 0 || d->of > 0)
				draw(d);
			continue;
		}
		d->lost = false;
		rc = take_message(a, m, err);
		if (rc != 0)
			break;
		d->lost = true;
	}
	erase(d);
	return rc;
}

static int
died(bool begun, struct llm_err *err)
{
	return llm_err_set(err, LLM_EUNAVAILABLE, "the daemon went away%s",
	    begun ? " in mid-answer: there is more that it did not say"
		  : " before it answered");
}

/* The request to the daemon that is connected.  1: answered; *begun: something of the answer is out. */
static int
try(bool *begun, struct asking *a, struct llm_err *err)
{
	const struct tool_daemon_request *r = a->request;
	int rc = ask(a, err);
	*begun = rc < 0 && r->begun != NULL && r->begun(r->context);
	a->d->served = a->d->served || rc > 0;
	return rc;
}

int
tool_daemon_ask(struct tool_daemon *d, const struct tool_daemon_request *r, struct llm_err *err)
{
	struct asking a = {.d = d, .request = r};
	bool begun;
	if (!tool_daemon_serves(d))
		return 0;
	int rc = try(&begun, &a, err);
	if (rc == LLM_EUNAVAILABLE && d->lost && d->served && !begun) {
		/* It went while nobody asked, and may be there again. */
		llm_client_close(d->client);
		d->client = NULL;
		d->served = false;
		if (dial(&d->client, &(struct llm_err){0}) >= 0)
			rc = try(&begun, &a, err);
	}
	if (rc > 0)
		return 1;
	if (rc == LLM_EUNAVAILABLE && d->lost)
		rc = died(begun, err);
	llm_client_close(d->client);
	d->client = NULL;
	if (begun || said.daemon)
		return rc;
	if (d->verbose)
		tool_note("computed here: %s", err->msg);
	return 0;
}
