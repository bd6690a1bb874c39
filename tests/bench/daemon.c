/*
 * SPDX-License-Identifier: ISC
 *
 * What the daemon costs and gives, from outside: bench/daemon MODEL [LLMD [FIGURE...]] starts one (bin/llmd) and prints
 * name, figure, target and value, tab-separated; all figures unless some are named.
 */
#define _GNU_SOURCE
#include "libcore/clock.h"
#include "tests/clients.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_TIMES = 100000, PROMPT = 1500 };

static const char *llmd = "bin/llmd";
static char path[LLM_CLIENT_PATH];
static pid_t pid;
static char **wanted;
static int n_wanted;

/* Whatever ends this program ends the daemon. */
static void
end_daemon(void)
{
	if (pid > 0)
		kill(pid, SIGKILL);
}

/* name: what targets.tsv calls it, behind "daemon-"; "-" where it has no target. */
static void
row(const char *name, const char *figure, const char *target, double value)
{
	printf("%s\t%s\t%s\t%.4g\n", name, figure, target, value);
	fflush(stdout);
}

static bool
is_wanted(const char *figure)
{
	for (int i = 0; i < n_wanted; i++)
		if (strcmp(wanted[i], figure) == 0)
			return true;
	return n_wanted == 0;
}

struct ask {
	int n_prompt, n;
	unsigned seed; /* of the prompt's ids */
	const char *class;
};

static void
ask(struct llm_client *c, const struct ask *a)
{
	uint32_t id;
	llm_token ids[8192];
	unsigned x = a->seed * 2654435761u + 1;
	for (int i = 0; i < a->n_prompt; i++)
		ids[i] = (llm_token)(10 + ((x = x * 1103515245 + 12345) >> 16) % 200);
	struct llm_wire_out *o = clients_request(c, &id, "generate");
	llm_wire_put_ids(o, "ids", ids, (size_t)a->n_prompt);
	llm_wire_put_int(o, "n", a->n);
	llm_wire_put_int(o, "draft", 0);
	llm_wire_put_bool(o, "cache", false);
	llm_wire_put_str(o, "class", a->class);
	clients_send(c);
}

/* Seconds to the first part, and to the end; in us what the daemon says that it computed. */
struct told {
	double first_s, done_s, computed_s;
	int n_out;
};

static struct told
hear(struct llm_client *c)
{
	struct told t = {0};
	double begin = llm_clock_s();
	for (;;) {
		const struct llm_wire_value *m = clients_receive(c);
		const struct llm_wire_value *done = llm_wire_field(m, "done");
		if (llm_wire_field(m, "error") != NULL)
			clients_die("refused");
		if (llm_wire_field(m, "part") != NULL && t.first_s == 0)
			t.first_s = llm_clock_s() - begin;
		if (done == NULL)
			continue;
		t.done_s = llm_clock_s() - begin;
		t.computed_s = 1e-6 * (double)(clients_number(done, "prefill_us") +
					       clients_number(done, "decode_us"));
		t.n_out = (int)clients_number(done, "n_out");
		return t;
	}
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double
quantile(double *v, int n, double q)
{
	qsort(v, (size_t)n, sizeof *v, by_value);
	return v[(int)(q * (n - 1) + 0.5)];
}

/* One row of /proc/PID/status, in KiB. */
static double
status_kib(const char *key)
{
	char file[64], line[256];
	double kib = 0;
	snprintf(file, sizeof file, "/proc/%d/status", (int)pid);
	FILE *f = fopen(file, "r");
	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			kib = strtod(line + strlen(key) + 1, NULL);
	if (f != NULL)
		fclose(f);
	return kib;
}

/* What the daemon says of itself. */
static double
status(const char *key)
{
	struct llm_client *c = clients_open();
	uint32_t id;
	llm_client_request(c, &id, "status");
	clients_send(c);
	double v = (double)clients_number(llm_wire_field(clients_receive(c), "done"), key);
	llm_client_close(c);
	return v;
}

static void
start(void)
{
	double begin = llm_clock_s();
	struct llm_client *c;
	struct llm_err err;
	snprintf(path, sizeof path, "/tmp/llm-bench.%d/sock", (int)getpid());
	if ((pid = fork()) < 0)
		clients_die("fork");
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		dup2(null, 1);
		dup2(null, 2);
		execl(llmd, llmd, "-s", path, "-m", clients.model, (char *)NULL);
		_exit(127);
	}
	while (llm_client_open(&c, path, clients.name, &err) < 0) {
		if (llm_clock_s() - begin > 10)
			clients_die(err.msg);
		poll(NULL, 0, 1);
	}
	if (is_wanted("ready"))
		row("ready", "ready after start, s", "<= 0.1", llm_clock_s() - begin);
	ask(c, &(struct ask){.n_prompt = 4, .n = 1, .class = "pipe"});
	hear(c);
	if (is_wanted("ready"))
		row("-", "first answer after start, s", "-", llm_clock_s() - begin);
	llm_client_close(c);
}

