/*
 * SPDX-License-Identifier: ISC
 *
 * Chat templates: messages in, a prompt out, as the model was trained to read it.  A file's own template
 * is recognised from its Jinja text (tokenizer.chat_template) and never run.  What a template does with
 * tools is not here yet: it would be another role and a list of definitions beside the messages.
 */
#ifndef LLM_TEMPLATE_H
#define LLM_TEMPLATE_H

#include "libcore/gguf.h"
#include "tokenize/prompt.h"

#include <stddef.h>

enum llm_role { LLM_ROLE_SYSTEM, LLM_ROLE_USER, LLM_ROLE_ASSISTANT };

/* Plain data, borrowed. */
struct llm_message {
	enum llm_role role;
	const char *text;
	size_t n_text;
	const llm_token
	    *ids; /* of an assistant: what it generated, in place of text; NULL: text */
	size_t n_ids;
};

/* What the user asks for; zero-initialised: the file's own. */
struct llm_template_params {
	const char *name; /* one of llm_template_names; NULL: recognise the file's */
	const char
	    *date; /* where a template writes today's; NULL: the template's own, 26 Jul 2024 */
};

struct llm_template; /* opaque; read-only, safe for several threads */

/* The names, separated by a space. */
const char *llm_template_names(void);

/*
 * llm_template_open - the template of a model file.
 * LLM_EUNSUPPORTED: the file has none, or one that is not known, with the names to choose from;
 * LLM_EUSAGE: no template of this name; LLM_ENOMEM.  params is copied.
 */
int llm_template_open(struct llm_template **out, const struct llm_gguf *g,
    const struct llm_template_params *params, struct llm_err *err);
/* The same from the Jinja text; text may be NULL where there is a name. */
int llm_template_read(struct llm_template **out, const char *text, size_t n,
    const struct llm_template_params *params, struct llm_err *err);
void llm_template_close(struct llm_template *t);

const char *llm_template_name(const struct llm_template *t);
/* The control token that ends an answer; NULL: the file's end token. */
const char *llm_template_end(const struct llm_template *t);

/*
 * llm_template_render - append the prompt that asks the model for the next answer.
 * Messages: a system message or none, then user and assistant in turn, the last a user's; LLM_EUSAGE
 * otherwise, and where the template has no place for a system message; LLM_ENOMEM.
 * The prompt borrows the messages' ids.  When an answer's ids and a new user message are added to
 * messages, the new prompt's ids begin with the old prompt's, then the answer's: except under
 * mistral-v3 with a system message, which always stands before the last user message.
 */
int llm_template_render(struct llm_prompt *out, const struct llm_template *t,
    const struct llm_message *messages, size_t n, struct llm_err *err);

#endif
