/* Access-log records of every kind: put into context, counted once, each in its term of the ledger, and
 * written as OTLP where a destination takes logs. Runs on the shard's loop. */
#include <stdio.h>
#include <string.h>

#include "context/outcome.h"
#include "context/response_flags.h"
#include "decode/otlp_log_encode.h"
#include "pipeline/pipeline.h"

enum { FLAGS_BYTES_MAX = 256 };

/* What became of a record. */
struct counted_entry {
    enum access_log_meaning meaning;
    struct request request;       /* of ACCESS_LOG_IS_REQUEST */
    struct connection connection; /* of ACCESS_LOG_IS_CONNECTION */
};

static void count(struct pipeline *pipeline, const struct access_log_entry *entry,
    struct log_reporter *reporter, const struct sender *sender, uint64_t now_unix_ns,
    struct counted_entry *counted)
{
    LEDGER_ADD(pipeline->cells, METRIC_LOGS_RECEIVED, 1);
    counted->meaning = access_log_to_request(&pipeline->context, pipeline->log_memos, entry, reporter, sender,
        now_unix_ns, &counted->request, &counted->connection);
    if (pipeline->context.workload_note_count > 0) {
        pipeline_take_workloads(pipeline);
    }
    switch (counted->meaning) {
    case ACCESS_LOG_IS_REQUEST:
        counted->request.stored = pipeline_store_log(pipeline, &counted->request);
        pipeline_keep_request(
            pipeline, &counted->request, pipeline_count_request(pipeline, &counted->request));
        break;
    case ACCESS_LOG_IS_CONNECTION:
        /* whatever requests are counted from: no span tells a connection */
        directory_record_connection(pipeline->directory, &counted->connection);
        break;
    case ACCESS_LOG_IS_ATTEMPT:
        LEDGER_ADD(pipeline->cells, METRIC_LOGS_ATTEMPTS, 1);
        break;
    case ACCESS_LOG_IS_REFUSED:
        LEDGER_ADD(pipeline->cells, METRIC_LOGS_DROPPED_IDENTITY, 1);
        break;
    case ACCESS_LOG_IS_LATE:
        LEDGER_ADD(pipeline->cells, METRIC_LOGS_DROPPED_TIME, 1);
        break;
    case ACCESS_LOG_IS_NEITHER:
    default:
        LEDGER_ADD(pipeline->cells, METRIC_LOGS_NOT_A_REQUEST, 1);
        break;
    }
}

enum access_log_meaning pipeline_count_entry(struct pipeline *pipeline, const struct access_log_entry *entry,
    struct log_reporter *reporter, const struct sender *sender, uint64_t now_unix_ns)
{
    struct counted_entry counted;

    count(pipeline, entry, reporter, sender, now_unix_ns, &counted);
    return counted.meaning;
}

/* ---- records out ---- */

/* "UF,URX"; "" for none. */
static struct slice write_flags(uint64_t flags, char text[FLAGS_BYTES_MAX])
{
    size_t length = 0;

    for (unsigned i = 0; i < RESPONSE_FLAG_COUNT && length < FLAGS_BYTES_MAX; i++) {
        if ((flags >> i & 1) != 0) {
            int written = snprintf(text + length, FLAGS_BYTES_MAX - length, "%s%s", length > 0 ? "," : "",
                response_flag_name(i));
            length += written > 0 ? (size_t)written : 0;
        }
    }
    return slice_of(text, length < FLAGS_BYTES_MAX ? length : FLAGS_BYTES_MAX - 1);
}

/* How a record that is no request ended; of a connection by its flags alone. */
static enum outcome outcome_of_entry(const struct access_log_entry *entry, uint64_t flags)
{
    return outcome_of(&(struct outcome_facts){
        .response_code = entry->response_code,
        .grpc_status = entry->has_grpc_status ? grpc_status_of_number(entry->grpc_status) : GRPC_STATUS_NONE,
        .protocol = entry->has_grpc_status                 ? PROTOCOL_GRPC
                    : entry->kind == ACCESS_LOG_CONNECTION ? PROTOCOL_TCP
                                                           : PROTOCOL_HTTP1,
        .expects_code = entry->kind != ACCESS_LOG_CONNECTION,
        .response_flags = flags,
    });
}

