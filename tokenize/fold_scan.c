/*
 * SPDX-License-Identifier: ISC
 *
 * A log line to tokens: runs of word bytes, and single bytes of punctuation.  A run without a digit
 * is a word, or a path or a literal; a run with one is a mask.  Tokens that belong together (a date
 * and a clock, a number and its unit) become one as the second is put.
 */
#include "tokenize/fold_private.h"

#include <string.h>

/* Classes of bytes; the upper ones are those that say something of the run they stand in. */
enum {
	C_SPACE = 1,
	C_RUN = 2,
	C_DIGIT = 4,
	C_LETTER = 8,
	C_DOT = 16,
	C_COLON = 32,
	C_SLASH = 64,
	C_JOIN = 128 /* what names have in them and prose has not */
};

static const uint8_t class_of[256] = {
    [' '] = C_SPACE,
    ['\t'] = C_SPACE,
    ['\n'] = C_SPACE,
    ['\v'] = C_SPACE,
    ['\f'] = C_SPACE,
    ['\r'] = C_SPACE,
    [0] = C_RUN,
    [1 ... 8] = C_RUN,
    [14 ... 31] = C_RUN,
    [127] = C_RUN,
    [128 ... 255] = C_RUN | C_LETTER,
    ['0' ... '9'] = C_RUN | C_DIGIT,
    ['a' ... 'z'] = C_RUN | C_LETTER,
    ['A' ... 'Z'] = C_RUN | C_LETTER,
    ['.'] = C_RUN | C_DOT,
    [':'] = C_RUN | C_COLON,
    ['/'] = C_RUN | C_SLASH,
    ['\\'] = C_RUN | C_SLASH,
    ['_'] = C_RUN | C_JOIN,
    ['@'] = C_RUN | C_JOIN,
    ['$'] = C_RUN | C_JOIN,
    ['-'] = C_RUN,
    ['#'] = C_RUN,
    ['+'] = C_RUN,
    ['%'] = C_RUN,
    ['~'] = C_RUN,
    ['*'] = C_RUN,
    ['&'] = C_RUN,
    ['^'] = C_RUN,
    ['!'] = C_RUN,
    ['?'] = C_RUN,
};

/* Where a scan stands. */
struct scan {
	struct llm_fold_line *l;
	const char *end;
	uint8_t flags; /* FOLD_SPACED, FOLD_GAP of the next token */
};

static inline unsigned
class_at(const char *p)
{
	return class_of[(unsigned char)*p];
}

static struct llm_fold_token *
last(struct llm_fold_line *l, int back)
{
	return l->n >= back ? &l->token[l->n - back] : NULL;
}

static inline struct llm_fold_token *
put(struct scan *c, enum llm_fold_kind kind, const char *s, const char *e)
{
	struct llm_fold_token *t = &c->l->token[c->l->n++];
	*t = (struct llm_fold_token){s, (uint32_t)(e - s), (uint8_t)kind, c->flags};
	c->flags = 0;
	return t;
}

/* Makes the last `back` tokens one. */
static struct llm_fold_token *
join(struct llm_fold_line *l, int back, enum llm_fold_kind kind)
{
	struct llm_fold_token *first = last(l, back), *t = last(l, 1);
	first->n = (uint32_t)(t->s + t->n - first->s);
	first->kind = (uint8_t)kind;
	first->flags |= t->flags & FOLD_MONTH;
	l->n -= back - 1;
	return first;
}

static bool
is_one_of(const struct llm_fold_token *t, const char (*names)[4], int n)
{
	if (t == NULL || t->kind != FOLD_WORD || t->n != 3)
		return false;
	for (int i = 0; i < n; i++)
		if (memcmp(names[i], t->s, 3) == 0)
			return true;
	return false;
}

