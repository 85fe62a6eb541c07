/* The receiver of access log lines of a shard; see log_receiver.h. */
#include "receivers/log_receiver.h"

#include <stdlib.h>

#include "core/error.h"
#include "decode/access_json.h"
#include "decode/syslog.h"
#include "receivers/sender_cache.h"
#include "receivers/sender_stream.h"

/* An entry of the configuration, as this shard reads it; made when first needed. */
struct log_source {
    struct log_receiver *receiver;
    const struct config_access_log *config; /* NULL: not made yet */
    struct access_json json;
    struct log_reporter reporter;
    struct datagram_reader *reader; /* NULL: none on this shard */
};

struct log_receiver {
    struct log_receiver_config config;
    struct sender_cache *senders;
    struct log_source sources[CONFIG_ACCESS_LOG_COUNT_MAX];
    struct sender_streams streams;
    uint64_t now_monotonic_ns; /* of the batch */
    uint64_t now_unix_ns;
};

/* ---- lines ---- */

/* The beginning of a line, without query strings: they may hold secrets. */
static void make_sample(struct slice line, char out[static LOG_SAMPLE_BYTES])
{
    size_t used = 0;
    bool in_query = false;

    for (size_t i = 0; i < line.length && used < LOG_SAMPLE_BYTES - 1; i++) {
        char byte = (char)line.ptr[i];
        in_query = byte != '"' && byte != ' ' && (in_query || byte == '?');
        if (!in_query && byte != '\0') {
            out[used++] = byte;
        }
    }
    out[used] = '\0';
}

static void drop(struct log_source *source, enum metric_id reason, const char *why, struct slice line)
{
    const struct log_receiver_config *config = &source->receiver->config;
    char sample[LOG_SAMPLE_BYTES];

    LEDGER_ADD(config->pipeline->cells, METRIC_LOGS_RECEIVED, 1);
    LEDGER_ADD(config->pipeline->cells, reason, 1);
    if (!log_takes(config->log, LOG_LEVEL_DEBUG)) {
        return;
    }
    make_sample(line, sample);
    log_event(config->log, LOG_LEVEL_DEBUG, "log_line_dropped",
        LOG_S("socket", source->config->path != NULL ? source->config->path : source->config->stream_path),
        LOG_S("reason", why), LOG_S("line", sample));
}

static void drop_line(
    struct log_source *source, enum access_json_result result, const char *field, struct slice line)
{
    switch (result) {
    case ACCESS_JSON_TRUNCATED:
        drop(source, METRIC_LOGS_DROPPED_TRUNCATED, "truncated", line);
        break;
    case ACCESS_JSON_NESTED:
        drop(source, METRIC_LOGS_DROPPED_NESTED, "nested_too_deep", line);
        break;
    case ACCESS_JSON_OVERSIZED:
        drop(source, METRIC_LOGS_DROPPED_OVERSIZED, "oversized", line);
        break;
    case ACCESS_JSON_MALFORMED:
        drop(source, METRIC_LOGS_DROPPED_MALFORMED, field, line);
        break;
    case ACCESS_JSON_NOT_JSON:
    case ACCESS_JSON_OK:
    default:
        drop(source, METRIC_LOGS_DROPPED_NOT_JSON, "not_json", line);
        break;
    }
}

static void take_message(struct log_source *source, const struct sender *sender, struct slice text)
{
    struct log_receiver *receiver = source->receiver;
    struct pipeline *pipeline = receiver->config.pipeline;
    struct syslog_message message;
    struct access_log_entry entry;
    const char *field;

    if (directory_is_full(pipeline->directory)) {
        LEDGER_ADD(pipeline->cells, METRIC_MESSAGES_REFUSED_MEMORY, 1);
        return;
    }
    LEDGER_ADD(pipeline->cells, METRIC_MESSAGES_ACCEPTED_SYSLOG, 1);
    if (syslog_read(text, &message) < 0) {
        drop(source, METRIC_LOGS_DROPPED_HEADER, "syslog_header", text);
        return;
    }
    enum access_json_result result =
        access_json_read(&source->json, message.body, receiver->now_unix_ns, &entry, &field);
    if (result != ACCESS_JSON_OK) {
        drop_line(source, result, field, message.body);
        return;
    }
    context_batch_begin(&pipeline->context, directory_may_intern(pipeline->directory, sender->interned),
        receiver->now_monotonic_ns);
    pipeline_take_log(pipeline, &entry, &source->reporter, sender, receiver->now_unix_ns);
}

static void take_oversized(struct log_source *source, struct slice start)
{
    LEDGER_ADD(source->receiver->config.pipeline->cells, METRIC_MESSAGES_ACCEPTED_SYSLOG, 1);
    drop(source, METRIC_LOGS_DROPPED_OVERSIZED, "oversized", start);
}

static void begin_batch(struct log_receiver *receiver)
{
    receiver->now_monotonic_ns = clock_monotonic_ns(receiver->config.pipeline->clock);
    receiver->now_unix_ns = clock_unix_ns(receiver->config.pipeline->clock);
}

/* ---- datagrams ---- */

static void on_datagram_batch(void *user)
{
    begin_batch(((struct log_source *)user)->receiver);
}

