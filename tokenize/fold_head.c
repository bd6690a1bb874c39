/*
 * SPDX-License-Identifier: ISC
 *
 * Where the head of a log line ends: the fields that a logger puts before each message, whatever it
 * says.  A head has a time near its beginning; fields may stand before it (node, file), and after
 * it a host, numbers of processes and threads, a level, a component.  The same message from another
 * host or thread is the same message, so a head is shown but does not count.
 */
#include "tokenize/fold_private.h"

#include <string.h>

enum {
	BEFORE = 10, /* tokens before the first time, at most */
	GROUP = 40   /* tokens in a bracketed field */
};

/* A walk over the tokens: i is the next, one past the head so far. */
struct walk {
	const struct llm_fold_line *l;
	int i;
	bool syslog; /* the time is of a kind that a host and a program's tag follow */
	bool level;  /* a level was seen */
	bool masked; /* a number or id was seen after the time */
	bool closed; /* the last field was a bracketed one */
};

static const struct llm_fold_token *
at(const struct walk *w, int ahead)
{
	static const struct llm_fold_token none = {.s = "", .kind = FOLD_PUNCT};
	return w->i + ahead < w->l->n ? &w->l->token[w->i + ahead] : &none;
}

static bool
is_punct(const struct walk *w, int ahead, char c)
{
	return w->i + ahead < w->l->n && llm_fold_is_punct(at(w, ahead), c);
}

/* Nothing between this token and the one before. */
static bool
glued(const struct walk *w, int ahead)
{
	return w->i + ahead < w->l->n && !(at(w, ahead)->flags & FOLD_SPACED);
}

static bool
is_level(const struct llm_fold_token *t)
{
	static const char *const names[] = {"info", "warn", "warning", "error", "err", "fatal",
	    "debug", "trace", "notice", "critical", "crit", "alert", "emerg", "emergency",
	    "severe", "fine", "finer", "finest", "verbose", "failure", "panic", "note", "log",
	    "hint", "detail", "statement", "informational"};
	if (t->kind != FOLD_WORD || t->n > 13)
		return false;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if ((t->s[0] | 0x20) == names[i][0] && llm_fold_word_is(t, names[i]))
			return true;
	return false;
}

/* Seconds since 1970, of ten digits, or milliseconds, of thirteen. */
static bool
is_epoch(const struct llm_fold_token *t)
{
	return t->kind == FOLD_NUM && t->s[0] == '1' &&
	       (t->n == 10 || t->n == 13 || t->n == 14) && memchr(t->s, '.', t->n) == NULL;
}

static bool
is_time(const struct llm_fold_token *t)
{
	return t->kind == FOLD_TIME || t->kind == FOLD_CLOCK || t->kind == FOLD_DATE ||
	       is_epoch(t);
}

/*
 * The last time of the head, or -1: fields before it are masks, brackets and words, of which there
 * may be one before any mask, or three after the first field was a mask.
 */
static int
find_time(const struct llm_fold_line *l)
{
	int found = -1, n_word = 0, since = 0;
	for (int i = 0; i < l->n && i < (found < 0 ? BEFORE : found + 4); i++) {
		const struct llm_fold_token *t = &l->token[i];
		if (is_time(t)) {
			found = i;
			since = 0;
			continue;
		}
		if (t->kind == FOLD_WORD) {
			n_word++;
			/* What stands between two times is a place. */
			if (found >= 0 && i + 1 < l->n && is_time(&l->token[i + 1]))
				continue;
			if (found >= 0 || n_word > (llm_fold_is_mask(&l->token[0]) ? 3 : 1))
				break;
		} else if (t->kind == FOLD_PUNCT) {
			if (t->n > 1 || (t->s[0] != '[' && t->s[0] != ']' && t->s[0] != '<' &&
					    t->s[0] != '>' && !(found >= 0 && t->s[0] == '|')))
				break;
			if (t->s[0] == '|')
				break;
		} else if (found >= 0 && ++since > 2) {
			break;
		}
	}
	/* A bare number is a time only with something before or after it that is no prose. */
	if (found == 0 && is_epoch(&l->token[0]) && l->n > 1 && l->token[1].kind == FOLD_PUNCT)
		return -1;
	return found;
}