static bool
is_month(const struct llm_fold_token *t)
{
	static const char names[12][4] = {
	    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	return is_one_of(t, names, 12);
}

static bool
is_weekday(const struct llm_fold_token *t)
{
	static const char names[7][4] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
	return is_one_of(t, names, 7);
}

/* A number that may be a day, month or year, with digits alone. */
static bool
is_plain(const struct llm_fold_token *t, uint32_t max)
{
	if (t == NULL || t->kind != FOLD_NUM || t->n > max)
		return false;
	for (uint32_t i = 0; i < t->n; i++)
		if (!(class_at(t->s + i) & C_DIGIT))
			return false;
	return true;
}

static bool
is_year(const struct llm_fold_token *t)
{
	return is_plain(t, 4) && t->n == 4 &&
	       (memcmp(t->s, "19", 2) == 0 || memcmp(t->s, "20", 2) == 0);
}

static bool
is_time(const struct llm_fold_token *t)
{
	return t != NULL && (t->kind == FOLD_TIME || t->kind == FOLD_CLOCK);
}

/* A clock was put: takes in the date before it. */
static void
join_date(struct llm_fold_line *l)
{
	struct llm_fold_token *date = last(l, 2), *before = last(l, 3);
	int back = 0;
	if (date != NULL && date->kind == FOLD_DATE)
		back = 2;
	else if (is_plain(date, 2) && is_month(before))
		back = 3;
	else if (is_year(date) && is_month(before) && is_plain(last(l, 4), 2))
		back = 4;
	else if (date != NULL && date->kind == FOLD_NUM && date->n == 5 && date->s[2] == '.' &&
		 (l->n == 2 || (l->n == 3 && llm_fold_is_punct(before, '['))))
		back = 2; /* [10.30 16:49:06] */
	if (back == 0)
		return;
	if (is_weekday(last(l, back + 1)))
		back++;
	else if (last(l, back + 2) != NULL && llm_fold_is_punct(last(l, back + 1), ',') &&
		 is_weekday(last(l, back + 2)))
		back += 2;
	struct llm_fold_token *t = join(l, back, FOLD_TIME);
	if (back > 2)
		t->flags |= FOLD_MONTH;
}

/* +0000 */
static bool
is_zone(const struct llm_fold_token *t)
{
	return t->n >= 5 && t->n <= 6 && (t->s[0] == '+' || t->s[0] == '-');
}

/* A number was put: takes in what it goes on with. */
static void
join_number(struct llm_fold_line *l)
{
	struct llm_fold_token *t = last(l, 1), *comma = last(l, 2), *before = last(l, 3);
	if (comma == NULL)
		return;
	bool glued = llm_fold_is_punct(comma, ',') && !(t->flags & FOLD_SPACED) &&
		     !(comma->flags & FOLD_SPACED) && before != NULL;
	if (glued && is_time(before) && t->n <= 9)
		join(l, 3, (enum llm_fold_kind)before->kind); /* 17:41:41,536 */
	else if (glued && before->kind == FOLD_NUM)
		join(l, 3, FOLD_NUM); /* 1,234,567 */
	else if (is_time(comma) && (is_zone(t) || ((comma->flags & FOLD_MONTH) && is_year(t))))
		join(l, 2, FOLD_TIME);
	else if (l->n == 2 && is_plain(comma, 6) && is_plain(t, 6) && comma->n == 6 &&
		 t->n == 6)
		join(l, 2, FOLD_TIME); /* 081109 203615 at the beginning of a line */
}

/* A word after a number: a unit becomes one with it, and with a '<' that stands before. */
static bool
join_unit(struct scan *c, const char *s, const char *e)
{
	struct llm_fold_line *l = c->l;
	struct llm_fold_token *t = last(l, 1);
	if (e - s > 7 || t == NULL || t->kind != FOLD_NUM || !(c->flags & FOLD_SPACED))
		return false;
	enum llm_fold_kind unit = llm_fold_unit(s, (size_t)(e - s));
	if (unit == FOLD_WORD)
		return false;
	if (e - s == 1 && (e == c->end || (class_at(e) & C_SPACE) == 0) && *s >= 'a')
		return false; /* "2 d's", not "2 d " */
	put(c, unit, s, e);
	join(l, 2, unit);
	struct llm_fold_token *less = last(l, 2);
	if (less != NULL && llm_fold_is_punct(less, '<') && !(last(l, 1)->flags & FOLD_SPACED))
		join(l, 2, unit);
	return true;
}

static bool
is_literal(const char *s, size_t n)
{
	static const char names[][6] = {
	    "true", "false", "null", "True", "False", "None", "nil", "NULL", "TRUE", "FALSE"};
	if (n > 5 || n < 3)
		return false;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strlen(names[i]) == n && memcmp(names[i], s, n) == 0)
			return true;
	return false;
}

/*
 * Where a name before a colon ends ("PendingReds:0", "state:UP"), or NULL.  No name: one letter (a
 * drive), one with a digit in it, what precedes "//" or another colon.
 */
static const char *
name_end(const char *s, const char *e)
{
	const char *p = s;
	while (p < e && !(class_at(p) & (C_DIGIT | C_COLON)))
		p++;
	if (p == e || *p != ':' || p - s < 2 || p + 1 == e)
		return NULL;
	return p[1] == '/' || p[1] == '\\' || p[1] == ':' ? NULL : p;
}

