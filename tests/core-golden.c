/*
 * SPDX-License-Identifier: ISC
 *
 * The numeric contract as numbers: hashes of the logits of made models, the same on every machine,
 * compiler and set of kernels.  A change here is a change of a line of the contract: then
 * LLM_NUMERIC_VERSION goes up with it, and what caches hold is no longer valid.
 */
#include "libcore/forward.h"

#include "tests/model.h"
#include "tests/tap.h"

#include <stdlib.h>
#include <string.h>

/* One model and mode, and the hash of its logits at every token. */
struct golden {
	const char *shape, *type;
	double rope_factor;
	enum llm_kv_type kv; /* F32: --precise */
	int n_tok;
	uint64_t hash;
};

static const struct golden goldens[] = {
    {"tiny", "F32", 8, LLM_KV_F32, 40, 0xfd98c1b9aa176a00u},
    {"tiny", "F32", 0, LLM_KV_F16, 1060, 0xa743f541c26d127cu},
    {"odd", "F16", 0, LLM_KV_F16, 40, 0xbcc33b8f256d90f4u},
    {"crowd", "BF16", 0, LLM_KV_F16, 24, 0xf9f2a06cf7b99cf3u},
    {"least", "F32", 0, LLM_KV_F16, 70, 0x6cba371ab5d217b2u},
    {"least", "F16", 8, LLM_KV_F32, 70, 0x1257b5193d546efdu},
    {"odd", "Q4_0", 0, LLM_KV_F16, 40, 0xe958b38c46bbb7a0u},
    {"tiny", "Q4_1", 8, LLM_KV_F16, 40, 0x2805730ec327ffd5u},
    {"tiny", "Q5_0", 0, LLM_KV_F16, 40, 0x8574a1305b5783a2u},
    {"odd", "Q5_1", 0, LLM_KV_F16, 40, 0xb66641168fdb53abu},
    {"tiny", "Q8_0", 0, LLM_KV_F32, 40, 0xee9668cbcd50e357u},
    {"tinyk", "Q2_K", 0, LLM_KV_F16, 40, 0x870d8b8775681f1eu},
    {"tinyk", "Q3_K", 0, LLM_KV_F16, 40, 0x83dfe65e0aad52f8u},
    {"tinyk", "Q4_K_M", 0, LLM_KV_F16, 40, 0xf7fd5c5ea9c87b70u},
    {"tinyk", "Q5_K", 0, LLM_KV_F32, 40, 0x93fd877840a23a8bu},
    {"odd", "Q8_0", 0, LLM_KV_Q8_0, 1060, 0xa12bd162f3082e57u},
    {"tinyk", "Q4_K_M", 8, LLM_KV_Q8_0, 70, 0x6cab989953082560u},
};

/* FNV-1a, over the bits of n floats. */
static uint64_t
hash_floats(uint64_t h, const float *x, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t bits;
		memcpy(&bits, &x[i], sizeof bits);
		for (int k = 0; k < 32; k += 8)
			h = (h ^ (bits >> k & 255)) * 0x100000001b3u;
	}
	return h;
}

static uint64_t
logits_hash(const struct golden *g, const struct llm_kernels *k)
{
	enum { ROWS = 53 };
	struct llm_err err = {0};
	struct llm_model *m = test_model(g->shape, g->type, g->rope_factor, NULL);
	struct llm_pass_params params = {.kernels = k,
	    .precise = g->kv == LLM_KV_F32,
	    .kv = g->kv,
	    .n_thread = 2,
	    .max_rows = ROWS};
	struct llm_pass *p = NULL;
	struct llm_seq *s = NULL;
	size_t n_vocab = (size_t)m->config.n_vocab;
	float *logits = malloc(ROWS * n_vocab * sizeof *logits);
	bool good = logits != NULL && llm_pass_new(&p, m, &params, &err) == 0 &&
		    llm_seq_new(&s, &m->config, llm_pass_kv_type(p), g->n_tok, &err) == 0 &&
		    llm_seq_reserve(s, g->n_tok, &err) == 0;
	uint64_t hash = 0xcbf29ce484222325u;
	for (int pos = 0, n; good && pos < g->n_tok; pos += n) {
		struct llm_row rows[ROWS];
		for (n = 0; n < ROWS && pos + n < g->n_tok; n++) {
			unsigned token = (unsigned)(pos + n) * 2654435761u >> 16;
			rows[n] =
			    (struct llm_row){s, (llm_token)(token % n_vocab), pos + n, true};
		}
		good = llm_forward(p, rows, n, logits, &err) == 0;
		hash = hash_floats(hash, logits, good ? (size_t)n * n_vocab : 0);
	}
	if (!good)
		printf("# %s\n", err.msg);
	free(logits);
	llm_seq_free(s);
	llm_pass_free(p);
	llm_model_close(m);
	return good ? hash : 0;
}

int
main(void)
{
	tap_ok(LLM_NUMERIC_VERSION == 1, "the hashes below are of numeric version 1");
	for (size_t i = 0; i < sizeof goldens / sizeof goldens[0]; i++) {
		const struct golden *g = &goldens[i];
		const struct llm_kernels *k;
		uint64_t hash = g->hash;
		if (tap_quick() && g->n_tok > 1000)
			continue;
		for (int set = 0; hash == g->hash && (k = llm_kernels_at(set)) != NULL; set++)
			if (!tap_quick() || llm_kernels_at(set + 1) == NULL)
				hash = logits_hash(g, k);
		tap_ok(hash == g->hash,
		    "%s %s%s%s, %d tokens: the logits are those of numeric version 1 (%016llx)",
		    g->shape, g->type, g->rope_factor > 0 ? ", scaled rope" : "",
		    g->kv == LLM_KV_F32    ? ", --precise"
		    : g->kv == LLM_KV_Q8_0 ? ", --kv q8_0"
					   : "",
		    g->n_tok, (unsigned long long)hash);
	}
	return tap_done();
}
