/*
 * SPDX-License-Identifier: ISC
 *
 * Opening a model; see model.h.
 */
#include "libcore/model.h"

#include <stdlib.h>

int
llm_model_open(struct llm_model **out, const char *path, struct llm_err *err)
{
	struct llm_model *m = calloc(1, sizeof *m);
	if (m == NULL)
		return llm_err_nomem(err, sizeof *m);
	int rc = llm_gguf_open(&m->gguf, path, err);
	if (rc < 0 || (rc = llm_config_read(&m->config, m->gguf, err)) < 0 ||
	    (rc = llm_weights_bind(&m->weights, &m->config, m->gguf, err)) < 0) {
		llm_model_close(m);
		return rc;
	}
	*out = m;
	return 0;
}

void
llm_model_close(struct llm_model *m)
{
	if (m == NULL)
		return;
	llm_weights_free(&m->weights);
	llm_gguf_close(m->gguf);
	free(m);
}
