/*
 * SPDX-License-Identifier: ISC
 *
 * mkgguf - write a made model: mkgguf [options] FILE.gguf.  See mkmodel.h and usage below.
 */
#include "tests/mkmodel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: mkgguf [options] FILE.gguf\n"
    "  --shape NAME     tiny (default) tinyk odd 15M 135M 1B 3B 8B\n"
    "  --layers N --embd N --heads N --heads-kv N --head-dim N --ff N --vocab-size N --ctx N\n"
    "  --theta X --eps X --tied | --untied\n"
    "  --rope-factor X  Llama 3.1 divisors (0: none)\n"
    "  --type T         F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K\n"
    "                   Q4_K_M Q5_K_M Q3_K_M SMOLLM2\n"
    "  --type-of NAME=T another type for each tensor whose name contains NAME\n"
    "  --std-of NAME=X  the weights' standard deviation, likewise (inf, nan allowed)\n"
    "  --encode         the weights of F32, quantised (not for K-quants)\n"
    "  --vocab V        gpt2 llama3 spm none, or the path of a GGUF file to copy from\n"
    "  --template FILE  chat template\n"
    "  --seed N --version 2|3 --align N\n"
    "  --set KEY=TYPE:VALUE  (u8..i64 f32 f64 bool string; [TYPE]:V,V) --unset KEY\n"
    "  --drop TENSOR    leave a tensor out\n"
    "  --split N        write N parts, FILE-00001-of-0000N.gguf and so on\n";

/* Options that change the file once it is laid out, in the order given. */
struct change {
	const char *option, *arg;
};

struct job {
	struct mkmodel m;
	struct change change[256];
	int n_change, n_part;
	uint32_t version, alignment;
	const char *path;
};

_Noreturn static void
die(const char *what, const char *arg)
{
	fprintf(stderr, "mkgguf: %s: %s\n", what, arg);
	exit(64);
}

static long
integer(const char *s)
{
	char *end;
	long v = strtol(s, &end, 10);
	if (*s == '\0' || *end != '\0' || v < 0 || v > 1L << 30)
		die("no number", s);
	return v;
}

static double
number(const char *s)
{
	char *end;
	double v = strtod(s, &end);
	if (*s == '\0' || *end != '\0')
		die("no number", s);
	return v;
}

static char *
read_file(const char *path)
{
	FILE *in = fopen(path, "rb");
	char *text = calloc(1, 1 << 20);
	if (in == NULL || text == NULL || fread(text, 1, (1 << 20) - 1, in) == 0)
		die("cannot read", path);
	fclose(in);
	return text;
}

static bool
option_number(struct mkmodel *m, const char *option, const char *arg)
{
	const struct {
		const char *name;
		int *dest;
	} integers[] = {{"--layers", &m->n_layer}, {"--embd", &m->n_embd},
	    {"--heads", &m->n_head}, {"--heads-kv", &m->n_head_kv}, {"--head-dim", &m->d_head},
	    {"--ff", &m->n_ff}, {"--vocab-size", &m->n_vocab}, {"--ctx", &m->n_ctx}};
	const struct {
		const char *name;
		double *dest;
	} numbers[] = {{"--theta", &m->theta}, {"--eps", &m->norm_eps},
	    {"--rope-factor", &m->rope_factor}};
	for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++)
		if (strcmp(option, integers[i].name) == 0) {
			*integers[i].dest = (int)integer(arg);
			return true;
		}
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (strcmp(option, numbers[i].name) == 0) {
			*numbers[i].dest = number(arg);
			return true;
		}
	return false;
}

static void
option_text(struct job *j, const char *option, const char *arg)
{
	static const char *const changes[] = {
	    "--type-of", "--std-of", "--set", "--unset", "--drop"};
	if (strcmp(option, "--shape") == 0) {
		if (!mkmodel_shape(&j->m, arg))
			die("unknown shape", arg);
	} else if (strcmp(option, "--type") == 0) {
		j->m.type = arg;
	} else if (strcmp(option, "--vocab") == 0) {
		j->m.vocab = arg;
	} else if (strcmp(option, "--template") == 0) {
		j->m.chat_template = read_file(arg);
	} else if (strcmp(option, "--seed") == 0) {
		j->m.seed = strtoull(arg, NULL, 0);
	} else if (strcmp(option, "--version") == 0) {
		j->version = (uint32_t)integer(arg);
	} else if (strcmp(option, "--align") == 0) {
		j->alignment = (uint32_t)integer(arg);
	} else if (strcmp(option, "--split") == 0) {
		j->n_part = (int)integer(arg);
	} else {
		size_t i = 0;
		while (i < 5 && strcmp(changes[i], option) != 0)
			i++;
		if (i == 5 || j->n_change == 256)
			die("unknown option, try -h", option);
		j->change[j->n_change++] = (struct change){option, arg};
	}
}

