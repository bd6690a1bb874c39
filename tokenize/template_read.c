/*
 * SPDX-License-Identifier: ISC
 *
 * Recognises a chat template by what its Jinja text holds: the names of control tokens, the literals
 * around messages, and the few expressions by which published variants differ.  A text that has a
 * family's marks but not all that is expected of it is unknown, not guessed.
 */
#include "tokenize/jinja.h"
#include "tokenize/template_private.h"

#include <stdlib.h>
#include <string.h>

#define OPEN LLM_JINJA_OPEN
#define CLOSE LLM_JINJA_CLOSE
#define NOWHERE ((size_t)-1)

struct text {
	const char *s;
	size_t n;
};

static bool
has(const struct text *x, const char *needle)
{
	return llm_jinja_find(x->s, x->n, 0, needle) != NOWHERE;
}

/* Some message or content is trimmed, in any spelling. */
static bool
trims(const struct text *x)
{
	return has(x, "content" CLOSE "]|trim") || has(x, "content|trim") ||
	       has(x, "content" CLOSE "].strip()") || has(x, "content.strip()");
}

/*
 * The date in `set date_string = "..."`, of the fallback where the date is otherwise today's.
 */
static void
read_date(struct llm_template_traits *traits, const struct text *x)
{
	static const char before[] = "date_string=" OPEN;
	size_t begin = llm_jinja_find(x->s, x->n, 0, before), end;
	if (begin == NOWHERE)
		return;
	begin += strlen(before);
	end = llm_jinja_find(x->s, x->n, begin, CLOSE);
	if (end == NOWHERE || end - begin >= sizeof traits->date)
		return;
	memcpy(traits->date, x->s + begin, end - begin);
	traits->date[end - begin] = '\0';
}

/* A system message of the template's own, set as a literal: known of ChatML alone. */
static bool
sets_system(const struct text *x)
{
	static const char before[] = "system_message=" OPEN;
	for (size_t i = 0; (i = llm_jinja_find(x->s, x->n, i, before)) != NOWHERE;) {
		i += strlen(before);
		if (i < x->n && x->s[i] != CLOSE[0])
			return true;
	}
	return false;
}

static int
read_llama3(struct llm_template_traits *traits, const struct text *x)
{
	if (!has(x, "<|end_header_id|>\n\n") || !has(x, "assistant<|end_header_id|>\n\n") ||
	    !has(x, "<|eot_id|>") || sets_system(x))
		return LLM_TEMPLATE_UNKNOWN;
	if (!has(x, "Cutting Knowledge Date"))
		return trims(x) ? LLM_TEMPLATE_LLAMA3_0 : LLM_TEMPLATE_LLAMA3;
	if (!has(x, "Cutting Knowledge Date: December 2023\n") || !has(x, "Today Date: ") ||
	    !trims(x))
		return LLM_TEMPLATE_UNKNOWN;
	read_date(traits, x);
	return has(x, "strftime_now") ? LLM_TEMPLATE_LLAMA3_2 : LLM_TEMPLATE_LLAMA3_1;
}

/*
 * The system message that a ChatML template writes by itself: what stands between the system header
 * and the end of the message without a tag or an end of a literal in between.
 * 1 and *begin, *end; 0 where there is none; -1 where there are two that differ.
 */
static int
find_system(size_t *begin, size_t *end, const struct text *x)
{
	static const char before[] = "<|im_start|>system\n";
	int found = 0;
	for (size_t i = 0; (i = llm_jinja_find(x->s, x->n, i, before)) != NOWHERE;) {
		size_t stop = llm_jinja_find(x->s, x->n, i += strlen(before), "<|im_end|>");
		if (stop == NOWHERE)
			break;
		struct text inside = {x->s + i, stop - i};
		if (has(&inside, OPEN) || has(&inside, CLOSE) || has(&inside, "{{") ||
		    has(&inside, "{%") || has(&inside, "<|im_start|>"))
			continue;
		if (found && (inside.n != *end - *begin ||
				 memcmp(inside.s, x->s + *begin, inside.n) != 0))
			return -1;
		*begin = i;
		*end = stop;
		found = 1;
	}
	return found;
}

