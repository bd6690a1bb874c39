/*
 * SPDX-License-Identifier: ISC
 *
 * mkclients SOCKET COMMAND [ARG...]: clients of the daemon, for its tests.
 *	alone MODEL N		N clients one after another, each asks for an answer, a score and ids
 *	together MODEL N	the same at once: the same lines
 *	hangup MODEL N		hangs up in the prefill of N tokens: "idle", and the milliseconds until it was
 *	cancel MODEL		cancels an answer without end: why it ended
 *	silent N		N connections that say nothing are held: "answered" where another is
 *	full N			N that have said hello: what the next one is told
 *	churn N			N connections that hang up, some of them in a request: "N"
 *	small MODEL N		N small requests of one client, 32 of them under way at a time: how many came back right
 *	deaf MODEL		asks for much and reads nothing: "cut off"
 *	busy MODEL N		N requests of one client at once: how many were refused, by what
 *	bad			what no client should say: "N kinds", and all were refused, the next client served
 *	notified N		SOCKET is made, of datagrams, and N of them are printed
 *	weights MODEL FILE	the weights by their descriptor, copied to a file; what may be done with it
 */
#define _GNU_SOURCE
#include "libcore/clock.h"
#include "libcore/hash.h"
#include "tests/clients.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* {hello: 1, y: 1} */
#define HELLO "\0\0\0\x0b\x82\xa5hello\x01\xa1y\x01"

enum { PATIENCE_MS = 60000, MAX_CLIENTS = 300, WINDOW = 32 };

/* The same answers alone and together. */

struct talk {
	int number;
	char *out;
	size_t n_out;
};

static void
talk_answer(FILE *f, struct llm_client *c, int k)
{
	static const char *const class[] = {"interactive", "pipe", "batch"};
	uint32_t id;
	struct llm_wire_out *o = clients_request(c, &id, "generate");
	char text[2000];
	int n = snprintf(text, sizeof text, "Of all numbers, ");
	/* Some begin alike, some are long. */
	for (int i = 0; i < 3 + 7 * (k % 5); i++)
		n += snprintf(text + n, sizeof text - (size_t)n, "%d and %d, ", i, i * (k % 3));
	llm_wire_put_str(o, "text", text);
	llm_wire_put_int(o, "n", 6 + k % 7);
	llm_wire_put_str(o, "class", class[k % 3]);
	llm_wire_put_bool(o, "cache", k % 4 != 3);
	if (k % 2 == 1) {
		llm_wire_put_float(o, "temp", 0.9);
		llm_wire_put_float(o, "top_p", 0.95);
		llm_wire_put_uint(o, "seed", (uint64_t)k);
	}
	clients_send(c);
	for (bool more = true; more;) {
		const struct llm_wire_value *m = clients_receive(c);
		const struct llm_wire_value *part = llm_wire_field(m, "part");
		const struct llm_wire_value *done = llm_wire_field(m, "done");
		struct llm_wire_bytes s;
		if (llm_wire_field(m, "error") != NULL)
			clients_die("an answer was refused");
		if (part != NULL && llm_wire_as_bytes(&s, llm_wire_field(part, "text")))
			for (size_t i = 0; i < s.n; i++)
				fprintf(f, "%02x", (unsigned char)s.s[i]);
		more = done == NULL;
		if (done != NULL && llm_wire_as_bytes(&s, llm_wire_field(done, "stop")))
			fprintf(
			    f, " %.*s %d\n", (int)s.n, s.s, (int)clients_number(done, "n_out"));
	}
}

static void
talk_score(FILE *f, struct llm_client *c, int k)
{
	uint32_t id;
	double nats = 0;
	char text[100];
	struct llm_wire_out *o = clients_request(c, &id, "score");
	snprintf(text, sizeof text, "It was the %dth of %d days, and no more came.", k, k * k);
	llm_wire_put_str(o, "text", text);
	clients_send(c);
	const struct llm_wire_value *done = clients_done(c, id);
	if (done == NULL || !llm_wire_as_float(&nats, llm_wire_field(done, "nats")))
		clients_die("a score was refused");
	fprintf(f, "%.17g\n", nats);
}

