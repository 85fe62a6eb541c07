/*
 * Every counter and gauge of the agent itself, declared once: docs/metrics.md, /metrics, the ledger and the
 * tests read this table.
 *
 * X(ID, family, TYPE, SCOPE, labels, unit, stability, help)
 *   ID         METRIC_<ID> indexes the cells
 *   family     name without the `_total` that a counter's sample gets; rows of one family stand together
 *   TYPE       COUNTER or GAUGE
 *   SCOPE      PROCESS: cells of all threads are summed
 *              SHARD, DESTINATION: one sample per owner, with that label
 *   labels     fixed labels as the exposition writes them, or ""
 *   unit       "seconds" (their cells hold milliseconds), "bytes", or "" for plain counts
 *   stability  "stable" or "experimental"
 *
 * Rows that a ledger line sums are incremented by LEDGER_ADD alone (metrics.h), each where its event happens.
 */
#ifndef WEFT_CORE_METRICS_TABLE_H
#define WEFT_CORE_METRICS_TABLE_H

#define RECORDS_DROPPED "What was received and not counted, by reason."
#define MESSAGES_REFUSED "Messages refused whole; the records inside are not known."
#define EXPORT_DROPPED "Items accepted for a destination and given up, by reason."
#define TRACE_STORED "Records that were put into the ring of traces; access-log entries are logs."
#define TRACE_NOT_STORED "Spans that were not put into the ring of traces, by reason."
#define TRACE_TIMINGS                                                                                        \
    "Spans handed to the thread that joins them to tell self and network times, and what became of them."
#define TRACE_JOIN "Joined spans that could not be told as usual, by kind; see agent/trace/attribution.h."
#define TRACE_EXPIRED "Records that the ring wrote over before their trace was kept."
#define TRACE_BLOCKS "Blocks of the ring that were to be compressed (trace.compress), by what became of them."
#define TRACE_RING "Records in the ring of traces whose trace is not kept; stored less kept less expired."

#define EXEMPLARS_REFUSED                                                                                    \
    "Requests that became no exemplar: too many were asked for at once, no room for their trace, it is too " \
    "large, or the ring has forgotten it."
#define TAP_LINES                                                                                            \
    "Requests for those who watch them live, by whether they were written, or dropped for want of room."
#define TRACES_KEPT "Traces that a shard began to keep, by the first reason that had a share left."
#define TRACES_LIMITED "Times that a reason would have kept a trace but had used up its rate."

