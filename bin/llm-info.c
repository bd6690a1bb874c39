/*
 * SPDX-License-Identifier: ISC
 *
 * llm-info: what a model's file holds: its keys, tensors, sizes and licence, and whether the suite can
 * compute it; or what this processor can do.  One record a line.
 */
#include "bin/tool.h"
#include "bin/tool_cache.h"
#include "libcore/cpu.h"
#include "libcore/encoder.h"
#include "libcore/gguf.h"
#include "libcore/kernels/kernels.h"
#include "libcore/model.h"
#include "tokenize/tokenizer.h"
#include "tokenize/wordpiece.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_ITEMS = 8 }; /* of an array, in text */

static const char *model, *key_wanted;
static bool json, cpu, ident, keep;

static const struct tool_option options[] = {
    {.letter = 'm',
	.name = "model",
	.metavar = "MODEL",
	.help = "a model of the store by name, or a file (a path with a '/')",
	.kind = TOOL_STRING,
	.dest = &model},
    {.letter = 'k',
	.name = "key",
	.metavar = "NAME",
	.help = "print the value of this key alone, whole; exit 1 where there is none",
	.kind = TOOL_STRING,
	.dest = &key_wanted},
    {.letter = 'j',
	.name = "json",
	.help = "print JSON Lines",
	.kind = TOOL_FLAG,
	.dest = &json},
    {.name = "id",
	.help = "print the model's identity: a hash of what it computes, packed or plain",
	.kind = TOOL_FLAG,
	.dest = &ident},
    {.name = "keep",
	.help = "leave beside the file what takes a while to find out",
	.kind = TOOL_FLAG,
	.dest = &keep},
    {.name = "cpu",
	.help = "say what this processor can do and which kernels are used",
	.kind = TOOL_FLAG,
	.dest = &cpu},
    {0},
};

static const struct tool tool = {.name = "llm-info",
    .operands = "[file]",
    .purpose = "Print what a model's file holds.",
    .options = options};

/* A field of text; a terminal must not obey what a file says, so that control bytes are escaped too. */
static void
put_field(const char *s, size_t n)
{
	size_t done = 0;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		if ((c >= 0x20 && c != 0x7f) || c == '\t' || c == '\n' || c == '\r')
			continue;
		tool_tsv(s + done, i - done);
		tool_printf("\\x%02X", c);
		done = i + 1;
	}
	tool_tsv(s + done, n - done);
}

/* Text as the output has it: a JSON string, or a field. */
static void
put_text(const char *s, size_t n)
{
	if (json)
		tool_json(s, n);
	else
		put_field(s, n);
}

/* A number; JSON has none that is not finite. */
static void
put_float(double v, int digits)
{
	if (json && !isfinite(v))
		tool_printf("null");
	else
		tool_printf("%.*g", digits, v);
}

/* Item i of a key that is not of strings. */
static void
put_number(const struct llm_gguf_key *k, uint64_t i)
{
	int64_t v = 0;
	if (k->item_type == LLM_GGUF_F32 || k->item_type == LLM_GGUF_F64)
		put_float(llm_gguf_item_f64(k, i), k->item_type == LLM_GGUF_F32 ? 9 : 17);
	else if (!llm_gguf_item_int(&v, k, i)) /* a u64 above INT64_MAX */
		tool_printf("%" PRIu64, (uint64_t)v);
	else if (k->item_type == LLM_GGUF_BOOL)
		tool_printf(v != 0 ? "true" : "false");
	else
		tool_printf("%" PRId64, v);
}

/* The items of an array, each preceded by what separates it from the last; at most n. */
static void
put_items(const struct llm_gguf_key *k, uint64_t n, const char *separator)
{
	struct llm_gguf_str s;
	size_t cursor = 0;
	for (uint64_t i = 0; i < n; i++) {
		if (i > 0)
			tool_printf("%s", separator);
		if (k->item_type != LLM_GGUF_STRING)
			put_number(k, i);
		else if (llm_gguf_next_str(&s, k, &cursor))
			put_text(s.s, s.n);
	}
}

static void
put_key_json(const struct llm_gguf_key *k)
{
	tool_printf("{\"key\":");
	tool_json(k->name.s, k->name.n);
	tool_printf(",\"type\":\"%s%s\",", llm_gguf_type_name(k->item_type),
	    k->type == LLM_GGUF_ARRAY ? "[]" : "");
	if (k->type == LLM_GGUF_STRING) {
		tool_json_text("value", (const char *)k->data, k->n_bytes);
	} else if (k->type == LLM_GGUF_ARRAY) {
		tool_printf("\"value\":[");
		put_items(k, k->n_item, ",");
		tool_printf("]");
	} else {
		tool_printf("\"value\":");
		put_number(k, 0);
	}
	tool_printf("}\n");
}

