/*
 * SPDX-License-Identifier: ISC
 *
 * The event loop of the daemon: descriptors, timers, signals, work on other threads.  What libuv gives, and
 * the one place where it is known.  All calls are the loop's thread's but loop_wake's; all callbacks
 * come in it but `work'.
 */
#ifndef LLMD_LOOP_H
#define LLMD_LOOP_H

#include "libcore/err.h"

#include <stdbool.h>
#include <stdint.h>

struct loop; /* opaque */

typedef void (*loop_call)(void *context);

/* before: called each time before the loop waits; may be NULL. */
int loop_new(struct loop **out, loop_call before, void *context, struct llm_err *err);
/* After all that was made on it is freed, or will be by what is still to run. */
void loop_free(struct loop *l);
/* Until loop_stop; then work that is under way is waited for. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* Milliseconds, monotonic, of when the loop last woke. */
uint64_t loop_now_ms(const struct loop *l);

/* A descriptor that is watched: not owned, and not closed before the watch is. */
struct loop_watch;
enum { LOOP_READ = 1, LOOP_WRITE = 2 };
typedef void (*loop_ready)(void *context, int events);
int loop_watch_new(struct loop_watch **out, struct loop *l, int fd, loop_ready call,
    void *context, struct llm_err *err);
/* events 0: not for now. */
void loop_watch_set(struct loop_watch *w, int events);
void loop_watch_free(struct loop_watch *w);

struct loop_timer;
int loop_timer_new(struct loop_timer **out, struct loop *l, loop_call call, void *context,
    struct llm_err *err);
/* In ms, and every ms after that where again is set; a timer that runs begins anew. */
void loop_timer_set(struct loop_timer *t, uint64_t ms, bool again);
void loop_timer_free(struct loop_timer *t);

struct loop_signal;
int loop_signal_new(struct loop_signal **out, struct loop *l, int number, loop_call call,
    void *context, struct llm_err *err);
void loop_signal_free(struct loop_signal *s);

/* From any thread: call comes in the loop's, once for one or several. */
struct loop_wake;
int loop_wake_new(
    struct loop_wake **out, struct loop *l, loop_call call, void *context, struct llm_err *err);
void loop_wake(struct loop_wake *w);
void loop_wake_free(struct loop_wake *w);

/* loop_work - work on another thread, then done in the loop's.  LLM_ENOMEM, and neither is called. */
int loop_work(
    struct loop *l, loop_call work, loop_call done, void *context, struct llm_err *err);

#endif
