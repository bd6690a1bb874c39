/*
 * SPDX-License-Identifier: ISC
 *
 * The tree of shapes.  A shape's hash is a sum over its tokens, so the hash of its parent, which has
 * one word more masked, is the same sum with one term exchanged: parents need no text until they
 * become templates.  A parent with enough children is made a shape itself, and has parents in turn.
 * Joined shapes are kept as sets; no order of the lines changes which are joined.
 */
#include "tokenize/fold_tree.h"

#include "libcore/size.h"

#include <stdlib.h>
#include <string.h>

enum {
	NODES = 1 << 19,
	COARSE =
	    16, /* one part in so many are shapes by first word and length, once there is no room */
	CHUNK = 1 << 18,
	PARENTS = 40, /* words of a shape that are tried as variables */
	/*
	 * A parent joins its children from FULL points: of plain words five make a variable, of words
	 * that look like names four; where a message begins ten, since the first word mostly says
	 * what happened.  A line with a mask in that place is worth nearly all of them: then one name or
	 * two words are enough.
	 */
	FULL = 20,
	POINTS_PLAIN = 4,
	POINTS_WEAK = 5,
	POINTS_FIRST = 2,
	POINTS_SEEN = 15,
	JOINED = 1 << 30
};

void *
llm_fold_tree_room(struct llm_fold *f, size_t n)
{
	n = (n + 7) & ~(size_t)7;
	struct llm_fold_chunk *c = f->chunk;
	if (c == NULL || c->size - c->used < n) {
		size_t size = n > CHUNK ? n : CHUNK;
		c = malloc(sizeof *c + size);
		if (c == NULL)
			return NULL;
		*c = (struct llm_fold_chunk){.next = f->chunk, .size = size};
		f->chunk = c;
	}
	void *p = c->bytes + c->used;
	c->used += n;
	f->n_bytes += n;
	return p;
}

/* Room for one more of an array that doubles. */
bool
llm_fold_tree_grow(void *array, uint32_t *cap, uint32_t n, size_t size)
{
	size_t bytes;
	void *old, *grown;
	if (n < *cap)
		return true;
	uint32_t want = *cap == 0 ? 64 : *cap * 2;
	memcpy(&old, array, sizeof old);
	if (want < *cap || !llm_size_mul(&bytes, want, size) ||
	    (grown = realloc(old, bytes)) == NULL)
		return false;
	memcpy(array, &grown, sizeof grown);
	*cap = want;
	return true;
}