static void
talk_ids(FILE *f, struct llm_client *c, int k)
{
	uint32_t id;
	char text[100];
	int64_t v;
	struct llm_wire_out *o = clients_request(c, &id, "tokenize");
	snprintf(text, sizeof text, "%d bottles of beer", k);
	llm_wire_put_str(o, "text", text);
	clients_send(c);
	const struct llm_wire_value *ids = llm_wire_field(clients_done(c, id), "ids");
	for (size_t i = 0; ids != NULL && i < llm_wire_n(ids); i++)
		if (llm_wire_as_int(&v, llm_wire_item(ids, i)))
			fprintf(f, "%d ", (int)v);
	fprintf(f, "\n");
}

static void *
talk(void *context)
{
	struct talk *t = context;
	FILE *f = open_memstream(&t->out, &t->n_out);
	struct llm_client *c = clients_open();
	for (int i = 0; i < 2; i++)
		talk_answer(f, c, t->number + i);
	talk_score(f, c, t->number);
	talk_ids(f, c, t->number);
	llm_client_close(c);
	fclose(f);
	return NULL;
}

static void
talks(int n, bool together)
{
	static struct talk all[MAX_CLIENTS];
	static pthread_t thread[MAX_CLIENTS];
	for (int i = 0; i < n; i++) {
		all[i].number = i;
		if (!together)
			talk(&all[i]);
		else if (pthread_create(&thread[i], NULL, talk, &all[i]) != 0)
			clients_die("no thread");
	}
	for (int i = 0; i < n; i++) {
		if (together)
			pthread_join(thread[i], NULL);
		fwrite(all[i].out, 1, all[i].n_out, stdout);
		free(all[i].out);
	}
}

/* Going away. */

static void
wait_idle(void)
{
	const char *m = clients.model;
	double begin = 1e3 * llm_clock_s();
	struct llm_client *c = clients_open();
	uint32_t id;
	clients.model = NULL;
	for (;;) {
		clients_request(c, &id, "status");
		clients_send(c);
		const struct llm_wire_value *done = clients_done(c, id);
		if (clients_number(done, "running") == 0 && clients_number(done, "queue") == 0)
			break;
		if (1e3 * llm_clock_s() - begin > PATIENCE_MS)
			clients_die("it goes on");
		poll(NULL, 0, 1);
	}
	printf("idle %.0f\n", 1e3 * llm_clock_s() - begin);
	llm_client_close(c);
	clients.model = m;
}

static void
hangup(int n_tok)
{
	struct llm_client *c = clients_open();
	uint32_t id;
	llm_token *ids = calloc((size_t)n_tok, sizeof *ids);
	if (ids == NULL)
		clients_die("no memory");
	for (int i = 0; i < n_tok; i++)
		ids[i] = 10 + (i * 7 + i / 11) % 200;
	struct llm_wire_out *o = clients_request(c, &id, "generate");
	llm_wire_put_ids(o, "ids", ids, (size_t)n_tok);
	llm_wire_put_bool(o, "cache", false);
	free(ids);
	clients_send(c);
	while (llm_wire_field(clients_receive(c), "prompt") == NULL)
		;
	llm_client_close(c);
	wait_idle();
}

static void
cancel(void)
{
	struct llm_client *c = clients_open();
	uint32_t id, other;
	struct llm_wire_bytes s;
	struct llm_wire_out *o = clients_request(c, &id, "generate");
	llm_wire_put_str(o, "text", "On and on");
	llm_wire_put_float(o, "temp", 1);
	clients_send(c);
	while (llm_wire_field(clients_receive(c), "part") == NULL)
		;
	o = clients_request(c, &other, "cancel");
	llm_wire_put_uint(o, "target", id);
	clients_send(c);
	const struct llm_wire_value *done = clients_done(c, id);
	if (done != NULL && llm_wire_as_bytes(&s, llm_wire_field(done, "stop")))
		printf("%.*s\n", (int)s.n, s.s);
	llm_client_close(c);
}