/* One past the bracket that closes the one at ahead, relative to w->i; 0 when there is none near. */
static int
group_end(const struct walk *w, int ahead, char open, char shut)
{
	int depth = 0;
	for (int k = ahead; k < ahead + GROUP && w->i + k < w->l->n; k++) {
		depth += is_punct(w, k, open) ? 1 : is_punct(w, k, shut) ? -1 : 0;
		if (depth == 0)
			return k + 1;
	}
	return 0;
}

/*
 * A program's or component's tag from w->i on: up to three words, in brackets after them what it
 * will, and a colon that ends it.  Returns its length in tokens, or 0.
 */
static int
tag_length(const struct walk *w)
{
	int k = 0, n_word = 0;
	bool bracket = false;
	for (;; n_word++) {
		const struct llm_fold_token *t = at(w, k);
		bool dashes = t->kind == FOLD_PUNCT && t->n > 1 && t->s[0] == '-';
		if (w->i + k >= w->l->n || n_word == 4)
			return 0;
		if (t->kind != FOLD_WORD && !dashes &&
		    (!llm_fold_is_mask(t) ||
			(k == 0 && t->kind != FOLD_ID && t->kind != FOLD_PATH)))
			break;
		k++;
	}
	if (n_word == 0)
		return 0;
	for (int round = 0; round < 3; round++) {
		char open = is_punct(w, k, '[') ? '[' : is_punct(w, k, '(') ? '(' : 0;
		if (open == 0 || (!glued(w, k) && !bracket))
			break;
		int e = group_end(w, k, open, open == '[' ? ']' : ')');
		if (e == 0)
			return 0;
		bracket |= open == '[';
		k = e;
	}
	/* More than one word is a tag only where a number in brackets, or a version, ends it. */
	if (n_word > 1 && !bracket && !(n_word == 2 && llm_fold_is_mask(at(w, 1))))
		return 0;
	if (!is_punct(w, k, ':') || at(w, k)->n != 1 || (!glued(w, k) && !bracket))
		return 0;
	if (w->i + k + 1 < w->l->n && glued(w, k + 1))
		return 0;
	return k + 1;
}

/* Fields that end in '|', after a time that does. */
static void
walk_bars(struct walk *w)
{
	for (int field = 0; field < 4; field++) {
		int k = is_punct(w, 0, '|')   ? 0
			: is_punct(w, 1, '|') ? 1
			: is_punct(w, 2, '|') ? 2
					      : -1;
		if (k < 0 || w->i + k + 1 >= w->l->n)
			return;
		w->i += k + 1;
	}
}

/* A word in capitals. */
static bool
is_capital(const struct llm_fold_token *t)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (t->s[i] < 'A' || t->s[i] > 'Z')
			return false;
	return t->kind == FOLD_WORD;
}

/* A level in the next tokens, after words in capitals ("RAS KERNEL INFO"), and a place before them: past it, or 0. */
static int
level_ahead(const struct walk *w)
{
	for (int k = 0; k < 4; k++) {
		const struct llm_fold_token *t = at(w, k);
		if (k == 0 && t->kind == FOLD_WORD && (t->flags & FOLD_WEAK) &&
		    is_capital(at(w, 1)))
			continue;
		if (is_level(t))
			return k + 1;
		if (!is_capital(t))
			return 0;
	}
	return 0;
}

/* A program's name and a dash that stands alone, right after the time: past the dash, or 0. */
static int
dash_ahead(const struct walk *w)
{
	for (int k = 1; k < 4; k++) {
		if (at(w, k)->kind == FOLD_DASH)
			return k + 1;
		if (at(w, k)->kind == FOLD_PUNCT)
			return 0;
	}
	return 0;
}