static void
put_key(const struct llm_gguf_key *k)
{
	tool_printf("key\t");
	put_field(k->name.s, k->name.n);
	tool_printf("\t%s", llm_gguf_type_name(k->item_type));
	if (k->type == LLM_GGUF_ARRAY)
		tool_printf("[%" PRIu64 "]", k->n_item);
	tool_printf("\t");
	if (k->type == LLM_GGUF_STRING)
		put_field((const char *)k->data, k->n_bytes);
	else if (k->type != LLM_GGUF_ARRAY)
		put_number(k, 0);
	else
		put_items(k, k->n_item < SHOWN_ITEMS ? k->n_item : SHOWN_ITEMS, ", ");
	tool_printf(
	    "%s\n", k->type == LLM_GGUF_ARRAY && k->n_item > SHOWN_ITEMS ? ", ..." : "");
}

static void
put_tensor(const struct llm_gguf_tensor *t)
{
	const char *type = llm_dtype_info((uint32_t)t->type)->name, *x = json ? "," : "x";
	tool_printf(json ? "{\"tensor\":" : "tensor\t");
	put_text(t->name.s, t->name.n);
	tool_printf(json ? ",\"type\":\"%s\",\"shape\":[" : "\t%s\t", type);
	for (int i = 0; i < t->n_dim; i++)
		tool_printf("%s%" PRId64, i > 0 ? x : "", t->ne[i]);
	tool_printf(json ? "],\"bytes\":%zu}\n" : "\t%zu\n", t->n_bytes);
}

static void
put_files(const struct llm_gguf *g)
{
	for (int i = 0; i < llm_gguf_n_part(g); i++) {
		const char *path = llm_gguf_part_path(g, i);
		tool_printf(json ? "{\"file\":" : "file\t");
		put_text(path, strlen(path));
		tool_printf(json ? ",\"bytes\":%zu}\n" : "\t%zu\n", llm_gguf_part_bytes(g, i));
	}
	tool_printf(json ? "{\"format\":\"GGUF\",\"version\":%d}\n" : "format\tGGUF\t%d\n",
	    llm_gguf_version(g));
}

/* What the file says of its licence: an identifier, a name, an address; empty where it does not. */
static void
put_licence(const struct llm_gguf *g)
{
	static const char *const names[] = {
	    "general.license", "general.license.name", "general.license.link"};
	static const char *const fields[] = {"licence", "name", "link"};
	for (int i = 0; i < 3; i++) {
		struct llm_gguf_str s = {"", 0};
		bool there = llm_gguf_str(&s, g, names[i], NULL) > 0;
		if (json) {
			tool_printf("%s\"%s\":", i == 0 ? "{" : ",", fields[i]);
			there ? (void)tool_json(s.s, s.n) : tool_printf("null");
		} else {
			tool_printf(i == 0 ? "licence\t" : "\t");
			put_field(s.s, s.n);
		}
	}
	tool_printf(json ? "}\n" : "\n");
}

static bool
encoder_usable(const char *path, struct llm_err *err)
{
	struct llm_gguf *g = NULL;
	struct llm_encoder *e = NULL;
	struct llm_wordpiece *w = NULL;
	bool good = llm_gguf_open(&g, path, err) >= 0 && llm_wordpiece_open(&w, g, err) >= 0 &&
		    llm_encoder_open(&e, g, err) >= 0;
	llm_wordpiece_close(w);
	if (e == NULL)
		llm_gguf_close(g);
	llm_encoder_close(e);
	return good;
}

/* Whether the programs can compute it, or the reason that they would give. */
static bool
put_usable(const struct llm_gguf *g, const char *path)
{
	struct llm_err err = {0};
	struct llm_model *m = NULL;
	struct llm_tokenizer *t = NULL;
	bool good = llm_encoder_is(g) ? encoder_usable(path, &err)
				      : llm_model_open(&m, path, &err) >= 0 &&
					    llm_tokenizer_open(&t, m->gguf, &err) >= 0;
	llm_tokenizer_close(t);
	llm_model_close(m);
	tool_printf(json ? "{\"usable\":%s" : "usable\t%s",
	    json ? (good ? "true" : "false") : (good ? "yes" : "no"));
	if (!good) {
		tool_printf(json ? ",\"reason\":" : "\t");
		put_text(err.msg, strlen(err.msg));
	}
	tool_printf(json ? "}\n" : "\n");
	return good;
}

/* Sums by type of weights, in the order of their numbers, and over all. */
struct sum {
	size_t n_tensor, n_bytes;
	uint64_t n_weight;
};

