/*
 * SPDX-License-Identifier: ISC
 *
 * The blocking client among messages, once hellos are exchanged: with servers that do as they should, and with all that
 * do not.
 */
#define _GNU_SOURCE
#include "libcore/client.h"
#include "tests/folder.h"
#include "tests/server.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

static struct llm_err err;

/* Opens, sends one request of n bytes, and answers how that went. */
static struct llm_client *
talk(void (*serve)(int fd), size_t n, int *rc)
{
	struct llm_client *c = NULL;
	uint32_t id = 0;
	server_start(serve);
	*rc = llm_client_open(&c, server.path, "test 1", &err);
	if (*rc < 0)
		return NULL;
	char *fill = calloc(1, n + 1);
	struct llm_wire_out *o = llm_client_request(c, &id, "echo");
	llm_wire_put_bin(o, "fill", fill, n);
	free(fill);
	*rc = llm_client_send(c, &err);
	return c;
}

static int64_t
field(const struct llm_wire_value *m, const char *key)
{
	int64_t v = -1;
	return llm_wire_get_int(&v, m, key, 0, INT64_MAX, &err) == 1 ? v : -1;
}

static void
serve_answers(int fd)
{
	server_greet(fd);
	server_hear_frame(fd);
	/* Three messages at once, the last of them in two halves. */
	static const char all[] =
	    "\0\0\0\x04\x81\xa1i\x01\0\0\0\x04\x81\xa1i\x02\0\0\0\x04\x81";
	server_say(fd, all, sizeof all - 1);
	server_pause_ms(300);
	server_say(fd, "\xa1i\x03", 3);
	server_hear_frame(fd);
	SERVER_FRAME(fd, "\x81\xa1i\x04");
	server_hear_frame(fd);
}

static void
answers(void)
{
	const struct llm_wire_value *m = NULL, *last;
	uint32_t id = 0;
	int rc;
	struct llm_client *c = talk(serve_answers, 10, &rc);
	tap_ok(rc == 0 && llm_client_receive(&m, c, 5000, &err) == 1 && field(m, "i") == 1 &&
		   llm_client_receive(&m, c, 5000, &err) == 1 && field(m, "i") == 2,
	    "messages that come at once are received one by one");
	tap_ok(
	    llm_client_receive(&m, c, 0, &err) == 0 && llm_client_receive(&m, c, 20, &err) == 0,
	    "half a message is none yet");
	tap_ok(llm_client_receive(&last, c, 5000, &err) == 1 && field(last, "i") == 3,
	    "its other half makes it one");
	llm_client_request(c, &id, "more");
	rc = llm_client_send(c, &err);
	server_pause_ms(50);
	llm_client_request(c, &id, "more");
	tap_ok(rc == 0 && id == 3 && field(last, "i") == 3,
	    "and it stays while requests are sent");
	tap_ok(llm_client_receive(&m, c, 5000, &err) == 1 && field(m, "i") == 4,
	    "what was answered to them is received then");
	llm_client_close(c);
	server_stop();
}

static void
serve_death(int fd)
{
	server_greet(fd);
	server_hear_frame(fd);
	SERVER_FRAME(fd, "\x81\xa1i\x01");
	server_say(fd, "\0\0\0\x20\x81", 5);
	server_pause_ms(100);
	raise(SIGKILL);
}

static void
serve_end(int fd)
{
	server_greet(fd);
	server_hear_frame(fd);
	SERVER_FRAME(fd, "\x81\xa1i\x01");
}

static void
serve_bad(int fd)
{
	server_greet(fd);
	server_hear_frame(fd);
	SERVER_FRAME(fd, "\x82\xa1i\x01\xa1i\x01");
	SERVER_FRAME(fd, "\x81\xa1i\x01");
	server_pause_ms(20000);
}

static void
deaths(void)
{
	const struct llm_wire_value *m = NULL;
	uint32_t id;
	int rc;
	struct llm_client *c = talk(serve_death, 10, &rc);
	tap_ok(rc == 0 && llm_client_receive(&m, c, 5000, &err) == 1 &&
		   llm_client_receive(&m, c, 5000, &err) == LLM_EUNAVAILABLE &&
		   strstr(err.msg, "middle of a message") != NULL,
	    "a daemon that dies within a message is gone");
	tap_ok(llm_client_receive(&m, c, 5000, &err) == LLM_EUNAVAILABLE, "and stays so");
	llm_client_request(c, &id, "more");
	tap_ok(llm_client_send(c, &err) == LLM_EUNAVAILABLE, "to requests too");
	llm_client_request(c, &id, "more");
	tap_ok(llm_client_send(c, &err) == LLM_EUNAVAILABLE, "to all of them");
	llm_client_close(c);
	server_stop();
	c = talk(serve_end, 10, &rc);
	server_pause_ms(100);
	llm_client_request(c, &id, "more");
	tap_ok(llm_client_send(c, &err) == 0 && llm_client_receive(&m, c, 5000, &err) == 1 &&
		   field(m, "i") == 1 &&
		   llm_client_receive(&m, c, 5000, &err) == LLM_EUNAVAILABLE,
	    "its last words are heard by who still spoke");
	llm_client_close(c);
	server_stop();
	c = talk(serve_bad, 10, &rc);
	tap_ok(llm_client_receive(&m, c, 5000, &err) == LLM_EPROTOCOL &&
		   llm_client_receive(&m, c, 5000, &err) < 0,
	    "after a message that is none nothing is believed");
	llm_client_close(c);
	server_stop();
}

