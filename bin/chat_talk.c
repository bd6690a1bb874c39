/*
 * SPDX-License-Identifier: ISC
 *
 * The conversation of llm-chat: a line is a message (a backslash at its end joins the next), an answer
 * follows; Ctrl-C stops the answer or drops the line, Ctrl-D ends.
 */
#include "bin/chat.h"
#include "bin/chat_line.h"
#include "bin/chat_session.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static volatile sig_atomic_t interrupted;

static void
on_interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

static bool
is_interrupted(void *context)
{
	(void)context;
	return interrupted != 0;
}

/* A message while it is typed. */
struct draft {
	char *s;
	size_t n;
};

static void
draft_add(struct draft *d, const char *bytes, size_t n)
{
	char *more = realloc(d->s, d->n + n + 1);
	if (more == NULL)
		tool_fail(LLM_ENOMEM, "out of memory: a message of %zu bytes", d->n + n);
	memcpy(more + d->n, bytes, n);
	d->s = more;
	d->n += n;
	d->s[d->n] = '\0';
}

/* One message; false at the end of input.  An interrupted one is empty. */
static bool
read_message(struct draft *d, struct chat_line *lines)
{
	const char *prompt = "> ";
	d->n = 0;
	for (;;) {
		bool broken;
		const char *line = chat_line_read(&broken, lines, prompt);
		if (line == NULL) {
			tool_write("\n", 1);
			tool_flush();
			d->n = 0;
			draft_add(d, "", 0);
			return broken;
		}
		size_t n = strlen(line);
		if (n > 0)
			chat_line_remember(lines, line);
		bool more = n > 0 && line[n - 1] == '\\';
		draft_add(d, line, more ? n - 1 : n);
		if (!more)
			return true;
		draft_add(d, "\n", 1);
		prompt = ". ";
	}
}

static void
answer(struct chat *c, const struct draft *d)
{
	enum llm_generate_stop stop;
	struct llm_err err = {0};
	interrupted = 0;
	if (chat_ask(&stop, c, d->s, d->n, is_interrupted, &err) < 0)
		tool_note("%s; nothing is forgotten: /reset begins anew", err.msg);
	else
		chat_tell_cut(c, stop);
	interrupted = 0;
}

void
chat_talk(struct chat *c, struct chat_session *session)
{
	struct sigaction sa = {.sa_handler = on_interrupt}, before;
	struct chat_line *lines = chat_line_open();
	struct draft d = {0};
	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, &before);
	while (read_message(&d, lines)) {
		if (strcmp(d.s, "/reset") == 0) {
			chat_reset(c);
			chat_session_reset(session, c);
		} else if (strcmp(d.s, "/help") == 0)
			tool_note("/reset forgets the conversation; Ctrl-C stops an answer; "
				  "Ctrl-D ends; a line that ends in \\ goes on");
		else if (d.n > 0) {
			answer(c, &d);
			chat_session_keep(session, c);
		}
	}
	sigaction(SIGINT, &before, NULL);
	free(d.s);
	chat_line_close(lines);
}
