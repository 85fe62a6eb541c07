/* See api_client.h: a curl multi handle with one easy handle. */
#include "cli/api_client.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/api_request.h"

struct api_client {
    struct api_request request;
    CURLM *multi;
    bool is_asking;
};

struct api_client *api_client_new(const char *api, char reason[static API_REASON_BYTES])
{
    struct api_client *client = calloc(1, sizeof *client);

    if (client == NULL || (client->multi = curl_multi_init()) == NULL) {
        (void)snprintf(reason, API_REASON_BYTES, "out of memory");
        api_client_free(client);
        return NULL;
    }
    if (!api_request_open(&client->request, api, reason)) {
        api_client_free(client);
        return NULL;
    }
    (void)curl_easy_setopt(client->request.curl, CURLOPT_TIMEOUT_MS, (long)API_CLIENT_TIMEOUT_MS);
    return client;
}

void api_client_cancel(struct api_client *client)
{
    if (client->is_asking) {
        (void)curl_multi_remove_handle(client->multi, client->request.curl);
        client->is_asking = false;
        client->request.length = 0;
    }
}

void api_client_free(struct api_client *client)
{
    if (client == NULL) {
        return;
    }
    if (client->multi != NULL) {
        api_client_cancel(client);
    }
    api_request_close(&client->request);
    (void)curl_multi_cleanup(client->multi);
    free(client);
}

bool api_client_ask(struct api_client *client, const char *path, char reason[static API_REASON_BYTES])
{
    int running;

    if (!api_request_set_path(&client->request, path, reason)) {
        return false;
    }
    if (curl_multi_add_handle(client->multi, client->request.curl) != CURLM_OK) {
        (void)snprintf(reason, API_REASON_BYTES, "out of memory");
        return false;
    }
    client->is_asking = true;
    (void)curl_multi_perform(client->multi, &running);
    return true;
}

bool api_client_is_asking(const struct api_client *client)
{
    return client->is_asking;
}

void api_client_wait(struct api_client *client, const int *fds, unsigned fd_count, int timeout_ms)
{
    struct curl_waitfd wait[API_CLIENT_FDS_MAX];
    unsigned count = fd_count < API_CLIENT_FDS_MAX ? fd_count : (unsigned)API_CLIENT_FDS_MAX;

    for (unsigned i = 0; i < count; i++) {
        wait[i] = (struct curl_waitfd){.fd = fds[i], .events = CURL_WAIT_POLLIN};
    }
    (void)curl_multi_poll(client->multi, wait, count, timeout_ms, NULL);
}

bool api_client_take(struct api_client *client, json_t **ret_answer, char reason[static API_REASON_BYTES])
{
    int running;
    int left;
    CURLMsg *message;

    if (!client->is_asking) {
        return false;
    }
    (void)curl_multi_perform(client->multi, &running);
    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            *ret_answer = api_request_take(&client->request, message->data.result, reason);
            (void)curl_multi_remove_handle(client->multi, client->request.curl);
            client->is_asking = false;
            return true;
        }
    }
    return false;
}
