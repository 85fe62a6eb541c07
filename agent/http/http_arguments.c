/* See http_arguments.h. */
#include "http/http_arguments.h"

#include <string.h>

enum { STATUS_BAD_REQUEST = 400 };

/* NULL when there is no room. */
static const char *keep_text(struct http_arguments *arguments, const char *text)
{
    size_t bytes = strlen(text) + 1;

    if (bytes > arguments->text_bytes - arguments->used_bytes) {
        arguments->overflow = true;
        return NULL;
    }
    char *kept = arguments->text + arguments->used_bytes;
    memcpy(kept, text, bytes);
    arguments->used_bytes += bytes;
    return kept;
}

static void keep_argument(void *user, const char *name, const char *value)
{
    struct http_arguments *arguments = user;

    if (arguments->count == QUERY_ARGUMENT_COUNT_MAX) {
        arguments->overflow = true;
        return;
    }
    struct query_argument argument = {
        .name = keep_text(arguments, name), .value = keep_text(arguments, value)};
    if (!arguments->overflow) {
        arguments->items[arguments->count++] = argument;
    }
}

const char *http_arguments_copy(struct http_arguments *arguments, struct http_exchange *exchange)
{
    const char *path = keep_text(arguments, http_exchange_path(exchange));

    http_exchange_each_argument(exchange, keep_argument, arguments);
    if (arguments->overflow) {
        http_reply_text(exchange, STATUS_BAD_REQUEST, "too many or too long arguments\n");
        return NULL;
    }
    return path;
}