static void
silent(int n)
{
	for (int i = 0; i < n; i++)
		if (write(clients_connect(), "\0\0", i % 3) <
		    0) /* and some begin to say something */
			clients_die("write");
	clients.model = NULL;
	wait_idle();
	printf("answered\n");
}

static void
full(int n)
{
	struct llm_client *c = NULL, **all = calloc((size_t)n, sizeof(struct llm_client *));
	struct llm_err err;
	for (int i = 0; all != NULL && i < n; i++)
		all[i] = clients_open();
	if (llm_client_open(&c, clients.path, "one too many", &err) < 0)
		printf("%s: %s\n", llm_err_name(err.code), err.msg);
	else
		printf("served\n");
	llm_client_close(c);
	for (int i = 0; all != NULL && i < n; i++)
		llm_client_close(all[i]);
	free(all);
}

static void
churn(int n)
{
	for (int i = 0; i < n; i++) {
		uint32_t id;
		struct llm_client *c;
		if (i % 3 == 0) {
			close(clients_connect());
			continue;
		}
		c = clients_open();
		if (i % 3 == 2) {
			llm_wire_put_str(
			    clients_request(c, &id, "generate"), "text", "Once upon a time");
			clients_send(c);
		}
		llm_client_close(c);
	}
	printf("%d\n", n);
}

static void
small(int n)
{
	struct llm_client *c = clients_open();
	static uint32_t ids[WINDOW];
	static int what[WINDOW];
	int right = 0, begun = 0, under_way = 0;
	for (int ended = 0; ended < n; ended++) {
		for (; under_way < WINDOW && begun < n; begun++, under_way++) {
			int k = 0;
			llm_token token = 10 + begun % 150;
			while (what[k] != 0)
				k++;
			what[k] = (int)token;
			llm_wire_put_ids(
			    clients_request(c, &ids[k], "detokenize"), "ids", &token, 1);
			clients_send(c);
		}
		const struct llm_wire_value *m = clients_receive(c), *done;
		int k = 0;
		while (
		    k < WINDOW && (what[k] == 0 || ids[k] != (uint32_t)clients_number(m, "id")))
			k++;
		if (k == WINDOW)
			clients_die("an answer to nothing");
		/* What the first of these tokens was said to be, the others have to be. */
		static struct llm_hash seen[256];
		static bool known[256];
		struct llm_wire_bytes s;
		if ((done = llm_wire_field(m, "done")) == NULL ||
		    !llm_wire_as_bytes(&s, llm_wire_field(done, "text")))
			clients_die("refused");
		struct llm_hash h = llm_hash_of(s.s, s.n);
		if (!known[what[k]])
			seen[what[k]] = h;
		known[what[k]] = true;
		right += llm_hash_equal(&h, &seen[what[k]]);
		what[k] = 0;
		under_way--;
	}
	printf("%d\n", right);
	llm_client_close(c);
}

static void
write_all(int fd, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t k = send(fd, bytes, n, MSG_NOSIGNAL);
		if (k <= 0) {
			printf("cut off\n");
			exit(0);
		}
		bytes += k;
		n -= (size_t)k;
	}
}

static void
deaf(void)
{
	enum { BYTES = 1 << 20, MOST = 1000 };
	struct llm_wire_out *o;
	struct llm_err err;
	int fd = clients_connect();
	char *text = malloc(BYTES);
	if (text == NULL || llm_wire_out_new(&o, &err) < 0)
		clients_die("no memory");
	for (int i = 0; i < BYTES; i++)
		text[i] = i % 2 ? 'a' : ' ';
	write_all(fd, HELLO, sizeof HELLO - 1);
	for (uint32_t i = 0; i < MOST; i++) {
		size_t n;
		llm_wire_begin(o);
		llm_wire_put_uint(o, "id", i);
		llm_wire_put_str(o, "op", "tokenize");
		llm_wire_put_str(o, "model", clients.model);
		llm_wire_put_bin(o, "text", text, BYTES);
		if (llm_wire_end(o, &err) < 0)
			clients_die(err.msg);
		const void *bytes = llm_wire_bytes(&n, o);
		write_all(fd, bytes, n);
		llm_wire_take(o, n);
	}
	printf("never\n");
}

/* What no client should say. */