/* clang-format off */
#define WEFT_METRICS(X)                                                                                                                    \
    /* the ledger of records */                                                                                                            \
    X(SPANS_RECEIVED,        "weft_records_received", COUNTER, PROCESS, "signal=\"spans\"",   "", "stable", "Records that arrived in admitted messages.") \
    X(POINTS_RECEIVED,       "weft_records_received", COUNTER, PROCESS, "signal=\"metrics\"", "", "stable", "Records that arrived in admitted messages.") \
    X(LOGS_RECEIVED,           "weft_records_received", COUNTER, PROCESS, "signal=\"logs\"", "", "stable", "Records that arrived in admitted messages.") \
    X(SPANS_AGGREGATED,      "weft_records_aggregated", COUNTER, PROCESS, "signal=\"spans\"",   "", "stable", "Records merged into the cumulative series.") \
    X(POINTS_AGGREGATED,     "weft_records_aggregated", COUNTER, PROCESS, "signal=\"metrics\"", "", "stable", "Records merged into the cumulative series.") \
    X(LOGS_AGGREGATED,         "weft_records_aggregated", COUNTER, PROCESS, "signal=\"logs\"", "", "stable", "Records merged into the cumulative series.") \
    X(SPANS_ATTEMPTS,        "weft_records_attempts", COUNTER, PROCESS, "signal=\"spans\"", "", "stable", "Records that stand for one attempt of a request.") \
    X(LOGS_ATTEMPTS,           "weft_records_attempts", COUNTER, PROCESS, "signal=\"logs\"", "", "stable", "Records that stand for one attempt of a request.") \
    X(SPANS_NOT_A_REQUEST,   "weft_records_not_a_request", COUNTER, PROCESS, "signal=\"spans\"", "", "stable", "Records that stand for neither a request nor an attempt.") \
    X(LOGS_NOT_A_REQUEST,      "weft_records_not_a_request", COUNTER, PROCESS, "signal=\"logs\"", "", "stable", "Records that stand for neither a request nor an attempt.") \
    X(SPANS_SUPERSEDED,      "weft_records_superseded", COUNTER, PROCESS, "signal=\"spans\"", "", "stable", "Records of requests that are counted from the proxy's other source.") \
    X(LOGS_SUPERSEDED,         "weft_records_superseded", COUNTER, PROCESS, "signal=\"logs\"", "", "stable", "Records of requests that are counted from the proxy's other source.") \
    X(SPANS_HELD,            "weft_records_held", GAUGE, PROCESS, "signal=\"spans\"", "", "experimental", "Records that wait for whether an access log tells their requests too; in flight.") \
    X(LOGS_HELD,               "weft_records_held", GAUGE, PROCESS, "signal=\"logs\"", "", "experimental", "Records that wait for whether an access log tells their requests too; in flight.") \
    X(SPANS_DROPPED_MALFORMED,  "weft_records_dropped", COUNTER, PROCESS, "signal=\"spans\",reason=\"malformed\"",          "", "stable", RECORDS_DROPPED) \
    X(SPANS_DROPPED_TRACE_ID,   "weft_records_dropped", COUNTER, PROCESS, "signal=\"spans\",reason=\"invalid_trace_id\"",   "", "stable", RECORDS_DROPPED) \
    X(SPANS_DROPPED_SPAN_ID,    "weft_records_dropped", COUNTER, PROCESS, "signal=\"spans\",reason=\"invalid_span_id\"",    "", "stable", RECORDS_DROPPED) \
    X(SPANS_DROPPED_END,        "weft_records_dropped", COUNTER, PROCESS, "signal=\"spans\",reason=\"end_before_start\"",   "", "stable", RECORDS_DROPPED) \
    X(SPANS_DROPPED_TIME,       "weft_records_dropped", COUNTER, PROCESS, "signal=\"spans\",reason=\"time_out_of_range\"",  "", "stable", RECORDS_DROPPED) \
    X(SPANS_DROPPED_UTF8,       "weft_records_dropped", COUNTER, PROCESS, "signal=\"spans\",reason=\"invalid_utf8\"",       "", "stable", RECORDS_DROPPED) \
    X(SPANS_DROPPED_DICTIONARY, "weft_records_dropped", COUNTER, PROCESS, "signal=\"spans\",reason=\"unknown_dictionary_id\"", "", "stable", RECORDS_DROPPED) \
    X(SPANS_DROPPED_DUPLICATE,  "weft_records_dropped", COUNTER, PROCESS, "signal=\"spans\",reason=\"duplicate_batch\"",    "", "stable", RECORDS_DROPPED) \
    X(SPANS_DROPPED_IDENTITY,    "weft_records_dropped", COUNTER, PROCESS, "signal=\"spans\",reason=\"identity\"",            "", "stable", RECORDS_DROPPED) \
    X(LOGS_DROPPED_IDENTITY,     "weft_records_dropped", COUNTER, PROCESS, "signal=\"logs\",reason=\"identity\"",             "", "stable", RECORDS_DROPPED) \
    X(POINTS_DROPPED_MALFORMED,  "weft_records_dropped", COUNTER, PROCESS, "signal=\"metrics\",reason=\"malformed\"",       "", "stable", RECORDS_DROPPED) \
    X(POINTS_DROPPED_TIME,       "weft_records_dropped", COUNTER, PROCESS, "signal=\"metrics\",reason=\"time_out_of_range\"", "", "stable", RECORDS_DROPPED) \
    X(POINTS_DROPPED_DICTIONARY, "weft_records_dropped", COUNTER, PROCESS, "signal=\"metrics\",reason=\"unknown_dictionary_id\"", "", "stable", RECORDS_DROPPED) \
    X(POINTS_DROPPED_DUPLICATE,  "weft_records_dropped", COUNTER, PROCESS, "signal=\"metrics\",reason=\"duplicate_batch\"", "", "stable", RECORDS_DROPPED) \
    X(POINTS_DROPPED_SERIES,     "weft_records_dropped", COUNTER, PROCESS, "signal=\"metrics\",reason=\"series_limit\"",    "", "stable", RECORDS_DROPPED) \
    X(POINTS_DROPPED_OWNED,      "weft_records_dropped", COUNTER, PROCESS, "signal=\"metrics\",reason=\"family_of_a_profile\"", "", "stable", RECORDS_DROPPED) \
    X(POINTS_DROPPED_CONFLICT,   "weft_records_dropped", COUNTER, PROCESS, "signal=\"metrics\",reason=\"type_conflict\"",   "", "stable", RECORDS_DROPPED) \
    X(POINTS_DROPPED_BUCKETS,    "weft_records_dropped", COUNTER, PROCESS, "signal=\"metrics\",reason=\"inconsistent_buckets\"", "", "stable", RECORDS_DROPPED) \
    X(POINTS_DROPPED_START,      "weft_records_dropped", COUNTER, PROCESS, "signal=\"metrics\",reason=\"end_before_start\"", "", "stable", RECORDS_DROPPED) \
    X(POINTS_DROPPED_NO_VALUE,   "weft_records_dropped", COUNTER, PROCESS, "signal=\"metrics\",reason=\"no_recorded_value\"", "", "stable", RECORDS_DROPPED) \
    X(POINTS_DROPPED_OVERSIZED,  "weft_records_dropped", COUNTER, PROCESS, "signal=\"metrics\",reason=\"oversized\"",       "", "stable", RECORDS_DROPPED) \
    X(POINTS_DROPPED_UNSUPPORTED, "weft_records_dropped", COUNTER, PROCESS, "signal=\"metrics\",reason=\"unsupported_type\"", "", "stable", RECORDS_DROPPED) \
    X(POINTS_DROPPED_NOT_A_METRIC, "weft_records_dropped", COUNTER, PROCESS, "signal=\"metrics\",reason=\"not_a_metric\"",   "", "stable", RECORDS_DROPPED) \
    X(LOGS_DROPPED_MALFORMED,  "weft_records_dropped", COUNTER, PROCESS, "signal=\"logs\",reason=\"malformed\"", "", "stable", RECORDS_DROPPED) \
    X(LOGS_DROPPED_TIME,       "weft_records_dropped", COUNTER, PROCESS, "signal=\"logs\",reason=\"time_out_of_range\"", "", "stable", RECORDS_DROPPED) \
    X(LOGS_DROPPED_DUPLICATE,  "weft_records_dropped", COUNTER, PROCESS, "signal=\"logs\",reason=\"duplicate_batch\"", "", "stable", RECORDS_DROPPED) \
    X(LOGS_DROPPED_HEADER,       "weft_records_dropped", COUNTER, PROCESS, "signal=\"logs\",reason=\"syslog_header\"", "", "stable", RECORDS_DROPPED) \
    X(LOGS_DROPPED_NOT_JSON,     "weft_records_dropped", COUNTER, PROCESS, "signal=\"logs\",reason=\"not_json\"", "", "stable", RECORDS_DROPPED) \
    X(LOGS_DROPPED_TRUNCATED,    "weft_records_dropped", COUNTER, PROCESS, "signal=\"logs\",reason=\"truncated\"", "", "stable", RECORDS_DROPPED) \
    X(LOGS_DROPPED_NESTED,       "weft_records_dropped", COUNTER, PROCESS, "signal=\"logs\",reason=\"nested_too_deep\"", "", "stable", RECORDS_DROPPED) \
    X(LOGS_DROPPED_OVERSIZED,    "weft_records_dropped", COUNTER, PROCESS, "signal=\"logs\",reason=\"oversized\"", "", "stable", RECORDS_DROPPED) \
    X(SPANS_RECORDED,        "weft_records_recorded", COUNTER, PROCESS, "signal=\"spans\"",   "", "experimental", "Records written into a shard's values; less aggregated: in flight.") \
    X(POINTS_RECORDED,       "weft_records_recorded", COUNTER, PROCESS, "signal=\"metrics\"", "", "experimental", "Records written into a shard's values; less aggregated: in flight.") \
    X(LOGS_RECORDED,           "weft_records_recorded", COUNTER, PROCESS, "signal=\"logs\"", "", "experimental", "Records written into a shard's values; less aggregated: in flight.") \
    X(POINTS_WITHDRAWN,      "weft_records_withdrawn", COUNTER, PROCESS, "signal=\"metrics\"", "", "experimental", "Recorded points that the aggregator then dropped; recorded less aggregated less these: in flight.") \
    X(COUNT_SOURCE_CHANGES,  "weft_count_source_changes", COUNTER, PROCESS, "", "", "stable", "Times a proxy's requests began to be counted from its other source; each may count requests of that moment twice.") \
    X(COUNT_SOURCES_EARLY,   "weft_count_source_early", COUNTER, PROCESS, "", "", "stable", "Proxies whose spans began to count before the wait for an access log was over: limits.held_requests_count_max.") \
    X(COUNT_SOURCES_LIMITED, "weft_count_sources_limited", COUNTER, PROCESS, "", "", "stable", "Times there was no place to note what a proxy is counted from; its records all count.") \
    X(CLIENT_DROPPED_SPANS,  "weft_client_dropped_records", COUNTER, PROCESS, "signal=\"spans\"",   "", "stable", "Records that libweft clients say they dropped before sending.") \
    X(CLIENT_DROPPED_POINTS, "weft_client_dropped_records", COUNTER, PROCESS, "signal=\"metrics\"", "", "stable", "Records that libweft clients say they dropped before sending.") \
    /* messages */                                                                                                                         \
    X(MESSAGES_ACCEPTED_OTLP_GRPC, "weft_messages_accepted", COUNTER, PROCESS, "protocol=\"otlp_grpc\"", "", "stable", "Messages admitted and answered with success or partial success.") \
    X(MESSAGES_ACCEPTED_OTLP_HTTP, "weft_messages_accepted", COUNTER, PROCESS, "protocol=\"otlp_http\"", "", "stable", "Messages admitted and answered with success or partial success.") \
    X(MESSAGES_ACCEPTED_NATIVE,    "weft_messages_accepted", COUNTER, PROCESS, "protocol=\"native\"",    "", "stable", "Messages admitted and answered with success or partial success.") \
    X(MESSAGES_ACCEPTED_ALS,   "weft_messages_accepted", COUNTER, PROCESS, "protocol=\"als\"", "", "stable", "Messages admitted and answered with success or partial success.") \
    X(MESSAGES_ACCEPTED_METRICS, "weft_messages_accepted", COUNTER, PROCESS, "protocol=\"metrics_service\"", "", "stable", "Messages admitted and answered with success or partial success.") \
    X(MESSAGES_ACCEPTED_ZIPKIN,    "weft_messages_accepted", COUNTER, PROCESS, "protocol=\"zipkin\"", "", "stable", "Messages admitted and answered with success or partial success.") \
    X(MESSAGES_ACCEPTED_SYSLOG,    "weft_messages_accepted", COUNTER, PROCESS, "protocol=\"syslog\"", "", "stable", "Messages admitted and answered with success or partial success.") \
    X(MESSAGES_ACCEPTED_XRAY,      "weft_messages_accepted", COUNTER, PROCESS, "protocol=\"xray\"", "", "stable", "Messages admitted and answered with success or partial success.") \
    X(MESSAGES_REFUSED_MEMORY,     "weft_messages_refused", COUNTER, PROCESS, "reason=\"memory\"",       "", "stable", MESSAGES_REFUSED) \
    X(MESSAGES_REFUSED_MALFORMED,  "weft_messages_refused", COUNTER, PROCESS, "reason=\"malformed\"",    "", "stable", MESSAGES_REFUSED) \
    X(MESSAGES_REFUSED_OVERSIZED,  "weft_messages_refused", COUNTER, PROCESS, "reason=\"oversized\"",    "", "stable", MESSAGES_REFUSED) \
    X(MESSAGES_REFUSED_COMPRESSION,"weft_messages_refused", COUNTER, PROCESS, "reason=\"compression\"",  "", "stable", MESSAGES_REFUSED) \
    X(MESSAGES_REFUSED_UNKNOWN,    "weft_messages_refused", COUNTER, PROCESS, "reason=\"unknown_method\"", "", "stable", MESSAGES_REFUSED) \
    X(MESSAGES_REFUSED_DRAINING,   "weft_messages_refused", COUNTER, PROCESS, "reason=\"draining\"",     "", "stable", MESSAGES_REFUSED) \
    X(MESSAGES_REFUSED_IDENTIFIER, "weft_messages_refused", COUNTER, PROCESS, "reason=\"no_identifier\"", "", "stable", MESSAGES_REFUSED) \
    X(SEGMENTS_IN_PROGRESS,        "weft_segments_in_progress", COUNTER, PROCESS, "", "", "stable", "X-Ray segments that said to be in progress: they come again when they have ended.") \
    X(MESSAGES_CUT,                "weft_messages_cut", COUNTER, PROCESS, "", "", "stable", "Messages whose connection ended before they were complete; never admitted.") \
    /* connections */                                                                                                                      \
    X(CONNECTIONS_ACCEPTED,  "weft_connections_accepted", COUNTER, SHARD, "", "", "stable", "Connections handed to this shard.") \
    X(CONNECTIONS_OPEN,      "weft_connections_open", GAUGE, SHARD, "", "", "stable", "Connections that this shard holds now.") \
    X(CONNECTIONS_LIMITED,   "weft_connections_closed", COUNTER, PROCESS, "reason=\"limit\"", "", "stable", "Connections that the agent ended, by reason.") \
    X(CONNECTIONS_SHARE,     "weft_connections_closed", COUNTER, PROCESS, "reason=\"share\"", "", "stable", "Connections that the agent ended, by reason.") \
    X(CONNECTIONS_IDLE,      "weft_connections_closed", COUNTER, PROCESS, "reason=\"idle\"", "", "stable", "Connections that the agent ended, by reason.") \
    X(CONNECTIONS_SNIFF,     "weft_connections_closed", COUNTER, PROCESS, "reason=\"sniff_timeout\"", "", "stable", "Connections that the agent ended, by reason.") \
    X(CONNECTIONS_UNKNOWN,   "weft_connections_closed", COUNTER, PROCESS, "reason=\"unknown_protocol\"", "", "stable", "Connections that the agent ended, by reason.") \
    X(CONNECTIONS_TLS,       "weft_connections_closed", COUNTER, PROCESS, "reason=\"tls_handshake\"", "", "stable", "Connections that the agent ended, by reason.") \
    X(CONNECTIONS_DENIED,    "weft_connections_closed", COUNTER, PROCESS, "reason=\"not_allowed\"", "", "stable", "Connections that the agent ended, by reason.") \
    X(CONNECTIONS_PROTOCOL,  "weft_connections_closed", COUNTER, PROCESS, "reason=\"protocol_error\"", "", "stable", "Connections that the agent ended, by reason.") \
    X(CONNECTIONS_FLOOD,     "weft_connections_closed", COUNTER, PROCESS, "reason=\"flood\"", "", "stable", "Connections that the agent ended, by reason.") \
    X(SNIFF_WAKEUPS,         "weft_sniff_wakeups", COUNTER, PROCESS, "", "", "experimental", "Times a loop looked again at a connection whose first bytes did not tell its protocol.") \
    X(NATIVE_INSTANCES_FORGOTTEN, "weft_native_instances_forgotten", COUNTER, PROCESS, "", "", "stable", "Native senders whose last sequence number was given up for another's: native_instances_count_max are remembered.") \
    /* datagrams */                                                                                                                        \
    X(DATAGRAMS_STATSD,      "weft_datagrams_received", COUNTER, PROCESS, "receiver=\"statsd\"", "", "stable", "Datagrams read.") \
    X(DATAGRAMS_XRAY,        "weft_datagrams_received", COUNTER, PROCESS, "receiver=\"xray\"", "", "stable", "Datagrams read.") \
    X(DATAGRAMS_ACCESS_LOG,  "weft_datagrams_received", COUNTER, PROCESS, "receiver=\"access_log\"", "", "stable", "Datagrams read.") \
    X(DATAGRAMS_TRUNCATED_STATSD, "weft_datagrams_truncated", COUNTER, PROCESS, "receiver=\"statsd\"", "", "stable", "Datagrams longer than their receiver takes; the rest was cut.") \
    X(DATAGRAMS_TRUNCATED_XRAY, "weft_datagrams_truncated", COUNTER, PROCESS, "receiver=\"xray\"", "", "stable", "Datagrams longer than their receiver takes; the rest was cut.") \
    X(DATAGRAMS_TRUNCATED_ACCESS_LOG, "weft_datagrams_truncated", COUNTER, PROCESS, "receiver=\"access_log\"", "", "stable", "Datagrams longer than their receiver takes; the rest was cut.") \
    X(DATAGRAMS_LOST_STATSD, "weft_datagrams_lost", COUNTER, PROCESS, "receiver=\"statsd\",transport=\"udp\"", "", "stable", "Datagrams that the kernel dropped for want of room. UDP only: what senders to a Unix socket drop is not known.") \
    X(DATAGRAMS_LOST_XRAY, "weft_datagrams_lost", COUNTER, PROCESS, "receiver=\"xray\",transport=\"udp\"", "", "stable", "Datagrams that the kernel dropped for want of room. UDP only: what senders to a Unix socket drop is not known.") \
    X(DATAGRAM_BUFFER_XRAY, "weft_datagram_buffer_bytes", GAUGE, PROCESS, "receiver=\"xray\"", "bytes", "stable", "Receive buffer that the kernel granted.") \
    X(DATAGRAM_BUFFER_STATSD, "weft_datagram_buffer_bytes", GAUGE, PROCESS, "receiver=\"statsd\"", "bytes", "stable", "Receive buffer that the kernel granted.") \
    X(DATAGRAM_BUFFER_ACCESS_LOG, "weft_datagram_buffer_bytes", GAUGE, PROCESS, "receiver=\"access_log\"", "bytes", "stable", "Receive buffer that the kernel granted.") \
    X(RECEIVED_BYTES,        "weft_received_bytes", COUNTER, SHARD, "", "bytes", "stable", "Bytes read from connections that send records.") \
    /* aggregation */                                                                                                                      \
    X(FLIPS,                 "weft_flips", COUNTER, SHARD, "", "", "stable", "Value pages handed to the aggregator.") \
    X(FLIPS_SKIPPED,         "weft_flips_skipped", COUNTER, SHARD, "", "", "stable", "Flips put off because no spare pages were at hand.") \
    X(FLIPS_LATE,            "weft_flips_late", COUNTER, PROCESS, "", "", "stable", "Shards whose values a scrape or query did not wait for.") \
    X(SERIES_REFUSED,        "weft_series_refused", COUNTER, PROCESS, "", "", "stable", "Label sets that went to overflow because a budget was full.") \
    X(SERIES_OVERFLOW_RECORDS, "weft_overflow_records", COUNTER, PROCESS, "", "", "stable", "Records counted under the overflow series.") \
    X(SERIES_EXPIRED,        "weft_series_expired", COUNTER, PROCESS, "", "", "stable", "Series dropped after their idle time.") \
    X(SERIES_LIVE,           "weft_series_live", GAUGE, PROCESS, "", "", "stable", "Series held now, all families.") \
    X(STRINGS_LIVE,          "weft_interned_strings", GAUGE, PROCESS, "", "", "experimental", "Strings that interners hold now.") \
    X(LATENCY_CLAMPED,       "weft_latency_clamped", COUNTER, PROCESS, "", "", "stable", "Durations above the last bucket, counted in it.") \
    X(WEIGHT_CAPPED,         "weft_sampling_weight_capped", COUNTER, PROCESS, "", "", "stable", "Sampled spans whose weight was cut to its limit.") \
    X(POINT_SUMS_HELD,       "weft_metric_sums_held", COUNTER, PROCESS, "", "", "stable", "Values of proxies' metrics whose sum went past the largest finite number and was held there.") \
    X(PROFILE_RECORDS_LOST,  "weft_profile_records_lost", COUNTER, PROCESS, "", "", "stable", "Records that a naming profile left out because its series or memory were at their limit; mesh_ families have them.") \
    X(ROUTES_LIMITED,        "weft_routes_limited", COUNTER, PROCESS, "", "", "stable", "Requests whose route became /* because their destination had no room for another template.") \
    X(IDENTITY_CONFLICTS,    "weft_identity_conflicts", COUNTER, PROCESS, "", "", "stable", "Senders that claimed another identity than their connection's.") \
    /* exporting */                                                                                                                        \
    X(SPANS_EXPORT_OFFERED,      "weft_export_offered", COUNTER, PROCESS, "signal=\"spans\"", "", "stable", "Items that shards handed to the exporter.") \
    X(LOGS_EXPORT_OFFERED,       "weft_export_offered", COUNTER, PROCESS, "signal=\"logs\"", "", "stable", "Items that shards handed to the exporter.") \
    X(SPANS_EXPORT_LOST,         "weft_export_lost", COUNTER, PROCESS, "signal=\"spans\"", "", "stable", "Items that found no memory on their way to the exporter.") \
    X(POINTS_EXPORT_LOST,        "weft_export_lost", COUNTER, PROCESS, "signal=\"metrics\"", "", "stable", "Items that found no memory on their way to the exporter.") \
    X(LOGS_EXPORT_LOST,        "weft_export_lost", COUNTER, PROCESS, "signal=\"logs\"", "", "stable", "Items that found no memory on their way to the exporter.") \
    X(EXPORT_SPANS_HANDED,       "weft_export_handed_over", COUNTER, DESTINATION, "signal=\"spans\"",   "", "stable", "Items handed to this destination's queue.") \
    X(EXPORT_POINTS_HANDED,      "weft_export_handed_over", COUNTER, DESTINATION, "signal=\"metrics\"", "", "stable", "Items handed to this destination's queue.") \
    X(EXPORT_LOGS_HANDED,      "weft_export_handed_over", COUNTER, DESTINATION, "signal=\"logs\"", "", "stable", "Items handed to this destination's queue.") \
    X(EXPORT_SPANS_SENT,         "weft_export_sent", COUNTER, DESTINATION, "signal=\"spans\"",   "", "stable", "Items that the destination accepted.") \
    X(EXPORT_POINTS_SENT,        "weft_export_sent", COUNTER, DESTINATION, "signal=\"metrics\"", "", "stable", "Items that the destination accepted.") \
    X(EXPORT_LOGS_SENT,        "weft_export_sent", COUNTER, DESTINATION, "signal=\"logs\"", "", "stable", "Items that the destination accepted.") \
    X(EXPORT_SPANS_DROPPED_QUEUE,    "weft_export_dropped", COUNTER, DESTINATION, "signal=\"spans\",reason=\"queue_full\"",   "", "stable", EXPORT_DROPPED) \
    X(EXPORT_SPANS_DROPPED_REJECTED, "weft_export_dropped", COUNTER, DESTINATION, "signal=\"spans\",reason=\"rejected\"",     "", "stable", EXPORT_DROPPED) \
    X(EXPORT_SPANS_DROPPED_SHUTDOWN, "weft_export_dropped", COUNTER, DESTINATION, "signal=\"spans\",reason=\"shutdown\"",     "", "stable", EXPORT_DROPPED) \
    X(EXPORT_SPANS_DROPPED_MEMORY,   "weft_export_dropped", COUNTER, DESTINATION, "signal=\"spans\",reason=\"memory\"",       "", "stable", EXPORT_DROPPED) \
    X(EXPORT_POINTS_DROPPED_QUEUE,    "weft_export_dropped", COUNTER, DESTINATION, "signal=\"metrics\",reason=\"queue_full\"", "", "stable", EXPORT_DROPPED) \
    X(EXPORT_POINTS_DROPPED_REJECTED, "weft_export_dropped", COUNTER, DESTINATION, "signal=\"metrics\",reason=\"rejected\"",  "", "stable", EXPORT_DROPPED) \
    X(EXPORT_POINTS_DROPPED_SHUTDOWN, "weft_export_dropped", COUNTER, DESTINATION, "signal=\"metrics\",reason=\"shutdown\"",  "", "stable", EXPORT_DROPPED) \
    X(EXPORT_POINTS_DROPPED_MEMORY,   "weft_export_dropped", COUNTER, DESTINATION, "signal=\"metrics\",reason=\"memory\"",    "", "stable", EXPORT_DROPPED) \
    X(EXPORT_LOGS_DROPPED_QUEUE, "weft_export_dropped", COUNTER, DESTINATION, "signal=\"logs\",reason=\"queue_full\"", "", "stable", EXPORT_DROPPED) \
    X(EXPORT_LOGS_DROPPED_REJECTED, "weft_export_dropped", COUNTER, DESTINATION, "signal=\"logs\",reason=\"rejected\"", "", "stable", EXPORT_DROPPED) \
    X(EXPORT_LOGS_DROPPED_SHUTDOWN, "weft_export_dropped", COUNTER, DESTINATION, "signal=\"logs\",reason=\"shutdown\"", "", "stable", EXPORT_DROPPED) \
    X(EXPORT_LOGS_DROPPED_MEMORY, "weft_export_dropped", COUNTER, DESTINATION, "signal=\"logs\",reason=\"memory\"", "", "stable", EXPORT_DROPPED) \
    X(EXPORT_SPANS_DROPPED_OVERSIZED, "weft_export_dropped", COUNTER, DESTINATION, "signal=\"spans\",reason=\"oversized\"", "", "stable", EXPORT_DROPPED) \
    X(EXPORT_POINTS_DROPPED_OVERSIZED, "weft_export_dropped", COUNTER, DESTINATION, "signal=\"metrics\",reason=\"oversized\"", "", "stable", EXPORT_DROPPED) \
    X(EXPORT_LOGS_DROPPED_OVERSIZED, "weft_export_dropped", COUNTER, DESTINATION, "signal=\"logs\",reason=\"oversized\"", "", "stable", EXPORT_DROPPED) \
    X(EXPORT_SPANS_QUEUED,       "weft_export_queued", GAUGE, DESTINATION, "signal=\"spans\"",   "", "stable", "Items waiting for this destination, those under way included.") \
    X(EXPORT_POINTS_QUEUED,      "weft_export_queued", GAUGE, DESTINATION, "signal=\"metrics\"", "", "stable", "Items waiting for this destination, those under way included.") \
    X(EXPORT_LOGS_QUEUED,      "weft_export_queued", GAUGE, DESTINATION, "signal=\"logs\"", "", "stable", "Items waiting for this destination, those under way included.") \
    X(EXPORT_QUEUE_BYTES,        "weft_export_queue_bytes", GAUGE, DESTINATION, "", "bytes", "stable", "Bytes waiting for this destination.") \
    X(EXPORT_ATTEMPTS_OK,        "weft_export_attempts", COUNTER, DESTINATION, "result=\"ok\"", "", "stable", "Requests to this destination, by result.") \
    X(EXPORT_ATTEMPTS_RETRY,     "weft_export_attempts", COUNTER, DESTINATION, "result=\"retry\"", "", "stable", "Requests to this destination, by result.") \
    X(EXPORT_ATTEMPTS_FAILED,    "weft_export_attempts", COUNTER, DESTINATION, "result=\"failed\"", "", "stable", "Requests to this destination, by result.") \
    /* the ring of traces */                                                                                                               \
    X(TRACE_STORED_SPANS,    "weft_trace_spans_stored", COUNTER, PROCESS, "signal=\"spans\"", "", "experimental", TRACE_STORED) \
    X(TRACE_STORED_LOGS,     "weft_trace_spans_stored", COUNTER, PROCESS, "signal=\"logs\"", "", "experimental", TRACE_STORED) \
    X(TRACE_NOT_STORED_OVERSIZED, "weft_trace_spans_not_stored", COUNTER, PROCESS, "reason=\"oversized\"", "", "experimental", TRACE_NOT_STORED) \
    X(TRACE_NOT_STORED_NO_TRACE, "weft_trace_spans_not_stored", COUNTER, PROCESS, "reason=\"no_trace_id\"", "", "experimental", TRACE_NOT_STORED) \
    X(TRACE_NOT_STORED_NO_RING, "weft_trace_spans_not_stored", COUNTER, PROCESS, "reason=\"no_ring\"", "", "experimental", TRACE_NOT_STORED) \
    X(TRACE_KEPT_SPANS,      "weft_trace_spans_kept", COUNTER, PROCESS, "", "", "experimental", "Spans that were stored and whose trace is kept.") \
    X(TRACE_EXPIRED_SPANS,   "weft_trace_spans_expired", COUNTER, PROCESS, "signal=\"spans\"", "", "experimental", TRACE_EXPIRED) \
    X(TRACE_EXPIRED_LOGS,    "weft_trace_spans_expired", COUNTER, PROCESS, "signal=\"logs\"", "", "experimental", TRACE_EXPIRED) \
    X(TRACE_RING_SPANS,      "weft_trace_ring_spans", GAUGE, PROCESS, "signal=\"spans\"", "", "experimental", TRACE_RING) \
    X(TRACE_RING_LOGS,       "weft_trace_ring_spans", GAUGE, PROCESS, "signal=\"logs\"", "", "experimental", TRACE_RING) \
    X(TRACE_RING_BYTES,      "weft_trace_ring_bytes", GAUGE, SHARD, "", "bytes", "experimental", "Bytes of this shard's ring that are in use; once it has gone round, all of it.") \
    X(TRACE_REACH,           "weft_trace_reach_seconds", GAUGE, SHARD, "", "seconds", "experimental", "How long ago the oldest record of this shard's ring arrived.") \
    X(TRACE_BLOCKS_COMPRESSED, "weft_trace_blocks_cooled", COUNTER, PROCESS, "result=\"compressed\"", "", "experimental", TRACE_BLOCKS) \
    X(TRACE_BLOCKS_NOT_SMALLER, "weft_trace_blocks_cooled", COUNTER, PROCESS, "result=\"not_smaller\"", "", "experimental", TRACE_BLOCKS) \
    X(TRACE_BLOCKS_NOT_COMPRESSED, "weft_trace_blocks_cooled", COUNTER, PROCESS, "result=\"no_memory\"", "", "experimental", TRACE_BLOCKS) \
    X(TRACE_BLOCKS_DAMAGED,  "weft_trace_blocks_damaged", COUNTER, PROCESS, "", "", "experimental", "Times that a compressed block could not be read.") \
    X(TRACE_SAVED_BYTES,     "weft_trace_saved_bytes", GAUGE, SHARD, "", "bytes", "experimental", "Bytes more that this shard's ring would take for what it holds if nothing of it were compressed.") \
    X(TRACE_WALKS_CUT,       "weft_trace_walks_cut", COUNTER, PROCESS, "", "", "experimental", "Times a trace was read from the ring and not all of it was looked at: limits.trace_spans_count_max.") \
    /* traces that are kept: rows by reason in the order of enum trace_trigger (trace/trigger.h) */                                                                             \
    X(TRACES_KEPT_ERROR, "weft_trace_kept_traces", COUNTER, PROCESS, "reason=\"error\"", "", "stable", TRACES_KEPT) \
    X(TRACES_KEPT_GRPC_ERROR, "weft_trace_kept_traces", COUNTER, PROCESS, "reason=\"grpc_error\"", "", "stable", TRACES_KEPT) \
    X(TRACES_KEPT_RESPONSE_FLAGS, "weft_trace_kept_traces", COUNTER, PROCESS, "reason=\"response_flags\"", "", "stable", TRACES_KEPT) \
    X(TRACES_KEPT_RETRIES_EXHAUSTED, "weft_trace_kept_traces", COUNTER, PROCESS, "reason=\"retries_exhausted\"", "", "stable", TRACES_KEPT) \
    X(TRACES_KEPT_SLOW, "weft_trace_kept_traces", COUNTER, PROCESS, "reason=\"slow\"", "", "stable", TRACES_KEPT) \
    X(TRACES_KEPT_SLOW_FOR_SERIES, "weft_trace_kept_traces", COUNTER, PROCESS, "reason=\"slow_for_series\"", "", "stable", TRACES_KEPT) \
    X(TRACES_KEPT_RARE, "weft_trace_kept_traces", COUNTER, PROCESS, "reason=\"rare\"", "", "stable", TRACES_KEPT) \
    X(TRACES_KEPT_MARK, "weft_trace_kept_traces", COUNTER, PROCESS, "reason=\"mark\"", "", "stable", TRACES_KEPT) \
    X(TRACES_KEPT_BASELINE, "weft_trace_kept_traces", COUNTER, PROCESS, "reason=\"baseline\"", "", "stable", TRACES_KEPT) \
    X(TRACES_KEPT_OPERATOR, "weft_trace_kept_traces", COUNTER, PROCESS, "reason=\"operator\"", "", "stable", TRACES_KEPT) \
    X(TRACES_KEPT_PEER, "weft_trace_kept_traces", COUNTER, PROCESS, "reason=\"peer\"", "", "stable", TRACES_KEPT) \
    X(TRACES_LIMITED_ERROR, "weft_trace_limited_traces", COUNTER, PROCESS, "reason=\"error\"", "", "stable", TRACES_LIMITED) \
    X(TRACES_LIMITED_GRPC_ERROR, "weft_trace_limited_traces", COUNTER, PROCESS, "reason=\"grpc_error\"", "", "stable", TRACES_LIMITED) \
    X(TRACES_LIMITED_RESPONSE_FLAGS, "weft_trace_limited_traces", COUNTER, PROCESS, "reason=\"response_flags\"", "", "stable", TRACES_LIMITED) \
    X(TRACES_LIMITED_RETRIES_EXHAUSTED, "weft_trace_limited_traces", COUNTER, PROCESS, "reason=\"retries_exhausted\"", "", "stable", TRACES_LIMITED) \
    X(TRACES_LIMITED_SLOW, "weft_trace_limited_traces", COUNTER, PROCESS, "reason=\"slow\"", "", "stable", TRACES_LIMITED) \
    X(TRACES_LIMITED_SLOW_FOR_SERIES, "weft_trace_limited_traces", COUNTER, PROCESS, "reason=\"slow_for_series\"", "", "stable", TRACES_LIMITED) \
    X(TRACES_LIMITED_RARE, "weft_trace_limited_traces", COUNTER, PROCESS, "reason=\"rare\"", "", "stable", TRACES_LIMITED) \
    X(TRACES_LIMITED_MARK, "weft_trace_limited_traces", COUNTER, PROCESS, "reason=\"mark\"", "", "stable", TRACES_LIMITED) \
    X(TRACES_LIMITED_BASELINE, "weft_trace_limited_traces", COUNTER, PROCESS, "reason=\"baseline\"", "", "stable", TRACES_LIMITED) \
    X(TRACES_LIMITED_OPERATOR, "weft_trace_limited_traces", COUNTER, PROCESS, "reason=\"operator\"", "", "stable", TRACES_LIMITED) \
    X(TRACES_LIMITED_PEER, "weft_trace_limited_traces", COUNTER, PROCESS, "reason=\"peer\"", "", "stable", TRACES_LIMITED) \
    X(TRACE_LETTERS_LOST,    "weft_trace_letters_lost", COUNTER, PROCESS, "", "", "stable", "Notices that a trace is kept which found no memory on their way to another thread of the agent.") \
    X(TRACE_KEPT_EVICTED,    "weft_trace_kept_evicted", COUNTER, PROCESS, "", "", "stable", "Kept traces that were let go before their linger time was over, because limits.kept_traces_count_max were kept after them, shard by shard.") \
    /* exemplars: only what is pinned is shown */                                                                                          \
    X(EXEMPLARS_SHOWN,       "weft_exemplars", GAUGE, PROCESS, "", "", "experimental", "Exemplars that scrapes and exports show.") \
    X(EXEMPLAR_TRACES,       "weft_exemplar_traces", GAUGE, PROCESS, "", "", "experimental", "Traces that are pinned because an exemplar leads to them, or did not long ago.") \
    X(EXEMPLAR_TRACE_BYTES,  "weft_exemplar_trace_bytes", GAUGE, PROCESS, "", "bytes", "experimental", "Memory of pinned traces.") \
    X(EXEMPLAR_RETENTION,    "weft_exemplar_retention_seconds", GAUGE, PROCESS, "", "seconds", "stable", "How long after a scrape its exemplars lead to their traces here; 0: this agent has no ring of traces.") \
    X(EXEMPLARS_GRANTED,     "weft_exemplars_granted", COUNTER, PROCESS, "", "", "experimental", "Exemplars whose trace was pinned with their span.") \
    X(EXEMPLARS_REFUSED_BUSY, "weft_exemplars_refused", COUNTER, PROCESS, "reason=\"busy\"", "", "experimental", EXEMPLARS_REFUSED) \
    X(EXEMPLARS_REFUSED_FULL, "weft_exemplars_refused", COUNTER, PROCESS, "reason=\"full\"", "", "experimental", EXEMPLARS_REFUSED) \
    X(EXEMPLARS_REFUSED_OVERSIZED, "weft_exemplars_refused", COUNTER, PROCESS, "reason=\"oversized\"", "", "experimental", EXEMPLARS_REFUSED) \
    X(EXEMPLARS_REFUSED_GONE, "weft_exemplars_refused", COUNTER, PROCESS, "reason=\"gone\"", "", "experimental", EXEMPLARS_REFUSED) \
    X(EXEMPLARS_WITHDRAWN,   "weft_exemplars_withdrawn", COUNTER, PROCESS, "", "", "experimental", "Exemplars that are no longer shown, to make room for those of other traces.") \
    /* questions about traces, and what agents tell each other */                                                                          \
    X(TRACE_TIMINGS_JOINED,  "weft_trace_timings", COUNTER, PROCESS, "result=\"joined\"", "", "experimental", TRACE_TIMINGS) \
    X(TRACE_TIMINGS_BEHIND,  "weft_trace_timings", COUNTER, PROCESS, "result=\"dropped_behind\"", "", "experimental", TRACE_TIMINGS) \
    X(TRACE_TIMINGS_THINNED, "weft_trace_timings", COUNTER, PROCESS, "result=\"left_out\"", "", "experimental", TRACE_TIMINGS) \
    X(TRACE_TIMINGS_BAD_IDS, "weft_trace_timings", COUNTER, PROCESS, "result=\"bad_ids\"", "", "experimental", TRACE_TIMINGS) \
    X(TRACE_TIMINGS_REPEATED, "weft_trace_timings", COUNTER, PROCESS, "result=\"repeated\"", "", "experimental", TRACE_TIMINGS) \
    X(TRACE_TIMINGS_LATE,    "weft_trace_timings", COUNTER, PROCESS, "result=\"late\"", "", "experimental", TRACE_TIMINGS) \
    X(TRACE_JOIN_SELF_PARENTS, "weft_trace_join_oddities", COUNTER, PROCESS, "kind=\"self_parent\"", "", "experimental", TRACE_JOIN) \
    X(TRACE_JOIN_CYCLES,     "weft_trace_join_oddities", COUNTER, PROCESS, "kind=\"cycle\"", "", "experimental", TRACE_JOIN) \
    X(TRACE_JOIN_OVERSIZED,  "weft_trace_join_oddities", COUNTER, PROCESS, "kind=\"too_many_spans\"", "", "experimental", TRACE_JOIN) \
    X(TRACE_JOIN_EARLY,      "weft_trace_join_oddities", COUNTER, PROCESS, "kind=\"no_room_to_wait\"", "", "experimental", TRACE_JOIN) \
    X(TRACE_JOIN_LATE_CALLS, "weft_trace_join_oddities", COUNTER, PROCESS, "kind=\"late_call\"", "", "experimental", TRACE_JOIN) \
    X(TRACE_JOIN_AMBIGUOUS,  "weft_trace_join_oddities", COUNTER, PROCESS, "kind=\"several_servers\"", "", "experimental", TRACE_JOIN) \
    X(TRACE_JOIN_CLOCKS,     "weft_trace_join_oddities", COUNTER, PROCESS, "kind=\"clocks_disagree\"", "", "experimental", TRACE_JOIN) \
    X(TRACE_TIMES_LOST,      "weft_trace_times_lost", COUNTER, PROCESS, "", "", "experimental", "Self and network times that no series could be had for.") \
    X(TRACE_QUESTIONS,       "weft_trace_questions", COUNTER, PROCESS, "", "", "experimental", "Questions about traces that were answered.") \
    X(TRACE_QUESTIONS_BUSY,  "weft_trace_questions_refused", COUNTER, PROCESS, "", "", "experimental", "Questions about traces that found too many under way.") \
    X(TRACE_ANSWERS_CUT,     "weft_trace_answers_cut", COUNTER, PROCESS, "", "", "experimental", "Answers that lack something, which their warnings say: a shard or a peer that was late, more than there is room for.") \
    X(TRACE_PEER_QUESTIONS,  "weft_trace_peer_questions", COUNTER, PROCESS, "", "", "experimental", "Questions to peers.") \
    X(TRACE_PEER_QUESTIONS_FAILED, "weft_trace_peer_questions_failed", COUNTER, PROCESS, "", "", "experimental", "Questions to peers without an answer.") \
    X(TRACE_PEER_NOTICES_SENT, "weft_trace_peer_notices_sent", COUNTER, PROCESS, "", "", "experimental", "Kept traces that a peer was told of, peer by peer.") \
    X(TRACE_PEER_NOTICES_LOST, "weft_trace_peer_notices_lost", COUNTER, PROCESS, "", "", "experimental", "Kept traces that a peer could not be told of, peer by peer.") \
    X(TRACE_PEER_NOTICES_RECEIVED, "weft_trace_peer_notices_received", COUNTER, PROCESS, "", "", "experimental", "Kept traces that peers told of, those past their rate (weft_trace_limited_traces) among them.") \
    /* configuration */                                                                                                                    \
    X(CONFIG_RELOAD_OK,      "weft_config_last_reload_successful", GAUGE, PROCESS, "", "", "stable", "1 when the configuration was read without error when it was read last, else 0; then the one before is in force.") \
    X(CONFIG_RELOAD_TIME,    "weft_config_last_reload_success_timestamp_seconds", GAUGE, PROCESS, "", "seconds", "stable", "When the configuration in force was read, in seconds since 1970.") \
    X(CONFIG_RELOADS_OK,     "weft_config_reloads", COUNTER, PROCESS, "result=\"ok\"", "", "stable", "Times the configuration was read anew, by result.") \
    X(CONFIG_RELOADS_FAILED, "weft_config_reloads", COUNTER, PROCESS, "result=\"failed\"", "", "stable", "Times the configuration was read anew, by result.") \
    X(MEMORY_BUDGET,         "weft_memory_budget_bytes", GAUGE, PROCESS, "", "bytes", "stable", "What all budgets of the configuration may take together, and the agent itself.") \
    X(MEMORY_LIMIT,          "weft_memory_limit_bytes", GAUGE, PROCESS, "", "bytes", "stable", "memory.max of the agent's control groups when it started; 0: none.") \
    X(LISTENERS_FAILED,      "weft_listeners_failed", GAUGE, PROCESS, "", "", "stable", "Sockets under receivers that could not be opened at start; the log names their keys.") \
    X(CONFIG_PENDING,        "weft_config_keys_waiting_for_restart", GAUGE, PROCESS, "", "", "stable", "Keys whose value in the file, when it was read last, is not the one in force: they need a new start.") \
    X(TAPS_OPEN,             "weft_taps", GAUGE, PROCESS, "", "", "experimental", "Who watches live requests now.") \
    X(TAPS_REFUSED,          "weft_taps_refused", COUNTER, PROCESS, "", "", "experimental", "Times somebody was not let watch live requests: limits.taps_count_max watched.") \
    X(TAP_LINES_WRITTEN,     "weft_tap_lines", COUNTER, PROCESS, "result=\"written\"", "", "experimental", TAP_LINES) \
    X(TAP_LINES_DROPPED,     "weft_tap_lines", COUNTER, PROCESS, "result=\"dropped\"", "", "experimental", TAP_LINES) \
    /* identity */                                                                                                                         \
    X(KUBELET_POLLS_OK,      "weft_kubelet_polls", COUNTER, PROCESS, "result=\"ok\"", "", "stable", "Times the table of pods was asked for, by result.") \
    X(KUBELET_POLLS_FAILED,  "weft_kubelet_polls", COUNTER, PROCESS, "result=\"failed\"", "", "stable", "Times the table of pods was asked for, by result.") \
    X(PODS_KNOWN,            "weft_pods_known", GAUGE, PROCESS, "", "", "stable", "Pods of this node whose names are known.") \
    X(PODS_OVER,             "weft_pods_over", GAUGE, PROCESS, "", "", "stable", "Pods that the table of pods has no room for.") \
    /* scraping in */                                                                                                                      \
    X(SCRAPE_OK, "weft_scrape_attempts", COUNTER, TARGET, "result=\"ok\"", "", "stable", "Scrapes of this target, by result.") \
    X(SCRAPE_UNREACHABLE, "weft_scrape_attempts", COUNTER, TARGET, "result=\"unreachable\"", "", "stable", "Scrapes of this target, by result.") \
    X(SCRAPE_TIMEOUT, "weft_scrape_attempts", COUNTER, TARGET, "result=\"timeout\"", "", "stable", "Scrapes of this target, by result.") \
    X(SCRAPE_STATUS, "weft_scrape_attempts", COUNTER, TARGET, "result=\"status\"", "", "stable", "Scrapes of this target, by result.") \
    X(SCRAPE_CONTENT_TYPE, "weft_scrape_attempts", COUNTER, TARGET, "result=\"content_type\"", "", "stable", "Scrapes of this target, by result.") \
    X(SCRAPE_COMPRESSION, "weft_scrape_attempts", COUNTER, TARGET, "result=\"compression\"", "", "stable", "Scrapes of this target, by result.") \
    X(SCRAPE_OVERSIZED, "weft_scrape_attempts", COUNTER, TARGET, "result=\"oversized\"", "", "stable", "Scrapes of this target, by result.") \
    X(SCRAPE_MEMORY, "weft_scrape_attempts", COUNTER, TARGET, "result=\"memory\"", "", "stable", "Scrapes of this target, by result.") \
    X(SCRAPE_UP,             "weft_scrape_up", GAUGE, TARGET, "", "", "stable", "1 when the last scrape of this target was ok, else 0.") \
    X(SCRAPE_SAMPLES,        "weft_scrape_samples", GAUGE, TARGET, "", "", "stable", "Sample lines of the last scrape of this target.") \
    X(SCRAPE_LINES_DROPPED,  "weft_scrape_lines_dropped", COUNTER, TARGET, "", "", "stable", "Lines of this target that could not be read.") \
    X(SCRAPE_BYTES,          "weft_scrape_bytes", COUNTER, TARGET, "", "bytes", "stable", "Bytes of this target's expositions, after decompression.") \
    X(SCRAPE_DURATION,       "weft_scrape_duration_seconds", GAUGE, TARGET, "", "seconds", "stable", "How long the last scrape of this target took.") \
    /* scrapes, queries, the process */                                                                                                    \
    X(SCRAPES,               "weft_scrapes", COUNTER, PROCESS, "", "", "stable", "Expositions served on /metrics.") \
    X(QUERIES,               "weft_queries", COUNTER, PROCESS, "", "", "stable", "Requests answered by the query API.") \
    X(QUERIES_BAD,           "weft_queries_rejected", COUNTER, PROCESS, "", "", "stable", "Requests to the query API with bad arguments.") \
    X(ANSWERS_REFUSED,       "weft_answers_refused", COUNTER, PROCESS, "", "", "stable", "Answers to scrapes and queries that became 503 because answers that nobody reads hold answers_bytes_max.") \
    X(LOOP_TICKS,            "weft_loop_ticks", COUNTER, SHARD, "", "", "experimental", "Heartbeats of this shard's loop; /healthz watches them.") \
    X(ASSEMBLY_BYTES,        "weft_assembly_bytes", GAUGE, PROCESS, "", "bytes", "experimental", "Bytes of assembly_bytes_max that messages being received hold, over whichever protocol.") \
    X(PROCESS_CPU,           "weft_process_cpu_seconds", COUNTER, PROCESS, "", "seconds", "stable", "CPU time of the agent, all threads, kernel included.") \
    X(PROCESS_RESIDENT,      "weft_process_resident_bytes", GAUGE, PROCESS, "", "bytes", "stable", "Resident memory of the agent, its ring of traces included.") \
    X(PROCESS_START,         "weft_process_start_time_seconds", GAUGE, PROCESS, "", "seconds", "stable", "When the agent started, in seconds since 1970: its counters began at 0 then.")
/* clang-format on */

#endif