static void
parse(struct job *j, int argc, char **argv)
{
	bool head_dim = false;
	for (int i = 1; i < argc; i++) {
		const char *o = argv[i];
		if (strcmp(o, "-h") == 0) {
			fputs(usage, stdout);
			exit(0);
		} else if (strcmp(o, "--tied") == 0 || strcmp(o, "--untied") == 0) {
			j->m.tied = o[2] == 't';
		} else if (strcmp(o, "--encode") == 0) {
			j->m.encode = true;
		} else if (o[0] != '-') {
			j->path = o;
		} else if (i + 1 == argc) {
			die("an argument is missing", o);
		} else {
			head_dim |= strcmp(o, "--head-dim") == 0;
			if (!option_number(&j->m, o, argv[++i]))
				option_text(j, o, argv[i]);
			if (!head_dim && j->m.n_head > 0 &&
			    (strcmp(o, "--embd") == 0 || strcmp(o, "--heads") == 0))
				j->m.d_head = j->m.n_embd / j->m.n_head;
		}
	}
	if (j->path == NULL)
		die("no file named", "try -h");
}

/* Splits "NAME=REST"; name has room for 256. */
static const char *
split_arg(char *name, const char *arg)
{
	const char *eq = strchr(arg, '=');
	if (eq == NULL || eq - arg > 255)
		die("expected NAME=VALUE", arg);
	memcpy(name, arg, (size_t)(eq - arg));
	name[eq - arg] = '\0';
	return eq + 1;
}

static uint32_t
type_number(const char *name)
{
	uint32_t t = 0;
	while (t < LLM_DTYPE_PACKED &&
	       (llm_dtype_info(t) == NULL || strcmp(llm_dtype_name(t), name) != 0))
		t++;
	if (t == LLM_DTYPE_PACKED)
		die("unknown type", name);
	return t;
}

static void
apply(struct mkfile *f, const struct change *c)
{
	char name[256] = "";
	const char *value = NULL;
	if (strcmp(c->option, "--unset") == 0) {
		if (!mkfile_unset(f, c->arg))
			die("no such key", c->arg);
	} else if (strcmp(c->option, "--drop") == 0) {
		if (!mkfile_drop(f, c->arg))
			die("no such tensor", c->arg);
	} else {
		value = split_arg(name, c->arg);
		if (strcmp(c->option, "--set") == 0) {
			if (!mkfile_set_text(f, name, value))
				die("expected KEY=TYPE:VALUE", c->arg);
			return;
		}
		for (size_t i = 0; i < f->n_tensor; i++)
			if (strstr(f->tensor[i].name, name) == NULL)
				continue;
			else if (strcmp(c->option, "--type-of") == 0)
				f->tensor[i].type = (enum llm_dtype)type_number(value);
			else
				f->tensor[i].std = number(value);
	}
}

int
main(int argc, char **argv)
{
	struct job j = {.version = 3, .alignment = 32, .n_part = 1};
	mkmodel_shape(&j.m, "tiny");
	parse(&j, argc, argv);
	struct mkfile *f = mkmodel_new(&j.m);
	if (f == NULL)
		return 65;
	f->version = j.version;
	f->alignment = j.alignment;
	if (j.alignment != 32)
		mkfile_u32(f, "general.alignment", j.alignment);
	for (int i = 0; i < j.n_change; i++)
		apply(f, &j.change[i]);
	int status = mkfile_write(f, j.path, j.n_part);
	if (status < 0)
		fprintf(stderr, "mkgguf: %s: %s\n", j.path, strerror(errno));
	mkfile_free(f);
	return status < 0 ? 74 : 0;
}