/* One field that is no tag; false when none is there. */
static bool
walk_field(struct walk *w)
{
	const struct llm_fold_token *t = at(w, 0);
	int k;
	if (t->kind == FOLD_PUNCT && (t->s[0] == ',' || t->s[0] == ']' || t->s[0] == '>')) {
		w->i++;
	} else if (w->level && t->kind == FOLD_DASH && w->closed) {
		return false;
	} else if (llm_fold_is_mask(t) && t->kind != FOLD_PATH && t->kind != FOLD_ANY &&
		   !(t->kind == FOLD_ID && tag_length(w) > 0)) {
		w->masked = true;
		w->i++;
	} else if (!w->level && (k = level_ahead(w)) > 0) {
		w->i += k;
		w->level = true;
		if (is_punct(w, 0, ':') && glued(w, 0))
			w->i++;
	} else if (is_punct(w, 0, '[') && (k = group_end(w, 0, '[', ']')) > 0 &&
		   w->i + k < w->l->n) {
		w->level |= k == 3 && is_level(at(w, 1));
		w->i += k;
		w->closed = true;
		if (is_punct(w, 0, ':') && glued(w, 0))
			w->i++;
		return true;
	} else {
		return false;
	}
	w->closed = false;
	return true;
}

/* One letter as a level, and a component's tag: "D WindowManager:". */
static bool
walk_letter(struct walk *w)
{
	const struct llm_fold_token *t = at(w, 0);
	if (w->level || !w->masked || t->kind != FOLD_WORD || t->n != 1 ||
	    memchr("VDIWEFAST", t->s[0], 9) == NULL)
		return false;
	w->i++;
	w->level = true;
	return true;
}

static void
walk_rest(struct walk *w)
{
	if (is_punct(w, 0, '|')) {
		walk_bars(w);
		return;
	}
	/* A host comes first, and is a word with nothing on it. */
	if (w->syslog && at(w, 0)->kind == FOLD_WORD && tag_length(w) == 0 &&
	    !is_level(at(w, 0)) && !is_punct(w, 1, ':') &&
	    !(is_punct(w, 1, '[') && glued(w, 1)))
		w->i++;
	for (int field = 0; field < 12; field++)
		if (!walk_field(w) && !walk_letter(w))
			break;
	int k = tag_length(w);
	if (k > 0 && (w->syslog || w->level)) {
		w->i += k;
		return;
	}
	if (w->level && at(w, 0)->kind == FOLD_DASH) {
		w->i++;
	} else if (w->level && at(w, 0)->kind == FOLD_WORD && (at(w, 0)->flags & FOLD_WEAK) &&
		   is_punct(w, 1, '[')) { /* "nova.api.server [req-...]" */
		w->i++;
		for (int field = 0; field < 3 && is_punct(w, 0, '['); field++)
			if (!walk_field(w))
				break;
	} else if (!w->level && !w->syslog) {
		int dash = dash_ahead(w);
		w->i += dash;
		/* As many masks as a program that is one would have taken with it. */
		while (dash > 0 && llm_fold_is_mask(at(w, 0)))
			w->i++;
	}
}

void
llm_fold_head(struct llm_fold_line *l)
{
	struct walk w = {.l = l};
	int time = find_time(l);
	if (time < 0)
		return;
	const struct llm_fold_token *t = &l->token[time];
	w.syslog = (t->flags & FOLD_MONTH) || (t->n > 10 && t->s[10] == 'T');
	w.i = time + 1;
	walk_rest(&w);
	/* Without a word the message says nothing: then the head is all there is. */
	for (int i = w.i; i < l->n; i++)
		if (l->token[i].kind == FOLD_WORD) {
			l->n_head = w.i;
			return;
		}
}
