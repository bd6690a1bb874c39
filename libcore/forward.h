/*
 * SPDX-License-Identifier: ISC
 *
 * The forward pass: rows of tokens in, logits out, keys and values into the pages of their sequences.
 * What a row gets depends on its own sequence alone: not on the other rows, their order of arrival,
 * the number of threads or the kernels (the numeric contract).
 */
#ifndef LLM_FORWARD_H
#define LLM_FORWARD_H

#include "libcore/cache.h"
#include "libcore/kernels/kernels.h"
#include "libcore/model.h"
#include "libcore/phase.h"
#include "libcore/token.h"

/* The integer that cached pages and vector files carry: a change of any line of the contract is +1. */
enum { LLM_NUMERIC_VERSION = 1 };

struct llm_pass; /* opaque: scratch and threads of one model; used by one thread at a time */

struct llm_pass_params {
	const struct llm_kernels *kernels; /* NULL: the best */
	int n_thread;                      /* 0: as many as this process may use */
	int max_rows;                      /* rows of one call; 0: 512 */
	bool precise;        /* f32 activations and KV, weights dequantised on the fly */
	enum llm_kv_type kv; /* F16 or Q8_0; with precise it is F32, whatever stands here */
	/* For tests: called after the embedding (layer -1) and after each layer with x [n_row][n_embd];
	 * the last layer computes only the rows whose logits are wanted, and shows those. */
	void (*tap)(void *context, int layer, const float *x, int n_row);
	void *tap_context;
};

/* One token of one sequence.  Rows of one sequence stand in order of position, without gaps, and go on
 * where the sequence ends (pos of the first <= seq->n_pos; an earlier one is computed again). */
struct llm_row {
	struct llm_seq *seq; /* with pages reserved past pos */
	llm_token token;
	int pos;
	bool logits; /* wanted */
};

/*
 * llm_pass_new - scratch, sized once, and threads.  m must outlive the pass.
 */
int llm_pass_new(struct llm_pass **out, const struct llm_model *m,
    const struct llm_pass_params *params, struct llm_err *err);
void llm_pass_free(struct llm_pass *p);

/* What the pass was made with. */
const struct llm_model *llm_pass_model(const struct llm_pass *p);
int llm_pass_max_rows(const struct llm_pass *p);
int llm_pass_n_thread(const struct llm_pass *p);
/* The KV type that its sequences must have: F32 with precise, else what it was made with. */
enum llm_kv_type llm_pass_kv_type(const struct llm_pass *p);

/*
 * llm_pass_phases - the clock of the pass: llm_phase_start turns it on, between calls.
 */
struct llm_phases *llm_pass_phases(struct llm_pass *p);

/*
 * llm_forward - compute n_row rows.
 * logits: f32 [rows that want them][n_vocab], in row order; may be NULL where none does.
 * On success each sequence's n_pos is past its last row.
 * LLM_ENOTFINITE, naming the model and the layer: a value is not finite; that fails only the sequences of
 * the rows that met one: failed is set, n_pos is at the first row of this call, and their logits are
 * of no use; the others are computed as ever.  A later call may try them again.
 * LLM_EDATA: a token out of range, and LLM_EUSAGE: rows that cannot be, more of them than the pass was
 * made for: nothing is changed.
 */
int llm_forward(struct llm_pass *p, const struct llm_row *rows, int n_row, float *logits,
    struct llm_err *err);

/*
 * llm_pass_failure - what failed a sequence in the last call that had rows of it: LLM_ENOTFINITE and the
 * message; 0 where nothing did.
 */
int llm_pass_failure(const struct llm_pass *p, const struct llm_seq *s, struct llm_err *err);

/*
 * llm_forward_hidden - the same, but for the rows that want logits what those would be computed of, after
 * the last norm: f32 [rows that want them][n_embd].  What is not finite may stand there.
 */
int llm_forward_hidden(struct llm_pass *p, const struct llm_row *rows, int n_row, float *hidden,
    struct llm_err *err);

/*
 * llm_pass_share - units [0, n) of a caller's own work by the threads of the pass, between its calls: what is done
 * with each row of logits.
 */
void llm_pass_share(struct llm_pass *p, void (*work)(void *arg, int begin, int end, int thread),
    void *arg, int n);

#endif