/* Says 8 MiB before it hears a word, in messages of 64 KiB. */
static void
serve_flood(int fd)
{
	static char frame[4 + 65536] = {0, 1, 0, 0, (char)0x81, (char)0xA1, 'b', (char)0xC5,
	    (char)0xFF, (char)(0xFFFF - 6 + 1 - 1)};
	frame[8] = (char)((65536 - 6) >> 8);
	frame[9] = (char)((65536 - 6) & 0xFF);
	server_greet(fd);
	for (int i = 0; i < 128; i++)
		server_say(fd, frame, sizeof frame);
	size_t n = server_hear_frame(fd);
	SERVER_FRAME(fd, "\x81\xa1i\x05");
	if (n < 15 << 20)
		_exit(1);
	server_hear_frame(fd);
}

static void
serve_deaf(int fd)
{
	server_greet(fd);
	server_pause_ms(20000);
}

static const struct itimerval soon = {.it_value = {.tv_usec = 300000}};

static void
on_alarm(int sig)
{
	(void)sig;
	if (server.pid > 0)
		kill(server.pid, SIGKILL);
}

static void
both_ways(void)
{
	const struct llm_wire_value *m = NULL;
	struct llm_wire_bytes b = {0};
	int rc, n = 0;
	struct llm_client *c = talk(serve_flood, 15 << 20, &rc);
	tap_ok(rc == 0, "a large request goes out while as large an answer comes in");
	while (n < 200 && llm_client_receive(&m, c, 10000, &err) == 1 && field(m, "i") < 0)
		n += llm_wire_get_bytes(&b, m, "b", &err) == 1 && b.n == 65536 - 6;
	tap_ok(n == 128 && m != NULL && field(m, "i") == 5, "and all of it is received");
	llm_client_close(c);
	server_stop();

	/* The signal comes in the middle of the wait, and kills who is waited for. */
	struct sigaction sa = {.sa_handler = on_alarm};
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	c = talk(serve_deaf, 15 << 20, &rc);
	tap_ok(rc == LLM_EUNAVAILABLE, "a daemon that dies within a request is gone");
	llm_client_close(c);
	server_stop();
}

static volatile sig_atomic_t rung;

static void
on_ring(int sig)
{
	(void)sig;
	rung = 1;
}

static void
signals(void)
{
	const struct llm_wire_value *m = NULL;
	struct sigaction sa = {.sa_handler = on_ring};
	int rc;
	struct llm_client *c = talk(serve_deaf, 10, &rc);
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	tap_ok(rc == 0 && llm_client_receive(&m, c, -1, &err) == 0 && rung,
	    "a signal ends the wait for an answer");
	llm_client_close(c);
	server_stop();
}

static int
n_open(void)
{
	int n = 0;
	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* An open file whose first byte is c. */
static int
marked(char c)
{
	char name[] = "/tmp/llm-test-fd.XXXXXX";
	int fd = mkstemp(name);
	unlink(name);
	if (write(fd, &c, 1) != 1)
		_exit(1);
	return fd;
}

static void
serve_fds(int fd)
{
	int fds[7];
	for (int i = 0; i < 7; i++)
		fds[i] = marked((char)('a' + i));
	server_greet(fd);
	server_hear_frame(fd);
	SERVER_FRAME(fd, "\x81\xa1i\x01");
	server_pass(fd, "\0\0\0\x04\x81\xa1i\x02", 8, fds, 1);
	SERVER_FRAME(fd, "\x81\xa1i\x03");
	server_pass(fd, "\0\0\0\x04\x81\xa1i\x04", 8, fds + 1, 3);
	server_pass(fd, "\0\0\0\x04\x81\xa1i\x05", 8, fds, 7);
	server_pass(fd, "\0\0\0\x04\x81\xa1i\x06", 8, fds + 4, 1);
	server_pass(fd, "\0\0", 2, fds + 5, 1);
	server_pass(fd, "\0\x04\x81\xa1i\x07", 6, fds + 6, 1);
	server_hear_frame(fd);
}

/* The mark of the descriptor that came along; '-' where none did. */
static char
taken(struct llm_client *c)
{
	char mark = '?';
	int fd = llm_client_take_fd(c);
	if (fd < 0)
		return '-';
	if ((fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0 || pread(fd, &mark, 1, 0) != 1)
		mark = '!';
	close(fd);
	return mark;
}

static void
descriptors(void)
{
	const struct llm_wire_value *m = NULL;
	char marks[8] = "";
	int rc, before = n_open();
	struct llm_client *c = talk(serve_fds, 10, &rc);
	int with = n_open();
	server_pause_ms(200);
	for (int i = 1; i <= 7; i++) {
		rc = llm_client_receive(&m, c, 5000, &err);
		/* Of the fourth nobody takes it. */
		marks[i - 1] = rc != 1 || field(m, "i") != i ? '!' : i == 4 ? '.' : taken(c);
	}
	tap_ok(marks[0] == '-' && marks[1] == 'a' && marks[2] == '-',
	    "a descriptor comes with the message that it was sent with");
	tap_ok(marks[4] >= 'a' && marks[4] <= 'g' && marks[5] == 'e' && marks[6] == 'g' &&
		   marks[3] == '.',
	    "of several one is kept");
	tap_ok(taken(c) == '-', "and taken once");
	tap_ok(n_open() == with, "the others are closed");
	if (tap_failed > 0)
		printf("# marks: %s, %d open, %d before\n", marks, n_open(), with);
	llm_client_close(c);
	server_stop();
	tap_ok(n_open() == before, "nothing is left open at the end");
}

int
main(void)
{
	test_folder_new();
	/* What is sent to a daemon that is gone must not need this. */
	signal(SIGPIPE, SIG_DFL);
	answers();
	deaths();
	both_ways();
	signals();
	descriptors();
	return test_folder_remove() ? tap_done() : 1;
}
