/*
 * SPDX-License-Identifier: ISC
 *
 * Sequences and the pass: positions far out, rows that a caller must not give, a pass that fails, and
 * a calling thread that something else has told to round another way.
 */
#include "libcore/forward.h"

#include "tests/model.h"
#include "tests/tap.h"

#include <fenv.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

static struct llm_err err;

static struct llm_pass *
pass_new(
    const struct llm_model *m, const char *kernels, int n_thread, int max_rows, bool precise)
{
	struct llm_pass *p = NULL;
	struct llm_pass_params params = {
	    .n_thread = n_thread, .max_rows = max_rows, .precise = precise};
	if (llm_kernels_get(&params.kernels, kernels, &err) < 0 ||
	    llm_pass_new(&p, m, &params, &err) < 0) {
		printf("# %s\n", err.msg);
		exit(1);
	}
	return p;
}

/* A sequence with pages for n_pos positions. */
static struct llm_seq *
seq_new(const struct llm_model *m, const struct llm_pass *p, int n_ctx, int n_pos)
{
	struct llm_seq *s = NULL;
	if (llm_seq_new(&s, &m->config, llm_pass_kv_type(p), n_ctx, &err) < 0 ||
	    llm_seq_reserve(s, n_pos, &err) < 0) {
		printf("# %s\n", err.msg);
		exit(1);
	}
	return s;
}

/* As if n_pos tokens had been computed: keys and values that are any numbers of that size. */
static void
seq_pretend(struct llm_seq *s, const struct llm_model *m, int n_pos)
{
	const struct llm_config *c = &m->config;
	float *k = calloc(2 * (size_t)c->d_head, sizeof *k), *v = k + c->d_head;
	for (int pos = 0; pos < n_pos; pos++)
		for (int layer = 0; layer < c->n_layer; layer++)
			for (int head = 0; head < c->n_head_kv; head++) {
				unsigned x = (unsigned)(pos * 64 + layer * 8 + head);
				for (int i = 0; i < 2 * c->d_head; i++) {
					x = x * 1664525u + 1013904223u;
					k[i] = (float)(x >> 16) / 32768 - 1;
				}
				llm_attention_generic.store(
				    llm_seq_slot(s, layer, head, pos / LLM_KV_PAGE), s->type,
				    c->d_head, pos % LLM_KV_PAGE, k, v);
			}
	s->n_pos = n_pos;
	free(k);
}

/* Element i of the key at a position of layer 0, head 0, of a sequence in f32. */
static double
key_at(const struct llm_seq *s, int d_head, int pos, int i)
{
	const float *slot = llm_seq_slot(s, 0, 0, pos / LLM_KV_PAGE);
	int at = pos % LLM_KV_PAGE;
	return (double)slot[(at / 16 * d_head + i) * 16 + at % 16];
}

/* The key of one token far out is its key at position 0, where the angle is 0, turned. */
static void
far_key(double rope_factor)
{
	enum { FAR = 131071 };
	struct llm_model *m = test_model("tiny", "F32", rope_factor, NULL);
	struct llm_pass *p = pass_new(m, NULL, 2, 4, true);
	const struct llm_config *c = &m->config;
	struct llm_seq *near = seq_new(m, p, c->n_ctx, 1),
		       *far = seq_new(m, p, c->n_ctx, FAR + 1);
	seq_pretend(far, m, FAR);
	struct llm_row rows[2] = {{near, 7, 0, false}, {far, 7, FAR, false}};
	bool good = llm_forward(p, rows, 2, NULL, &err) == 0;
	double worst = 0, size = 0;
	for (int i = 0; good && i < c->d_head / 2; i++) {
		const float *divisor = m->weights.rope_freqs;
		double angle = FAR * (pow(c->rope_theta, -2.0 * i / c->d_head) /
					 (divisor != NULL ? (double)divisor[i] : 1));
		double x0 = key_at(near, c->d_head, 0, 2 * i);
		double x1 = key_at(near, c->d_head, 0, 2 * i + 1);
		double y0 = key_at(far, c->d_head, FAR, 2 * i);
		double y1 = key_at(far, c->d_head, FAR, 2 * i + 1);
		worst = fmax(worst, fabs(x0 * cos(angle) - x1 * sin(angle) - y0));
		worst = fmax(worst, fabs(x0 * sin(angle) + x1 * cos(angle) - y1));
		size = fmax(size, fmax(fabs(x0), fabs(x1)));
	}
	tap_ok(good && size > 0 && worst < 2e-7 * size && far->n_pos == FAR + 1,
	    "at position %d, %s divisors, a key is turned by its angle in double (%.1g of "
	    "%.1g)",
	    FAR, rope_factor > 0 ? "with" : "without", worst, size);
	llm_seq_free(near);
	llm_seq_free(far);
	llm_pass_free(p);
	llm_model_close(m);
}

