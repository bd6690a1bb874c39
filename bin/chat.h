/*
 * SPDX-License-Identifier: ISC
 *
 * A conversation with a model: the messages so far, the template that writes them, the sequence that
 * holds what was computed.  llm-chat asks once or talks on; the parts are bin/chat_*.c.
 */
#ifndef LLM_CHAT_H
#define LLM_CHAT_H

#include "bin/tool_answer.h"
#include "tokenize/template.h"

/* How much of a prompt is kept for other calls. */
enum chat_scope {
	CHAT_KEEP_ALL,
	CHAT_KEEP_PROMPT, /* what stands before the data */
	CHAT_KEEP_SYSTEM, /* what stands before the user's first word */
};

/* What the program's own options say. */
struct chat_options {
	const char *system, *template, *date;
	int n_max; /* tokens of an answer; < 0: no limit */
	enum chat_scope scope;
	const char *prompt; /* the text that the data follow; "" where there is none */
};

/* All fields private to chat_turn.c, but engine and by, read-only. */
struct chat {
	const struct chat_options *options;
	struct tool_engine engine;
	struct llm_template *template;
	struct tool_answer by;
	struct llm_sampling sampling;
	llm_token end;               /* the token after an answer, or -1 */
	struct llm_message *message; /* texts and ids are owned */
	size_t n, cap;
	struct llm_ids prompt; /* of the last turn */
	size_t n_keep;         /* of that, what may be kept */
	struct llm_ids answer; /* ids of the answer that grows */
	size_t newlines;       /* at its end, held back */
	double begin, first;   /* of the run: when it began, when the prompt was computed */
};

/* Opens the model as the options say, or dies. */
void chat_open(struct chat *c, const struct chat_options *options);
void chat_close(struct chat *c);
/* Forgets all messages but the system's. */
void chat_reset(struct chat *c);

/*
 * chat_count - the tokens of the prompt that asking text now would make.  Dies where it cannot be made.
 */
size_t chat_count(struct chat *c, const char *text, size_t n);

/*
 * chat_ask - the user says text; the answer goes to standard output as it grows, with one newline at its
 * end.  cancel, which may be NULL, is asked before each pass: true stops the answer.
 * What was said and answered becomes part of the conversation, unless not a token was.
 * LLM_ETOOLONG, and nothing said, where the context does not hold it; other errors are fatal.
 */
int chat_ask(enum llm_generate_stop *stop, struct chat *c, const char *text, size_t n,
    bool (*cancel)(void *context), struct llm_err *err);
/*
 * For a session's transcript: add a message (text is copied; ids, where they are not NULL and not none, are taken
 * over); drop the last; of two system messages at the beginning, where they are equal, drop the first.
 */
void chat_add(
    struct chat *c, enum llm_role role, const char *text, size_t n, struct llm_ids *ids);
void chat_drop(struct chat *c);
bool chat_take_system(struct chat *c);

/*
 * chat_keep - standard output is closed, and of the last turn's prompt what the options say is kept.
 */
void chat_keep(struct chat *c);
/* The same with all that is computed, answers too: for a session. */
void chat_keep_all(struct chat *c);
/* One line on stderr where the answer was cut; returns whether it was. */
bool chat_tell_cut(const struct chat *c, enum llm_generate_stop stop);

/*
 * chat_input - prompt, a blank line, data, as one text; where that is longer than the context and --fit
 * was given, with the part of the data that it names, which is said on stderr.
 * The result is the caller's to free.
 */
char *chat_input(size_t *n_out, struct chat *c, const char *prompt, const char *data, size_t n);

/* chat_talk - a conversation on a terminal, until its end of input; kept where session is one. */
struct chat_session;
void chat_talk(struct chat *c, struct chat_session *session);

#endif