/* A path or address that has no digit in it; FOLD_WORD otherwise. */
static enum llm_fold_kind
place_kind(const char *s, size_t n, unsigned seen)
{
	uint8_t flags = 0;
	if (n == 17 && (seen & C_COLON) && llm_fold_mask(&flags, s, n) == FOLD_MAC)
		return FOLD_MAC;
	if (!(seen & C_SLASH))
		return FOLD_WORD;
	bool drive = n > 2 && s[1] == ':' && s[2] == '\\';
	bool dotted = (s[0] == '.' || s[0] == '~') && n > 2 && (s[1] == '/' || s[2] == '/');
	if ((s[0] == '/' && n > 1) || (s[0] == '\\' && s[1] == '\\') || drive || dotted)
		return FOLD_PATH;
	for (size_t i = 0; (seen & C_COLON) && i + 3 < n; i++)
		if (s[i] == ':' && s[i + 1] == '/' && s[i + 2] == '/')
			return FOLD_URL;
	return FOLD_WORD;
}

/* A word: what is left when nothing else fits. */
static void
put_plain(struct scan *c, const char *s, const char *e, unsigned seen)
{
	size_t n = (size_t)(e - s);
	if (n <= 7 && join_unit(c, s, e))
		return;
	if (is_literal(s, n)) {
		put(c, FOLD_BOOL, s, e)->flags |= FOLD_SMALL;
		return;
	}
	struct llm_fold_token *t = put(c, FOLD_WORD, s, e);
	if (seen & (C_DOT | C_COLON | C_SLASH | C_JOIN))
		t->flags |= FOLD_WEAK;
	else if (n <= 3 && n > 1 && is_time(last(c->l, 2)) &&
		 (llm_fold_word_is(t, "utc") || llm_fold_word_is(t, "gmt") ||
		     llm_fold_word_is(t, "am") || llm_fold_word_is(t, "pm")))
		join(c->l, 2, FOLD_TIME);
}

/* A name and its colon; returns what follows. */
static const char *
put_name(struct scan *c, const char *s, const char *colon)
{
	unsigned seen = 0;
	for (const char *p = s; p < colon; p++)
		seen |= class_at(p);
	if (seen & C_LETTER)
		put_plain(c, s, colon, seen);
	else
		put(c, FOLD_PUNCT, s, colon);
	put(c, FOLD_PUNCT, colon, colon + 1);
	return colon + 1;
}

/* A run without a digit; returns where the next token begins. */
static const char *
put_word(struct scan *c, const char *s, const char *e, unsigned seen)
{
	if (!(seen & C_LETTER)) {
		bool dash = e - s == 1 && *s == '-';
		put(c, dash ? FOLD_DASH : FOLD_PUNCT, s, e);
		return e;
	}
	if (seen & (C_SLASH | C_COLON)) {
		enum llm_fold_kind place = place_kind(s, (size_t)(e - s), seen);
		const char *colon =
		    place == FOLD_WORD && (seen & C_COLON) ? name_end(s, e) : NULL;
		if (colon != NULL)
			return put_name(c, s, colon);
		if (place != FOLD_WORD) {
			put(c, place, s, e)->flags |= e - s <= 64 ? FOLD_SMALL : 0;
			return e;
		}
	}
	put_plain(c, s, e, seen);
	return e;
}

/* A dotted name and a number after a colon: a host and its port, a source and its line. */
static bool
is_host(const char *s, const char *colon, const char *e)
{
	if (memchr(s, '.', (size_t)(colon - s)) == NULL || e - colon > 6)
		return false;
	for (const char *p = colon + 1; p < e; p++)
		if (!(class_at(p) & C_DIGIT))
			return false;
	return true;
}

/* A run with a digit; returns where the next token begins. */
static const char *
put_mask(struct scan *c, const char *s, const char *e, unsigned seen)
{
	struct llm_fold_line *l = c->l;
	uint8_t flags = 0;
	if (seen == (C_RUN | C_DIGIT) && e - s < 8) {
		const char *p = s;
		while (p < e && (class_at(p) & C_DIGIT))
			p++;
		if (p == e) {
			put(c, FOLD_NUM, s, e);
			join_number(l);
			return e;
		}
	}
	enum llm_fold_kind kind = llm_fold_mask(&flags, s, (size_t)(e - s));
	if (kind == FOLD_ID && (seen & C_COLON)) {
		const char *colon = name_end(s, e);
		if (colon != NULL && !is_host(s, colon, e))
			return put_name(c, s, colon);
	}
	put(c, kind, s, e)->flags |= flags;
	if (kind == FOLD_NUM)
		join_number(l);
	else if (kind == FOLD_CLOCK)
		join_date(l);
	return e;
}