static const struct {
	const char *what, *bytes;
	size_t n;
} bad[] = {
#define BAD(what, s)                   \
	{                              \
		what, s, sizeof(s) - 1 \
	}
    BAD("nothing of a message", "\0\0\0\0"),
    BAD("more than may be", "\xff\xff\xff\xff"),
    BAD("no map", "\0\0\0\x01\x01"),
    BAD("half a map", "\0\0\0\x02\x82\xa1"),
    BAD("a hello of another version", "\0\0\0\x08\x81\xa5hello\x63"),
    BAD("no hello", "\0\0\0\x07\x81\xa4oops\x01"),
    BAD("a hello that is none", "\0\0\0\x0a\x81\xa5hello\xa2hi"),
    BAD("bytes of nothing", "\0\0\0\x08\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1"),
    BAD("many announced", "\0\0\0\x05\xdf\xff\xff\xff\xff"),
    BAD("a long string announced", "\0\0\0\x07\x81\xdb\xff\xff\xff\xff\x01"),
    BAD("no id", HELLO "\0\0\0\x0b\x81\xa2op\xa6status"),
    BAD("no op", HELLO "\0\0\0\x05\x81\xa2id\x01"),
    BAD("an id that is none", HELLO "\0\0\0\x0f\x82\xa2id\xff\xa2op\xa6status"),
    BAD("a key twice", HELLO "\0\0\0\x09\x82\xa2id\x01\xa2id\x02"),
    BAD("no string for a key", HELLO "\0\0\0\x03\x81\x05\x05"),
    BAD("a second hello", HELLO HELLO),
    BAD("an HTTP client", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
};

/* Whether the daemon answers it, once, by an error, or closes; it is not to be silent. */
static bool
refused(const char *bytes, size_t n)
{
	struct pollfd p = {.fd = clients_connect(), .events = POLLIN};
	char buf[4096];
	size_t got = 0;
	if (send(p.fd, bytes, n, MSG_NOSIGNAL) < 0)
		clients_die("send");
	for (;;) {
		if (poll(&p, 1, 5000) <= 0)
			return false;
		ssize_t k = read(p.fd, buf + got, sizeof buf - got);
		if (k <= 0)
			break;
		got += (size_t)k;
	}
	close(p.fd);
	return got == 0 || memmem(buf, got, "error", 5) != NULL;
}

/* Descriptors come along with a message: nobody wants them. */
static void
with_fds(void)
{
	int fd = clients_connect(), passed[8];
	char bytes[] = "\0\0\0\x08\x81\xa5hello";
	struct iovec part = {bytes, sizeof bytes - 1};
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof passed)];
	} control = {0};
	struct msghdr m = {.msg_iov = &part,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    .msg_controllen = sizeof control.room};
	for (int i = 0; i < 8; i++)
		passed[i] = STDIN_FILENO;
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof passed);
	memcpy(CMSG_DATA(h), passed, sizeof passed);
	if (sendmsg(fd, &m, MSG_NOSIGNAL) < 0)
		clients_die("sendmsg");
	poll(NULL, 0, 20);
	close(fd);
}

static void
random_bytes(void)
{
	unsigned x = 4711;
	for (int i = 0; i < 200; i++) {
		char bytes[512];
		int fd = clients_connect(), n = 1 + i * 2;
		for (int k = 0; k < n; k++)
			bytes[k] = (char)((x = x * 1103515245 + 12345) >> 16);
		bytes[0] = bytes[1] = 0; /* a length that may be */
		if (send(fd, bytes, (size_t)n, MSG_NOSIGNAL) < 0)
			clients_die("send");
		close(fd);
	}
}

static void
say_bad(void)
{
	int n = (int)(sizeof bad / sizeof bad[0]);
	int drip = clients_connect();
	for (int i = 0; i < n; i++) {
		if (i < (int)sizeof HELLO - 1 && write(drip, &HELLO[i], 1) < 0)
			clients_die("write");
		if (!refused(bad[i].bytes, bad[i].n))
			printf("not refused: %s\n", bad[i].what);
	}
	with_fds();
	random_bytes();
	clients.model = NULL;
	wait_idle();
	printf("%d kinds\n", n);
}

