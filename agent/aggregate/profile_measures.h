/*
 * What the naming profiles measure: for each enabled measure a request is counted once more, in a series of
 * the measure's own, whose key holds just what the measure's labels are made of. So one label set is one
 * series, nothing is added up when it is shown, and a profile costs nothing where it is not enabled.
 *
 *   request ──project──► series_key (measure, and the fields that its labels need, others 0) ──► count,
 * histogram
 *
 * Two keys of a measure never give the same labels: a projection writes a value in one way only. Pure; any
 * thread. profile_labels.h is the way back, from a key to labels.
 */
#ifndef WEFT_AGGREGATE_PROFILE_MEASURES_H
#define WEFT_AGGREGATE_PROFILE_MEASURES_H

#include "aggregate/series_key.h"
#include "core/profiles.h"

enum profile_measure {
    MEASURE_NONE,
    MEASURE_ISTIO_REQUESTS,
    MEASURE_ISTIO_REQUEST_BYTES,
    MEASURE_ISTIO_RESPONSE_BYTES,
    MEASURE_ISTIO_TCP,
    MEASURE_LINKERD_REQUESTS,
    MEASURE_LINKERD_RESPONSES,
    MEASURE_LINKERD_LATENCY,
    MEASURE_LINKERD_ROUTE_REQUESTS,
    MEASURE_LINKERD_ROUTE_RESPONSES,
    MEASURE_LINKERD_ROUTE_LATENCY,
    MEASURE_LINKERD_PROCESS,
    MEASURE_LINKERD_TCP,
    MEASURE_LINKERD_TCP_DURATION,
    MEASURE_SPANMETRICS,
    MEASURE_TEMPO,
    MEASURE_TEMPO_SIZE,
    MEASURE_GRAPH_SERVER,
    MEASURE_GRAPH_FAILED,
    MEASURE_GRAPH_CLIENT,
    MEASURE_OTEL_SERVER,
    MEASURE_OTEL_CLIENT,
    MEASURE_COUNT
};

/* What a measure adds up. A histogram of bytes holds each byte as a millisecond: its bounds are those of the
 * profile's durations, which are written in milliseconds. */
enum measure_value {
    MEASURES_REQUESTS,     /* a count */
    MEASURES_RECORD_BYTES, /* a count, of bytes */
    MEASURES_DURATION,     /* histograms, with their counts */
    MEASURES_FIRST_BYTE,
    MEASURES_REQUEST_BYTES,
    MEASURES_RESPONSE_BYTES,
    MEASURES_CONNECTION, /* connections and their bytes */
    MEASURES_CONNECTION_DURATION,
};

struct profile_settings {
    uint32_t profiles; /* bits 1 << enum profile: those that are enabled */
    enum profile_graph_side graph_side;
};

struct measure_row {
    uint8_t profile; /* enum profile */
    uint8_t value;   /* enum measure_value */
    uint8_t family;  /* enum series_family */
    /* Fills a zeroed key but for family and measure; false: this request is not the measure's. NULL for those
     * of connections. */
    bool (*project)(
        const struct profile_settings *settings, const struct request *request, struct series_key *key);
};

extern const struct measure_row measure_rows[MEASURE_COUNT];

/* The key of a request in a measure; false when the measure leaves it out. */
bool measure_key(const struct profile_settings *settings, enum profile_measure measure,
    const struct request *request, struct series_key *ret_key);

/* The key of a connection in a measure of connections; false when the measure leaves it out. */
bool measure_connection_key(
    enum profile_measure measure, const struct connection *connection, struct series_key *ret_key);

/* Values of key fields that measures use in their own way. */
enum measure_result { RESULT_NONE, RESULT_SUCCESS, RESULT_FAILURE }; /* key.outcome, linkerd */
enum measure_error { ERROR_NONE, ERROR_CODE, ERROR_OTHER };          /* key.outcome, otel: error_type */
enum measure_graph { GRAPH_PLAIN, GRAPH_VIRTUAL };                   /* key.outcome, servicegraph */

#endif
