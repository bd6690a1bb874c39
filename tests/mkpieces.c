/*
 * SPDX-License-Identifier: ISC
 *
 * mkpieces MODEL.gguf: texts ended by a NUL in, the WordPiece ids of each out, a line a text: what
 * oracle-wordpiece.py compares.
 */
#include "tokenize/wordpiece.h"

#include <stdio.h>
#include <stdlib.h>

int
main(int argc, char **argv)
{
	struct llm_gguf *g;
	struct llm_wordpiece *w;
	struct llm_ids ids = {0};
	struct llm_err err = {0};
	char *text = NULL;
	size_t cap = 0;
	ssize_t n;
	if (argc != 2 || llm_gguf_open(&g, argv[1], &err) < 0 ||
	    llm_wordpiece_open(&w, g, &err) < 0) {
		fprintf(stderr, "mkpieces: %s\n", argc != 2 ? "mkpieces MODEL.gguf" : err.msg);
		return 1;
	}
	while ((n = getdelim(&text, &cap, '\0', stdin)) > 0) {
		ids.n = 0;
		if (llm_wordpiece_encode(
			&ids, w, text, (size_t)n - (text[n - 1] == '\0'), &err) < 0)
			return 1;
		for (size_t i = 0; i < ids.n; i++)
			printf("%s%d", i > 0 ? " " : "", (int)ids.v[i]);
		printf("\n");
	}
	free(text);
	llm_ids_free(&ids);
	llm_wordpiece_close(w);
	llm_gguf_close(g);
	return 0;
}
