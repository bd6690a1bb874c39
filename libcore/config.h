/*
 * SPDX-License-Identifier: ISC
 *
 * Hyper-parameters of a model, read from its GGUF keys and checked against one another, and the row
 * that describes its architecture.  The layer loop reads these and never a name.
 */
#ifndef LLM_CONFIG_H
#define LLM_CONFIG_H

#include "libcore/gguf.h"

/*
 * One architecture.  What differs between families is data here, so that the pass has no branches
 * on names; a family with another shape of layer adds a field, not an if.
 */
struct llm_arch {
	const char *name; /* general.architecture, and the prefix of its keys */
};

/* Plain data, read-only once read. */
struct llm_config {
	const struct llm_arch *arch;
	int n_layer, n_embd, n_head, n_head_kv, d_head, n_ff, n_vocab;
	int n_rot;      /* dims of a head that are rotated; here always d_head */
	int n_ctx;      /* longest context, in positions: the file's, or its sliding window */
	float norm_eps; /* of RMSNorm */
	double rope_theta;
	double rope_factor; /* linear scaling: frequencies are divided by it; 1 = none */
	bool tied;          /* the output matrix is the embedding */
};

/*
 * llm_config_read - fill c from the keys of g.
 * LLM_EUNSUPPORTED: an architecture, scaling type or feature that is not computed, by its name.
 * LLM_EDATA: a key missing, of another type, or out of range.
 */
int llm_config_read(struct llm_config *c, const struct llm_gguf *g, struct llm_err *err);

#endif
