/* Memory that held keys or tokens is overwritten before it is given back. Any thread. */
#ifndef WEFT_EXPORTERS_OTLP_SECRET_H
#define WEFT_EXPORTERS_OTLP_SECRET_H

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <string.h>

#include "core/buffer.h"

/* buffer_deinit. Of a buffer that grew nobody overwrites what it left behind: reserve all of it at once. */
static inline void secret_buffer_deinit(struct buffer *buffer)
{
    if (buffer->data != NULL) {
        OPENSSL_cleanse(buffer->data, buffer->capacity_bytes);
    }
    buffer_deinit(buffer);
}

/* curl_slist_free_all. */
static inline void secret_list_free(struct curl_slist *list)
{
    for (struct curl_slist *at = list; at != NULL; at = at->next) {
        OPENSSL_cleanse(at->data, strlen(at->data));
    }
    curl_slist_free_all(list);
}

#endif
