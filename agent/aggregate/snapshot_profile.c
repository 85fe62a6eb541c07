/*
 * A naming profile's exposition: its families over the series of its measures, and nothing else. The
 * aggregator's thread, which may merge between two steps, as with the families that are ours (snapshot.h).
 */
#include <stdlib.h>

#include "aggregate/profile_measures.h"
#include "aggregate/snapshot_internal.h"
#include "core/error.h"

/* What a family shows of a series. */
enum shown_value {
    SHOWN_COUNT,
    SHOWN_HISTOGRAM,
    SHOWN_HISTOGRAM_COUNT, /* as a counter */
    SHOWN_CONNECTIONS,
    SHOWN_SENT_BYTES,
    SHOWN_RECEIVED_BYTES,
    SHOWN_CREATED, /* when the series began, as a gauge of Unix seconds */
};

struct shown_family {
    struct snapshot_family family;
    uint8_t measure; /* enum profile_measure */
    uint8_t value;   /* enum shown_value */
};

#define FAMILY(its_name, its_type, its_unit, its_measure, its_value, its_help)                               \
    {                                                                                                        \
        .family = {.name = (its_name), .type = SNAPSHOT_##its_type, .unit = (its_unit), .help = (its_help)}, \
        .measure = MEASURE_##its_measure, .value = SHOWN_##its_value                                         \
    }

static const struct shown_family families[] = {
    FAMILY(
        "istio_requests", COUNTER, "", ISTIO_REQUESTS, HISTOGRAM_COUNT, "Requests, once for each reporter."),
    FAMILY("istio_request_duration_milliseconds", HISTOGRAM, "milliseconds", ISTIO_REQUESTS, HISTOGRAM,
        "How long requests took."),
    FAMILY("istio_request_bytes", HISTOGRAM, "bytes", ISTIO_REQUEST_BYTES, HISTOGRAM,
        "Sizes of request bodies, headers left out."),
    FAMILY("istio_response_bytes", HISTOGRAM, "bytes", ISTIO_RESPONSE_BYTES, HISTOGRAM,
        "Sizes of response bodies, headers left out."),
    FAMILY("istio_tcp_connections_opened", COUNTER, "", ISTIO_TCP, CONNECTIONS,
        "TCP connections that were opened, counted when they have ended."),
    FAMILY("istio_tcp_connections_closed", COUNTER, "", ISTIO_TCP, CONNECTIONS,
        "TCP connections that have ended."),
    FAMILY("istio_tcp_sent_bytes", COUNTER, "bytes", ISTIO_TCP, SENT_BYTES,
        "Bytes of TCP connections that were sent to the one who opened them."),
    FAMILY("istio_tcp_received_bytes", COUNTER, "bytes", ISTIO_TCP, RECEIVED_BYTES,
        "Bytes of TCP connections that were received from the one who opened them."),

    FAMILY("request", COUNTER, "", LINKERD_REQUESTS, COUNT, "Requests, counted when they have ended."),
    FAMILY("response", COUNTER, "", LINKERD_RESPONSES, COUNT, "Requests by how they ended."),
    FAMILY("response_latency_ms", HISTOGRAM, "", LINKERD_LATENCY, HISTOGRAM,
        "Milliseconds until the first byte of the response."),
    FAMILY("route_request", COUNTER, "", LINKERD_ROUTE_REQUESTS, COUNT,
        "Requests by route, counted when they have ended."),
    FAMILY("route_response", COUNTER, "", LINKERD_ROUTE_RESPONSES, COUNT,
        "Requests by route and how they ended."),
    FAMILY("route_response_latency_ms", HISTOGRAM, "", LINKERD_ROUTE_LATENCY, HISTOGRAM,
        "Milliseconds until the first byte of the response, by route."),
    FAMILY("tcp_open", COUNTER, "", LINKERD_TCP, CONNECTIONS,
        "TCP connections that were opened, counted when they have ended."),
    FAMILY("tcp_close", COUNTER, "", LINKERD_TCP, CONNECTIONS, "TCP connections that have ended."),
    FAMILY("tcp_read_bytes", COUNTER, "bytes", LINKERD_TCP, RECEIVED_BYTES,
        "Bytes of TCP connections that were read from the one who opened them."),
    FAMILY("tcp_write_bytes", COUNTER, "bytes", LINKERD_TCP, SENT_BYTES,
        "Bytes of TCP connections that were written to the one who opened them."),
    FAMILY("tcp_connection_duration_ms", HISTOGRAM, "", LINKERD_TCP_DURATION, HISTOGRAM,
        "Milliseconds that TCP connections were open."),
    FAMILY("process_start_time_seconds", GAUGE, "seconds", LINKERD_PROCESS, CREATED,
        "Since when the agent knows the proxy, not when the proxy was started."),

    FAMILY("traces_span_metrics_calls", COUNTER, "", SPANMETRICS, HISTOGRAM_COUNT,
        "Spans that stand for requests."),
    FAMILY("traces_span_metrics_duration_milliseconds", HISTOGRAM, "milliseconds", SPANMETRICS, HISTOGRAM,
        "How long requests took."),

    FAMILY("traces_spanmetrics_calls", COUNTER, "", TEMPO, HISTOGRAM_COUNT, "Spans that stand for requests."),
    FAMILY(
        "traces_spanmetrics_latency", HISTOGRAM, "", TEMPO, HISTOGRAM, "How long requests took, in seconds."),
    FAMILY("traces_spanmetrics_size", COUNTER, "", TEMPO_SIZE, COUNT, "Bytes of the spans as they came."),

    FAMILY("traces_service_graph_request", COUNTER, "", GRAPH_SERVER, HISTOGRAM_COUNT,
        "Requests from client to server, each counted on one side."),
    FAMILY("traces_service_graph_request_failed", COUNTER, "", GRAPH_FAILED, COUNT,
        "Those of them that ended with a server's error or without an answer."),
    FAMILY("traces_service_graph_request_server_seconds", HISTOGRAM, "seconds", GRAPH_SERVER, HISTOGRAM,
        "How long requests took, as the side that counts them saw it."),
    FAMILY("traces_service_graph_request_client_seconds", HISTOGRAM, "seconds", GRAPH_CLIENT, HISTOGRAM,
        "How long requests took, as the client saw it."),

    FAMILY("http_server_request_duration_seconds", HISTOGRAM, "seconds", OTEL_SERVER, HISTOGRAM,
        "Duration of HTTP server requests."),
    FAMILY("http_client_request_duration_seconds", HISTOGRAM, "seconds", OTEL_CLIENT, HISTOGRAM,
        "Duration of HTTP client requests."),
};

enum { FAMILIES_COUNT = sizeof(families) / sizeof(families[0]) };

/* With milliseconds, which a double holds exactly. */
static double seconds_of(uint64_t unix_ns)
{
    uint64_t unix_ms = unix_ns / 1000000;

    return (double)unix_ms / 1e3;
}

static void set_value(
    struct view *view, enum shown_value value, const struct series *from, struct snapshot_series *series)
{
    uint64_t created_unix_ns = from->base.created_unix_ns;

    switch (value) {
    case SHOWN_COUNT:
        view_set_counter(series, from->count, created_unix_ns);
        break;
    case SHOWN_HISTOGRAM:
        view_set_duration(view, series, from, 0);
        break;
    case SHOWN_HISTOGRAM_COUNT:
        view_set_counter(series, from->duration.values[0]->histogram.count, created_unix_ns);
        break;
    case SHOWN_CONNECTIONS:
        view_set_counter(series, from->tcp.connections, created_unix_ns);
        break;
    case SHOWN_SENT_BYTES:
        view_set_counter(series, from->tcp.sent_bytes, created_unix_ns);
        break;
    case SHOWN_RECEIVED_BYTES:
        view_set_counter(series, from->tcp.received_bytes, created_unix_ns);
        break;
    case SHOWN_CREATED:
        series->value = seconds_of(created_unix_ns);
        break;
    }
}

/* Native histograms are in seconds: a profile that counts milliseconds has none. */
static void leave_native_out(struct view *view)
{
    if (profile_rows[view->profile].is_milliseconds) {
        view->histogram.bucket_count = 0;
    }
}

static bool fill(
    struct view *view, const struct shown_family *shown, size_t place, struct snapshot_series *ret_series)
{
    const struct table *table = &view->aggregator->families[measure_rows[shown->measure].family].series;
    const struct series *from = table_at(table, (uint32_t)place);

    if (from == NULL || from->key.measure != shown->measure) {
        return false;
    }
    *ret_series = (struct snapshot_series){.labels_text = ""};
    view_begin_labels(view);
    view_add_profile_labels(view, &from->key);
    view_end_labels(view, ret_series);
    set_value(view, (enum shown_value)shown->value, from, ret_series);
    leave_native_out(view);
    return true;
}

static int profile_next(struct snapshot *snapshot, struct snapshot_cursor *cursor,
    const struct snapshot_family **ret_family, struct snapshot_series *ret_series)
{
    struct view *view = (struct view *)snapshot;

    for (; cursor->family < FAMILIES_COUNT;
         *cursor = (struct snapshot_cursor){.family = cursor->family + 1}) {
        const struct shown_family *shown = &families[cursor->family];
        const struct measure_row *row = &measure_rows[shown->measure];
        const struct table *table = &view->aggregator->families[row->family].series;

        while (row->profile == (uint8_t)view->profile &&
               (cursor->series > 0 || view_shows(view, &shown->family)) && cursor->series < table->used) {
            if (fill(view, shown, cursor->series++, ret_series)) {
                *ret_family = &shown->family;
                return 1;
            }
        }
    }
    return 0;
}

static const struct snapshot_ops profile_ops = {.next = profile_next};

int aggregator_profile_snapshot_new(struct aggregator *aggregator, enum profile profile,
    const struct snapshot_settings *settings, struct snapshot **ret_snapshot)
{
    struct view *view = calloc(1, sizeof(*view));

    if (view == NULL) {
        return WERR_NOMEM;
    }
    if (view_init(view, aggregator, settings) < 0) {
        aggregator_snapshot_free(&view->snapshot);
        return WERR_NOMEM;
    }
    view->snapshot.ops = &profile_ops;
    view->profile = profile;
    *ret_snapshot = &view->snapshot;
    return 0;
}
