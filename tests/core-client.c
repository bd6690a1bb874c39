/*
 * SPDX-License-Identifier: ISC
 *
 * The blocking client against servers that do as they should, and against all that do not: each is a child that
 * listens on a socket of its own and takes one connection.
 */
#define _GNU_SOURCE
#include "libcore/client.h"
#include "libcore/clock.h"
#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char dir[] = "/tmp/llm-test-client.XXXXXX";
static char path[LLM_CLIENT_PATH];
static struct llm_err err;
static pid_t child = -1;
static int listener = -1;

static void
pause_ms(long ms)
{
	nanosleep(
	    &(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* The server's side.  Written by plain calls, so that it shares nothing with what is tested. */

static void
say(int fd, const void *bytes, size_t n)
{
	for (const char *p = bytes; n > 0;) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
		if (k <= 0)
			_exit(1);
		p += k;
		n -= (size_t)k;
	}
}

/* A frame around a map of literal msgpack. */
#define FRAME(fd, literal)                                       \
	do {                                                     \
		static const char frame_[] = "\0\0\0\0" literal; \
		char copy_[sizeof frame_];                       \
		memcpy(copy_, frame_, sizeof frame_);            \
		copy_[3] = (char)(sizeof frame_ - 5);            \
		say((fd), copy_, sizeof frame_ - 1);             \
	} while (0)

static bool
hear(int fd, void *bytes, size_t n)
{
	for (char *p = bytes; n > 0;) {
		ssize_t k = recv(fd, p, n, 0);
		if (k <= 0)
			return false;
		p += k;
		n -= (size_t)k;
	}
	return true;
}

/* Takes a frame, and lets go of it; its length, 0 at the end. */
static size_t
hear_frame(int fd)
{
	unsigned char head[4];
	static char rest[1 << 16];
	if (!hear(fd, head, sizeof head))
		return 0;
	size_t n =
	    (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
	for (size_t left = n; left > 0;) {
		size_t k = left < sizeof rest ? left : sizeof rest;
		if (!hear(fd, rest, k))
			return 0;
		left -= k;
	}
	return n;
}

/* {"hello": 1, "numeric": 7, "pid": 99} */
#define HELLO "\x83\xa5hello\x01\xa7numeric\x07\xa3pid\x63"

static void
greet(int fd)
{
	if (hear_frame(fd) == 0)
		_exit(1);
	FRAME(fd, HELLO);
}

static void
pass(int fd, const void *bytes, size_t n, const int *fds, size_t n_fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control = {{0}};
	struct iovec v = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};
	struct msghdr h = {.msg_iov = &v,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = CMSG_SPACE(n_fd * sizeof(int))};
	struct cmsghdr *m = CMSG_FIRSTHDR(&h);
	m->cmsg_level = SOL_SOCKET;
	m->cmsg_type = SCM_RIGHTS;
	m->cmsg_len = CMSG_LEN(n_fd * sizeof(int));
	memcpy(CMSG_DATA(m), fds, n_fd * sizeof(int));
	if (sendmsg(fd, &h, MSG_NOSIGNAL) != (ssize_t)n)
		_exit(1);
}

/* Starts a child that accepts one connection and lets `serve' have it. */
static void
start(void (*serve)(int fd))
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	static int n;
	snprintf(path, sizeof path, "%s/%d", dir, n++);
	memcpy(a.sun_path, path, sizeof path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof a) < 0 ||
	    listen(listener, 8) < 0)
		exit(1);
	fflush(stdout);
	child = fork();
	if (child != 0)
		return;
	int fd = accept(listener, NULL, NULL);
	close(listener);
	serve(fd);
	/* _exit closes it, and leaves the parent's buffers alone. */
	_exit(0);
}

static void
stop(void)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(listener);
	unlink(path);
}

/* What opening a connection to such a server gives. */
static int
opened(void (*serve)(int fd))
{
	struct llm_client *c = NULL;
	start(serve);
	err.msg[0] = '\0';
	int rc = llm_client_open(&c, path, "test 1", &err);
	llm_client_close(c);
	stop();
	if (err.msg[0] != '\0')
		printf("# %s\n", err.msg);
	return rc;
}

static void
serve_hello(int fd)
{
	char got[400];
	unsigned char head[4];
	static const char want[] = "hello\x01\xa7numeric\x01\xa6"
				   "client\xa6test 1";
	if (!hear(fd, head, 4) || !hear(fd, got, head[3]) ||
	    memmem(got, head[3], want, sizeof want - 1) == NULL)
		_exit(1);
	FRAME(fd, HELLO);
	hear_frame(fd);
}

