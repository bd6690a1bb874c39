/*
 * SPDX-License-Identifier: ISC
 *
 * Reading an index; see corpus.h.
 */
#include "embed/corpus.h"
#include "embed/corpus_file.h"
#include "libcore/size.h"

#include <float.h>
#include <string.h>

_Static_assert(sizeof(struct llm_corpus_head) == LLM_CORPUS_HEAD, "the head has no padding");

enum { MAX_EMBD = 1 << 20 };

bool
llm_corpus_layout(size_t *ends, size_t *texts, size_t *n_bytes, const struct llm_corpus_head *h)
{
	size_t n_record, n_text, n;
	return llm_size_from_u64(&n_record, h->n_record) &&
	       llm_size_from_u64(&n_text, h->n_text) && llm_size_mul(&n, n_record, h->n_embd) &&
	       llm_size_mul(&n, n, sizeof(float)) && llm_size_add(&n, n, LLM_CORPUS_HEAD) &&
	       llm_size_align(ends, n, sizeof(uint64_t)) &&
	       llm_size_mul(&n, n_record, sizeof(uint64_t)) && llm_size_add(texts, *ends, n) &&
	       llm_size_add(n_bytes, *texts, n_text);
}

static int
parse(struct llm_corpus *ix, struct llm_err *err)
{
	struct llm_corpus_head h;
	size_t ends, texts, n_bytes;
	const char *name = ix->map.name;
	if (ix->map.n_bytes < sizeof h || memcmp(ix->map.data, "LLMINDEX", 8) != 0)
		return llm_err_set(err, LLM_EDATA, "%s: no index of llm-search", name);
	memcpy(&h, ix->map.data, sizeof h);
	if (h.version != LLM_CORPUS_VERSION)
		return llm_err_set(err, LLM_EDATA,
		    "%s: an index of version %u; expected %d: build it again", name, h.version,
		    LLM_CORPUS_VERSION);
	if (h.n_embd < 1 || h.n_embd > MAX_EMBD || h.normalized > 1 || h.pooling > 255 ||
	    !(h.longest >= 0 && h.longest <= FLT_MAX) ||
	    !llm_corpus_layout(&ends, &texts, &n_bytes, &h))
		return llm_err_set(err, LLM_EDATA,
		    "%s: a damaged index: %u dimensions, %llu records: build it again", name,
		    h.n_embd, (unsigned long long)h.n_record);
	if (n_bytes != ix->map.n_bytes)
		return llm_err_set(err, LLM_EDATA,
		    "%s: an index of %zu bytes; expected %zu for its %llu records: build it "
		    "again",
		    name, ix->map.n_bytes, n_bytes, (unsigned long long)h.n_record);
	ix->maker = (struct llm_corpus_maker){.numeric_version = h.numeric_version,
	    .n_embd = (int)h.n_embd,
	    .pooling = (int)h.pooling,
	    .normalized = h.normalized != 0};
	memcpy(ix->maker.model, h.model, sizeof h.model);
	ix->n_record = (size_t)h.n_record;
	ix->n_text = (size_t)h.n_text;
	ix->longest = h.longest;
	ix->vector = (const float *)(const void *)(ix->map.data + LLM_CORPUS_HEAD);
	ix->end = (const uint64_t *)(const void *)(ix->map.data + ends);
	ix->text = (const char *)ix->map.data + texts;
	return 0;
}

int
llm_corpus_open(struct llm_corpus *ix, const char *path, struct llm_err *err)
{
	*ix = (struct llm_corpus){.n_record = 0};
	int rc = llm_map_open(&ix->map, path, err);
	if (rc >= 0 && (rc = parse(ix, err)) < 0)
		llm_map_close(&ix->map);
	return rc;
}

void
llm_corpus_close(struct llm_corpus *ix)
{
	llm_map_close(&ix->map);
	*ix = (struct llm_corpus){.n_record = 0};
}

int
llm_corpus_text(
    const char **text, size_t *n, const struct llm_corpus *ix, size_t i, struct llm_err *err)
{
	uint64_t begin = i == 0 ? 0 : ix->end[i - 1] << 1 >> 1, end = ix->end[i] << 1 >> 1;
	if (begin > end || end > ix->n_text)
		return llm_err_set(err, LLM_EDATA,
		    "%s: a damaged index: record %zu lies outside of it: build it again",
		    ix->map.name, i + 1);
	*text = ix->text + begin;
	*n = (size_t)(end - begin);
	return 0;
}
