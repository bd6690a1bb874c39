/*
 * SPDX-License-Identifier: ISC
 *
 * Conversations that are kept: a transcript of JSON Lines in $XDG_STATE_HOME/llm/sessions/NAME.jsonl.
 *	{"session":1,"model":ID,"sum":S}			first
 *	{"role":"system"|"user"|"assistant","text":T,"ids":[..],"sum":S}	then a line a message
 * Text that is no UTF-8 is "bytes":[..] instead; ids are those that an answer was generated as.  S is the
 * hash of the line before its ,"sum".  Lines are appended, synced, never changed; one program at a time.
 */
#ifndef LLM_CHAT_SESSION_H
#define LLM_CHAT_SESSION_H

#include "bin/chat.h"

/* Zero-initialised it is none. */
struct chat_session {
	int fd;
	char *name;
	size_t n_kept; /* messages of the conversation that stand in the file */
};

/*
 * chat_session_open - open or begin the session and put its messages into c.  A torn last line is cut away, which
 * is said.  Dies: 64 a name that is none, 65 a transcript that is damaged, or -S against one that began
 * otherwise, 74 where it cannot be written, 75 where another program has it.
 */
void chat_session_open(struct chat_session *s, struct chat *c, const char *name);
/* Appends what c has and the file has not, whole turns only; dies with 74. */
void chat_session_keep(struct chat_session *s, const struct chat *c);
/* The conversation begins anew: the next turn is the file's first. */
void chat_session_reset(struct chat_session *s, const struct chat *c);
void chat_session_close(struct chat_session *s);

/* --sessions: name, messages, last change, a line each.  --forget: removes one; 66, 75. */
void chat_session_list(void);
void chat_session_forget(const char *name);

#endif
