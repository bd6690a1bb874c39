/*
 * SPDX-License-Identifier: ISC
 *
 * The line editor of llm-chat, by libedit; see chat_line.h.
 */
#include "bin/chat_line.h"
#include "bin/chat_history.h"
#include "bin/tool.h"

#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

struct chat_line {
	EditLine *editor;
	History *history;
	char *path;
	const char *prompt;
	char *text; /* the last line */
	bool interrupted;
};

static char *
prompt_of(EditLine *editor)
{
	struct chat_line *l;
	el_get(editor, EL_CLIENTDATA, &l);
	return (char *)(uintptr_t)l->prompt;
}

static void
enter(void *context, const char *line)
{
	struct chat_line *l = context;
	HistEvent event;
	history(l->history, &event, H_ENTER, line);
}

/*
 * Ctrl-C while a line is typed: a key and no signal, for one that comes between two reads of the
 * editor would be lost.
 */
static unsigned char
on_interrupt(EditLine *editor, wint_t key)
{
	struct chat_line *l;
	(void)key;
	el_get(editor, EL_CLIENTDATA, &l);
	l->interrupted = true;
	return CC_EOF;
}

/* Ctrl-Z likewise; the editor's own handler puts the terminal in order, before and after. */
static unsigned char
on_suspend(EditLine *editor, wint_t key)
{
	(void)editor;
	(void)key;
	raise(SIGTSTP);
	return CC_REDISPLAY;
}

/* Characters of more than a byte can be edited under any locale, if the machine knows UTF-8 at all. */
static void
set_locale(void)
{
	if (setlocale(LC_CTYPE, "") == NULL || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		setlocale(LC_CTYPE, "C.UTF-8");
}

struct chat_line *
chat_line_open(void)
{
	struct chat_line *l = calloc(1, sizeof *l);
	HistEvent event;
	set_locale();
	/* Where the answers go to a file, the prompt stays on the terminal. */
	if (l == NULL || (l->history = history_init()) == NULL ||
	    (l->editor = el_init("llm-chat", stdin, isatty(1) ? stdout : stderr, stderr)) ==
		NULL)
		tool_fail(LLM_ESYSTEM, "the line editor cannot be started");
	history(l->history, &event, H_SETSIZE, CHAT_HISTORY_LINES);
	history(l->history, &event, H_SETUNIQUE, 1);
	el_set(l->editor, EL_CLIENTDATA, l);
	el_set(l->editor, EL_PROMPT, prompt_of);
	el_set(l->editor, EL_EDITOR, "emacs");
	el_set(l->editor, EL_SIGNAL, 1);
	el_set(l->editor, EL_HIST, history, l->history);
	el_source(l->editor, NULL);
	/* Wide, for the editor never frees the copies that it makes of narrow names. */
	el_wset(l->editor, EL_ADDFN, L"llm-interrupt", L"Drop the line", on_interrupt);
	el_wset(l->editor, EL_ADDFN, L"llm-suspend", L"Stop until continued", on_suspend);
	el_set(l->editor, EL_SETTY, "-d", "-isig", NULL);
	el_set(l->editor, EL_BIND, "^C", "llm-interrupt", NULL);
	el_set(l->editor, EL_BIND, "^Z", "llm-suspend", NULL);
	/* What becomes of a Ctrl-D that was typed before the editor had the terminal. */
	el_set(l->editor, EL_BIND, "^@", "em-delete-or-list", NULL);
	if ((l->path = chat_history_path()) != NULL)
		chat_history_load(l->path, enter, l);
	return l;
}

void
chat_line_close(struct chat_line *l)
{
	if (l == NULL)
		return;
	el_end(l->editor);
	history_end(l->history);
	free(l->path);
	free(l->text);
	free(l);
}

const char *
chat_line_read(bool *interrupted, struct chat_line *l, const char *prompt)
{
	int n = 0;
	l->prompt = prompt;
	/* From before the prompt is seen, so that every key after it is the editor's. */
	el_set(l->editor, EL_PREP_TERM, 1);
	errno = 0;
	l->interrupted = false;
	const char *line = el_gets(l->editor, &n);
	*interrupted = l->interrupted || (line == NULL && errno == EINTR);
	if (line == NULL || n <= 0) {
		el_reset(l->editor);
		return NULL;
	}
	free(l->text);
	if ((l->text = strdup(line)) == NULL)
		tool_fail(LLM_ENOMEM, "out of memory: a line of %d bytes", n);
	l->text[strcspn(l->text, "\n")] = '\0';
	return l->text;
}

void
chat_line_remember(struct chat_line *l, const char *line)
{
	enter(l, line);
	if (l->path != NULL)
		chat_history_append(l->path, line);
}
