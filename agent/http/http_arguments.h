/*
 * A question's path and arguments, copied out of its exchange into the letter that asks another thread. On
 * the shard that holds the connection.
 */
#ifndef WEFT_AGENT_HTTP_ARGUMENTS_H
#define WEFT_AGENT_HTTP_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "listen/http_server.h"
#include "query/query.h"

/* Where they go: the letter's own. */
struct http_arguments {
    struct query_argument *items; /* QUERY_ARGUMENT_COUNT_MAX of them */
    size_t count;
    char *text; /* of all of it */
    size_t text_bytes;
    size_t used_bytes;
    bool overflow;
};

/* The path, in `text`; NULL when path and arguments are too many or too long: then the exchange was answered.
 */
const char *http_arguments_copy(struct http_arguments *arguments, struct http_exchange *exchange);

#endif
