/*
 * SPDX-License-Identifier: ISC
 *
 * Servers of a unit test's own, for what a client makes of them: each is a child that listens on a socket of its own
 * in test_folder and takes one connection.  What it says and hears goes by plain calls, so that it shares nothing with
 * what is tested; where that fails it ends itself.
 */
#ifndef LLM_TESTS_SERVER_H
#define LLM_TESTS_SERVER_H

#include "libcore/client.h"

#include <stdbool.h>
#include <string.h>

/* The one that was started last. */
struct server {
	char path[LLM_CLIENT_PATH];
	pid_t pid; /* 0: it has ended, and that was seen */
};
extern struct server server;

/* Starts one: `serve' has the connection, and the child ends after it.  It is there when this returns. */
void server_start(void (*serve)(int fd));
/* Ends it, whatever it does, and its socket is gone. */
void server_stop(void);
/* Waits for its end; its exit status, -1 where it had none. */
int server_wait(void);

/* Of either side. */
void server_pause_ms(long ms);

/* All n bytes; false at the end. */
void server_say(int fd, const void *bytes, size_t n);
bool server_hear(int fd, void *bytes, size_t n);

/* Takes a frame, and lets go of it; its length, 0 at the end. */
size_t server_hear_frame(int fd);

/* A frame around a map of literal msgpack. */
#define SERVER_FRAME(fd, literal)                                \
	do {                                                     \
		static const char frame_[] = "\0\0\0\0" literal; \
		char copy_[sizeof frame_];                       \
		memcpy(copy_, frame_, sizeof frame_);            \
		copy_[3] = (char)(sizeof frame_ - 5);            \
		server_say((fd), copy_, sizeof frame_ - 1);      \
	} while (0)

/* {"hello": 1, "numeric": 7, "pid": 99} */
#define SERVER_HELLO "\x83\xa5hello\x01\xa7numeric\x07\xa3pid\x63"
/* Hears a hello and says that one. */
void server_greet(int fd);

/* Bytes that n_fd <= 8 descriptors come along with. */
void server_pass(int fd, const void *bytes, size_t n, const int *fds, size_t n_fd);

#endif
