/*
 * SPDX-License-Identifier: ISC
 *
 * Writing an index; see corpus_write.h.  Vectors go to the file as they come, ends and texts stay in
 * memory until all vectors are known.
 */
#define _DEFAULT_SOURCE /* flock */
#include "embed/corpus_write.h"
#include "embed/corpus_file.h"
#include "libcore/newfile.h"
#include "libcore/size.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NO_VECTOR (UINT64_C(1) << 63)

/* A distinct line: its first record, and how many records of the old index are still to be met. */
struct slot {
	uint64_t hash;
	size_t record; /* SIZE_MAX: empty */
	size_t unmet;
};

struct llm_corpus_writer {
	struct llm_corpus_maker maker;
	struct llm_corpus old;
	int old_fd; /* locked against other writers; -1: none */
	struct llm_newfile file;
	char *path;
	size_t n_record, cap;
	uint64_t *end;
	size_t *first; /* [n_record] the first record of the same text, whose vector it has */
	char *text;
	size_t n_text, cap_text;
	struct slot *slot;
	size_t n_slot, used; /* n_slot: a power of two */
	float longest;
	uint64_t secret; /* of the hashes; below 2^61 - 1 */
};

static int
io_error(const struct llm_corpus_writer *w, struct llm_err *err)
{
	char name[120];
	size_t n = strlen(w->path), cut = n > 100 ? n - 100 : 0;
	return llm_err_set(err, LLM_EIO, "%s: cannot be written: %s",
	    llm_err_quote(name, sizeof name, w->path + cut, n - cut), strerror(errno));
}

static int
write_at(const struct llm_corpus_writer *w, const void *data, size_t n, size_t at,
    struct llm_err *err)
{
	const char *s = data;
	while (n > 0) {
		ssize_t put = pwrite(w->file.fd, s, n, (off_t)at);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return io_error(w, err);
		s += put;
		at += (size_t)put;
		n -= (size_t)put;
	}
	return 0;
}

static size_t
vector_bytes(const struct llm_corpus_writer *w)
{
	return (size_t)w->maker.n_embd * sizeof(float);
}

static size_t
vector_at(const struct llm_corpus_writer *w, size_t record)
{
	return LLM_CORPUS_HEAD + record * vector_bytes(w);
}

/* a * b + c modulo 2^61 - 1; a and b below it, c below 2^56; the result is at most 2^61 - 1. */
static uint64_t
mul_add(uint64_t a, uint64_t b, uint64_t c)
{
	__extension__ typedef unsigned __int128 wide;
	const uint64_t p = (UINT64_C(1) << 61) - 1;
	wide x = (wide)a * b + c;
	uint64_t r = (uint64_t)(x & p) + (uint64_t)(x >> 61);
	return r >= p ? r - p : r;
}

/*
 * The text as a polynomial in a secret number (Carter & Wegman 1979): two texts of n bytes have the same
 * hash by a chance of n / 7 in 2^61, whoever chose them.
 */
static uint64_t
hash_of(const struct llm_corpus_writer *w, const char *s, size_t n)
{
	uint64_t h = n & 0xffffffff;
	for (size_t part; n > 0; s += part, n -= part) {
		uint64_t word = 0;
		part = n < 7 ? n : 7;
		memcpy(&word, s, part);
		h = mul_add(h, w->secret, word);
	}
	return mul_add(h, w->secret, 0);
}

static size_t
text_begin(const struct llm_corpus_writer *w, size_t record)
{
	return record == 0 ? 0 : w->end[record - 1] & ~NO_VECTOR;
}

/* The slot of a line, or the empty one where it belongs. */
static struct slot *
find(const struct llm_corpus_writer *w, uint64_t hash, const char *s, size_t n)
{
	for (size_t i = hash & (w->n_slot - 1);; i = (i + 1) & (w->n_slot - 1)) {
		struct slot *x = &w->slot[i];
		if (x->record == SIZE_MAX)
			return x;
		size_t begin = text_begin(w, x->record), end = w->end[x->record] & ~NO_VECTOR;
		if (x->hash == hash && end - begin == n && memcmp(w->text + begin, s, n) == 0)
			return x;
	}
}

