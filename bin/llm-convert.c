/*
 * SPDX-License-Identifier: ISC
 *
 * llm-convert: a model as published (config.json, safetensors, tokenizer.json) in, one GGUF file out, which
 * appears under its name whole or not at all.
 */
#include "bin/convert.h"
#include "bin/tool.h"
#include "libcore/encoder.h"
#include "libcore/newfile.h"
#include "tokenize/wordpiece.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PIECE = 1 << 16,
	/* elements converted at once, a multiple of any block */ MAX_JSON = 64 << 20
};

static struct {
	enum llm_dtype type;
} opt = {.type = LLM_DTYPE_F16};

static int
type_take(const char *arg, void *context)
{
	static const struct {
		const char *name;
		enum llm_dtype type;
	} types[] = {{"f32", LLM_DTYPE_F32}, {"f16", LLM_DTYPE_F16}, {"q8_0", LLM_DTYPE_Q8_0}};
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (strcmp(arg, types[i].name) == 0) {
			*(enum llm_dtype *)context = types[i].type;
			return 0;
		}
	return -1;
}

static const struct tool_option options[] = {
    {.name = "type",
	.metavar = "f32|f16|q8_0",
	.help = "the type of matrices (default f16)",
	.kind = TOOL_EACH,
	.dest = &opt.type,
	.each = type_take},
    {0},
};

static const struct tool tool = {
    .name = "llm-convert",
    .operands = "DIRECTORY OUT.gguf",
    .purpose = "make one GGUF file of a sentence encoder as it is published",
    .options = options,
};

/* The file in the making, for the handler; the mapped source. */
static struct llm_newfile file;
static const struct llm_safetensors *source;

static void
on_signal(int number)
{
	if (file.named)
		unlink(file.temporary);
	raise(number); /* its default again, once the handler returns */
}

static void
on_sigbus(int number, siginfo_t *info, void *context)
{
	static const char text[] =
	    "llm-convert: a source file shrank, or could not be read, while in use\n";
	(void)context;
	if (file.named)
		unlink(file.temporary);
	if (source != NULL && llm_safetensors_covers(source, info->si_addr) != NULL) {
		ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);
		(void)ignored;
		_exit(74); /* LLM_EIO's status */
	}
	signal(number, SIG_DFL);
	raise(number);
}

static void
watch(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND}, was;
	struct sigaction bus = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO};
	sigemptyset(&sa.sa_mask);
	sigemptyset(&bus.sa_mask);
	for (int i = 0; i < 3; i++)
		if (sigaction(signals[i], NULL, &was) == 0 && was.sa_handler != SIG_IGN)
			sigaction(signals[i], &sa, NULL);
	sigaction(SIGBUS, &bus, NULL);
}

/* Ends the program once nothing is left of the file in the making. */
_Noreturn static void
die(const struct llm_err *err)
{
	llm_newfile_drop(&file);
	tool_die(err);
}

void
convert_refuse(const struct convert *c, const char *name, const char *fmt, ...)
{
	char why[200], dir[100];
	size_t n = strlen(c->dir), cut = n > 80 ? n - 80 : 0;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	llm_newfile_drop(&file);
	tool_fail(LLM_EDATA, "%s/%s: %s", llm_err_quote(dir, sizeof dir, c->dir + cut, n - cut),
	    name, why);
}

static char *
path_of(const struct convert *c, const char *name)
{
	size_t n = strlen(c->dir) + strlen(name) + 2;
	char *path = malloc(n);
	if (path == NULL)
		tool_fail(LLM_ENOMEM, "out of memory");
	snprintf(path, n, "%s/%s", c->dir, name);
	return path;
}

/* What a file of the directory holds, or NULL where it is not there and not needed. */
static struct llm_json *
json_read(const struct convert *c, const char *name, bool need)
{
	struct stat info;
	struct llm_err err;
	struct llm_json *j = NULL;
	char *path = path_of(c, name), *text;
	size_t n;
	if (need || stat(path, &info) == 0) {
		tool_read_all(&text, &n, path);
		if (n > MAX_JSON)
			convert_refuse(c, name, "%zu bytes, expected at most %d", n, MAX_JSON);
		if (llm_json_parse(&j, text, n, &err) < 0)
			convert_refuse(c, name, "%.150s", err.msg);
		free(text);
	}
	free(path);
	return j;
}

struct llm_json *
convert_json(const struct convert *c, const char *name, bool need)
{
	struct llm_json *j = json_read(c, name, need);
	if (j != NULL && !llm_json_is_object(j))
		convert_refuse(c, name, "no JSON object");
	return j;
}

struct llm_json *
convert_array(const struct convert *c, const char *name)
{
	struct llm_json *j = json_read(c, name, false);
	if (j != NULL && !llm_json_is_array(j))
		convert_refuse(c, name, "no JSON array");
	return j;
}