uint64_t
llm_fold_tree_mix(uint64_t a, uint64_t b)
{
	__extension__ typedef unsigned __int128 wide;
	wide p = (wide)(a ^ 0x9E3779B97F4A7C15u) * (b ^ 0xD1B54A32D192ED03u);
	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static uint64_t
load(const char *s, size_t n)
{
	uint64_t v = 0;
	uint32_t a, b;
	if (n >= 8) {
		memcpy(&v, s, 8);
	} else if (n >= 4) {
		memcpy(&a, s, 4);
		memcpy(&b, s + n - 4, 4);
		v = (uint64_t)a << 32 | b;
	} else if (n > 0) {
		v = (uint64_t)(unsigned char)s[0] << 16 |
		    (uint64_t)(unsigned char)s[n / 2] << 8 | (unsigned char)s[n - 1];
	}
	return v;
}

uint64_t
llm_fold_tree_hash(const char *s, size_t n)
{
	uint64_t h = n;
	for (; n > 16; s += 16, n -= 16)
		h = llm_fold_tree_mix(load(s, 8) ^ h, load(s + 8, 8));
	if (n > 8)
		return llm_fold_tree_mix(load(s, 8) ^ h, load(s + n - 8, 8));
	return llm_fold_tree_mix(load(s, n) ^ h, n);
}

/* The term of a token at place i of a shape; FOLD_ANY stands for every mask. */
static uint64_t
term(int i, int kind, const char *s, size_t n)
{
	uint64_t h = kind >= FOLD_NUM ? 1 : llm_fold_tree_hash(s, n) + (uint64_t)kind;
	return llm_fold_tree_mix(h, (uint64_t)i * 2 + 3);
}

static struct llm_fold_node *
node_slot(struct llm_fold_node *table, uint32_t cap, uint64_t hash)
{
	uint32_t i = (uint32_t)(hash >> 20) & (cap - 1);
	while (table[i].hash != 0 && table[i].hash != hash)
		i = (i + 1) & (cap - 1);
	return &table[i];
}

static bool
nodes_grow(struct llm_fold *f)
{
	uint32_t cap = f->cap_node == 0 ? 1024 : f->cap_node * 2;
	struct llm_fold_node *table = calloc(cap, sizeof *table);
	if (table == NULL)
		return false;
	for (uint32_t i = 0; i < f->cap_node; i++)
		if (f->node[i].hash != 0)
			*node_slot(table, cap, f->node[i].hash) = f->node[i];
	free(f->node);
	f->node = table;
	f->cap_node = cap;
	return true;
}

/* The node of a hash, made where there is none; NULL without memory. */
static struct llm_fold_node *
node_at(struct llm_fold *f, uint64_t hash)
{
	if (f->n_node + f->n_node / 3 >= f->cap_node && !nodes_grow(f))
		return NULL;
	struct llm_fold_node *k = node_slot(f->node, f->cap_node, hash);
	if (k->hash == 0) {
		*k = (struct llm_fold_node){
		    .hash = hash, .shape = LLM_FOLD_NONE, .child = LLM_FOLD_NONE};
		f->n_node++;
	}
	return k;
}

uint32_t
llm_fold_tree_root(const struct llm_fold *f, uint32_t i)
{
	while (f->shape[i].parent != i)
		i = f->shape[i].parent;
	return i;
}

/* Joins the sets of a and b; the older root stays, and is nearer to all. */
static void
unite(struct llm_fold *f, uint32_t a, uint32_t b)
{
	uint32_t ra = llm_fold_tree_root(f, a), rb = llm_fold_tree_root(f, b);
	if (ra != rb) {
		uint32_t old = ra < rb ? ra : rb, young = ra < rb ? rb : ra;
		uint32_t next = f->shape[old].next;
		f->shape[young].parent = old;
		f->shape[old].next = f->shape[young].next;
		f->shape[young].next = next;
	}
	f->shape[a].parent = f->shape[b].parent = ra < rb ? ra : rb;
}

static bool
shape_new(struct llm_fold *f, uint32_t *out, uint64_t hash, int n_head, int n_tok)
{
	if (!llm_fold_tree_grow(&f->shape, &f->cap_shape, f->n_shape, sizeof *f->shape) ||
	    !llm_fold_tree_grow(&f->todo, &f->cap_todo, f->n_todo, sizeof *f->todo))
		return false;
	struct llm_fold_kept *token =
	    llm_fold_tree_room(f, (size_t)(n_head + n_tok) * sizeof *token);
	if (token == NULL)
		return false;
	uint32_t i = f->n_shape++;
	f->shape[i] = (struct llm_fold_shape){.hash = hash,
	    .parent = i,
	    .next = i,
	    .n_head = (uint16_t)n_head,
	    .n_tok = (uint16_t)n_tok,
	    .token = token};
	f->todo[f->n_todo++] = i;
	*out = i;
	return true;
}

/* Keeps n bytes of a line, its beginning as the shape's example. */
static const char *
keep_text(struct llm_fold *f, uint32_t i, const char *line, size_t n)
{
	char *text = llm_fold_tree_room(f, n + 1);
	if (text == NULL)
		return NULL;
	memcpy(text, line, n);
	f->shape[i].example = text;
	f->shape[i].n_example = (uint32_t)(n < LLM_FOLD_EXAMPLE ? n : LLM_FOLD_EXAMPLE);
	return text;
}

/* Keeps the line's text and tokens. */
static bool
shape_fill(struct llm_fold *f, uint32_t i, const char *line, size_t n)
{
	const struct llm_fold_line *l = &f->line;
	const char *text = keep_text(f, i, line, n < LLM_FOLD_LINE ? n : LLM_FOLD_LINE);
	if (text == NULL)
		return false;
	for (int k = 0; k < l->n; k++) {
		const struct llm_fold_token *t = &l->token[k];
		/* Less than LLM_FOLD_LINE, so it fits. */
		f->shape[i].token[k] = (struct llm_fold_kept){
		    text + (t->s - line), (uint16_t)t->n, t->kind, t->flags};
	}
	return true;
}

/* A shape like s with the words at from[0..n_from) masked. */
static bool
shape_made(struct llm_fold *f, uint32_t *out, uint32_t like, uint64_t hash, const int *from,
    int n_from)
{
	int n_head = f->shape[like].n_head, n_tok = f->shape[like].n_tok;
	if (!shape_new(f, out, hash, n_head, n_tok))
		return false;
	struct llm_fold_shape *s = &f->shape[*out];
	memcpy(s->token, f->shape[like].token, (size_t)(n_head + n_tok) * sizeof *s->token);
	s->made = true;
	for (int i = 0; i < n_from; i++)
		s->token[n_head + from[i]].kind = FOLD_ANY;
	return true;
}

/* Joins a parent that is a shape with all of its children, present and future. */
static void
node_join(struct llm_fold *f, struct llm_fold_node *k)
{
	k->points = JOINED;
	for (uint32_t c = k->child; c != LLM_FOLD_NONE; c = f->link[c].next)
		unite(f, k->shape, f->link[c].shape);
}

/* Tells the parent of hash `up`, which masks from[0..n_from), of its child i. */
static bool
parent_tell(
    struct llm_fold *f, uint64_t up, uint32_t i, uint32_t points, const int *from, int n_from)
{
	struct llm_fold_node *k = node_at(f, up);
	uint32_t made;
	if (k == NULL)
		return false;
	if (k->points == JOINED) {
		unite(f, i, k->shape);
		return true;
	}
	if (!llm_fold_tree_grow(&f->link, &f->cap_link, f->n_link, sizeof *f->link))
		return false;
	f->link[f->n_link] = (struct llm_fold_link){i, k->child};
	k->child = f->n_link++;
	k->points += points;
	if (k->points < FULL)
		return true;
	if (k->shape == LLM_FOLD_NONE)
		return shape_made(f, &made, i, up, from, n_from);
	node_join(f, k);
	return true;
}

/* Counts the values that a place of a set of names has had; that of k[place] is new or not. */
static bool
names_count(struct llm_fold *f, uint32_t *n_value, uint64_t names, int place,
    const struct llm_fold_kept *k)
{
	uint64_t all = llm_fold_tree_mix(names, (uint64_t)place + 17);
	struct llm_fold_node *value =
	    node_at(f, llm_fold_tree_mix(all, term(place, k->kind, k->s, k->n)));
	if (value == NULL)
		return false;
	bool old = value->points > 0;
	value->points = 1;
	struct llm_fold_node *count = node_at(f, all);
	if (count == NULL)
		return false;
	count->points += !old;
	*n_value = count->points;
	return true;
}

/*
 * Names that vary together ("from A to B", of which no two lines share one) are told by no parent
 * with one word masked.  Where each place of the shapes that have names in just these places has had
 * as many values as make a variable, all are.  up: the hash with all of them masked.
 */
static bool
names_tell(struct llm_fold *f, uint64_t up, uint32_t i, const int *place, int n_place)
{
	const struct llm_fold_kept *token = f->shape[i].token + f->shape[i].n_head;
	uint64_t names = up;
	uint32_t n_value, made;
	bool full = true;
	for (int p = 0; p < n_place; p++)
		names = llm_fold_tree_mix(names, (uint64_t)place[p] + 1);
	for (int p = 0; p < n_place; p++) {
		if (!names_count(f, &n_value, names, place[p], &token[place[p]]))
			return false;
		full &= n_value * POINTS_WEAK >= FULL;
	}
	struct llm_fold_node *k = node_at(f, names);
	if (k == NULL ||
	    !llm_fold_tree_grow(&f->link, &f->cap_link, f->n_link, sizeof *f->link))
		return false;
	if (k->points == JOINED) {
		unite(f, i, k->shape);
		return true;
	}
	f->link[f->n_link] = (struct llm_fold_link){i, k->child};
	k->child = f->n_link++;
	if (!full)
		return true;
	if (!shape_made(f, &made, i, up, place, n_place))
		return false;
	k->shape = made;
	node_join(f, k);
	return true;
}

/* Makes shape i known: joins what waited for it, and tells its parents. */
static bool
shape_settle(struct llm_fold *f, uint32_t i)
{
	const struct llm_fold_kept *token = f->shape[i].token + f->shape[i].n_head;
	uint64_t hash = f->shape[i].hash, names = hash;
	int n_tok = f->shape[i].n_tok, place[PARENTS], n_place = 0, n_word = 0;
	struct llm_fold_node *k = node_at(f, hash);
	if (k == NULL)
		return false;
	if (k->shape != LLM_FOLD_NONE) { /* two children made it at once */
		unite(f, i, k->shape);
		return true;
	}
	k->shape = i;
	k->points += POINTS_SEEN;
	if (k->points >= FULL || f->shape[i].made)
		node_join(f, k);
	for (int p = 0; p < n_tok && n_word < PARENTS; p++) {
		if (token[p].kind != FOLD_WORD)
			continue;
		uint64_t masked =
		    term(p, FOLD_ANY, "", 0) - term(p, FOLD_WORD, token[p].s, token[p].n);
		bool weak = token[p].flags & FOLD_WEAK;
		uint32_t points = weak          ? POINTS_WEAK
				  : n_word == 0 ? POINTS_FIRST
						: POINTS_PLAIN;
		n_word++;
		if (token[p].flags & (FOLD_WEAK | FOLD_VALUE)) {
			place[n_place++] = p;
			names += masked;
		}
		if (!parent_tell(f, hash + masked, i, points, &p, 1))
			return false;
	}
	return n_place < 2 || names_tell(f, names, i, place, n_place);
}

/* The coarse shape of a hash, made where there is none: the first word if given, then anything. */
static bool
coarse_at(uint32_t *out, struct llm_fold *f, uint64_t hash, const struct llm_fold_token *word)
{
	struct llm_fold_node *k = node_at(f, hash);
	int n_tok = word != NULL ? 2 : 1;
	size_t n = word != NULL ? word->n : 0;
	if (k == NULL)
		return false;
	*out = k->shape;
	if (k->shape != LLM_FOLD_NONE)
		return true;
	char *text = llm_fold_tree_room(f, n + 1);
	if (text == NULL || !shape_new(f, out, hash, 0, n_tok))
		return false;
	f->n_todo--; /* it has no parents */
	k->shape = *out;
	struct llm_fold_kept *token = f->shape[*out].token;
	if (word != NULL) {
		memcpy(text, word->s, n);
		token[0] = (struct llm_fold_kept){text, (uint16_t)n, word->kind, 0};
		f->n_coarse++;
	}
	token[n_tok - 1] = (struct llm_fold_kept){text, 0, FOLD_ANY, FOLD_MANY | FOLD_SPACED};
	return true;
}

/* When there is no room for another shape: a template that takes the line, or a coarse one. */
static bool
coarse_find(uint32_t *out, struct llm_fold *f, uint64_t hash)
{
	const struct llm_fold_line *l = &f->line;
	const struct llm_fold_token *t = &l->token[l->n_head];
	int n = l->n - l->n_head;
	const struct llm_fold_node *k;
	for (int p = 0; p < n; p++) {
		if (t[p].kind != FOLD_WORD)
			continue;
		k = node_slot(f->node, f->cap_node,
		    hash - term(p, FOLD_WORD, t[p].s, t[p].n) + term(p, FOLD_ANY, "", 0));
		if (k->hash != 0 && k->points == JOINED) {
			*out = k->shape;
			return true;
		}
	}
	if (n > 0 && t->kind < FOLD_NUM && t->n <= 64) {
		uint64_t by_word = llm_fold_tree_mix(term(0, t->kind, t->s, t->n), (uint64_t)n);
		k = node_slot(f->node, f->cap_node, by_word);
		if ((k->hash != 0 && k->shape != LLM_FOLD_NONE) ||
		    f->n_coarse < f->max_shape / COARSE)
			return coarse_at(out, f, by_word, t);
	}
	return coarse_at(out, f, llm_fold_tree_mix((uint64_t)n, 13), NULL);
}

/* Is the shape just that of the line?  A hash is not taken at its word. */
static bool
is_shape_of(const struct llm_fold_shape *s, const struct llm_fold_line *l)
{
	const struct llm_fold_token *t = &l->token[l->n_head];
	if (s->n_tok != l->n - l->n_head)
		return false;
	for (int i = 0; i < s->n_tok; i++) {
		const struct llm_fold_kept *k = &s->token[s->n_head + i];
		if (t[i].kind < FOLD_NUM ? t[i].kind != k->kind || t[i].n != k->n ||
					       memcmp(t[i].s, k->s, k->n) != 0
					 : k->kind < FOLD_NUM)
			return false;
	}
	return true;
}

bool
llm_fold_tree_find(uint32_t *out, bool *fresh, struct llm_fold *f, const char *line, size_t n)
{
	struct llm_fold_line *l = &f->line;
	uint64_t hash = 1;
	*fresh = false;
	for (int i = l->n_head; i < l->n; i++)
		hash += term(i - l->n_head, l->token[i].kind, l->token[i].s, l->token[i].n);
	for (; f->cap_node > 0; hash = llm_fold_tree_mix(hash, 11)) {
		const struct llm_fold_node *k =
		    node_slot(f->node, f->cap_node, hash += hash == 0);
		if (k->hash == 0 || k->shape == LLM_FOLD_NONE)
			break;
		*out = k->shape;
		if (is_shape_of(&f->shape[k->shape], l))
			return true;
	}
	f->full |=
	    f->n_shape >= f->max_shape || f->n_bytes >= f->max_bytes || f->n_node >= NODES;
	if (f->full) {
		uint32_t before = f->n_shape;
		if (!coarse_find(out, f, hash))
			return false;
		*fresh = f->n_shape > before;
		return !*fresh || keep_text(f, *out, line, n < 256 ? n : 256) != NULL;
	}
	if (!shape_new(f, out, hash, l->n_head, l->n - l->n_head) ||
	    !shape_fill(f, *out, line, n))
		return false;
	while (f->n_todo > 0)
		if (!shape_settle(f, f->todo[--f->n_todo]))
			return false;
	/* The oldest of a set is the root, and never a shape that was made. */
	*fresh = llm_fold_tree_root(f, *out) == *out;
	return true;
}
