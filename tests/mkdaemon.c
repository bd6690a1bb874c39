/*
 * SPDX-License-Identifier: ISC
 *
 * mkdaemon SOCKET MODE [ARG [TEXT]]: a daemon that does one thing only, for what programs make of it.  It serves one
 * connection after another until it is killed; the socket is there once it is ready.
 *	numeric		says that it computes by another numeric version
 *	protocol	refuses the hello
 *	mute		never says hello
 *	garbage		answers each request by what is no message
 *	refuse NAME TEXT	answers each by this error of LLM_ERRORS
 *	die N [TEXT]	closes the connection after N parts of an answer, each this text
 *	say N [TEXT]	N parts, then the end, which is the limit where no more were asked for
 *	cut N [TEXT]	N parts, then the end of what was cancelled
 *	hang N [TEXT]	N parts, then nothing until the request is cancelled
 *	wait N [TEXT]	as say, after a while in the queue and a while in the prompt
 *	none		closes the connection when a request comes
 * The fields of each request go to standard output, a line a request, but ids.
 */
#include "libcore/forward.h"
#include "libcore/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static const char *mode, *arg, *text;

_Noreturn static void
die(const char *what)
{
	fprintf(stderr, "mkdaemon: %s\n", what);
	exit(1);
}

static bool
is(const char *name)
{
	return strcmp(mode, name) == 0;
}

/* Sends what is written; false where the other side is gone. */
static bool
flush(int fd, struct llm_wire_out *o)
{
	struct llm_err err;
	size_t n;
	const void *p;
	if (llm_wire_end(o, &err) < 0)
		die(err.msg);
	while ((p = llm_wire_bytes(&n, o)) != NULL && n > 0) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
		if (k <= 0)
			return false;
		llm_wire_take(o, (size_t)k);
	}
	return true;
}

static bool
read_all(int fd, void *bytes, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t k = read(fd, (char *)bytes + at, n - at);
		if (k <= 0)
			return false;
		at += (size_t)k;
	}
	return true;
}

/* The next message, whose bytes are to be freed after it; NULL at the end. */
static struct llm_wire_msg *
receive(void **bytes, int fd)
{
	unsigned char head[LLM_WIRE_HEAD];
	struct llm_wire_msg *m;
	struct llm_err err;
	size_t n;
	if (!read_all(fd, head, sizeof head))
		return NULL;
	if (llm_wire_length(&n, head, &err) < 0 || (*bytes = malloc(n)) == NULL)
		die("a bad frame");
	if (!read_all(fd, *bytes, n) || llm_wire_parse(&m, *bytes, n, &err) < 0) {
		free(*bytes);
		return NULL;
	}
	return m;
}

static void
print_value(const struct llm_wire_value *v)
{
	struct llm_wire_bytes s;
	bool flag;
	double x;
	if (llm_wire_as_bool(&flag, v))
		printf("%s", flag ? "true" : "false");
	else if (llm_wire_as_float(&x, v))
		printf("%.9g", x);
	else if (llm_wire_as_bytes(&s, v))
		printf("%.*s", (int)s.n, s.s);
	else
		printf("[%zu]", llm_wire_n(v));
}

static void
print_request(const struct llm_wire_value *m)
{
	struct llm_wire_bytes key;
	for (size_t i = 0; i < llm_wire_n(m); i++) {
		const struct llm_wire_value *v = llm_wire_pair(&key, m, i);
		if (key.n == 5 && memcmp(key.s, "ident", 5) == 0)
			continue;
		printf("%s%.*s=", i > 0 ? " " : "", (int)key.n, key.s);
		print_value(v);
	}
	printf("\n");
	fflush(stdout);
}

static bool
say_end(int fd, struct llm_wire_out *o, int64_t id, const char *why)
{
	llm_wire_begin(o);
	llm_wire_put_int(o, "id", id);
	llm_wire_open_map(o, "done");
	llm_wire_put_str(o, "stop", why);
	llm_wire_put_int(o, "n_out", atoi(arg));
	llm_wire_close(o);
	return flush(fd, o);
}

static bool
say_parts(int fd, struct llm_wire_out *o, int64_t id)
{
	const llm_token token = 1;
	bool good = true;
	for (int i = 0; good && i < atoi(arg); i++) {
		llm_wire_begin(o);
		llm_wire_put_int(o, "id", id);
		llm_wire_open_map(o, "part");
		llm_wire_put_ids(o, "ids", &token, 1);
		llm_wire_put_bin(o, "text", text, strlen(text));
		llm_wire_close(o);
		good = flush(fd, o);
	}
	return good;
}

