/*
 * SPDX-License-Identifier: ISC
 *
 * llmctl top: the daemon at work, drawn anew each second on the other screen of the terminal, which is as it was
 * afterwards, however this ends.  See ctl.h.
 */
#define _DEFAULT_SOURCE /* SIGWINCH, TIOCGWINSZ */
#include "bin/ctl.h"
#include "bin/tool_buffer.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* Escape sequences: the other screen and no cursor; back; home; to the end of the line, of the screen; reverse. */
#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"
#define HOME "\033[H"
#define END_LINE "\033[K"
#define END_SCREEN "\033[J"
#define REVERSE "\033[7m"
#define PLAIN "\033[m"

enum { EVERY_MS = 1000, ANSWER_MS = 10000, COLUMNS_MAX = 500 };

static volatile sig_atomic_t ended, stopped;
static struct termios before;
static bool raw;

/* A screen as it is put together. */
struct screen {
	struct tool_buffer text;
	int rows, columns, row;
};

static void
on_end(int sig)
{
	ended = sig;
}

static void
on_stop(int sig)
{
	stopped = sig;
}

/* The wait for input or an answer ends; what has changed is looked at then. */
static void
on_resize(int sig)
{
	(void)sig;
}

static void
put_terminal(const char *s, size_t n)
{
	while (n > 0) {
		ssize_t k = write(STDOUT_FILENO, s, n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return;
		s += k;
		n -= (size_t)k;
	}
}

static void
terminal_leave(void)
{
	if (!raw)
		return;
	raw = false;
	put_terminal(LEAVE, strlen(LEAVE));
	tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}

static void
terminal_enter(void)
{
	struct termios t;
	if (tcgetattr(STDIN_FILENO, &before) < 0)
		tool_fail(LLM_ESYSTEM, "the terminal cannot be set: %s", strerror(errno));
	t = before;
	t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &t) < 0)
		tool_fail(LLM_ESYSTEM, "the terminal cannot be set: %s", strerror(errno));
	raw = true;
	put_terminal(ENTER, strlen(ENTER));
}

static void
handle(int sig, void (*f)(int))
{
	struct sigaction sa = {.sa_handler = f};
	sigemptyset(&sa.sa_mask);
	sigaction(sig, &sa, NULL);
}

/* Suspended by ^Z, the terminal is the shell's until fg. */
static void
suspend(void)
{
	stopped = 0;
	terminal_leave();
	raise(SIGSTOP);
	terminal_enter();
}

/* One line, cut where the terminal ends, unprintable bytes masked; none below the last row. */
__attribute__((format(printf, 3, 4))) static void
line(struct screen *c, bool head, const char *fmt, ...)
{
	char s[COLUMNS_MAX + 1];
	va_list ap;
	if (c->row >= c->rows)
		return;
	va_start(ap, fmt);
	int n = vsnprintf(s, sizeof s, fmt, ap);
	va_end(ap);
	n = n < 0 ? 0 : n < COLUMNS_MAX ? n : COLUMNS_MAX;
	n = n < c->columns ? n : c->columns;
	for (int i = 0; i < n; i++)
		if (s[i] < 0x20 || s[i] == 0x7F)
			s[i] = '?';
	if (c->row++ > 0)
		tool_buffer_puts(&c->text, "\r\n");
	if (head)
		tool_buffer_puts(&c->text, REVERSE);
	tool_buffer_add(&c->text, s, (size_t)n);
	tool_buffer_puts(&c->text, END_LINE);
	if (head)
		tool_buffer_puts(&c->text, PLAIN);
}

/* Bytes as "812 MiB". */
static const char *
amount(char buf[16], int64_t n_bytes)
{
	double v = (double)n_bytes;
	static const char unit[] = " KMGT";
	int i = 0;
	for (; v >= 1000 && unit[i + 1] != '\0'; i++)
		v /= 1024;
	if (i == 0)
		snprintf(buf, 16, "%.0f B", v);
	else
		snprintf(buf, 16, v < 10 ? "%.1f %ciB" : "%.0f %ciB", v, unit[i]);
	return buf;
}

/* Three times as "0.1 / 2 / 13". */
static const char *
times(char buf[40], const double ms[CTL_QUANTILES])
{
	char one[CTL_QUANTILES][12];
	for (int i = 0; i < CTL_QUANTILES; i++)
		if (isnan(ms[i]))
			snprintf(one[i], sizeof one[i], "-");
		else
			snprintf(one[i], sizeof one[i], ms[i] < 10 ? "%.1f" : "%.0f",
			    ms[i] < 99999999 ? ms[i] : 99999999);
	snprintf(buf, 40, "%s / %s / %s", one[0], one[1], one[2]);
	return buf;
}