static void
memory(void)
{
	row("private", "private memory, no keys and values kept, MiB", "<= 60",
	    status_kib("RssAnon") / 1024);
}

static void
hello(void)
{
	enum { N = 200 };
	double v[N];
	for (int i = 0; i < N; i++) {
		double begin = llm_clock_s();
		llm_client_close(clients_open());
		v[i] = 1e3 * (llm_clock_s() - begin);
	}
	row("hello", "connection to hello, median, ms", "<= 1", quantile(v, N, 0.5));
	row("-", "connection to hello, p99, ms", "-", quantile(v, N, 0.99));
}

static void
overhead(void)
{
	enum { N = 200 };
	double v[N];
	struct llm_client *c = clients_open();
	for (int i = 0; i < N; i++) {
		double begin = llm_clock_s();
		ask(c, &(struct ask){.n_prompt = 4, .n = 1, .class = "interactive"});
		struct told t = hear(c);
		v[i] = 1e3 * (llm_clock_s() - begin - t.computed_s);
	}
	row("over", "over the passes, a warm client, median, ms", "<= 1", quantile(v, N, 0.5));
	row("over-p99", "over the passes, a warm client, p99, ms", "<= 3",
	    quantile(v, N, 0.99));
	llm_client_close(c);
}

static void
small(void)
{
	static double v[MAX_TIMES];
	enum { N = 5000 };
	struct llm_client *c = clients_open();
	uint32_t id;
	for (int i = 0; i < N; i++) {
		double begin = llm_clock_s();
		llm_wire_put_str(clients_request(c, &id, "tokenize"), "text", "hello");
		clients_send(c);
		if (clients_done(c, id) == NULL)
			clients_die("tokenize");
		v[i] = 1e3 * (llm_clock_s() - begin);
	}
	row("-", "tokenize, median, ms", "-", quantile(v, N, 0.5));
	llm_client_close(c);
}

/* Load. */

struct load {
	pthread_t thread;
	struct ask ask;
	int times; /* < 0: until it is to end */
	double n_out, first_s;
};
static atomic_bool ending;

static void *
load_run(void *context)
{
	struct load *l = context;
	struct llm_client *c = clients_open();
	for (int i = 0; l->times < 0 ? !atomic_load(&ending) : i < l->times; i++) {
		l->ask.seed += 1000;
		ask(c, &l->ask);
		l->n_out += hear(c).n_out;
	}
	llm_client_close(c);
	return NULL;
}

/* Tokens a second of n clients, each with one answer. */
static double
decode_rate(int n, int n_token)
{
	static struct load l[64];
	double begin = llm_clock_s(), sum = 0;
	for (int i = 0; i < n; i++) {
		l[i] = (struct load){
		    .ask = {.n_prompt = 8, .n = n_token, .seed = (unsigned)i, .class = "pipe"},
		    .times = 1};
		pthread_create(&l[i].thread, NULL, load_run, &l[i]);
	}
	for (int i = 0; i < n; i++) {
		pthread_join(l[i].thread, NULL);
		sum += l[i].n_out;
	}
	return sum / (llm_clock_s() - begin);
}

static void
together(void)
{
	double one = 0, many = 0;
	for (int i = 0; i < 2; i++) {
		double a = decode_rate(1, 48), b = decode_rate(16, 48);
		one = a > one ? a : one;
		many = b > many ? b : many;
	}
	row("-", "decode, 1 client, tok/s", "-", one);
	row("sixteen", "decode, 16 clients, of that of 1",
	    ">= 6 (AVX-512, 40 GB/s), >= 4 above 60", many / one);
}

