/*
 * SPDX-License-Identifier: ISC
 *
 * What the daemon says of itself, asked for and read; printed in three forms, or shown live.  The parts of llmctl are
 * bin/ctl_*.c.
 */
#ifndef LLM_CTL_H
#define LLM_CTL_H

#include "bin/tool.h"
#include "libcore/client.h"

#include <signal.h>

/* A request; what it does not have is NULL or false. */
struct ctl_request {
	const char *op;
	const char *model;
	bool now;
	bool progress;                     /* how far it is, to a terminal */
	int timeout_ms;                    /* for the answer; < 0: none */
	const volatile sig_atomic_t *over; /* not waited for any longer once this is set */
};

/*
 * ctl_ask - the results of a request, which live until the next one.  Errors: what the daemon refused; LLM_EUNAVAILABLE:
 * it died, did not answer in time, or the wait was over.
 */
int ctl_ask(const struct llm_wire_value **done, struct llm_client *c,
    const struct ctl_request *r, struct llm_err *err);

/* Plain data; strings are the message's. */
struct ctl_model {
	struct llm_wire_bytes name, path, shared, state;
	int64_t n_bytes, kv_bytes, jobs;
	bool locked;
};
struct ctl_peer {
	struct llm_wire_bytes name, class;
	int64_t pid, jobs, tokens;
};
struct ctl_status {
	int64_t pid, uptime_ms, memory_bytes, budget_bytes, queue, running;
	double tok_s;
	struct ctl_model *model; /* [n_model] */
	struct ctl_peer *peer;   /* [n_peer] */
	size_t n_model, n_peer;
};

enum { CTL_QUANTILES = 3, CTL_CLASSES = 8 };
extern const double ctl_quantiles[CTL_QUANTILES];

/* Not-a-number where nothing was measured. */
struct ctl_class {
	char name[24];
	int64_t n, tokens;
	double queue_ms[CTL_QUANTILES], prefill_ms[CTL_QUANTILES], decode_ms[CTL_QUANTILES];
};
struct ctl_stats {
	struct ctl_class class[CTL_CLASSES];
	size_t n_class;
	const struct llm_wire_value *counters; /* the message's map; may be NULL */
};

/* The results of "status" and "stats".  LLM_EPROTOCOL: they are not as they should be. */
int ctl_status_read(
    struct ctl_status *s, const struct llm_wire_value *done, struct llm_err *err);
void ctl_status_free(struct ctl_status *s);
int ctl_stats_read(struct ctl_stats *s, const struct llm_wire_value *done, struct llm_err *err);

/* To standard output: TSV records, one line of JSON, the exposition format of Prometheus. */
void ctl_print_status(const struct ctl_status *s);
void ctl_print_stats(const struct ctl_stats *s);
void ctl_print_json(const struct llm_wire_value *v);
void ctl_prometheus_stats(const struct ctl_stats *s);
void ctl_prometheus_status(const struct ctl_status *s);

/* The live view, until q; restores the terminal, and returns or dies. */
void ctl_top(struct llm_client *c);

#endif