/* Logits of one token after n_pos pretended ones, by a pass of its own. */
static void
far_logits(
    float *out, const struct llm_model *m, const char *kernels, int n_thread, int max_rows)
{
	enum { FAR = 70000 };
	struct llm_pass *p = pass_new(m, kernels, n_thread, max_rows, false);
	struct llm_seq *s = seq_new(m, p, m->config.n_ctx, FAR + 1);
	seq_pretend(s, m, FAR);
	struct llm_row row = {s, 11, FAR, true};
	if (llm_forward(p, &row, 1, out, &err) < 0)
		printf("# %s\n", err.msg);
	llm_seq_free(s);
	llm_pass_free(p);
}

/* Many rows leave room for all segments at once, one row for a part: they come in waves. */
static void
far_bits(void)
{
	struct llm_model *m = test_model("tiny", "Q8_0", 0, NULL);
	size_t n = (size_t)m->config.n_vocab;
	float *want = calloc(2 * n, sizeof *want), *got = want + n;
	const struct llm_kernels *k;
	bool same = true;
	far_logits(want, m, "generic", 1, 600);
	for (int i = 0; (k = llm_kernels_at(i)) != NULL; i++)
		for (int max_rows = 1; max_rows < 600; max_rows += 500) {
			memset(got, 0xff, n * sizeof *got);
			far_logits(got, m, k->name, 1 + i, max_rows);
			same = same && memcmp(want, got, n * sizeof *got) == 0;
		}
	tap_ok(same && want[0] != want[1],
	    "past 65,536 positions the bits are the same too, however many segments at once");
	free(want);
	llm_model_close(m);
}

/* What another library may have done to this thread. */
static void
thread_spoil(void)
{
	fesetround(FE_UPWARD);
#if defined(__x86_64__)
	_mm_setcsr(_mm_getcsr() | 0x8040); /* denormals are zero, and become it */
#endif
}

static void
logits_of_eight(float *out, const struct llm_model *m, int n_thread, bool precise, bool spoil)
{
	if (spoil)
		thread_spoil();
	struct llm_pass *p = pass_new(m, NULL, n_thread, 8, precise);
	struct llm_seq *s = seq_new(m, p, 64, 64);
	struct llm_row rows[8];
	for (int i = 0; i < 8; i++)
		rows[i] = (struct llm_row){s, 3 * i, i, i == 7};
	if (spoil)
		thread_spoil();
	if (llm_forward(p, rows, 8, out, &err) < 0)
		printf("# %s\n", err.msg);
	fesetenv(FE_DFL_ENV);
	llm_seq_free(s);
	llm_pass_free(p);
}

static void
spoiled_thread(void)
{
	/* Theta is no power of two's: its roots show how they were rounded. */
	struct llm_model *m = test_model("odd", "Q4_0", 8, NULL);
	size_t n = (size_t)m->config.n_vocab;
	float *want = calloc(2 * n, sizeof *want), *got = want + n;
	for (int precise = 0; precise < 2; precise++)
		for (int n_thread = 1; n_thread < 3; n_thread++) {
			logits_of_eight(want, m, n_thread, precise, false);
			logits_of_eight(got, m, n_thread, precise, true);
			tap_ok(memcmp(want, got, n * sizeof *got) == 0 && want[0] != want[1],
			    "a caller that rounds upward and flushes denormals gets the same "
			    "bits, %d threads%s",
			    n_thread, precise ? ", --precise" : "");
		}
	free(want);
	llm_model_close(m);
}