static void
serve_version(int fd)
{
	hear_frame(fd);
	FRAME(fd, "\x83\xa5hello\x02\xa7numeric\x01\xa3pid\x63");
}

static void
serve_refusal(int fd)
{
	hear_frame(fd);
	FRAME(fd, "\x81\xa5"
		  "error\x83\xa4"
		  "code\x4b\xa4name\xa4"
		  "BUSY\xa4text\xa9"
		  "no room\n!");
}

static void
serve_silence(int fd)
{
	hear_frame(fd);
	pause_ms(20000);
}

static void
serve_drip(int fd)
{
	static const char frame[] = "\0\0\0\x18" HELLO;
	hear_frame(fd);
	for (size_t i = 0; i < sizeof frame - 1; i++) {
		say(fd, frame + i, 1);
		pause_ms(250);
	}
	pause_ms(20000);
}

static void
serve_close(int fd)
{
	(void)fd;
}

static void
serve_heard_close(int fd)
{
	hear_frame(fd);
}

static void
serve_half(int fd)
{
	hear_frame(fd);
	say(fd, "\0\0\0\x30\x83\xa5hel", 9);
}

static void
serve_huge(int fd)
{
	hear_frame(fd);
	say(fd, "\x7f\xff\xff\xff\x83\xa5hello", 11);
	pause_ms(20000);
}

static void
serve_noise(int fd)
{
	hear_frame(fd);
	FRAME(fd, "\x93HTTP/1.1 400 Bad Request");
	pause_ms(20000);
}

static void
serve_http(int fd)
{
	say(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
	pause_ms(20000);
}

static void
serve_types(int fd)
{
	hear_frame(fd);
	FRAME(fd, "\x81\xa5hello\xa1"
		  "1");
}

static void
opening(void)
{
	struct llm_client *c = NULL;
	double at = llm_clock_s();
	start(serve_hello);
	tap_ok(llm_client_open(&c, path, "test 1", &err) == 0 && llm_client_numeric(c) == 7 &&
		   llm_client_pid(c) == 99 &&
		   (fcntl(llm_client_fd(c), F_GETFD) & FD_CLOEXEC) != 0,
	    "hellos are exchanged: version, numeric version, who it is");
	llm_client_close(c);
	stop();
	tap_ok(opened(serve_version) == LLM_EPROTOCOL && strstr(err.msg, "version 2") != NULL,
	    "another version of the protocol is refused, with both");
	tap_ok(opened(serve_refusal) == LLM_EBUSY && strcmp(err.msg, "no room?!") == 0,
	    "what the daemon answers instead is told");
	tap_ok(opened(serve_close) == LLM_EUNAVAILABLE, "one that hangs up at once is none");
	tap_ok(opened(serve_heard_close) == LLM_EUNAVAILABLE, "nor is one that says nothing");
	tap_ok(opened(serve_half) == LLM_EUNAVAILABLE && strstr(err.msg, "middle") != NULL,
	    "nor one that ends within its hello");
	tap_ok(opened(serve_huge) == LLM_EPROTOCOL && strstr(err.msg, "2147483647") != NULL,
	    "a frame that is too long is refused by its head");
	tap_ok(opened(serve_noise) == LLM_EPROTOCOL, "what is no map is refused");
	tap_ok(opened(serve_http) == LLM_EPROTOCOL, "so is another protocol altogether");
	tap_ok(opened(serve_types) == LLM_EPROTOCOL && strstr(err.msg, "'hello'") != NULL,
	    "so is a hello of another type");
	at = llm_clock_s();
	tap_ok(opened(serve_silence) == LLM_EUNAVAILABLE && llm_clock_s() - at > 1.5 &&
		   llm_clock_s() - at < 15,
	    "silence is not waited for");
	at = llm_clock_s();
	tap_ok(opened(serve_drip) == LLM_EUNAVAILABLE && llm_clock_s() - at < 15,
	    "nor a hello that comes byte by byte, for ever");
}

static void
addresses(void)
{
	struct llm_client *c = NULL;
	char s[LLM_CLIENT_PATH], want[64];
	snprintf(want, sizeof want, "/run/user/%lu/llm/llmd.sock", (unsigned long)geteuid());
	tap_ok(llm_client_socket(s, "a", "b", "/c", &err) == 0 && strcmp(s, "a") == 0 &&
		   llm_client_socket(s, "", "b", "/c", &err) == 0 && strcmp(s, "b") == 0 &&
		   llm_client_socket(s, NULL, "", "/c", &err) == 0 &&
		   strcmp(s, "/c/llm/llmd.sock") == 0,
	    "the socket is the one given, else the variable's, else the runtime directory's");
	tap_ok(llm_client_socket(s, NULL, NULL, NULL, &err) == 0 && strcmp(s, want) == 0 &&
		   llm_client_socket(s, NULL, NULL, "relative", &err) == 0 &&
		   strcmp(s, want) == 0,
	    "at last that of the user's number; a relative directory is none");
	char lengthy[200];
	memset(lengthy, 'x', sizeof lengthy);
	lengthy[107] = '\0';
	tap_ok(llm_client_socket(s, lengthy, NULL, NULL, &err) == 0, "107 bytes are possible");
	lengthy[107] = 'x';
	lengthy[108] = '\0';
	tap_ok(llm_client_socket(s, lengthy, NULL, NULL, &err) == LLM_EUSAGE &&
		   strstr(err.msg, "108") != NULL && strstr(err.msg, "107") != NULL,
	    "108 are not, with both numbers");
	tap_ok(llm_client_open(&c, lengthy, "test", &err) == LLM_EUSAGE, "nor to open");
	snprintf(s, sizeof s, "%s/none", dir);
	tap_ok(llm_client_open(&c, s, "test", &err) == LLM_EUNAVAILABLE &&
		   strstr(err.msg, s) != NULL && strstr(err.msg, "No such file") != NULL,
	    "where no socket is there is no daemon, with the path");
	start(serve_close);
	stop();
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof a.sun_path, "%s/left", dir);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0)
		exit(1);
	close(fd);
	tap_ok(llm_client_open(&c, a.sun_path, "test", &err) == LLM_EUNAVAILABLE &&
		   strstr(err.msg, "refused") != NULL,
	    "nor where a dead one left its socket");
	unlink(a.sun_path);
	llm_client_close(NULL);
}