static int
slots_grow(struct llm_corpus_writer *w, struct llm_err *err)
{
	size_t n = w->n_slot == 0 ? 1024 : 2 * w->n_slot, bytes;
	struct slot *old = w->slot, *more;
	if (!llm_size_mul(&bytes, n, sizeof *more) || (more = malloc(bytes)) == NULL)
		return llm_err_nomem(err, n * sizeof *more);
	for (size_t i = 0; i < n; i++)
		more[i].record = SIZE_MAX;
	for (size_t i = 0; i < w->n_slot; i++) {
		size_t at = old[i].hash & (n - 1);
		if (old[i].record == SIZE_MAX)
			continue;
		while (more[at].record != SIZE_MAX)
			at = (at + 1) & (n - 1);
		more[at] = old[i];
	}
	free(old);
	w->slot = more;
	w->n_slot = n;
	return 0;
}

static int
reserve(struct llm_corpus_writer *w, size_t n, struct llm_err *err)
{
	size_t want, bytes;
	if (w->n_record == w->cap) {
		size_t cap = w->cap == 0 ? 1024 : 2 * w->cap;
		uint64_t *end;
		size_t *first;
		if (!llm_size_mul(&bytes, cap, sizeof *end))
			return llm_err_nomem(err, SIZE_MAX);
		if ((end = realloc(w->end, bytes)) == NULL)
			return llm_err_nomem(err, bytes);
		w->end = end;
		if ((first = realloc(w->first, cap * sizeof *first)) == NULL)
			return llm_err_nomem(err, bytes);
		w->first = first;
		w->cap = cap;
	}
	if (!llm_size_add(&want, w->n_text, n))
		return llm_err_nomem(err, SIZE_MAX);
	if (want > w->cap_text || w->text == NULL) {
		size_t cap = want < 1 << 16 ? 1 << 16 : want + want / 2;
		char *text = realloc(w->text, cap);
		if (text == NULL)
			return llm_err_nomem(err, cap);
		w->text = text;
		w->cap_text = cap;
	}
	return 2 * w->used >= w->n_slot ? slots_grow(w, err) : 0;
}

/* Room was reserved. */
static size_t
append(struct llm_corpus_writer *w, struct slot *x, uint64_t hash, const char *text, size_t n)
{
	size_t record = w->n_record++;
	memcpy(w->text + w->n_text, text, n);
	w->n_text += n;
	w->end[record] = w->n_text;
	if (x->record == SIZE_MAX) {
		*x = (struct slot){.hash = hash, .record = record};
		w->used++;
	}
	w->first[record] = x->record;
	return record;
}

int
llm_corpus_writer_put(size_t *record, struct llm_corpus_writer *w, const char *text, size_t n,
    struct llm_err *err)
{
	int rc = reserve(w, n, err);
	if (rc < 0)
		return rc;
	uint64_t hash = hash_of(w, text, n);
	struct slot *x = find(w, hash, text, n);
	bool is_new = x->record == SIZE_MAX;
	if (!is_new && x->unmet > 0) {
		x->unmet--;
		*record = x->record;
		return LLM_CORPUS_THERE;
	}
	*record = append(w, x, hash, text, n);
	if (n == 0) {
		w->end[*record] |= NO_VECTOR;
		return LLM_CORPUS_EMPTY;
	}
	return is_new ? LLM_CORPUS_NEW : LLM_CORPUS_AGAIN;
}