static enum otlp_log_severity severity_of(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_OK:
        return OTLP_LOG_INFO;
    case OUTCOME_CLIENT_ERROR:
    case OUTCOME_CANCELLED:
        return OTLP_LOG_WARN;
    case OUTCOME_SERVER_ERROR:
    case OUTCOME_NO_RESPONSE:
    case OUTCOME_COUNT:
    default:
        return OTLP_LOG_ERROR;
    }
}

static void fill_sides(const struct interner *interner, struct otlp_log_meaning *meaning, uint32_t source,
    uint32_t source_namespace, uint32_t destination, uint32_t destination_namespace)
{
    meaning->source = interner_text(interner, source);
    meaning->source_namespace = interner_text(interner, source_namespace);
    meaning->destination = interner_text(interner, destination);
    meaning->destination_namespace = interner_text(interner, destination_namespace);
}

static void fill_meaning(const struct pipeline *pipeline, const struct access_log_entry *entry,
    const struct counted_entry *counted, char flags_text[FLAGS_BYTES_MAX], struct otlp_log_meaning *meaning)
{
    const struct request *request = &counted->request;
    const struct connection *connection = &counted->connection;
    uint64_t flags =
        (entry->response_flags | response_flags_parse(entry->response_flags_text)) & RESPONSE_FLAGS_ALL;
    enum outcome outcome = counted->meaning == ACCESS_LOG_IS_REQUEST ? (enum outcome)request->outcome
                                                                     : outcome_of_entry(entry, flags);

    *meaning = (struct otlp_log_meaning){.severity = severity_of(outcome),
        .outcome = slice_of_string(outcome_name(outcome)),
        .response_flags = write_flags(flags, flags_text)};
    if (counted->meaning == ACCESS_LOG_IS_REQUEST) {
        fill_sides(pipeline->interner, meaning, request->source, request->source_namespace,
            request->destination, request->destination_namespace);
        meaning->route = interner_text(pipeline->interner, request->route);
        meaning->reporter = slice_of_string(reporter_name((enum reporter)request->reporter));
    } else if (counted->meaning == ACCESS_LOG_IS_CONNECTION) {
        fill_sides(pipeline->interner, meaning, connection->source, connection->source_namespace,
            connection->destination, connection->destination_namespace);
        meaning->reporter = slice_of_string(reporter_name((enum reporter)connection->reporter));
    }
}

static void ship(struct pipeline *pipeline, const struct access_log_entry *entry,
    const struct log_reporter *reporter, uint64_t now_unix_ns, const struct counted_entry *counted)
{
    struct otlp_log_meaning meaning;
    char flags_text[FLAGS_BYTES_MAX];
    struct buffer *out =
        span_segment_open(&pipeline->log_segment, entry->raw.length * 2 + OTLP_LOG_ENCODE_BYTES, 1);

    if (out == NULL) {
        return;
    }
    size_t length = out->length;
    fill_meaning(pipeline, entry, counted, flags_text, &meaning);
    otlp_log_encode(&pipeline->scanner.attributes, entry, &reporter->names, &meaning, now_unix_ns, out);
    if (out->error < 0) {
        out->error = 0;
        out->length = length;
        LEDGER_ADD(pipeline->cells, METRIC_LOGS_EXPORT_LOST, 1);
        return;
    }
    span_segment_added(&pipeline->log_segment, 1);
}

void pipeline_take_log(struct pipeline *pipeline, const struct access_log_entry *entry,
    struct log_reporter *reporter, const struct sender *sender, uint64_t now_unix_ns)
{
    struct counted_entry counted;

    count(pipeline, entry, reporter, sender, now_unix_ns, &counted);
    if (span_segment_wanted(&pipeline->log_segment) && counted.meaning != ACCESS_LOG_IS_REFUSED) {
        ship(pipeline, entry, reporter, now_unix_ns, &counted);
    }
}
