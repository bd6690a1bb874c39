/*
 * SPDX-License-Identifier: ISC
 *
 * llmctl: what the daemon does, and that it do something else.
 */
#define _XOPEN_SOURCE 700 /* realpath */
#include "bin/ctl.h"

#include <stdlib.h>
#include <string.h>

static const char *socket_path;
static bool json, prometheus, now;

static const struct tool_option options[] = {
    {.letter = 's',
	.name = "socket",
	.metavar = "SOCKET",
	.help = "where the daemon listens, see llmd(8)",
	.kind = TOOL_STRING,
	.dest = &socket_path},
    {.letter = 'j', .name = "json", .help = "JSON out", .kind = TOOL_FLAG, .dest = &json},
    {.name = "prometheus",
	.help = "stats in the text format that Prometheus scrapes",
	.kind = TOOL_FLAG,
	.dest = &prometheus},
    {.name = "now",
	.help = "stop without the end of what is under way",
	.kind = TOOL_FLAG,
	.dest = &now},
    {0},
};

static const struct tool tool = {.name = "llmctl",
    .operands = "status | stats | top | load MODEL | unload MODEL | stop",
    .purpose = "What the daemon does, and what it keeps.",
    .options = options};

enum { ANSWER_MS = 10000 };

static struct llm_client *
connect_(void)
{
	char path[LLM_CLIENT_PATH];
	struct llm_client *c;
	struct llm_err err;
	if (llm_client_socket(
		path, socket_path, getenv("LLM_SOCKET"), getenv("XDG_RUNTIME_DIR"), &err) < 0 ||
	    llm_client_open(&c, path, tool.name, &err) < 0)
		tool_die(&err);
	return c;
}

static const struct llm_wire_value *
ask(struct llm_client *c, const struct ctl_request *r)
{
	const struct llm_wire_value *done;
	struct llm_err err;
	if (ctl_ask(&done, c, r, &err) < 0)
		tool_die(&err);
	return done;
}

static void
print_json(const struct llm_wire_value *done)
{
	ctl_print_json(done);
	tool_printf("\n");
}

static void
status(struct llm_client *c, bool print)
{
	struct ctl_status s;
	struct llm_err err;
	const struct llm_wire_value *done =
	    ask(c, &(struct ctl_request){.op = "status", .timeout_ms = ANSWER_MS});
	if (print && json) {
		print_json(done);
		return;
	}
	if (ctl_status_read(&s, done, &err) < 0)
		tool_die(&err);
	if (print)
		ctl_print_status(&s);
	else
		ctl_prometheus_status(&s);
	ctl_status_free(&s);
}

static void
stats(struct llm_client *c)
{
	struct ctl_stats s;
	struct llm_err err;
	const struct llm_wire_value *done =
	    ask(c, &(struct ctl_request){.op = "stats", .timeout_ms = ANSWER_MS});
	if (json) {
		print_json(done);
		return;
	}
	if (ctl_stats_read(&s, done, &err) < 0)
		tool_die(&err);
	if (!prometheus) {
		ctl_print_stats(&s);
		return;
	}
	ctl_prometheus_stats(&s);
	status(c, false);
}

/* The absolute path of a model that is there, or NULL. */
static char *
absolute(const char *model, struct llm_err *err)
{
	char *found = NULL, *path = NULL;
	if (tool_model_find(&found, model, err) < 0)
		return NULL;
	path = realpath(found, NULL);
	free(found);
	return path;
}

/* Loaded is what the caller's store and folder mean; unloaded what the daemon has, though it may be gone since. */
static void
load(struct llm_client *c, const char *op, const char *model)
{
	struct llm_err err = {0};
	char *path = absolute(model, &err), quoted[100];
	bool loads = strcmp(op, "load") == 0;
	if (path == NULL && loads && err.msg[0] != '\0')
		tool_die(&err);
	if (path == NULL && loads)
		tool_fail(LLM_ENOINPUT, "%s: no such file",
		    llm_err_quote(quoted, sizeof quoted, model, strlen(model)));
	const struct llm_wire_value *done = ask(c, &(struct ctl_request){.op = op,
						       .model = path != NULL ? path : model,
						       .progress = loads,
						       .timeout_ms = -1});
	if (json)
		print_json(done);
	free(path);
}

/* Ends when the daemon has: it closes its connections then. */
static void
stop(struct llm_client *c)
{
	const struct llm_wire_value *m;
	struct llm_err err;
	int rc;
	ask(c, &(struct ctl_request){.op = "stop", .now = now, .timeout_ms = -1});
	while ((rc = llm_client_receive(&m, c, -1, &err)) >= 0)
		;
	if (rc != LLM_EUNAVAILABLE)
		tool_die(&err);
}

int
main(int argc, char **argv)
{
	int first = tool_start(&tool, argc, argv);
	const char *what = argv[first], *model = what == NULL ? NULL : argv[first + 1];
	char quoted[60];
	if (what == NULL)
		tool_usage("one of status, stats, top, load, unload and stop was expected");
	bool takes_model = strcmp(what, "load") == 0 || strcmp(what, "unload") == 0;
	bool is_stats = strcmp(what, "stats") == 0, is_stop = strcmp(what, "stop") == 0;
	bool is_status = strcmp(what, "status") == 0, is_top = strcmp(what, "top") == 0;
	if (!takes_model && !is_stats && !is_stop && !is_status && !is_top)
		tool_usage(
		    "'%s': one of status, stats, top, load, unload and stop was expected",
		    llm_err_quote(quoted, sizeof quoted, what, strlen(what)));
	tool_operands(argc, first, takes_model ? 2 : 1);
	if (takes_model && model == NULL)
		tool_usage("%s: which model?", what);
	if (prometheus && (!is_stats || json))
		tool_usage("--prometheus is a form of stats, and not of JSON");
	if (now && !is_stop)
		tool_usage("--now says how to stop");
	if (json && is_top)
		tool_usage("top is for eyes; -j goes with status and stats");
	struct llm_client *c = connect_();
	if (is_status)
		status(c, true);
	else if (is_stats)
		stats(c);
	else if (is_top)
		ctl_top(c);
	else if (takes_model)
		load(c, what, model);
	else
		stop(c);
	llm_client_close(c);
	tool_exit(0);
}
