/*
 * SPDX-License-Identifier: ISC
 *
 * llm-score: text in, each of its tokens and how likely the model found it out, or the perplexity.
 */
#include "bin/score.h"
#include "bin/tool.h"
#include "bin/tool_daemon.h"
#include "bin/tool_ids.h"
#include "libcore/fmath.h"

#include <limits.h>
#include <stdlib.h>

static int window, n_top;
static bool perplexity, json;

static const struct tool_option options[] = {
    {.letter = 'p',
	.name = "perplexity",
	.help = "print the perplexity of the text alone",
	.kind = TOOL_FLAG,
	.dest = &perplexity},
    {.letter = 'w',
	.name = "window",
	.metavar = "N",
	.help = "score windows of N tokens, each on its second half",
	.kind = TOOL_INT,
	.min = 2,
	.max = INT_MAX,
	.dest = &window},
    {.letter = 'j',
	.name = "json",
	.help = "print JSON Lines",
	.kind = TOOL_FLAG,
	.dest = &json},
    {.letter = 'k',
	.name = "top",
	.metavar = "N",
	.help = "with -j: also the N likeliest tokens in its place",
	.kind = TOOL_INT,
	.min = 1,
	.max = 1000,
	.dest = &n_top},
    {0},
};

static const struct tool tool = {.name = "llm-score",
    .operands = "[file]",
    .purpose = "Print how likely a model finds each token of a text.",
    .options = options,
    .more = {tool_run_options, tool_daemon_options}};

struct sums {
	const struct llm_tokenizer *tokenizer;
	double nats; /* of the scored tokens, added in order */
	size_t n_scored;
	bool
	    drop_space; /* the next piece begins the text, with a space that is not the text's */
	bool head;      /* the next token was put before the text */
};

/* The bytes of the text that a token stands for; none of one that was put before it. */
static struct llm_gguf_str
text_of(struct sums *s, llm_token id)
{
	struct llm_gguf_str piece = {0};
	bool drop = s->drop_space && !s->head;
	if (s->head || !llm_tokenizer_piece(&piece, s->tokenizer, id))
		piece = (struct llm_gguf_str){.s = ""};
	if (drop) {
		s->drop_space = false;
		if (piece.n > 0 && piece.s[0] == ' ')
			piece = (struct llm_gguf_str){.s = piece.s + 1, .n = piece.n - 1};
	}
	s->head = false;
	return piece;
}

static void
json_print(const struct llm_score_item *item, struct llm_gguf_str text)
{
	tool_printf("{\"id\":%d,\"logprob\":", (int)item->id);
	if (item->scored)
		tool_printf("%.9g,", item->nats);
	else
		tool_printf("null,");
	tool_json_text("text", text.s, text.n);
	if (n_top > 0 && !item->scored)
		tool_printf(",\"top\":null");
	if (n_top > 0 && item->scored) {
		tool_printf(",\"top\":[");
		for (int i = 0; i < item->n_top; i++)
			tool_printf("%s[%d,%.9g]", i > 0 ? "," : "", (int)item->top[i].id,
			    item->top[i].nats);
		tool_printf("]");
	}
	tool_printf("}\n");
}

static void
on_item(void *context, const struct llm_score_item *item)
{
	struct sums *s = context;
	if (item->scored) {
		s->nats += item->nats;
		s->n_scored++;
	}
	if (perplexity)
		return;
	struct llm_gguf_str text = text_of(s, item->id);
	if (json) {
		json_print(item, text);
		return;
	}
	if (item->scored)
		tool_printf("%d\t%.9g\t", (int)item->id, item->nats);
	else
		tool_printf("%d\t-\t", (int)item->id);
	tool_tsv(text.s, text.n);
	tool_printf("\n");
}

static void
perplexity_print(const struct sums *s, const struct llm_ids *ids)
{
	if (s->n_scored == 0)
		tool_fail(LLM_EDATA,
		    "a text of %zu token has no perplexity: nothing predicts the first",
		    ids->n);
	double value = llm_exp(-s->nats / (double)s->n_scored);
	if (json)
		tool_printf("{\"perplexity\":%.9g,\"n\":%zu}\n", value, s->n_scored);
	else
		tool_printf("%.9g\n", value);
}

int
main(int argc, char **argv)
{
	struct tool_engine e;
	struct llm_ids ids = {0};
	struct llm_err err = {0};
	struct score score;
	struct sums sums = {0};
	int first = tool_start(&tool, argc, argv);
	tool_operands(argc, first, 1);
	if (n_top > 0 && !json)
		tool_usage("-k adds to what -j prints: give -j too");
	tool_engine_open(&e);
	int n_ctx = e.model->config.n_ctx;
	if (window > n_ctx)
		tool_usage("-w %d: the context of %s holds %d tokens", window, e.name, n_ctx);
	size_t n_head = tool_text_ids(&ids, e.tokenizer, argv[first]);
	if (ids.n == n_head) /* no text, no record */
		tool_exit(0);
	if (window == 0)
		tool_fit(&ids, n_head, n_ctx, 0);
	sums.tokenizer = e.tokenizer;
	sums.drop_space = llm_tokenizer_space_prefix(e.tokenizer);
	struct llm_score_params params = {.vector = e.kernels->vector,
	    .n_top = perplexity ? 0 : n_top,
	    .emit = on_item,
	    .context = &sums};
	score_open(&score, &e, &params);
	size_t step = window > 0 ? (size_t)window - n_head : ids.n;
	for (size_t at = n_head, n; at < ids.n; at += n) {
		n = ids.n - at < step ? ids.n - at : step;
		if (n_head >
		    0) /* each window begins as a text does, over what was scored already */
			ids.v[at - 1] = ids.v[0];
		sums.head = n_head > 0;
		if (score_window(&score, ids.v + at - n_head, n_head + n,
			window > 0 ? (n_head + n) / 2 : 1, &err) < 0)
			tool_die(&err);
	}
	if (perplexity)
		perplexity_print(&sums, &ids);
	tool_flush();
	score_close(&score);
	tool_engine_close(&e);
	llm_ids_free(&ids);
	tool_exit(0);
}