/* One that takes no connection: so many wait already that connect(2) refuses at once. */
static void
crowd(void)
{
	struct llm_client *c = NULL;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int waiting[64], n = 0, fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(a.sun_path, sizeof a.sun_path, "%s/crowd", dir);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 1) < 0)
		exit(1);
	do
		waiting[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	while (connect(waiting[n++], (struct sockaddr *)&a, sizeof a) == 0 && n < 64);
	double at = llm_clock_s();
	tap_ok(llm_client_open(&c, a.sun_path, "test", &err) == LLM_EUNAVAILABLE &&
		   llm_clock_s() - at > 1.5 && llm_clock_s() - at < 15,
	    "where others wait to be taken it waits too, and not for ever");
	while (n > 0)
		close(waiting[--n]);
	close(fd);
	unlink(a.sun_path);
}

/* A server of another user must not get a byte. */
static void
serve_stranger(int fd)
{
	char c;
	_exit(recv(fd, &c, 1, 0) == 0 ? 0 : 1);
}

static void
strangers(void)
{
	struct llm_client *c = NULL;
	int status = -1;
	/* Whose it is, is who listens. */
	if (geteuid() != 0 || chown(dir, 65534, (gid_t)-1) < 0 || seteuid(65534) < 0) {
		tap_skip("a daemon of another user is refused", "only root can be two users");
		tap_skip("and gets not a byte", "only root can be two users");
		return;
	}
	start(serve_stranger);
	if (seteuid(0) < 0)
		exit(1);
	tap_ok(llm_client_open(&c, path, "test", &err) == LLM_EUNAVAILABLE &&
		   strstr(err.msg, "another user's (65534)") != NULL,
	    "a daemon of another user is refused");
	waitpid(child, &status, 0);
	tap_ok(status == 0, "and gets not a byte");
	stop();
}

/* Opens, sends one request of n bytes, and answers how that went. */
static struct llm_client *
talk(void (*serve)(int fd), size_t n, int *rc)
{
	struct llm_client *c = NULL;
	uint32_t id = 0;
	start(serve);
	*rc = llm_client_open(&c, path, "test 1", &err);
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
	greet(fd);
	hear_frame(fd);
	/* Three messages at once, the last of them in two halves. */
	static const char all[] =
	    "\0\0\0\x04\x81\xa1i\x01\0\0\0\x04\x81\xa1i\x02\0\0\0\x04\x81";
	say(fd, all, sizeof all - 1);
	pause_ms(300);
	say(fd, "\xa1i\x03", 3);
	hear_frame(fd);
	FRAME(fd, "\x81\xa1i\x04");
	hear_frame(fd);
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
	pause_ms(50);
	llm_client_request(c, &id, "more");
	tap_ok(rc == 0 && id == 3 && field(last, "i") == 3,
	    "and it stays while requests are sent");
	tap_ok(llm_client_receive(&m, c, 5000, &err) == 1 && field(m, "i") == 4,
	    "what was answered to them is received then");
	llm_client_close(c);
	stop();
}

