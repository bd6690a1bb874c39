/*
 * SPDX-License-Identifier: ISC
 *
 * Fold by its rules: what is masked and how it is called, what heads a line, which words vary, that
 * counts add up whatever comes, and that the order of lines changes no template.
 */
#include "tests/tap.h"
#include "tokenize/fold.h"

#include <stdlib.h>
#include <string.h>

/* The template of the only line, or of two equal ones. */
static bool
shows(const char *line, int times, const char *wanted)
{
	struct llm_fold *f = llm_fold_new(NULL);
	struct llm_fold_template t = {0};
	uint32_t shape;
	for (int i = 0; i < times; i++)
		llm_fold_add(f, &shape, line, strlen(line), NULL);
	bool good = llm_fold_settle(f, NULL) == 1 && llm_fold_nth(&t, f, 0, NULL) == 0 &&
		    t.n_text == strlen(wanted) && memcmp(t.text, wanted, t.n_text) == 0;
	if (!good)
		printf("# got:    %.*s\n# wanted: %s\n", (int)t.n_text, t.text, wanted);
	llm_fold_free(f);
	return good;
}

static void
test_masks(void)
{
	static const struct {
		const char *line, *wanted;
	} c[] = {
	    {"took 12.5 ms for 3 files", "took <duration> for <num> files"},
	    {"used 4 GB, free 10MB", "used <size>, free <size>"},
	    {"peer 10.0.0.1:80 up", "peer <ip> up"},
	    {"peer fe80::1 and 2001:db8::8a2e:370:7334 up", "peer <ip> and <ip> up"},
	    {"from aa:bb:cc:dd:ee:ff to 00:1a:2b:3c:4d:5e now", "from <mac> to <mac> now"},
	    {"session 0x1f00ff gone", "session <hex> gone"},
	    {"request 123e4567-e89b-12d3-a456-426614174000 done", "request <uuid> done"},
	    {"open /var/lib/x1 failed", "open <path> failed"},
	    {"open C:\\Temp\\f.txt failed", "open <path> failed"},
	    {"GET http://example.org/x failed", "GET <url> failed"},
	    {"block blk_-1234567 lost", "block <id> lost"},
	    {"at Fri Jun 17 07:07:00 2005 it began", "at <time> it began"},
	    {"Received block 9 at 2024-01-02T03:04:05.678Z ok",
		"Received block <num> at <time> ok"},
	    {"total 1,234,567 of 5%", "total <num> of <num>"},
	    {"sizes 1 2 3 4 end", "sizes <num>... end"},
	    {"up=true last=null", "up=<value> last=<value>"},
	    {"a=\"View Lock\" b=1", "a=\"View Lock\" b=<num>"},
	    {"token=Token{a64f992 Record{de9 u0}} ok", "token=<*> ok"},
	    {"key= other=5", "key= other=<num>"},
	    {"state:UP errors:17", "state:UP errors:<num>"},
	    {"connect db.example.org:5432 refused", "connect <id> refused"},
	    {"can't open it", "can't open it"},
	    {"session opened for user bob", "session opened for user <name>"},
	};
	for (size_t i = 0; i < sizeof c / sizeof c[0]; i++)
		tap_ok(shows(c[i].line, 1, c[i].wanted),
		    "what varies by its form is masked: %s", c[i].line);
	tap_ok(shows("port 22 ssh2 by user bob", 2, "port <num> ssh2 by user bob"),
	    "a small id and a name that never change are shown as they are");
	tap_ok(shows("", 3, ""), "an empty line is a template");
}

/* Are two lines of one template? */
static bool
one(const char *a, const char *b)
{
	struct llm_fold *f = llm_fold_new(NULL);
	uint32_t shape;
	llm_fold_add(f, &shape, a, strlen(a), NULL);
	int fresh = llm_fold_add(f, &shape, b, strlen(b), NULL);
	int n = llm_fold_settle(f, NULL);
	llm_fold_free(f);
	return n == 1 && fresh == 0;
}

static void
test_heads(void)
{
	tap_ok(one("Jun 14 15:16:01 combo sshd[99]: session closed now",
		   "Jun  4 05:16:01 other cron(pam_unix)[7]: session closed now"),
	    "host and program of a syslog line do not count");
	tap_ok(
	    one("2015-10-18 18:01:47,978 INFO [main] org.a.B: task is done",
		"2015-10-18 18:01:47,979 WARN [IPC handler 29 on 62270] org.c.D: task is done"),
	    "level, thread and class do not count");
	tap_ok(one("[Sun Dec 04 04:47:44 2005] [error] it is broken",
		   "[Mon Dec 05 04:47:44 2005] [notice] it is broken"),
	    "a time and a level in brackets do not count");
	tap_ok(one("03-17 16:13:38.811  1702  2395 D Window: drawn at last",
		   "03-17 16:13:38.812  17  25 I View: drawn at last"),
	    "numbers of processes and a level of one letter do not count");
	tap_ok(one("20171223-22:15:29:606|Step_A|30002312|sensor is flushed",
		   "20171223-22:15:9:6|Step_B|30002313|sensor is flushed"),
	    "fields between bars do not count");
	tap_ok(!one("Jun 14 15:16:01 combo sshd[99]: session closed",
		   "Jun 14 15:16:01 combo sshd[99]: session opened"),
	    "what a message says does");
	tap_ok(!one("session was closed at 10:00:00", "session was opened at 10:00:00"),
	    "a time late in a line makes no head");
}

static int
groups(const char *fmt, const char *const *word, int n)
{
	struct llm_fold *f = llm_fold_new(NULL);
	uint32_t shape;
	char line[200];
	for (int i = 0; i < n; i++) {
		int length = snprintf(line, sizeof line, fmt, word[i]);
		llm_fold_add(f, &shape, line, (size_t)length, NULL);
	}
	int got = llm_fold_settle(f, NULL);
	llm_fold_free(f);
	return got;
}