static void
busy(int n)
{
	struct llm_client *c = clients_open();
	uint32_t id;
	int refusals = 0;
	char name[32] = "";
	for (int i = 0; i < n; i++) {
		struct llm_wire_out *o = clients_request(c, &id, "generate");
		llm_wire_put_str(o, "text", "What a day it was, and");
		llm_wire_put_int(o, "n", 4);
		clients_send(c);
	}
	for (int ended = 0; ended < n;) {
		const struct llm_wire_value *m = clients_receive(c),
					    *e = llm_wire_field(m, "error");
		struct llm_wire_bytes s;
		ended += e != NULL || llm_wire_field(m, "done") != NULL;
		refusals += e != NULL;
		if (e != NULL && llm_wire_as_bytes(&s, llm_wire_field(e, "name")))
			snprintf(name, sizeof name, "%.*s", (int)s.n, s.s);
	}
	printf("%d %s\n", refusals, name);
	llm_client_close(c);
}

static void
weights(const char *to)
{
	struct llm_client *c = clients_open();
	struct stat st;
	uint32_t id;
	clients_request(c, &id, "weights");
	clients_send(c);
	const struct llm_wire_value *done = clients_done(c, id);
	int fd = llm_client_take_fd(c), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	bool packed = false;
	if (done == NULL || fd < 0 || out < 0 || fstat(fd, &st) < 0)
		clients_die("no descriptor came");
	llm_wire_as_bool(&packed, llm_wire_field(done, "packed"));
	char *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		clients_die("it cannot be mapped");
	for (size_t at = 0; at < (size_t)st.st_size;) {
		ssize_t k = write(out, p + at, (size_t)st.st_size - at);
		if (k <= 0)
			clients_die("it cannot be copied");
		at += (size_t)k;
	}
	printf("%s%s%s\n", packed ? "packed" : "plain",
	    fcntl(fd, F_GET_SEALS) > 0 && (fcntl(fd, F_GET_SEALS) & F_SEAL_WRITE) ? " sealed"
										  : "",
	    write(fd, "x", 1) < 0 ? "" : " writable");
	llm_client_close(c);
}

static void
notified(int n)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char line[256];
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	strncpy(a.sun_path, clients.path, sizeof a.sun_path - 1);
	if (fd < 0 || bind(fd, (const void *)&a, sizeof a) < 0)
		clients_die(strerror(errno));
	struct pollfd p = {.fd = fd, .events = POLLIN};
	for (int i = 0; i < n && poll(&p, 1, PATIENCE_MS) > 0; i++) {
		ssize_t k = recv(fd, line, sizeof line, 0);
		printf("%.*s\n", k > 0 ? (int)k : 0, line);
	}
}

int
main(int argc, char **argv)
{
	clients.name = "mkclients";
	if (argc < 3)
		clients_die("usage: mkclients SOCKET COMMAND [ARG...]");
	clients.path = argv[1];
	const char *what = argv[2], *a = argc > 3 ? argv[3] : "", *b = argc > 4 ? argv[4] : "";
	int n = atoi(a), m = atoi(b);
	if (a[0] == '/')
		clients.model = a;
	if (strcmp(what, "alone") == 0)
		talks(m, false);
	else if (strcmp(what, "together") == 0)
		talks(m, true);
	else if (strcmp(what, "hangup") == 0)
		hangup(m);
	else if (strcmp(what, "cancel") == 0)
		cancel();
	else if (strcmp(what, "silent") == 0)
		silent(n);
	else if (strcmp(what, "full") == 0)
		full(n);
	else if (strcmp(what, "churn") == 0)
		churn(m);
	else if (strcmp(what, "small") == 0)
		small(m);
	else if (strcmp(what, "deaf") == 0)
		deaf();
	else if (strcmp(what, "busy") == 0)
		busy(m);
	else if (strcmp(what, "bad") == 0)
		say_bad();
	else if (strcmp(what, "notified") == 0)
		notified(n);
	else if (strcmp(what, "weights") == 0)
		weights(b);
	else
		clients_die("no such command");
	return 0;
}