/* An interactive request while eight clients send long prompts. */
static void
interactive(void)
{
	enum { OTHERS = 8, N = 8 };
	static struct load l[OTHERS];
	double first = 0, done = 0, alone = 0;
	const struct ask a = {.n_prompt = 20, .n = 8, .seed = 7, .class = "interactive"};
	struct llm_client *c = clients_open();
	for (int i = 0; i < 3; i++) {
		ask(c, &a);
		double s = hear(c).first_s;
		alone = i == 0 || s < alone ? s : alone;
	}
	atomic_store(&ending, false);
	for (int i = 0; i < OTHERS; i++) {
		l[i] = (struct load){
		    .ask = {.n_prompt = PROMPT, .n = 4, .seed = (unsigned)i, .class = "pipe"},
		    .times = -1};
		pthread_create(&l[i].thread, NULL, load_run, &l[i]);
	}
	poll(NULL, 0, 1000);
	for (int i = 0; i < N; i++) {
		ask(c, &a);
		struct told t = hear(c);
		first = t.first_s > first ? t.first_s : first;
		done = t.done_s > done ? t.done_s : done;
		poll(NULL, 0, 37);
	}
	atomic_store(&ending, true);
	/* They are not waited for: their prompts are long. */
	row("-", "its first token alone, s", "-", alone);
	row("first", "first token while 8 send 1,500 tokens, longest, s", "S <= 0.3, 1B <= 0.6",
	    first);
	row("-", "its 8 tokens done, longest, s", "<= 10 steps and its prefill", done);
	llm_client_close(c);
	for (int i = 0; i < OTHERS; i++)
		pthread_join(l[i].thread, NULL);
}

static void
hangup(void)
{
	double worst = 0;
	for (int i = 0; i < 3; i++) {
		struct llm_client *c = clients_open();
		ask(c, &(struct ask){
			   .n_prompt = 4000, .n = 1, .seed = (unsigned)i, .class = "pipe"});
		while (llm_wire_field(clients_receive(c), "prompt") == NULL)
			;
		poll(NULL, 0, 50);
		double begin = llm_clock_s();
		llm_client_close(c);
		while (status("running") + status("queue") > 0)
			poll(NULL, 0, 1);
		double s = llm_clock_s() - begin;
		worst = s > worst ? s : worst;
	}
	row("hangup", "idle after a hang-up in 4,000 tokens, longest, s", "<= 0.15", worst);
}

static void
crowd(void)
{
	int fd[200];
	for (int i = 0; i < 200; i++)
		fd[i] = clients_connect();
	double begin = llm_clock_s();
	llm_client_close(clients_open());
	row("silent", "connection to hello beside 200 silent ones, ms", "<= 1",
	    1e3 * (llm_clock_s() - begin));
	for (int i = 0; i < 200; i++)
		close(fd[i]);
	double before = status_kib("RssAnon");
	for (int i = 0; i < 1000; i++)
		llm_client_close(clients_open());
	begin = llm_clock_s();
	llm_client_close(clients_open());
	row("-", "connection to hello after 1,000 hang-ups, ms", "2 steps",
	    1e3 * (llm_clock_s() - begin));
	row("growth", "growth by 1,000 hang-ups, KiB", "0", status_kib("RssAnon") - before);
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} figure[] = {{"hello", hello}, {"overhead", overhead}, {"small", small},
	    {"together", together}, {"interactive", interactive}, {"hangup", hangup},
	    {"crowd", crowd}, {"memory", memory}};
	const char *model = argc > 1 ? argv[1] : getenv("LLM_TEST_MODEL");
	if (argc < 2 && (model == NULL || model[0] == '\0')) {
		fprintf(stderr, "bench/daemon: no model: nothing is measured\n");
		return 0;
	}
	clients = (struct clients){.name = "bench/daemon", .path = path, .model = model};
	if (model == NULL || model[0] != '/')
		clients_die("usage: bench/daemon /path/of/MODEL [LLMD [FIGURE...]]");
	llmd = argc > 2 ? argv[2] : llmd;
	wanted = argv + 3;
	n_wanted = argc > 3 ? argc - 3 : 0;
	atexit(end_daemon);
	start();
	for (size_t i = 0; i < sizeof figure / sizeof figure[0]; i++)
		if (is_wanted(figure[i].name))
			figure[i].run();
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	pid = 0;
	*strrchr(path, '/') = '\0';
	rmdir(path);
	return 0;
}