static void on_datagram(void *user, struct slice payload, bool truncated, const struct ucred *credentials)
{
    struct log_source *source = user;
    struct log_receiver *receiver = source->receiver;

    if (truncated) {
        take_oversized(source, payload);
        return;
    }
    take_message(
        source, sender_cache_find(receiver->senders, credentials, receiver->now_monotonic_ns), payload);
}

static const struct datagram_handler datagram_handler = {
    .on_batch = on_datagram_batch,
    .on_datagram = on_datagram,
};

/* ---- streams ---- */

static void on_stream_batch(void *user)
{
    struct log_source *source = ((struct sender_stream *)user)->owner;

    begin_batch(source->receiver);
}

static void on_message(void *user, struct slice message)
{
    struct sender_stream *stream = user;

    take_message(stream->owner, &stream->sender, message);
}

static void on_oversized(void *user, struct slice start)
{
    take_oversized(((struct sender_stream *)user)->owner, start);
}

static const struct line_stream_handler stream_handler = {
    .on_batch = on_stream_batch,
    .on_lines = on_message,
    .on_oversized = on_oversized,
    .on_closed = sender_stream_on_closed,
};

/* ---- sources ---- */

static struct slice text_or_none(const char *text)
{
    return text != NULL ? slice_of_string(text) : slice_of(NULL, 0);
}

/* The entry of the configuration, ready to read lines; NULL when out of memory. */
static struct log_source *need_source(struct log_receiver *receiver, uint32_t index)
{
    struct log_source *source = &receiver->sources[index];
    const struct config_access_log *config = &receiver->config.logs->items[index];
    const struct limits *limits = receiver->config.pipeline->limits;

    if (source->config != NULL) {
        return source;
    }
    if (access_json_init(&source->json, config->preset, config->keys, (size_t)limits->log_line_bytes_max,
            (uint32_t)limits->nesting_depth_max) < 0) {
        return NULL;
    }
    source->receiver = receiver;
    source->config = config;
    source->reporter.names.service = text_or_none(config->service);
    source->reporter.names.service_namespace = text_or_none(config->service_namespace);
    source->reporter.mesh = config->mesh_number;
    return source;
}

int log_receiver_add_socket(
    struct log_receiver *receiver, uint32_t index, const struct datagram_socket *socket)
{
    struct pipeline *pipeline = receiver->config.pipeline;
    struct log_source *source = need_source(receiver, index);

    if (source == NULL) {
        return WERR_NOMEM;
    }
    if (source->reader != NULL) {
        return WERR_EXISTS;
    }
    struct datagram_reader_config config = {
        .loop = receiver->config.loop,
        .socket = socket,
        .handler = &datagram_handler,
        .user = source,
        .cells = pipeline->cells,
        .payload_bytes_max = (size_t)pipeline->limits->log_line_bytes_max,
        .received = METRIC_DATAGRAMS_ACCESS_LOG,
        .truncated = METRIC_DATAGRAMS_TRUNCATED_ACCESS_LOG,
        .lost = METRIC_DATAGRAMS_LOST_STATSD, /* UDP alone tells of losses */
        .buffer = METRIC_DATAGRAM_BUFFER_ACCESS_LOG,
    };
    return datagram_reader_new(&config, &source->reader);
}

int log_receiver_add_stream(
    struct log_receiver *receiver, uint32_t index, int fd, void (*on_ended)(void *user), void *user)
{
    struct pipeline *pipeline = receiver->config.pipeline;
    struct log_source *source = need_source(receiver, index);
    const struct sender_stream_config config = {
        .pipeline = pipeline,
        .proc_root = receiver->config.proc_root,
        .lines = {.loop = receiver->config.loop,
            .streams = receiver->config.streams,
            .framing = LINE_FRAMING_OCTETS,
            .line_bytes_max = (size_t)pipeline->limits->log_line_bytes_max,
            .handler = &stream_handler,
            .cells = pipeline->cells},
        .owner = source,
        .on_ended = on_ended,
        .user = user,
    };

    return source != NULL ? sender_stream_add(&receiver->streams, &config, fd) : (int)WERR_NOMEM;
}

/* ---- start and stop ---- */

int log_receiver_new(const struct log_receiver_config *config, struct log_receiver **ret_receiver)
{
    struct log_receiver *receiver = calloc(1, sizeof *receiver);

    if (receiver == NULL) {
        return WERR_NOMEM;
    }
    receiver->config = *config;
    LIST_INIT(&receiver->streams);
    receiver->senders = sender_cache_new(&config->pipeline->context, config->proc_root);
    if (receiver->senders == NULL) {
        free(receiver);
        return WERR_NOMEM;
    }
    *ret_receiver = receiver;
    return 0;
}

void log_receiver_close(struct log_receiver *receiver)
{
    if (receiver == NULL) {
        return;
    }
    for (size_t i = 0; i < CONFIG_ACCESS_LOG_COUNT_MAX; i++) {
        datagram_reader_drain(receiver->sources[i].reader);
    }
    sender_streams_close(&receiver->streams);
}

void log_receiver_free(struct log_receiver *receiver)
{
    if (receiver == NULL) {
        return;
    }
    for (size_t i = 0; i < CONFIG_ACCESS_LOG_COUNT_MAX; i++) {
        datagram_reader_free(receiver->sources[i].reader);
        access_json_deinit(&receiver->sources[i].json);
    }
    sender_cache_free(receiver->senders);
    free(receiver);
}
