/*
 * SPDX-License-Identifier: ISC
 *
 * The table of models: what is resident, what is being opened, who waits for it, and what has to go for it.
 */
#ifndef LLMD_MODELS_H
#define LLMD_MODELS_H

#include "bin/daemon/daemon.h"
#include "bin/daemon/resident.h"
#include "embed/embedder.h"

struct models; /* opaque */
struct request;

/* One that takes texts apart in its own way, of a model. */
struct model_embedder {
	struct model_embedder *next;
	struct llm_embedder_params params;
	struct llm_embedder *embedder;
};

struct model {
	struct model *next;
	struct models *all;
	char *path;
	/* Read-only: */
	enum {
		MODEL_QUEUED,  /* another is being opened */
		MODEL_OPENING, /* on a thread of its own */
		MODEL_READY,
		MODEL_LEAVING /* the engine lets go of it, then it is closed */
	} state;
	struct resident *resident; /* once READY */
	bool locked;
	bool has_ident;
	struct llm_hash ident;
	int n_use; /* requests */

	/* Private. */
	struct resident_watch watch;
	bool stale;   /* no new request gets it */
	bool working; /* another thread locks it, and finds its identity out */
	bool failed;  /* which could not be done */
	uint64_t used;
	struct request *waiting; /* in the order of their coming */
	struct model_embedder *embedders;
	int rc;
	struct llm_err err;
	int lock_errno;
};

int models_new(struct models **out, struct daemon *d, struct llm_err *err);
/* All must have left, or the engine must have ended. */
void models_free(struct models *m);

/*
 * models_want - request_ready(r) follows, now or later, or request_failed: once the model that the name means is
 * there, and its identity if r->wants_ident.  It is in use from here to models_release.
 */
void models_want(struct models *m, struct request *r, const char *name);
/* r waits no longer. */
void models_forget(struct model *model, struct request *r);
void models_release(struct model *model);

/* models_preload - the same for nobody: for -m. */
void models_preload(struct models *m, const char *name);

/*
 * models_unload - let go of the model that the name means once its requests have ended; bytes: what it has.
 * LLM_ENOINPUT where it is not loaded.
 */
int models_unload(uint64_t *bytes, struct models *m, const char *name, struct llm_err *err);
/* models_reopen - models whose files are others by now are let go of: the next request opens the new ones. */
void models_reopen(struct models *m);
/* The engine has let go of it. */
void models_dropped(struct models *m, struct resident *r);

/* What people call it: that of the store, its folder's; else the file's own without .gguf. */
enum { MODEL_NAME = 128 };
char *model_name(char buf[MODEL_NAME], const struct model *model);

/* Whether one is being opened or closed. */
bool models_busy(const struct models *m);
/* The list, and bytes of weights in it. */
const struct model *models_first(const struct models *m);
uint64_t models_bytes(const struct models *m);

/* Its embedder with these parameters, or NULL; and to have one, which is the model's then. */
struct llm_embedder *model_embedder(
    const struct model *model, const struct llm_embedder_params *params);
int model_embedder_add(struct model *model, const struct llm_embedder_params *params,
    struct llm_embedder *e, struct llm_err *err);

#endif