static void
test_words(void)
{
	static const char *const words[] = {"apple", "pear", "plum", "fig", "quince", "lemon",
	    "lime", "grape", "melon", "peach"};
	static const char *const names[] = {
	    "a.example.org", "b.example.org", "c.example.com", "d.example.net"};
	static const char *const mixed[] = {"n17", "a.example.org"};
	tap_ok(groups("the box of %s was lost", words, 4) == 4, "four words say four things");
	tap_ok(
	    groups("the box of %s was lost", words, 5) == 1, "five are values of one variable");
	tap_ok(
	    groups("%s was lost in the box", words, 9) == 9, "first words say what happened");
	tap_ok(groups("%s was lost in the box", words, 10) == 1, "unless there are many");
	tap_ok(groups("lost peer %s for now", names, 4) == 1, "of names four are enough");
	tap_ok(groups("lost peer %s for now", mixed, 2) == 1, "a name beside an id is one too");
}

/* A line made of a seed. */
static size_t
random_line(char *line, size_t size, unsigned *seed)
{
	size_t n = 0;
	*seed = *seed * 1103515245u + 12345u;
	size_t length = *seed >> 16 & 127;
	while (n < length && n < size) {
		*seed = *seed * 1103515245u + 12345u;
		unsigned r = *seed >> 16;
		line[n++] = r & 256 ? "  ab1.:=-/{}[](),\"'\\<"[r % 21] : (char)(r & 255);
	}
	return n;
}

static void
test_any_bytes(void)
{
	struct llm_fold_limits few = {.n_shape = 50, .n_text_bytes = 20000};
	struct llm_fold *f = llm_fold_new(&few), *g = llm_fold_new(NULL);
	struct llm_fold_template t;
	uint64_t sum = 0, sum_all = 0;
	uint32_t shape;
	unsigned seed = 5;
	char line[128];
	for (int i = 0; i < 20000; i++) {
		size_t n = random_line(line, sizeof line, &seed);
		llm_fold_add(f, &shape, line, n, NULL);
		llm_fold_add(g, &shape, line, n, NULL);
	}
	int n = llm_fold_settle(f, NULL), m = llm_fold_settle(g, NULL);
	for (int i = 0; i < n; i++)
		sum += llm_fold_nth(&t, f, i, NULL) == 0 ? t.count : 0;
	for (int i = 0; i < m; i++)
		sum_all += llm_fold_nth(&t, g, i, NULL) == 0 ? t.count : 0;
	tap_ok(sum_all == 20000, "counts add up to the lines, whatever the bytes");
	tap_ok(sum == 20000, "and when there is no room for more shapes");
	tap_ok(n < 500, "of which there are few then (%d)", n);
	llm_fold_free(f);
	llm_fold_free(g);
}

static void
test_long(void)
{
	size_t n = 1 << 20;
	char *line = malloc(n);
	struct llm_fold *f = llm_fold_new(NULL);
	struct llm_fold_template t;
	uint32_t shape;
	for (size_t i = 0; i < n; i++)
		line[i] = "ab c="[i % 5];
	int first = llm_fold_add(f, &shape, line, n, NULL);
	line[n - 1] = 'x';
	int second = llm_fold_add(f, &shape, line, n, NULL);
	tap_ok(first == 1 && second == 0, "of a long line only the beginning counts");
	llm_fold_settle(f, NULL);
	tap_ok(llm_fold_nth(&t, f, 0, NULL) == 0 && t.n_example == LLM_FOLD_EXAMPLE,
	    "and its example is cut");
	memset(line, '(', n);
	tap_ok(llm_fold_add(f, &shape, line, n, NULL) == 1, "a line of brackets is taken");
	memset(line, '{', n);
	line[0] = 'a';
	tap_ok(llm_fold_add(f, &shape, line, n, NULL) == 1, "a line of braces too");
	llm_fold_free(f);
	free(line);
}

static void
test_order(void)
{
	enum { LINES = 400 };
	static char line[LINES][80];
	static uint32_t shape[2][LINES];
	struct llm_fold *f[2] = {llm_fold_new(NULL), llm_fold_new(NULL)};
	int differ = 0;
	for (int i = 0; i < LINES; i++)
		snprintf(line[i], sizeof line[i], "%c%c node %c.x sends %c to %c%s",
		    'a' + i % 3, 'b', 'a' + i * 7 % 11, 'a' + i * 5 % 13, 'a' + i * 3 % 7,
		    i % 17 == 0 ? "1" : "");
	for (int i = 0; i < LINES; i++) {
		int back = LINES - 1 - i;
		llm_fold_add(f[0], &shape[0][i], line[i], strlen(line[i]), NULL);
		llm_fold_add(f[1], &shape[1][back], line[back], strlen(line[back]), NULL);
	}
	int n = llm_fold_settle(f[0], NULL);
	tap_ok(
	    n == llm_fold_settle(f[1], NULL), "as many templates, whatever the order (%d)", n);
	for (int i = 1; i < LINES; i++)
		for (int k = 0; k < i; k++)
			differ += (llm_fold_number(f[0], shape[0][i]) ==
				      llm_fold_number(f[0], shape[0][k])) !=
				  (llm_fold_number(f[1], shape[1][i]) ==
				      llm_fold_number(f[1], shape[1][k]));
	tap_ok(differ == 0, "and the same lines together");
	llm_fold_free(f[0]);
	llm_fold_free(f[1]);
}

int
main(void)
{
	test_masks();
	test_heads();
	test_words();
	test_any_bytes();
	test_long();
	test_order();
	return tap_done();
}
