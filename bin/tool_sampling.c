/*
 * SPDX-License-Identifier: ISC
 *
 * The sampling options; see tool_sampling.h.
 */
#include "bin/tool_sampling.h"

#include "generate/lookup.h"

#include <errno.h>
#include <inttypes.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bounds beyond which a value is a slip of the pen. */
enum { MAX_TEMP = 100, MAX_PENALTY = 100, MAX_BIAS = 1000000 };

struct tool_sampling tool_sampling = {.top_p = 1, .repeat_penalty = 1, .draft = LLM_LOOKUP_MAX};

static struct {
	struct llm_bias *bias;
	int n_bias;
	uint64_t seed;
	bool random;
} taken;

/* Room for one more of n items. */
static void *
grown(void *items, int n, size_t size)
{
	void *more = n < INT_MAX ? realloc(items, ((size_t)n + 1) * size) : NULL;
	if (more == NULL)
		tool_fail(LLM_ENOMEM, "out of memory for %d options", n);
	return more;
}

/* ID=X; "-inf" bans the token. */
static int
bias_take(const char *arg, void *context)
{
	char id[16];
	const char *eq = strchr(arg, '=');
	size_t n = eq != NULL ? (size_t)(eq - arg) : 0;
	double add;
	int token;
	(void)context;
	if (eq == NULL || n >= sizeof id)
		return -1;
	memcpy(id, arg, n);
	id[n] = '\0';
	if (strcmp(eq + 1, "-inf") == 0)
		add = -INFINITY;
	else if (!tool_number(&add, eq + 1, -MAX_BIAS, MAX_BIAS))
		return -1;
	if (!tool_int(&token, id, 0, INT_MAX))
		return -1;
	taken.bias = grown(taken.bias, taken.n_bias, sizeof *taken.bias);
	taken.bias[taken.n_bias++] = (struct llm_bias){.id = token, .add = (float)add};
	return 0;
}

static int
seed_take(const char *arg, void *context)
{
	char *end;
	(void)context;
	taken.random = strcmp(arg, "random") == 0;
	if (taken.random)
		return 0;
	if (arg[0] < '0' || arg[0] > '9')
		return -1;
	errno = 0;
	uintmax_t seed = strtoumax(arg, &end, 10);
	if (*end != '\0' || errno != 0 || seed > UINT64_MAX)
		return -1;
	taken.seed = (uint64_t)seed;
	return 0;
}

static int
stop_take(const char *arg, void *context)
{
	(void)context;
	if (arg[0] == '\0')
		return -1;
	tool_sampling.stop =
	    grown(tool_sampling.stop, tool_sampling.n_stop, sizeof *tool_sampling.stop);
	tool_sampling.stop[tool_sampling.n_stop++] = arg;
	return 0;
}

const struct tool_option tool_sampling_options[] = {
    {.name = "temp",
	.metavar = "X",
	.help = "temperature; 0 takes the likeliest token",
	.kind = TOOL_NUMBER,
	.min = 0,
	.max = MAX_TEMP,
	.dest = &tool_sampling.temp},
    {.name = "top-k",
	.metavar = "N",
	.help = "draw from the N likeliest; 0: all",
	.kind = TOOL_INT,
	.min = 0,
	.max = INT_MAX,
	.dest = &tool_sampling.top_k},
    {.name = "top-p",
	.metavar = "X",
	.help = "draw from the likeliest that together have this share",
	.kind = TOOL_NUMBER,
	.min = 0,
	.max = 1,
	.dest = &tool_sampling.top_p},
    {.name = "min-p",
	.metavar = "X",
	.help = "draw from those with this share of the likeliest one's",
	.kind = TOOL_NUMBER,
	.min = 0,
	.max = 1,
	.dest = &tool_sampling.min_p},
    {.name = "repeat-penalty",
	.metavar = "X",
	.help = "hold back what the answer said in its last 256 tokens; 1: not",
	.kind = TOOL_NUMBER,
	.min = 0.01,
	.max = MAX_PENALTY,
	.dest = &tool_sampling.repeat_penalty},
    {.name = "logit-bias",
	.metavar = "ID=X",
	.help = "add X to a token's logit; -inf bans it; may be repeated",
	.kind = TOOL_EACH,
	.each = bias_take},
    {.name = "seed",
	.metavar = "N|random",
	.help = "of the draws; 0 unless told; random is reported",
	.kind = TOOL_EACH,
	.each = seed_take},
    {.name = "stop",
	.metavar = "STRING",
	.help = "end before this string, which is not printed; may be repeated",
	.kind = TOOL_EACH,
	.each = stop_take},
    {.name = "draft",
	.metavar = "N",
	.help =
	    "guess up to N tokens ahead from the text; faster, never another answer; 0: none",
	.kind = TOOL_INT,
	.min = 0,
	.max = LLM_LOOKUP_MAX,
	.dest = &tool_sampling.draft},
    {0},
};

static uint64_t
seed_draw(void)
{
	uint64_t seed;
	int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, &seed, sizeof seed) : -1;
	if (n != (ssize_t)sizeof seed)
		tool_fail(LLM_ESYSTEM, "/dev/urandom: %s", strerror(errno));
	close(fd);
	return seed;
}

void
tool_sampling_get(struct llm_sampling *out)
{
	if (taken.random) {
		taken.random = false;
		taken.seed = seed_draw();
		tool_note("seed %" PRIu64, taken.seed);
	}
	*out = (struct llm_sampling){.temp = (float)tool_sampling.temp,
	    .top_k = tool_sampling.top_k,
	    .top_p = tool_sampling.top_p,
	    .min_p = tool_sampling.min_p,
	    .repeat_penalty = (float)tool_sampling.repeat_penalty,
	    .seed = taken.seed,
	    .bias = taken.bias,
	    .n_bias = taken.n_bias};
}
