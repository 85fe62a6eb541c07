/*
 * Questions to the agent's API without waiting for the answer, for who has a screen and a keyboard to attend
 * to meanwhile: one under way at a time, over one connection that is opened anew when the agent went away.
 * One thread.
 */
#ifndef WEFT_CLI_API_CLIENT_H
#define WEFT_CLI_API_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

#include "cli/api.h"

enum { API_CLIENT_TIMEOUT_MS = 4000, API_CLIENT_FDS_MAX = 4 };

struct api_client;

/* `api` as for api_get, borrowed. NULL with a reason. */
struct api_client *api_client_new(const char *api, char reason[static API_REASON_BYTES]);
void api_client_free(struct api_client *client); /* NULL is fine */

/* Begins to ask; nothing may be under way. False with a reason. */
bool api_client_ask(struct api_client *client, const char *path, char reason[static API_REASON_BYTES]);
bool api_client_is_asking(const struct api_client *client);

/* Gives up what is under way. */
void api_client_cancel(struct api_client *client);

/* Waits until something can be read from one of the descriptors, something happened to the question, or the
 * time is over. */
void api_client_wait(struct api_client *client, const int *fds, unsigned fd_count, int timeout_ms);

/*
 * Whether the question that was under way has ended: then *ret_answer is the answer, the caller's to decref,
 * or NULL with a reason.
 */
bool api_client_take(struct api_client *client, json_t **ret_answer, char reason[static API_REASON_BYTES]);

#endif
