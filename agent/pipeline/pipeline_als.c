/*
 * Envoy's access log service: a stream for each worker of a proxy and each of its loggers, which never ends.
 * Its first message says who speaks; that is kept for as long as the stream lives, the only allocation here.
 * Runs on the shard's loop.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "decode/als.h"
#include "pipeline/pipeline.h"

/* What a stream has said of itself. */
struct als_stream {
    struct log_reporter reporter; /* its texts lie behind */
    char text[];
};

/* One message on its way through. */
struct als_pass {
    struct pipeline *pipeline;
    const struct sender *sender;
    struct als_stream *stream;
    uint64_t now_unix_ns;
};

/* The texts of a reporter: what the stream keeps of its node. */
static size_t texts_of(struct access_log_reporter *names, struct slice **texts)
{
    struct slice *all[] = {&names->node_id, &names->log_name, &names->service, &names->service_namespace,
        &names->address, &names->self.service, &names->self.app, &names->self.workload,
        &names->self.workload_namespace, &names->self.version, &names->self.revision, &names->self.pod,
        &names->self.cluster};

    memcpy(texts, all, sizeof all);
    return sizeof all / sizeof all[0];
}

enum { REPORTER_TEXTS_MAX = 16 };

/* A copy that does not borrow from the message; texts are cut to what a label may hold. NULL: out of memory.
 */
static struct als_stream *stream_new(const struct access_log_reporter *names, size_t text_bytes_max)
{
    struct access_log_reporter copy = *names;
    struct slice *texts[REPORTER_TEXTS_MAX];
    size_t count = texts_of(&copy, texts);
    size_t bytes = 0;

    for (size_t i = 0; i < count; i++) {
        *texts[i] = slice_sub(*texts[i], 0, text_bytes_max);
        bytes += texts[i]->length;
    }
    struct als_stream *stream = calloc(1, sizeof *stream + bytes);
    if (stream == NULL) {
        return NULL;
    }
    char *at = stream->text;
    for (size_t i = 0; i < count; i++) {
        if (texts[i]->length > 0) {
            memcpy(at, texts[i]->ptr, texts[i]->length);
        }
        texts[i]->ptr = (const uint8_t *)at;
        at += texts[i]->length;
    }
    stream->reporter.names = copy;
    return stream;
}

static void on_entry(void *user, const struct access_log_entry *entry, uint32_t record)
{
    struct als_pass *pass = user;

    (void)record;
    pipeline_take_log(pass->pipeline, entry, &pass->stream->reporter, pass->sender, pass->now_unix_ns);
}

static void on_refused(void *user, const struct decode_error *where)
{
    struct als_pass *pass = user;

    (void)where;
    LEDGER_ADD(pass->pipeline->cells, METRIC_LOGS_RECEIVED, 1);
    LEDGER_ADD(pass->pipeline->cells, METRIC_LOGS_DROPPED_MALFORMED, 1);
}

/* The stream's first message has to say who speaks. */
static int take_identifier(struct pipeline *pipeline, struct grpc_call *call,
    const struct als_identifier *identifier, struct grpc_answer *answer)
{
    if (!identifier->is_there) {
        if (call->stream_user != NULL) {
            return 0;
        }
        LEDGER_ADD(pipeline->cells, METRIC_MESSAGES_REFUSED_IDENTIFIER, 1);
        answer->code = GRPC_INVALID_ARGUMENT;
        (void)snprintf(
            answer->text, sizeof answer->text, "the stream's first message has no identifier with its node");
        return 0;
    }
    struct als_stream *stream = stream_new(&identifier->reporter, (size_t)pipeline->limits->string_bytes_max);
    if (stream == NULL) {
        return WERR_NOMEM;
    }
    free(call->stream_user);
    call->stream_user = stream;
    return 0;
}

int pipeline_als_message(void *user, struct grpc_call *call, struct slice message, struct grpc_answer *answer)
{
    struct pipeline *pipeline = user;
    const struct peer *peer = call->connection_user;
    struct als_identifier identifier;
    struct decode_error error;
    uint32_t entries_count;

    int code = pipeline_admits(pipeline);
    if (code < 0) {
        return code;
    }
    code = als_read(message, &identifier, &entries_count, &error);
    if (code < 0) {
        (void)decode_error_format(&error, answer->text, sizeof answer->text);
        return code;
    }
    code = take_identifier(pipeline, call, &identifier, answer);
    if (code < 0 || answer->code != GRPC_OK || entries_count == 0) {
        return code;
    }
    struct als_pass pass = {
        .pipeline = pipeline,
        .sender = &peer->sender,
        .stream = call->stream_user,
        .now_unix_ns = clock_unix_ns(pipeline->clock),
    };
    bool wants_all = span_segment_wanted(&pipeline->log_segment) || pipeline->context.profiles != 0;
    struct als_sink sink = {.user = &pass,
        .memory = pipeline->als_memory,
        .wants_all = wants_all,
        .on_entry = on_entry,
        .on_refused = on_refused};
    pipeline_batch_begin(pipeline, &peer->sender);
    als_scan(message, &sink);
    return 0;
}

void pipeline_als_closed(void *user, struct grpc_call *call)
{
    (void)user;
    free(call->stream_user);
    call->stream_user = NULL;
}
