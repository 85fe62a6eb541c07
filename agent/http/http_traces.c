/*
 * Routes of traces: questions are mailed to the trace thread and resumed with its answer; traces to keep are
 * told to all shards. Runs on the shard that holds the connection.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/error.h"
#include "core/networks.h"
#include "decode/json.h"
#include "http/http_arguments.h"
#include "http/http_routes.h"

enum {
    STATUS_OK = 200,
    STATUS_BAD_REQUEST = 400,
    STATUS_FORBIDDEN = 403,
    STATUS_UNAVAILABLE = 503,
    JSON_DEPTH = 8,
    ANSWER_BYTES_MAX = 256,
};

static const char keep_path[] = "/api/v1/keep";

/* ---- who asks ---- */

/* One byte for each that can be told apart, of this machine and of others: a connection's user points to its
 * own. */
enum { ORIGINS_COUNT = 4096 };

static const char from_here[1];
static const char from_elsewhere[ORIGINS_COUNT];

/* Of the address without the port: a machine's connections are one peer's. */
static uint32_t hash_of(const struct sockaddr_storage *address)
{
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
    const struct sockaddr_in *four = (const struct sockaddr_in *)address;

    return (uint32_t)(address->ss_family == AF_INET6 ? XXH3_64bits(&six->sin6_addr, sizeof six->sin6_addr)
                                                     : XXH3_64bits(&four->sin_addr, sizeof four->sin_addr));
}

const void *http_origin(int fd, const struct tls_peer *peer)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;

    if (peer != NULL) {
        address = peer->address;
    } else if (getpeername(fd, (struct sockaddr *)&address, &length) < 0) {
        return from_elsewhere;
    }
    bool is_here = address.ss_family == AF_UNIX || address_is_loopback((const struct sockaddr *)&address);
    return is_here ? from_here : from_elsewhere + hash_of(&address) % ORIGINS_COUNT;
}

static bool is_from_elsewhere(const void *connection_user)
{
    uintptr_t at = (uintptr_t)connection_user;

    return at >= (uintptr_t)from_elsewhere && at < (uintptr_t)(from_elsewhere + ORIGINS_COUNT);
}

bool http_is_origin(const void *connection_user)
{
    return connection_user == from_here || is_from_elsewhere(connection_user);
}

bool http_is_from_here(const void *connection_user)
{
    return connection_user == from_here;
}

/* Numbers those that http_origin tells apart. */
static uint32_t origin_number(const void *connection_user)
{
    return is_from_elsewhere(connection_user)
               ? 1 + (uint32_t)((uintptr_t)connection_user - (uintptr_t)from_elsewhere)
               : 0;
}

/* A token that is given must be the right one, wherever it comes from. A browser is no operator: a page from
 * anywhere can have it post to this machine. */
static bool may_keep(const struct http_routes *routes, struct http_exchange *exchange)
{
    const char *header = http_exchange_header(exchange, "Authorization");
    bool is_here = http_exchange_connection_user(exchange) == from_here;

    if (http_exchange_header(exchange, "Origin") != NULL) {
        return false;
    }
    if (header != NULL && routes->gate->peer_token != NULL) {
        return http_bears_token(header, routes->gate->peer_token);
    }
    return is_here || (routes->gate->verifies_clients && http_exchange_kind(exchange) == LISTENER_HTTP);
}

bool http_traces_takes_body(struct http_routes *routes, struct http_exchange *exchange)
{
    return strcmp(http_exchange_method(exchange), "POST") == 0 &&
           strcmp(http_exchange_path(exchange), keep_path) == 0 && may_keep(routes, exchange);
}

/* ---- questions ---- */

static void on_answered(struct mail *mail, void *receiver)
{
    struct trace_ask *ask = (struct trace_ask *)mail;
    const struct http_header header = {.name = "Content-Type", .value = "application/json"};
    const struct http_header later = {.name = "Retry-After", .value = "1"};

    (void)receiver;
    http_reply(ask->exchange, ask->status, ask->body, ask->body != NULL ? &header : &later, 1);
    shared_bytes_unref(ask->body);
    free(ask);
}

void http_traces_ask(struct http_routes *routes, struct http_exchange *exchange)
{
    struct trace_ask *ask = calloc(1, sizeof *ask);

    if (ask == NULL || routes->traces == NULL) {
        free(ask);
        http_reply_text(exchange, STATUS_UNAVAILABLE, "traces cannot be asked for now\n");
        return;
    }
    struct http_arguments arguments = {
        .items = ask->arguments, .text = ask->text, .text_bytes = sizeof ask->text};
    ask->reply_to = routes->mailbox;
    ask->answered = on_answered;
    ask->exchange = exchange;
    ask->path = http_arguments_copy(&arguments, exchange);
    ask->argument_count = arguments.count;
    if (ask->path == NULL) {
        free(ask);
    } else if (!trace_thread_ask(routes->traces, ask)) {
        free(ask);
        http_reply_text(exchange, STATUS_UNAVAILABLE, "the agent is stopping\n");
    }
}

/* ---- traces to keep ---- */

/* A list of trace ids into batches; each full one is sent. */
struct keeping {
    struct http_routes *routes;
    struct kept *batch; /* of it only the batch is used */
    uint32_t reasons;
    bool is_peer;
    size_t told_count;
    size_t may_count; /* of those, the first so many are kept */
    size_t count;
};

