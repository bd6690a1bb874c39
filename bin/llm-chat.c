/*
 * SPDX-License-Identifier: ISC
 *
 * llm-chat: a prompt from the arguments and a file, data on standard input; the answer on standard
 * output.  With neither prompt nor data it is a conversation on the terminal.
 */
#include "bin/chat.h"
#include "bin/chat_session.h"
#include "bin/tool_daemon.h"
#include "bin/tool_sampling.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct chat_options chat_options = {.n_max = -1};

static int
scope_take(const char *arg, void *context)
{
	static const char *const names[] = {"all", "prompt", "system"};
	for (int i = 0; i < 3; i++)
		if (strcmp(arg, names[i]) == 0) {
			*(enum chat_scope *)context = (enum chat_scope)i;
			return 0;
		}
	return -1;
}

static const char *prompt_file, *session_name, *forget;
static bool list_sessions;

static const struct tool_option options[] = {
    {.letter = 'S',
	.name = "system",
	.metavar = "TEXT",
	.help = "what the model is told before all else",
	.kind = TOOL_STRING,
	.dest = &chat_options.system},
    {.letter = 'f',
	.name = "prompt-file",
	.metavar = "FILE",
	.help = "a prompt that goes before the one in the arguments",
	.kind = TOOL_STRING,
	.dest = &prompt_file},
    {.letter = 'n',
	.name = "count",
	.metavar = "N",
	.help = "an answer has at most N tokens; a longer one is cut, and the status 2",
	.kind = TOOL_INT,
	.min = 1,
	.max = INT_MAX,
	.dest = &chat_options.n_max},
    {.name = "template",
	.metavar = "NAME",
	.help = "the chat template, where not the file's own: see the manual",
	.kind = TOOL_STRING,
	.dest = &chat_options.template},
    {.name = "date",
	.metavar = "TEXT",
	.help = "today's date, where the template writes one (26 Jul 2024)",
	.kind = TOOL_STRING,
	.dest = &chat_options.date},
    {.name = "session",
	.metavar = "NAME",
	.help = "go on with the conversation of this name, or begin it",
	.kind = TOOL_STRING,
	.dest = &session_name},
    {.name = "sessions",
	.help = "list the conversations that are kept",
	.kind = TOOL_FLAG,
	.dest = &list_sessions},
    {.name = "forget",
	.metavar = "NAME",
	.help = "remove the conversation of this name",
	.kind = TOOL_STRING,
	.dest = &forget},
    {.name = "cache",
	.metavar = "all|prompt|system",
	.help = "keep the beginning of the prompt this far for later calls (all)",
	.kind = TOOL_EACH,
	.dest = &chat_options.scope,
	.each = scope_take},
    {0},
};

static const struct tool tool = {.name = "llm-chat",
    .operands = "[prompt ...]",
    .purpose = "Ask a model about a text, or converse with it.",
    .options = options,
    .more = {
	tool_run_options, tool_prefix_options, tool_sampling_options, tool_daemon_options}};

/* Appends text to *all, after sep where something stands there. */
static void
append(char **all, const char *sep, const char *text, size_t n)
{
	size_t used = *all == NULL ? 0 : strlen(*all), gap = used > 0 ? strlen(sep) : 0;
	char *more = realloc(*all, used + gap + n + 1);
	if (more == NULL)
		tool_fail(LLM_ENOMEM, "out of memory: a prompt of %zu bytes", used + n);
	memcpy(more + used, sep, gap);
	memcpy(more + used + gap, text, n);
	more[used + gap + n] = '\0';
	*all = more;
}

/* Without the newlines at its end, as a shell's $(...) has it. */
static size_t
chomp(const char *s, size_t n)
{
	while (n > 0 && s[n - 1] == '\n')
		n--;
	return n;
}

/* The prompt of file and arguments, or NULL where neither is there. */
static char *
read_prompt(char *const *words)
{
	char *all = NULL, *said = NULL, *file;
	size_t n;
	if (prompt_file != NULL) {
		tool_read_all(&file, &n, prompt_file);
		if (memchr(file, '\0', n) != NULL)
			tool_fail(
			    LLM_EDATA, "the prompt file has a NUL byte; text was expected");
		append(&all, "", file, chomp(file, n));
		free(file);
	}
	for (; *words != NULL; words++)
		append(&said, " ", *words, strlen(*words));
	if (said != NULL)
		append(&all, "\n\n", said, strlen(said));
	free(said);
	return all;
}

/* What has nothing to do with a model; true where that was all. */
static bool
look_after_sessions(int argc, int first)
{
	if (!list_sessions && forget == NULL)
		return false;
	tool_operands(argc, first, 0);
	if (forget != NULL)
		chat_session_forget(forget);
	if (list_sessions)
		chat_session_list();
	return true;
}

static int
take_one_turn(struct chat *c, const char *prompt, const char *data, size_t n)
{
	enum llm_generate_stop stop;
	struct llm_err err = {0};
	char *text = chat_input(&n, c, prompt, data, n);
	if (n == 0)
		tool_fail(
		    LLM_EDATA, "nothing to answer: no prompt, and no data on standard input");
	if (chat_ask(&stop, c, text, n, NULL, &err) < 0)
		tool_die(&err);
	free(text);
	return chat_tell_cut(c, stop) ? TOOL_CUT : 0;
}

int
main(int argc, char **argv)
{
	struct chat chat;
	struct chat_session session = {.fd = -1};
	char *data = NULL;
	size_t n = 0;
	int status = 0;
	tool_sampling.temp = 0.6;
	tool_sampling.top_p = 0.9;
	int first = tool_start(&tool, argc, argv);
	if (look_after_sessions(argc, first))
		tool_exit(0);
	char *prompt = read_prompt(argv + first);
	bool terminal = isatty(STDIN_FILENO);
	chat_options.prompt = prompt == NULL ? "" : prompt;
	if (session_name != NULL)
		chat_options.scope = CHAT_KEEP_ALL;
	chat_open(&chat, &chat_options);
	if (session_name != NULL)
		chat_session_open(&session, &chat, session_name);
	if (!terminal)
		tool_read_all(&data, &n, NULL);
	if (terminal && prompt == NULL)
		chat_talk(&chat, &session);
	else
		status = take_one_turn(&chat, chat_options.prompt, data == NULL ? "" : data,
		    data == NULL ? 0 : chomp(data, n));
	chat_session_keep(&session, &chat);
	if (session_name != NULL)
		chat_keep_all(&chat);
	else
		chat_keep(&chat);
	chat_session_close(&session);
	chat_close(&chat);
	free(prompt);
	free(data);
	tool_exit(status);
}
