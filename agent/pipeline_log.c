/* Access-log records of every kind: put into context and counted once, each in its term of the ledger. Runs
 * on the shard's loop. */
#include "pipeline.h"

static void take_connection(struct pipeline *pipeline, const struct connection *connection)
{
    if (pipeline_log_counts(pipeline, connection->voice)) {
        directory_record_connection(pipeline->directory, connection);
    } else {
        LEDGER_ADD(pipeline->cells, METRIC_LOGS_SUPERSEDED, 1);
    }
}

void pipeline_count_entry(struct pipeline *pipeline, const struct access_log_entry *entry,
    struct log_reporter *reporter, const struct sender *sender, uint64_t now_unix_ns)
{
    struct request request;
    struct connection connection;

    LEDGER_ADD(pipeline->cells, METRIC_LOGS_RECEIVED, 1);
    switch (access_log_to_request(&pipeline->context, pipeline->log_memos, entry, reporter, sender,
        now_unix_ns, &request, &connection)) {
    case ACCESS_LOG_IS_REQUEST:
        pipeline_count_log(pipeline, &request);
        break;
    case ACCESS_LOG_IS_CONNECTION:
        take_connection(pipeline, &connection);
        break;
    case ACCESS_LOG_IS_ATTEMPT:
        LEDGER_ADD(pipeline->cells, METRIC_LOGS_ATTEMPTS, 1);
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

void pipeline_take_log(struct pipeline *pipeline, const struct access_log_entry *entry,
    struct log_reporter *reporter, const struct sender *sender, uint64_t now_unix_ns)
{
    pipeline_count_entry(pipeline, entry, reporter, sender, now_unix_ns);
}
