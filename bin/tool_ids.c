/*
 * SPDX-License-Identifier: ISC
 *
 * Input as token ids; see tool_ids.h.
 */
#include "bin/tool_ids.h"
#include "bin/tool.h"

#include <stdlib.h>
#include <string.h>

void
tool_read_ids(struct llm_ids *ids, const char *path, int n_vocab)
{
	static const char space[] = " \t\r\n";
	struct llm_err err = {0};
	char *text, found[80], name[TOOL_NAME];
	size_t n, len, line = 1;
	tool_read_all(&text, &n, path);
	for (char *p = text; p < text + n; p += len) {
		if (strchr(space, *p) != NULL && *p != '\0') {
			line += *p == '\n';
			len = 1;
			continue;
		}
		len = strcspn(p, space);
		char after = p[len];
		int id;
		p[len] = '\0';
		if (len == 0 || !tool_int(&id, p, 0, n_vocab - 1))
			tool_fail(LLM_EDATA,
			    "%s, line %zu: '%s' is no token id of this model, 0 to %d",
			    tool_name_of(name, path), line,
			    llm_err_quote(found, sizeof found, p, len > 0 ? len : 1),
			    n_vocab - 1);
		p[len] = after;
		if (llm_ids_push(ids, id, &err) < 0)
			tool_die(&err);
	}
	free(text);
}

size_t
tool_text_ids(struct llm_ids *ids, const struct llm_tokenizer *t, const char *path)
{
	struct llm_err err = {0};
	char *text;
	size_t n, n_head = llm_tokenizer_adds_bos(t) && llm_tokenizer_bos(t) >= 0;
	tool_read_all(&text, &n, path);
	if ((n_head > 0 && llm_ids_push(ids, llm_tokenizer_bos(t), &err) < 0) ||
	    llm_tokenizer_encode(ids, t, text, n, 0, &err) < 0)
		tool_die(&err);
	free(text);
	return n_head;
}