/* A run from s: returns where the next token begins. */
static const char *
put_run(struct scan *c, const char *s)
{
	const char *e = s, *end = c->end;
	unsigned seen = 0, k;
	for (;;) {
		while (e < end && ((k = class_at(e)) & C_RUN)) {
			seen |= k;
			e++;
		}
		/* An apostrophe between letters is one of them. */
		if (e < end && *e == '\'' && e > s && e + 1 < end &&
		    (class_at(e - 1) & C_LETTER) && (class_at(e + 1) & C_LETTER)) {
			e++;
			continue;
		}
		break;
	}
	while (e > s && (e[-1] == ':' || e[-1] == '.' || e[-1] == '!' || e[-1] == '?'))
		e--;
	if (e == s) { /* nothing but points */
		for (e = s; e < end && *e == *s;)
			e++;
		put(c, FOLD_PUNCT, s, e);
		return e;
	}
	if (!(seen & C_DIGIT))
		return put_word(c, s, e, seen);
	if (seen & C_DOT) {
		const char *p = s;
		while (p + 1 < e && (p[0] != '.' || p[1] != '.'))
			p++;
		if (p + 1 < e && (p > s || *s == '.')) { /* "i-fetch.......0" */
			const char *q = p;
			unsigned before = 0;
			while (q < e && *q == '.')
				q++;
			for (const char *r = s; r < p; r++)
				before |= class_at(r);
			if (p == s) {
				put(c, FOLD_PUNCT, p, q);
				return q;
			}
			return before & C_DIGIT ? put_mask(c, s, p, before)
						: put_word(c, s, p, before);
		}
	}
	return put_mask(c, s, e, seen);
}

/*
 * Java's Name{...}: when s, a '{' that follows a word, has its '}' near, both and the word before
 * become one mask.  Returns what comes after, or s.
 */
static const char *
put_object(struct scan *c, const char *s)
{
	struct llm_fold_token *t = last(c->l, 1);
	if (c->flags || t == NULL || (t->kind != FOLD_WORD && t->kind != FOLD_ID) ||
	    t->s + t->n != s)
		return s;
	const char *end = c->end - s > 512 ? s + 512 : c->end;
	int depth = 0;
	for (const char *p = s; p < end; p++) {
		depth += *p == '{' ? 1 : *p == '}' ? -1 : 0;
		if (depth == 0) {
			t->n = (uint32_t)(p + 1 - t->s);
			t->kind = FOLD_ANY;
			return p + 1;
		}
	}
	return s;
}

/* A value in quotes after '=', of one or two words, is one token.  Returns what comes after, or s. */
static const char *
put_quoted(struct scan *c, const char *s)
{
	struct llm_fold_token *t = last(c->l, 1);
	if (c->flags || t == NULL || !llm_fold_is_punct(t, '='))
		return s;
	const char *end = c->end - s > 128 ? s + 128 : c->end;
	unsigned seen = 0;
	int n_space = 0;
	for (const char *p = s + 1; p < end && *p != '\n' && n_space < 2; p++) {
		if (*p == '"') {
			if (p == s + 1)
				return s;
			put(c, seen & C_DIGIT ? FOLD_ANY : FOLD_WORD, s, p + 1)->flags |=
			    FOLD_WEAK;
			return p + 1;
		}
		seen |= class_at(p);
		n_space += class_at(p) == C_SPACE;
	}
	return s;
}

void
llm_fold_scan(struct llm_fold_line *l, const char *s, size_t n)
{
	struct scan c = {.l = l, .end = s + n};
	l->n = l->n_head = 0;
	/* A run puts three tokens at most. */
	while (s < c.end && l->n < FOLD_TOKENS - 4) {
		unsigned k = class_at(s);
		if (k & C_RUN) {
			s = put_run(&c, s);
			continue;
		}
		if (k & C_SPACE) {
			c.flags |= c.flags & FOLD_SPACED ? FOLD_GAP : FOLD_SPACED;
			s++;
			continue;
		}
		const char *after = *s == '{'   ? put_object(&c, s)
				    : *s == '"' ? put_quoted(&c, s)
						: s;
		if (after == s) {
			put(&c, FOLD_PUNCT, s, s + 1);
			after++;
		}
		s = after;
	}
	if (s < c.end)
		put(&c, FOLD_ANY, s, c.end);
}
