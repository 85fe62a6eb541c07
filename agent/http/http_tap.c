/*
 * The route of taps: its arguments, and whatever cannot be begun. Runs on the shard that holds the
 * connection.
 */
#include <string.h>

#include "core/error.h"
#include "http/http_routes.h"
#include "query/tap_query.h"

enum { STATUS_OK = 200, STATUS_BAD_REQUEST = 400, STATUS_UNAVAILABLE = 503, ERROR_BYTES_MAX = 8192 };

struct arguments {
    struct query_argument items[QUERY_ARGUMENT_COUNT_MAX];
    size_t count;
    bool are_too_many;
};

/* Borrowed: they last as long as the request does. */
static void take_argument(void *user, const char *name, const char *value)
{
    struct arguments *arguments = user;

    if (arguments->count == QUERY_ARGUMENT_COUNT_MAX) {
        arguments->are_too_many = true;
        return;
    }
    arguments->items[arguments->count++] = (struct query_argument){.name = name, .value = value};
}

static void refuse(struct http_exchange *exchange, unsigned status, const char *argument, const char *message)
{
    const struct http_header headers[] = {
        {.name = "Content-Type", .value = "application/json"},
        {.name = "Retry-After", .value = "1"},
    };
    struct buffer out;

    buffer_init(&out, ERROR_BYTES_MAX);
    tap_error(&out, argument, message);
    struct shared_bytes *body = out.error == 0 ? shared_bytes_take(&out) : NULL;
    buffer_deinit(&out);
    http_reply(exchange, status, body, headers, status == STATUS_UNAVAILABLE ? 2 : 1);
    shared_bytes_unref(body);
}

static void begin(struct http_routes *routes, struct http_exchange *exchange, const struct tap_query *query)
{
    switch (routes->taps != NULL ? tap_shard_begin(routes->taps, exchange, query) : WERR_CLOSED) {
    case 0:
        break;
    case WERR_FULL:
        refuse(exchange, STATUS_UNAVAILABLE, NULL, "as many watch already as limits.taps_count_max allows");
        break;
    case WERR_CLOSED:
        refuse(exchange, STATUS_UNAVAILABLE, NULL, "the agent is stopping");
        break;
    default:
        refuse(exchange, STATUS_UNAVAILABLE, NULL, "out of memory");
        break;
    }
}

void http_tap(struct http_routes *routes, struct http_exchange *exchange)
{
    struct arguments arguments = {.count = 0};
    struct tap_query query;

    http_exchange_each_argument(exchange, take_argument, &arguments);
    if (arguments.are_too_many) {
        refuse(exchange, STATUS_BAD_REQUEST, NULL, "too many arguments");
    } else if (tap_query_parse(&query, arguments.items, arguments.count) < 0) {
        metric_add(routes->cells, METRIC_QUERIES_BAD, 1);
        refuse(exchange, STATUS_BAD_REQUEST, query.bad_argument, query.message);
    } else if (strcmp(http_exchange_method(exchange), "GET") != 0) {
        http_reply(exchange, STATUS_OK, NULL,
            &(struct http_header){.name = "Content-Type", .value = "application/x-ndjson"}, 1);
    } else {
        begin(routes, exchange, &query);
    }
}