static void
serve_death(int fd)
{
	greet(fd);
	hear_frame(fd);
	FRAME(fd, "\x81\xa1i\x01");
	say(fd, "\0\0\0\x20\x81", 5);
	pause_ms(100);
	raise(SIGKILL);
}

static void
serve_end(int fd)
{
	greet(fd);
	hear_frame(fd);
	FRAME(fd, "\x81\xa1i\x01");
}

static void
serve_bad(int fd)
{
	greet(fd);
	hear_frame(fd);
	FRAME(fd, "\x82\xa1i\x01\xa1i\x01");
	FRAME(fd, "\x81\xa1i\x01");
	pause_ms(20000);
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
	stop();
	c = talk(serve_end, 10, &rc);
	pause_ms(100);
	llm_client_request(c, &id, "more");
	tap_ok(llm_client_send(c, &err) == 0 && llm_client_receive(&m, c, 5000, &err) == 1 &&
		   field(m, "i") == 1 &&
		   llm_client_receive(&m, c, 5000, &err) == LLM_EUNAVAILABLE,
	    "its last words are heard by who still spoke");
	llm_client_close(c);
	stop();
	c = talk(serve_bad, 10, &rc);
	tap_ok(llm_client_receive(&m, c, 5000, &err) == LLM_EPROTOCOL &&
		   llm_client_receive(&m, c, 5000, &err) < 0,
	    "after a message that is none nothing is believed");
	llm_client_close(c);
	stop();
}

/* Says 8 MiB before it hears a word, in messages of 64 KiB. */
static void
serve_flood(int fd)
{
	static char frame[4 + 65536] = {0, 1, 0, 0, (char)0x81, (char)0xA1, 'b', (char)0xC5,
	    (char)0xFF, (char)(0xFFFF - 6 + 1 - 1)};
	frame[8] = (char)((65536 - 6) >> 8);
	frame[9] = (char)((65536 - 6) & 0xFF);
	greet(fd);
	for (int i = 0; i < 128; i++)
		say(fd, frame, sizeof frame);
	size_t n = hear_frame(fd);
	FRAME(fd, "\x81\xa1i\x05");
	if (n < 15 << 20)
		_exit(1);
	hear_frame(fd);
}

static void
serve_deaf(int fd)
{
	greet(fd);
	pause_ms(20000);
}

static const struct itimerval soon = {.it_value = {.tv_usec = 300000}};

static void
on_alarm(int sig)
{
	(void)sig;
	kill(child, SIGKILL);
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
	stop();

	/* The signal comes in the middle of the wait, and kills who is waited for. */
	struct sigaction sa = {.sa_handler = on_alarm};
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	c = talk(serve_deaf, 15 << 20, &rc);
	tap_ok(rc == LLM_EUNAVAILABLE, "a daemon that dies within a request is gone");
	llm_client_close(c);
	stop();
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
	stop();
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
	greet(fd);
	hear_frame(fd);
	FRAME(fd, "\x81\xa1i\x01");
	pass(fd, "\0\0\0\x04\x81\xa1i\x02", 8, fds, 1);
	FRAME(fd, "\x81\xa1i\x03");
	pass(fd, "\0\0\0\x04\x81\xa1i\x04", 8, fds + 1, 3);
	pass(fd, "\0\0\0\x04\x81\xa1i\x05", 8, fds, 7);
	pass(fd, "\0\0\0\x04\x81\xa1i\x06", 8, fds + 4, 1);
	pass(fd, "\0\0", 2, fds + 5, 1);
	pass(fd, "\0\x04\x81\xa1i\x07", 6, fds + 6, 1);
	hear_frame(fd);
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
	pause_ms(200);
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
	stop();
	tap_ok(n_open() == before, "nothing is left open at the end");
}

int
main(void)
{
	if (mkdtemp(dir) == NULL)
		return 1;
	/* What is sent to a daemon that is gone must not need this. */
	signal(SIGPIPE, SIG_DFL);
	addresses();
	opening();
	answers();
	deaths();
	both_ways();
	signals();
	descriptors();
	crowd();
	strangers();
	rmdir(dir);
	return tap_done();
}
