/*
 * SPDX-License-Identifier: ISC
 *
 * The blocking client finds its daemon and exchanges hellos, and is told in time where there is none that does.
 */
#define _GNU_SOURCE
#include "libcore/client.h"
#include "libcore/clock.h"
#include "tests/folder.h"
#include "tests/server.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct llm_err err;

/* What opening a connection to such a server gives. */
static int
opened(void (*serve)(int fd))
{
	struct llm_client *c = NULL;
	server_start(serve);
	err.msg[0] = '\0';
	int rc = llm_client_open(&c, server.path, "test 1", &err);
	llm_client_close(c);
	server_stop();
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
	if (!server_hear(fd, head, 4) || !server_hear(fd, got, head[3]) ||
	    memmem(got, head[3], want, sizeof want - 1) == NULL)
		_exit(1);
	SERVER_FRAME(fd, SERVER_HELLO);
	server_hear_frame(fd);
}

static void
serve_version(int fd)
{
	server_hear_frame(fd);
	SERVER_FRAME(fd, "\x83\xa5hello\x02\xa7numeric\x01\xa3pid\x63");
}

static void
serve_refusal(int fd)
{
	server_hear_frame(fd);
	SERVER_FRAME(fd, "\x81\xa5"
			 "error\x83\xa4"
			 "code\x4b\xa4name\xa4"
			 "BUSY\xa4text\xa9"
			 "no room\n!");
}

static void
serve_silence(int fd)
{
	server_hear_frame(fd);
	server_pause_ms(20000);
}

static void
serve_drip(int fd)
{
	static const char frame[] = "\0\0\0\x18" SERVER_HELLO;
	server_hear_frame(fd);
	for (size_t i = 0; i < sizeof frame - 1; i++) {
		server_say(fd, frame + i, 1);
		server_pause_ms(250);
	}
	server_pause_ms(20000);
}

static void
serve_close(int fd)
{
	(void)fd;
}

static void
serve_heard_close(int fd)
{
	server_hear_frame(fd);
}

static void
serve_half(int fd)
{
	server_hear_frame(fd);
	server_say(fd, "\0\0\0\x30\x83\xa5hel", 9);
}

static void
serve_huge(int fd)
{
	server_hear_frame(fd);
	server_say(fd, "\x7f\xff\xff\xff\x83\xa5hello", 11);
	server_pause_ms(20000);
}

static void
serve_noise(int fd)
{
	server_hear_frame(fd);
	SERVER_FRAME(fd, "\x93HTTP/1.1 400 Bad Request");
	server_pause_ms(20000);
}

static void
serve_http(int fd)
{
	server_say(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
	server_pause_ms(20000);
}

static void
serve_types(int fd)
{
	server_hear_frame(fd);
	SERVER_FRAME(fd, "\x81\xa5hello\xa1"
			 "1");
}

static void
opening(void)
{
	struct llm_client *c = NULL;
	double at = llm_clock_s();
	server_start(serve_hello);
	tap_ok(llm_client_open(&c, server.path, "test 1", &err) == 0 &&
		   llm_client_numeric(c) == 7 && llm_client_pid(c) == 99 &&
		   (fcntl(llm_client_fd(c), F_GETFD) & FD_CLOEXEC) != 0,
	    "hellos are exchanged: version, numeric version, who it is");
	llm_client_close(c);
	server_stop();
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
	snprintf(s, sizeof s, "%s/none", test_folder);
	tap_ok(llm_client_open(&c, s, "test", &err) == LLM_EUNAVAILABLE &&
		   strstr(err.msg, s) != NULL && strstr(err.msg, "No such file") != NULL,
	    "where no socket is there is no daemon, with the path");
	server_start(serve_close);
	server_stop();
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof a.sun_path, "%s/left", test_folder);
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
	snprintf(a.sun_path, sizeof a.sun_path, "%s/crowd", test_folder);
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
	/* Whose it is, is who listens. */
	if (geteuid() != 0 || chown(test_folder, 65534, (gid_t)-1) < 0 || seteuid(65534) < 0) {
		tap_skip("a daemon of another user is refused", "only root can be two users");
		tap_skip("and gets not a byte", "only root can be two users");
		return;
	}
	server_start(serve_stranger);
	if (seteuid(0) < 0)
		exit(1);
	tap_ok(llm_client_open(&c, server.path, "test", &err) == LLM_EUNAVAILABLE &&
		   strstr(err.msg, "another user's (65534)") != NULL,
	    "a daemon of another user is refused");
	tap_ok(server_wait() == 0, "and gets not a byte");
	server_stop();
}

int
main(void)
{
	test_folder_new();
	addresses();
	opening();
	crowd();
	strangers();
	return test_folder_remove() ? tap_done() : 1;
}