static void send_batch(struct keeping *keeping)
{
    struct http_routes *routes = keeping->routes;
    bool tells_all = !keeping->is_peer || routes->traces == NULL;

    if (keeping->batch->batch_count > 0) {
        kept_hub_send(routes->kept_hub, tells_all ? NULL : trace_thread_mailbox(routes->traces),
            keeping->batch, routes->cells);
        kept_batch_clear(keeping->batch);
    }
}

static int keep_id(struct keeping *keeping, const struct json_value *value)
{
    uint8_t trace_id[TRACE_MODEL_ID_BYTES];

    if (value->type != JSON_STRING || trace_parse_id(value->text, trace_id) < 0) {
        return WERR_INVALID;
    }
    if (keeping->count == keeping->may_count) {
        return 0;
    }
    if (keeping->batch->batch_count == KEPT_LETTER_COUNT_MAX) {
        send_batch(keeping);
    }
    struct kept_notice *notice = &keeping->batch->batch[keeping->batch->batch_count++];
    *notice = (struct kept_notice){.reasons = keeping->reasons};
    memcpy(notice->trace_id, trace_id, sizeof notice->trace_id);
    keeping->count++;
    return 0;
}

/* Calls `each` for every id; 0, or what is wrong with the document. */
static int read_ids(struct slice body, struct keeping *keeping, bool only_checks)
{
    struct json_reader reader = json_reader_of(body, JSON_DEPTH);
    struct json_value key;
    struct json_value value;
    uint8_t trace_id[TRACE_MODEL_ID_BYTES];
    int status = json_read(&reader, &value);

    if (status < 0 || value.type != JSON_OBJECT) {
        return WERR_INVALID;
    }
    while ((status = json_member(&reader, &key, &value)) > 0) {
        if (slice_equal(key.text, SLICE_LITERAL("traceIds")) && value.type == JSON_ARRAY) {
            struct json_value id;
            while ((status = json_element(&reader, &id)) > 0) {
                int error = !only_checks             ? keep_id(keeping, &id)
                            : id.type != JSON_STRING ? WERR_INVALID
                                                     : trace_parse_id(id.text, trace_id);
                if (error < 0) {
                    return error;
                }
                keeping->told_count += only_checks;
            }
        } else {
            keeping->is_peer |= slice_equal(key.text, SLICE_LITERAL("from")) && value.type == JSON_STRING &&
                                slice_equal(value.text, SLICE_LITERAL("peer"));
            status = json_skip(&reader, &value);
        }
        if (status < 0) {
            return status;
        }
    }
    return status < 0 ? status : json_end(&reader);
}

/* What is past the rate of who asks is not kept, and counted. */
static void limit(struct keeping *keeping, const struct http_exchange *exchange)
{
    const struct http_routes *routes = keeping->routes;
    uint32_t told = keeping->told_count < UINT32_MAX ? (uint32_t)keeping->told_count : UINT32_MAX;

    keeping->may_count = told;
    if (routes->notice_gate != NULL) {
        keeping->may_count = notice_gate_take(routes->notice_gate, keeping->is_peer,
            origin_number(http_exchange_connection_user(exchange)), told,
            clock_monotonic_ns(routes->pipeline->clock));
    }
    metric_add(routes->cells, keeping->is_peer ? METRIC_TRACES_LIMITED_PEER : METRIC_TRACES_LIMITED_OPERATOR,
        keeping->told_count - keeping->may_count);
}

static void reply_kept(struct http_exchange *exchange, size_t count, size_t limited_count)
{
    const struct http_header header = {.name = "Content-Type", .value = "application/json"};
    struct buffer out;

    buffer_init(&out, ANSWER_BYTES_MAX);
    (void)buffer_append_format(&out, "{\"accepted\":%zu", count);
    if (limited_count > 0) {
        (void)buffer_append_format(&out, ",\"limited\":%zu", limited_count);
    }
    (void)buffer_append_format(&out, "}\n");
    struct shared_bytes *body = shared_bytes_take(&out);
    buffer_deinit(&out);
    http_reply(exchange, STATUS_OK, body, &header, 1);
    shared_bytes_unref(body);
}

void http_traces_keep(struct http_routes *routes, struct http_exchange *exchange)
{
    struct keeping keeping = {.routes = routes};
    struct slice body = http_exchange_body(exchange);

    if (!may_keep(routes, exchange)) {
        http_reply_text(exchange, STATUS_FORBIDDEN,
            "traces are kept at the request of this machine, or with the token of trace.peer_token_file\n");
        return;
    }
    /* nothing is kept before all of it was read */
    if (read_ids(body, &keeping, true) < 0) {
        http_reply_text(exchange, STATUS_BAD_REQUEST, "expected {\"traceIds\":[\"hex\", …]}\n");
        return;
    }
    keeping.batch = calloc(1, sizeof *keeping.batch);
    if (keeping.batch == NULL || routes->kept_hub == NULL) {
        free(keeping.batch);
        http_reply_text(exchange, STATUS_UNAVAILABLE, "out of memory\n");
        return;
    }
    keeping.reasons = keeping.is_peer ? TRIGGER_BIT(PEER) : TRIGGER_BIT(OPERATOR);
    limit(&keeping, exchange);
    (void)read_ids(body, &keeping, false);
    send_batch(&keeping);
    free(keeping.batch);
    if (keeping.is_peer) {
        metric_add(routes->cells, METRIC_TRACE_PEER_NOTICES_RECEIVED, keeping.told_count);
    }
    reply_kept(exchange, keeping.count, keeping.told_count - keeping.count);
}
