/*
 * SPDX-License-Identifier: ISC
 *
 * The lines of a transcript: written, and read again.  chat_session.h has the form.
 */
#ifndef LLM_CHAT_TRANSCRIPT_H
#define LLM_CHAT_TRANSCRIPT_H

#include "bin/chat.h"
#include "bin/tool_buffer.h"
#include "libcore/hash.h"

/* Lines behind those that t holds: the first of a transcript; a message. */
void transcript_begin(struct tool_buffer *t, const char *model);
/* Of an answer that has ids, its text is theirs. */
void transcript_add(struct tool_buffer *t, const struct chat *c, const struct llm_message *m);

/* One line, read. */
struct transcript_line {
	char model[LLM_HASH_HEX]; /* of the first */
	enum llm_role role;
	struct chat_text {
		char *s;
		size_t n;
	} text;
	struct llm_ids ids;
};

/* LLM_EDATA where the line is none, or its sum is another's. */
int transcript_parse(
    struct transcript_line *out, const char *line, size_t n, bool first, struct llm_err *err);
void transcript_line_free(struct transcript_line *l);

#endif