static int
read_chatml(
    int *id, struct llm_template_traits *traits, const struct text *x, struct llm_err *err)
{
	size_t begin = 0, end = 0;
	int found;
	*id = LLM_TEMPLATE_UNKNOWN;
	if (!has(x, "<|im_start|>assistant\n") || !has(x, "<|im_end|>\n"))
		return 0;
	if ((found = find_system(&begin, &end, x)) < 0)
		return 0;
	if (found) {
		if ((traits->system = malloc(end - begin + 1)) == NULL)
			return llm_err_nomem(err, end - begin + 1);
		memcpy(traits->system, x->s + begin, end - begin);
		traits->system[end - begin] = '\0';
	}
	traits->bos = has(x, "bos_token");
	traits->trim = trims(x);
	*id = LLM_TEMPLATE_CHATML;
	return 0;
}

static int
read_llama2(struct llm_template_traits *traits, const struct text *x)
{
	if (!has(x, "bos_token+" OPEN "[INST] ") || !has(x, OPEN " [/INST]") || !trims(x) ||
	    !has(x, "<<SYS>>\n") || !has(x, "\n<</SYS>>\n\n"))
		return LLM_TEMPLATE_UNKNOWN;
	/* A system message of its own, switched on. */
	if (has(x, "true==true"))
		return LLM_TEMPLATE_UNKNOWN;
	traits->trim_system = has(x, "messages[0][" OPEN "content" CLOSE "]|trim") ||
			      has(x, "messages[0].content|trim");
	return LLM_TEMPLATE_LLAMA2;
}

static int
read_mistral(struct llm_template_traits *traits, const struct text *x)
{
	bool system = has(x, "system_message");
	if (sets_system(x))
		return LLM_TEMPLATE_UNKNOWN;
	traits->system_last = has(x, "loop.lastandsystem_message");
	if (system && !traits->system_last && !has(x, "loop.firstandsystem_message"))
		return LLM_TEMPLATE_UNKNOWN;
	if (has(x, OPEN " [INST] ") && has(x, OPEN " [/INST]" CLOSE))
		return system ? LLM_TEMPLATE_MISTRAL_V1 : LLM_TEMPLATE_UNKNOWN;
	if (!has(x, OPEN "[INST] "))
		return LLM_TEMPLATE_UNKNOWN;
	if (has(x, OPEN "[/INST]" CLOSE))
		return system && trims(x) ? LLM_TEMPLATE_MISTRAL_V3 : LLM_TEMPLATE_UNKNOWN;
	if (!has(x, OPEN " [/INST]" CLOSE) || system)
		return LLM_TEMPLATE_UNKNOWN;
	return has(x, "eos_token+" OPEN " " CLOSE) ? LLM_TEMPLATE_MISTRAL_0_1
						   : LLM_TEMPLATE_MISTRAL_0_2;
}

int
llm_template_recognise(int *id, struct llm_template_traits *traits, const char *text, size_t n,
    struct llm_err *err)
{
	char *squeezed;
	struct text x;
	int r = llm_jinja_squeeze(&squeezed, &x.n, text, n, err);
	*id = LLM_TEMPLATE_UNKNOWN;
	if (r < 0)
		return r;
	x.s = squeezed;
	bool header = has(&x, "<|start_header_id|>"), im = has(&x, "<|im_start|>"),
	     inst = has(&x, "[INST]");
	/* Templates that write or cut thoughts are other formats that share these marks. */
	if (header + im + inst == 1 && !has(&x, "<think>")) {
		if (header)
			*id = read_llama3(traits, &x);
		else if (im)
			r = read_chatml(id, traits, &x, err);
		else if (has(&x, "<<SYS>>"))
			*id = read_llama2(traits, &x);
		else
			*id = read_mistral(traits, &x);
	}
	free(squeezed);
	return r;
}