static void
put_sum(const char *type, const struct sum *s)
{
	tool_printf(json ? "{\"total\":\"%s\",\"tensors\":%zu,\"weights\":%" PRIu64
			   ",\"bytes\":%zu}\n"
			 : "total\t%s\t%zu\t%" PRIu64 "\t%zu\n",
	    type, s->n_tensor, s->n_weight, s->n_bytes);
}

static void
put_sums(const struct llm_gguf *g)
{
	struct sum of[LLM_DTYPE_MAX] = {{0}}, all = {0};
	for (size_t i = 0; i < llm_gguf_n_tensor(g); i++) {
		const struct llm_gguf_tensor *t = llm_gguf_tensor_at(g, i);
		struct sum *sums[] = {&of[t->type], &all};
		for (int k = 0; k < 2; k++) {
			sums[k]->n_tensor++;
			sums[k]->n_bytes += t->n_bytes;
			sums[k]->n_weight +=
			    (uint64_t)(t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3]);
		}
	}
	for (uint32_t i = 0; i < LLM_DTYPE_MAX; i++)
		if (of[i].n_tensor > 0)
			put_sum(llm_dtype_info(i)->name, &of[i]);
	put_sum("all", &all);
}

/* One key's value: a string as it is, numbers and the items of an array one a line. */
static int
put_value(const struct llm_gguf *g)
{
	const struct llm_gguf_key *k = llm_gguf_key(g, key_wanted);
	if (k == NULL)
		return TOOL_NO;
	if (json) {
		put_key_json(k);
		return 0;
	}
	if (k->type == LLM_GGUF_STRING)
		tool_write(k->data, k->n_bytes);
	else
		put_items(k, k->n_item, "\n");
	if (k->n_item > 0)
		tool_printf("\n");
	return 0;
}

static void
put_ident(const struct llm_gguf *g)
{
	char hex[LLM_HASH_HEX];
	struct llm_hash id = tool_ident(g);
	tool_printf(json ? "{\"id\":\"%s\"}\n" : "%s\n", llm_hash_hex(hex, &id));
}

static int
put_model(const char *path)
{
	struct llm_err err;
	struct llm_gguf *g;
	int status = 0;
	if (llm_gguf_open(&g, path, &err) < 0)
		tool_die(&err);
	tool_guard(g);
	if (key_wanted != NULL) {
		status = put_value(g);
	} else if (ident) {
		put_ident(g);
	} else {
		put_files(g);
		put_licence(g);
		bool usable = put_usable(g, path);
		put_sums(g);
		for (size_t i = 0; i < llm_gguf_n_key(g); i++)
			(json ? put_key_json : put_key)(llm_gguf_key_at(g, i));
		for (size_t i = 0; i < llm_gguf_n_tensor(g); i++)
			put_tensor(llm_gguf_tensor_at(g, i));
		if (keep && usable)
			tool_keep(g);
	}
	tool_unguard(g);
	llm_gguf_close(g);
	return status;
}

/* One fact of the processor. */
static void
put_fact(const char *name, const char *value)
{
	tool_printf(json ? "{\"%s\":" : "%s\t", name);
	put_text(value, strlen(value));
	tool_printf(json ? "}\n" : "\n");
}

static int
put_cpu(void)
{
	struct llm_err err;
	struct llm_cpu c = llm_cpu_detect();
	const struct llm_kernels *used;
	char threads[16];
	if (llm_kernels_get(&used, getenv("LLM_KERNELS"), &err) < 0)
		tool_die(&err);
	put_fact("machine", c.amx       ? "AMX"
			    : c.avx512  ? "AVX-512 VNNI"
			    : c.avxvnni ? "AVX-VNNI"
			    : c.avx2    ? "AVX2"
			    : c.dotprod ? "NEON with SDOT"
			    : c.neon    ? "NEON"
					: "plain");
	snprintf(threads, sizeof threads, "%d", llm_cpu_count());
	put_fact("threads", threads);
	for (int i = 0; llm_kernels_at(i) != NULL; i++)
		put_fact("kernels", llm_kernels_at(i)->name);
	put_fact("used", used->name);
	return 0;
}

int
main(int argc, char **argv)
{
	int first = tool_start(&tool, argc, argv);
	tool_operands(argc, first, cpu ? 0 : 1);
	if (cpu && (model != NULL || key_wanted != NULL || ident || keep))
		tool_usage("--cpu stands alone: it looks at no model");
	if ((key_wanted != NULL) + ident + keep > 1)
		tool_usage("-k, --id and --keep exclude each other");
	if (model != NULL && first < argc)
		tool_usage("a model was named twice: -m %.60s and %.60s", model, argv[first]);
	if (cpu)
		tool_exit(put_cpu());
	char *path = first < argc ? NULL : tool_model(model);
	int status = put_model(path != NULL ? path : argv[first]);
	free(path);
	tool_exit(status);
}