int
convert_int(
    const struct convert *c, const struct llm_json *object, const char *name, int min, int max)
{
	int64_t v;
	if (!llm_json_int(&v, llm_json_member(object, name)))
		convert_refuse(c, "config.json", "%s is no whole number", name);
	if (v < min || v > max)
		convert_refuse(c, "config.json", "%s is %lld, expected %d to %d", name,
		    (long long)v, min, max);
	return (int)v;
}

void
convert_need(const struct convert *c, const char *name, const char *value)
{
	const char *s;
	char quoted[60];
	size_t n;
	if (!llm_json_str(&s, &n, llm_json_member(c->config, name)))
		convert_refuse(c, "config.json", "%s is no string", name);
	if (strcmp(s, value) != 0)
		convert_refuse(c, "config.json", "%s is '%s'; what is computed is '%s'", name,
		    llm_err_quote(quoted, sizeof quoted, s, n), value);
}

bool
convert_is(const struct llm_json *object, const char *name, const char *value)
{
	const char *s;
	size_t n;
	return llm_json_str(&s, &n, llm_json_member(object, name)) && strcmp(s, value) == 0;
}

/* The header, then each tensor's data, padded. */
static void
write_all(struct convert *c)
{
	static const unsigned char zeros[LLM_GGUF_WRITE_ALIGN];
	static float x[PIECE];
	static unsigned char y[PIECE * sizeof(float)];
	struct llm_gguf_bytes header = {0};
	struct llm_err err;
	if (llm_gguf_writer_header(&header, &c->writer, &err) < 0 ||
	    llm_newfile_put(&file, header.b, header.n, &err) < 0)
		die(&err);
	free(header.b);
	for (size_t i = 0; i < c->n_plan; i++) {
		const struct llm_safetensors_tensor *t = c->plan[i].from;
		const struct llm_dtype_info *to = llm_dtype_info(c->plan[i].type);
		size_t put = 0;
		for (size_t at = 0, n; at < t->n; at += n) {
			n = t->n - at < PIECE ? t->n - at : PIECE;
			size_t bytes = n / (size_t)to->block * (size_t)to->block_bytes;
			if (llm_safetensors_f32(x, t, at, n, &err) < 0)
				die(&err);
			if (!llm_gguf_quantize(y, c->plan[i].type, x, n))
				convert_refuse(c, "model.safetensors",
				    "tensor %.100s has values that are not finite as %s",
				    t->name, to->name);
			if (llm_newfile_put(&file, y, bytes, &err) < 0)
				die(&err);
			put += bytes;
		}
		size_t pad =
		    (LLM_GGUF_WRITE_ALIGN - put % LLM_GGUF_WRITE_ALIGN) % LLM_GGUF_WRITE_ALIGN;
		if (llm_newfile_put(&file, zeros, pad, &err) < 0)
			die(&err);
	}
}

/* The file is what the programs read: shapes agree with config.json, nothing is missing. */
static void
check(const struct convert *c)
{
	struct llm_gguf *g = NULL;
	struct llm_encoder *e = NULL;
	struct llm_wordpiece *w = NULL;
	struct llm_err err;
	char path[32];
	snprintf(path, sizeof path, "/proc/self/fd/%d", file.fd); /* it may have no name yet */
	if (llm_gguf_open(&g, path, &err) < 0)
		convert_refuse(c, "model.safetensors", "%.190s", err.msg);
	if (llm_wordpiece_open(&w, g, &err) < 0 || llm_encoder_open(&e, g, &err) < 0) {
		size_t n = strlen(llm_gguf_path(g));
		bool named = strncmp(err.msg, llm_gguf_path(g), n) == 0;
		convert_refuse(c, "model.safetensors", "%.190s", err.msg + (named ? n + 2 : 0));
	}
	llm_wordpiece_close(w);
	llm_encoder_close(e);
}

int
main(int argc, char **argv)
{
	struct llm_err err;
	int at = tool_start(&tool, argc, argv);
	tool_operands(argc, at, 2);
	if (argc - at != 2)
		tool_usage("two operands are wanted: the directory to read, the file to make");
	struct convert c = {.dir = argv[at], .type = opt.type};
	watch();
	c.config = convert_json(&c, "config.json", true);
	convert_need(&c, "model_type", "bert");
	if (llm_safetensors_open(&c.tensors, c.dir, &err) < 0)
		tool_die(&err);
	source = c.tensors;
	convert_bert(&c);
	mode_t mask = umask(0);
	umask(mask);
	if (llm_newfile_open(&file, argv[at + 1], 0666 & ~mask, &err) < 0)
		tool_die(&err);
	write_all(&c);
	check(&c);
	if (llm_newfile_keep(&file, true, &err) < 0)
		tool_die(&err);
	source = NULL;
	llm_safetensors_close(c.tensors);
	llm_json_free(c.config);
	llm_gguf_writer_free(&c.writer);
	free(c.plan);
	tool_exit(0);
}
