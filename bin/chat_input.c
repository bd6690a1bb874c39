/*
 * SPDX-License-Identifier: ISC
 *
 * What one turn says: prompt and data joined, and the part of the data that the context holds where
 * --fit names one.  See chat.h.
 */
#include "bin/chat.h"
#include "libcore/size.h"

#include <stdlib.h>
#include <string.h>

/* Bytes [begin, end) of the data. */
struct span {
	size_t begin, end;
};

static char *
join(size_t *n_out, const char *prompt, const char *data, struct span part)
{
	size_t n_prompt = strlen(prompt), n_data = part.end - part.begin, n;
	size_t gap = n_prompt > 0 && n_data > 0 ? 2 : 0;
	char *text = NULL;
	if (!llm_size_add(&n, n_prompt + gap, n_data) || n == SIZE_MAX ||
	    (text = malloc(n + 1)) == NULL)
		tool_fail(LLM_ENOMEM, "out of memory: an input of %zu bytes", n_data);
	memcpy(text, prompt, n_prompt);
	memcpy(text + n_prompt, "\n\n", gap);
	memcpy(text + n_prompt + gap, data + part.begin, n_data);
	text[n] = '\0';
	*n_out = n;
	return text;
}

/* Bytes that ids[0..n) stand for. */
static size_t
bytes_of(const struct llm_tokenizer *t, const llm_token *ids, size_t n)
{
	struct llm_gguf_str piece;
	size_t sum = 0;
	for (size_t i = 0; i < n; i++)
		if (llm_tokenizer_piece(&piece, t, ids[i]))
			sum += piece.n;
	return sum;
}

static bool
inside_character(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/*
 * About `room` tokens of the data.  A SentencePiece text has a space before it that is not in the data:
 * one byte more or less does not matter here, but no character is cut.
 */
static struct span
keep(const struct chat *c, const struct llm_ids *ids, size_t room, const char *data, size_t n)
{
	size_t from = llm_fit_from(tool_run.fit, ids->n, room);
	struct span part;
	if (room > ids->n - from)
		room = ids->n - from;
	part.begin = bytes_of(c->engine.tokenizer, ids->v, from);
	part.end = part.begin + bytes_of(c->engine.tokenizer, ids->v + from, room);
	if (tool_run.fit == LLM_FIT_TAIL || part.end > n)
		part.end = n;
	if (part.begin > part.end)
		part.begin = part.end;
	while (part.begin < part.end && inside_character(data[part.begin]))
		part.begin++;
	while (part.end < n && part.end > part.begin && inside_character(data[part.end]))
		part.end--;
	return part;
}

/* The text with as much of the data as leaves n_prompt tokens at most; *kept of all of them. */
static char *
fit(size_t *n_out, struct chat *c, const char *prompt, const char *data, size_t n)
{
	int n_ctx = tool_answer_n_ctx(&c->by);
	size_t room = (size_t)llm_fit_room(n_ctx, c->options->n_max);
	size_t bare = chat_count(c, prompt, strlen(prompt)), kept, excess;
	struct llm_ids ids = {0};
	struct llm_err err = {0};
	char *text = NULL;
	if (llm_tokenizer_encode(&ids, c->engine.tokenizer, data, n, 0, &err) < 0)
		tool_die(&err);
	if (bare >= room)
		tool_fail(LLM_ETOOLONG,
		    "the prompt without its data has %zu tokens, and of the context of %d "
		    "tokens it may take %zu",
		    bare, n_ctx, room);
	/* Joining and trimming move the count by a few tokens: as often as it is too much, keep less. */
	for (kept = room - bare; kept > 0; kept = kept > excess ? kept - excess : 0) {
		text = join(n_out, prompt, data, keep(c, &ids, kept, data, n));
		size_t count = chat_count(c, text, *n_out);
		if (count <= room)
			break;
		excess = count - room;
		free(text);
		text = NULL;
	}
	if (text == NULL)
		text = join(n_out, prompt, data, (struct span){0, 0});
	tool_note("the data has %zu tokens, the context %d: kept %zu, its %s", ids.n, n_ctx,
	    kept < ids.n ? kept : ids.n, llm_fit_name(tool_run.fit));
	llm_ids_free(&ids);
	return text;
}

char *
chat_input(size_t *n_out, struct chat *c, const char *prompt, const char *data, size_t n)
{
	char *text = join(n_out, prompt, data, (struct span){0, n});
	if (tool_run.fit == LLM_FIT_NONE || n == 0 ||
	    chat_count(c, text, *n_out) < (size_t)tool_answer_n_ctx(&c->by))
		return text;
	free(text);
	return fit(n_out, c, prompt, data, n);
}