static bool
say_waiting(int fd, struct llm_wire_out *o, int64_t id)
{
	const struct timespec a_while = {.tv_nsec = 900000000};
	llm_wire_begin(o);
	llm_wire_put_int(o, "id", id);
	llm_wire_put_int(o, "queue", 3);
	if (!flush(fd, o))
		return false;
	nanosleep(&a_while, NULL);
	llm_wire_begin(o);
	llm_wire_put_int(o, "id", id);
	llm_wire_open_map(o, "prompt");
	llm_wire_put_int(o, "done", 5);
	llm_wire_put_int(o, "of", 10);
	llm_wire_close(o);
	if (!flush(fd, o))
		return false;
	nanosleep(&a_while, NULL);
	return true;
}

static int
code_named(const char *name)
{
#define ROW(row, code, status, sentence) \
	if (strcmp(name, #row) == 0)     \
		return code;
	LLM_ERRORS(ROW)
#undef ROW
	die("no such error");
}

/* One request answered; false where the connection is to be closed. */
static bool
answer(int fd, struct llm_wire_out *o, int64_t id, bool cancel, int64_t n)
{
	struct llm_err refusal = {0};
	if (cancel)
		return say_end(fd, o, id, "cancel");
	if (is("garbage"))
		return send(fd, "\0\0\0\1\301", 5, MSG_NOSIGNAL) == 5;
	if (is("refuse")) {
		llm_err_set(&refusal, code_named(arg), "%s", text);
		llm_wire_begin(o);
		llm_wire_put_int(o, "id", id);
		llm_wire_put_err(o, "error", &refusal);
		return flush(fd, o);
	}
	if (is("wait") && !say_waiting(fd, o, id))
		return false;
	if (is("none") || !say_parts(fd, o, id))
		return false;
	if (is("cut"))
		return say_end(fd, o, id, "cancel");
	return is("say") || is("wait") ? say_end(fd, o, id, n == atoi(arg) ? "limit" : "end")
				       : is("hang");
}

static void
hello(int fd, struct llm_wire_out *o)
{
	const struct llm_err other = {.code = LLM_EPROTOCOL, .msg = "hello 1: this is 2"};
	llm_wire_begin(o);
	if (is("protocol")) {
		llm_wire_put_err(o, "error", &other);
	} else {
		llm_wire_put_int(o, "hello", LLM_WIRE_VERSION);
		llm_wire_put_int(o, "numeric", LLM_NUMERIC_VERSION + is("numeric"));
		llm_wire_put_str(o, "server", "mkdaemon");
		llm_wire_put_int(o, "pid", getpid());
	}
	flush(fd, o);
}

static void
serve(int fd)
{
	struct llm_wire_out *o;
	struct llm_wire_msg *m;
	struct llm_wire_bytes op;
	struct llm_err err;
	void *bytes;
	bool greeted = false, good = true;
	int64_t id = 0, last = 0;
	if (llm_wire_out_new(&o, &err) < 0)
		die(err.msg);
	while (good && (m = receive(&bytes, fd)) != NULL) {
		const struct llm_wire_value *root = llm_wire_root(m);
		if (!greeted && !is("mute")) {
			hello(fd, o);
			greeted = true;
		} else if (greeted) {
			print_request(root);
			llm_wire_get_int(&id, root, "id", 0, UINT32_MAX, &err);
			bool cancel = llm_wire_get_bytes(&op, root, "op", &err) > 0 &&
				      op.n == 6 && memcmp(op.s, "cancel", 6) == 0;
			int64_t n = -1;
			llm_wire_get_int(&n, root, "n", -1, INT32_MAX, &err);
			good = answer(fd, o, cancel ? last : id, cancel, n);
			last = id;
		}
		llm_wire_msg_free(m);
		free(bytes);
	}
	llm_wire_out_free(o);
	close(fd);
}

int
main(int argc, char **argv)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	if (argc < 3 || argc > 5 || strlen(argv[1]) >= sizeof a.sun_path)
		die("mkdaemon SOCKET MODE [ARG [TEXT]]");
	mode = argv[2];
	arg = argc > 3 ? argv[3] : "0";
	text = argc > 4 ? argv[4] : "x";
	memcpy(a.sun_path, argv[1], strlen(argv[1]));
	unlink(argv[1]);
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	if (s < 0 || bind(s, (const struct sockaddr *)&a, sizeof a) < 0 || listen(s, 8) < 0)
		die("no socket");
	for (int fd; (fd = accept(s, NULL, NULL)) >= 0;)
		serve(fd);
	close(s);
	return 0;
}
