/*
 * SPDX-License-Identifier: ISC
 *
 * The lines of a transcript; see chat_transcript.h.
 */
#include "bin/chat_transcript.h"
#include "libcore/json.h"
#include "tokenize/utf8.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char *const roles[] = {"system", "user", "assistant"};

__attribute__((format(printf, 2, 3))) static void
print(struct tool_buffer *t, const char *fmt, ...)
{
	char s[160];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(s, sizeof s, fmt, ap);
	va_end(ap);
	tool_buffer_add(t, s, (size_t)n);
}

/* Ends the line that began at `begin` with its sum. */
static void
sum(struct tool_buffer *t, size_t begin)
{
	char hex[LLM_HASH_HEX];
	struct llm_hash h = llm_hash_of(t->s + begin, t->n - begin);
	print(t, ",\"sum\":\"%s\"}\n", llm_hash_hex(hex, &h));
}

void
transcript_begin(struct tool_buffer *t, const char *model)
{
	size_t begin = t->n;
	print(t, "{\"session\":1,\"model\":\"%s\"", model);
	sum(t, begin);
}

/* Whether JSON can hold the text: whole characters, no NUL. */
static bool
is_text(const char *s, size_t n)
{
	uint32_t cp;
	for (size_t at = 0; at < n; at += llm_utf8_decode(&cp, s + at, n - at)) {
		llm_utf8_decode(&cp, s + at, n - at);
		if (cp == UINT32_MAX || cp == 0)
			return false;
	}
	return true;
}

static void
put_text(struct tool_buffer *t, const char *s, size_t n)
{
	if (!is_text(s, n)) {
		print(t, ",\"bytes\":[");
		for (size_t i = 0; i < n; i++)
			print(t, "%s%d", i > 0 ? "," : "", (unsigned char)s[i]);
		tool_buffer_add(t, "]", 1);
		return;
	}
	print(t, ",\"text\":\"");
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c == '\n')
			tool_buffer_add(t, "\\n", 2);
		else if (c < 0x20)
			print(t, "\\u%04x", c);
		else if (c == '"' || c == '\\')
			print(t, "\\%c", c);
		else
			tool_buffer_add(t, s + i, 1);
	}
	tool_buffer_add(t, "\"", 1);
}

void
transcript_add(struct tool_buffer *t, const struct chat *c, const struct llm_message *m)
{
	size_t begin = t->n;
	print(t, "{\"role\":\"%s\"", roles[m->role]);
	if (m->ids == NULL) {
		put_text(t, m->text, m->n_text);
	} else {
		struct tool_buffer text = {0};
		for (size_t i = 0; i < m->n_ids; i++) {
			struct llm_gguf_str piece;
			if (llm_tokenizer_piece(&piece, c->engine.tokenizer, m->ids[i]))
				tool_buffer_add(&text, piece.s, piece.n);
		}
		put_text(t, text.s == NULL ? "" : text.s, text.n);
		free(text.s);
		print(t, ",\"ids\":[");
		for (size_t i = 0; i < m->n_ids; i++)
			print(t, "%s%d", i > 0 ? "," : "", (int)m->ids[i]);
		tool_buffer_add(t, "]", 1);
	}
	sum(t, begin);
}

/* The line is whole: its end names the sum of what stands before it. */
static bool
sum_is_right(const char *line, size_t n)
{
	static const char key[] = ",\"sum\":\"";
	size_t tail = sizeof key - 1 + 32 + 2;
	char hex[LLM_HASH_HEX];
	if (n < tail || memcmp(line + n - tail, key, sizeof key - 1) != 0)
		return false;
	struct llm_hash h = llm_hash_of(line, n - tail);
	return memcmp(line + n - 34, llm_hash_hex(hex, &h), 32) == 0;
}

static bool
read_text(struct chat_text *out, const struct llm_json *j)
{
	const struct llm_json *bytes = llm_json_member(j, "bytes");
	const char *s;
	size_t n = llm_json_n(bytes);
	int64_t byte;
	if (llm_json_str(&s, &n, llm_json_member(j, "text"))) {
		bytes = NULL;
	} else if (!llm_json_is_array(bytes)) {
		return false;
	}
	if ((out->s = malloc(n + 1)) == NULL)
		tool_fail(LLM_ENOMEM, "out of memory: a message of %zu bytes", n);
	out->n = n;
	if (bytes == NULL)
		memcpy(out->s, s, n);
	for (size_t i = 0; bytes != NULL && i < n; i++) {
		if (!llm_json_int(&byte, llm_json_at(bytes, i)) || byte < 0 || byte > 255)
			return false;
		out->s[i] = (char)byte;
	}
	return true;
}

static bool
read_ids(struct llm_ids *out, const struct llm_json *ids)
{
	struct llm_err err;
	int64_t id;
	for (size_t i = 0; i < llm_json_n(ids); i++) {
		if (!llm_json_int(&id, llm_json_at(ids, i)) || id < 0 || id > INT_MAX)
			return false;
		if (llm_ids_push(out, (llm_token)id, &err) < 0)
			tool_die(&err);
	}
	return true;
}

static bool
read_line(struct transcript_line *l, const struct llm_json *j, bool first)
{
	const char *s;
	size_t n;
	int64_t version;
	if (first) {
		if (!llm_json_int(&version, llm_json_member(j, "session")) || version != 1 ||
		    !llm_json_str(&s, &n, llm_json_member(j, "model")) || n != LLM_HASH_HEX - 1)
			return false;
		memcpy(l->model, s, n);
		return true;
	}
	if (!llm_json_str(&s, &n, llm_json_member(j, "role")))
		return false;
	for (int role = 0; role < 3; role++)
		if (strcmp(s, roles[role]) == 0) {
			l->role = (enum llm_role)role;
			/* Ids are what a model generated: of others there are none. */
			return read_text(&l->text, j) &&
			       read_ids(&l->ids, llm_json_member(j, "ids")) &&
			       (l->ids.n == 0 || l->role == LLM_ROLE_ASSISTANT);
		}
	return false;
}

int
transcript_parse(
    struct transcript_line *out, const char *line, size_t n, bool first, struct llm_err *err)
{
	struct llm_json *j = NULL;
	*out = (struct transcript_line){.role = LLM_ROLE_USER};
	if (!sum_is_right(line, n))
		return llm_err_set(err, LLM_EDATA, "its sum is not that of the line");
	int rc = llm_json_parse(&j, line, n, err);
	if (rc >= 0 && !read_line(out, j, first))
		rc = llm_err_set(err, LLM_EDATA,
		    first ? "no session of version 1" : "no message of a session");
	llm_json_free(j);
	if (rc < 0)
		transcript_line_free(out);
	return rc;
}

void
transcript_line_free(struct transcript_line *l)
{
	free(l->text.s);
	llm_ids_free(&l->ids);
	l->text = (struct chat_text){NULL, 0};
}