int
llm_corpus_writer_vector(
    struct llm_corpus_writer *w, size_t record, const float *vector, struct llm_err *err)
{
	double sum = 0;
	if (vector == NULL) {
		w->end[record] |= NO_VECTOR;
		return 0;
	}
	for (int i = 0; i < w->maker.n_embd; i++)
		sum += (double)vector[i] * (double)vector[i];
	if (!(sum < (double)INFINITY))
		return llm_err_set(err, LLM_ENOTFINITE,
		    "record %zu: its vector has a value that is not finite", record + 1);
	/* Rounded up: a bound of errors rests on it. */
	float length = nextafterf((float)sqrt(sum), INFINITY);
	if (length > w->longest)
		w->longest = length;
	return write_at(w, vector, vector_bytes(w), vector_at(w, record), err);
}

size_t
llm_corpus_writer_n(const struct llm_corpus_writer *w)
{
	return w->n_record;
}

/* The old index's records, to begin with. */
static int
copy_old(struct llm_corpus_writer *w, struct llm_err *err)
{
	const struct llm_corpus *old = &w->old;
	int rc;
	for (size_t i = 0; i < old->n_record; i++) {
		const char *text;
		size_t n;
		if ((rc = llm_corpus_text(&text, &n, old, i, err)) < 0 ||
		    (rc = reserve(w, n, err)) < 0)
			return rc;
		uint64_t hash = hash_of(w, text, n);
		struct slot *x = find(w, hash, text, n);
		append(w, x, hash, text, n);
		x->unmet++;
		w->first[i] = i;
		w->end[i] |= old->end[i] & NO_VECTOR;
	}
	w->longest = old->longest;
	return write_at(w, old->vector, old->n_record * vector_bytes(w), LLM_CORPUS_HEAD, err);
}

