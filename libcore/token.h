/*
 * SPDX-License-Identifier: ISC
 *
 * The id of a token: what a vocabulary numbers and an embedding row belongs to.
 */
#ifndef LLM_TOKEN_H
#define LLM_TOKEN_H

#include <stdint.h>

typedef int32_t llm_token;

#endif
