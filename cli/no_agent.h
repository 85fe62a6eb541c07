/* What to tell who asks where no agent answers: the places that were tried, what is wrong with each, what to
 * do. */
#ifndef WEFT_CLI_NO_AGENT_H
#define WEFT_CLI_NO_AGENT_H

#include <stddef.h>

#include "core/paths.h"

/*
 * Writes lines without an end. `api` as for api_get: a path, a URL or NULL. Connects to each socket to see
 * why nobody answers.
 */
void no_agent_explain(const char *api, char *text, size_t text_bytes);

#endif