/* Opens the old index and locks it; one that was replaced while we waited is opened again. */
static int
lock_old(struct llm_corpus_writer *w, struct llm_err *err)
{
	struct stat ours, now;
	for (;;) {
		int rc = llm_corpus_open(&w->old, w->path, err);
		if (rc < 0)
			return rc;
		w->old_fd = open(w->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (w->old_fd < 0)
			return io_error(w, err);
		while (flock(w->old_fd, LOCK_EX) < 0)
			if (errno != EINTR)
				return io_error(w, err);
		if (fstat(w->old_fd, &ours) < 0)
			return io_error(w, err);
		if (stat(w->path, &now) == 0 && now.st_ino == ours.st_ino &&
		    now.st_dev == ours.st_dev) {
			/* What was mapped may be what was there before. */
			llm_corpus_close(&w->old);
			return llm_corpus_open(&w->old, w->path, err);
		}
		llm_corpus_close(&w->old);
		close(w->old_fd);
		w->old_fd = -1;
	}
}

static int
begin_old(struct llm_corpus_writer *w, struct llm_err *err)
{
	int rc = lock_old(w, err);
	if (rc < 0)
		return rc;
	const struct llm_corpus_maker *a = &w->old.maker, *b = &w->maker;
	if (memcmp(a->model, b->model, sizeof a->model) != 0 || a->n_embd != b->n_embd ||
	    a->numeric_version != b->numeric_version)
		return llm_err_set(err, LLM_EDATA,
		    "%s: made by another model, of %d dimensions; expected %d: build it again",
		    w->old.map.name, a->n_embd, b->n_embd);
	if (a->pooling != b->pooling || a->normalized != b->normalized)
		return llm_err_set(err, LLM_EDATA,
		    "%s: made with another pooling or normalisation: build it again",
		    w->old.map.name);
	return copy_old(w, err);
}

/* What is not an index is not replaced by one: a file of notes, a device. */
static int
may_replace(const char *path, struct llm_err *err)
{
	char magic[8], name[120];
	struct stat st;
	size_t n = strlen(path), cut = n > 100 ? n - 100 : 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	bool good = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
		    (st.st_size == 0 || (read(fd, magic, sizeof magic) == sizeof magic &&
					    memcmp(magic, "LLMINDEX", sizeof magic) == 0));
	if (fd >= 0)
		close(fd);
	return good ? 0
		    : llm_err_set(err, LLM_EDATA,
			  "%s: there already, and no index: it is not replaced",
			  llm_err_quote(name, sizeof name, path + cut, n - cut));
}

int
llm_corpus_writer_new(struct llm_corpus_writer **out, const char *path,
    const struct llm_corpus_maker *maker, bool adding, struct llm_err *err)
{
	struct llm_corpus_writer *w = calloc(1, sizeof *w);
	struct stat st;
	if (w == NULL)
		return llm_err_nomem(err, sizeof *w);
	w->old_fd = -1;
	w->maker = *maker;
	if (getentropy(&w->secret, sizeof w->secret) < 0)
		w->secret = (uint64_t)(uintptr_t)w ^ (uint64_t)getpid() << 32;
	w->secret >>= 4;
	/* The file keeps the rights that it had; a new one is its owner's alone. */
	unsigned mode = stat(path, &st) == 0 ? st.st_mode & 0777 : 0600;
	int rc = (w->path = strdup(path)) == NULL ? llm_err_nomem(err, strlen(path)) : 0;
	if (rc >= 0 && !adding)
		rc = may_replace(path, err);
	if (rc >= 0)
		rc = llm_newfile_open(&w->file, path, mode, err);
	if (rc >= 0 && adding)
		rc = begin_old(w, err);
	if (rc < 0) {
		llm_corpus_writer_free(w);
		return rc;
	}
	*out = w;
	return 0;
}

/* Lines equal to an earlier one get its vector. */
static int
write_again(struct llm_corpus_writer *w, struct llm_err *err)
{
	size_t n = vector_bytes(w);
	float *vector = malloc(n);
	int rc = vector == NULL ? llm_err_nomem(err, n) : 0;
	for (size_t i = w->old.n_record; i < w->n_record && rc >= 0; i++) {
		size_t from = w->first[i];
		if (from == i)
			continue;
		w->end[i] |= w->end[from] & NO_VECTOR;
		if ((w->end[from] & NO_VECTOR) != 0)
			continue;
		ssize_t got = pread(w->file.fd, vector, n, (off_t)vector_at(w, from));
		if (got >= 0 && (size_t)got != n)
			errno = EIO;
		rc = got < 0 || (size_t)got != n ? io_error(w, err)
						 : write_at(w, vector, n, vector_at(w, i), err);
	}
	free(vector);
	return rc;
}

int
llm_corpus_writer_commit(struct llm_corpus_writer *w, struct llm_err *err)
{
	struct llm_corpus_head h = {.version = LLM_CORPUS_VERSION,
	    .numeric_version = w->maker.numeric_version,
	    .n_embd = (uint32_t)w->maker.n_embd,
	    .pooling = (uint32_t)w->maker.pooling,
	    .normalized = w->maker.normalized,
	    .longest = w->longest,
	    .n_record = w->n_record,
	    .n_text = w->n_text};
	size_t ends, texts, n_bytes;
	int rc;
	memcpy(h.magic, "LLMINDEX", 8);
	memcpy(h.model, w->maker.model, sizeof h.model);
	if (!llm_corpus_layout(&ends, &texts, &n_bytes, &h))
		return llm_err_nomem(err, SIZE_MAX);
	/* Vectors that are not there read as zeros, up to the last byte. */
	if (ftruncate(w->file.fd, (off_t)n_bytes) < 0)
		return io_error(w, err);
	if ((rc = write_again(w, err)) < 0 ||
	    (rc = write_at(w, w->end, w->n_record * sizeof *w->end, ends, err)) < 0 ||
	    (rc = write_at(w, w->text, w->n_text, texts, err)) < 0 ||
	    (rc = write_at(w, &h, sizeof h, 0, err)) < 0)
		return rc;
	return llm_newfile_keep(&w->file, true, err);
}

void
llm_corpus_writer_free(struct llm_corpus_writer *w)
{
	if (w == NULL)
		return;
	llm_newfile_drop(&w->file);
	llm_corpus_close(&w->old);
	if (w->old_fd >= 0)
		close(w->old_fd);
	free(w->path);
	free(w->end);
	free(w->first);
	free(w->text);
	free(w->slot);
	free(w);
}