static void
refused(void)
{
	struct llm_model *m = test_model("tiny", "Q8_0", 0, NULL);
	struct llm_pass *p = pass_new(m, NULL, 1, 8, false);
	struct llm_seq *a = seq_new(m, p, 5, 5), *b = seq_new(m, p, 64, 64);
	float *logits = calloc(8 * (size_t)m->config.n_vocab, sizeof *logits);
	struct llm_row twice[] = {{a, 1, 0, false}, {b, 1, 0, false}, {a, 2, 0, true}};
	struct llm_row past[6];
	for (int i = 0; i < 6; i++)
		past[i] = (struct llm_row){a, i, i, false};
	tap_ok(llm_forward(p, twice, 3, logits, &err) == LLM_EUSAGE && a->n_pos == 0,
	    "a sequence that comes twice in one pass, apart, is refused");
	tap_ok(llm_forward(p, past, 6, logits, &err) == LLM_EUSAGE,
	    "a row past its sequence's context is refused, though its page has room");
	tap_ok(llm_forward(p, past, 5, NULL, &err) == 0 && a->n_pos == 5,
	    "rows that want no logits need no place for them");
	struct llm_row wants = {b, 1, 0, true};
	tap_ok(llm_forward(p, &wants, 1, NULL, &err) == LLM_EUSAGE, "rows that do are refused");
	tap_ok(
	    llm_forward(p, &wants, 0, logits, &err) == LLM_EUSAGE, "and so are no rows at all");
	free(logits);
	llm_seq_free(a);
	llm_seq_free(b);
	llm_pass_free(p);
	llm_model_close(m);
}

static void
output_spoil(struct mkfile *f)
{
	struct mkfile_tensor *t = mkfile_find(f, "output_norm.weight");
	t->values = calloc(t->ne[0], sizeof *t->values);
	t->values[3] = INFINITY;
}

/* Keys and values from the first row on may be new ones by then: none of them is to be kept. */
static void
failed(void)
{
	struct llm_model *m = test_model("tiny", "F32", 0, output_spoil);
	struct llm_pass *p = pass_new(m, NULL, 2, 8, false);
	struct llm_seq *s = seq_new(m, p, 64, 64);
	float *logits = calloc((size_t)m->config.n_vocab, sizeof *logits);
	struct llm_row rows[8];
	for (int i = 0; i < 8; i++)
		rows[i] = (struct llm_row){s, i, i, false};
	tap_ok(llm_forward(p, rows, 8, NULL, &err) == 0 && s->n_pos == 8,
	    "where no logits are wanted, the output's weights do not matter");
	rows[5].logits = true;
	tap_ok(llm_forward(p, rows + 5, 1, logits, &err) == LLM_ENOTFINITE,
	    "logits that are not finite fail the pass");
	tap_ok(s->n_pos == 5, "and the sequence ends where the pass began (%d)", s->n_pos);
	free(logits);
	llm_seq_free(s);
	llm_pass_free(p);
	llm_model_close(m);
}

/* Three sequences of n rows each, the one at place poisoned in its row at; -1: none.  Logits of the last rows. */
static int
three(float *logits, struct llm_seq **s, struct llm_pass *p, int place, int at)
{
	struct llm_row rows[24];
	int n = 0;
	for (int i = 0; i < 3; i++)
		for (int k = 0; k < 8; k++)
			rows[n++] = (struct llm_row){s[i],
			    i == place && k == at ? TEST_POISON : 11 + 8 * i + k, k, k == 7};
	return llm_forward(p, rows, n, logits, &err);
}

/* Who reads a token whose embedding is no number fails, and nobody else. */
static void
one_fails(int n_thread, bool precise)
{
	struct llm_model *m = test_model("odd", precise ? "F32" : "Q8_0", 0, test_model_poison);
	struct llm_pass *p = pass_new(m, NULL, n_thread, 24, precise);
	size_t n = (size_t)m->config.n_vocab;
	struct llm_seq *s[3];
	float *want = calloc(6 * n, sizeof *want), *got = want + 3 * n;
	bool good = true, others = true, back = true;
	for (int i = 0; i < 3; i++)
		s[i] = seq_new(m, p, 64, 64);
	good = three(want, s, p, -1, 0) == 0;
	for (int place = 0; good && place < 3; place++)
		for (int at = precise ? 7 : 0; at < 8; at += 3) {
			struct llm_err why = {0};
			memset(got, 0, 3 * n * sizeof *got);
			good = good && three(got, s, p, place, at) == LLM_ENOTFINITE;
			for (int i = 0; i < 3; i++) {
				if (i == place) {
					good =
					    good && s[i]->failed != 0 && s[i]->n_pos == 0 &&
					    llm_pass_failure(p, s[i], &why) == LLM_ENOTFINITE &&
					    strcmp(why.msg, err.msg) == 0;
					continue;
				}
				others = others && s[i]->failed == 0 && s[i]->n_pos == 8 &&
					 memcmp(want + (size_t)i * n, got + (size_t)i * n,
					     n * sizeof *got) == 0;
			}
			back = back && three(got, s, p, -1, 0) == 0 && s[place]->failed == 0 &&
			       memcmp(want, got, 3 * n * sizeof *got) == 0;
		}
	tap_ok(good, "a value that is no number fails its own sequence, %d threads%s", n_thread,
	    precise ? ", --precise" : "");
	tap_ok(others, "the others of the pass get the bits that they get without it");
	tap_ok(back, "and the one that failed can be tried again");
	for (int i = 0; i < 3; i++)
		llm_seq_free(s[i]);
	free(want);
	llm_pass_free(p);
	llm_model_close(m);
}