static void
draw_status(struct screen *c, const struct ctl_status *s)
{
	char a[16], b[16];
	int64_t up = s->uptime_ms / 1000;
	line(c, false,
	    "llmd %" PRId64 ", up %" PRId64 ":%02d:%02d   %.1f tok/s   %" PRId64
	    " running, %" PRId64 " waiting   %s of %s   %zu clients",
	    s->pid, up / 3600, (int)(up / 60 % 60), (int)(up % 60), s->tok_s, s->running,
	    s->queue, amount(a, s->memory_bytes), amount(b, s->budget_bytes), s->n_peer);
	line(c, false, " ");
	line(c, true, "%-28s %9s %9s %5s  %s", "MODEL", "WEIGHTS", "KV", "JOBS", "STATE");
	for (size_t i = 0; i < s->n_model; i++) {
		const struct ctl_model *m = &s->model[i];
		line(c, false, "%-28.*s %9s %9s %5" PRId64 "  %.*s, %.*s%s", (int)m->name.n,
		    m->name.s, amount(a, m->n_bytes), amount(b, m->kv_bytes), m->jobs,
		    (int)m->state.n, m->state.s, (int)m->shared.n, m->shared.s,
		    m->locked ? ", locked" : "");
	}
	line(c, false, " ");
}

static void
draw_stats(struct screen *c, const struct ctl_stats *s)
{
	char q[40], p[40], d[40];
	line(c, true, "%-12s %8s %9s  %-20s %-20s %s", "CLASS", "DONE", "TOKENS", "QUEUE ms",
	    "PREFILL ms", "ms/TOKEN (p50/p90/p99)");
	for (size_t i = 0; i < s->n_class; i++) {
		const struct ctl_class *v = &s->class[i];
		line(c, false, "%-12s %8" PRId64 " %9" PRId64 "  %-20s %-20s %s", v->name, v->n,
		    v->tokens, times(q, v->queue_ms), times(p, v->prefill_ms),
		    times(d, v->decode_ms));
	}
	line(c, false, " ");
}

static void
draw_peers(struct screen *c, const struct ctl_status *s)
{
	line(c, true, "%-28s %9s  %-12s %5s %9s", "CLIENT", "PID", "CLASS", "JOBS", "TOKENS");
	for (size_t i = 0; i < s->n_peer; i++) {
		const struct ctl_peer *p = &s->peer[i];
		line(c, false, "%-28.*s %9" PRId64 "  %-12.*s %5" PRId64 " %9" PRId64,
		    (int)p->name.n, p->name.s, p->pid, (int)p->class.n, p->class.s, p->jobs,
		    p->tokens);
	}
}

/* Asks and draws once. */
static int
frame(struct screen *c, struct llm_client *client, struct llm_err *err)
{
	const struct llm_wire_value *done;
	struct ctl_request r = {.op = "stats", .timeout_ms = ANSWER_MS, .over = &ended};
	struct ctl_stats stats;
	struct ctl_status status;
	struct winsize w = {0};
	int rc = ctl_ask(&done, client, &r, err);
	if (rc == 0)
		rc = ctl_stats_read(&stats, done, err);
	r.op = "status";
	if (rc == 0)
		rc = ctl_ask(&done, client, &r, err);
	if (rc == 0)
		rc = ctl_status_read(&status, done, err);
	if (rc < 0)
		return rc;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) < 0 || w.ws_row == 0 || w.ws_col == 0)
		w = (struct winsize){.ws_row = 24, .ws_col = 80};
	c->text.n = 0;
	c->row = 0;
	c->rows = w.ws_row - 1;
	c->columns = w.ws_col;
	tool_buffer_puts(&c->text, HOME);
	draw_status(c, &status);
	draw_stats(c, &stats);
	draw_peers(c, &status);
	c->rows++; /* the last row is kept for this */
	line(c, false, "q quits");
	tool_buffer_puts(&c->text, END_SCREEN);
	put_terminal(c->text.s, c->text.n);
	ctl_status_free(&status);
	return 0;
}

/* Waits a second, for a key, or for a signal; true where that was the end. */
static bool
wait_key(void)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	char key = 'q';
	if (poll(&p, 1, EVERY_MS) <= 0)
		return false;
	return read(STDIN_FILENO, &key, 1) < 0 ? errno != EINTR
					       : key == 'q' || key == 'Q' || key == 4; /* ^D */
}

void
ctl_top(struct llm_client *client)
{
	struct screen c = {.row = 0};
	struct llm_err err;
	const char *term = getenv("TERM");
	int rc = 0;
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		tool_usage("top draws on a terminal; 'llmctl status' says the same once");
	if (term == NULL || term[0] == '\0' || strcmp(term, "dumb") == 0)
		tool_usage(
		    "top cannot draw on this terminal; 'llmctl status' says the same once");
	/* As it was, whoever calls exit. */
	if (atexit(terminal_leave) != 0)
		tool_fail(LLM_ENOMEM, "out of memory");
	handle(SIGINT, on_end);
	handle(SIGTERM, on_end);
	handle(SIGHUP, on_end);
	handle(SIGQUIT, on_end);
	handle(SIGTSTP, on_stop);
	handle(SIGWINCH, on_resize);
	terminal_enter();
	do {
		if (stopped != 0)
			suspend();
		rc = frame(&c, client, &err);
	} while (rc == 0 && ended == 0 && !wait_key() && ended == 0);
	terminal_leave();
	free(c.text.s);
	if (ended != 0) {
		signal(ended, SIG_DFL);
		raise(ended);
	}
	if (rc < 0)
		tool_die(&err);
}