/* Rows of tokens [from, to) at their positions; the last one's logits. */
static int
compute(float *logits, struct llm_pass *p, struct llm_seq *s, int from, int to)
{
	struct llm_row rows[3 * LLM_KV_PAGE];
	if (llm_seq_reserve(s, to, &err) < 0)
		return -1;
	for (int i = from; i < to; i++)
		rows[i - from] = (struct llm_row){s, i % 60, i, i == to - 1};
	return llm_forward(p, rows, to - from, logits, &err);
}

static void
owners(void)
{
	enum { N = 2 * LLM_KV_PAGE + 9 };
	struct llm_model *m = test_model("tiny", "Q8_0", 0, NULL);
	struct llm_pass *p = pass_new(m, NULL, 1, 3 * LLM_KV_PAGE, false);
	size_t n = (size_t)m->config.n_vocab;
	float *want = calloc(2 * n, sizeof *want), *got = want + n;
	struct llm_seq *a = seq_new(m, p, 1000, 0), *b = seq_new(m, p, 1000, 0);
	bool good = compute(want, p, a, 0, N) == 0;
	void *kept = llm_page_hold(llm_seq_page(a, 0));
	good = good && llm_seq_share(b, a, 2 * LLM_KV_PAGE + 4, &err) == 0;
	tap_ok(good && llm_page_n_owner(kept) == 3 && llm_seq_n_own(b) == 1 &&
		   llm_page_n_owner(llm_seq_page(a, 1)) == 2,
	    "who shares a page, or keeps one, is an owner more");
	struct llm_row row = {a, 1, 5, false};
	tap_ok(llm_forward(p, &row, 1, NULL, &err) == LLM_EUSAGE && a->n_pos == N,
	    "the sequence that computed a page may not write it either once it is shared");
	llm_seq_truncate(a, 5);
	tap_ok(compute(got, p, a, 5, N) == 0 && llm_seq_page(a, 0) != kept &&
		   memcmp(want, got, n * sizeof *got) == 0,
	    "but into a copy that it makes when it reserves");
	llm_seq_free(a);
	tap_ok(llm_page_n_owner(kept) == 2 && compute(got, p, b, 2 * LLM_KV_PAGE + 4, N) == 0 &&
		   memcmp(want, got, n * sizeof *got) == 0,
	    "what is shared does not need the sequence that it came from");
	llm_seq_free(b);
	a = seq_new(m, p, 1000, LLM_KV_PAGE);
	tap_ok(llm_page_n_owner(kept) == 1 && llm_seq_adopt(a, kept, &err) == 0 &&
		   a->n_pos == LLM_KV_PAGE && llm_seq_page(a, 0) == kept,
	    "a page that was kept is a sequence's first");
	llm_page_drop(kept);
	tap_ok(
	    compute(got, p, a, LLM_KV_PAGE, N) == 0 && memcmp(want, got, n * sizeof *got) == 0,
	    "and what follows from it is what follows from computing it");
	tap_ok(llm_seq_adopt(a, kept, &err) == LLM_EUSAGE && a->n_pos == N,
	    "a page follows whole pages alone");
	llm_seq_free(a);
	free(want);
	llm_pass_free(p);
	llm_model_close(m);
}

int
main(void)
{
	owners();
	one_fails(1, false);
	one_fails(2, false);
	one_fails(2, true);
	far_key(0);
	far_key(8);
	far_bits();
	spoiled_thread();
	refused();
	failed();
	return tap_done();
}
